"""`fit`, the train step, the optimizer of weights in groups, and the callbacks."""

from keras_atinet.training.callbacks import (
    BalancerUpdate,
    BestNumber,
    EncoderUnfreezing,
    FiniteLosses,
    FiniteWeights,
    PhaseSwitch,
)
from keras_atinet.training.first_batch import FirstBatch
from keras_atinet.training.fitting import Fitting
from keras_atinet.training.optimizer import OptimizerGroup, group_optimizer
from keras_atinet.training.step import LastStep, NetworkSplit, TrainStep, by_task, check_hooks
