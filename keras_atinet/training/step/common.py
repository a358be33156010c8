import keras
import numpy as np
from keras import ops

from keras_atinet.internals import loss_tracker
from keras_atinet.ops import all_finite
from keras_atinet.ops.masks import any_pixel, weighted_mean
from keras_atinet.training.optimizer import GroupedOptimizer
from keras_atinet.training.step.gradients import combine_gradients
from keras_atinet.training.step.targets import valid_targets


class CommonStep:
    """What the train steps of all backends do alike, and the evaluation step.

    A step of `TrainStep` calls these methods in the order in which they stand here. It belongs to
    a `MultiTaskModel`, which has `tasks`, `balancer`, `optimizer` and `network_split`.

    Attributes:
        num_replicas: int, devices of a `tf.distribute` strategy, whose gradients are summed.
    """

    num_replicas = 1

    def prepare_variables(self):
        """What `compile` does about variables before the first step."""

    def valid_targets(self, y, y_pred, sample_weight, auxiliary=()):
        """See `step.targets.valid_targets`; with `auxiliary` outputs, of all tasks.

        In evaluation there are none, and tasks that are only auxiliary need no targets.
        """
        tasks = self.all_tasks if auxiliary else self.tasks
        y, sample_weight = (
            values[: len(tasks)]
            if isinstance(values, (list, tuple)) and len(values) == len(self.all_tasks)
            else values
            for values in (y, sample_weight)
        )
        outputs = {**{name: outputs[0] for name, outputs in dict(auxiliary).items()}, **y_pred}
        return valid_targets(tasks, y, outputs, sample_weight)

    def compute_task_losses(self, y, y_pred, weights, auxiliary=()):
        """The unweighted losses, and the number of images in which a task has a valid pixel.

        Args:
            y, weights: dicts by task, from `valid_targets`.
            y_pred: dict of predictions.
            auxiliary: optional dict task name -> list of auxiliary outputs.

        Returns:
            A list of K + A float32 scalars, the losses of the K tasks and then, for each of the A
            tasks in `auxiliary`, the sum of the losses of its auxiliary outputs; and a float32
            tensor `(K + A,)`. The losses are not stacked: the backward pass from one loss would
            then lead through the branches of all tasks.
        """
        # In the order of the network: the keys of its outputs come sorted.
        outputs = [(task.name, [y_pred[task.name]]) for task in self.tasks]
        outputs += [(name, auxiliary[name]) for name in self.auxiliary if auxiliary]
        losses, images = [], []
        for name, predictions in outputs:
            losses.append(sum(self._task_loss(name, y, output, weights) for output in predictions))
            images.append(ops.sum(any_pixel(weights[name] > 0)))
        # Keras divides losses by the number of replicas, which sum their gradients.
        losses = [ops.cast(loss, "float32") * self.num_replicas for loss in losses]
        return losses, ops.cast(ops.stack(images), "float32")

    def _task_loss(self, name, y, output, weights):
        return weighted_mean(self._task_losses[name], y[name], output, weights[name])

    def compute_objectives(self, losses, images, added):
        """The scalars to differentiate, and what there is to balance.

        The balancer's objective, or the K losses if it balances gradients. A task's auxiliary loss,
        times `auxiliary_weight`, is part of its loss. The auxiliary losses of tasks that have
        nothing else, and the losses added by layers, are part of the one objective, and one more
        beside the K losses.

        Args:
            losses, images: from `compute_task_losses`.
            added: list of scalars.

        Returns:
            List of scalars; the losses that are balanced and which tasks are present, two float32
            tensors `(K,)`.
        """
        count = len(self.tasks)
        present = ops.cast(images[:count] > 0, "float32")
        auxiliary = dict(zip(self.auxiliary, losses[count:], strict=True))
        auxiliary = {name: self.auxiliary_weight * loss for name, loss in auxiliary.items()}
        losses = [
            loss + auxiliary.pop(task.name) if task.name in auxiliary else loss
            for task, loss in zip(self.tasks, losses[:count], strict=True)
        ]
        added = [*auxiliary.values(), *added]
        added = [sum(ops.sum(loss) for loss in added)] if added else []
        balanced = ops.stack(losses)
        if self.balancer.needs_gradients:
            return [*losses, *added], balanced, present
        return [sum(added, self.balancer(balanced, present))], balanced, present

    def balance(self, gradients, losses, present, variables):
        """One gradient from those of the objectives, and what there is to log of it.

        Args:
            gradients: list over the objectives of lists of tensors, with respect to the shared
                features and the variables of the branches.
            losses, present: float32 tensors `(K,)`.
            variables: list, the trainable variables of the branches.
        """
        names = [task.name for task in self.tasks]
        if self.balancer.needs_gradients:
            gradient, weights, gram = combine_gradients(
                self.balancer,
                gradients,
                self.network_split.tasks_by_variable(variables),
                losses,
                present,
                self.optimizer.scale_loss(1.0 / self.num_replicas),
            )
            logs = self.balancer.gradient_logs(gram, names) if self.balancer.diagnostics else {}
        else:
            (gradient,), logs = gradients, {}
            weights = self.balancer.task_weights(losses, present)
        return gradient, {**{f"{name}_weight": weights[k] for k, name in enumerate(names)}, **logs}

    def is_finite(self, losses, objective, gradient, variables):
        """Whether losses and gradient are finite, a scalar bool tensor.

        The gradient of scaled losses may overflow: its optimizer sees to that itself. Unless such
        steps are skipped, none after one in an epoch is finite: `fit` stops a few steps later, and
        the weights shall be those from before it.

        Args:
            losses: float32 tensor `(K + A,)`.
            objective: float32 scalar, with the losses added by layers.
            gradient, variables: lists, the one gradient and the variables that it is of.
        """
        is_finite = ops.all(ops.isfinite(losses)) & ops.isfinite(objective)
        if not self.skips_nonfinite:
            is_finite &= ops.isfinite(loss_tracker(self).total.value)
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            return is_finite
        if keras.backend.backend() == "torch" and all_finite(gradient):
            return is_finite
        # What a group that is off has for a gradient does not matter.
        if isinstance(self.optimizer, GroupedOptimizer):
            gradient = self.optimizer.mask(gradient, variables)
        return is_finite & all_finite(gradient)

    def loss_scale(self):
        """The factor of the losses. The optimizer lowers it in a step that it skips."""
        return ops.convert_to_tensor(self.optimizer.scale_loss(ops.ones(())))

    def train_logs(self, y, y_pred, weights, losses, images, objective, is_finite):
        """Updates the metrics by a train step.

        With `on_nonfinite="skip"` a step that is not finite counts for nothing but
        `skipped_steps`. Else it makes `loss`, and that of the task that it comes from, infinite for
        the rest of the epoch, for `FiniteLosses` to see. Batches without a label do not count
        in `loss`; it is NaN as long as there was no other.

        Args:
            y, weights: dicts by task, from `valid_targets`.
            y_pred: dict of predictions.
            losses, images: float32 tensors `(K + A,)`.
            objective: float32 scalar, logged as `loss`.
            is_finite: scalar bool tensor, from `is_finite`.

        Returns:
            Dict of logs.
        """
        has_labels = ops.any(images[: len(self.tasks)] > 0)
        batch_size = ops.cast(has_labels, "int32") * ops.shape(next(iter(y.values())))[0]
        batch_size = ops.cast(batch_size, "float32")
        if self.skips_nonfinite:
            self.skipped_steps.update_state(~is_finite)

            def zero_unless_finite(value):
                return ops.where(is_finite, value, ops.zeros_like(value))

            batch_size, objective, losses, images, y_pred, weights = keras.tree.map_structure(
                zero_unless_finite, (batch_size, objective, losses, images, y_pred, weights)
            )
        else:
            # A weight that is no number is not above 0: of such a loss no image would count.
            losses, images = _infinite_unless(ops.isfinite(losses), losses, images)
            objective, batch_size = _infinite_unless(is_finite, objective, batch_size)
        self._track_losses([*self._loss_trackers, *self._auxiliary_trackers], losses, images)
        tracker = loss_tracker(self)
        tracker.update_state(objective, sample_weight=batch_size)
        y, weights = ({name: values[name] for name in y_pred} for values in (y, weights))
        logs = super().compute_metrics(None, y, y_pred, weights)
        for metric in self._auxiliary_trackers:
            logs[metric.name] = _nan_unless(metric.count.value > 0, metric.result())
        logs["loss"] = _nan_unless(tracker.count.value > 0, tracker.result())
        if self.skips_nonfinite:
            logs["skipped_steps"] = self.skipped_steps.result()
        return logs

    def balancer_log_names(self):
        """The names of what `balance` gives to log, a list."""
        names = [task.name for task in self.tasks]
        logs = [f"{name}_weight" for name in names]
        if self.balancer.needs_gradients and self.balancer.diagnostics:
            logs.extend(self.balancer.gradient_logs(ops.eye(len(names)), names))
        return logs

    def balancer_logs(self, logs, is_taken):
        """What `balance` gave to log, of the last step of the epoch that was taken.

        It is NaN before there is one; with several replicas, every step is taken.
        """
        if self.num_replicas > 1:
            return logs
        self.last_step.update_state(logs, is_taken)
        return self.last_step.result()

    def _track_losses(self, trackers, losses, images):
        # In the mean over batches, images without valid pixels do not count.
        for k, tracker in enumerate(trackers):
            tracker.update_state(losses[k], sample_weight=images[k])

    # What Keras calls in `evaluate` and in the validation of `fit`.

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The sum of the unweighted task losses and of losses added by layers, a scalar.

        See `get_metrics_result` for what `evaluate` makes of it over all batches.
        """
        y, weights = self.valid_targets(y, y_pred, sample_weight)
        losses, images = self.compute_task_losses(y, y_pred, weights)
        self._track_losses(self._loss_trackers, losses, images)
        added = sum((ops.sum(loss) for loss in self.losses), ops.zeros(()))
        self._added_losses.update_state(added, sample_weight=ops.shape(next(iter(y.values())))[0])
        return (sum(losses) + added) / self.num_replicas

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        y, weights = self.valid_targets(y, y_pred, sample_weight)
        return super().compute_metrics(x, y, y_pred, weights)

    def get_metrics_result(self):
        """Losses and metrics since the last reset; NaN for a task without any valid pixel.

        `loss`, which is also the `val_loss` of `fit`, is the sum of the `<task>_loss` of the tasks
        with a valid pixel and of the losses added by layers, NaN if there is no such task. Whatever
        the balancer does, it means the same in every epoch. (In training `loss` is the objective.)
        """
        logs = super().get_metrics_result()
        of_training = (self.skipped_steps, self.last_step, *self._auxiliary_trackers)
        for metric in of_training:
            for name in [metric.name, *getattr(metric, "names", ())]:
                logs.pop(name, None)
        added = logs.pop(self._added_losses.name)
        names = [task.name for task in self.tasks]
        if len(names) == 1:
            # Keras names the metrics of several outputs after them, of a single one not.
            whole = ("loss", f"{names[0]}_loss")
            logs = {
                name if name in whole else f"{names[0]}_{name}": value
                for name, value in logs.items()
            }
        known = {
            name: tracker.count.value > 0
            for name, tracker in zip(names, self._loss_trackers, strict=True)
        }
        total = sum((logs[f"{name}_loss"] for name in names), added)
        logs["loss"] = _nan_unless(ops.any(ops.stack(list(known.values()))), total)
        for log, value in logs.items():
            owners = [name for name in names if log.startswith(f"{name}_")]
            if owners:
                logs[log] = _nan_unless(known[max(owners, key=len)], value)
        return logs


def _infinite_unless(is_finite, losses, weights):
    """Losses, and their weights in a mean, that make it infinite where they are not finite."""
    infinite, one = _full_like(losses, np.inf), ops.ones_like(weights)
    return ops.where(is_finite, losses, infinite), ops.where(is_finite, weights, one)


def _nan_unless(is_known, value):
    return ops.where(is_known, value, _full_like(value, np.nan))


def _full_like(tensor, value):
    # Not `ops.full_like`, which on PyTorch copies the value to the device and back.
    return ops.ones_like(tensor) * value
