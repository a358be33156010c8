"""Matrices of how similar the pixels of an image are, and what moves features along them."""

import math

import keras
from keras import ops

from keras_atinet.layers.checks import check_share
from keras_atinet.ops import depthwise_conv, unit_vector


@keras.saving.register_keras_serializable(package="keras_atinet")
class Affinity(keras.layers.Layer):
    """How similar the features of any two of the n = height * width pixels are.

    With unit vectors `u_i = f_i / |f_i|`, `A_ij = u_i . u_j`, in `[-1, 1]`. With `normalize_rows`
    each row weighs the pixels of a mean, `M_ij = max(A_ij, 0) / sum over l of max(A_il, 0)`. A
    pixel whose features are 0 is similar to none: its row is 0.

    Args:
        normalize_rows: bool. Defaults to `False`.

    Call arguments:
        features: float tensor `(batch, height, width, channels)`, height and width known.

    Returns:
        `(batch, n, n)`, compute dtype.

    Reference: PAP-Net, Zhang et al., CVPR 2019; CTAL, Sinodinos and Armanfard, WACV 2025.
    """

    def __init__(self, normalize_rows=False, **kwargs):
        super().__init__(**kwargs)
        self.normalize_rows = normalize_rows

    def call(self, features):
        u = unit_vector(_pixels(features))
        affinity = ops.matmul(u, ops.transpose(u, (0, 2, 1)))
        if not self.normalize_rows:
            return affinity
        affinity = ops.relu(affinity)
        # The sum is 0, or at least the 1 that a pixel has with itself. Half precision would stop
        # counting at 2048 (bfloat16 at 256).
        total = ops.sum(ops.cast(affinity, "float32"), axis=-1, keepdims=True)
        # Not a small number added to it, whose inverse float16 does not hold: 0 times infinity.
        total = ops.where(total > 0, total, ops.ones_like(total))
        return affinity * ops.cast(1 / total, affinity.dtype)

    def compute_output_shape(self, features_shape):
        n = math.prod(features_shape[1:3])
        return features_shape[0], n, n

    def get_config(self):
        return {**super().get_config(), "normalize_rows": self.normalize_rows}


@keras.saving.register_keras_serializable(package="keras_atinet")
class AffinityDiffusion(keras.layers.Layer):
    """Spreads the features of each task along what the affinities of all tasks have in common.

    From the affinities `M_k` of all tasks, each task i mixes its own, `M^_i = sum over k of w_ik
    M_k`, where `w_i` is a softmax of learned numbers, uniform at first. From `h = h_0`, its
    features, `h <- beta M^_i h + (1 - beta) h_0`, `steps` times.

    Args:
        beta: float in `[0, 1]`. Defaults to 0.05.
        steps: int, at least 1. Defaults to 1.

    Call arguments:
        matrices: list of float tensors `(batch, n, n)`, from `Affinity(normalize_rows=True)`.
        features: list of float tensors `(batch, height, width, channels)` of n pixels, one for
            each task whose features are to be spread.

    Returns:
        List of tensors of the shapes of `features`.

    Raises:
        ValueError: if `beta` or `steps` is out of range.

    Reference: PAP-Net, Zhang et al., CVPR 2019.
    """

    # Its weights are in the order of the tasks.
    mixes_tasks = True

    def __init__(self, beta=0.05, steps=1, **kwargs):
        super().__init__(**kwargs)
        check_share(beta, "beta", self)
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(
                "`steps` of `AffinityDiffusion` must be an int, at least 1. "
                f"Received: steps={steps!r}."
            )
        self.beta = beta
        self.steps = steps
        self.logits = None

    def build(self, matrices_shape, features_shape):
        if len(matrices_shape) > 1:
            self.logits = self.add_weight(
                shape=(len(features_shape), len(matrices_shape)),
                dtype="float32",
                initializer="zeros",
                autocast=False,
                name="logits",
            )

    def call(self, matrices, features):
        weights = None
        if self.logits is not None:
            weights = ops.cast(ops.softmax(self.logits, axis=-1), matrices[0].dtype)
        return [self._spread(i, x, matrices, weights) for i, x in enumerate(features)]

    def _spread(self, i, features, matrices, weights):
        mixed = matrices[0]
        if weights is not None:
            mixed = sum(weights[i, k] * matrix for k, matrix in enumerate(matrices))
        h = first = _pixels(features)
        for _ in range(self.steps):
            h = self.beta * ops.matmul(mixed, h) + (1 - self.beta) * first
        return ops.reshape(h, (-1, *features.shape[1:]))

    def compute_output_shape(self, matrices_shape, features_shape):
        return features_shape

    def get_config(self):
        return {**super().get_config(), "beta": self.beta, "steps": self.steps}


