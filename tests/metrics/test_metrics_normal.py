import numpy as np
import pytest

from keras_atinet.metrics import MeanAngularError, MedianAngularError, WithinAngle


@pytest.fixture
def pixels(golden):
    arrays = golden["arrays"]
    valid = np.linalg.norm(arrays["normal"], axis=-1) > 0.5
    normal = arrays["normal"].copy()
    normal[~valid] = np.where(np.arange((~valid).sum()) % 2, 0, np.nan)[:, None]
    # Predictions of any length.
    lengths = np.random.RandomState(0).uniform(0.01, 5, (*valid.shape, 1))
    return normal, (arrays["normal_pred"] * lengths).astype("float32"), valid


def angles(n, m):
    n, m = n.astype("float64"), m.astype("float64")
    lengths = np.linalg.norm(n, axis=-1) * np.linalg.norm(m, axis=-1)
    return np.degrees(np.arccos(np.clip((n * m).sum(axis=-1) / lengths, -1, 1)))


def at_angles(degrees):
    """True and predicted normals of one image, that far apart."""
    radians = np.radians(np.asarray(degrees, "float64")).reshape(1, 1, -1)
    predicted = np.stack([np.sin(radians), 0 * radians, -np.cos(radians)], axis=-1)
    true = np.broadcast_to([0.0, 0.0, -1.0], predicted.shape)
    return true.astype("float32"), predicted.astype("float32")


def test_mean(check_metric, pixels):
    reference = lambda n, m: angles(n, m).mean()  # noqa: E731
    check_metric(MeanAngularError, *pixels, reference, tolerance=1e-3)


def test_median(check_metric, pixels):
    reference = lambda n, m: np.median(angles(n, m))  # noqa: E731
    check_metric(MedianAngularError, *pixels, reference, tolerance=0.05)


@pytest.mark.parametrize("threshold", [11.25, 30])
def test_within(check_metric, pixels, threshold):
    reference = lambda n, m: (angles(n, m) < threshold).mean()  # noqa: E731
    check_metric(lambda a: WithinAngle(threshold, a), *pixels, reference)


def metrics_and_keys(averaging):
    yield MeanAngularError(averaging), "mean"
    yield MedianAngularError(averaging), "median"
    for threshold in (11.25, 22.5, 30):
        yield WithinAngle(threshold, averaging), f"within_{threshold}"


@pytest.mark.parametrize("averaging", ["pixel", "batch"])
def test_golden(golden, pixels, run, averaging):
    expected = golden["pooled" if averaging == "pixel" else "batch_mean"]
    for metric, key in metrics_and_keys(averaging):
        tolerance = 0.05 if metric.name == "median_angle" and averaging == "pixel" else 1e-4
        assert run(metric, *pixels) == pytest.approx(expected[key], abs=tolerance)


def test_golden_of_each_batch(golden, pixels, run):
    for i, expected in enumerate(golden["batches"]):
        for metric, key in metrics_and_keys("batch"):
            actual = run(metric, *pixels, batches=((2 * i, 2 * i + 2),))
            assert actual == pytest.approx(expected[key], abs=1e-4)


def test_evaluate(golden, pixels, evaluate):
    normal, predicted, valid = pixels
    metrics = [metric for metric, _ in metrics_and_keys("batch")]
    logs = evaluate(metrics, normal, predicted, valid.astype("float32"))
    expected = golden["batch_mean"]
    assert logs["mean_angle"] == pytest.approx(expected["mean"], abs=1e-4)
    assert logs["median_angle"] == pytest.approx(expected["median"], abs=1e-4)
    for name in ("within_11.25", "within_22.5", "within_30"):
        assert logs[name] == pytest.approx(expected[name], abs=1e-6)


def test_angles_are_exact_at_both_ends():
    for degrees in (0.0, 0.001, 90.0, 179.999, 180.0):
        metric = MeanAngularError()
        metric.update_state(*at_angles([degrees]))
        assert float(metric.result()) == pytest.approx(degrees, abs=5e-5)


def test_zero_prediction_is_90_degrees_off():
    true, predicted = at_angles([10.0, 20.0])
    for metric in (MeanAngularError(), MedianAngularError("batch")):
        metric.update_state(true, 0 * predicted)
        assert float(metric.result()) == pytest.approx(90, abs=1e-4)


@pytest.mark.parametrize("averaging", ["pixel", "batch"])
@pytest.mark.parametrize(
    "degrees", [[0], [180], [10.02, 50.02], [1, 2, 177], [5, 5, 5, 90, 90, 90], [0.01, 0.02, 0.03]]
)
def test_median_of_few_angles(run, averaging, degrees):
    actual = run(MedianAngularError(averaging), *at_angles(degrees), batches=((0, 1),))
    tolerance = 0.05 if averaging == "pixel" else 1e-4
    assert actual == pytest.approx(np.median(degrees), abs=tolerance)


@pytest.mark.parametrize("averaging", ["pixel", "batch"])
def test_median_counts_nan_as_180_degrees(run, averaging):
    true, predicted = at_angles([10, 20, 30])
    predicted[0, 0, :2] = np.nan
    actual = run(MedianAngularError(averaging), true, predicted, batches=((0, 1),))
    assert actual == pytest.approx(180, abs=0.05)


def test_names_and_threshold():
    assert WithinAngle(30.0).name == "within_30"
    assert WithinAngle(22.5, name="share").name == "share"
    with pytest.raises(ValueError, match="Received: threshold=0"):
        WithinAngle(0)
