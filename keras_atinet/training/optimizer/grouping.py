"""The optimizer of a network: the user's, in groups where its weights are."""

import keras

from keras_atinet.training.optimizer.grouped_optimizer import GroupedOptimizer
from keras_atinet.training.optimizer.loss_scale_optimizer import LossScaleOptimizer


def group_optimizer(optimizer, groups, multipliers=None, scale_loss=False, current=None):
    """The optimizer of a network with groups of weights.

    Args:
        optimizer: what the user gave to `compile`: a `keras.optimizers.Optimizer` or its name.
        groups, multipliers: as for `GroupedOptimizer`.
        scale_loss: bool, whether losses must be scaled, for float16.
        current: optional, the optimizer that the network has so far. It is kept where it belongs
            to the same one of the user's, as Keras keeps an optimizer's state.

    Returns:
        A `GroupedOptimizer`, perhaps in a `LossScaleOptimizer`; without groups, the user's own.

    Raises:
        ValueError: if `multipliers` names no group or is not above 0.
    """
    optimizer = keras.optimizers.get(optimizer)
    if not groups and not multipliers:
        return optimizer
    inner, known = _inner(optimizer), _inner(current)
    if isinstance(known, GroupedOptimizer) and inner in (known, known._parts[0].optimizer):
        grouped = known
        grouped.multipliers = multipliers
    else:
        # One in the groups of another network is taken out of them.
        inner = inner._parts[0].optimizer if isinstance(inner, GroupedOptimizer) else inner
        grouped = GroupedOptimizer(inner, groups, multipliers)
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if not scaled and not scale_loss:
        return grouped
    if isinstance(current, LossScaleOptimizer) and current.inner_optimizer is grouped:
        return current
    options = (optimizer.initial_scale, optimizer.dynamic_growth_steps) if scaled else ()
    name = optimizer.name if scaled else "loss_scale_optimizer"
    return LossScaleOptimizer(grouped, *options, name=name)


def restart(optimizer, names=None):
    """`GroupedOptimizer.restart`, of one that may be inside a `LossScaleOptimizer`."""
    _inner(optimizer).restart(names)


def _inner(optimizer):
    return getattr(optimizer, "inner_optimizer", optimizer)
