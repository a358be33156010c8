import keras
import numpy as np
import pytest

from keras_atinet import ATINet
from keras_atinet.internals import branch_order
from keras_atinet.layers import AttentionMask, ConvBlock, TaskDistillation
from keras_atinet.models.heads import prediction_heads
from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.tasks import standardize_tasks

# Tracing costs TensorFlow more than running eagerly, the other two not.
EAGER = keras.backend.backend() == "tensorflow"


@keras.saving.register_keras_serializable(package="tests")
class Small(MultiTaskModel):
    """Two shared ConvBlocks, for speed."""

    def __init__(self, tasks, input_shape, filters, dtype=None, name="small"):
        tasks = standardize_tasks(tasks)
        image = keras.Input(input_shape, name="image")
        x = ConvBlock(filters[0], dtype=dtype, name="encoder")(image)
        x = ConvBlock(filters[1], dtype=dtype, name="decoder")(x)
        outputs = prediction_heads({task.name: x for task in tasks}, tasks, filters, dtype=dtype)
        config = {"input_shape": input_shape, "filters": filters}
        super().__init__(image, outputs, tasks, config, [x], dtype=dtype, name=name)


@keras.saving.register_keras_serializable(package="tests")
class SmallATINet(ATINet):
    """One level of an ATI-Net, for speed: all its kinds of modules, once each for every task."""

    def __init__(self, tasks, input_shape, filters, dtype=None, name="small_atinet", remat=None):
        tasks = standardize_tasks(tasks)
        width = filters[0]
        image = keras.Input(input_shape, name="image")
        x = ConvBlock(width, dtype=dtype, name="encoder")(image)
        names = [task.name for task in tasks]
        distilled = TaskDistillation(names, filters[2::-1], dtype=dtype, name="distillation")(x)
        block = ConvBlock(width, dtype=dtype, name="attention_decoder")
        features = {}
        for name in names:
            mask = AttentionMask(width, dtype=dtype, name=f"{name}_mask")(x)
            attended = keras.layers.Multiply(dtype=dtype, name=f"{name}_attended")
            features[name] = block(attended([mask, distilled]))
        segments = [([x, distilled], features[name]) for name in branch_order(names)]
        outputs = prediction_heads(features, tasks, filters, dtype=dtype)
        config = {"input_shape": input_shape, "filters": filters, "remat": remat}
        segments = segments if remat else []
        MultiTaskModel.__init__(
            self, image, outputs, tasks, config, [x, distilled], segments, dtype=dtype, name=name
        )


@pytest.fixture
def small_atinet():
    return SmallATINet


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    images = random.random((4, 32, 64, 3), dtype="float32")
    targets = {
        "segmentation": random.integers(-1, 5, (4, 32, 64)).astype("int32"),
        "depth": random.uniform(-1, 5, (4, 32, 64, 1)).astype("float32"),
        "normal": random.normal(size=(4, 32, 64, 3)).astype("float32"),
    }
    return images, targets


@pytest.fixture
def make():
    """`make(network, tasks, **compile_arguments)`: a compiled network of few filters.

    `tasks` are names of the batch's targets, or what the networks' argument takes.
    """

    def make(network=Small, tasks=("segmentation", "depth"), **compile_arguments):
        keras.utils.set_random_seed(1)
        names = {"dtype", "remat"} & set(compile_arguments)
        options = {name: compile_arguments.pop(name) for name in names}
        channels = {"segmentation": 5, "depth": 1, "normal": 3}
        if isinstance(tasks, tuple):
            tasks = {name: channels[name] for name in tasks}
        model = network(
            tasks=tasks,
            input_shape=(32, 64, 3),
            filters=(4, 4, 4, 4, 4),
            **options,
        )
        defaults = {"optimizer": keras.optimizers.Adam(1e-2), "run_eagerly": EAGER}
        model.compile(**{**defaults, **compile_arguments})
        return model

    return make


@pytest.fixture
def values():
    """`values(variables)`: NumPy copies."""
    return lambda variables: [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
