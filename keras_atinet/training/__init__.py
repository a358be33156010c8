"""The train step of each backend, in files of the same shape, and the callbacks."""

import keras

from keras_atinet.training.callbacks import BalancerUpdate, FiniteLosses
from keras_atinet.training.grouped_optimizer import OptimizerGroup
from keras_atinet.training.optimizer import group_optimizer
from keras_atinet.training.paths import Paths
from keras_atinet.training.phase_switch import PhaseSwitch

if keras.backend.backend() == "tensorflow":
    from keras_atinet.training.tensorflow import TrainStep
elif keras.backend.backend() == "jax":
    from keras_atinet.training.jax import TrainStep
elif keras.backend.backend() == "torch":
    from keras_atinet.training.torch import TrainStep
else:
    raise ImportError(
        "`keras_atinet` trains on the backends 'tensorflow', 'jax' and 'torch'. "
        f"Received: keras.backend.backend()='{keras.backend.backend()}'. "
        "Set the environment variable KERAS_BACKEND."
    )
