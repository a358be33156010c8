import keras
import tensorflow as tf

from keras_atinet.training.step.common import CommonStep


class TrainStep(CommonStep):
    """`train_step` of a `MultiTaskModel` on TensorFlow."""

    @property
    def num_replicas(self):
        return self.distribute_strategy.num_replicas_in_sync

    def prepare_variables(self):
        # Variables made inside a traced step would cost a second trace of it.
        self.build_optimizer()

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        network = self.network_split
        trunk_variables, branch_variables = network.separate(self.trainable_variables)
        variables = [*trunk_variables, *branch_variables]
        others = self.non_trainable_variables
        state = [tf.identity(variable.value) for variable in others]

        with tf.GradientTape() as trunk_tape:
            shared = network.trunk_outputs(x)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(shared)
            y_pred, auxiliary = network.predictions(x, shared)
            y, weights = self.valid_targets(y, y_pred, sample_weight, auxiliary)
            losses, images = self.compute_task_losses(y, y_pred, weights, auxiliary)
            added = network.added_losses(shared)
            objectives, balanced, present = self.compute_objectives(losses, images, added)
            losses = keras.ops.stack(losses)
            scaled = [
                self.optimizer.scale_loss(objective / self.num_replicas) for objective in objectives
            ]

        sources = [*shared, *branch_variables]
        gradients = [tape.gradient(objective, sources) for objective in scaled]
        del tape  # A persistent tape keeps every activation.
        gradient, logs = self.balance(gradients, balanced, present, branch_variables)
        at_shared, at_branches = gradient[: len(shared)], gradient[len(shared) :]
        at_trunk = trunk_tape.gradient(shared, trunk_variables, at_shared)
        gradient, objective = [*at_trunk, *at_branches], sum(objectives)
        is_finite = self.is_finite(losses, objective, gradient, variables)
        is_taken = is_finite & tf.reduce_any(present > 0)

        def update():
            scale = self.loss_scale()
            self.optimizer.apply(gradient, variables)
            return self.loss_scale() >= scale

        def restore():
            for variable, value in zip(others, state, strict=True):
                variable.assign(value)

        if self.num_replicas > 1:
            update()  # Replicas cannot meet inside a condition.
        else:
            if variables:
                is_taken = tf.cond(is_taken, update, lambda: tf.constant(False))
            tf.cond(is_taken, lambda: None, restore)

        metrics = self.train_logs(y, y_pred, weights, losses, images, objective, is_finite)
        return {**metrics, **self.balancer_logs(logs, is_taken)}
