"""The optimizer of a network: the user's, in groups where its weights are."""

from keras_atinet.training.optimizer.grouped_optimizer import GroupedOptimizer
from keras_atinet.training.optimizer.grouping import group_optimizer, restart
from keras_atinet.training.optimizer.loss_scale_optimizer import LossScaleOptimizer
from keras_atinet.training.optimizer.optimizer_group import OptimizerGroup
