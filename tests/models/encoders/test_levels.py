import keras
import pytest

from keras_atinet import encoder_levels

LEVELS = {
    "ResNet50": {
        2: "conv1_relu",
        4: ("conv2_block1_out", "conv2_block3_out"),
        8: ("conv3_block1_out", "conv3_block4_out"),
        16: ("conv4_block1_out", "conv4_block6_out"),
        32: ("conv5_block1_out", "conv5_block3_out"),
    },
    "ResNet50V2": {
        2: "conv1_conv",
        4: ("conv2_block1_out", "conv2_block2_out"),
        8: ("conv2_block3_out", "conv3_block3_out"),
        16: ("conv3_block4_out", "conv4_block5_out"),
        32: ("conv4_block6_out", "post_relu"),
    },
    "VGG16": {
        1: ("block1_conv1", "block1_conv2"),
        2: ("block2_conv1", "block2_conv2"),
        4: ("block3_conv1", "block3_conv3"),
        8: ("block4_conv1", "block4_conv3"),
        16: ("block5_conv1", "block5_conv3"),
    },
    "MobileNetV2": {
        2: ("Conv1_relu", "block_1_expand_relu"),
        4: ("block_2_add", "block_3_expand_relu"),
        8: ("block_4_add", "block_6_expand_relu"),
        16: ("block_7_add", "block_13_expand_relu"),
        32: ("block_14_add", "out_relu"),
    },
    "MobileNetV3Large": {
        2: ("expanded_conv_add", "re_lu_1"),
        4: ("expanded_conv_2_add", "re_lu_5"),
        8: ("expanded_conv_4_add", "activation_1"),
        16: ("expanded_conv_7_add", "activation_13"),
        32: ("expanded_conv_13_add", "activation_19"),
    },
    "ConvNeXtTiny": {
        4: ("add", "add_2"),
        8: ("add_3", "add_5"),
        16: ("add_6", "add_14"),
        32: ("add_15", "add_17"),
    },
    "EfficientNetV2B0": {
        2: ("stem_activation", "block1a_project_activation"),
        4: "block2b_add",
        8: ("block3b_add", "block4a_expand_activation"),
        16: ("block4b_add", "block6a_expand_activation"),
        32: ("block6b_add", "top_activation"),
    },
    "DenseNet121": {
        2: "conv1_relu",
        4: ("conv2_block1_concat", "pool2_conv"),
        8: ("conv3_block1_concat", "pool3_conv"),
        16: ("conv4_block1_concat", "pool4_conv"),
        32: ("conv5_block1_concat", "relu"),
    },
    "InceptionV3": {
        2: ("activation", "activation_2"),
        4: ("activation_3", "activation_4"),
        8: ("mixed0", "mixed2"),
        16: ("mixed3", "mixed7"),
        32: ("mixed8", "mixed10"),
    },
    "Xception": {
        2: ("block1_conv1_act", "block1_conv2_act"),
        4: "add",
        8: "add_1",
        16: ("add_2", "add_10"),
        32: ("add_11", "block14_sepconv2_act"),
    },
}


def names(levels):
    return {
        level.stride: level.names if level.first is not level.last else level.names[0]
        for level in levels
    }


@pytest.mark.one_backend
@pytest.mark.parametrize("name", LEVELS)
def test_levels_of_applications(name, application):
    assert names(encoder_levels(application(name))) == LEVELS[name]


@pytest.mark.one_backend
@pytest.mark.parametrize("name", ["MobileNetV3Large", "VGG16"])
def test_a_classifier_and_a_fixed_size_do_no_harm(name, application):
    model = application(name, include_top=True, input_shape=(224, 224, 3))
    assert names(encoder_levels(model)) == LEVELS[name]


def convolution(filters, strides=1, name=None):
    return keras.layers.Conv2D(filters, 3, strides, padding="same", name=name)


def plain(channels=3):
    """Convolutions at strides 1, 2 and 4, named by them."""
    x = image = keras.Input((None, None, channels))
    for stride in (1, 2, 4):
        x = convolution(4, 1 if stride == 1 else 2, f"first_{stride}")(x)
        x = convolution(4, name=f"last_{stride}")(x)
    return keras.Model(image, x, name="plain")


