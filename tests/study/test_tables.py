import json
import math
import pathlib

import pytest

from keras_atinet import tasks as all_tasks
from keras_atinet.evaluation.results import to_json
from keras_atinet.settings import DEFAULT
from keras_atinet.study import plan, summary, tables
from keras_atinet.study.comparison import compare, sign_flip_test
from keras_atinet.study.published import published
from keras_atinet.study.results import Result, collect, write_csv

TASKS = all_tasks.standardize_tasks(("segmentation", "depth", "normal"))
DEPTH = [TASKS[1]]


def result(model, seed, scores, parameters=100, balancer="dwa"):
    path = pathlib.Path(f"{model}-{seed}")
    return Result(path, model, balancer, seed, "jax", parameters, 60.0, 2.0, {"paper": scores})


def depth(error):
    return {"depth": {"loss": 1.0, "abs_error": error, "rel_error": error, "rmse": 9.0}}


def test_the_sign_flip_test_counts_signs():
    assert sign_flip_test([1.0]) == 1
    assert sign_flip_test([0.1, 0.2, 0.3]) == 0.25
    assert sign_flip_test([0.1] * 6) == 2 / 64
    assert (
        sign_flip_test([3, 1, -2])
        == sum(abs(3 * a + b - 2 * c) >= 2 for a in (1, -1) for b in (1, -1) for c in (1, -1)) / 8
    )
    assert sign_flip_test([0.0, 0.0]) == 1
    with pytest.raises(ValueError, match="1 to 20"):
        sign_flip_test([])


def test_networks_are_compared_on_common_seeds():
    first = {seed: {"depth": {"abs_error": 0.5}} for seed in (0, 1)}
    second = {seed: {"depth": {"abs_error": 1.0}} for seed in (1, 0, 7)}
    metrics, tasks, error = compare(first, second, DEPTH, [("depth", "abs_error")])
    assert metrics.differences == tasks.differences == [50, 50]
    assert error.differences == [-0.5, -0.5] and error.wins == 2 and error.p_value == 0.5
    assert compare(first, {7: {}}, DEPTH, []) == []
    nothing = {seed: {"depth": {"abs_error": 0.0}} for seed in (0, 1)}
    (only,) = compare(first, nothing, DEPTH, [("depth", "abs_error")])
    assert only.metric == "abs_error" and only.wins == 0


def test_the_published_table_has_its_delta_m():
    results = [result("atinet", 0, published("atinet")[1])]
    ours, paper = summary.summarize(results, "paper", TASKS, 100)
    assert paper.is_published and not ours.is_published and not ours.gains
    assert paper.gains["metrics"][0] == pytest.approx(-1.95, abs=0.005)
    assert paper.gains["tasks"][0] == pytest.approx(1.22, abs=0.005)
    header, (_, cells) = tables.score_table([ours, paper], TASKS)
    assert " ".join(cells[1:]) == (
        "1.03 28.66 56.80 0.6076 0.2582 30.95 25.97 21.42 44.23 56.72 -1.95 +1.22 - -"
    )
    assert len(header) == len(cells)
    # A network that is not in the paper's table has no row of it.
    (alone,) = summary.summarize([result("nddrcnn", 0, depth(1.0))], "paper", TASKS, 100)
    assert alone.title == "NDDR-CNN" and not alone.is_published


def test_one_task_is_the_sum_of_its_networks():
    results = []
    for seed in (0, 1):
        for task in TASKS:
            scores = {task.name: published("single")[1][task.name]}
            results.append(result("single", seed, scores, parameters=40, balancer="equal"))
    results += [result("mtan", 0, published("mtan")[1])]
    one_task, _, mtan, _ = summary.summarize(results, "paper", TASKS, 100)
    assert one_task.relative == 1.2 and one_task.seconds == [180, 180]
    assert one_task.gains == {"metrics": [0, 0], "tasks": [0, 0]}
    assert mtan.gains["tasks"][0] == pytest.approx(-2.00, abs=0.005)


