"""An optimizer of some of a network's weights, as `GroupedOptimizer` is made of."""

import keras
from keras import ops

from keras_atinet.internals import (
    accumulated_gradients,
    allow_nothing_to_decay,
    moving_averages,
    optimizer_weights,
)


class OptimizerPart:
    """An optimizer and the weights that it steps.

    No Keras object, so that what holds it does not save the optimizer a second time.

    Args:
        name: str, that of a group; None for the weights in no group.
        optimizer: `keras.optimizers.Optimizer`.
        is_on: optional, as for `OptimizerGroup`.
    """

    def __init__(self, name, optimizer, is_on=None):
        self.name = name
        self.optimizer = optimizer
        self.variables = []
        self._is_on = is_on
        # What `is_on` said, where it must not be asked again.
        self.known = None

    @property
    def is_gated(self):
        """Bool, whether the part may be off."""
        return self._is_on is not None

    def is_on(self):
        """Scalar bool tensor, whether the weights are stepped now."""
        return self._is_on() if self.known is None else self.known

    def build(self, variables):
        self.variables = list(variables)
        self.optimizer.build(self.variables)
        if keras.backend.backend() == "torch":
            allow_nothing_to_decay(self.optimizer)

    def step(self, grads, variables):
        """Applies gradients, unless the part is off."""

        def step():
            self.optimizer.apply(grads, variables)

        if not self.is_gated:
            step()
            return
        is_on = self.is_on()
        if keras.backend.backend() == "jax":
            # Nothing can be assigned within a condition of JAX.
            changed = [*self.optimizer.variables, *variables]
            before = [variable.value for variable in changed]
            step()
            for variable, value in zip(changed, before, strict=True):
                variable.assign(ops.where(is_on, variable.value, value))
            for average, variable in self.averages():
                average.assign(ops.where(is_on, average.value, variable.value))
        else:
            ops.cond(is_on, step, self.start_averages)

    def averages(self):
        """Pairs of an exponential moving average and the weight that it is of."""
        if not self.optimizer.use_ema:
            return []
        averages = moving_averages(self.optimizer)
        return list(zip(averages, optimizer_weights(self.optimizer), strict=True))

    def start_averages(self):
        """Sets the averages to the weights as they are."""
        for average, variable in self.averages():
            _assign_copy(average, variable)

    def accumulated(self):
        """Pairs of a weight and its gradient so far, under gradient accumulation."""
        gradients = accumulated_gradients(self.optimizer)
        return zip(optimizer_weights(self.optimizer), gradients, strict=True)

    def become_new(self, new):
        """Takes the state of a newly built optimizer."""
        for variable, value in zip(self.optimizer.variables, new.variables, strict=True):
            variable.assign(value)
        self.start_averages()

    def take_state(self, whole):
        """Takes what an optimizer of all weights remembers of these.

        An optimizer keeps a slot in a list that is as long as its weights, and what is common to
        all in a single variable.

        Raises:
            ValueError: if that does not give all of this part's variables a value.
        """
        weights = optimizer_weights(whole)
        places = {id(variable): index for index, variable in enumerate(weights)}
        indices = [places[id(variable)] for variable in self.variables]
        own = ("_variables", "_trainable_variables")
        copied = set()
        for name, value in vars(whole).items():
            target = getattr(self.optimizer, name, None)
            if isinstance(value, keras.Variable):
                pairs = [(target, value)]
            elif isinstance(value, list) and len(value) == len(weights) and name not in own:
                pairs = zip(target, [value[index] for index in indices], strict=True)
            else:
                continue
            for variable, source in pairs:
                if isinstance(variable, keras.Variable):
                    _assign_copy(variable, source)
                    copied.add(id(variable))
        if not copied >= {id(variable) for variable in self.optimizer.variables}:
            raise ValueError(
                f"The file holds the state of a `{type(whole).__name__}` from before its weights "
                "were in groups, and which slot belongs to which weight cannot be told. "
                "Leave the state out: `load_model(file, compile=False)`, then compile."
            )


def _assign_copy(variable, value):
    """On JAX two variables would else share memory, which a step on a GPU refuses to give away."""
    variable.assign(ops.copy(value))
