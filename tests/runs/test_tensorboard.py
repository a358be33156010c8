import importlib.util

import keras
import numpy as np
import pytest

from keras_atinet.runs.tensorboard import tensorboard


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow writes the files")
def test_logs_of_epochs_are_written(tmp_path):
    from tensorflow import make_ndarray

    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = np.ones((4, 2)), np.ones((4, 1))
    callbacks = [tensorboard(tmp_path, model)]
    found = model.fit(*data, epochs=2, validation_data=data, verbose=0, callbacks=callbacks)
    for folder, name in (("train", "loss"), ("validation", "val_loss")):
        events = reader.EventAccumulator(str(tmp_path / folder)).Reload()
        written = [
            float(make_ndarray(event.tensor_proto)) for event in events.Tensors("epoch_loss")
        ]
        assert written == pytest.approx(found.history[name])


@pytest.mark.backend_free
def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "tensorflow" or None)
    with pytest.raises(ImportError, match=r"no 'tensorboard'.*pip install tensorboard"):
        tensorboard(tmp_path, None)
