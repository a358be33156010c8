import numpy as np
from keras import ops

from keras_atinet.tasks.names import check_name

MISSING_COLOR = (0, 0, 0)


class Task:
    """One thing to predict per pixel.

    A task is a name, a number of output channels, and the functions below. Subclass it to predict
    something new; every network, loss, metric, picture and command takes it from there.

    Args:
        name: str, the key of this task in outputs, targets, logs and files: ASCII letters, digits,
            `_` and `-`, of which the first is a letter or a digit; not `"image"`.
        channels: int, output channels of the prediction.
        averaging: `"pixel"` (metrics pool all pixels) or `"batch"` (metrics average the values of
            the batches, as the published tables do). Defaults to `"pixel"`.

    Raises:
        ValueError: if `name` is no such name, or `channels` is not a positive integer.
    """

    target_dtype = "float32"
    missing_value = 0
    unit = ""

    def __init__(self, name, channels, averaging="pixel"):
        check_name(name)
        if not isinstance(channels, (int, np.integer)) or channels < 1:
            raise ValueError(
                f"Task '{name}' needs a positive number of channels. Received: {channels!r}."
            )
        self.name = name
        self.channels = int(channels)
        self.averaging = averaging

    def __repr__(self):
        return f"{type(self).__name__}(name={self.name!r}, channels={self.channels})"

    def target_shape(self, height, width):
        """Shape of one target, without the batch: `(height, width, channels)`."""
        return (height, width, self.channels)

    def activation(self, x):
        """From the head's `(batch, height, width, channels)` float32 to the prediction."""
        return x

    def prepare(self, y_true):
        """Target and the mask of its valid pixels.

        Args:
            y_true: tensor `(batch, *target_shape)`; may hold anything at missing pixels.

        Returns:
            The target with harmless values at missing pixels, and a boolean tensor
            `(batch, height, width)`.
        """
        raise TypeError(f"`{type(self).__name__}` must define `prepare(y_true)`.")

    def check_facts(self, facts):
        """Checks that this task can be learnt from data, by what they say about it.

        Args:
            facts: dict, as in `keras_atinet.data.Source.tasks`.

        Raises:
            ValueError: if the data have another number of channels.
        """
        if facts.get("channels", self.channels) != self.channels:
            raise ValueError(
                f"Task '{self.name}' must have as many channels as the data. Received: "
                f"{self.channels}, for data of {facts['channels']}."
            )

    def find_problems(self, target):
        """What looks wrong in a batch of targets, though a network would train on it.

        `fit` asks this of its first batch, and warns. Override it to look for more.

        Args:
            target: array `(batch, *target_shape)`.

        Returns:
            List of str. Here one, if no pixel is valid.
        """
        _, mask = self.prepare(ops.convert_to_tensor(target))
        return [] if ops.any(mask) else ["every pixel is ignored"]

    def loss(self):
        """A new `keras.losses.Loss` that averages over `sample_weight`."""
        raise TypeError(f"`{type(self).__name__}` must define `loss()`.")

    def metrics(self):
        """A list of new `keras.metrics.Metric`."""
        return []

    def constant(self, targets):
        """The constant prediction that fits some targets best, the bar for every network.

        Args:
            targets: array `(n, *channels of the target)`, the targets of valid pixels.

        Returns:
            Array `(channels,)`, a prediction after the activation.
        """
        raise TypeError(f"`{type(self).__name__}` must define `constant(targets)`.")

    def decode(self, y_pred):
        """From a prediction (NumPy) to the units of the target; classes from logits, say."""
        return y_pred

    def color_limits(self, target):
        """`(low, high)` for `colorize`, or `None` where its colours span no range.

        Args:
            target: array `(height, width[, channels])`.
        """
        return None

    def colorize(self, target, limits=None):
        """A picture of a target or of a decoded prediction.

        Args:
            target: array `(height, width[, channels])`.
            limits: optional `(low, high)`, for tasks whose colours span a range.

        Returns:
            uint8 array `(height, width, 3)`.
        """
        raise TypeError(f"`{type(self).__name__}` must define `colorize(target)`.")

    def get_config(self):
        return {"name": self.name, "channels": self.channels, "averaging": self.averaging}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
