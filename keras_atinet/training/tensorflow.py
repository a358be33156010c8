import keras
import tensorflow as tf


class TrainStep:
    """`train_step` of a `MultiTaskModel` on TensorFlow."""

    @property
    def num_replicas(self):
        """Devices of a `tf.distribute` strategy, whose gradients are summed."""
        return tf.distribute.get_strategy().num_replicas_in_sync

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        variables = self.trainable_variables

        with tf.GradientTape(persistent=True) as tape:
            y_pred = self(x, training=True)
            losses = self.compute_task_losses(y, y_pred, sample_weight)
            objectives = self.compute_objectives(losses)
            scaled = [
                self.optimizer.scale_loss(objective / self.num_replicas) for objective in objectives
            ]

        gradients = [tape.gradient(objective, variables) for objective in scaled]
        del tape  # A persistent tape keeps every activation.
        if variables:
            self.optimizer.apply(self.balancer.combine(gradients), variables)

        self.track_objectives(objectives, x)
        logs = self.compute_metrics(x, y, y_pred, sample_weight)
        return {**logs, **self.weight_logs(losses)}
