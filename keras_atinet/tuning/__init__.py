"""Search for hyperparameters with KerasTuner."""

from keras_atinet.tuning.hyper_model import MultiTaskHyperModel
