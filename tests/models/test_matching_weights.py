import keras
import numpy as np
import pytest

from keras_atinet import ATINet, CrossStitch, MTINet, SemanticSegmentation, SingleTask, Split

pytestmark = pytest.mark.one_backend
SHAPE, FILTERS = (32, 32, 3), (2, 2, 2, 2, 2)


def numbered(model, first=1000):
    """Gives each weight of a model values of its own, all above 1000."""
    for index, variable in enumerate(model.weights):
        variable.assign(np.full(variable.shape, first + index, "float32"))
    return model


def values(model):
    return {v.path: keras.ops.convert_to_numpy(v) for layer in model.layers for v in layer.weights}


def split(num_classes=5, filters=FILTERS):
    return Split([SemanticSegmentation(num_classes), "depth"], SHAPE, filters)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "split.keras"
    numbered(split()).save(path)
    return path


def test_another_number_of_classes(file):
    model = split(num_classes=7)
    before, source = values(model), values(keras.saving.load_model(file))
    matching = model.load_matching_weights(file)
    kept = ["segmentation/projection/kernel", "segmentation/projection/bias"]
    assert matching.kept == matching.unused == kept
    assert set(matching.taken) == set(source) - set(kept)
    assert "encoder_1_1/norm/moving_variance" in matching.taken
    for path, value in values(model).items():
        np.testing.assert_array_equal(value, (before if path in kept else source)[path])
    assert str(matching) == (
        f"{len(source) - 2} of {len(source)} taken\n  as they were: 2 in segmentation\n"
        "  not used: 2 in segmentation"
    )


def test_another_network_for_another_task(file):
    model = SingleTask("normal", SHAPE, FILTERS)
    source = values(keras.saving.load_model(file))
    matching = model.load_matching_weights(file)
    heads = {"segmentation", "depth", "normal"}
    assert {path.split("/")[0] for path in matching.kept} == {"normal"}
    assert {path.split("/")[0] for path in matching.unused} == heads - {"normal"}
    for path in matching.taken:
        np.testing.assert_array_equal(values(model)[path], source[path])
    model.compile()
    assert int(model.optimizer.iterations) == 0


def test_the_phase_is_taken_with_the_whole_distillation():
    other = ATINet(("segmentation", "depth"), SHAPE, FILTERS)
    other.distillation_active = True
    model = ATINet(("segmentation", "depth"), SHAPE, FILTERS)
    assert not model.load_matching_weights(other).kept
    assert model.distillation_active
    model = ATINet(("normal", "depth"), SHAPE, FILTERS)
    matching = model.load_matching_weights(other)
    assert "distillation/depth_deconv_head/block_1/conv/kernel" in matching.taken
    assert "distillation/share" in matching.kept and not model.distillation_active
    assert "as they were: " in str(matching) and " more layers" in str(matching)


def test_what_mixes_tasks_is_taken_by_the_same_tasks_in_the_same_order():
    source = CrossStitch(["depth", "normal"], SHAPE, FILTERS)
    for tasks, is_same in ((["depth", "normal"], True), (["normal", "depth"], False)):
        matching = CrossStitch(tasks, SHAPE, FILTERS).load_matching_weights(source)
        assert all("_unit_" in path for path in matching.kept + matching.unused)
        assert len(matching.kept) == len(matching.unused) == (0 if is_same else 10)
    source = MTINet(["depth", "normal"], SHAPE, FILTERS)
    matching = MTINet(["normal", "depth"], SHAPE, FILTERS).load_matching_weights(source)
    assert {path.split("_")[0] for path in matching.kept} == {"propagation"}


def test_names_do_not_depend_on_the_session():
    def network():
        image = keras.Input((4, 4, 3))
        x = keras.layers.Conv2D(2, 1)(image)
        return keras.Model(image, keras.layers.Conv2D(2, 1)(keras.layers.Dense(2)(x)))

    first, second = numbered(network()), network()
    assert first.layers[1].name != second.layers[1].name
    wide = Split("depth", (32, 32, 3), FILTERS)
    load = type(wide).load_matching_weights
    assert len(load(second, first).taken) == 6
    for new, old in zip(second.weights, first.weights, strict=True):
        np.testing.assert_array_equal(new, old)


def test_errors(file, tmp_path):
    with pytest.raises(ValueError, match=r"nothing fits \('encoder_1_1/.*\(3, 3, 3, 2\) for \(3,"):
        split(filters=(4, 4, 4, 4, 4)).load_matching_weights(file)
    with pytest.raises(ValueError, match=r"`other\.load_weights"):
        split().load_matching_weights(file.parent / "split.weights.h5")
    (tmp_path / "damaged.keras").write_bytes(b"PK\3\4 cut short")
    with pytest.raises(ValueError, match=r"damaged\. Received: .*damaged\.keras"):
        split().load_matching_weights(tmp_path / "damaged.keras")
    with pytest.raises(FileNotFoundError, match="none"):
        split().load_matching_weights(tmp_path / "none.keras")
