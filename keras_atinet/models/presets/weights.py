"""The weights of a preset: Keras's HDF5 file, kernels in half precision by request."""

import os

import keras
import numpy as np

from keras_atinet.files import one_line

_HIGHEST = np.finfo("float16").max
# A value is rounded to eleven bits; what lies this far below the largest hardly counts.
_ROUNDING = 2.0**-11
_WAY_OUT = "Get the preset again."


def write_weights(path, model, dtype):
    """Writes all weights of a model that was not compiled.

    With `"float16"`, kernels are stored so, each where no value gets lost but for rounding. What
    normalizes, and biases, is stored as it is.
    """
    model.save_weights(path)
    if dtype == "float16":
        import h5py

        full = path.with_name(f"full-{path.name}")
        os.replace(path, full)
        # Of this format groups take less than of the oldest one; HDF5 reads it from 1.10 on.
        form = {"libver": ("v110", "v110")}
        with h5py.File(full) as source, h5py.File(path, "w", **form) as target:
            _copy(source, target)
        full.unlink()


def _copy(source, target):
    import h5py

    target.attrs.update(source.attrs)
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            _copy(item, target.create_group(name))
        else:
            target[name] = to_half(item[()])
            target[name].attrs.update(item.attrs)


def to_half(array):
    """A float16 array of the same numbers, or the array where that would lose some."""
    if array.dtype != "float32" or array.ndim < 2 or not array.size:
        return array
    largest = np.abs(array).max()
    if not largest <= _HIGHEST:
        return array
    half = array.astype("float16")
    lost = np.abs(half.astype("float32") - array).max()
    return half if lost <= largest * _ROUNDING else array


def load_weights(path, model):
    """Loads all weights of a model; variables keep their own dtype.

    Raises:
        ValueError: if the file is damaged, is of another network, or holds what is no finite
            number.
    """
    try:
        num_values = _count(path)
        expected = sum(int(np.prod(variable.shape)) for variable in model.weights)
        if num_values < expected:
            raise ValueError(f"it holds {num_values:,} numbers for a network of {expected:,}")
        for variable in model.weights:
            # What Keras does not set, without saying so, stays NaN.
            if "float" in keras.backend.standardize_dtype(variable.dtype):
                variable.assign(np.full(variable.shape, np.nan, "float32"))
        model.load_weights(path)
        for variable in model.weights:
            if not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
                raise ValueError(f"{variable.path} is missing there, or not finite")
    # Keras and HDF5 report what is wrong with a file by exceptions of many kinds.
    except Exception as error:
        raise ValueError(
            f"The weights of a preset are damaged or of another network. Received: '{path}' "
            f"({one_line(error)}). {_WAY_OUT}"
        ) from error


def _count(path):
    # What a file of HDF5 may claim: to lie in other files, to be larger than it is.
    import h5py

    total = num_bytes = 0
    with h5py.File(path) as file:
        waiting = [file]
        while waiting:
            group = waiting.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"'{name}' is a link to another place")
                item = group[name]
                if isinstance(item, h5py.Group):
                    waiting.append(item)
                    continue
                _check_dataset(item)
                total += item.size
                num_bytes += item.size * item.dtype.itemsize
                if num_bytes > os.path.getsize(path):
                    raise ValueError(f"it has {os.path.getsize(path):,} bytes, and claims more")
    return total


def _check_dataset(item):
    import h5py

    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiubV":
        raise ValueError(f"'{item.name}' is no array of numbers")
    creation = item.id.get_create_plist()
    if creation.get_external_count() or item.is_virtual:
        raise ValueError(f"'{item.name}' lies in another file")
    if item.chunks or creation.get_nfilters():
        raise ValueError(f"'{item.name}' is compressed or in chunks")
