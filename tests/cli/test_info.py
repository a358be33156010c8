import keras

import keras_atinet
from keras_atinet import runs
from keras_atinet.cli import info


def test_versions_and_the_sizes_of_networks(run_cli, monkeypatch, capsys):
    # Those of the paper take long to build.
    options = {"tasks": "depth", "input_shape": (32, 32, 3), "filters": (4, 4, 4, 4, 4)}
    monkeypatch.setattr(info, "_NETWORKS", [("Small", keras_atinet.SingleTask, options)])
    assert run_cli("info") == 0
    shown = capsys.readouterr().out
    assert keras.version() in shown and keras.backend.backend() in shown
    parameters = runs.count_parameters(keras_atinet.SingleTask(**options))
    assert f"{'Small':30}{parameters:12,}" in shown


def test_facts_of_a_model(run_cli, tmp_path, capsys):
    model = keras_atinet.ATINet(("segmentation", "normal"), (32, 32, 3), (4, 4, 4, 4, 4))
    model.compile(keras.optimizers.Adam(1e-3), "dwa")
    model.distillation_active = True
    model.save(tmp_path / "model.keras")
    assert run_cli("info", tmp_path / "model.keras") == 0
    shown = capsys.readouterr().out
    assert "segmentation (13), normal (3)" in shown and "2 (distilled)" in shown
    assert "DynamicWeightAverage" in shown and "Adam" in shown and "Grouped" not in shown


def test_other_models_are_refused(run_cli, tmp_path, capsys):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    assert run_cli("info", tmp_path / "other.keras") == 2
    assert "must be one of `keras_atinet`" in capsys.readouterr().err
