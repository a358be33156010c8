import copy
import io
import math
import sys
from types import SimpleNamespace

import pytest

from keras_atinet.runs import epoch_table
from keras_atinet.runs.bottom_line import BottomLine
from keras_atinet.runs.epoch_table import EpochTable, TrainingBar
from keras_atinet.runs.text_table import Column, TextTable, duration, number
from keras_atinet.tasks import Task, standardize_tasks

pytestmark = pytest.mark.backend_free
TASKS = ("segmentation", "depth", "normal")
HEADLINES = ("val_segmentation_mean_iou", "val_depth_abs_error", "val_normal_mean_angle")


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def lines(self):
        """What it shows: the text but for what is erased or written over."""
        lines = self.getvalue().split("\n")
        return [line.rpartition("\x1b[K")[2].rpartition("\r")[2] for line in lines]


def use_terminal(monkeypatch):
    """Not a fixture: pytest sets the streams anew between that and the test."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, terminal)
    return terminal


def show(losses, tasks=TASKS, epochs=200, model=None, first=0, best=None, amid=lambda: None):
    """Calls an `EpochTable` as `fit` would for epochs of given held-out losses."""
    with BottomLine() as line:
        table = EpochTable(line, 3, best)
        model = model or SimpleNamespace()
        model.tasks, model.jit_compile = standardize_tasks(tasks), hasattr(model, "jit_compile")
        table.set_model(model)
        table.set_params({"epochs": epochs, "steps": 4})
        table.on_train_begin()
        for epoch, loss in enumerate(losses, first):
            table.on_epoch_begin(epoch)
            for step in range(4):
                table.on_train_batch_begin(step)
            amid()
            table.on_test_begin()
            for step in range(3):
                table.on_test_batch_begin(step)
            scores = dict.fromkeys(HEADLINES, 12.3456)
            table.on_epoch_end(epoch, {"loss": 1.5, "val_loss": loss, **scores, "other": 7.0})


def test_a_row_for_each_epoch_and_no_bar_in_a_log(capsys):
    show([2.5, math.nan, 3.0, 0.05], first=196, best=2.75)
    shown = capsys.readouterr().out
    legend, names, *rows = shown.splitlines()
    assert legend.split() == ["*", "lowest", "val_loss", "so", "far", *TASKS]
    assert " ".join(names.split()) == (
        "epoch time left loss val_loss mean_iou abs_error mean_angle"
    )
    assert [row.split()[:1] for row in rows[1:3]] == [["198/200"], ["199/200"]]  # no mark
    scores = ["12.346"] * 3
    assert rows[0].split() == ["*", "197/200", "0:00", "0:00", "1.5000", "2.5000", *scores]
    assert rows[1].split()[4:] == ["-", *scores]
    assert rows[3].split()[0] == "*" and rows[3].split()[5] == "0.0500"
    assert "\r" not in shown and "\x1b" not in shown and max(map(len, shown.splitlines())) <= 80


def test_a_bar_in_a_terminal_leaves_the_table(monkeypatch):
    terminal = use_terminal(monkeypatch)

    def warn():
        print("file.py:3: odd data\n  code", file=sys.stderr)

    show([1.5, 1.25], amid=warn, model=SimpleNamespace(jit_compile=True))
    text = terminal.getvalue()
    assert text.count("Compiling the step") == 1
    assert "1/4" in text and "1/3" in text and "s/held-out batch" in text
    lines = terminal.lines()
    assert [line.split()[0] for line in lines[2:] if line] == ["file.py:3:", "code", "*"] * 2
    assert not lines[-1] and sys.stdout is sys.stderr is terminal
    assert max(map(len, lines)) <= 80


def test_the_first_epoch_says_that_it_compiles_in_a_log_too(capsys):
    show([1.0, 1.0], model=SimpleNamespace(jit_compile=True))
    assert capsys.readouterr().out.count("Compiling the step: the first batch") == 1


def test_a_line_where_the_second_phase_begins(capsys):
    model = SimpleNamespace(distillation_active=False)

    def switch():
        model.distillation_active = True

    show([1.0] * 3, model=model, amid=switch)
    lines = capsys.readouterr().out.splitlines()
    assert (
        [line for line in lines if "hase" in line] == [lines[3]] == ["Phase 2: distillation is on."]
    )


def test_own_tasks_without_metrics_show_their_loss(capsys):
    show([1.0], tasks=[Task("own", 2)], epochs=1)
    _, names, row = capsys.readouterr().out.splitlines()
    assert names.split()[-2:] == ["val_loss", "loss"] and row.split()[-1] == "-"


def test_the_time_that_is_left_does_not_count_what_compiles(monkeypatch, capsys):
    # The clock at the beginning of the epoch, after its first step, at the beginning and after the
    # first step of the evaluation, and at the end; then at both ends of other epochs.
    clock = iter([0, 90, 100, 130, 137, 0, 0, 9, 0, 0, 4])
    monkeypatch.setattr(epoch_table, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    show([1.0] * 3, epochs=4)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    times = [row[-7:-5] if row[0] == "*" else row[1:3] for row in rows]
    assert times == [["2:17", "0:51"], ["0:09", "0:18"], ["0:04", "0:06"]]


def test_tables_are_no_wider_than_the_terminal():
    columns = [Column("", "epoch"), Column("", "val_loss")]
    columns += [Column(f"segmentation_{n}", "mean_iou") for n in range(9)]
    values = ["1/9", "1.2345", *(f"0.{n}123" for n in range(9))]
    for width in (40, 80, 120):
        table = TextTable(columns, width, "the best")
        *lines, last = table.header().splitlines()
        row = table.row(values, True)
        assert max(map(len, (*lines, row))) <= width
        assert row.split()[:4] == ["*", "1/9", "1.2345", "0.0123"]
        left_out = 11 - len(table.widths)
        assert last.count("segmentation_") == left_out > 0 or width == 120
    whole = TextTable(columns, None, "the best")
    assert whole.row(values).split() == values and "segmentation_8" in whole.header()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "-"),
        (math.nan, "-"),
        (-math.inf, "-inf"),
        (0.0, "0.0000"),
        (0.00012, "1.2e-04"),
        (0.05, "0.0500"),
        (-9.12341, "-9.1234"),
        (38.20951, "38.210"),
        (1234.56, "1234.6"),
        (123456.0, "1.2e+05"),
    ],
)
def test_numbers(value, expected):
    assert number(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(6.6, "0:07"), (59.9, "1:00"), (750, "12:30"), (3723, "1:02:03")]
)
def test_durations(seconds, expected):
    assert duration(seconds) == expected


def test_one_bar_serves_copies():
    """KerasTuner copies the callbacks of each trial."""
    bar = TrainingBar(BottomLine())
    assert copy.deepcopy([bar])[0] is bar
