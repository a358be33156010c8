import numpy as np
import pytest

from keras_atinet.metrics import AbsoluteError, RelativeError, RootMeanSquaredError, WithinRatio


@pytest.fixture
def pixels(golden):
    arrays = golden["arrays"]
    valid = arrays["depth"][..., 0] > 0
    depth = arrays["depth"].copy()
    void = depth[~valid]
    void[0::3], void[1::3] = np.nan, np.inf  # the rest stays 0
    depth[~valid] = void
    return depth, arrays["depth_pred"], valid


def within_ratio(threshold):
    def reference(d, p):
        with np.errstate(divide="ignore"):
            return ((p > 0) & (np.maximum(d / p, p / d) < threshold)).mean()

    return reference


def test_absolute_error(check_metric, pixels):
    check_metric(AbsoluteError, *pixels, lambda d, p: np.abs(d - p).mean())


def test_relative_error(check_metric, pixels):
    check_metric(RelativeError, *pixels, lambda d, p: (np.abs(d - p) / d).mean())


def test_root_mean_squared_error(check_metric, pixels):
    check_metric(RootMeanSquaredError, *pixels, lambda d, p: np.sqrt(((d - p) ** 2).mean()))


@pytest.mark.parametrize("threshold", [1.05, 1.25])
def test_within_ratio(check_metric, pixels, threshold):
    check_metric(lambda a: WithinRatio(threshold, a), *pixels, within_ratio(threshold))


@pytest.mark.parametrize("averaging", ["pixel", "batch"])
def test_golden(golden, pixels, run, averaging):
    depth, predicted, valid = pixels
    expected = golden["pooled" if averaging == "pixel" else "batch_mean"]
    for metric, key in (
        (AbsoluteError(averaging), "abs_err"),
        (RelativeError(averaging), "rel_err"),
    ):
        assert run(metric, depth, predicted, valid) == pytest.approx(expected[key], abs=1e-6)


def test_evaluate(golden, pixels, evaluate):
    depth, predicted, valid = pixels
    metrics = [AbsoluteError(), RelativeError("batch"), RootMeanSquaredError(), WithinRatio()]
    logs = evaluate(metrics, depth, predicted, valid.astype("float32"))
    assert logs["abs_error"] == pytest.approx(golden["pooled"]["abs_err"], abs=1e-6)
    assert logs["rel_error"] == pytest.approx(golden["batch_mean"]["rel_err"], abs=1e-6)
    squares = (depth - predicted)[valid] ** 2
    assert logs["rmse"] == pytest.approx(np.sqrt(squares.mean()), abs=1e-5)
    expected = within_ratio(1.25)(depth[valid], predicted[valid])
    assert logs["within_1.25"] == pytest.approx(expected, abs=1e-6)


def test_predictions_that_are_not_positive_are_outside():
    metric = WithinRatio()
    predicted = np.array([2.0, 0.0, -2.0, np.nan], "float32").reshape(1, 1, 4, 1)
    metric.update_state(np.full((1, 1, 4, 1), 2.0), predicted)
    assert float(metric.result()) == 0.25


def test_names_and_threshold():
    assert WithinRatio(1.25**2).name == "within_1.5625"
    assert WithinRatio(1.25**2, name="delta_2").name == "delta_2"
    with pytest.raises(ValueError, match=r"Received: threshold=1\.0"):
        WithinRatio(1.0)
