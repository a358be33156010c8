"""What only an ATI-Net has: phases, distillation, modules by name; and its files everywhere."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_atinet

one_backend = pytest.mark.one_backend
# JAX compiles an initializer for every shape of a kernel.
FILTERS = (8,) * 5 if keras.backend.backend() == "jax" else (4, 6, 8, 10, 12)
SHAPE = (32, 64, 3)


def images(batch=2):
    return np.random.default_rng(0).random((batch, *SHAPE), dtype="float32")


def predictions(model, batch=2):
    return {
        name: keras.ops.convert_to_numpy(value)
        for name, value in model(images(batch), training=False).items()
    }


@one_backend
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_saved_and_gives_float32(policy):
    model = keras_atinet.ATINet(input_shape=SHAPE, filters=FILTERS, dtype=policy)
    assert model.get_layer("encoder_1_1").compute_dtype == policy.removeprefix("mixed_")
    copy = keras_atinet.ATINet.from_config(model.get_config())
    assert copy.dtype_policy.name == policy
    for output in predictions(copy).values():
        assert output.dtype == "float32" and np.isfinite(output).all()


@pytest.mark.parametrize("count", [1, pytest.param(4, marks=one_backend), 3])
def test_outputs_depend_on_distillation_in_phase_2_only(count):
    keras.utils.set_random_seed(0)
    height = keras_atinet.DepthEstimation(name="height")
    tasks = ["depth", "segmentation", "normal", height][:count]
    model = keras_atinet.ATINet(tasks, input_shape=SHAPE, filters=FILTERS)
    distillation = model.get_layer("distillation")
    for active in (False, True):
        model.distillation_active = active
        assert model.distillation_active is active
        before = predictions(model)
        kernel = distillation.deconv_heads[0].blocks[0].conv.kernel
        kernel.assign(kernel + 1.0)
        after = predictions(model)
        changed = [not np.array_equal(before[name], after[name]) for name in before]
        assert all(changed) if active else not any(changed)


LOAD_AND_PREDICT = """
import sys, numpy, keras, keras_atinet
model = keras.saving.load_model(sys.argv[1])
predict = model.predict_on_batch  # compiled: JAX compiles single operations for a minute
if keras.backend.backend() != "jax":
    predict = lambda x: model(x, training=False)
outputs = predict(numpy.load(sys.argv[2]))
assert model.distillation_active and model.compiled
assert model.balancer.name.startswith("dynamic")
on_encoder = keras.saving.load_model(sys.argv[4])(numpy.load(sys.argv[2]), training=False)
outputs = {**outputs, "height": on_encoder["height"]}
numpy.savez(sys.argv[3], **{k: keras.ops.convert_to_numpy(v) for k, v in outputs.items()})
"""


@one_backend
def test_a_saved_model_loads_on_the_other_backends(tmp_path):
    model = keras_atinet.ATINet(input_shape=SHAPE, filters=(4,) * 5)
    model.compile(keras.optimizers.Adam(1e-3), balancer="dwa")
    model.distillation_active = True
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images())
    x = image = keras.Input(SHAPE)
    for stride in (2, 4):
        x = keras.layers.Conv2D(4, 3, strides=2, padding="same", name=f"stride_{stride}")(x)
    encoder = {"encoder": keras.Model(image, x), "preprocessing": "tf"}
    height = keras_atinet.DepthEstimation(name="height")
    on_encoder = keras_atinet.PADNet(height, SHAPE, (4,) * 5, **encoder)
    on_encoder.save(tmp_path / "on_encoder.keras")
    expected = {**predictions(model), **predictions(on_encoder)}
    modules = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
    for backend in modules.keys() - {keras.backend.backend()}:
        pytest.importorskip(modules[backend])
        files = ("model.keras", "images.npy", f"{backend}.npz", "on_encoder.keras")
        paths = [str(tmp_path / name) for name in files]
        subprocess.run(
            [sys.executable, "-c", LOAD_AND_PREDICT, *paths],
            env={**os.environ, "KERAS_BACKEND": backend},
            check=True,
        )
        for name, output in np.load(paths[2]).items():
            assert np.abs(output - expected[name]).mean() < 1e-4, (backend, name)


def test_modules_of_the_attention():
    with keras.StatelessScope():
        model = keras_atinet.ATINet("depth", SHAPE, FILTERS)
    # Ten masks for the task, ten ConvBlocks for all.
    layers = model.module_layers("attention")
    masks = [layer for layer in layers if isinstance(layer, keras_atinet.layers.AttentionMask)]
    assert len(masks) == 10 and len(layers) == 20
    assert [layer.name for layer in model.module_layers("heads")] == ["depth"]
