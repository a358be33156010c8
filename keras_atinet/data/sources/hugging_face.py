"""NYUv2 from the Hugging Face hub."""

import functools

import numpy as np

from keras_atinet.data.nyuv2.classes import NYU13_TASKS
from keras_atinet.data.sources.array_source import ArraySource
from keras_atinet.files import one_line


class HuggingFace(ArraySource):
    """Reads a dataset of the Hugging Face hub, such as `tanganke/nyuv2`, by its name.

    The `datasets` library downloads it once and then reads it from its cache, any sample at once.
    Columns are those of `Parquet`.

    Args:
        name: str, the dataset's id, or a local folder that `datasets.load_dataset` accepts.
        split: `"train"` or `"val"`; `"test"` is another name for `"val"`.
        tasks: sequence of task keys to read, or None for all that have a column.
        normal_axes: as of `Parquet`.

    Raises:
        ImportError: if `datasets` is not installed.
        FileNotFoundError: if the data cannot be loaded, or have no such task.
        ValueError: when a sample is invalid.

    Example:

    ```python
    train = HuggingFace("tanganke/nyuv2", split="train")
    train[0]["depth"].shape  # (288, 384, 1)
    ```
    """

    channels_first = True

    def __init__(self, name="tanganke/nyuv2", split="train", tasks=None, normal_axes=None):
        try:
            import datasets
        except ImportError as error:
            raise ImportError(
                "Reading from the Hugging Face hub needs the `datasets` library. "
                "Install it with `pip install keras-atinet[huggingface]`."
            ) from error
        self.name = name
        try:
            stored = datasets.load_dataset(name, split="val" if split == "test" else split)
        # No network, no such name, no such split, ...
        except Exception as error:
            raise FileNotFoundError(
                "The data cannot be loaded from the Hugging Face hub or its cache. "
                f"Received: name={name!r}, split={split!r} ({one_line(error)})."
            ) from error
        self._rows = stored.with_format("numpy")
        columns = stored.column_names
        super().__init__(split, tasks, [key for key in NYU13_TASKS if key in columns], normal_axes)

    @functools.cached_property
    def image_size(self):
        return self._stored(0, "image", 3)[0].shape[:2] if len(self) else None

    def __len__(self):
        return len(self._rows)

    def _array(self, index, key):
        value = self._rows.select_columns([key])[index][key]
        return None if value is None else np.asarray(value)

    def _where(self, index, key):
        return f"row {index} of split {self.split!r} of '{self.name}'"
