"""Sets parts of a target to be ignored."""

import numpy as np

from keras_atinet.data.transforms.namespace import namespace


def mask_labels(sample, keep, key="segmentation"):
    """Ignores every label that is not in a list: it becomes -1.

    Args:
        sample: dict of arrays or of tensors.
        keep: sequence of int, the classes to keep.
        key: str, the task key. Samples without it stay as they are.

    Returns:
        dict with a new target.
    """
    if key not in sample:
        return sample
    labels = sample[key]
    xp = namespace(labels)
    kept = xp.any(xp.equal(labels[..., None], np.asarray(keep, np.int32)), axis=-1)
    return {**sample, key: xp.where(kept, labels, xp.full_like(labels, -1))}


def mask_depth(sample, near=0.0, far=np.inf, key="depth"):
    """Ignores depth outside `[near, far]`, the range of a sensor: it becomes 0.

    Args:
        sample: dict of arrays or of tensors.
        near: float in metres.
        far: float in metres.
        key: str, the task key. Samples without it stay as they are.

    Returns:
        dict with a new target.
    """
    if key not in sample:
        return sample
    depth = sample[key]
    xp = namespace(depth)
    return {**sample, key: xp.where((depth >= near) & (depth <= far), depth, xp.zeros_like(depth))}
