import keras
import tensorflow as tf


class TrainStep:
    """`train_step` of a `MultiTaskModel` on TensorFlow."""

    @property
    def num_replicas(self):
        """Devices of a `tf.distribute` strategy, whose gradients are summed."""
        return tf.distribute.get_strategy().num_replicas_in_sync

    def prepare_variables(self):
        """Is called by `compile`."""
        # Variables made inside a traced step would cost a second trace of it.
        self.build_optimizer()

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        paths = self.paths
        trunk_variables, branch_variables = paths.split(self.trainable_variables)
        state = [tf.identity(variable.value) for variable in self.non_trainable_variables]

        with tf.GradientTape() as trunk_tape:
            features = paths.features(x)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(features)
            y_pred = paths.predictions(x, features)
            y, weights = self.valid_targets(y, y_pred, sample_weight)
            losses, images = self.compute_task_losses(y, y_pred, weights)
            added = paths.added_losses(features)
            objectives, present = self.compute_objectives(losses, images, added)
            losses = keras.ops.stack(losses)
            scaled = [
                self.optimizer.scale_loss(objective / self.num_replicas) for objective in objectives
            ]

        sources = [*features, *branch_variables]
        gradients = [tape.gradient(objective, sources) for objective in scaled]
        del tape  # A persistent tape keeps every activation.
        gradient, logs = self.balance(gradients, losses, present)
        at_features, at_branches = gradient[: len(features)], gradient[len(features) :]
        at_trunk = trunk_tape.gradient(features, trunk_variables, at_features)

        def update():
            scale = self.loss_scale()
            self.optimizer.apply([*at_trunk, *at_branches], [*trunk_variables, *branch_variables])
            return self.loss_scale() >= scale

        def restore():
            for variable, value in zip(self.non_trainable_variables, state, strict=True):
                variable.assign(value)

        if self.num_replicas > 1:
            update()  # Replicas cannot meet inside a condition.
        elif self.trainable_variables:
            taken = tf.cond(self.is_update(losses, present), update, lambda: tf.constant(False))
            tf.cond(taken, lambda: None, restore)

        metrics = self.train_logs(y, y_pred, weights, losses, images, sum(objectives))
        return {**metrics, **logs}