def test_a_level_is_shown_by_its_names():
    assert list(map(str, encoder_levels(plain()))) == [
        f"stride {stride}: first_{stride} (4 channels) ... last_{stride} (4 channels)"
        for stride in (1, 2, 4)
    ]


def test_scaling_is_no_feature_and_branches_that_stay_apart_are_none():
    image = keras.Input((32, 32, 3))
    x = convolution(4, 2, "stem")(keras.layers.Rescaling(1 / 255)(image))
    branches = [convolution(4, 2, name)(x) for name in ("left", "right")]
    x = keras.layers.Add(name="joined")(branches)
    assert names(encoder_levels(keras.Model(image, x))) == {2: "stem", 4: "joined"}


def test_padding_and_pooling_are_no_features_as_operations_either():
    image = keras.Input((32, 32, 3))
    x = keras.ops.pad(convolution(4, 2, "stem")(image), ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = convolution(4, 1, "end")(keras.ops.max_pool(x, 3, 2))
    assert names(encoder_levels(keras.Model(image, x))) == {2: "stem", 4: "end"}


def test_the_size_that_a_layer_insists_on_gives_the_stride():
    image = keras.Input((32, 48, 3))
    x = convolution(4, 2, "stem")(image)
    x = keras.layers.Reshape((16, 24, 4))(x)
    x = convolution(4, 2, "end")(x)
    assert names(encoder_levels(keras.Model(image, x)))[4] == "end"


def test_of_several_outputs_the_last_counts():
    model = plain()
    features = [level.last for level in encoder_levels(model)]
    assert names(encoder_levels(keras.Model(model.inputs, features))) == names(
        encoder_levels(model)
    )


def test_features_by_name():
    model = plain()
    levels = encoder_levels(model, {4: ("first_4", "last_4"), 2: "first_2"})
    assert names(levels) == {2: "first_2", 4: ("first_4", "last_4")}


def sequential():
    return keras.Sequential([keras.layers.Rescaling(1 / 255), plain()], name="wrapped")


class Subclassed(keras.Model):
    pass


class Overridden(keras.Model):
    """A graph that does not tell what the model computes."""

    def __init__(self):
        model = plain()
        super().__init__(model.inputs, model.outputs)

    def call(self, inputs):
        return 2 * super().call(inputs)


def two_inputs():
    images = [keras.Input((None, None, 3)) for _ in range(2)]
    return keras.Model(images, keras.layers.Add()(images))


def vectors():
    image = keras.Input((8, 8, 3))
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(image), name="vectors")


@pytest.mark.one_backend
@pytest.mark.parametrize(
    ("model", "features", "message"),
    [
        ("resnet50", None, r"functional `keras.Model`.*Received: 'resnet50'"),
        (Subclassed, None, r"functional `keras.Model`, whose graph.*Received: <Subclassed"),
        (Overridden, None, r"functional `keras.Model`, whose graph.*Received: <Overridden"),
        (two_inputs, None, r"takes one image.*inputs of shapes \[\(None, None, None, 3\), \("),
        (vectors, None, r"at two strides or more.*'vectors', where none.*shapes \[\(None, 3\)\]"),
        (sequential, None, r"within its layers \['plain'\] are not seen: .*preprocessing="),
        (plain, {}, r"at least two strides.*Received: encoder_features=\{\}"),
        (plain, {3: "last_2"}, r"powers of two.*Received: encoder_features=\{3: 'last_2'\}"),
        (plain, {4: ("a", "b", "c")}, r"one name for each stride, or two.*for stride 4"),
        (plain, {4: 5}, r"one name for each stride, or two.*Received: 5 for stride 4"),
        (plain, {2: "lost_2"}, r"names 'lost_2', which 'plain' does not have. It has \['last_2'"),
        (plain, {2: "last_4"}, r"has 'last_4' for stride 2, but it has stride 4 in 'plain'"),
        (sequential, {2: "last_2"}, r"It is within its layer 'plain': give that one as"),
    ],
)
def test_what_is_no_encoder(model, features, message):
    model = model() if callable(model) else model
    if isinstance(model, keras.Sequential):
        model.build((None, 32, 32, 3))
    with pytest.raises(ValueError, match=message):
        encoder_levels(model, features)
