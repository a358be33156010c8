"""The train step, the optimizer of weights in groups, and the callbacks."""

from keras_atinet.training.callbacks import BalancerUpdate, BestNumber, FiniteLosses, PhaseSwitch
from keras_atinet.training.first_batch import FirstBatch
from keras_atinet.training.optimizer import OptimizerGroup, group_optimizer
from keras_atinet.training.step import NetworkSplit, TrainStep, by_task, check_weight_names
