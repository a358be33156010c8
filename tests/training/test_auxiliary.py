"""Auxiliary outputs: trained, and nothing else."""

import keras
import numpy as np
import pytest

from keras_atinet import DepthEstimation, MultiTaskModel, PADNet, from_preset
from keras_atinet.balancing import Equal, GradientBalancer
from keras_atinet.layers import ConvBlock, PredictionHead
from keras_atinet.models.auxiliary import standardize_auxiliary
from keras_atinet.tasks import standardize_tasks

WEIGHT = 0.25


@keras.saving.register_keras_serializable(package="tests")
class WithAuxiliary(MultiTaskModel):
    """Two initial predictions of the first task, none of the second, one of the auxiliary task."""

    def __init__(
        self,
        tasks,
        input_shape,
        filters,
        dtype=None,
        name="with_auxiliary",
        auxiliary_weight=WEIGHT,
        auxiliary_tasks=(),
    ):
        tasks = standardize_tasks(tasks)
        auxiliary_tasks = standardize_auxiliary(tasks, auxiliary_tasks, auxiliary_weight, "Model")
        image = keras.Input(input_shape, name="image")
        x = ConvBlock(filters[0], dtype=dtype, name="encoder")(image)
        features = {
            task.name: ConvBlock(filters[0], 1, dtype=dtype, name=f"{task.name}_features")(x)
            for task in [*tasks, *auxiliary_tasks]
        }
        auxiliary = {
            task.name: [
                PredictionHead(task, dtype=dtype, name=f"{task.name}_auxiliary_{n}")(
                    features[task.name]
                )
                for n in range(count)
            ]
            for task, count in [(tasks[0], 2), *((task, 1) for task in auxiliary_tasks)]
        }
        joined = ConvBlock(filters[0], dtype=dtype, name="joined")(list(features.values()))
        outputs = {
            task.name: PredictionHead(task, dtype=dtype, name=task.name)(joined) for task in tasks
        }
        super().__init__(
            image,
            outputs,
            tasks,
            {"input_shape": input_shape, "filters": filters},
            [x],
            dtype=dtype,
            name=name,
            auxiliary=auxiliary,
            auxiliary_weight=auxiliary_weight,
            auxiliary_tasks=auxiliary_tasks,
        )


# Neither in the order of the alphabet.
TASKS = {"segmentation": 5, "depth": 1}


@pytest.fixture
def build(make):
    def build(auxiliary_tasks=("normal",), network=WithAuxiliary, **options):
        def with_tasks(**arguments):
            return network(auxiliary_tasks=auxiliary_tasks, **arguments)

        return make(with_tasks, TASKS, **options)

    return build


class Halving(Equal):
    """Weights of 1/2, so that what stands outside balancing shows; keeps what it is told."""

    def task_weights(self, losses, present):
        return present / 2

    def end_epoch(self, losses):
        self.told = losses


def expected_losses(model, images, targets):
    """Dict of the final losses and of the auxiliary ones, by the tasks' own losses."""
    network = keras.Model(model.input, {"final": model.output, "auxiliary": model.auxiliary})
    outputs = network(keras.ops.convert_to_tensor(images), training=True)
    losses = {}
    for task in model.all_tasks:
        target, mask = task.prepare(keras.ops.convert_to_tensor(targets[task.name]))
        weight = keras.ops.cast(mask, "float32")
        found = {
            f"{task.name}_loss": [outputs["final"].get(task.name)],
            f"{task.name}_auxiliary_loss": outputs["auxiliary"].get(task.name, [None]),
        }
        for name, predictions in found.items():
            if predictions[0] is not None:
                each = [task.loss()(target, y, sample_weight=weight) for y in predictions]
                losses[name] = sum(float(keras.ops.convert_to_numpy(loss)) for loss in each)
    return losses


def test_losses_and_what_is_balanced(build, batch):
    images, targets = batch
    expected = expected_losses(build(), images, targets)
    assert len(expected) == 4 and len({round(loss, 3) for loss in expected.values()}) == 4
    model = build(balancer=Halving(), metrics={}, run_eagerly=False)
    history = model.fit(images, targets, batch_size=4, verbose=0).history
    for name, loss in expected.items():
        np.testing.assert_allclose(history[name], loss, rtol=1e-4, err_msg=name)
    segmentation = expected["segmentation_loss"] + WEIGHT * expected["segmentation_auxiliary_loss"]
    balanced = [segmentation, expected["depth_loss"]]
    outside = WEIGHT * expected["normal_auxiliary_loss"]
    np.testing.assert_allclose(history["loss"], sum(balanced) / 2 + outside, rtol=1e-4)
    np.testing.assert_allclose(model.balancer.told, balanced, rtol=1e-4)


