"""The optimizer of a network: the user's, in groups where its weights are."""

from keras_atinet.training.optimizer.grouped_optimizer import GroupedOptimizer, OptimizerGroup
from keras_atinet.training.optimizer.loss_scale_optimizer import (
    LossScaleOptimizer,
    group_optimizer,
    restart,
)
