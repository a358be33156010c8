"""The compiled model that settings describe."""

import functools
import math
import pathlib

import keras

from keras_atinet import models
from keras_atinet.balancing import DynamicWeightAverage
from keras_atinet.models.encoders import check_encoder
from keras_atinet.runs.saved_model import open_model

MODELS = {
    "single": models.SingleTask,
    "split": models.Split,
    "cross_stitch": models.CrossStitch,
    "nddrcnn": models.NDDRCNN,
    "mtan": models.MTAN,
    "padnet": models.PADNet,
    "supervised_padnet": functools.partial(models.PADNet, supervised=True),
    "papnet": models.PAPNet,
    "jtrl": models.JTRL,
    "mtinet": models.MTINet,
    "atinet": models.ATINet,
    "ctal": models.CTAL,
}
_WITH_ATTENTION = ("atinet", "mtan")
_WITH_DECODERS = ("split", "single", "cross_stitch", "nddrcnn")
_OF_ENCODERS = ("encoder_weights", "decoder", "decoder_filters", "freeze_encoder", "encoder_lr")


def check_network(settings):
    """Refuses settings of the network that do not fit each other, before anything takes long.

    Raises:
        ValueError: if one has no meaning for this network.
        FileNotFoundError: if the encoder or its weights are a file that is not there.
        ImportError: if the package with the encoder's weights is not installed.
    """
    model, encoder = settings["model"], settings["encoder"]
    if settings["remat"] and model not in _WITH_ATTENTION:
        _refuse("remat", settings, f"the models {' and '.join(_WITH_ATTENTION)}, with attention")
    for name in _OF_ENCODERS:
        if settings[name] is not None and encoder is None:
            _refuse(name, settings, "networks with an `encoder`; name one")
    for name in ("decoder", "decoder_filters"):
        if settings[name] is not None and model not in _WITH_DECODERS:
            _refuse(name, settings, f"the models {', '.join(_WITH_DECODERS)}; others have own")
    if _is_file(encoder) and settings["encoder_weights"] is not None:
        _refuse("encoder_weights", settings, "encoders by name; a file has its own, say none")
    if settings["encoder_lr"] is not None and is_frozen(settings):
        _refuse("encoder_lr", settings, "encoders that train; this one is frozen in all epochs")
    if not _is_file(encoder):
        if encoder is not None:
            check_encoder(encoder, settings["encoder_weights"])
    elif not pathlib.Path(encoder).is_file():
        raise FileNotFoundError(f"There is no such `encoder`. Received: '{encoder}'.")


def is_frozen(settings):
    """Whether the encoder stays as it is in all epochs."""
    epochs = settings["freeze_encoder"]
    return epochs is not None and epochs >= settings["epochs"]


def _refuse(name, settings, meant):
    raise ValueError(
        f"The setting `{name}` is for {meant}. Received: {name}={settings[name]!r}, "
        f"model='{settings['model']}', encoder={settings['encoder']!r}."
    )


def _is_file(name):
    return name is not None and bool(pathlib.Path(name).suffix)


def get_model(settings, tasks, encoder=None):
    """The compiled model; on `encoder`, if there is one, instead of that of the settings."""
    balancer = settings["balancer"]
    if balancer == "dwa":
        balancer = DynamicWeightAverage(settings["temperature"])
    model = get_network(settings, tasks, encoder)
    model.compile(
        get_optimizer(settings),
        balancer,
        on_nonfinite=settings["on_nonfinite"],
        encoder_lr_multiplier=settings["encoder_lr"],
    )
    return model


def get_network(settings, tasks, encoder=None):
    """The model, not compiled."""
    if encoder is None:
        check_network(settings)
    return MODELS[settings["model"]](
        tasks=tasks,
        input_shape=(*settings["image_size"], 3),
        filters=settings["filters"],
        dtype=settings["dtype"],
        **_options(settings, encoder),
    )


def _options(settings, encoder):
    """The arguments that not all networks have, or that are for encoders."""
    model, options = settings["model"], {}
    if settings["remat"]:
        options["remat"] = settings["remat"]
    if settings["encoder"] is None:
        return {**options, "deep": settings["deep_split"]} if model == "split" else options
    if model in _WITH_DECODERS:
        options |= {name: settings[name] for name in ("decoder", "decoder_filters")}
    return options | ({"encoder": encoder} if encoder else encoder_options(settings))


def encoder_options(settings):
    """What settings say of the encoder, as networks take it."""
    return {
        "encoder": open_encoder(settings["encoder"]),
        "encoder_weights": settings["encoder_weights"],
        "freeze_encoder": is_frozen(settings) or settings["freeze_encoder"] or False,
    }


def open_encoder(name):
    """What networks take as `encoder`: the model of a `.keras` file, or a name as it is."""
    return open_model(name, compile=False) if _is_file(name) else name


def get_optimizer(settings):
    """Adam, or with weight decay AdamW, which leaves biases and normalization alone."""
    accumulate = settings["accumulate"]
    options = {"gradient_accumulation_steps": accumulate} if accumulate > 1 else {}
    rate, decay = settings["learning_rate"], settings["weight_decay"]
    if not decay:
        return keras.optimizers.Adam(rate, **options)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=decay, **options)
    # A regular expression: all but the kernels of convolutions, on TensorFlow "kernel:0".
    optimizer.exclude_from_weight_decay(var_names=["^(?!.*kernel)"])
    return optimizer


def count_parameters(model):
    """The number of trainable parameters."""
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)
