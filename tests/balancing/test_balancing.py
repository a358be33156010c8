import json

import keras
import numpy as np
import pytest
from keras import ops

import keras_atinet
from keras_atinet.balancing import Balancer, DynamicWeightAverage, Equal, get_balancer


def dwa(num_tasks=3, **kwargs):
    balancer = DynamicWeightAverage(**kwargs)
    balancer.build((num_tasks,))
    return balancer


def weights(balancer, num_tasks=3):
    losses = ops.ones((num_tasks,))
    return ops.convert_to_numpy(balancer.task_weights(losses, losses))


def test_golden_sequence(golden):
    expected = golden["dwa"]
    balancer = dwa(temperature=expected["temperature"])
    for losses, wanted in zip(
        [*expected["epoch_losses"], None], expected["weights_epoch_0_to_5"], strict=True
    ):
        np.testing.assert_allclose(weights(balancer), wanted, atol=1e-6)
        if losses is not None:
            balancer.end_epoch(losses)


@pytest.mark.parametrize("temperature", [0.1, 2.0, 1000.0])
def test_reference(temperature):
    """Any losses: `K softmax(w / T)`, positive, and their sum is K."""
    losses = np.random.RandomState(0).lognormal(size=(6, 4)).astype("float32")
    balancer = dwa(4, temperature=temperature)
    for epoch in range(6):
        balancer.end_epoch(losses[epoch])
        if epoch:
            scores = np.exp((losses[epoch] / losses[epoch - 1]).astype("float64") / temperature)
            np.testing.assert_allclose(
                weights(balancer, 4), 4 * scores / scores.sum(), rtol=1e-4, atol=1e-6
            )
        assert weights(balancer, 4).sum() == pytest.approx(4, abs=1e-5)


@pytest.mark.parametrize("odd", [0.0, np.nan, np.inf])
def test_an_epoch_without_a_loss_counts_as_no_change(odd):
    balancer = dwa()
    softmax = lambda w: 3 * np.exp(np.array(w) / 2) / np.exp(np.array(w) / 2).sum()  # noqa: E731
    for losses, ratios in (
        ([2.0, 1.0, 4.0], [1, 1, 1]),
        ([1.0, odd, 2.0], [0.5, 1, 0.5]),
        ([1.0, 1.0, 1.0], [1, 1, 0.5]),
        ([1.0, 3.0, 1.0], [1, 3, 1]),
    ):
        balancer.end_epoch(losses)
        np.testing.assert_allclose(weights(balancer), softmax(ratios), rtol=1e-5)


def test_extreme_ratios_stay_finite():
    balancer = dwa(2)
    for losses in ([1e-30, 1.0], [1e30, 1.0]):
        balancer.end_epoch(losses)
        assert np.isfinite(weights(balancer, 2)).all()
        assert weights(balancer, 2).sum() == pytest.approx(2)


def test_one_task_has_weight_one():
    balancer = dwa(1)
    for loss in (3.0, 1.0, 0.0, 5.0):
        balancer.end_epoch([loss])
        assert weights(balancer, 1) == pytest.approx([1.0])


def test_the_objective_is_the_weighted_sum():
    losses, present = ops.convert_to_tensor([2.0, 3.0, 4.0]), ops.ones((3,))
    assert float(Equal()(losses, present)) == 9
    balancer = dwa()
    balancer.end_epoch([1.0, 1.0, 1.0])
    balancer.end_epoch([1.0, 2.0, 3.0])
    expected = weights(balancer) @ np.array([2.0, 3.0, 4.0])
    assert float(balancer(losses, present)) == pytest.approx(expected, rel=1e-6)


def test_works_in_float32_under_every_policy():
    for make in (Equal, DynamicWeightAverage):
        balancer = make(dtype="mixed_float16")
        outputs = balancer(ops.ones((3,)), ops.ones((3,)))
        assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
        assert balancer.trainable_weights == []


def test_get_balancer():
    assert type(get_balancer("equal")) is Equal
    assert get_balancer("dwa").temperature == 2
    mine = DynamicWeightAverage(1.0)
    assert get_balancer(mine) is mine
    for unknown in ("fair", None, ["dwa"], DynamicWeightAverage):
        with pytest.raises(ValueError, match=r"(?s)Unknown `balancer`.*Received.*'dwa'.*'equal'"):
            get_balancer(unknown)


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan")])
def test_temperature_must_be_above_zero(temperature):
    with pytest.raises(ValueError, match=r"must be above 0\. Received"):
        DynamicWeightAverage(temperature)


@pytest.mark.parametrize("balancer", [Equal(), DynamicWeightAverage(3.0, name="mine")])
def test_round_trip(balancer):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(balancer)))
    again = keras.saving.deserialize_keras_object(config)
    assert isinstance(again, Balancer) and type(again) is type(balancer)
    assert again.get_config() == balancer.get_config()


def test_state_is_saved_with_the_model(tmp_path):
    model = keras_atinet.Split(
        ("depth", "normal"), input_shape=(32, 32, 1), filters=(1, 1, 1, 1, 1)
    )
    model.compile("sgd", balancer=DynamicWeightAverage(temperature=1.5))
    model.balancer.current_weights.assign([0.25, 1.75])
    model.balancer.last_losses.assign([7.0, 8.0])
    model.save(tmp_path / "model.keras")
    balancer = keras.saving.load_model(tmp_path / "model.keras").balancer
    assert isinstance(balancer, DynamicWeightAverage) and balancer.temperature == 1.5
    np.testing.assert_array_equal(ops.convert_to_numpy(balancer.current_weights), [0.25, 1.75])
    np.testing.assert_array_equal(ops.convert_to_numpy(balancer.last_losses), [7.0, 8.0])