def test_rows_are_means_over_seeds():
    results = [result("atinet", seed, depth(error)) for seed, error in ((0, 1.0), (1, 1.2))]
    results += [result("mtan", seed, depth(error)) for seed, error in ((0, 1.1), (1, 1.2))]
    rows = summary.summarize(results, "paper", DEPTH, 100, with_published=False)
    header, (mtan, atinet) = tables.score_table(rows, DEPTH)
    assert header[2:4] == ["absolute error, m", "relative error"]
    assert atinet[2].replace("\N{NO-BREAK SPACE}", " ") == "1.1000 ± 0.1414"
    assert mtan[-2:] == ["2", "1 min"]
    ((title, count, _, lines),) = tables.comparison_tables(rows, DEPTH)
    assert title == "ATI-Net - MTAN" and count == 2
    assert lines[2][0] == "absolute error, m" and lines[2][2:] == ["1", "1"]
    assert "six seeds" in tables.limits_of_test(2)
    assert "six seeds" not in tables.limits_of_test(6)
    assert tables.markdown(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_a_task_without_labels_has_no_numbers(tmp_path):
    def scores(normals):
        values = {"depth": math.nan, "normal": normals}
        tasks = {task.name: task.metrics() for task in TASKS[1:]}
        return {n: dict.fromkeys([m.name for m in tasks[n]], values[n]) for n in tasks}

    trained = [result("mtan", 0, scores(30.0)), result("atinet", 0, scores(25.0))]
    for task in ("depth", "normal"):
        trained.append(result("single", 0, {task: scores(25.0)[task]}, balancer="equal"))
    # By way of the files that runs write.
    for number, one in enumerate(trained):
        folder = tmp_path / str(number)
        folder.mkdir()
        settings = {**DEFAULT, "model": one.model, "balancer": one.balancer, "seed": one.seed}
        config = {"settings": settings, "versions": {"backend": one.backend}}
        (folder / "config.json").write_text(json.dumps(config))
        facts = {"parameters": 100, "seconds": 60.0, "seconds_per_epoch": 2.0}
        facts["scores"] = to_json(one.scores)
        (folder / "results.json").write_text(json.dumps(facts, allow_nan=False))
    results = collect(tmp_path)
    assert repr([one.scores for one in results]) == repr([one.scores for one in trained])
    write_csv(tmp_path / "results.csv", results)
    assert "depth,abs_error,\n" in (tmp_path / "results.csv").read_text()
    with pytest.warns(UserWarning, match="leaves out depth"):
        rows = summary.summarize(results, "paper", TASKS[1:], 100, with_published=False)
        ((_, _, _, lines),) = tables.comparison_tables(rows, TASKS[1:])
    # Of two angles and three shares, all a fifth higher than those of One Task.
    assert rows[1].title == "MTAN" and rows[1].gains == {"metrics": [4], "tasks": [4]}
    header, (_, _, atinet) = tables.score_table(rows, TASKS[1:])
    assert atinet[header.index("absolute error, m")] == "-"
    assert lines[1][0] == "delta-m over tasks" and lines[2][0] == "mean angle"


def test_several_balancers_are_told_apart():
    results = [result("mtan", 0, depth(1.0), balancer=name) for name in ("dwa", "famo")]
    rows = summary.summarize(results, "paper", DEPTH, 100, with_published=False)
    assert [row.title for row in rows] == ["MTAN, dwa", "MTAN, famo"]


def test_a_study_is_each_network_with_each_balancer_and_seed():
    names = ["segmentation", "depth"]
    trials = plan({"epochs": 3}, names, ["single", "mtan"], ["dwa", "famo"], range(2))
    assert len(trials) == len({trial.name for trial in trials}) == 2 * (2 + 2)
    assert trials[1].settings == {
        "epochs": 3,
        "model": "single",
        "tasks": ["depth"],
        "balancer": "equal",
        "seed": 0,
    }
    assert trials[-1].name == "mtan-famo-seed1" and trials[-1].settings["tasks"] == names
