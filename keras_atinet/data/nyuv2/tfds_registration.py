"""Makes the builder known to tensorflow-datasets without importing that."""

import importlib.abc
import importlib.util
import sys
import warnings

_TFDS = "tensorflow_datasets"
_BUILDER = "keras_atinet.data.nyuv2.tfds_builder"


def register_with_tfds():
    """Lets `tfds.load("nyuv2_multi_task")` find its builder.

    It is registered now if tensorflow-datasets has been imported already, and otherwise as soon
    as somebody imports it. This package itself never does.
    """
    if _TFDS in sys.modules:
        _import_builder()
    elif not any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())


class _AfterImport(importlib.abc.MetaPathFinder):
    # Finds the one module as usual, once, and imports the builder after it.
    def find_spec(self, name, path=None, target=None):
        if name != _TFDS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module):
                execute(module)
                _import_builder()

            spec.loader.exec_module = execute_and_register
        return spec


def _import_builder():
    try:
        importlib.import_module(_BUILDER)
    except Exception as error:
        # Nobody who imports tensorflow-datasets for something else should be stopped by this.
        warnings.warn(f"`nyuv2_multi_task` cannot be registered: {error!r}.", stacklevel=2)
