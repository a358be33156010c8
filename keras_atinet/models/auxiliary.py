"""Auxiliary outputs of a network: initial predictions, which training alone computes."""

import math
import numbers

import keras

from keras_atinet.internals import track
from keras_atinet.tasks import standardize_tasks


class Auxiliary:
    """The part of a `MultiTaskModel` with its auxiliary outputs, where it has any.

    They are no outputs of the graph, so that whoever predicts, exports or makes a model for
    inference meets the predictions alone. The layers that lead to nothing else are tracked beside
    it: saved, restored and trained like all others.

    Attributes:
        auxiliary: dict task name -> list of KerasTensors.
        auxiliary_weight: float, what their losses are multiplied by.
        auxiliary_tasks: list of `Task` that have auxiliary outputs only.
        auxiliary_layers: list of the layers that only auxiliary outputs need.
    """

    def _name_auxiliary(self, auxiliary, weight, tasks):
        self.auxiliary = {name: list(outputs) for name, outputs in auxiliary.items()}
        self.auxiliary_weight = weight
        self.auxiliary_tasks = list(tasks)
        self.auxiliary_layers = []
        if auxiliary:
            own = set(map(id, self.layers))
            layers = keras.Model(self.inputs, keras.tree.flatten(auxiliary)).layers
            self.auxiliary_layers = [layer for layer in layers if id(layer) not in own]
        for layer in self.auxiliary_layers:
            track(self, layer)
        self._auxiliary_trackers = [
            keras.metrics.Mean(name=f"{name}_auxiliary_loss") for name in auxiliary
        ]

    @property
    def all_tasks(self):
        """List of `Task`, those that are predicted and then those that are only auxiliary."""
        return [*self.tasks, *self.auxiliary_tasks]

    def _auxiliary_config(self):
        if not self.auxiliary:
            return {}
        return {
            "auxiliary_weight": self.auxiliary_weight,
            "auxiliary_tasks": [
                keras.saving.serialize_keras_object(task) for task in self.auxiliary_tasks
            ],
        }


def standardize_auxiliary(tasks, auxiliary_tasks, weight, model):
    """Checks what a network is given of its auxiliary outputs.

    Args:
        tasks: list of `Task`, those that are predicted.
        auxiliary_tasks: as `tasks` of a network, or empty.
        weight: `auxiliary_weight`.
        model: str, the name to use in errors.

    Returns:
        List of `Task`, those that are only auxiliary.

    Raises:
        ValueError: if the weight is no finite number from 0 on, or a task is given twice.
    """
    is_number = isinstance(weight, numbers.Real) and not isinstance(weight, bool)
    if not is_number or not 0 <= weight < math.inf:
        raise ValueError(
            f"`auxiliary_weight` of `{model}` must be a finite number, not below 0. "
            f"Received: auxiliary_weight={weight!r}."
        )
    if not auxiliary_tasks:
        return []
    auxiliary_tasks = standardize_tasks(auxiliary_tasks)
    names = {task.name for task in tasks}
    twice = sorted(names & {task.name for task in auxiliary_tasks})
    if twice:
        raise ValueError(
            f"`auxiliary_tasks` of `{model}` are tasks that are not predicted; those in `tasks` "
            f"have auxiliary outputs already. Received: {twice} in both. Leave them out of one."
        )
    return auxiliary_tasks
