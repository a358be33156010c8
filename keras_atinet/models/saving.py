"""Saved models that are complete or not there."""

import math
import os
import zipfile

from keras_atinet.files import replacing
from keras_atinet.models.presets.writing import save_to_preset

_BYTES = 4  # of a float32
_OVERHEAD_BYTES = 1024  # of a variable in HDF5
_PARTS = {"metadata.json", "config.json", "model.weights.h5"}


class Saving:
    """`save` and `save_weights` of a `MultiTaskModel`: Keras's, but what is there stays until then.

    Keras writes into the file that it overwrites, so that a full disk or a killed process costs the
    old model along with the new one. These write beside it and replace it in the end. So do all
    callbacks that call them: `keras.callbacks.ModelCheckpoint`, KerasTuner's.
    """

    def save(self, filepath, overwrite=True, zipped=None, **kwargs):
        """`keras.Model.save`, to a file that is complete or not there.

        Raises:
            OSError: if the system refuses to write it; what was there before is unchanged.
        """
        if _is_keras_alone(filepath, overwrite):
            super().save(filepath, overwrite, zipped, **kwargs)
            return
        with replacing(filepath, self._num_bytes()) as new:
            super().save(str(new), overwrite, zipped, **kwargs)

    def save_weights(self, filepath, overwrite=True, max_shard_size=None):
        """`keras.Model.save_weights`, to a file, or shards, complete or not there.

        Raises:
            OSError: if the system refuses to write it; what was there before is unchanged.
        """
        if _is_keras_alone(filepath, overwrite):
            super().save_weights(filepath, overwrite, max_shard_size)
            return
        with replacing(filepath, self._num_bytes()) as new:
            super().save_weights(str(new), overwrite, max_shard_size)

    def save_to_preset(self, directory, dtype="float32", card=None):
        """Writes the trained network as a preset, for `keras_atinet.from_preset` and for hubs.

        A folder with `config.json`, `model.weights.h5`, `metadata.json` (versions, checksums) and
        `README.md`, the model card; complete or not there. It holds the network, not the state of
        its training.

        Args:
            directory: str or path of a folder that is new, empty or a preset, which is replaced.
            dtype: `"float32"` or `"float16"`: kernels are stored so, at half the size, each where
                its values lose no more than rounding; they are loaded into variables of the
                network's own dtype. Defaults to `"float32"`.
            card: optional str, the text of `README.md`. Defaults to the one that is there, or else
                one that says what network it is.

        Raises:
            ValueError: if the network has layers that are neither Keras's nor this package's (nor
                keras-hub's).
            FileExistsError: if there is something else in the folder.
            OSError: if the system refuses to write it; what was there before is unchanged.

        Example:
            >>> model.save_to_preset("rooms", dtype="float16")
            >>> model = keras_atinet.from_preset("rooms")
        """
        save_to_preset(self, directory, dtype, card, self._num_bytes())

    def _num_bytes(self):
        # Looked for before anything is written: HDF5 crashes the process on a full disk.
        variables = [*self.variables, *getattr(getattr(self, "optimizer", None), "variables", ())]
        numbers = sum(math.prod(variable.shape) for variable in variables)
        return _BYTES * numbers + _OVERHEAD_BYTES * len(variables)


def damage(path):
    """What is wrong with a `.keras` file, a str, or None if all of it is as it was written."""
    try:
        with zipfile.ZipFile(path) as archive:
            missing = _PARTS - set(archive.namelist())
            if missing:
                return f"it lacks {', '.join(sorted(missing))}"
            broken = archive.testzip()
            return f"its {broken} is damaged" if broken else None
    # Damaged archives are reported by exceptions of many kinds.
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _is_keras_alone(filepath, overwrite):
    # Another machine's file, an open one, or one before whose loss Keras asks.
    if not isinstance(filepath, (str, os.PathLike)) or "://" in str(filepath):
        return True
    return not overwrite and os.path.exists(filepath)
