"""What the switch to ATI-Net's second phase brings: one first half, several second halves.

    python benchmarks/second_phase.py --data nyuv2-64x96 --seeds 0 1 2 --out second-phase

With its distillation off, ATI-Net computes MTAN. So the first half is trained once for each seed,
and each way to go on starts from its state: weights, optimizer, balancer, order of samples. Scores
are by both protocols of docs/reproducing.md; the table goes to `OUT/second-phase.md`.

It can be stopped at any moment and resumes by the same command. Several processes may share
`--out`, with different `--seeds` or `--ways`; without a way, only first halves are trained.
"""

import argparse
import json
import pathlib
import shlex
import shutil
import statistics
import sys
import time

import keras

from keras_atinet import PhaseSwitch, evaluation, runs, study
from keras_atinet.settings import SCALES
from keras_atinet.study.tables import markdown, score, title
from keras_atinet.training.optimizer import GroupedOptimizer


class ZeroedSlots(PhaseSwitch):
    """The switch as it was at first: slots of 0, but the count of all steps."""

    def _switch(self, epoch):
        super()._switch(epoch)
        optimizer = self.model.optimizer
        if not isinstance(optimizer, GroupedOptimizer):
            optimizer = optimizer.inner_optimizer
        for part in optimizer._parts:
            part.optimizer._iterations.assign(int(optimizer.iterations))


WAYS = {
    "mtan": ("no switch (MTAN)", None, {}),
    "before": ("switch as it was: slots zeroed", ZeroedSlots, {}),
    "now": ("switch as it is: optimizer restarted", PhaseSwitch, {}),
    "authors": (
        "reset and restarted as the authors' code: heads too, all anew",
        PhaseSwitch,
        {"reset": ("attention", "heads"), "restart": "all"},
    ),
    "ramp": ("as it is, over five epochs", PhaseSwitch, {"ramp": 5}),
    "kept": ("distillation on, nothing reset", PhaseSwitch, {"reset": ()}),
}


class Stop(keras.callbacks.Callback):
    """Leaves `fit` before an epoch, as a process does that is killed there."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS))
    parser.add_argument("--image-size", type=int, nargs=2)
    parser.add_argument("--filters", type=int, nargs=5)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--dtype")
    return parser.parse_args()


def first_half(settings, out, command):
    """The run of the first half; waits for it if another process trains it."""
    run = runs.Run(out / f"first-seed{settings['seed']}")
    half = settings["epochs"] // 2
    while run.backup.epochs() < half:
        try:
            study.train_trial(run, settings, command, callbacks=[Stop(half)])
        except KeyboardInterrupt:
            if run.backup.epochs() < half:
                raise
        except FileExistsError:
            time.sleep(1)
    return run


def second_half(first, way, settings, out, command):
    folder = out / f"{way}-seed{settings['seed']}"
    if not folder.exists():
        unfinished = folder.with_suffix(".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(first.path, unfinished, ignore=shutil.ignore_patterns("lock"))
        unfinished.rename(folder)
    _, kind, arguments = WAYS[way]
    switch = [kind(seed=settings["seed"], **arguments)] if kind else []
    try:
        study.train_trial(runs.Run(folder), settings, command, callbacks=switch)
    except FileExistsError as error:
        print(f"Left out for now: {error}", file=sys.stderr)
    keras.backend.clear_session()


def table(out, protocol, tasks):
    """Rows for each way: mean and deviation over seeds, and the gain on MTAN of the same seed."""
    found = {}
    for way in WAYS:
        for file in sorted(out.glob(f"{way}-seed*/results.json")):
            seed = int(file.parent.name.rpartition("seed")[2])
            results = json.loads(file.read_text(encoding="utf-8"))
            found.setdefault(way, {})[seed] = results["scores"][protocol]
    shown = study.columns(tasks)
    header = ["second half", *(title(metric) for _, metric in shown)]
    header += ["delta-m over metrics, %", "delta-m over tasks, %", "seeds"]
    rows = []
    for way, seeds in found.items():
        row = [WAYS[way][0]]
        row += [score([s[task][name] for s in seeds.values()], name) for task, name in shown]
        for average in ("metrics", "tasks"):
            gains = [
                evaluation.delta_m(_only(scores, shown), _only(base, shown), tasks, average)
                for seed, scores in seeds.items()
                if (base := found.get("mtan", {}).get(seed))
            ]
            row.append(_spread(gains))
        rows.append([*row, str(len(seeds))])
    return markdown(header, rows)


def _only(scores, shown):
    return {task: {n: scores[task][n] for t, n in shown if t == task} for task, _ in shown}


def _spread(gains):
    if not gains:
        return "-"
    deviation = f" ± {statistics.stdev(gains):.2f}" if len(gains) > 1 else ""
    return f"{statistics.fmean(gains):+.2f}{deviation}"


def main():
    arguments = parse()
    command = shlex.join(["python", *sys.argv])
    overrides = ("image_size", "filters", "epochs", "batch_size", "learning_rate", "dtype")
    given = {name: getattr(arguments, name) for name in overrides if getattr(arguments, name)}
    settings = {
        **SCALES["small"],
        "data": arguments.data,
        "model": "atinet",
        "hold_out": 0.1,
        "averaging": "batch",
        # What switches here is not the callback of the settings.
        "switch_at": 1.0,
        **given,
    }
    source = runs.get_source(settings, settings["splits"][0])
    tasks = runs.get_tasks(source, ["segmentation", "depth", "normal"])
    settings["tasks"] = [task.name for task in tasks]
    for seed in arguments.seeds:
        settings["seed"] = seed
        first = first_half(settings, arguments.out, command)
        for way in arguments.ways:
            second_half(first, way, settings, arguments.out, command)
    text = "\n\n".join(
        f"## {name}\n\n{table(arguments.out, protocol, tasks)}"
        for protocol, name in (
            ("paper", "Mean of the last epochs"),
            ("clean", "One checkpoint, chosen on the held-out images"),
        )
    )
    (arguments.out / "second-phase.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
