import keras
import pytest

PARAMETERS = {
    "ATINet": 45_716_497,
    "MTAN": 44_229_073,
    "PADNet": 45_938_641,
    "Split(deep=True)": 50_807_761,
    "SingleTask for segmentation": 24_981_069,
}


@pytest.mark.one_backend
def test_versions_and_the_sizes_of_networks(run_cli, capsys):
    assert run_cli("info") == 0
    shown = capsys.readouterr().out
    assert keras.version() in shown and keras.backend.backend() in shown
    for name, parameters in PARAMETERS.items():
        assert f"{name:30}{parameters:12,}" in shown


def test_other_models_are_refused(run_cli, tmp_path, capsys):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    assert run_cli("info", tmp_path / "other.keras") == 2
    assert "must be one of `keras_atinet`" in capsys.readouterr().err
