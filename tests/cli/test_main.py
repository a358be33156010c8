import warnings

import keras
import pytest

from keras_atinet import runs
from keras_atinet.cli import info

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize("arguments", ["", "train --epochs 0", "train --model vgg", "fly"])
def test_wrong_options_exit_with_2(arguments, run_cli):
    with pytest.raises(SystemExit) as error:
        run_cli(*arguments.split())
    assert error.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train --out {tmp}", "must be a new or an empty folder"),
        ("train --resume {tmp}", "config.json"),
        ("train --data {tmp}/none --out {tmp}/new", "none"),
        ("train --data {tmp} --num-samples 4 --out {tmp}/new", "the number of rooms"),
        ("train --tasks depht --out {tmp}/new", "Received: 'depht'"),
        ("train --model single --tasks depth normal --out {tmp}/new", "`SingleTask` learns one"),
        ("train --model jtrl --tasks depth --out {tmp}/new", "`JTRL` needs at least two tasks"),
        ("train --image-size 33 32 --out {tmp}/new", "divisible by 32"),
        ("train --model split --remat attention --out {tmp}/new", "atinet and mtan"),
        ("reproduce table1 --data {tmp} --num-samples 4 --out {tmp}/new", "the number of rooms"),
        ("report {tmp}", "config.json"),
        ("evaluate --model {tmp}", "at least one epoch"),
        ("evaluate --model {tmp}/file.txt", "is a .keras file"),
        ("evaluate --model {tmp}/broken.keras", "model is damaged"),
        ("predict {tmp}/file.tx --model {tmp} --out {tmp}/new", "Did you mean '{tmp}/file.txt'?"),
        ("train --data {tmp}/none", "Data are 'rooms', or a folder of images"),
        ("predict {tmp}/none.png --model {tmp} --out {tmp}/new", "none.png"),
        ("search --data {tmp} --num-samples 4 --out {tmp}/new", "the number of rooms"),
    ],
)
def test_errors_are_one_line(arguments, message, run_cli, tmp_path, capsys):
    (tmp_path / "file.txt").write_text("no model")
    (tmp_path / "broken.keras").write_bytes(b"PK\3\4 cut short")
    assert run_cli(*arguments.format(tmp=tmp_path).split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("keras-atinet: error: ") and message.format(tmp=tmp_path) in error
    assert "Traceback" not in error
    assert not (tmp_path / "new").exists()


def test_names_of_files_write_no_control_characters_to_a_terminal(run_cli, tmp_path, capsys):
    assert run_cli("evaluate", "--model", tmp_path / "a\x1b[31m.keras") == 2
    error = capsys.readouterr().err
    assert "a\\x1b[31m.keras" in error and "\x1b" not in error


def test_warnings_are_one_line(run_cli, monkeypatch, capsys):
    def warn(arguments, argv):
        for category in (UserWarning, DeprecationWarning):
            print(warnings.formatwarning("odd data", category, "file.py", 3, "code"))

    before = warnings.formatwarning
    monkeypatch.setattr(info, "run", warn)
    assert run_cli("info") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["keras-atinet: warning: odd data", ""]
    assert lines[2:4] == ["file.py:3: DeprecationWarning: odd data", "  code"]
    assert warnings.formatwarning is before


def test_output_that_nobody_reads_is_no_error(run_cli, tmp_path, monkeypatch, capsys):
    def broken(facts):
        raise BrokenPipeError

    monkeypatch.setattr(info, "_print", broken)
    with (tmp_path / "output").open("w") as file:
        monkeypatch.setattr("sys.stdout", file)
        assert run_cli("info") == 141
        file.write("goes nowhere")
    assert (tmp_path / "output").read_text() == ""
    assert capsys.readouterr().err == ""


def test_what_the_system_refuses_is_one_line(run_cli, monkeypatch, capsys):
    def refuse(*args):
        raise PermissionError(13, "Permission denied", "secret.png")

    monkeypatch.setattr(runs, "find_model", refuse)
    assert run_cli("info", ".") == 2
    error = capsys.readouterr().err
    assert error == "keras-atinet: error: [Errno 13] Permission denied: 'secret.png'\n"


def test_debug_and_bugs_show_the_traceback(run_cli, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        run_cli("info", tmp_path / "none.keras", "--debug")
    monkeypatch.setattr(runs, "find_model", lambda path: int("not a check of this package"))
    with pytest.raises(ValueError, match="invalid literal"):
        run_cli("info", tmp_path)


@pytest.mark.parametrize("arguments", [["info"], ["export", ".", "--format", "onnx"]])
def test_the_backend_cannot_change_once_keras_is_imported(arguments, run_cli, capsys):
    backend = "jax" if arguments == ["info"] else "tensorflow"
    assert run_cli(*arguments, *(["--backend", "jax"] if arguments == ["info"] else [])) == 2
    error = capsys.readouterr().err
    assert f"needs the backend '{backend}'" in error and "Received: 'torch'" in error


def test_the_backend_in_use_may_be_named(run_cli, monkeypatch):
    monkeypatch.setattr(info, "_NETWORKS", ())
    assert run_cli("info", "--backend", keras.backend.backend()) == 0
