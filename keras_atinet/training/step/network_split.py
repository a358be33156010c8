import keras

from keras_atinet.training.remat import RematerializedModel


class NetworkSplit:
    """A network in two: a `trunk` that leads to the shared features, `branches` from there on.

    Gradient-based balancers take the gradient of each task with respect to the trunk's features
    and the variables of the branches; the sum then goes back through the trunk once. Without a
    trunk (`None`), the branches are the whole network.

    Args:
        model: `MultiTaskModel`.
        over: the `over` of a `GradientBalancer`, or `None` for a loss-based balancer.
    """

    def __init__(self, model, over=None):
        self.trunk, self.branches = None, model
        self._has_auxiliary = bool(model.auxiliary)
        inputs, outputs = model.inputs, model.output
        if self._has_auxiliary:
            auxiliary = {name: list(outputs) for name, outputs in model.auxiliary.items()}
            outputs = (model.output, auxiliary)
        # Of all variables, because layers may be frozen and thawed at any time.
        self._trunk_ids = set()
        if over == "bottleneck":
            # Heads may resize to the size of the image.
            inputs = [*model.inputs, *model.features]
            self.trunk = keras.Model(model.input, model.features)
            self._trunk_ids = _variable_ids(self.trunk)
            self.branches = keras.Model(inputs, outputs)
            _check_features(model, self._trunk_ids & _variable_ids(self.branches))
        elif model.auxiliary:
            self.branches = keras.Model(model.input, outputs)
        if model.remat:
            self.branches = RematerializedModel(inputs, model.features, model.remat, outputs)
        names = [] if over is None else [task.name for task in model.tasks]
        by_task = [[model.output[name], *model.auxiliary.get(name, ())] for name in names]
        self._ids_by_task = [_variable_ids(keras.Model(model.input, each)) for each in by_task]

    def trunk_outputs(self, x):
        """The shared features and then the losses added by the trunk's layers; empty without one.

        The losses are outputs too, because they reach the trunk's variables only through these.
        """
        if self.trunk is None:
            return []
        return [*keras.tree.flatten(self.trunk(x, training=True)), *self.trunk.losses]

    def predictions(self, x, trunk_outputs):
        """The predictions, from the shared features if there is a trunk, else from `x`.

        Returns:
            Dict task name -> tensor; dict task name -> list of auxiliary outputs.
        """
        if self.trunk is not None:
            image = [keras.ops.convert_to_tensor(value) for value in keras.tree.flatten(x)]
            x = [*image, *trunk_outputs[: len(self.trunk.outputs)]]
        outputs = self.branches(x, training=True)
        return outputs if self._has_auxiliary else (outputs, {})

    def added_losses(self, trunk_outputs):
        """The losses added by layers of both parts, a list of scalars."""
        num_features = len(self.trunk.outputs) if self.trunk else 0
        return [*self.branches.losses, *trunk_outputs[num_features:]]

    # A step passes the model's variables on, because Keras goes through all layers to find them.

    def separate(self, variables, values=None):
        """Splits variables of the model, or values of these, into the trunk's and the branches'."""
        values = variables if values is None else values
        pairs = list(zip(self._in_trunk(variables), values, strict=True))
        return tuple([value for inside, value in pairs if inside == part] for part in (True, False))

    def join(self, variables, trunk_values, branch_values):
        """Undoes `separate`."""
        parts = {True: iter(trunk_values), False: iter(branch_values)}
        return [next(parts[inside]) for inside in self._in_trunk(variables)]

    def tasks_by_variable(self, variables):
        """For each of some variables of the branches, the indices of the tasks that use it."""
        return [
            [k for k, ids in enumerate(self._ids_by_task) if id(variable) in ids]
            for variable in variables
        ]

    def _in_trunk(self, variables):
        return [id(variable) in self._trunk_ids for variable in variables]


def _variable_ids(model):
    return {id(variable) for variable in model.variables}


def _check_features(model, ids_on_both_sides):
    paths = [variable.path for variable in model.variables if id(variable) in ids_on_both_sides]
    if paths:
        raise ValueError(
            f"All that the tasks of `{type(model).__name__}` share must follow from its `features` "
            "where a balancer has `over='bottleneck'`. "
            f"Received: features that '{paths[0]}' leads to and that the predictions do not come "
            "from alone. Name more `features`, or use over='shared_weights'."
        )
