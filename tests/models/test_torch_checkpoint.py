import json
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_atinet
from keras_atinet import load_torch_checkpoint
from keras_atinet.models import torch_checkpoint as checkpoints

GOLDEN = Path(__file__).parents[1] / "golden"
# Few different shapes: JAX compiles an initializer for each.
SMALL = {"input_shape": (32, 32, 3), "filters": (2, 2, 2, 2, 2)}


def make_state(variables, names=None):
    """Random arrays for PyTorch names; the shapes are those of the variables, as PyTorch's."""
    rs = np.random.RandomState(0)
    state = {}
    for name in names or variables:
        shape = tuple(variables[name.lstrip("_")].shape)
        if len(shape) == 4:
            shape = (shape[3], shape[2], shape[0], shape[1])
        state[name] = rs.uniform(0.5, 1.5, shape).astype("float32")
    return state


def named_variables(model):
    return dict(checkpoints._named_variables(model))


def check_loaded(model, state):
    for name, variable in named_variables(model).items():
        value = state[name]
        if value.ndim == 4:
            value = np.moveaxis(value, (2, 3, 1, 0), (0, 1, 2, 3))
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)


@pytest.fixture(scope="module")
def model():
    return keras_atinet.SingleTask("depth", **SMALL)


@pytest.fixture
def state(model):
    """A state dict that fits; the model's own weights are all 0."""
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))
    return make_state(named_variables(model))


def check_refused(model, state, message, error=ValueError):
    with pytest.raises(error, match=message):
        load_torch_checkpoint(model, state)
    assert not any(keras.ops.convert_to_numpy(weight).any() for weight in model.weights)


@pytest.mark.parametrize(
    "golden, make",
    [
        ("atinet", keras_atinet.ATINet),
        ("mtan", keras_atinet.MTAN),
        ("padnet", keras_atinet.PADNet),
        ("split_deep", lambda **kwargs: keras_atinet.Split(deep=True, **kwargs)),
    ],
)
def test_published_layouts(golden, make):
    """All the names of a published checkpoint are found, and every weight of the network is set."""
    published = json.loads((GOLDEN / f"{golden}.json").read_text())["state_dict"]
    model = make(**SMALL)
    variables = named_variables(model)
    names = [name for name, _ in published]
    assert sorted(name.lstrip("_") for name in names) == sorted(variables)
    # The ranks are the published ones; whatever is no weight here is the phase of ATI-Net.
    for name, shape in published:
        assert len(variables[name.lstrip("_")].shape) == len(shape)
    rest = {w.path for w in model.weights} - {w.path for w in variables.values()}
    assert all(path.endswith("/share") for path in rest)
    state = make_state(variables, names)
    load_torch_checkpoint(model, state)
    check_loaded(model, {name.lstrip("_"): value for name, value in state.items()})


@pytest.mark.one_backend
def test_a_loaded_network_is_trained_on_as_it_is():
    """`fit` switches nothing, and so resets nothing."""
    model = keras_atinet.ATINet("depth", **SMALL)
    load_torch_checkpoint(model, make_state(named_variables(model)))
    model.compile(keras.optimizers.SGD(0.0), metrics={})
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in model.trainable_variables]
    batch = np.zeros((2, 32, 32, 3), "float32"), np.ones((2, 32, 32, 1), "float32")
    model.fit(*batch, epochs=2, verbose=0)
    assert model.distillation_share == 1
    for variable, array in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), array)


def test_a_network_without_phases_has_none_to_set(model, state):
    with pytest.raises(ValueError, match=r"`distillation_active`.*`SingleTask`"):
        load_torch_checkpoint(model, state, distillation_active=True)


def test_tasks_have_numbers_and_not_names():
    model = keras_atinet.Split(tasks=[keras_atinet.DepthEstimation("far"), "normal"], **SMALL)
    variables = named_variables(model)
    assert tuple(variables["pred_task1.1.bias"].shape) == (1,)
    assert tuple(variables["pred_task2.1.bias"].shape) == (3,)


@pytest.mark.parametrize("container", [None, "state_dict", "model_state_dict", "model"])
def test_prefixes_and_containers(model, state, container):
    spelled = {f"module.{name}": value for name, value in state.items()}
    spelled["module.encoder_block.0.1.num_batches_tracked"] = np.array(7)
    if container:
        spelled = {container: spelled, "epoch": 3}
    load_torch_checkpoint(model, spelled)
    check_loaded(model, state)


def test_names_missing_or_left_over(model, state):
    bias = state.pop("pred_task1.1.bias")
    check_refused(model, state, r"Missing names: \['pred_task1.1.bias'\]\. Names left over: \[\]")
    state["pred_task2.1.bias"] = bias
    check_refused(model, state, r"Missing.*pred_task1.*left over: \['pred_task2.1.bias'\]")
    check_refused(model, {}, r"`SingleTask`.* more'\]")


def test_wrong_shape(model, state):
    kernel = state["pred_task1.1.weight"]
    state["pred_task1.1.weight"] = kernel.repeat(2, axis=0)
    check_refused(model, state, r"'pred_task1.1.weight'.*\(1, 1, 2, 2\), expected \(1, 1, 2, 1\)")
    state["pred_task1.1.weight"] = kernel[..., 0]
    check_refused(model, state, r"'pred_task1.1.weight'.*expected")


def test_torch_tensors_and_files(model, state, tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in state.items()}
    for source in (tensors, tmp_path / "model.pt", str(tmp_path / "model.pt")):
        if source is not tensors:
            torch.save({"state_dict": tensors, "epoch": 3}, source)
        for weight in model.weights:
            weight.assign(np.zeros(weight.shape))
        load_torch_checkpoint(model, source)
        check_loaded(model, state)


@pytest.mark.usefixtures("state")
def test_files_of_anything_else_are_refused(model, tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "model.pt"
    torch.save(torch.nn.Linear(1, 1), path)
    check_refused(model, path, "weights alone")
    torch.save(torch.zeros(2), path)
    check_refused(model, path, "is a dict of weights")
    path.write_bytes(b"no checkpoint")
    check_refused(model, path, "weights alone")
    path.write_bytes(b"")
    check_refused(model, path, "weights alone")


@pytest.mark.usefixtures("state")
def test_a_missing_file(model, tmp_path):
    check_refused(model, tmp_path / "model.pt", "no checkpoint file", FileNotFoundError)
