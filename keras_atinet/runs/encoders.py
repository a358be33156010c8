"""What there is to say of a network's encoder."""

import math


def encoder_facts(model):
    """Names and texts: the encoder, its levels and what brings images to its range.

    Args:
        model: `MultiTaskModel`.

    Returns:
        Dict of str; empty where the encoder is the paper's SegNet.
    """
    encoder = model.encoder
    if encoder is None:
        return {}
    config = model.get_config()["encoder"]["config"]
    size = sum(math.prod(variable.shape) for variable in encoder.weights)
    layers = [_described(layer) for layer in config["preprocessing"]]
    count = len(getattr(encoder, "models", [encoder]))
    each = f"{count} of them, " if count > 1 else ""
    return {
        "encoder": f"{config['source']}; {each}{size:,} parameters, {_training(model)}",
        "levels": "; ".join(map(str, model.encoder_levels)),
        "preprocessing": ", ".join(layers) or "none, RGB in [0, 1]",
    }


def _training(model):
    trainable, epochs = model.encoder.trainable_weights, model.frozen_encoder_epochs
    if not trainable:
        return "frozen"
    if epochs:
        return f"frozen for {epochs} more epoch{'s' if epochs > 1 else ''}"
    factor = (model.get_compile_config() or {}).get("encoder_lr_multiplier")
    return "trained" if factor is None else f"trained at {factor:g} of the learning rate"


def _described(layer):
    """Of a serialized layer, its class, and the numbers of a `Rescaling`."""
    config = layer["config"]
    numbers = {name: config[name] for name in ("scale", "offset") if name in config}
    shown = ", ".join(f"{name} {_rounded(value)}" for name, value in numbers.items())
    return f"{layer['class_name']}{shown and f' ({shown})'}"


def _rounded(value):
    values = value if isinstance(value, (list, tuple)) else [value]
    return " ".join(f"{number:.4g}" for number in values)
