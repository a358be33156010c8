"""Callbacks of the training."""

from keras_atinet.training.callbacks.balancer_update import BalancerUpdate
from keras_atinet.training.callbacks.finite_losses import FiniteLosses
from keras_atinet.training.callbacks.phase_switch import PhaseSwitch
