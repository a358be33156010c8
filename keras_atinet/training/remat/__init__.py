"""Segments of a network whose activations are computed twice instead of kept."""

from keras_atinet.training.remat.model import RematerializedModel
