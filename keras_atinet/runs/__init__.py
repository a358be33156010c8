"""Runs: settings, the model and data that they describe, and the folder that training writes."""

from keras_atinet.runs.card import run_card
from keras_atinet.runs.ctrl_c import Interruption
from keras_atinet.runs.data import (
    Sources,
    check_labels,
    choose_splits,
    constant_baseline,
    get_batches,
    get_notes,
    get_source,
    get_sources,
    get_tasks,
    has_validation,
)
from keras_atinet.runs.encoders import encoder_facts
from keras_atinet.runs.model import (
    MODELS,
    check_network,
    count_parameters,
    get_model,
    get_network,
    open_encoder,
)
from keras_atinet.runs.run import Run
from keras_atinet.runs.saved_model import find_model, load_model
from keras_atinet.runs.schedules import learning_rate, optimizer_line
from keras_atinet.runs.training import get_callbacks, train
from keras_atinet.settings import DEFAULT, PAPER, RECIPES, ROOMS
