"""One optimizer for a network, some of whose weights can start anew.

Keras counts the steps of an optimizer once for all its weights, and corrects the bias of Adam's
moments by that count. A weight that is reset in the middle of a training needs a count of its own:
with slots of zero and a count of 10,000 it would move by up to 6.5 times the learning rate, and
`Ftrl` divides by zero. `keras.optimizers.MultiOptimizer` has a count for each of its optimizers,
but refuses `learning_rate` and clips by the norm of each by itself.
"""

import contextlib
import math
import numbers

import keras
from keras import ops

from keras_atinet.internals import (
    copy_weight_decay_exclusions,
    step_count,
    without_empty_gradients,
)
from keras_atinet.training.optimizer.optimizer_part import OptimizerPart


def _setting(name):
    """A setting of the user's optimizer, which all groups share but those with one of their own."""

    def get(self):
        return getattr(self._parts[0].optimizer, name) if self._parts else None

    def set(self, value):
        for part in self._parts:
            if part.name is None or name not in self._groups[part.name].settings:
                setattr(part.optimizer, name, value)

    return property(get, set)


@keras.saving.register_keras_serializable(package="keras_atinet")
class GroupedOptimizer(keras.optimizers.Optimizer):
    """An optimizer whose groups of weights can be restarted, each by itself.

    The user's optimizer steps all weights that are in no group; each group has one more instance
    of its class, with the same settings. As long as nothing is restarted, the steps are those of
    the user's optimizer alone. A restarted group steps as under a new optimizer: its slots, its
    count of steps and with them bias correction and decay rates begin again. The learning rate,
    a schedule's included, stays that of the user's optimizer, times the group's multiplier.

    `compile` of a network with groups makes it. `learning_rate`, `iterations` and what every
    optimizer of Keras can be set to are those of the user's optimizer. Gradients are clipped by the
    global norm over all weights together.

    Args:
        optimizer: `keras.optimizers.Optimizer`, not built yet; no `LossScaleOptimizer`, which goes
            around this one.
        groups: dict, name -> `OptimizerGroup`.
        multipliers: optional dict, name of a group -> float above 0, what its learning rate is
            multiplied by. Defaults to that of each group.

    Raises:
        ValueError: if `multipliers` names no group or is not above 0; by `build`, if the optimizer
            is built already or cannot be made again from its config.

    Example:
        >>> optimizer = GroupedOptimizer(keras.optimizers.Adam(1e-4), model.optimizer_groups())
        >>> optimizer.build(model.trainable_variables)
        >>> optimizer.restart(["attention"])
    """

    _parts = ()  # the constructor of Keras sets what follows
    _part_of = {}
    weight_decay = _setting("weight_decay")
    clipnorm = _setting("clipnorm")
    clipvalue = _setting("clipvalue")
    global_clipnorm = _setting("global_clipnorm")
    use_ema = _setting("use_ema")
    ema_momentum = _setting("ema_momentum")
    ema_overwrite_frequency = _setting("ema_overwrite_frequency")
    loss_scale_factor = _setting("loss_scale_factor")
    gradient_accumulation_steps = _setting("gradient_accumulation_steps")

    def __init__(self, optimizer, groups, multipliers=None):
        super().__init__(learning_rate=0.0, name=optimizer.name)
        self._parts = [OptimizerPart(None, optimizer)]
        self._groups = groups
        self.multipliers = multipliers

    @property
    def multipliers(self):
        """Dict, name of a group -> what its learning rate is multiplied by, not the group's own."""
        return self._multipliers

    @multipliers.setter
    def multipliers(self, multipliers):
        multipliers = dict(multipliers or {})
        if not set(multipliers) <= set(self._groups) or not all(
            isinstance(value, numbers.Real) and 0 < value < math.inf
            for value in multipliers.values()
        ):
            raise ValueError(
                "`learning_rate_multipliers` must give groups of this network's weights, "
                f"{sorted(self._groups)}, a finite number above 0. Received: {multipliers}."
            )
        self._multipliers = multipliers

    def build(self, variables):
        if self.built:
            return
        (main,) = self._parts
        if main.optimizer.built:
            raise ValueError(
                f"The optimizer '{main.optimizer.name}' has been built for weights already, so "
                "that its groups would lose its state. Pass a new one to `compile`: "
                "`type(optimizer).from_config(optimizer.get_config())`."
            )
        names = {id(v): name for name, group in self._groups.items() for v in group.variables}
        # Not tracked as variables of this optimizer: they are the network's.
        object.__setattr__(self, "_trainable_variables", list(variables))
        main.build([v for v in variables if id(v) not in names])
        for name, group in self._groups.items():
            members = [v for v in variables if names.get(id(v)) == name]
            if members:
                part = OptimizerPart(name, self._new(name), group.is_on)
                part.build(members)
                self._parts.append(part)
        self._part_of = {id(v): part for part in self._parts for v in part.variables}
        self.built = True

    def _new(self, name):
        """An optimizer as the user's was when it was new; its learning rate is the user's."""
        main = self._parts[0].optimizer
        config = main.get_config()
        if name is not None:
            config["name"] = f"{main.name}_{name}"
            config["learning_rate"] = lambda: self._rate(name)
            config |= self._groups[name].settings
        elif not isinstance(main.learning_rate, keras.Variable):
            config["learning_rate"] = lambda: main.learning_rate
        try:
            optimizer = type(main).from_config(config)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "The optimizer must be one that can be made again, as each group of weights of "
                f"this network has its own. Received: {type(main).__name__}, whose "
                f"`from_config(get_config())` fails: {error}"
            ) from error
        if name is not None and self._groups[name].settings:
            optimizer.exclude_from_weight_decay(self._groups[name].not_decayed)
        else:
            copy_weight_decay_exclusions(main, optimizer)
        return optimizer

    def _rate(self, name):
        return self.learning_rate * self._multipliers.get(name, self._groups[name].multiplier)

    @property
    def variables(self):
        return [variable for part in self._parts for variable in part.optimizer.variables]

    @property
    def learning_rate(self):
        return self._parts[0].optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        self._parts[0].optimizer.learning_rate = learning_rate

    @property
    def iterations(self):
        return self._parts[0].optimizer.iterations

    @property
    def _model_variables_moving_average(self):
        if not self.use_ema:
            raise AttributeError("`use_ema` is off.")  # `hasattr` asks
        averages = {
            id(variable): average for part in self._parts for average, variable in part.averages()
        }
        return [averages[id(variable)] for variable in self._trainable_variables]

    def apply(self, grads, trainable_variables=None):
        if not grads:
            return  # as Keras's, where all weights are frozen
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        elif not self.built:
            self.build(list(trainable_variables))
        grads, variables = without_empty_gradients(self, grads, trainable_variables)
        unknown = [variable.path for variable in variables if id(variable) not in self._part_of]
        if unknown:
            raise ValueError(
                f"The optimizer was built without these weights: {unknown}. After changing "
                "`trainable`, compile the model again with a new optimizer."
            )
        grads = self._clip_together(grads, variables)
        # The user's own last: learning rate schedules read its count of steps.
        for part in reversed(self._parts):
            pairs = [
                (gradient, variable)
                for gradient, variable in zip(grads, variables, strict=True)
                if self._part_of[id(variable)] is part
            ]
            if pairs:
                part.step(*map(list, zip(*pairs, strict=True)))
            elif part.name is None:
                step_count(part.optimizer).assign_add(1)

    def stateless_apply(self, optimizer_variables, grads, trainable_variables):
        with self.conditions():
            return super().stateless_apply(optimizer_variables, grads, trainable_variables)

    @contextlib.contextmanager
    def conditions(self):
        """Asks which groups are on now. On JAX `stateless_apply` hides variables that they read."""
        asked = [part for part in self._parts if part.is_gated and part.known is None]
        for part in asked:
            part.known = part.is_on()
        try:
            yield
        finally:
            for part in asked:
                part.known = None

    def _clip_together(self, grads, variables):
        """Clips by the global norm over all parts; what each clips afterwards is short enough.

        With accumulated gradients `A` the norm is that of `(g + A) / steps` at a step that updates
        weights, so `A` is scaled along with `g` there.
        """
        limit, steps = self.global_clipnorm, self.gradient_accumulation_steps
        if not limit:
            return grads
        grads = self.mask(grads, variables)
        accumulated = self._accumulated(variables) if steps else []
        scale = self.loss_scale_factor or 1.0
        sums = [gradient / scale for gradient in grads]
        if steps:
            pairs = zip(sums, accumulated, strict=True)
            sums = [(gradient + other) / steps for gradient, other in pairs]
        norm = ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in sums))
        # Not a number where the norm is none, as in Keras.
        factor = limit * ops.minimum(1.0 / norm, 1.0 / limit) + (norm - norm)
        if steps:
            is_update = (step_count(self._parts[0].optimizer) + 1) % steps == 0
            factor = ops.where(is_update, factor, 1.0)
            for other in accumulated:
                other.assign(other * factor)
        return [gradient * ops.cast(factor, gradient.dtype) for gradient in grads]

    def mask(self, grads, variables):
        """The gradients, but 0 for groups that are off, even where they were not a number."""
        masked = []
        with self.conditions():
            for gradient, variable in zip(grads, variables, strict=True):
                part = self._part_of.get(id(variable))
                if gradient is not None and part is not None and part.is_gated:
                    gradient = ops.where(part.is_on(), gradient, ops.zeros_like(gradient))
                masked.append(gradient)
        return masked

    def _accumulated(self, variables):
        pairs = [pair for part in self._parts for pair in part.accumulated()]
        found = {id(variable): gradient for variable, gradient in pairs}
        return [found[id(variable)] for variable in variables]

    def restart(self, names=None):
        """Forgets what the optimizer remembers of some groups of weights, or of all weights.

        Slots and the count of steps become those of a new optimizer for the weights as they are
        now. Exponential moving averages start from these weights. The learning rate stays; a
        schedule begins again if all weights do, as it counts the steps of those in no group.

        Args:
            names: optional sequence of names of groups. Defaults to all weights, those in no group
                included.

        Raises:
            ValueError: if there is no such group.
        """
        if not set(names or ()) <= set(self._groups):
            raise ValueError(
                f"There are the groups {sorted(self._groups)}. Received: names={names}."
            )
        for part in self._parts if self.built else ():
            if names is not None and part.name not in names:
                continue
            new = self._new(part.name)
            new.build(part.variables)
            part.become_new(new)
            if names is not None and self.gradient_accumulation_steps:
                # So that it updates its weights in the same steps as the others.
                count = step_count(self._parts[0].optimizer) % self.gradient_accumulation_steps
                step_count(part.optimizer).assign(count)

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        self._parts[0].optimizer.exclude_from_weight_decay(var_list, var_names)

    def scale_loss(self, loss):
        return self._parts[0].optimizer.scale_loss(loss)

    def finalize_variable_values(self, var_list):
        for part in self._parts:
            own = [variable for variable in var_list if self._part_of[id(variable)] is part]
            if own:
                part.optimizer.finalize_variable_values(own)

    def set_weights(self, weights):
        for variable, weight in zip(self.variables, weights, strict=True):
            variable.assign(weight)

    def load_own_variables(self, store):
        if self.built and len(store.keys()) != len(self.variables):
            self._load_ungrouped(store)
        else:
            super().load_own_variables(store)

    def _load_ungrouped(self, store):
        """Takes the state of an optimizer without groups, as older files have it."""
        whole = self._new(None)
        if len(store.keys()) == len(whole.variables):
            # Saved before it had any weights, as JAX does before the first step.
            for index in range(len(whole.variables)):
                self.variables[index].assign(store[str(index)])
            return
        whole.build(self._trainable_variables)
        if len(store.keys()) != len(whole.variables):
            raise ValueError(
                f"The file holds an optimizer's state of {len(store.keys())} variables, which does "
                f"not fit: '{self.name}' has {len(self.variables)} for the weights that are "
                "trainable now. Compile the model with the optimizer that the file was saved with "
                "and make the same layers trainable; or leave the state out: "
                "`load_weights(file, skip_mismatch=True)`, `load_model(file, compile=False)`."
            )
        whole.load_own_variables(store)
        for part in self._parts:
            part.take_state(whole)

    def get_config(self):
        return {"optimizer": keras.saving.serialize_keras_object(self._parts[0].optimizer)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The user's optimizer, new: `compile` gives it the groups of a network."""
        return keras.saving.deserialize_keras_object(
            config["optimizer"], custom_objects=custom_objects
        )
