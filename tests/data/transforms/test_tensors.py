"""Transforms take tensors of each backend as well."""

import functools

import keras
import numpy as np
import pytest

from keras_atinet.data import (
    Rooms,
    adjust_color,
    mask_depth,
    mask_labels,
    mirror,
    normalize_image,
    scale_crop,
)

TRANSFORMS = {
    "mirror": mirror,
    "scale_crop": functools.partial(scale_crop, scale=1.3, position=(0.2, 0.9)),
    "color": functools.partial(adjust_color, brightness=1.1, contrast=0.8, saturation=1.3),
    "normalize": functools.partial(normalize_image, mean=[0.4, 0.5, 0.6], std=0.2),
    "labels": functools.partial(mask_labels, keep=[1, 3]),
    "range": functools.partial(mask_depth, near=2, far=4),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_arrays_and_tensors_give_the_same(transform):
    sample = Rooms(1, (12, 16))[0]
    sample["segmentation"][0, 0], sample["normal"][0, 0] = -1, 0
    before = {key: value.copy() for key, value in sample.items()}
    expected = transform(sample)
    actual = transform({key: keras.ops.convert_to_tensor(value) for key, value in sample.items()})
    assert list(expected) == list(actual) == list(sample)
    for key, value in expected.items():
        assert value.dtype == sample[key].dtype and value.shape == sample[key].shape
        array = keras.ops.convert_to_numpy(actual[key])
        assert array.dtype == value.dtype
        np.testing.assert_allclose(array, value, atol=1e-5)
        np.testing.assert_array_equal(sample[key], before[key])
