"""Which samples of NYUv2's MATLAB file are in which split."""

from keras_atinet.data.nyuv2.labelled_set import labelled_set
from keras_atinet.files import one_line

_FIELDS = {"train": "trainNdxs", "test": "testNdxs"}


def published_split(split):
    """The indices of the samples in `"train"` (795) or `"test"` (654), from 0 on."""
    return [number - 1 for number in labelled_set()[split]]


def read_split(path, split, num_samples):
    """Reads the samples of a split from a file such as the original `splits.mat`.

    Args:
        path: `pathlib.Path` of a MATLAB 5 file with `trainNdxs` and `testNdxs`, from 1 on.
        split: `"train"` or `"test"`.
        num_samples: int, the number of samples that there are.

    Returns:
        list of int, the indices from 0 on.

    Raises:
        ImportError: if SciPy is not installed.
        FileNotFoundError: if the file is not there.
        ValueError: if it is not such a file, or names a sample that is not there.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"The splits of these {num_samples} samples need a MATLAB file with `trainNdxs` and "
            f"`testNdxs`. Received: no '{path}'. Give its path as `splits`; only those of all 1449 "
            "samples of NYUv2 are known without one."
        )
    numbers = _numbers(path, _FIELDS[split])
    if not ((numbers >= 1) & (numbers <= num_samples)).all():
        raise ValueError(
            f"A split must name samples between 1 and {num_samples}. Received: "
            f"{numbers.max()} in '{path}'. Give `splits`, the file for these data."
        )
    return (numbers.astype(int) - 1).tolist()


def _numbers(path, field):
    try:
        from scipy import io
    except ImportError as error:
        raise ImportError(
            f"Reading splits from a MATLAB file needs SciPy. Received: '{path}'. Install it with "
            "`pip install keras-atinet[data]`."
        ) from error
    try:
        numbers = io.loadmat(path, variable_names=[field])[field].ravel()
        if numbers.dtype.kind not in "uif" or not numbers.size:
            raise ValueError(f"the field has {numbers.size} values of {numbers.dtype}")
        return numbers
    # Damage is reported by exceptions of many kinds.
    except Exception as error:
        raise ValueError(
            f"The file must be a MATLAB 5 file with the field `{field}`. "
            f"Received: '{path}' ({type(error).__name__}: {one_line(error)})."
        ) from error
