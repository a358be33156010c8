"""Encoders of any kind: their levels, and the scaling of images that they were trained on."""

from keras_atinet.models.encoders.levels import Level, encoder_levels
from keras_atinet.models.encoders.preprocessing import preprocessing_for
