import ast
import gzip
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import keras

import keras_atinet

PACKAGE = Path(keras_atinet.__file__).parent
ROOT = Path(__file__).parents[1]
BACKENDS = {"tensorflow", "jax", "torch"}
# A module imports from its own folder and from what stands before it here.
ORDER = [
    "version",
    "stopping",
    "deferral",
    "settings",
    "files",
    "internals",
    "ops",
    "losses",
    "metrics",
    "tasks",
    "layers",
    "balancing",
    "training",
    "models",
    "data",
    "exporting",
    "visualization",
    "evaluation",
    "runs",
    "prediction",
    "__init__",  # the public names
    "tuning",
    "report",
    "serving",
    "study",
    "cli",
    "__main__",
]
# As if some packages were not installed; then the import, a saved model, and the help of the
# command line.
SCRIPT = """
import sys

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, *args):
        hidden = name.split(".")[0] in sys.argv[1:]
        return None if hidden else self.finder.find_spec(name, *args)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
import keras_atinet
from keras_atinet.cli import main
print(keras_atinet.__version__)
model = keras_atinet._keras.saving.load_model(sys.argv.pop(1))
print(type(model) is keras_atinet.ATINet)
main(["--help"])
"""
SAVED = Path(__file__).parent / "saved" / "atinet.keras.gz"


def modules():
    """Pairs of a module's path within the package and its syntax tree."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE), ast.parse(path.read_text(encoding="utf-8"))


def imports(nodes):
    """Full names of what some nodes import: of modules, or of names in modules."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "Imports are absolute."
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_import(node):
    """The nodes that run when the module is imported: all but the bodies of functions."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from at_import(child)


def place(parts):
    """The entry of `ORDER` for `("layers", "heads.py")`, or for `("layers", "ConvBlock")`."""
    name = parts[0].removesuffix(".py") if parts else "__init__"
    is_module = (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()
    return name if is_module else "__init__"


def test_imports_go_one_way():
    for path, tree in modules():
        own = place(path.parts)
        assert own in ORDER, f"{path} has no place in `ORDER` of this test."
        for name in imports(ast.walk(tree)):
            if name.split(".")[0] != "keras_atinet" or str(path) == "__init__.py":
                continue
            other = place(name.split(".")[1:])
            assert ORDER.index(other) <= ORDER.index(own), f"{path} imports {name}"


def test_the_command_line_is_imported_by_no_other_code():
    others = [
        path for name in ("benchmarks", "examples", "docs") for path in ROOT.glob(f"{name}/**/*.py")
    ]
    assert others
    for path in others:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = [name for name in imports(ast.walk(tree)) if name.startswith("keras_atinet.cli")]
        assert not found, f"{path} imports {found}"


def test_the_order_is_that_of_the_documentation():
    file = Path(__file__).parents[1] / "CONTRIBUTING.md"
    rows = re.findall(r"^\| `(\w+)(?:/|\.py)` \|", file.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [place for place in ORDER if place not in ("version", "__main__")]


def test_each_backend_is_imported_by_files_of_its_name_only():
    for path, tree in modules():
        found = {name.split(".")[0] for name in imports(at_import(tree))}
        own = {path.stem} if path.parent.name in ("ops", "step", "remat") else set()
        assert found & BACKENDS == own & BACKENDS, path


def test_optional_packages_are_imported_at_use():
    allowed = {*sys.stdlib_module_names, "keras", "keras_atinet", "numpy", *BACKENDS}
    for path, tree in modules():
        found = {name.split(".")[0] for name in imports(at_import(tree))}
        # Whoever imports these files has asked for the package.
        own = {
            "tfds_builder": {"tensorflow_datasets"},
            "hyper_model": {"keras_tuner"},
            "gradio_page": {"gradio", "starlette"},
        }
        assert found <= allowed | own.get(path.stem, set()), f"{path} imports {found - allowed}"


def test_only_the_public_keras_is_used():
    for path, tree in modules():
        assert not [name for name in imports(ast.walk(tree)) if name.startswith("keras.src")], path
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == "src":
                assert not (isinstance(node.value, ast.Name) and node.value.id == "keras"), path


def run_without(packages, file):
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend()}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, file, *packages],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_with_one_backend_and_nothing_optional(tmp_path):
    others = BACKENDS - {keras.backend.backend()}
    optional = {"matplotlib", "PIL", "keras_tuner", "tensorflow_datasets", "pandas", "pyarrow"}
    file = tmp_path / "saved.keras"
    file.write_bytes(gzip.decompress(SAVED.read_bytes()))
    result = run_without(others | optional, file)
    assert result.returncode == 0, result.stderr
    version, is_known, usage, *_ = result.stdout.splitlines()
    assert version == keras_atinet.__version__ and usage.startswith("usage: keras-atinet")
    # The import alone lets Keras load a model.
    assert is_known == "True"


def test_without_a_backend_the_error_names_it():
    result = run_without(BACKENDS, "none")
    assert result.returncode != 0
    last_line = result.stderr.strip().splitlines()[-1]
    assert last_line.startswith(("ImportError", "ModuleNotFoundError"))
    assert keras.backend.backend() in result.stderr.split("Error:")[-1]


def test_version():
    assert keras_atinet.__version__ == importlib.metadata.version("keras-atinet")


def test_no_package_offers_a_name_of_its_modules():
    """Else `package.name` would be one or the other, depending on the order of imports."""
    for path, tree in modules():
        if path.name == "__init__.py":
            folder = PACKAGE / path.parent
            taken = {child.stem for child in folder.iterdir() if child.suffix in ("", ".py")}
            offered = [name.split(".") for name in imports(ast.walk(tree))]
            own = ["keras_atinet", *path.parent.parts]
            # `from package import module` is no collision.
            offered = {name[-1] for name in offered if name[:-1] != own}
            assert not offered & taken, path
