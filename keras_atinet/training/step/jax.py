import jax
import keras

from keras_atinet.internals import JaxState
from keras_atinet.training.step.common import CommonStep


class TrainStep(JaxState, CommonStep):
    """`train_step` of a `MultiTaskModel` on JAX: stateless, from state to state.

    The optimizer is built before the first step, not by `compile`: its state must be that of the
    variables which are trainable then.
    """

    def train_step(self, state, data):
        trainable, non_trainable, optimizer_values, metrics = state
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        network, variables = self.network_split, self.trainable_variables
        _, branch_variables = network.separate(variables)
        trunk_values, branch_values = network.separate(variables, trainable)

        def scope(trunk_values, branch_values, non_trainable):
            trainable = network.join(variables, trunk_values, branch_values)
            return self._scope(trainable, non_trainable, metrics, optimizer_values)

        def trunk(trunk_values):
            with scope(trunk_values, branch_values, non_trainable) as inside:
                return network.trunk_outputs(x), self._state(inside)[0]

        shared, trunk_vjp, after_trunk = jax.vjp(trunk, trunk_values, has_aux=True)

        def branches(shared, branch_values):
            with scope(trunk_values, branch_values, after_trunk) as inside:
                y_pred, auxiliary = network.predictions(x, shared)
                targets, weights = self.valid_targets(y, y_pred, sample_weight, auxiliary)
                losses, images = self.compute_task_losses(targets, y_pred, weights, auxiliary)
                added = network.added_losses(shared)
                objectives, balanced, present = self.compute_objectives(losses, images, added)
                losses = keras.ops.stack(losses)
                scaled = [self.optimizer.scale_loss(objective) for objective in objectives]
            step = (targets, y_pred, weights, losses, images, sum(objectives))
            return scaled, (step, balanced, present, self._state(inside)[0])

        scaled, linear, (step, balanced, present, after_branches) = jax.linearize(
            branches, shared, branch_values, has_aux=True
        )
        # Transposing one output of the linear map goes back through that task's branch only.
        gradients = [
            keras.tree.flatten(
                jax.linear_transpose(
                    lambda *tangents, k=k: linear(*tangents)[k], shared, branch_values
                )(jax.numpy.ones_like(objective))
            )
            for k, objective in enumerate(scaled)
        ]

        with scope(trunk_values, branch_values, after_branches) as inside:
            gradient, logs = self.balance(gradients, balanced, present, branch_variables)
        new_non_trainable, metrics = self._state(inside)
        (at_trunk,) = trunk_vjp(gradient[: len(shared)])
        gradient = network.join(variables, at_trunk, gradient[len(shared) :])
        # An optimizer may ask the network, for instance whether its distillation is on.
        with self._scope(trainable, new_non_trainable, metrics, optimizer_values):
            is_finite = self.is_finite(step[3], step[5], gradient, variables)
            is_update = is_finite & jax.numpy.any(present > 0)
            scale = self.loss_scale()
            new_trainable, new_optimizer_values = self.optimizer.stateless_apply(
                optimizer_values, gradient, trainable
            )
        with self._scope(new_trainable, new_non_trainable, metrics, new_optimizer_values) as inside:
            is_taken = is_update & (self.loss_scale() >= scale)
            metric_logs = self.train_logs(*step, is_finite)
            logs = {**metric_logs, **self.balancer_logs(logs, is_taken)}
        _, metrics = self._state(inside)
        trainable, optimizer_values = _choose(
            is_update, (new_trainable, new_optimizer_values), (trainable, optimizer_values)
        )
        non_trainable = _choose(is_taken, new_non_trainable, non_trainable)
        return logs, (trainable, non_trainable, optimizer_values, metrics)

    def _scope(self, trainable, non_trainable, metrics, optimizer_values):
        """Inside, the variables of model, metrics and optimizer have these values."""
        variables = [
            *self.trainable_variables,
            *self.non_trainable_variables,
            *self.metrics_variables,
            *self.optimizer.variables,
        ]
        values = [*trainable, *non_trainable, *metrics, *optimizer_values]
        mapping = list(zip(variables, values, strict=True))
        return keras.StatelessScope(mapping, collect_losses=True)

    def _state(self, scope):
        """What became of the non-trainable variables and those of the metrics in a scope."""
        return (
            [scope.get_current_value(variable) for variable in self.non_trainable_variables],
            [scope.get_current_value(variable) for variable in self.metrics_variables],
        )


def _choose(condition, new, old):
    return jax.tree.map(lambda new, old: jax.numpy.where(condition, new, old), new, old)
