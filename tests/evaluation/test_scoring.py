"""One loop: of `evaluate`, of functions and of reports, with the numbers of `model.evaluate`."""

import keras
import numpy as np
import pytest

from keras_atinet import evaluation
from keras_atinet.evaluation.scoring import with_averaging
from keras_atinet.report.samples import score_samples

EAGER = keras.backend.backend() == "tensorflow"


def flat(results):
    return {f"{task}_{name}": v for task, values in results.items() for name, v in values.items()}


def assert_close(actual, expected):
    assert actual.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("averaging", ["pixel", "batch"])
def test_every_way_to_evaluate_gives_the_same_numbers(samples, make_model, averaging):
    # The first batch has no depth at all, the second of one image only, the third no normals.
    batches, model = samples(depth=[0, 1, 3], normal=[4]), make_model(averaging)
    model.compile(run_eagerly=EAGER)
    logs = model.evaluate(batches, verbose=0, return_dict=True)
    loss = logs.pop("loss")
    results = evaluation.evaluate(model, batches)
    assert_close(flat(results), logs)
    other = make_model("pixel" if averaging == "batch" else "batch")
    assert_close(flat(evaluation.evaluate(other, batches, averaging)), logs)
    predict = lambda images: model.predict(images, verbose=0)  # noqa: E731
    assert_close(flat(evaluation.evaluate_function(model.tasks, predict, batches)), logs)
    assert_close(flat(score_samples(model, batches).results), logs)
    # The sum of the tasks, whichever images have labels, and of the losses added by layers.
    kernel = keras.ops.convert_to_numpy(model.layers[1].kernel)
    total = sum(values["loss"] for values in results.values()) + 0.1 * np.sum(kernel**2)
    np.testing.assert_allclose(loss, total, rtol=1e-5)
    # A short reference: batches count by their images with depth, pixels or batches equally.
    depth = batches.targets["depth"]
    error = np.abs(model.predict(batches.images, verbose=0)["depth"] - depth)
    means = [np.mean(error[i][depth[i] > 0]) for i in (slice(2, 4), slice(4, 5))]
    np.testing.assert_allclose(results["depth"]["loss"], np.mean(means), rtol=1e-5)
    expected = np.mean(error[depth > 0]) if averaging == "pixel" else np.mean(means)
    np.testing.assert_allclose(results["depth"]["abs_error"], expected, rtol=1e-5)


def state(model):
    """What `compile` set, the values of all variables, and how the tasks average."""
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    objects = (model.optimizer, model.balancer, *model.metrics, *model.tasks)
    return (
        [id(value) for value in objects],
        (model.jit_compile, model.run_eagerly, model.steps_per_execution, model.skips_nonfinite),
        [task.averaging for task in model.tasks],
        [np.array(keras.ops.convert_to_numpy(variable)).tolist() for variable in variables],
    )


class Interrupted:
    def __init__(self, batches):
        self.batches = batches

    def as_numpy_iterator(self):
        yield self.batches[0]
        raise KeyboardInterrupt


def test_a_model_stays_as_it_is(samples, make_model):
    batches, model = samples(), make_model()
    options = {"run_eagerly": EAGER, "on_nonfinite": "skip"}
    if keras.backend.backend() != "torch":
        options["steps_per_execution"] = 2
    metrics = {"depth": [keras.metrics.MeanSquaredError(name="mse")]}
    model.compile(keras.optimizers.SGD(0.01, 0.9), "dwa", metrics=metrics, **options)
    model.fit(batches, epochs=2, verbose=0)
    before, config = state(model), model.get_compile_config()
    found = evaluation.evaluate(model, batches, "batch")
    assert "rmse" in found["depth"] and state(model) == before
    with pytest.raises(KeyboardInterrupt):
        evaluation.evaluate(model, Interrupted(batches), "batch")
    assert state(model) == before and model.get_compile_config() == config
    model.fit(batches, verbose=0)


def test_a_model_that_is_not_compiled_stays_so(samples, make_model, capsys):
    model = make_model()
    evaluation.evaluate(model, samples(), verbose=2)
    assert not model.compiled and "3/3" in capsys.readouterr().out


@pytest.mark.one_backend
def test_a_task_averages_in_another_way_without_being_changed(make_model):
    task = make_model().tasks[0]
    other = with_averaging(task, "batch")
    assert other.averaging == "batch" and task.averaging == "pixel"
    assert other.get_config() == {**task.get_config(), "averaging": "batch"}
    assert with_averaging(task, None) is with_averaging(task, "pixel") is task
