"""The encoder and decoder that attention picks from: a SegNet's, or any encoder's with a U-Net.

Both have, of each level of the encoder from the finest to the deepest, `first` (`p_j`), `last`
(`q_j`) and `labels` for names of layers; `pooled_labels`, the levels at which a task pools its own
features; the `bottleneck`; and methods: the `decoder`, and how a task's features come `down` and
`up` to the size of the next level.
"""

import itertools

from keras_atinet.layers import BilinearResizing, BilinearUpSampling2D, ConvBlock
from keras_atinet.models.decoders.unet import unet
from keras_atinet.models.encoders import Level
from keras_atinet.models.segnet import segnet_decoder, segnet_encoder, width_at


def attended_network(image, encoder, filters, dtype=None):
    """What attention picks from, for a KerasTensor `image`; `encoder` is None or an `Encoder`."""
    if encoder is None:
        return AttendedSegNet(image, filters, dtype)
    return AttendedEncoder(encoder(image), filters, dtype)


def attended_features(network, upsampled, decoded):
    """All that attention picks from, each KerasTensor once; the lists are the decoder's."""
    features = [*network.first, *network.last, *itertools.chain(*upsampled), *decoded]
    return list({id(tensor): tensor for tensor in features}.values())


class AttendedSegNet:
    """Levels at strides 1 to 16; the bottleneck is the pooled deepest level.

    Args:
        image: KerasTensor `(batch, height, width, channels)`, height and width divisible by 32.
        filters: five ints, the width of each level.
        dtype: dtype policy of the layers.
    """

    labels = pooled_labels = range(1, 6)

    def __init__(self, image, filters, dtype=None):
        encoded = segnet_encoder(image, filters, dtype=dtype)
        self.first, self.last, self._argmaxes, self.bottleneck = encoded
        self._filters, self._dtype = filters, dtype

    def decoder(self, x):
        """`u_j`, lists of one KerasTensor, and `d_j`, for each of the levels."""
        unpooled, outputs = segnet_decoder(x, self._argmaxes, self._filters, dtype=self._dtype)
        return [[tensor] for tensor in unpooled], outputs

    def down(self, x, like, name):
        """Pooled features have the size of the next level."""
        return x

    def up(self, x, like, name):
        """Twice the size."""
        return BilinearUpSampling2D(dtype=self._dtype, name=f"{name}_upsample")(x)


class AttendedEncoder:
    """Levels at the strides of an encoder; the deepest is the bottleneck.

    Each `p`, `q` passes a 1x1 ConvBlock to the network's own width at that stride.

    Args:
        levels: list of `Level`, finest first.
        filters: five ints, the widths at strides 1, 2, 4, 8, and from 16 on.
        dtype: dtype policy of the layers.

    Raises:
        ValueError: if a level that is pooled has fewer than 2 x 2 pixels.
    """

    def __init__(self, levels, filters, dtype=None):
        _check_size(levels)
        self._levels = [_projected(level, filters, dtype) for level in levels]
        self.labels = [f"stride_{level.stride}" for level in levels]
        self.pooled_labels = self.labels[:-1]
        self.first = [level.first for level in self._levels]
        self.last = [level.last for level in self._levels]
        self.bottleneck = self.last[-1]
        self._filters, self._dtype = filters, dtype

    def decoder(self, x):
        """`u_j`, lists of two KerasTensors, and `d_j`, for each of the levels but the deepest."""
        return unet(self._levels, self._filters, dtype=self._dtype, bottleneck=x)

    def down(self, x, like, name):
        """The size of `like`: pooling misses it at odd sizes and where strides are left out."""
        return BilinearResizing(dtype=self._dtype, name=f"{name}_resizing")(x, like)

    up = down


def _projected(level, filters, dtype):
    width = width_at(filters, level.stride)

    def project(x, name):
        return ConvBlock(width, 1, dtype=dtype, name=f"projection_stride_{level.stride}_{name}")(x)

    return Level(level.stride, project(level.first, "first"), project(level.last, "last"))


def _check_size(levels):
    for level in levels[:-1]:
        size = level.last.shape[1:3]
        if any(n is not None and n < 2 for n in size):
            raise ValueError(
                "The attention pools the features of each level but the deepest, which takes 2 x 2 "
                f"pixels. Received: {size[0]} x {size[1]} at stride {level.stride}. "
                f"Use images of more than {level.stride} x {level.stride} pixels."
            )
