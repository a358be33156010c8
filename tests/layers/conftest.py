import keras
import numpy as np
import pytest

POLICIES = {"float32": "float32", "mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}


def randomize(layer, seed=0):
    """Gives every weight, the moving statistics too, a value that is not its first one."""
    rs = np.random.RandomState(seed)
    for weight in layer.weights:
        if keras.backend.is_float_dtype(weight.dtype):
            weight.assign(rs.uniform(0.2, 0.8, weight.shape).astype("float32"))
        else:
            weight.assign(True)
    return layer


def check_layer(apply, path, make, inputs, shapes, dtypes=None, call=None):
    """Checks what every layer owes.

    `make(**kwargs)` builds it, `call(layer, *tensors)` calls it, `shapes` are those of its outputs
    and `dtypes` theirs where they are not all the compute dtype.
    """
    call = call or (lambda layer, *tensors: layer(*tensors))
    symbolic = [keras.Input(batch_shape=x.shape, dtype=str(x.dtype)) for x in inputs]

    # Shapes and dtypes under every policy; the symbolic call promises the same.
    for policy, compute_dtype in POLICIES.items():
        layer = make(dtype=policy)
        promised = keras.tree.flatten(call(layer, *symbolic))
        found = []

        def forward(*tensors, layer=layer, found=found):
            outputs = keras.tree.flatten(call(layer, *tensors))
            found[:] = [keras.backend.standardize_dtype(y.dtype) for y in outputs]
            return [keras.ops.cast(y, "float32") for y in outputs]

        outputs = apply(forward, *inputs)
        expected = [dtype or compute_dtype for dtype in dtypes or [None] * len(shapes)]
        assert found == [y.dtype for y in promised] == expected
        assert [y.shape for y in outputs] == [tuple(y.shape) for y in promised] == list(shapes)
        assert all(np.isfinite(y).all() for y in outputs)
        assert {weight.dtype for weight in layer.weights} <= {"float32", "bool"}

    # Configuration.
    layer = make(name="name")
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"] == f"keras_atinet>{type(layer).__name__}"
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(layer) and again.get_config() == layer.get_config()

    # A saved file.
    model = keras.Model(symbolic, call(layer, *symbolic))
    randomize(model)
    model.save(path)
    loaded = keras.saving.load_model(path)
    for actual, expected in zip(loaded.weights, model.weights, strict=True):
        assert actual.path == expected.path
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (actual, expected)))
    outputs = [
        keras.tree.flatten(apply(lambda *x, m=m: m(list(x)), *inputs)) for m in (model, loaded)
    ]
    for actual, expected in zip(*outputs, strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.fixture(name="check_layer")
def _check_layer(apply, tmp_path):
    def check(*args, **kwargs):
        check_layer(apply, tmp_path / "model.keras", *args, **kwargs)

    return check


@pytest.fixture(name="randomize", scope="session")
def _randomize():
    return randomize
