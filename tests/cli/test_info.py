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


def test_other_models_are_refused(run_cli, tmp_path, capsys):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    assert run_cli("info", tmp_path / "other.keras") == 2
    assert "must be one of `keras_atinet`" in capsys.readouterr().err
