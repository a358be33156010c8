"""An error, or Ctrl-C, in the middle of a loop over batches loses no weights."""

import keras
import numpy as np
import pytest


class Interrupt(keras.callbacks.Callback):
    """Interrupts like Ctrl-C, before a batch."""

    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self.batch:
            raise KeyboardInterrupt

    on_test_batch_begin = on_predict_batch_begin = on_train_batch_begin


@pytest.mark.filterwarnings("ignore:.*structure of .inputs.")
def test_weights_outlive_an_error(make, batch, values):
    images, targets = batch
    model = make(metrics={})
    model.fit(images, targets, batch_size=2, verbose=0)

    def wrong(good):
        for _ in range(good):
            yield images, targets
        while True:
            yield images, {**targets, "depth": targets["depth"][:, :16]}

    def check():
        # Moving averages of a batch that failed remain, on TensorFlow and PyTorch.
        for value, other in zip(values(model.trainable_variables), weights, strict=True):
            np.testing.assert_array_equal(value, other)
        assert np.isfinite(model.predict(images, verbose=0)["depth"]).all()
        assert all(np.isfinite(value).all() for value in values(model.optimizer.variables))

    weights = values(model.trainable_variables)
    for use in (
        lambda: model.fit(wrong(0), steps_per_epoch=3, verbose=0),
        lambda: model.evaluate(wrong(0), steps=3, verbose=0),
        lambda: model.evaluate(wrong(2), steps=3, verbose=0),
        lambda: model.predict(np.zeros((1, 32, 64, 5)), verbose=0),
    ):
        with pytest.raises(Exception, match="shape"):
            use()
        check()
    for use in (
        lambda: model.fit(images, targets, verbose=0, callbacks=Interrupt(0)),
        lambda: model.evaluate(images, targets, 1, 0, callbacks=[Interrupt(2)]),
        lambda: model.predict(images, 1, 0, callbacks=[Interrupt(2)]),
    ):
        with pytest.raises(KeyboardInterrupt):
            use()
        check()
    for name, use in (
        ("test_function", lambda: model.evaluate(images, targets, verbose=0)),
        ("predict_function", lambda: model.predict(images, verbose=0)),
    ):
        step = getattr(model, name)

        def interrupted(*arguments, step=step):
            step(*arguments)  # on JAX this gives away the memory of the weights
            raise KeyboardInterrupt

        setattr(model, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            use()
        setattr(model, name, step)
        check()
    with pytest.raises(KeyboardInterrupt):
        model.fit(images, targets, 1, verbose=0, callbacks=Interrupt(2))
    trained = values(model.trainable_variables)
    assert not np.array_equal(trained[0], weights[0])
    assert np.isfinite(model.fit(images, targets, verbose=0).history["loss"]).all()
