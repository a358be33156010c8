"""A search for hyperparameters, narrowed here and extended there, in Python.

    python examples/search.py
    pip install keras-atinet[tuner]                      # what it needs beside TensorFlow

Time: 2 minutes 37 seconds on two CPU cores, TensorFlow.
Score: six trials; the best has a delta-m of +12.1 %, the worst of +5.0 %.
Stop it and run it again: it goes on. `keras-atinet search --help` is the same without Python.
"""

import keras
import keras_tuner

import keras_atinet
from keras_atinet.data import Rooms, hold_out
from keras_atinet.tuning import MultiTaskHyperModel

SIZE = (32, 64)
# What all tasks together should beat: here, guessed; else what `keras-atinet evaluate` printed.
BASELINE = {"depth": {"abs_error": 1.0, "rmse": 1.3}, "normal": {"mean_angle": 45.0}}


class WithDecay(MultiTaskHyperModel):
    def optimizer(self, hp):
        rate = hp.Float("learning_rate", 1e-3, 1e-2, sampling="log")
        return keras.optimizers.AdamW(rate, weight_decay=hp.Choice("decay", [1e-4, 1e-3, 1e-2]))


hypermodel = WithDecay(("depth", "normal"), BASELINE, keras_atinet.Split, image_size=SIZE)
narrower = keras_tuner.HyperParameters()
narrower.Fixed("width", 0.125)
narrower.Fixed("batch_size", 8)
narrower.Choice("balancer", ["equal", "uncertainty"])
tuner = keras_tuner.BayesianOptimization(
    hypermodel,
    hypermodel.objective,
    max_trials=6,
    seed=1,
    hyperparameters=narrower,
    directory="runs",
    project_name="search-example",
)
train, validation = hold_out(Rooms(160, SIZE), share=0.2)
tuner.search(train, validation_data=validation, epochs=6, verbose=2)
for trial in tuner.oracle.get_best_trials(6):
    print(f"{trial.score:8.1f} %  {trial.hyperparameters.values}")
