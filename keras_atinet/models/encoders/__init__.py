"""Encoders of any kind: by name or as objects, their levels, their weights."""

from keras_atinet.models.encoders.encoder import Encoder, as_encoder
from keras_atinet.models.encoders.levels import Level, encoder_levels
from keras_atinet.models.encoders.named import build_encoder, check_encoder, encoder_names
from keras_atinet.models.encoders.preprocessing import preprocessing_for
