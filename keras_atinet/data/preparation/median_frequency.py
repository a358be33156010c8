"""Weights of classes that balance their frequencies."""

import numpy as np

from keras_atinet.data.batching.parallel import default_workers, in_order
from keras_atinet.data.kinds import kind_of
from keras_atinet.data.parts import Subset
from keras_atinet.data.preparation.statistics import ClassCounter

_LARGEST = 10.0


def class_weights(source, key="segmentation", num_samples=500):
    """Weights of classes by median frequency balancing, for `SemanticSegmentation`.

    `w_c = min(median(f) / f_c, 10)`, where `f_c` is the number of pixels of class `c` divided by
    the number of pixels with a label in the samples that have class `c`, and the median is over
    the classes that occur. A class that does not occur has the weight 1.

    Args:
        source: a `Source`.
        key: str, the task key.
        num_samples: int, samples to count at most, evenly spaced.

    Returns:
        List of float, one for each class.

    Raises:
        ValueError: if the source has no such task, it has no classes, or no pixel has a label.

    Example:
        >>> weights = class_weights(Rooms(100))
        >>> task = keras_atinet.SemanticSegmentation(13, class_weights=weights)

    Reference: Eigen and Fergus, "Predicting Depth, Surface Normals and Semantic Labels with a
    Common Multi-Scale Convolutional Architecture", ICCV 2015.
    """
    classes = [key for key, facts in source.tasks.items() if kind_of(key, facts) == "segmentation"]
    if key not in classes:
        raise ValueError(
            f"Only tasks with classes have class weights. Received: key={key!r}. "
            f"Those of the source are {classes}."
        )
    part, counter = Subset(source, num_samples), ClassCounter(source.tasks[key])
    for sample in in_order(part.__getitem__, range(len(part)), default_workers()):
        if key in sample:
            counter.add(sample[key])
    occurs = counter.counts > 0
    if not occurs.any():
        raise ValueError(
            f"Class weights need labels. Received: {len(part)} samples in which no pixel of "
            f"{key!r} has one."
        )
    frequencies = counter.counts[occurs] / counter.around[occurs]
    weights = np.ones(len(occurs))
    weights[occurs] = np.minimum(np.median(frequencies) / frequencies, _LARGEST)
    return weights.tolist()
