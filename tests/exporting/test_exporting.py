"""Exported files, each in its own runtime, against Keras."""

import functools

import keras
import numpy as np
import pytest

import keras_atinet
from keras_atinet import exporting, layers
from keras_atinet.exporting import FORMATS, ExportedModel, export_model, quantize
from keras_atinet.exporting.formats import is_written_by
from keras_atinet.models.heads import prediction_heads
from keras_atinet.tasks import standardize_tasks

SHAPE = (64, 96, 3)
HERE = [
    name
    for name, form in FORMATS.items()
    if form.backend == keras.backend.backend() and is_written_by(keras.version(), form)
]


def randomize(model):
    """Weights whose outputs depend on the image and on every layer."""
    random = np.random.default_rng(0)
    for weight in model.trainable_variables:
        scale = np.sqrt(2 / np.prod(weight.shape[:3])) if len(weight.shape) == 4 else 0.1
        offset = 1 if weight.name == "gamma" else 0
        weight.assign(offset + scale * random.standard_normal(weight.shape))
    return model


@keras.saving.register_keras_serializable(package="tests")
class Parts(keras_atinet.ATINet):
    """All kinds of modules that networks are made of, once each for every task."""

    def __init__(self, tasks, input_shape, width=4, dtype=None, name="parts"):
        tasks = standardize_tasks(tasks)
        names = [task.name for task in tasks]
        image = keras.Input(input_shape, name="image")
        x = layers.ConvBlock(width, dtype=dtype, name="encoder_1")(image)
        pooled, argmax = layers.MaxPooling2DWithArgmax(dtype=dtype, name="pooling_1")(x)
        x = layers.ConvBlock(2 * width, dtype=dtype, name="encoder_2")(pooled)
        x = layers.MaxPooling2D(dtype=dtype, name="pooling_2")(x)
        x = layers.ResidualBlock(width)(layers.BilinearUpSampling2D()(x))
        x = layers.MaxUnpooling2D(dtype=dtype, name="unpooling")(x, argmax)
        widths = [width, width, width]
        distilled = layers.TaskDistillation(names, widths, dtype=dtype, name="distillation")(x)
        features = {}
        for name in names:
            mask = layers.AttentionMask(width, dtype=dtype, name=f"{name}_mask")(x)
            features[name] = keras.layers.Multiply(name=f"{name}_attended")([mask, distilled])
        outputs = prediction_heads(features, tasks, (width,), dtype=dtype)
        config = {"input_shape": input_shape, "width": width}
        keras_atinet.MultiTaskModel.__init__(
            self, image, outputs, tasks, config, [x, distilled], dtype=dtype, name=name
        )


@pytest.fixture(scope="module")
def parts():
    model = Parts(("segmentation", "normal"), SHAPE)
    model.distillation_active = True
    return randomize(model)


def images(batch, height=SHAPE[0], width=SHAPE[1]):
    return np.random.default_rng(1).random((batch, height, width, 3), dtype="float32")


@functools.cache
def folded(model, shape):
    return model.for_inference(shape)


def assert_equal(path, model, x):
    outputs = ExportedModel(path)(x)
    assert set(outputs) == {task.name for task in model.tasks}
    expected = folded(model, x.shape[1:])(x)
    for name, output in outputs.items():
        assert output.shape == expected[name].shape
        difference = np.abs(output - keras.ops.convert_to_numpy(expected[name]))
        assert difference.mean() < 1e-4, name


def requires(format):
    for package in (*FORMATS[format].writers, exporting.RUNTIMES[format]):
        pytest.importorskip(package)


@pytest.mark.parametrize("format", HERE)
def test_fixed_size_any_batch(format, parts, tmp_path):
    requires(format)
    model = parts
    if format == "onnx":  # the default: a whole network
        model = randomize(keras_atinet.ATINet(("segmentation", "normal"), SHAPE, (4, 4, 8, 8, 8)))
        model.distillation_active = True
    path = export_model(model, tmp_path / f"model{FORMATS[format].suffix}", format)
    for batch in (1, 3):
        assert_equal(path, model, images(batch))
    check_operators(path, format)
    metadata = ExportedModel(path).metadata
    assert metadata["image"]["shape"] == [None, *SHAPE] and metadata["image"]["range"] == [0, 1]
    segmentation, normal = (metadata["tasks"][name] for name in ("segmentation", "normal"))
    assert normal == {"kind": "normal", "channels": 3}
    assert segmentation["kind"] == "segmentation" and segmentation["channels"] == 13
    assert segmentation["class_names"] == model.tasks[0].class_names
    assert list(map(tuple, segmentation["class_colors"])) == model.tasks[0].class_colors


