"""The train step of a `MultiTaskModel`, one for each backend, in files of the same shape."""

import keras

from keras_atinet.training.step.trunk_and_branches import Paths

if keras.backend.backend() == "tensorflow":
    from keras_atinet.training.step.tensorflow import TrainStep
elif keras.backend.backend() == "jax":
    from keras_atinet.training.step.jax import TrainStep
elif keras.backend.backend() == "torch":
    from keras_atinet.training.step.torch import TrainStep
else:
    raise ImportError(
        "`keras_atinet` trains on the backends 'tensorflow', 'jax' and 'torch'. "
        f"Received: keras.backend.backend()='{keras.backend.backend()}'. "
        "Set the environment variable KERAS_BACKEND."
    )
