"""What is printed for arguments that are wrong."""

import pytest

from keras_atinet import __version__
from keras_atinet.cli.parser import build_parser

pytestmark = pytest.mark.backend_free


def ended(line):
    """The exit status of a command that does not run."""
    with pytest.raises(SystemExit) as error:
        build_parser().parse_args(line.split())
    return error.value.code


@pytest.mark.parametrize(
    ("line", "command", "message"),
    [
        ("trian", "", "unknown command. Received: trian. Did you mean train?"),
        ("inspect rooms", "", "unknown command. Received: inspect. Did you mean data inspect?"),
        ("data inspct", "data", "unknown command. Received: inspct. Did you mean data inspect?"),
        ("xyz", "", "unknown command. Received: xyz. Expected one of train, evaluate, predict,"),
        ("--fast train", "", "unknown option. Received: --fast."),
        ("train --epohcs 5", "train", "unknown option. Received: --epohcs. Did you mean --epochs?"),
        ("train --epohcs=5", "train", "unknown option. Received: --epohcs. Did you mean --epochs?"),
        ("train --lr 1", "train", "unknown option. Received: --lr. Did you mean --learning-rate?"),
        ("train --batch_size 1", "train", "Received: --batch_size. Did you mean --batch-size?"),
        # The misspelt name, not the required option that is missing for it.
        ("predict a.png --modle b", "predict", "Received: --modle. Did you mean --model?"),
        ("data verify a --taks b", "data verify", "Received: --taks. Did you mean --tasks?"),
        ("train --model atinte", "train", "--model: must be one of single, split, cross_stitch, "),
        ("train --model atinte", "train", "Received: atinte. Did you mean atinet?"),
        ("train --balancer DWA", "train", "Received: DWA. Did you mean dwa?"),
        ("data inspect a --num-classes 14", "data inspect", "one of 13, 40. Received: 14."),
        ("train --epochs 0", "train", "--epochs: must be a whole number from 1 on. Received: 0"),
        ("train --epochs x", "train", "--epochs: must be a whole number from 1 on. Received: x"),
        ("train --seed -1", "train", "--seed: must be a whole number from 0 on, below 2 ** 32."),
        ("train --switch-at 1.1", "train", "--switch-at: must be a share from 0 to 1."),
        ("search --seed 4294967296", "search", "--seed: must be a whole number from 0 on, below"),
        ("search --width 1 0", "search", "--width: must be a number above 0. Received: 0"),
        ("search --max-trials 0", "search", "--max-trials: must be a whole number from 1 on."),
        ("train nyuv2", "train", "unknown arguments. Received: nyuv2"),
        ("export a b --format onnx", "export", "unknown arguments. Received: b"),
    ],
)
def test_errors_guess_what_was_meant(line, command, message, capsys):
    assert ended(line) == 2
    usage, error, hint = capsys.readouterr().err.splitlines()
    program = f"keras-atinet {command}".strip()
    assert usage.startswith(f"usage: {program} [OPTIONS]")
    assert error.startswith(f"{program}: error: ") and message in error
    assert hint == f"{program} --help shows what it takes."


def test_values_that_look_like_options_are_values():
    arguments = build_parser().parse_args(["train", "--tasks", "-1", "- a", "-"])
    assert arguments.tasks == ["-1", "- a", "-"]
    arguments = build_parser().parse_args(
        ["predict", "--model", "a", "--out", "b", "--", "--image.png"]
    )
    assert build_parser().parse_args(["train", "--epoch", "3"]).epochs == 3


@pytest.mark.parametrize("line", ["", "data"])
def test_a_bare_command_prints_its_help(line, capsys):
    assert ended(line) == 2
    printed = capsys.readouterr()
    assert printed.out.startswith("usage: keras-atinet") and "commands:" in printed.out
    assert not printed.err


def test_version(capsys):
    assert ended("--version") == 0
    assert capsys.readouterr().out == f"keras-atinet {__version__}\n"


@pytest.mark.parametrize("columns", [80, 120])
def test_help_fits_the_terminal(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    commands = build_parser().commands
    assert {"train", "data inspect", "reproduce"} <= set(commands)
    for command in commands:
        assert ended(f"{command} --help") == 0
        text = capsys.readouterr().out
        assert text.startswith(f"usage: keras-atinet {command} [OPTIONS]")
        assert max(map(len, text.splitlines())) <= columns, command
