"""Gradients taken task by task go through everything that those of the sum go through.

`GradientBalancer` adds them up, so that its training is that of `Equal`, whatever the options.
"""

import keras
import numpy as np
import pytest

from keras_atinet.balancing import GradientBalancer

SGD = keras.optimizers.SGD
OPTIONS = {
    "clipping": lambda: {"optimizer": SGD(1e-3, clipnorm=1e-2)},
    "global clipping": lambda: {"optimizer": SGD(1e-3, global_clipnorm=1e-2)},
    "accumulation": lambda: {"optimizer": SGD(1e-3, gradient_accumulation_steps=2)},
    "average": lambda: {"optimizer": SGD(1e-3, use_ema=True, ema_overwrite_frequency=2)},
    "weight decay": lambda: {"optimizer": SGD(1e-3, weight_decay=0.1)},
    "loss scale": lambda: {"optimizer": SGD(1e-3, loss_scale_factor=128.0)},
    "mixed_bfloat16": lambda: {"optimizer": SGD(1e-3), "dtype": "mixed_bfloat16"},
    "mixed_float16": lambda: {"optimizer": SGD(1e-3), "dtype": "mixed_float16"},
    "compiled": lambda: {"optimizer": SGD(1e-3), "run_eagerly": False},
}
if keras.backend.backend() != "torch":  # Keras has none on PyTorch.
    OPTIONS["steps_per_execution"] = lambda: {
        "optimizer": SGD(1e-3),
        "run_eagerly": False,
        "steps_per_execution": 2,
    }


@pytest.fixture
def data(batch):
    images, targets = batch
    return images, {name: targets[name] for name in ("segmentation", "depth")}


# What depends on the backend's own step; the others are Keras's, alike on all.
ON_ALL = ("accumulation", "loss scale", "mixed_float16", "compiled", "steps_per_execution")


@pytest.mark.parametrize(
    "name",
    [
        name if name in ON_ALL else pytest.param(name, marks=pytest.mark.one_backend)
        for name in OPTIONS
    ],
)
def test_the_sum_trains_like_equal(make, data, values, name):
    half = name.startswith("mixed")
    over = "bottleneck" if half or name == "accumulation" else "shared_weights"
    results = []
    for balancer in ("equal", GradientBalancer(over)):
        model = make(balancer=balancer, metrics={}, **OPTIONS[name]())
        before = values(model.trainable_variables)
        model.fit(*data, batch_size=1, epochs=1, shuffle=False, verbose=0)
        results.append(values(model.trainable_variables))
    for old, a, b in zip(before, *results, strict=True):
        # Of half the bits the sum in another order keeps few.
        scale = max(np.abs(a - old).max(), 1e-4)
        np.testing.assert_allclose(a, b, atol=(0.1 if half else 1e-2) * scale)


@pytest.mark.parametrize("over", ["shared_weights", "bottleneck"])
def test_norms_are_those_of_unscaled_losses(make, data, over):
    logs = []
    for factor in (None, 1024.0):
        model = make(
            balancer=GradientBalancer(over, diagnostics=True),
            metrics={},
            optimizer=SGD(1e-3, loss_scale_factor=factor),
        )
        logs.append(model.train_on_batch(*data, return_dict=True))
    for name in ("segmentation_gradient_norm", "depth_gradient_norm", "segmentation_depth_cosine"):
        np.testing.assert_allclose(logs[1][name], logs[0][name], rtol=1e-3)


def test_losses_of_layers_are_added_once(make, data, values):
    results = []
    for balancer in ("equal", GradientBalancer()):
        model = make(balancer=balancer, metrics={}, optimizer=SGD(0.1))
        for conv in (model.get_layer("depth").projection, model.get_layer("encoder").conv):
            conv.kernel_regularizer = keras.regularizers.L2(1.0)
            conv.kernel.regularizer = conv.kernel_regularizer
        loss = model.train_on_batch(*data, return_dict=True)["loss"]
        results.append((loss, values(model.trainable_variables)))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5)
    for one, other in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.one_backend
@pytest.mark.parametrize("balancer", ["equal", "mgda"])
def test_accumulated_gradients_are_their_mean(balancer, make, small_atinet, data, values):
    """The step of two batches is the mean of the steps that each of them alone would take."""
    halves = [
        keras.tree.map_structure(lambda array: array[::2], data),
        keras.tree.map_structure(lambda array: array[1::2], data),
    ]

    def step(steps, *batches):
        model = make(
            small_atinet,
            optimizer=SGD(0.1, gradient_accumulation_steps=steps),
            balancer=balancer,
            metrics={},
            on_nonfinite="skip",
        )
        model.distillation_active = True
        before = values(model.trainable_variables)
        for batch in batches:
            model.train_on_batch(*batch)
        pairs = zip(values(model.trainable_variables), before, strict=True)
        return [after - value for after, value in pairs]

    # A batch that is skipped does not count.
    skipped = np.full_like(halves[0][0], np.nan), halves[0][1]
    steps = step(2, halves[0], skipped, halves[1]), step(None, halves[0]), step(None, halves[1])
    for together, one, other in zip(*steps, strict=True):
        np.testing.assert_allclose(together, (one + other) / 2, atol=1e-6)
