"""Table I of the paper: NYUv2, 13 classes, 288 x 384, means over the last ten of 200 epochs."""

METRICS = (
    ("segmentation", "mean_iou"),
    ("segmentation", "pixel_accuracy"),
    ("depth", "abs_error"),
    ("depth", "rel_error"),
    ("normal", "mean_angle"),
    ("normal", "median_angle"),
    ("normal", "within_11.25"),
    ("normal", "within_22.5"),
    ("normal", "within_30"),
)
# Parameters relative to MTAN, then the metrics; shares in percent.
_TABLE = {
    "single": (1.69, 27.45, 54.64, 0.6517, 0.2829, 29.85, 23.67, 24.83, 48.34, 60.17),
    "mtan": (1.00, 28.39, 55.78, 0.6152, 0.2685, 31.57, 27.50, 18.68, 41.40, 54.51),
    "split": (1.13, 15.12, 40.95, 0.7725, 0.3213, 36.81, 33.37, 13.70, 32.89, 45.07),
    "padnet": (1.03, 27.70, 54.76, 0.6393, 0.2670, 33.05, 28.25, 19.38, 40.83, 52.93),
    "atinet": (1.03, 28.66, 56.80, 0.6076, 0.2582, 30.95, 25.97, 21.42, 44.23, 56.72),
}


def is_share(metric):
    """Whether a metric is a share in [0, 1], shown in percent."""
    return metric in ("mean_iou", "pixel_accuracy") or metric.startswith("within_")


def published(model):
    """What the paper reports of a network.

    Args:
        model: str, a key of `settings.NETWORKS`.

    Returns:
        The parameters relative to MTAN, and dict task name -> metric name -> value, shares in
        [0, 1]; None of a network that is not in its table.
    """
    if model not in _TABLE:
        return None
    relative, *values = _TABLE[model]
    scores = {}
    for (task, metric), value in zip(METRICS, values, strict=True):
        scores.setdefault(task, {})[metric] = value / 100 if is_share(metric) else value
    return relative, scores
