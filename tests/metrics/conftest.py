import keras
import numpy as np
import pytest
from keras import ops


def run(metric, y_true, y_pred, weights=None, batches=((0, 2), (2, 4))):
    for start, end in batches:
        w = None if weights is None else weights[start:end]
        metric.update_state(y_true[start:end], y_pred[start:end], w)
    return float(metric.result())


def run_compiled(metric, y_true, y_pred, weights):
    """One batch through the stateless interface, compiled by XLA where the backend has it."""

    def step(state, *batch):
        return metric.stateless_result(metric.stateless_update_state(state, *batch))

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        step = tf.function(step, jit_compile=True)
    elif keras.backend.backend() == "jax":
        import jax

        step = jax.jit(step)
    state = [ops.zeros(v.shape) for v in metric.variables]
    return float(step(state, *(ops.convert_to_tensor(x) for x in (y_true, y_pred, weights))))


def evaluate(metrics, y_true, y_pred, weights):
    """Keras's own `evaluate` of a model that returns its input."""
    inputs = keras.Input(y_pred.shape[1:])
    model = keras.Model(inputs, keras.layers.Identity()(inputs))
    model.compile(
        loss=lambda y_true, y_pred: ops.zeros_like(y_pred[..., 0]),
        weighted_metrics=metrics,
        jit_compile=keras.backend.backend() != "torch",
    )
    return model.evaluate(
        y_pred, y_true, sample_weight=weights, batch_size=2, return_dict=True, verbose=0
    )


def check_metric(make, y_true, y_pred, valid, reference, tolerance=1e-5):
    """Checks what every metric owes.

    `make(averaging)` builds it, `reference` maps the valid pixels, `(pixels, channels)` each, to
    the expected value. `y_true` has four images, with anything at all outside `valid`.
    """
    weights = valid.astype("float32")

    def expect(start, end, repeats=None):
        mask = valid[start:end]
        pixels = [y[start:end][mask].reshape(mask.sum(), -1) for y in (y_true, y_pred)]
        if repeats is not None:
            pixels = [np.repeat(y, repeats[start:end][mask], axis=0) for y in pixels]
        return reference(*pixels)

    def assert_close(actual, expected):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=tolerance)

    pixel, batch = make("pixel"), make("batch")

    # Both averagings; the two batches differ in their number of valid pixels.
    assert_close(run(pixel, y_true, y_pred, weights), expect(0, 4))
    assert_close(run(batch, y_true, y_pred, weights), (expect(0, 2) + expect(2, 4)) / 2)

    # Reset; then everything masked, which has no value and is not counted as a batch.
    for metric in (pixel, batch):
        metric.reset_state()
        assert np.isnan(run(metric, y_true, y_pred, 0 * weights))
        assert_close(run(metric, y_true, y_pred, weights, ((0, 2),)), expect(0, 2))

    # The prediction at void pixels does not matter either.
    holes = np.where(valid[..., None], y_pred, np.nan)
    assert_close(run(make("pixel"), y_true, holes, weights), expect(0, 4))

    # A weight counts a pixel that often; only the ratio of weights matters.
    repeats = np.random.RandomState(0).randint(1, 4, valid.shape)
    fractions = (0.25 * repeats * valid).astype("float32")
    for averaging in ("pixel", "batch"):
        actual = run(make(averaging), y_true, y_pred, fractions, ((0, 2),))
        assert_close(actual, expect(0, 2, repeats))

    # No weights, one weight per image, a batch of one pixel.
    images = y_true.copy(), y_pred
    images[0][~valid] = y_true[valid][0]
    pixels = [y[:2].reshape(2 * valid[0].size, -1) for y in images]
    assert_close(run(make("pixel"), *images, batches=((0, 2),)), reference(*pixels))
    weighted = run(make("pixel"), *images, np.array([2.0, 0.0]), ((0, 2),))
    assert_close(weighted, reference(*(y[: valid[0].size] for y in pixels)))
    for averaging in ("pixel", "batch"):
        one = run(make(averaging), *(y[:1, :1, :1] for y in images), batches=((0, 1),))
        assert_close(one, reference(*(y[:1] for y in pixels)))

    # Half precision is only the input's.
    half = y_pred.astype("float16")
    full = run(make("pixel"), y_true, half.astype("float32"), weights)
    assert run(make("pixel"), y_true, half, weights) == full

    # Compiled and stateless.
    for averaging in ("pixel", "batch"):
        actual = run_compiled(make(averaging), y_true[:2], y_pred[:2], weights[:2])
        assert_close(actual, expect(0, 2))

    # Configuration and state.
    for metric in (pixel, batch):
        config = keras.saving.serialize_keras_object(metric)
        assert config["registered_name"] == f"keras_atinet>{type(metric).__name__}"
        again = keras.saving.deserialize_keras_object(config)
        assert type(again) is type(metric)
        assert again.get_config() == metric.get_config()
        assert {v.dtype for v in again.variables} == {"float32"}

    with pytest.raises(ValueError, match="Received: averaging='image'"):
        make("image")


@pytest.fixture(name="check_metric")
def _check_metric():
    return check_metric


@pytest.fixture(name="run")
def _run():
    return run


@pytest.fixture(name="evaluate")
def _evaluate():
    return evaluate
