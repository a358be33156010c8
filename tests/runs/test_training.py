import zipfile
from types import SimpleNamespace

import keras
import pytest

from keras_atinet import PhaseSwitch, runs

pytestmark = pytest.mark.backend_free


def test_the_best_model_survives_a_resume(tmp_path):
    run = runs.Run(tmp_path)
    run.history.write_text("epoch,val_loss\n0,1.5\n1,1.25\n2,1.75\n")
    run.best.write_bytes(b"PK\3\4 cut short")
    assert run.best_loss() is None
    with zipfile.ZipFile(run.best, "w"):
        pass
    assert run.best_loss() == 1.25
    callbacks = runs.get_callbacks(run, runs.DEFAULT, SimpleNamespace())
    (best,) = [c for c in callbacks if getattr(c, "save_best_only", False)]
    assert isinstance(best, keras.callbacks.ModelCheckpoint) and best.best == 1.25


def test_networks_with_two_phases_switch_where_the_settings_say(tmp_path):
    model = SimpleNamespace(distillation_active=False)
    run, settings = runs.Run(tmp_path), {**runs.DEFAULT, "switch_at": 0.25, "seed": 3}
    switch, *others = runs.get_callbacks(run, settings, model)
    assert isinstance(switch, PhaseSwitch) and switch.at == 0.25
    assert len(others) == len(runs.get_callbacks(run, settings, SimpleNamespace()))
    with pytest.raises(ValueError, match="`at`"):
        runs.get_callbacks(run, {**settings, "switch_at": 2}, model)
