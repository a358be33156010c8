from keras_atinet.models.decoders import decode
from keras_atinet.models.segnet import segnet_decoder, segnet_encoder


def shared_features(
    image, encoder, decoder, filters, decoder_filters, deep=False, dtype=None, model="Split"
):
    """The features that all heads read: an encoder and a decoder, by default SegNet's.

    Args:
        image: KerasTensor `(batch, height, width, channels)` in `[0, 1]`.
        encoder: `Encoder` or None, SegNet.
        decoder: name of a decoder, or None for the encoder's default.
        filters: five ints, the width of each level.
        decoder_filters: what `decode` takes, or None.
        deep: bool, doubles every ConvBlock of SegNet. Defaults to `False`.
        dtype: dtype policy of the layers.
        model: str, the name to use in errors.

    Returns:
        KerasTensor `(batch, height, width, channels)`, at the stride of the finest level.

    Raises:
        ValueError: if an argument is for the other kind of encoder.
    """
    if encoder is None:
        refuse(model, "with an `encoder`", "without", decoder=decoder)
        refuse(model, "with an `encoder`", "without", decoder_filters=decoder_filters)
        _, _, argmaxes, bottleneck = segnet_encoder(image, filters, deep=deep, dtype=dtype)
        return segnet_decoder(bottleneck, argmaxes, filters, deep=deep, dtype=dtype)[1][0]
    refuse(model, "without an `encoder`", "with", deep=deep or None)
    return decode(encoder(image), decoder or "unet", filters, decoder_filters, dtype=dtype)


def refuse(model, needed, received, **arguments):
    """Raises a ValueError if one of some arguments, for networks of another kind, is not None."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(
                f"`{name}` of `{model}` is for networks {needed}. "
                f"Received: {name}={value!r} {received} one."
            )
