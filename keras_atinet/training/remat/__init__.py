"""Pieces of a network whose activations are computed twice instead of kept."""

from keras_atinet.training.remat.rematerialized_model import Rematerialization