@keras.saving.register_keras_serializable(package="keras_atinet")
class JointAffinity(keras.layers.Layer):
    """One matrix out of the affinities of all tasks.

    Column i of a matrix `A_k` is an image, of how similar each pixel is to pixel i. The images of
    pixel i of all tasks become one, by a 3x3 convolution that pixel i has for itself:
    `J_i = b_i + sum over k of conv3x3_ik(A_ki)`. This is one convolution of n groups over the
    matrices with their columns interleaved, and `kernel` is that of
    `keras.layers.Conv2D(n, 3, groups=n)`. It starts uniform in `1 / sqrt(9 K)` around 0.

    Args:
        size: tuple of two ints, height and width of the images, `n = height * width`.

    Call arguments:
        matrices: list of K float tensors `(batch, n, n)`, from `Affinity`.

    Returns:
        `(batch, n, n)`, compute dtype.

    Reference: CTAL, Sinodinos and Armanfard, WACV 2025.
    """

    # Its weights are in the order of the tasks.
    mixes_tasks = True

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = tuple(size)

    def build(self, matrices_shape):
        n = math.prod(self.size)
        self.kernel = self.add_weight(
            shape=(3, 3, len(matrices_shape), n),
            initializer=keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform"),
            name="kernel",
        )
        self.bias = self.add_weight(shape=(n,), initializer="zeros", name="bias")

    def call(self, matrices):
        n = math.prod(self.size)
        kernel = ops.convert_to_tensor(self.kernel)
        images = [ops.reshape(matrix, (-1, *self.size, n)) for matrix in matrices]
        joint = sum(depthwise_conv(x, kernel[:, :, k]) for k, x in enumerate(images)) + self.bias
        return ops.reshape(joint, (-1, n, n))

    def compute_output_shape(self, matrices_shape):
        return matrices_shape[0]

    def get_config(self):
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable(package="keras_atinet")
class AffinityAttention(keras.layers.Layer):
    """Features blended with what others say of each pixel.

    `g_i = gamma (sum over j of J_ji v_j) + (1 - gamma) f_i`.

    Args:
        gamma: float in `[0, 1]`. Defaults to 0.05.

    Call arguments:
        joint: float tensor `(batch, n, n)`, from `JointAffinity`.
        values: float tensor `(batch, height, width, channels)` of n pixels.
        features: float tensor of the shape of `values`.

    Returns:
        Tensor of the shape of `features`, compute dtype.

    Raises:
        ValueError: if `gamma` is out of range.

    Reference: CTAL, Sinodinos and Armanfard, WACV 2025.
    """

    def __init__(self, gamma=0.05, **kwargs):
        super().__init__(**kwargs)
        check_share(gamma, "gamma", self)
        self.gamma = gamma

    def call(self, joint, values, features):
        # The small tensors are transposed, not the matrix. The columns of it sum up to anything:
        # scaled before the product, the values have room in float16.
        v = ops.transpose(_pixels(self.gamma * values), (0, 2, 1))
        attended = ops.transpose(ops.matmul(v, joint), (0, 2, 1))
        return ops.reshape(attended, (-1, *features.shape[1:])) + (1 - self.gamma) * features

    def compute_output_shape(self, joint_shape, values_shape, features_shape):
        return features_shape

    def get_config(self):
        return {**super().get_config(), "gamma": self.gamma}


def _pixels(features):
    _, height, width, channels = features.shape
    return ops.reshape(features, (-1, height * width, channels))
