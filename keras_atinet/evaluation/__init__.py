"""Losses and metrics of a model on held-out data, beside the best constant prediction."""

from keras_atinet.evaluation.classes import ClassScores
from keras_atinet.evaluation.constants import best_constants, evaluate_constants
from keras_atinet.evaluation.improvement import DeltaM, check_baseline, delta_m
from keras_atinet.evaluation.mean_error import MeanError
from keras_atinet.evaluation.original_size import OriginalSize
from keras_atinet.evaluation.results import table
from keras_atinet.evaluation.scoring import evaluate, evaluate_function
