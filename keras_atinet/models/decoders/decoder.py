import numpy as np

from keras_atinet.models.decoders.aspp import aspp
from keras_atinet.models.decoders.segformer import segformer
from keras_atinet.models.decoders.unet import unet


def decode(levels, decoder, filters, decoder_filters=None, dtype=None, name="decoder"):
    """The features of a decoder that is chosen by name.

    Args:
        levels: list of `Level`, finest first.
        decoder: `"unet"`, `"segformer"` or `"aspp"`.
        filters: five ints, the network's widths.
        decoder_filters: optional widths: of `"unet"` one for each level but the deepest, finest
            first; of the others one.
        dtype: dtype policy of the layers.
        name: str, prefix of the layers' names.

    Returns:
        KerasTensor `(batch, height, width, channels)`: of the finest level's size, of `"aspp"` the
        deepest's.

    Raises:
        ValueError: if there is no such decoder, or the widths are not as many positive ints.
    """
    if decoder not in DECODERS:
        raise ValueError(
            f"`decoder` must be one of {list(DECODERS)}. Received: decoder={decoder!r}."
        )
    if decoder_filters is not None:
        decoder_filters = _check(decoder_filters, decoder, levels)
    return DECODERS[decoder](levels, filters, decoder_filters, dtype=dtype, name=name)


def _finest_of_unet(levels, filters, decoder_filters, dtype, name):
    _, outputs = unet(levels, filters, decoder_filters, dtype=dtype, name=name)
    return outputs[0] if outputs else levels[0].last


DECODERS = {"unet": _finest_of_unet, "segformer": segformer, "aspp": aspp}


def _check(decoder_filters, decoder, levels):
    widths = tuple(np.ravel(decoder_filters).tolist())
    strides = [level.stride for level in levels[:-1]]
    count = len(strides) if decoder == "unet" else 1
    if len(widths) == count and all(isinstance(n, int) and n > 0 for n in widths):
        return widths
    each = f", one for each of the strides {strides}" if decoder == "unet" else ""
    example = (64, 64, 128, 256, 512)[5 - count :] if count <= 5 else (64,) * count
    raise ValueError(
        f"`decoder_filters` of the decoder '{decoder}' must be positive integers, {count} of "
        f"them{each}. Received: decoder_filters={decoder_filters!r}. Use e.g. {example}."
    )
