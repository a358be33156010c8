"""Weights from PyTorch checkpoints of the published ATI-Net, MTAN, PAD-Net and deep Split."""

import keras

from keras_atinet.layers import MultiModalDistillation, PredictionHead, TaskDistillation
from keras_atinet.models.segnet import ENCODER_DEPTHS
from keras_atinet.models.state_dict import state_dict_arrays


def load_torch_checkpoint(model, path_or_state_dict, distillation_active=None):
    """Loads the weights of a published PyTorch checkpoint into the matching network.

    Convolutions go from (out, in, height, width) to Keras's (height, width, in, out). A prefix
    `module.` (from `DataParallel`) is dropped. Nothing is loaded unless everything fits.

    The phase is not in such a file. A published ATI-Net has been trained to the end, so it is put
    in the second phase, in which `fit` resets nothing. (The authors' public code computes the
    distilled features without using them: for its own checkpoints, `distillation_active=False`.)

    Args:
        model: `ATINet`, `MTAN`, `PADNet` or `Split(deep=True)` with the tasks and filters of the
            checkpoint, tasks in its order. Plain `Split` and `SingleTask` load the same layout.
        path_or_state_dict: path of a `.pt` file, which is read without PyTorch where that is not
            installed (pickled code is refused), or a mapping name -> array or tensor.
        distillation_active: optional bool, for an `ATINet`, whether its distillation is switched
            on. Defaults to True there.

    Raises:
        ValueError: if names are missing or left over, shapes differ, the file holds more than
            weights, or `distillation_active` is given for a network without distillation.
        FileNotFoundError: if there is no such file.

    Example:
        >>> model = keras_atinet.ATINet()
        >>> keras_atinet.load_torch_checkpoint(model, "atinet.pt")
    """
    has_phases = hasattr(model, "distillation_active")
    if distillation_active is not None and not has_phases:
        raise ValueError(
            "`distillation_active` is for a network with distillation to switch on, `ATINet`. "
            f"Received: distillation_active={distillation_active} for `{type(model).__name__}`. "
            "Leave it out."
        )
    # The published ATI-Net spells some names with a leading underscore.
    arrays = {
        name.lstrip("_"): array for name, array in state_dict_arrays(path_or_state_dict).items()
    }
    wanted = dict(_named_variables(model))
    missing, left_over = (
        sorted(wanted.keys() - arrays.keys()),
        sorted(arrays.keys() - wanted.keys()),
    )
    if missing or left_over:
        raise ValueError(
            f"The checkpoint does not match `{type(model).__name__}`. Missing names: "
            f"{_shortened(missing)}. Names left over: {_shortened(left_over)}. "
            "Use the network, tasks and depth that the checkpoint was made with."
        )
    values = {name: _to_keras(arrays[name]) for name in wanted}
    for name, variable in wanted.items():
        if values[name].shape != tuple(variable.shape):
            raise ValueError(
                f"The checkpoint does not match `{type(model).__name__}`: '{name}' has, in Keras's "
                f"order, the shape {values[name].shape}, expected {tuple(variable.shape)}. "
                "Use the `filters` and channels that the checkpoint was made with."
            )
    for name, variable in wanted.items():
        variable.assign(values[name])
    if has_phases:
        model.distillation_share = float(distillation_active in (None, True))


def _to_keras(value):
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value


def _shortened(names):
    return names if len(names) <= 6 else [*names[:6], f"... {len(names) - 6} more"]


def _named_variables(model):
    """Pairs of a PyTorch name and the variable of `model` that it stands for."""
    for name, layer in _named_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            yield f"{name}.weight", layer.gamma
            yield f"{name}.bias", layer.beta
            yield f"{name}.running_mean", layer.moving_mean
            yield f"{name}.running_var", layer.moving_variance
        else:
            yield f"{name}.weight", layer.kernel
            yield f"{name}.bias", layer.bias


def _named_layers(model):
    """Pairs of a PyTorch module's name and the convolution or BatchNorm that it stands for."""
    layers = {layer.name: layer for layer in model.layers}
    yield from _levels(layers, "encoder", "encoder_block", "conv_block_enc")
    yield from _levels(layers, "decoder", "decoder_block", "conv_block_dec")
    for t, task in enumerate(model.tasks):
        prefix = f"decoders.{t}."
        yield from _levels(
            layers, f"{task.name}_decoder", f"{prefix}decoder_block", f"{prefix}conv_block_dec"
        )
        for part in ("encoder", "decoder"):
            for level in range(1, 6):
                mask = layers.get(f"{task.name}_{part}_{level}_mask")
                if mask is not None:
                    name = f"{part}_att.{t}.{level - 1}"
                    yield from _conv_block(mask.block, name)
                    yield f"{name}.3", mask.conv
                    yield f"{name}.4", mask.norm
    for part in ("encoder", "decoder"):
        for level in range(1, 6):
            block = layers.get(f"attention_{part}_{level}")
            if block is not None:
                yield from _conv_block(block, f"{part}_block_att.{level - 1}")
    heads = [layer for layer in model.layers if isinstance(layer, PredictionHead)]
    for head in heads:
        number = [task.name for task in model.tasks].index(head.task.name) + 1
        yield f"pred_task{number}.0", head.conv
        yield f"pred_task{number}.1", head.projection
    yield from _distillation(layers.get("distillation"))


def _levels(layers, name, first_name, rest_name):
    """One SegNet half: the first ConvBlock of a level is named apart from the rest."""
    for level, depth in enumerate(ENCODER_DEPTHS, 1):
        if f"{name}_{level}_1" not in layers:
            return
        for index in range(1, depth + 1):
            if index == 1:
                prefix = f"{first_name}.{level - 1}"
            elif depth == 2:
                prefix = f"{rest_name}.{level - 1}"
            else:
                prefix = f"{rest_name}.{level - 1}.{index - 2}"
            yield from _conv_block(layers[f"{name}_{level}_{index}"], prefix)
            doubled = layers.get(f"{name}_{level}_{index}b")
            if doubled is not None:
                yield from _conv_block(doubled, prefix, start=3)


def _conv_block(block, name, start=0):
    """Convolution, BatchNorm, ReLU count three in a PyTorch `Sequential`."""
    yield f"{name}.{start}", block.conv
    yield f"{name}.{start + 1}", block.norm


def _distillation(layer):
    if isinstance(layer, TaskDistillation):
        for name, modules in (
            ("pred_task_init", layer.deconv_heads),
            ("encode_task_preds", layer.task_encoders),
        ):
            for task, module in zip(layer.tasks, modules, strict=True):
                for index, block in enumerate(module.blocks):
                    yield from _conv_block(block, f"{name}.{task}", start=3 * index)
        layer = layer.distillation
    if isinstance(layer, MultiModalDistillation):
        for (target, auxiliary), attention in layer.attention.items():
            name = f"multi_modal_distillation.self_attention.{target}.{auxiliary}"
            yield f"{name}.attention.0", attention.gate
            yield f"{name}.conv", attention.message
