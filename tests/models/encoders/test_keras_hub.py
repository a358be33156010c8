"""Real backbones of keras-hub, small; not installed for the suite, see CONTRIBUTING.md."""

import keras
import numpy as np
import pytest

import keras_atinet

keras_hub = pytest.importorskip("keras_hub", reason="needs keras-hub")
models = keras_hub.models
WIDTHS = [8, 16, 24, 32]


def resnet(use_pre_activation=False):
    return models.ResNetBackbone(
        [64],
        [7],
        [64, *WIDTHS[1:]],
        [1, 2, 1, 1],
        [1, 2, 2, 2],
        block_type="basic_block" if use_pre_activation else "bottleneck_block",
        use_pre_activation=use_pre_activation,
    )


def mit():
    return models.MiTBackbone(
        hidden_dims=WIDTHS,
        num_layers=4,
        layerwise_depths=[1, 2, 1, 1],
        layerwise_num_heads=[1, 1, 2, 2],
        layerwise_sr_ratios=[8, 4, 2, 1],
        layerwise_patch_sizes=[7, 3, 3, 3],
        layerwise_strides=[4, 2, 2, 2],
        max_drop_path_rate=0.1,
        image_shape=(64, 64, 3),
    )


def efficientnet():
    return models.EfficientNetBackbone(
        stackwise_width_coefficients=[1.0] * 4,
        stackwise_depth_coefficients=[1.0] * 4,
        stackwise_kernel_sizes=[3, 3, 5, 3],
        stackwise_num_repeats=[1, 2, 2, 1],
        stackwise_input_filters=[16, 8, 16, 24],
        stackwise_output_filters=[8, 16, 24, 32],
        stackwise_expansion_ratios=[1, 4, 4, 4],
        stackwise_strides=[1, 2, 2, 2],
        stackwise_squeeze_and_excite_ratios=[0.25] * 4,
        stackwise_block_types=["v1"] * 4,
        min_depth=8,
        include_stem_padding=True,
        use_depth_divisor_as_min_depth=True,
        cap_round_filter_decrease=True,
        stem_conv_padding="valid",
        batch_norm_momentum=0.9,
        batch_norm_epsilon=1e-5,
    )


def cspnet():
    return models.CSPNetBackbone(
        stem_filters=8,
        stem_kernel_size=3,
        stem_strides=1,
        stackwise_num_filters=WIDTHS[:3],
        stackwise_strides=[2, 2, 2],
        stackwise_depth=[1, 2, 1],
        block_type="dark_block",
        stage_type="dark",
    )


def transformer(name, **arguments):
    return getattr(models, name)(
        num_layers=2, hidden_dim=16, num_heads=2, intermediate_dim=32, **arguments
    )


def dinov2():
    arguments = {"image_shape": (70, 70, 3), "position_embedding_shape": (70, 70)}
    return transformer("DINOV2Backbone", patch_size=14, **arguments)


def dinov3():
    return transformer("DINOV3Backbone", patch_size=16, image_shape=(32, 32, 3))


WIDE, SQUARE = (64, 96, 3), (96, 96, 3)
TOKENS = "token_pyramid_upsample_4b", "token_pyramid_pool"
# Strides, the last feature of the finest and of the coarsest level, and the image's shape.
BACKBONES = {
    "resnet": (resnet, (2, 4, 8, 16, 32), None, WIDE),
    "resnet_v2": (lambda: resnet(True), (2, 4, 8, 16, 32), None, WIDE),
    "mit": (mit, (4, 8, 16, 32), ("output_level_0", "output_level_3"), SQUARE),
    "efficientnet": (efficientnet, (2, 4, 8, 16), ("block1a_project_bn", "top_activation"), WIDE),
    "cspnet": (cspnet, (1, 2, 4, 8), None, WIDE),
    "dinov2": (dinov2, (4, 8, 16, 32), TOKENS, SQUARE),
    "dinov3": (dinov3, (4, 8, 16, 32), TOKENS, WIDE),
}


@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
@pytest.mark.parametrize("name", BACKBONES)
def test_keras_hub(name, tmp_path):
    build, strides, names, shape = BACKBONES[name]
    backbone = build()
    levels = keras_atinet.encoder_levels(backbone)
    assert tuple(level.stride for level in levels) == strides
    assert names in (None, (levels[0].names[1], levels[-1].names[1]))

    options = {"encoder": backbone, "preprocessing": "torch", "decoder": "segformer"}
    model = keras_atinet.Split(("segmentation", "depth"), shape, (4, 4, 4, 4, 4), **options)
    copied = {tuple(weight.shape) for weight in model.encoder.get_weights()}
    assert {tuple(weight.shape) for weight in backbone.get_weights()} <= copied | {(1, 26, 16)}

    random = np.random.default_rng(0)
    images = random.random((2, *shape), "float32")
    targets = {
        "segmentation": random.integers(0, 13, (2, *shape[:2])),
        "depth": random.random((2, *shape[:2], 1), "float32") + 1,
    }
    model.compile("adam")
    assert np.isfinite(model.train_on_batch(images, targets)).all()

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    expected, outputs = model.predict(images, verbose=0), loaded.predict(images, verbose=0)
    for task, output in outputs.items():
        np.testing.assert_allclose(output, expected[task], atol=1e-5)


@pytest.mark.parametrize("build", [mit, dinov2])
def test_backbones_for_squares(build):
    with pytest.raises(ValueError, match=r"keras-hub cannot be built.*\(64, 96, 3\).*squares only"):
        keras_atinet.Split("depth", WIDE, encoder=build())
