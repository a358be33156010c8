import keras
import numpy as np
import pytest

from keras_atinet import MTAN, ATINet, MultiTaskModel
from keras_atinet.balancing import PCGrad
from keras_atinet.layers import AttentionMask, ConvBlock
from keras_atinet.models.heads import prediction_heads
from keras_atinet.tasks import standardize_tasks
from keras_atinet.training.remat import RematerializedModel

one_backend = pytest.mark.one_backend


class Branches(MultiTaskModel):
    """Two shared features, read by a segment for each task, with a block that all have."""

    def __init__(self, tasks, input_shape, filters, remat=None):
        tasks = standardize_tasks(tasks)
        image = keras.Input(input_shape, name="image")
        x = ConvBlock(filters[0], name="first")(image)
        y = ConvBlock(filters[0], name="second")(x)
        block = ConvBlock(filters[0], name="block")
        features = {}
        for task in tasks:
            mask = AttentionMask(filters[0], name=f"{task.name}_mask")(x)
            features[task.name] = block(keras.layers.Multiply()([mask, y]))
        segments = [([x, y], features[task.name]) for task in tasks] if remat else []
        outputs = prediction_heads(features, tasks, filters)
        super().__init__(image, outputs, tasks, {}, [x, y], segments)


@pytest.mark.parametrize(
    ("network", "over"),
    [
        (Branches, None),
        (Branches, "shared_weights"),
        pytest.param(MTAN, None, marks=one_backend),
        pytest.param(MTAN, "shared_weights", marks=one_backend),
        pytest.param(ATINet, None, marks=one_backend),
    ],
)
def test_a_step_changes_nothing_but_memory(network, over, make, batch, values):
    images, targets = batch
    trained = []
    targets.pop("normal")
    for remat in (None, "attention"):
        model = make(
            network,
            optimizer=keras.optimizers.SGD(1e-2),
            balancer="equal" if over is None else PCGrad(over=over, seed=0),
            remat=remat,
        )
        model.train_on_batch(images, targets)
        trained.append(values(model.variables))
    plain, rematerialized = trained
    for a, b in zip(plain, rematerialized, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_activations_are_not_kept(make, batch):
    # Of the segments only the inputs are: with what the rest keeps, far less than half.
    torch = pytest.importorskip("torch")
    if keras.backend.backend() != "torch":
        pytest.skip("only PyTorch tells what it keeps")
    images, targets = batch
    kept = []
    for remat in (None, "attention"):
        model = make(MTAN, tasks=tuple(targets), remat=remat)
        sizes = {}

        def pack(tensor, sizes=sizes):
            sizes[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model.network_split.predictions(keras.ops.convert_to_tensor(images), [])
        kept.append(sum(sizes.values()))
    assert kept[1] < 0.6 * kept[0]


def test_xla_gives_the_backward_pass_less_memory():
    # XLA merges equal computations where it can, and then nothing is saved.
    jax = pytest.importorskip("jax")
    if keras.backend.backend() != "jax":
        pytest.skip("only JAX tells what a program will take")
    x = image = keras.Input((32, 64, 3))
    segments = []
    for _ in range(6):
        output = ConvBlock(4)(ConvBlock(4)(x))
        segments.append(([x], output))
        x = output
    inputs = [image]
    plain = keras.Model(inputs, ConvBlock(4)(x))
    remat = RematerializedModel(inputs, inputs, segments, plain.output)
    images = np.zeros((4, 32, 64, 3), "float32")

    def taken(network):
        def objective(values):
            with keras.StatelessScope(list(zip(plain.variables, values, strict=True))):
                return keras.ops.sum(network([images], training=True) ** 2)

        values = [variable.value for variable in plain.variables]
        program = (
            jax.jit(jax.grad(objective))
            .lower(values)
            .compile({"xla_backend_optimization_level": 3})
        )
        return program.memory_analysis().temp_size_in_bytes

    assert taken(remat) < 0.6 * taken(plain)


@one_backend
def test_saved_and_loaded(make, tmp_path):
    model = make(ATINet, remat="attention")
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").get_config()["remat"] == "attention"


def test_unknown_remat(make):
    with pytest.raises(ValueError, match="must be None or 'attention'"):
        make(MTAN, remat="all")