@pytest.mark.parametrize(
    "over", ["bottleneck", pytest.param("shared_weights", marks=pytest.mark.one_backend)]
)
def test_gradients_of_each_task_add_up(build, batch, values, over):
    results = []
    for balancer in ("equal", GradientBalancer(over)):
        model = build(balancer=balancer, optimizer=keras.optimizers.SGD(0.1), metrics={})
        before = values(model.trainable_variables)
        model.train_on_batch(*batch)
        results.append(values(model.trainable_variables))
        moved = [(one != other).any() for one, other in zip(before, results[-1], strict=True)]
        kernels = ["kernel" in variable.path for variable in model.trainable_variables]
        assert all(np.array(moved)[kernels])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_evaluation_knows_no_auxiliary_outputs(build, batch):
    images, targets = batch
    model = build()
    given = {name: targets[name] for name in TASKS}
    logs = model.evaluate(images, given, batch_size=4, verbose=0, return_dict=True)
    assert not any("auxiliary" in name or "normal" in name for name in logs)
    np.testing.assert_allclose(logs["loss"], logs["segmentation_loss"] + logs["depth_loss"])
    # In the order of the tasks, those that are only auxiliary last, which may be left out here.
    for names in (TASKS, targets):
        in_order = [targets[name] for name in names]
        same = model.evaluate(images, in_order, batch_size=4, verbose=0, return_dict=True)
        assert same == logs
        weights = [np.ones(len(images), "float32")] * len(names)
        same = model.evaluate(
            images, in_order, 4, sample_weight=weights, verbose=0, return_dict=True
        )
        assert same == logs
    assert set(model.predict(images, verbose=0)) == set(TASKS)
    with pytest.raises(ValueError, match=r"no target for the tasks \['normal'\]"):
        model.fit(images, given, verbose=0)


@pytest.mark.one_backend
def test_a_saved_network_trains_on(build, batch, tmp_path, values):
    model = build(balancer="dwa")
    model.train_on_batch(*batch)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.auxiliary_weight == WEIGHT and loaded.auxiliary_tasks[0].name == "normal"
    loaded.run_eagerly = model.run_eagerly
    losses = [each.train_on_batch(*batch, return_dict=True) for each in (model, loaded)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    heads = [layer.name for layer in loaded.auxiliary_layers]
    assert sorted(heads) == [
        "normal_auxiliary_0",
        "segmentation_auxiliary_0",
        "segmentation_auxiliary_1",
    ]
    # Nothing of them is left at inference; another network takes their weights.
    folded = model.for_inference()
    assert not [layer.name for layer in folded.layers if "auxiliary" in layer.name]
    other = build()
    other.load_matching_weights(model)
    pairs = zip(values(other.trainable_variables), values(model.trainable_variables), strict=True)
    for one, same in pairs:
        np.testing.assert_array_equal(one, same)


@pytest.mark.one_backend
@pytest.mark.parametrize("name", ["segmentation", "normal"])
def test_what_is_not_finite_is_named(build, batch, name):
    images, targets = batch
    loss = None
    if name == "normal":
        loss = {"normal": lambda y_true, y_pred: y_pred[..., 0] * np.inf}
    model = build(metrics={}, loss=loss)
    if name == "segmentation":
        # Finite weights, and logits whose differences are not.
        model.auxiliary_layers[-1].projection.bias.assign([3e38, *([-3e38] * 4)])
    with pytest.raises(FloatingPointError, match=f"The loss of '{name}' is not finite"):
        model.fit(images, targets, batch_size=4, verbose=0)


@pytest.mark.one_backend
def test_a_preset_has_all_weights(tmp_path, values):
    model = PADNet("depth", (32, 32, 3), (4,) * 5, supervised=True, auxiliary_tasks="normal")
    model.save_to_preset(tmp_path / "preset")
    loaded = from_preset(tmp_path / "preset")
    assert len(loaded.auxiliary_layers) == 2
    for one, other in zip(values(loaded.weights), values(model.weights), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.one_backend
@pytest.mark.parametrize(
    "options, message",
    [
        ({"supervised": True, "auxiliary_weight": -1}, "auxiliary_weight.*finite number"),
        ({"supervised": True, "auxiliary_weight": True}, "auxiliary_weight.*finite number"),
        ({"supervised": True, "auxiliary_tasks": "depth"}, r"\['depth'\] in both"),
        ({"auxiliary_tasks": "normal"}, "supervised=True"),
        ({"auxiliary_weight": 0.5}, "supervised=True"),
        ({"gate": "both"}, "gate.*'sender', 'receiver'"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        PADNet("depth", (32, 32, 3), (4,) * 5, **options)


@pytest.mark.one_backend
def test_a_task_with_the_name_of_a_log(make):
    tasks = [DepthEstimation(), DepthEstimation(name="depth_auxiliary")]
    with pytest.raises(ValueError, match=r"'depth_auxiliary_loss' for .* and for"):
        make(WithAuxiliary, tasks)