def check_operators(path, format):
    """Whatever runs the format runs this file."""
    if format == "onnx":
        import onnx

        graph = onnx.load(path).graph
        for value in (*graph.input, *graph.output):
            sizes = [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
            assert sizes[:3] == ["batch", *SHAPE[:2]]
        nodes = graph.node
        assert {node.domain for node in nodes} <= {""}
        assert "BatchNormalization" not in {node.op_type for node in nodes}
    if format == "litert":
        from ai_edge_litert.interpreter import Interpreter

        operators = {details["op_name"] for details in Interpreter(str(path))._get_ops_details()}
        assert not [name for name in operators if name.startswith(("Flex", "Custom"))]


@pytest.mark.parametrize("format", HERE)
def test_any_size_fixed_batch(format, parts, tmp_path):
    requires(format)
    path = tmp_path / f"model{FORMATS[format].suffix}"
    export_model(parts, path, format, input_shape=(None, None, 3), batch_size=2)
    for size in ((96, 64), (128, 160)):
        assert_equal(path, parts, images(2, *size))


@pytest.mark.skipif("onnx" not in HERE, reason="written on TensorFlow")
def test_an_encoder_in_onnx(tmp_path):
    """As ConvNeXt has it: a GELU, groups; and sizes that are no multiples of each other."""
    requires("onnx")
    x = image = keras.Input((20, 40, 3))
    for stride in (2, 4, 8):
        options = {"padding": "same", "name": f"stride_{stride}"}
        x = keras.layers.Conv2D(6, 3, 2, groups=6 if stride > 2 else 1, **options)(x)
        x = keras.layers.Activation("gelu")(keras.layers.BatchNormalization()(x))
    model = keras_atinet.Split(
        ("depth", "normal"),
        (20, 40, 3),
        (4,) * 5,
        encoder=keras.Model(image, x),
        encoder_features={4: "stride_4", 8: "stride_8"},  # 5 x 10 and 3 x 5
        preprocessing="unit",
        decoder="segformer",
    )
    path = export_model(randomize(model), tmp_path / "model.onnx")
    assert_equal(path, model, images(2, 20, 40))


@pytest.mark.skipif("onnx" not in HERE, reason="written on TensorFlow")
@pytest.mark.parametrize("format", exporting.QUANTIZED)
def test_int8(format, parts, tmp_path):
    requires(format)
    pytest.importorskip("nncf")
    suffix = FORMATS[format].suffix
    path = export_model(parts, tmp_path / f"model{suffix}", format)
    x = images(8)
    out = quantize(path, tmp_path / f"int8{suffix}", (image[None] for image in x))
    exact, coarse = ExportedModel(path)(x), ExportedModel(out)(x)
    error = np.abs(coarse["normal"] - exact["normal"]).mean()
    assert 0 < error < 0.3 * exact["normal"].std()
    assert ExportedModel(out).metadata == ExportedModel(path).metadata
    with pytest.raises(ValueError, match="another file"):
        quantize(path, path, x)


def test_old_versions_of_keras():
    assert is_written_by("3.12.4", FORMATS["onnx"]) and not is_written_by("3.9.0", FORMATS["onnx"])
    assert is_written_by("3.15.0", FORMATS["torch"])
    assert not is_written_by("3.14.1", FORMATS["torch"])


def test_errors(parts, tmp_path):
    with pytest.raises(ValueError, match="one of"):
        export_model(parts, tmp_path / "model", "coreml")
    with pytest.raises(FileNotFoundError):
        ExportedModel(tmp_path / "none.onnx")
    (tmp_path / "model.txt").write_text("")
    with pytest.raises(ValueError, match=r"'\.onnx'"):
        ExportedModel(tmp_path / "model.txt")
    with pytest.raises(ValueError, match="can be quantized"):
        quantize(tmp_path / "model.pt2", tmp_path / "int8.pt2", [])
    for format, form in FORMATS.items():
        if form.backend != keras.backend.backend():
            with pytest.raises((ValueError, ImportError), match=form.backend):
                export_model(parts, tmp_path / "model.any", format)
        elif form.suffix:
            with pytest.raises(ValueError, match="ends with"):
                export_model(parts, tmp_path / "model.any", format)
