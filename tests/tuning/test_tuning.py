import copy
import types

import keras
import numpy as np
import pytest

import keras_atinet
from keras_atinet import evaluation
from keras_atinet.data import Batches, Rooms
from keras_atinet.evaluation import DeltaM, delta_m
from keras_atinet.layers import ConvBlock
from keras_atinet.models.heads import prediction_heads
from keras_atinet.tasks import standardize_tasks

keras_tuner = pytest.importorskip("keras_tuner")
tuning = pytest.importorskip("keras_atinet.tuning")
hyper_model = pytest.importorskip("keras_atinet.tuning.hyper_model")
tuner_utils = pytest.importorskip("keras_tuner.src.engine.tuner_utils")

TASKS = ("depth", "normal")
BASELINE = {"depth": {"abs_error": 0.5, "within_1.25": 0.4}, "normal": {"mean_angle": 40.0}}
SIZE = (32, 32)
SPACE = {"learning_rate", "width", "batch_size", "balancer", "temperature"}


def shallow(tasks, input_shape, filters):
    """A network that is built quickly: one block, then the heads."""
    inputs = keras.Input(input_shape, name="image")
    x = ConvBlock(filters[0], name="block")(inputs)
    outputs = prediction_heads({task.name: x for task in tasks}, tasks, filters)
    config = {"input_shape": input_shape, "filters": tuple(filters)}
    return keras_atinet.MultiTaskModel(inputs, outputs, tasks, config, [x])


def with_two_phases(**arguments):
    model = shallow(**arguments)
    model.distillation_active = False
    return model


def hypermodel(network=shallow, tasks=TASKS, **kwargs):
    return tuning.MultiTaskHyperModel(tasks, BASELINE, network, SIZE, **kwargs)


def fixed(**values):
    hp = keras_tuner.HyperParameters()
    for name, value in {"width": 1 / 16, "batch_size": 4, **values}.items():
        hp.Fixed(name, value)
    return hp


def names(hp):
    return {hyperparameter.name for hyperparameter in hp.space}


@pytest.mark.parametrize(
    "network, tasks, expected",
    [
        (with_two_phases, TASKS, SPACE | {"switch_at"}),
        (shallow, "depth", SPACE - {"balancer", "temperature"}),
    ],
)
def test_the_space(network, tasks, expected):
    hp = fixed()
    model = hypermodel(network, tasks).build(hp)
    assert names(hp) == expected
    assert model.get_config()["filters"] == (4, 8, 16, 32, 32)
    assert model.get_compile_config()["optimizer"]["class_name"] == "Adam"


def test_values_reach_the_model():
    hp = fixed(balancer="dwa", learning_rate=0.002)
    with hp.conditional_scope("balancer", ["dwa"]):
        hp.Fixed("temperature", 3.0)
    model = hypermodel().build(hp)
    assert model.balancer.temperature == 3.0
    assert float(model.optimizer.learning_rate) == pytest.approx(0.002)
    assert hypermodel().build(fixed(balancer="famo")).balancer.name.startswith("famo")


def test_an_encoder_varies_where_it_is_registered():
    given = {"encoder": "own", "decoder": "unet", "freeze_encoder": 2, "encoder_lr": 0.1}

    class Compiled(Exception):
        """Raised with what `compile` receives, in place of a network with an encoder."""

    def network(filters, tasks, input_shape, **arguments):
        def compile(optimizer, balancer, encoder_lr_multiplier):
            raise Compiled({**arguments, "encoder_lr": encoder_lr_multiplier})

        return types.SimpleNamespace(compile=compile)

    with pytest.raises(Compiled) as received:
        hypermodel(network).build(fixed(**given))
    assert received.value.args[0] == given


def test_the_space_can_be_narrowed_and_extended(tmp_path):
    class WithDecay(tuning.MultiTaskHyperModel):
        def optimizer(self, hp):
            decay = hp.Float("weight_decay", 1e-5, 1e-2, sampling="log")
            return keras.optimizers.AdamW(1e-3, weight_decay=decay)

    tuner = keras_tuner.RandomSearch(
        own := WithDecay(TASKS, BASELINE, shallow, SIZE),
        own.objective,
        hyperparameters=fixed(balancer="equal"),
        directory=tmp_path,
    )
    space = tuner.oracle.get_space()
    assert names(space) == {"width", "batch_size", "balancer", "temperature", "weight_decay"}
    values = tuner.oracle.create_trial("me").hyperparameters.values
    assert values["balancer"] == "equal" and "temperature" not in values


