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


def remat(function, token, *tensors):
    """`keras.remat` of a function from tensors to a list of tensors, in an order.

    That of Keras, `tf.recompute_grad`, has no effect in a graph: TensorFlow sees through what is to
    keep the second computation apart, and merges it with the first. And it starts on all second
    computations at once, so that much is kept after all.

    Args:
        function: from tensors to a list of tensors.
        token: scalar, from the call before this one.
        *tensors: float tensors.

    Returns:
        List: the token for the next call, and what the function returns.
    """

    @tf.custom_gradient
    def call(token, *tensors):
        def backward(*gradients):
            # When the way back has come here, and the next call's part of it is done.
            with tf.control_dependencies(gradients):
                again = [tf.identity(tensor) for tensor in tensors]
            with tf.GradientTape() as tape:
                tape.watch(again)
                outputs = function(*again)
            found = tape.gradient(outputs, again, gradients[1:])
            with tf.control_dependencies([g for g in found if g is not None]):
                done = tf.identity(gradients[0])
            return [done, *found]

        return [tf.identity(token), *function(*tensors)], backward

    return call(token, *tensors)
