"""The contract of every network: its name in `runs.MODELS` is all that a new one needs."""

import keras
import numpy as np
import pytest

import keras_atinet
from keras_atinet import runs
from keras_atinet.balancing import GradientBalancer

BACKEND = keras.backend.backend()
# How many tasks a network takes, if not any number.
COUNTS = {"single": [1], "jtrl": [2, 5]}
OPTIONS = {
    # Two of four scales, where a network is long to trace.
    "jtrl": {"finest_stride": 16},
    "mtinet": {"distillation_stride": 16},
    "supervised_padnet": {"gate": "receiver"},  # the other is that of most networks
}
# JAX compiles an initializer for every shape of a kernel; with other widths none can be mixed up.
FILTERS = (8,) * 5 if BACKEND == "jax" else (4, 6, 8, 10, 12)
SHAPE = (32, 64, 3)
# Each task costs all three of them, and two have pairs already.
TASKS = {"segmentation": 5, "normal": 3, **({"depth": 1} if BACKEND == "torch" else {})}
# What is left of a network for inference.
INFERENCE_LAYERS = {
    "InputLayer",
    "InferenceConv2D",
    "Concatenate",
    "Multiply",
    "Add",
    "Average",
    "Rescaling",
    "CrossStitchUnit",
    "InferenceMaxPooling2D",
    "InferenceMaxPooling2DWithArgmax",
    "InferenceMaxUnpooling2D",
    "InferenceBilinearUpSampling2D",
    "InferenceBilinearResizing",
    "GlobalAveragePooling2D",
    "ReLU",
    "Affinity",
    "AffinityDiffusion",
    "JointAffinity",
    "AffinityAttention",
    "Conv2DTranspose",
    "TaskActivation",
}
one_backend = pytest.mark.one_backend
every_network = pytest.mark.parametrize("name", runs.MODELS)


@pytest.fixture
def make(randomize):
    """`make(name)`: a network with weights as after training, of whose graph all is used."""

    def make(name, **options):
        tasks = "normal" if COUNTS.get(name) == [1] else TASKS
        options = {"filters": FILTERS, **OPTIONS.get(name, {}), **options}
        model = runs.MODELS[name](tasks=tasks, input_shape=SHAPE, **options)
        if isinstance(model, keras_atinet.ATINet):
            model.distillation_share = 0.4
        return randomize(model)

    return make


@pytest.fixture
def predict(apply):
    return lambda model, x: apply(lambda x: model(x, training=False), x)


def images():
    return np.random.default_rng(1).random((2, *SHAPE), dtype="float32")


def targets(model):
    random = np.random.default_rng(2)
    every = {
        "segmentation": random.integers(-1, 5, (2, 32, 64)).astype("int32"),
        "depth": random.uniform(-1, 5, (2, 32, 64, 1)).astype("float32"),
        "normal": random.normal(size=(2, 32, 64, 3)).astype("float32"),
    }
    return {task.name: every[task.name] for task in model.tasks}


@every_network
def test_predictions(name, make, predict, tmp_path):
    """Their shapes; the same from a saved file, for inference and of one image alone."""
    model = make(name)
    outputs = predict(model, images())
    assert set(outputs) == {task.name for task in model.tasks}
    for task in model.tasks:
        output = outputs[task.name]
        assert output.shape == (2, *SHAPE[:2], task.channels) and output.dtype == "float32"
        assert output.std() > 1e-2  # or equality would say nothing
    np.testing.assert_allclose(np.linalg.norm(outputs["normal"], axis=-1), 1, atol=1e-5)

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model) and loaded.get_config() == model.get_config()
    for one, other in zip(loaded.weights, model.weights, strict=True):
        assert one.path == other.path
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (one, other)))
    if BACKEND != "jax":  # which would compile the same graph again
        for task, output in predict(loaded, images()).items():
            np.testing.assert_array_equal(output, outputs[task])

    folded = loaded.for_inference()
    assert {type(layer).__name__ for layer in folded.layers} <= INFERENCE_LAYERS
    assert not folded.trainable_variables
    names = ("kernel", "bias", "alpha", "logits")
    assert all(variable.name in names for variable in folded.variables)
    for task, output in predict(folded, images()[:1]).items():
        assert np.abs(output - outputs[task][:1]).mean() < 1e-5, task


@every_network
def test_a_step_of_training(name, make):
    """It reaches every weight; taken task by task and added up, gradients are those of the sum."""
    model = make(name)
    if BACKEND == "jax":
        trace_step(model)
        return
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in model.weights]

    def updates(balancer):
        for weight, value in zip(model.weights, before, strict=True):
            weight.assign(value)
        model.compile(keras.optimizers.SGD(0.1), balancer, metrics={}, run_eagerly=True)
        model.train_on_batch(images(), targets(model))
        after = map(keras.ops.convert_to_numpy, model.weights)
        return {w.path: new - old for w, new, old in zip(model.weights, after, before, strict=True)}

    expected = updates("equal")
    # Before a BatchNorm the gradient of a bias is 0; where one is trained, its kernel is too.
    trained = [weight.path for weight in model.trainable_weights if weight.name != "bias"]
    assert not [path for path in trained if not expected[path].any()]
    for over in ("shared_weights", "bottleneck") if model.features else ("shared_weights",):
        for path, update in updates(GradientBalancer(over)).items():
            bound = 1e-6 + 1e-4 * np.abs(expected[path]).max()
            np.testing.assert_allclose(update, expected[path], atol=bound, err_msg=path)


def trace_step(model):
    """A step without values, which JAX takes up to a minute to compile."""
    import jax

    model.compile("sgd", GradientBalancer(), metrics={})
    model.build_optimizer()
    state = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = [[variable.value for variable in variables] for variables in state]
    _, changed = jax.eval_shape(model.train_step, state, (images(), targets(model)))
    for old, new in zip(state, changed, strict=True):
        assert [(v.shape, v.dtype) for v in old] == [(v.shape, v.dtype) for v in new]


@one_backend
@every_network
def test_any_number_of_tasks(name):
    edge = keras_atinet.SemanticSegmentation(num_classes=2, name="edge")
    height = keras_atinet.DepthEstimation(name="height")
    tasks = ["segmentation", edge, "normal", "depth", height]
    for count in COUNTS.get(name, [1, 2, 5]):  # three have those of the other tests
        with keras.StatelessScope():
            model = runs.MODELS[name](tasks[:count], SHAPE, FILTERS, **OPTIONS.get(name, {}))
        channels = [model.output[task.name].shape[-1] for task in model.tasks]
        assert channels == [13, 2, 3, 1, 1][:count] and len(model.output) == count


@one_backend
@every_network
def test_mixed_precision(name, make, predict):
    """float32 predictions, about those of a network of float32."""
    model = make(name, dtype="mixed_bfloat16")
    expected, outputs = (predict(m, images()) for m in (make(name, dtype="float32"), model))
    for task, output in outputs.items():
        assert output.dtype == "float32"
        assert np.abs(output - expected[task]).mean() < 0.2 * expected[task].std(), task
    folded = model.for_inference()
    assert {layer.compute_dtype for layer in folded.layers} == {"bfloat16", "float32"}
