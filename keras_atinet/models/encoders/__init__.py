"""Encoders: by name with their weights, as objects, and the levels found in them."""

from keras_atinet.models.encoders.levels import Level, encoder_levels
from keras_atinet.models.encoders.named import build_encoder, check_encoder, encoder_names
from keras_atinet.models.encoders.preprocessing import preprocessing_for
