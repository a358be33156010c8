"""What PAP-Net and CTAL have beyond the contract of every network: the matrices and their size."""

import re

import keras
import numpy as np
import pytest

from keras_atinet import CTAL, PAPNet
from keras_atinet.models.affinity import standardize_affinity_size

SHAPE = (32, 64, 3)
one_backend = pytest.mark.one_backend


def make(network, **options):
    with keras.StatelessScope():
        return network({"depth": 1, "normal": 3}, SHAPE, (4,) * 5, **options)


@one_backend
@pytest.mark.parametrize("network", [PAPNet, CTAL])
def test_the_size_of_the_affinity(network):
    model = make(network, encoder=None)
    assert model.get_config()["affinity_size"] == (4, 8)
    assert model.get_layer("depth_affinity").output.shape == (None, 32, 32)
    model = make(network, affinity_size=[2, 3], auxiliary_tasks="segmentation")
    assert model.get_config()["affinity_size"] == (2, 3)
    assert {"depth_affinity", "segmentation_affinity"} <= {layer.name for layer in model.layers}
    assert "segmentation" not in model.output


@pytest.mark.backend_free
def test_sizes_that_are_refused():
    check = standardize_affinity_size
    assert check(None, (33, 64, 3), 4, "float32", "CTAL") == (5, 8)
    for size in (3, (0, 4), (2.0, 4), (True, 4), (1, 2, 3)):
        with pytest.raises(ValueError, match=r"two positive ints.*Received: affinity_size="):
            check(size, SHAPE, 4, "float32", "CTAL")
    # 4 * 4 bytes * (100 * 200) ** 2 = 5.96 GiB
    message = r"keeps 4 matrices.*2 GiB at most.*\(100, 200\), 6\.0 GiB.*Use e\.g\. affinity_size="
    with pytest.raises(ValueError, match=message) as error:
        check((100, 200), SHAPE, 4, "float32", "PAPNet")
    fitting = tuple(map(int, re.findall(r"\d+", str(error.value).split("Use")[1])))
    assert check(fitting, SHAPE, 4, "float32", "PAPNet") == fitting
    assert min(fitting) > 70
    assert check((90, 180), SHAPE, 4, "mixed_bfloat16", "PAPNet") == (90, 180)
    with pytest.raises(ValueError, match="an eighth of the image, by default"):
        check(None, (1024, 2048, 3), 4, "float32", "PAPNet")


@one_backend
@pytest.mark.parametrize("network", [PAPNet, CTAL])
def test_images_of_another_size(network, apply):
    """The affinity keeps its size."""
    model = network("depth", SHAPE, (4,) * 5)
    image = np.random.default_rng(0).random((1, 64, 96, 3), dtype="float32")
    outputs = apply(model.for_inference(image.shape[1:]), image)["depth"]
    assert outputs.shape == (1, 64, 96, 1) and outputs.std() > 0
    dynamic = apply(model.for_inference((None, None, 3)), image)["depth"]
    np.testing.assert_allclose(dynamic, outputs, atol=1e-5)


@one_backend
@pytest.mark.parametrize("network", [PAPNet, CTAL])
def test_many_pixels_in_float16(network, apply):
    """Sums over 2048 pixels do not overflow."""
    model = network("depth", SHAPE, (4,) * 5, dtype="mixed_float16", affinity_size=(32, 64))
    image = 100 * np.random.default_rng(0).random((1, *SHAPE), dtype="float32")
    for training in (False, True):
        outputs = apply(lambda x, training=training: model(x, training=training), image)
        assert np.isfinite(outputs["depth"]).all()


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (PAPNet, {"steps": 0}, "`steps`"),
        (CTAL, {"gamma": 2}, "`gamma`"),
        (CTAL, {"affinity_size": (300, 300)}, "`CTAL` compares all pixels"),
        (PAPNet, {"distillation_stride": 3.5}, "`distillation_stride` of `PAPNet`"),
        (CTAL, {"auxiliary_tasks": "depth"}, "`auxiliary_tasks` of `CTAL`"),
    ],
)
def test_bad_arguments(network, options, message):
    with pytest.raises(ValueError, match=message):
        make(network, **options)
