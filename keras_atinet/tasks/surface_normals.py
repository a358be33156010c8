import keras
import numpy as np
from keras import ops

from keras_atinet import losses, metrics
from keras_atinet.ops import unit_vector
from keras_atinet.tasks.task import MISSING_COLOR, Task

_SHORTEST = 1e-6
_TO_CAMERA = np.array([0, 0, -1], "float32")


@keras.saving.register_keras_serializable(package="keras_atinet")
class SurfaceNormals(Task):
    """Unit normals (x right, y down, z forward): 1 - mean cosine (eq. 4 + 1), angles (eq. 6).

    A pixel is valid where the normal is finite and longer than 0.5.

    Args:
        name: str. Defaults to `"normal"`.
        averaging: `"pixel"` or `"batch"`, see `Task`.
    """

    def __init__(self, name="normal", averaging="pixel"):
        super().__init__(name, 3, averaging)

    def get_config(self):
        return {"name": self.name, "averaging": self.averaging}

    def activation(self, x):
        return unit_vector(x)

    def prepare(self, y_true):
        finite = ops.all(ops.isfinite(y_true), axis=-1)
        y_true = ops.where(finite[..., None], y_true, ops.zeros_like(y_true))
        mask = ops.sum(ops.square(y_true), axis=-1) > 0.25
        return unit_vector(y_true), mask

    def find_problems(self, target):
        """As for `Task`, and vectors without any component below 0: most likely colours."""
        problems = super().find_problems(target)
        if not problems and not (np.asarray(target, "float32") < 0).any():
            problems.append(
                "no component is below 0. Are these colours? Make vectors of them: "
                "`2 * colors - 1` from [0, 1], `colors / 127.5 - 1` from 8 bits"
            )
        return problems

    def loss(self):
        return losses.CosineDistance()

    def metrics(self):
        return [
            metrics.MeanAngularError(averaging=self.averaging),
            metrics.MedianAngularError(averaging=self.averaging),
            *(metrics.WithinAngle(t, averaging=self.averaging) for t in (11.25, 22.5, 30.0)),
        ]

    def constant(self, targets):
        mean = np.mean(targets, axis=0)
        return (mean / max(np.linalg.norm(mean), 1e-6)).astype("float32")

    def decode(self, y_pred):
        # Of unit length already, but for predictions that were resized, and zeros.
        length = np.linalg.norm(y_pred, axis=-1, keepdims=True)
        return np.where(length < _SHORTEST, _TO_CAMERA, y_pred / np.maximum(length, _SHORTEST))

    def colorize(self, target, limits=None):
        normal = np.nan_to_num(np.asarray(target, "float32"))
        valid = np.linalg.norm(normal, axis=-1, keepdims=True) > 0.5
        colors = np.clip(np.round((normal + 1) * 127.5), 0, 255).astype("uint8")
        return np.where(valid, colors, np.uint8(MISSING_COLOR))