# KerasTuner around a `fit` that is tested on each, as is `DeltaM`.
@pytest.mark.one_backend
def test_delta_m_is_logged_and_decides(tmp_path):
    rooms = Rooms(8, SIZE), Rooms(4, SIZE, "test")
    hyper = hypermodel()
    options = {"hyperparameters": fixed(balancer="equal"), "directory": tmp_path}
    tuner = keras_tuner.RandomSearch(hyper, hyper.objective, max_trials=1, **options)
    tuner.search(rooms[0], validation_data=rooms[1], epochs=2, verbose=0)
    (trial,) = tuner.oracle.get_best_trials()
    assert trial.status == "COMPLETED", trial.message

    (model,) = tuner.get_best_models()
    results = evaluation.evaluate(model, hyper._batches(rooms[1], trial.hyperparameters))
    expected = delta_m(results, BASELINE, model.tasks)
    assert trial.score == pytest.approx(expected, rel=1e-3)
    by_hand = {
        "abs_error": 1 - results["depth"]["abs_error"] / 0.5,
        "within_1.25": results["depth"]["within_1.25"] / 0.4 - 1,
        "mean_angle": 1 - results["normal"]["mean_angle"] / 40.0,
    }
    assert expected == pytest.approx(100 * np.mean(list(by_hand.values())), rel=1e-4)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda baseline: baseline.pop("normal"), "nothing of task 'normal'.*mean_angle"),
        (lambda baseline: baseline["normal"].clear(), "nothing of task 'normal'"),
        (lambda baseline: baseline["depth"].update(abs_error=0.0), "'abs_error': 0.0.*'depth'"),
        (lambda baseline: baseline["depth"].update(abs_error=np.nan), "nan.*Leave"),
    ],
)
def test_a_baseline_must_be_of_use(change, message):
    baseline = copy.deepcopy(BASELINE)
    change(baseline)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        tuning.MultiTaskHyperModel(TASKS, baseline)


@pytest.mark.backend_free
@pytest.mark.parametrize("values", [[np.nan, 3.0, 5.0, np.nan, 4.0], [np.inf, 3.0, 5.0]])
def test_a_first_epoch_without_a_score_is_not_the_best(values):
    history, objective = keras.callbacks.History(), keras_tuner.Objective("val_delta_m", "max")
    history.history = {"val_delta_m": values, "loss": list(range(len(values)))}
    hyper_model.replace_nan(history, "val_delta_m")
    assert tuner_utils.get_best_step(history, objective) == 2
    found = tuner_utils.convert_to_metrics_dict(history, objective)
    assert found == {"val_delta_m": 5.0, "loss": 2}


def test_delta_m_of_epochs_without_validation_or_metrics():
    callback, logs = DeltaM(BASELINE), {"loss": 1.0}
    callback._tasks = standardize_tasks(TASKS)
    callback.on_epoch_end(0, logs)
    assert logs == {"loss": 1.0}
    with pytest.raises(ValueError, match=r"no \['val_depth_abs_error', .* in the logs"):
        callback.on_epoch_end(0, {"val_loss": 1.0, "val_depth_rmse": 1.0})


RATES = {
    "number": lambda: 0.01,
    "schedule": lambda: keras.optimizers.schedules.ExponentialDecay(0.01, 1, 0.5),
    "function": lambda: lambda: 0.01,
}


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    images = random.random((6, *SIZE, 3), "float32")
    depth = random.uniform(1, 5, (6, *SIZE, 1)).astype("float32")
    return images, {"depth": depth, "normal": random.normal(size=images.shape).astype("float32")}


def tuner_of(hyper, folder, **values):
    options = {"max_trials": 1, "directory": folder, "hyperparameters": fixed(**values)}
    return keras_tuner.RandomSearch(hyper, hyper.objective, **options)


