"""The compiled model that settings describe."""

import math

import keras

from keras_atinet import models
from keras_atinet.balancing import DynamicWeightAverage

MODELS = {
    "single": models.SingleTask,
    "split": models.Split,
    "mtan": models.MTAN,
    "padnet": models.PADNet,
    "atinet": models.ATINet,
}


def get_model(settings, tasks):
    """The compiled model."""
    kind = MODELS[settings["model"]]
    options = {"deep": settings["deep_split"]} if kind is models.Split else {}
    if settings["remat"]:
        if kind not in (models.ATINet, models.MTAN):
            raise ValueError(
                "The setting `remat` is for the models atinet and mtan, which have attention. "
                f"Received: remat='{settings['remat']}' for '{settings['model']}'."
            )
        options["remat"] = settings["remat"]
    model = kind(
        tasks=tasks,
        input_shape=(*settings["image_size"], 3),
        filters=settings["filters"],
        dtype=settings["dtype"],
        **options,
    )
    balancer = settings["balancer"]
    if balancer == "dwa":
        balancer = DynamicWeightAverage(settings["temperature"])
    model.compile(get_optimizer(settings), balancer, on_nonfinite=settings["on_nonfinite"])
    return model


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
