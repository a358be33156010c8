"""Where the tasks of a network part, and what they share."""

import keras

from keras_atinet.balancing.gradient_based.gradient_balancer import add, gram_matrix
from keras_atinet.training.remat import Rematerialization


class Paths:
    """A network in two: the `trunk` that leads to the features, the `branches` from there on.

    Gradients of single tasks are taken by the trunk's features and by the variables of the
    branches. Without a trunk, the branches are the whole network.

    Args:
        model: `MultiTaskModel`.
        over: str, that of a `GradientBalancer`, or `None` if no gradients are weighed.
    """

    def __init__(self, model, over=None):
        self._model, self.trunk, self.branches = model, None, model
        inputs = model.input
        # Of all variables, because layers may be frozen and thawed at any time.
        self._trunk_ids = set()
        if over == "bottleneck":
            inputs = model.features
            self.trunk = keras.Model(model.input, model.features)
            self._trunk_ids = _identities(self.trunk)
            self.branches = keras.Model(model.features, model.output)
        if model.remat:
            self.branches = Rematerialization(inputs, model.features, model.remat, model.output)
        outputs = [] if over is None else [model.output[task.name] for task in model.tasks]
        self._reached = [_identities(keras.Model(model.input, output)) for output in outputs]

    def features(self, x):
        """The features and the losses that the trunk's layers add; empty without a trunk."""
        if self.trunk is None:
            return []
        return [*keras.tree.flatten(self.trunk(x, training=True)), *self.trunk.losses]

    def predictions(self, x, features):
        """What the network predicts, from its features if it has a trunk."""
        if self.trunk is None:
            return self.branches(x, training=True)
        return self.branches(features[: len(self.trunk.outputs)], training=True)

    def added_losses(self, features):
        """The losses that layers add, a list of scalars."""
        return [*self.branches.losses, *features[len(self.trunk.outputs) if self.trunk else 0 :]]

    def split(self, values):
        """Values of the model's trainable variables, those of trunk and of branches."""
        pairs = list(zip(values, self._in_trunk(), strict=True))
        return [v for v, in_trunk in pairs if in_trunk], [
            v for v, in_trunk in pairs if not in_trunk
        ]

    def join(self, trunk_values, branch_values):
        """Undoes `split`."""
        parts = {True: iter(trunk_values), False: iter(branch_values)}
        return [next(parts[in_trunk]) for in_trunk in self._in_trunk()]

    def combine(self, balancer, gradients, losses, present, scale):
        """One gradient from those of the tasks and of what layers added to the losses.

        Args:
            balancer: `GradientBalancer`.
            gradients: list over the tasks, and perhaps one more, of lists of tensors, as long as
                the features and the branch variables together.
            losses, present: as for `GradientBalancer.gradient_weights`.
            scale: scalar, the factor that the losses were multiplied by.

        Returns:
            List of tensors, as long; the weights `(K,)`; the inner products `(K, K)`.
        """
        num_tasks = losses.shape[0]
        columns = list(zip(*gradients, strict=True))
        owners = self._owners()
        owners = [*[range(num_tasks)] * (len(columns) - len(owners)), *owners]
        shared = [index for index, tasks in enumerate(owners) if len(tasks) > 1]
        meeting = [[gradient[index] for index in shared] for gradient in gradients[:num_tasks]]
        gram = gram_matrix(meeting) / scale / scale
        weights = balancer.gradient_weights(gram, losses, present)
        combined = dict(zip(shared, balancer.combine(meeting, weights), strict=True))
        # The rest: one task's own, and what layers added to the losses.
        rest = [
            add(
                gradient
                for k, gradient in enumerate(column)
                if k >= num_tasks or (k in tasks and len(tasks) == 1)
            )
            for column, tasks in zip(columns, owners, strict=True)
        ]
        gradient = [add([combined.get(index), other]) for index, other in enumerate(rest)]
        return gradient, weights, gram

    def _in_trunk(self):
        return [id(variable) in self._trunk_ids for variable in self._model.trainable_variables]

    def _owners(self):
        """For each variable of the branches the tasks that depend on it."""
        _, variables = self.split(self._model.trainable_variables)
        return [
            [k for k, ids in enumerate(self._reached) if id(variable) in ids]
            for variable in variables
        ]


def _identities(model):
    return {id(variable) for variable in model.variables}
