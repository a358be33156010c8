"""Predictions for pictures of any kind and size."""

from keras_atinet.prediction.pictures import overlay, side_by_side
from keras_atinet.prediction.predictor import Predictor
from keras_atinet.prediction.reading import read_picture
