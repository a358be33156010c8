"""Callbacks of the training."""

from keras_atinet.training.callbacks.balancer_update import BalancerUpdate
from keras_atinet.training.callbacks.best_number import BestNumber
from keras_atinet.training.callbacks.encoder_unfreezing import EncoderUnfreezing
from keras_atinet.training.callbacks.phase_switch import PhaseSwitch
from keras_atinet.training.callbacks.stop_at_nonfinite import FiniteLosses, FiniteWeights
