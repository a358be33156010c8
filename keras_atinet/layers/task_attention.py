import keras
from keras import ops

from keras_atinet.layers.conv_block import ConvBlock
from keras_atinet.layers.convolution import Conv2D
from keras_atinet.ops import resize_bilinear


@keras.saving.register_keras_serializable(package="keras_atinet")
class TaskAttentionalModule(keras.layers.Layer):
    """What two states of a recursion over tasks, a and b, hand on to the next one.

    A gate B balances them, a small encoder-decoder looks at what is around each pixel, and its
    mask M enhances both:

    `B = sigmoid(conv1x1[a, b])`,
    `f = block1x1[B a, (1 - B) b]`,
    `M = sigmoid(conv1x1(up(block3x3(block3x3(down(f))))))`,
    `y = block1x1[(1 + M) a, (1 + M) b]`,

    with `[,]` side by side in the channels, ConvBlocks, and bilinear resizing to the size of
    another tensor, `down`, and back, `up`.

    Call arguments:
        states: list of a and b, float tensors `(batch, height, width, channels)`.
        like: tensor `(batch, smaller height, smaller width, any channels)`, of whose size the
            inside of the encoder-decoder is, such as the states of a coarser scale. Only its shape
            is read.
        training: bool, whether BatchNorm uses the batch's own statistics.

    Returns:
        Tensor of the shape of a, compute dtype.

    Raises:
        ValueError: if the shapes of a and b differ.

    Example:
        >>> module = TaskAttentionalModule()
        >>> attended = module([depth, segmentation], like=coarse)

    Reference: after Zhang et al., "Joint Task-Recursive Learning", ECCV 2018.
    """

    def build(self, states_shape, like_shape):
        a, b = map(tuple, states_shape)
        if a[1:] != b[1:]:
            raise ValueError(
                "`TaskAttentionalModule` needs two states of one shape. "
                f"Received: {a} and {b}. Resize or project one of them."
            )
        channels = a[-1]

        def block(kernel_size, name):
            return ConvBlock(channels, kernel_size, dtype=self.dtype_policy, name=name)

        self.balance, self.mask = (
            Conv2D(channels, 1, dtype=self.dtype_policy, name=name) for name in ("balance", "mask")
        )
        self.fusion, self.output_block = block(1, "fusion"), block(1, "output")
        self.surroundings = [block(3, f"surroundings_{index}") for index in (1, 2)]
        for layer in (self.balance, self.fusion, self.output_block):
            layer.build([a, b])
        for layer in (*self.surroundings, self.mask):
            layer.build(a)

    def call(self, states, like, training=None):
        a, b = states
        balance = ops.sigmoid(self.balance([a, b]))
        fused = self.fusion([balance * a, (1 - balance) * b], training=training)
        x = resize_bilinear(fused, like)
        for block in self.surroundings:
            x = block(x, training=training)
        enhancement = 1 + ops.sigmoid(self.mask(resize_bilinear(x, fused)))
        return self.output_block([enhancement * a, enhancement * b], training=training)

    def compute_output_shape(self, states_shape, like_shape):
        return states_shape[0]
