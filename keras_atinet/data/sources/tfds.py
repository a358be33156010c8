"""Datasets that tensorflow-datasets has prepared."""

import functools

from keras_atinet.data.nyuv2.tfds_encoding import decode, read_picture
from keras_atinet.data.source import Source, chosen_tasks
from keras_atinet.files import one_line


class TFDS(Source):
    """Reads `nyuv2_multi_task` as tensorflow-datasets has prepared it, with random access.

    Random access needs the file format `array_record`, so prepare the data by

    ```python
    import keras_atinet.data.nyuv2.tfds_builder  # registers nyuv2_multi_task

    builder = tfds.builder("nyuv2_multi_task/folder", file_format="array_record")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir="nyuv2")
    )
    ```

    TensorFlow itself is not used. Except on Linux, tensorflow-datasets does not install
    the package `array_record` that the format needs.

    Args:
        name: str, the builder and its config.
        split: str, `"train"`, `"test"`, or a part such as `"train[:100]"`.
        data_dir: str or path where the data were prepared, or None for the usual place.
        tasks: sequence of task keys to read, or None for all.

    Raises:
        ImportError: if tensorflow-datasets is not installed.
        FileNotFoundError: if the data are not prepared, not as `array_record`, or have no such
            task.
        ValueError: when a picture is damaged.

    Example:

    ```python
    train = TFDS("nyuv2_multi_task/folder", split="train")
    train[0]["depth"].shape  # (288, 384, 1)
    ```
    """

    def __init__(self, name="nyuv2_multi_task/folder", split="train", data_dir=None, tasks=None):
        self.name, self.split, self.data_dir = name, split, data_dir
        self._examples, stated = _opened(name, split, data_dir)
        self.tasks = {key: dict(stated[key]) for key in chosen_tasks(tasks, stated)}

    @functools.cached_property
    def image_size(self):
        return self[0]["image"].shape[:2] if len(self) else None

    def __len__(self):
        return len(self._examples)

    def __getitem__(self, index):
        index = self._position(index)
        key, pictures = "image", {}
        try:
            example = self._examples[index]
            for key in ("image", *self.tasks):
                pictures[key] = read_picture(example[key])
        except ImportError:
            raise
        # Damage is reported by exceptions of many kinds.
        except Exception as error:
            raise ValueError(
                "The picture cannot be decoded; its file may be damaged. Received: "
                f"{key!r} of {self.where(index)} ({one_line(error)}). Prepare the data again."
            ) from error
        return decode(pictures)

    def where(self, index):
        return f"sample {index} of split {self.split!r} of '{self.name}'"

    def __getstate__(self):
        return {key: value for key, value in vars(self).items() if key != "_examples"}

    def __setstate__(self, state):
        vars(self).update(state)
        self._examples, _ = _opened(self.name, self.split, self.data_dir)


def _opened(name, split, data_dir):
    # The examples, not decoded, and the facts of the tasks.
    try:
        import tensorflow_datasets as tfds

        import keras_atinet.data.nyuv2.tfds_builder  # noqa: F401, registers itself
    except ImportError as error:
        raise ImportError(
            "Reading these data needs tensorflow-datasets. "
            "Install it with `pip install keras-atinet[tensorflow]`, or alone."
        ) from error
    try:
        builder = tfds.builder(name, data_dir=data_dir)
        # Decoded here: without OpenCV, tensorflow-datasets does not read pictures of 16 bits.
        decoders = {key: tfds.decode.SkipDecoding() for key in builder.info.features}
        return builder.as_data_source(split, decoders=decoders), builder.info.metadata
    except (AssertionError, NotImplementedError, ValueError) as error:
        raise FileNotFoundError(
            f"There are no data for random access. Received: name={name!r}, split={split!r}, "
            f"data_dir={data_dir!r} ({one_line(error)}). "
            "Prepare them, after `import keras_atinet.data.nyuv2.tfds_builder`, by "
            f"`tfds.builder({name!r}, file_format='array_record').download_and_prepare(...)`."
        ) from error
