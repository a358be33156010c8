"""The whole train step of a `MultiTaskModel`, to be read in this order:

1. `targets.py`: what the user gave becomes targets and pixel weights by task.
2. `network_split.py`: the network in two, a trunk that the tasks share and their branches; which
   tasks use which variable.
3. `common.py`: from targets to losses and objectives, from gradients to one update; whether it is
   taken (`is_finite`); its logs.
   `last_step.py`: the balancer's logs, of the last step that was taken.
4. `gradients.py`: how the gradients of the tasks become one; those that several share are balanced.
5. `tensorflow.py`, `jax.py`, `torch.py`: three files of the same shape, one for each backend, that
   differentiate and update.
"""

import keras

from keras_atinet.training.step.hooks import check_hooks
from keras_atinet.training.step.last_step import LastStep
from keras_atinet.training.step.network_split import NetworkSplit
from keras_atinet.training.step.targets import by_task, check_weight_names

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
