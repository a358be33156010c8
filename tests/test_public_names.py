"""Names and arguments that users rely on; `public_names.txt` changes only on purpose."""

import importlib
import inspect
from pathlib import Path

import pytest

pytest.importorskip("keras_tuner")

FILE = Path(__file__).parent / "public_names.txt"
MODULES = (
    *("", ".balancing", ".data", ".evaluation", ".exporting", ".layers", ".losses", ".metrics"),
    *(".models", ".ops", ".tuning", ".visualization"),
)
OF_TRAINING = ("BalancerUpdate", "FiniteLosses", "FiniteWeights", "OptimizerGroup", "PhaseSwitch")
pytestmark = pytest.mark.backend_free


def public_names():
    """Lines such as `keras_atinet.DepthEstimation(name, averaging)`."""
    modules = {importlib.import_module(f"keras_atinet{suffix}"): None for suffix in MODULES}
    modules[importlib.import_module("keras_atinet.training")] = OF_TRAINING
    for module, names in modules.items():
        for name in sorted(names or vars(module)):
            value = getattr(module, name)
            is_own = getattr(value, "__module__", "").startswith(module.__name__)
            is_callable = inspect.isfunction(value) or inspect.isclass(value)
            if is_own and is_callable and not name.startswith("_"):
                arguments = ", ".join(inspect.signature(value).parameters)
                yield f"{module.__name__}.{name}({arguments})"


def test_public_names():
    assert list(public_names()) == FILE.read_text(encoding="utf-8").splitlines()
