import jax
import keras


class TrainStep:
    """`train_step` of a `MultiTaskModel` on JAX: stateless, from state to state."""

    num_replicas = 1

    def train_step(self, state, data):
        trainable, non_trainable, optimizer_values, metrics = state
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)

        def forward(trainable, non_trainable, metrics):
            y_pred, non_trainable, added_losses = self.stateless_call(
                trainable, non_trainable, x, training=True, return_losses=True
            )
            with self._scope(trainable, non_trainable, metrics, optimizer_values) as scope:
                losses = self.compute_task_losses(y, y_pred, sample_weight)
                objectives = self.compute_objectives(losses, added_losses)
                scaled = [self.optimizer.scale_loss(objective) for objective in objectives]
            return scaled, (y_pred, losses, objectives, *self._state(scope))

        scaled, vjp, (y_pred, losses, objectives, non_trainable, metrics) = jax.vjp(
            lambda trainable: forward(trainable, non_trainable, metrics), trainable, has_aux=True
        )
        one = jax.numpy.ones_like(scaled[0])
        gradients = [
            vjp([one if j == k else 0 * one for j in range(len(scaled))])[0]
            for k in range(len(scaled))
        ]

        with self._scope(trainable, non_trainable, metrics, optimizer_values) as scope:
            gradient = self.balancer.combine(gradients)
            self.track_objectives(objectives, x)
            logs = self.compute_metrics(x, y, y_pred, sample_weight)
            logs = {**logs, **self.weight_logs(losses)}
        non_trainable, metrics = self._state(scope)
        trainable, optimizer_values = self.optimizer.stateless_apply(
            optimizer_values, gradient, trainable
        )
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
        return keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True)))

    def _state(self, scope):
        """What became of the non-trainable variables and those of the metrics in a scope."""
        return (
            [scope.get_current_value(variable) for variable in self.non_trainable_variables],
            [scope.get_current_value(variable) for variable in self.metrics_variables],
        )
