"""Which runs a study is made of."""

from typing import NamedTuple

from keras_atinet import runs

SCORED_EPOCHS = 10
_OF_A_TRIAL = ("model", "tasks", "balancer", "seed")


class Trial(NamedTuple):
    """One run of a study: the name of its folder, and its settings."""

    name: str
    settings: dict


def plan(settings, task_names, models, balancers, seeds):
    """The runs of a study, one seed after the other.

    Args:
        settings: dict with the keys of `runs.DEFAULT`, common to all runs.
        task_names: list of str. `"single"` stands for a network for each.
        models: sequence of keys of `settings.NETWORKS`.
        balancers: sequence of names of balancers. Single networks have none.
        seeds: sequence of int.

    Returns:
        list of `Trial`.
    """
    trials = []
    for seed in seeds:
        for model in models:
            if model == "single":
                for task in task_names:
                    own = {"model": model, "tasks": [task], "balancer": "equal", "seed": seed}
                    trials.append(Trial(f"single-{task}-seed{seed}", {**settings, **own}))
                continue
            for balancer in balancers:
                own = {"model": model, "tasks": task_names, "balancer": balancer, "seed": seed}
                trials.append(Trial(f"{model}-{balancer}-seed{seed}", {**settings, **own}))
    return trials


def scored_epochs(epochs):
    """The epochs (from 0) whose scores the paper averages: the last ten, at most half."""
    return range(epochs - min(SCORED_EPOCHS, max(1, epochs // 2)), epochs)


def check_settings(folder, settings):
    """Refuses a folder with runs of other settings, which would be no comparison.

    Args:
        folder: `pathlib.Path` of a study.
        settings: dict, common to all runs.

    Raises:
        ValueError: if a run of the folder differs in more than network, balancer and seed.
    """
    for config in sorted(folder.glob("*/config.json")):
        found = runs.Run(config.parent).read_settings()
        different = [
            f"{key}: {found.get(key)} there, {value} now"
            for key, value in settings.items()
            if key not in _OF_A_TRIAL and found.get(key) != value
        ]
        if different:
            raise ValueError(
                "The runs of a study differ in network, balancer and seed only. "
                f"Received: '{config.parent}' with other settings ({'; '.join(different)}). "
                "Choose another `--out`, or the options of before."
            )
