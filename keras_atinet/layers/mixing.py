"""Units that mix the features of networks of their own, one for each task."""

import keras
import numpy as np
from keras import ops

from keras_atinet.layers.batch_normalization import BatchNormalization
from keras_atinet.ops import conv

OWN_SHARE = 0.9


@keras.saving.register_keras_serializable(package="keras_atinet")
class CrossStitchUnit(keras.layers.Layer):
    """One task's row of a cross-stitch unit: its features, mixed with those of the other tasks.

    `y_i = sum over j of a_ij * x_j`, `a_ij` a vector over the channels, or a scalar. At first
    `a_ii = 0.9` and `a_ij = 0.1 / (K - 1)` with K tasks; 1 with one.

    Args:
        own: int, i, which of the inputs is the task's own.
        per_channel: bool, whether each channel has numbers of its own. Defaults to `True`.

    Call arguments:
        features: list of K float tensors `(batch, height, width, channels)`, one per task.

    Returns:
        Tensor of the shape of each, compute dtype.

    Raises:
        ValueError: if `own` is none of the inputs.

    Reference: Misra et al., "Cross-stitch Networks for Multi-task Learning", CVPR 2016, equation 1.
    """

    # Its weights are in the order of the tasks.
    mixes_tasks = True

    def __init__(self, own, per_channel=True, **kwargs):
        super().__init__(**kwargs)
        self.own = own
        self.per_channel = per_channel

    def build(self, features_shape):
        shares = _initial_shares(self.own, features_shape, self)
        channels = (features_shape[self.own][-1],) if self.per_channel else ()
        self.alpha = self.add_weight(
            shape=(len(shares), *channels),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(
                np.broadcast_to(shares.reshape(-1, *[1] * len(channels)), shape).copy(), dtype
            ),
            name="alpha",
        )

    def call(self, features):
        first, *others = [self.alpha[index] * x for index, x in enumerate(features)]
        return sum(others, start=first)

    # Left to Keras, a symbolic call on PyTorch promises float32 under mixed precision.
    def compute_output_shape(self, features_shape):
        return features_shape[self.own]

    def get_config(self):
        return {**super().get_config(), "own": self.own, "per_channel": self.per_channel}


@keras.saving.register_keras_serializable(package="keras_atinet")
class NDDRUnit(keras.layers.Layer):
    """One task's part of an NDDR layer: the features of all tasks, reduced to its own channels.

    `y_i = relu(batch_norm(W_i [x_1, ..., x_K]))`, a 1x1 convolution without a bias over all
    channels side by side. `W_i` starts as blocks of `0.9 I` for the task's own features and
    `0.1 / (K - 1) I` for the others; the BatchNorm has momentum 0.95 and epsilon 1e-5.

    Args:
        own: int, i, which of the inputs is the task's own.

    Call arguments:
        features: list of K float tensors `(batch, height, width, channels)`, one per task.
        training: bool, whether BatchNorm uses the batch's own statistics.

    Returns:
        Tensor of the shape of each, compute dtype.

    Raises:
        ValueError: if `own` is none of the inputs.

    Reference: Gao et al., "NDDR-CNN: Layerwise Feature Fusing in Multi-Task CNNs by Neural
    Discriminative Dimensionality Reduction", CVPR 2019.
    """

    # Its weights are in the order of the tasks.
    mixes_tasks = True
    use_bias = False

    def __init__(self, own, **kwargs):
        super().__init__(**kwargs)
        self.own = own
        self.norm = BatchNormalization(
            momentum=0.95, epsilon=1e-5, dtype=self.dtype_policy, name="norm"
        )

    def build(self, features_shape):
        shares = _initial_shares(self.own, features_shape, self)
        channels = features_shape[self.own][-1]
        self.kernel = self.add_weight(
            shape=(1, 1, len(shares) * channels, channels),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(
                np.kron(shares[:, None], np.eye(channels)).reshape(shape), dtype
            ),
            name="kernel",
        )
        self.norm.build(features_shape[self.own])

    def call(self, features, training=None):
        return ops.relu(self.norm(conv(features, self.kernel), training=training))

    def compute_output_shape(self, features_shape):
        return features_shape[self.own]

    def get_config(self):
        return {**super().get_config(), "own": self.own}


def _initial_shares(own, features_shape, layer):
    """What each task's features count at first, an array `(K,)`."""
    count = len(features_shape)
    if not 0 <= own < count:
        raise ValueError(
            f"`own` of `{type(layer).__name__}` must be the index of one of its inputs. "
            f"Received: own={own}, with {count} inputs."
        )
    shares = np.full(count, (1 - OWN_SHARE) / max(count - 1, 1))
    shares[own] = OWN_SHARE if count > 1 else 1
    return shares
