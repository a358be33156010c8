import keras
import numpy as np
from keras import ops

from keras_atinet import losses, metrics
from keras_atinet.tasks.task import MISSING_COLOR, Task

_LARGEST_MEDIAN = 100  # metres; far above any room or street


@keras.saving.register_keras_serializable(package="keras_atinet")
class DepthEstimation(Task):
    """Depth in metres along the optical axis: L1 (eq. 3), absolute and relative error (eq. 5).

    A pixel is valid where the depth is finite and above 0.

    Args:
        name: str. Defaults to `"depth"`.
        averaging: `"pixel"` or `"batch"`, see `Task`.
    """

    unit = "m"

    def __init__(self, name="depth", averaging="pixel"):
        super().__init__(name, 1, averaging)

    def get_config(self):
        return {"name": self.name, "averaging": self.averaging}

    def prepare(self, y_true):
        mask = ops.isfinite(y_true) & (y_true > 0)
        return ops.where(mask, y_true, ops.ones_like(y_true)), mask[..., 0]

    def find_problems(self, target):
        """As for `Task`, and a median of the valid pixels over 100 m."""
        depth = np.asarray(target, "float32")
        valid = depth[np.isfinite(depth) & (depth > 0)]
        problems = super().find_problems(target)
        if valid.size and np.median(valid) > _LARGEST_MEDIAN:
            problems.append(
                f"the median depth is {np.median(valid):.4g} m, more than {_LARGEST_MEDIAN} m. "
                "Are these millimetres? Divide them by 1000"
            )
        return problems

    def loss(self):
        return losses.absolute_error()

    def metrics(self):
        return [
            metrics.AbsoluteError(averaging=self.averaging),
            metrics.RelativeError(averaging=self.averaging),
            metrics.RootMeanSquaredError(averaging=self.averaging),
            metrics.WithinRatio(1.25, averaging=self.averaging),
        ]

    def constant(self, targets):
        return np.median(targets, axis=0).astype("float32")

    def decode(self, y_pred):
        return np.maximum(y_pred, 0)

    def color_limits(self, target):
        depth = np.asarray(target, "float32")
        valid = depth[np.isfinite(depth) & (depth > 0)]
        return tuple(np.percentile(valid, [1, 99])) if valid.size else (0.0, 1.0)

    def colorize(self, target, limits=None):
        depth = np.asarray(target, "float32")[..., 0]
        valid = np.isfinite(depth) & (depth > 0)
        low, high = self.color_limits(target) if limits is None else limits
        share = np.clip((np.where(valid, depth, low) - low) / max(high - low, 1e-6), 0, 1)
        colors = _depth_colors()[np.round(share * 255).astype(int)]
        return np.where(valid[..., None], colors, np.uint8(MISSING_COLOR))


def _depth_colors():
    """256 colours from near (yellow) over green and blue to far (dark violet)."""
    stops = np.array(
        [[253, 231, 37], [122, 209, 81], [34, 168, 132], [42, 120, 142], [65, 68, 135], [68, 1, 84]]
    )
    position = np.linspace(0, len(stops) - 1, 256)
    columns = [np.interp(position, np.arange(len(stops)), stops[:, c]) for c in range(3)]
    return np.round(np.stack(columns, axis=-1)).astype("uint8")