@pytest.mark.one_backend
@pytest.mark.parametrize("kind", RATES)
def test_arrays_and_any_learning_rate(kind, arrays, tmp_path):
    class WithRate(tuning.MultiTaskHyperModel):
        def optimizer(self, hp):
            return keras.optimizers.SGD(RATES[kind]())

    x, y = arrays
    rates, batches = [], []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(float(note.model.optimizer.learning_rate)),
        on_train_begin=lambda logs: batches.append(note.params["steps"]),
    )
    tuner = tuner_of(WithRate(TASKS, BASELINE, shallow, SIZE), tmp_path, balancer="equal")
    hyper, hp = tuner.hypermodel, tuner.oracle.get_space()
    model = hyper.build(hp)
    # A schedule counts steps: two batches of at most four images in an epoch.
    expected = {"number": [0.01, 0.005], "schedule": [0.0025, 0.000625], "function": [0.01, 0.01]}
    history = hyper.fit(hp, model, x, y, (x, y), epochs=2, callbacks=[note], verbose=0).history
    assert rates == pytest.approx(expected[kind]) and batches == [2]
    assert np.isfinite(history["val_delta_m"]).all()

    tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
    (trial,) = tuner.oracle.trials.values()
    assert trial.status == "COMPLETED" and np.isfinite(trial.score), trial.message


@pytest.mark.one_backend
@pytest.mark.parametrize("form", ["positions", "names", "split"])
def test_forms_of_data(form, arrays, monkeypatch):
    """What `fit` of Keras would get; `train`, and a second dataset in place of `y`, as ever."""
    received = {}
    monkeypatch.setattr(
        keras_atinet.MultiTaskModel,
        "fit",
        lambda self, *data, **kwargs: received.update(kwargs, data=data),
    )
    hyper, hp = hypermodel(), fixed(balancer="equal")
    model, (x, y) = hyper.build(hp), arrays
    batches = Batches(Rooms(4, SIZE), batch_size=2, tasks=TASKS)
    if form == "positions":
        hyper.fit(hp, model, batches, batches)
    elif form == "names":
        hyper.fit(hp, model, train=batches, validation_data=batches)
    else:
        hyper.fit(hp, model, x=x, y=y, validation_split=0.5)
        assert received["data"][0] is x and received["data"][1] is y
        assert received["validation_split"] == 0.5 and received["batch_size"] == 4
        return
    assert received["data"] == (batches, None) and received["validation_data"] is batches
    assert "batch_size" not in received


@pytest.mark.one_backend
@pytest.mark.parametrize("is_empty", [True, False])
def test_keras_waits_for_the_callback_of_a_tuner_that_does_something(
    is_empty, tmp_path, monkeypatch
):
    class Own(keras_tuner.RandomSearch):
        def on_batch_end(self, trial, model, batch, logs=None):
            pass

    kind, hyper = keras_tuner.RandomSearch if is_empty else Own, hypermodel()
    callback = keras.callbacks.Callback()
    callback.tuner = kind(hyper, hyper.objective, hyperparameters=fixed(), directory=tmp_path)
    given, history = [], keras.callbacks.History()
    history.history = {"val_delta_m": [1.0]}

    def fit(model, *data, callbacks, **kwargs):
        given.extend(callbacks)
        return history

    monkeypatch.setattr(keras_atinet.MultiTaskModel, "fit", fit)
    hyper.fit(fixed(), hyper.build(fixed()), callbacks=[callback])
    assert (callback in given) != is_empty


@pytest.mark.one_backend
@pytest.mark.filterwarnings("ignore:delta-m leaves out")
def test_a_search_without_a_result_is_an_error(arrays, tmp_path):
    x, y = arrays
    unlabelled = {name: 0 * target for name, target in y.items()}
    for number, (images, held_out, expected) in enumerate(
        [
            (x[:4], (x, y), r"Data cardinality is ambiguous\..*sizes: 4"),
            (x, None, "held-out data. Received: none. Give `tuner.search` `validation_data`"),
            (x, (x, unlabelled), r"Received: \[nan\]. Check that the held-out data have labels"),
        ]
    ):
        tuner = tuner_of(hypermodel(), tmp_path / str(number), balancer="equal")
        expected = f"(?s)No trial of the search.*: ValueError: .*{expected}"
        with pytest.raises(keras_tuner.errors.FatalRuntimeError, match=expected):
            tuner.search(images, y, validation_data=held_out, epochs=1, verbose=0)
