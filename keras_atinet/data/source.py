"""The interface of every source of samples."""


class Source:
    """Samples by index: an image and the targets of its pixels.

    `source[index]` is a new dict of NumPy arrays that the caller may change. It has `image` and
    any of the tasks:

    - `image`: `(H, W, 3)` float32 RGB in [0, 1];
    - class labels: `(H, W)` int32, -1 = ignored;
    - `depth`: `(H, W, 1)` float32 metres along the optical axis, 0 = ignored;
    - `normal`: `(H, W, 3)` float32 unit vectors, x right, y down, z forward; zero = ignored.

    Pixels with these values are ignored by losses and metrics. To write a source, derive from this
    class, set the three attributes and define `__len__` and `__getitem__`. Sources are read by
    several threads at once and can be pickled.

    Attributes:
        split: str or None, the split of the dataset.
        image_size: `(height, width)` of every sample, or None if it varies.
        tasks: dict, task key -> what the data says about the task: `kind`, one of
            `"segmentation"`, `"depth"`, `"normal"` and `"quantity"` (floats of another kind);
            `num_classes`, and where known `class_names`, `class_colors` and `ignore_class` (a class
            whose pixels are ignored), for class labels (`counted_classes`: true where `num_classes`
            is only one more than the largest label);
            `channels` for quantities. A kind that is not stated follows from the start of the key.
        notes: sequence of str, what a user is to be told when the data are opened: what is there
            but not read, and what is guessed.

    Example:

    ```python
    class Pictures(Source):
        split, image_size, tasks = "test", (288, 384), {}

        def __init__(self, images):
            self.images = images

        def __len__(self):
            return len(self.images)

        def __getitem__(self, index):
            return {"image": self.images[index]}
    ```
    """

    split = None
    image_size = None
    tasks = {}
    notes = ()

    def __len__(self):
        raise NotImplementedError(f"`{type(self).__name__}` does not define `__len__`.")

    def __getitem__(self, index):
        raise NotImplementedError(f"`{type(self).__name__}` does not define `__getitem__`.")

    def read(self, index):
        """A sample as far as it can be read, and what is wrong with the rest.

        `keras-atinet data verify` calls it. A source whose samples can be read in part overrides
        it; else an error leaves nothing of the sample.

        Returns:
            `(sample, errors)`, a dict of arrays and a list of exceptions.
        """
        # A source may fail in unforeseen ways; the other samples are to be read as well.
        try:
            return self[index], []
        except ImportError:
            raise
        except Exception as error:
            return {}, [error]

    def where(self, index):
        """Where a sample is, for messages: str, which names its file if it has one."""
        return f"sample {index}"

    def _position(self, index):
        # Index errors end `for sample in source` after the last sample.
        if not -len(self) <= index < len(self):
            raise IndexError(
                f"`{type(self).__name__}` has {len(self)} samples. Received: index={index}."
            )
        return int(index) % len(self)


def chosen_tasks(tasks, available):
    """The keys of `tasks`, or all available ones if it is None."""
    tasks = list(available) if tasks is None else list(tasks)
    unknown = [key for key in tasks if key not in available]
    if unknown:
        raise FileNotFoundError(
            "A task must be among those that the data have. "
            f"Expected: some of {list(available)}. Received: {unknown[0]!r} in `tasks`."
        )
    return tasks
