import keras
import numpy as np
from keras import ops

from keras_atinet.balancing import get_balancer
from keras_atinet.losses import as_loss
from keras_atinet.tasks import get_tasks
from keras_atinet.training import BalancerUpdate, TrainStep


class MultiTaskModel(TrainStep, keras.Model):
    """A functional `keras.Model` from one image to a dict of predictions, one per task.

    Subclasses build the graph and call this constructor. Losses, metrics and the masks of valid
    pixels come from the tasks; a balancer turns the losses into one update.

    Args:
        inputs: KerasTensor, the image `(batch, height, width, channels)`.
        outputs: dict task name -> KerasTensor.
        tasks: list of `Task`.
        config: dict, the other constructor arguments of the subclass, for `get_config`.
        dtype: dtype policy of the layers.
        name: str.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)` in `[0, 1]`.
        training: bool, whether BatchNorm uses the batch's own statistics.

    Returns:
        Dict task name -> float32 tensor `(batch, height, width, channels of the task)`.
    """

    def __init__(self, inputs, outputs, tasks, config, dtype=None, name=None):
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self.dtype_policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.tasks = tasks
        self._config = config
        self._loss_trackers = [keras.metrics.Mean(name=f"{task.name}_loss") for task in tasks]

    def compile(self, optimizer="adam", balancer="equal", loss=None, metrics=None, **kwargs):
        """Configures training.

        Args:
            optimizer: a `keras.optimizers.Optimizer` or its name. Defaults to `"adam"`.
            balancer: `"equal"`, `"dwa"` or a `keras_atinet.balancing.Balancer`.
            loss: optional dict task name -> Keras loss, its name or a function, instead of the
                task's own loss. A `keras.losses.Loss` should average with
                `reduction="mean_with_sample_weight"`: void pixels have weight 0.
            metrics: optional dict task name -> list of Keras metrics, instead of the tasks' own.
                They see valid pixels only, as `sample_weight`. `{}` means none.
            **kwargs: `run_eagerly`, `steps_per_execution`, `jit_compile`, `auto_scale_loss`, as
                for `keras.Model.compile`.

        Raises:
            ValueError: if the balancer is unknown, or `loss` or `metrics` name no task of this
                model.
        """
        names = [task.name for task in self.tasks]
        balancer = get_balancer(balancer)
        if "loss_weights" in kwargs or "weighted_metrics" in kwargs:
            raise ValueError(
                "`compile` of a multi-task model takes no `loss_weights` (a `balancer` weighs the "
                "tasks) and no `weighted_metrics` (all `metrics` see valid pixels only). "
                f"Received: {sorted(kwargs)}."
            )
        if loss is not None and not isinstance(loss, dict):
            loss = self._by_task(loss, "loss")
        task_metrics = metrics
        if metrics is None:
            task_metrics = {task.name: task.metrics() for task in self.tasks}
        for argument, value in (("loss", loss or {}), ("metrics", task_metrics)):
            if not set(value) <= set(names):
                raise ValueError(
                    f"`{argument}` of `compile` must be keyed by the tasks of this model, {names}. "
                    f"Received keys: {sorted(value)}."
                )
        own = {name: as_loss(value) for name, value in (loss or {}).items()}
        self._task_losses = {task.name: own.get(task.name) or task.loss() for task in self.tasks}

        super().compile(optimizer, weighted_metrics=task_metrics, **kwargs)
        if hasattr(self, "balancer"):
            self._tracker.untrack(self.balancer)  # or its variables would stay with the model
        self.balancer = balancer
        if not balancer.built:
            balancer.build((len(names),))
        if keras.backend.backend() == "tensorflow":
            # Variables made inside a traced step would cost a second trace of it.
            self.optimizer.build(self.trainable_variables)
        arguments = {
            "optimizer": optimizer,
            "balancer": balancer,
            "loss": loss,
            "metrics": metrics,
            **kwargs,
        }
        # A function, because Keras tracks the metrics in an attribute as the model's own.
        self._compile_arguments = lambda: arguments

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        *args,
        **kwargs,
    ):
        """`keras.Model.fit`, with the callbacks that the balancer and the network need."""
        callbacks = self._complete_callbacks(_as_list(callbacks))
        return super().fit(x, y, batch_size, epochs, verbose, callbacks, *args, **kwargs)

    def _complete_callbacks(self, callbacks):
        # In front, so that what the user's callbacks save is up to date.
        return [BalancerUpdate(), *callbacks]

    def compute_task_losses(self, y, y_pred, sample_weight=None):
        """The unweighted loss of every task, a float32 tensor `(K,)`; also tracks them."""
        y, weights = self._valid_targets(y, y_pred, sample_weight)
        losses = []
        for task, tracker in zip(self.tasks, self._loss_trackers, strict=True):
            weight = weights[task.name]
            loss = self._task_losses[task.name](y[task.name], y_pred[task.name], weight)
            # Keras divides losses by the number of replicas, which sum their gradients.
            loss = ops.cast(loss, "float32") * self.num_replicas
            # In the mean over batches, images without valid pixels do not count.
            images = ops.cast(ops.any(weight > 0, axis=(1, 2)), "float32")
            tracker.update_state(loss, sample_weight=ops.sum(images))
            losses.append(loss)
        return ops.stack(losses)

    def compute_objectives(self, losses, added_losses=None):
        """The scalars to differentiate: the balancer's, with losses added by layers."""
        added = [ops.sum(loss) for loss in (self.losses if added_losses is None else added_losses)]
        objectives = self.balancer.objectives(losses)
        return [objective + sum(added) / len(objectives) for objective in objectives]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The sum of the unweighted task losses and of losses added by layers, a scalar.

        This is the `loss` of `evaluate` and the `val_loss` of `fit`: whatever the balancer does,
        it means the same in every epoch.
        """
        losses = self.compute_task_losses(y, y_pred, sample_weight)
        added = sum(ops.sum(loss) for loss in self.losses)
        return (ops.sum(losses) + added) / self.num_replicas

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        y, weights = self._valid_targets(y, y_pred, sample_weight)
        return super().compute_metrics(x, y, y_pred, weights)

    def get_metrics_result(self):
        logs = super().get_metrics_result()
        if len(self.tasks) > 1:
            return logs
        # Keras names the metrics of several outputs after them, of a single one not.
        (task,) = self.tasks
        whole = ("loss", f"{task.name}_loss")
        return {
            name if name in whole else f"{task.name}_{name}": value for name, value in logs.items()
        }

    def track_objectives(self, objectives, x):
        """Counts a train step's objective in the mean that is logged as `loss`."""
        batch_size = ops.shape(keras.tree.flatten(x)[0])[0]
        tracker = next(metric for metric in self.metrics if metric.name == "loss")
        tracker.update_state(sum(objectives), sample_weight=batch_size)

    def weight_logs(self, losses):
        """`<task>_weight` for the logs of a train step."""
        weights = self.balancer.task_weights(losses)
        return {f"{task.name}_weight": weights[k] for k, task in enumerate(self.tasks)}

    def _valid_targets(self, y, y_pred, sample_weight):
        """Targets with nothing harmful in them and the weight of every pixel, both by task."""
        y = self._by_task(y, "y")
        weights = self._by_task(sample_weight, "sample_weight")
        targets, pixel_weights = {}, {}
        for task in self.tasks:
            target = ops.convert_to_tensor(y[task.name])
            _, height, width, _ = y_pred[task.name].shape
            if tuple(target.shape[1:]) != task.target_shape(height, width):
                raise ValueError(
                    f"The target of task '{task.name}' must have the shape "
                    f"{('batch', *task.target_shape(height, width))}. "
                    f"Received: {tuple(target.shape)}. Check the task's channels and image size."
                )
            target, mask = task.prepare(target)
            pixel_weight = ops.cast(mask, "float32")
            if weights[task.name] is not None:
                given = ops.cast(weights[task.name], "float32")
                while len(given.shape) < len(pixel_weight.shape):
                    given = ops.expand_dims(given, -1)
                pixel_weight *= given
            targets[task.name] = target
            pixel_weights[task.name] = pixel_weight
        return targets, pixel_weights

    def _by_task(self, value, argument):
        names = [task.name for task in self.tasks]
        if isinstance(value, dict):
            missing = [name for name in names if name not in value]
            if argument == "y" and missing:
                raise ValueError(
                    f"`{argument}` has no target for the tasks {missing}. "
                    f"Received keys: {sorted(value)}. "
                    "Give missing pixels their missing value: class -1, depth 0, zero normal."
                )
            return {name: value.get(name) for name in names}
        if isinstance(value, (list, tuple)) and len(value) == len(names):
            return dict(zip(names, value, strict=True))
        if argument == "sample_weight" or len(names) == 1:
            return dict.fromkeys(names, value)
        raise ValueError(
            f"`{argument}` must be a dict keyed by the tasks {names}. Received: {type(value)}."
        )

    def get_config(self):
        return {
            "tasks": [keras.saving.serialize_keras_object(task) for task in self.tasks],
            **self._config,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = keras.saving.deserialize_keras_object(config, custom_objects=custom_objects)
        return cls(**config)

    def get_compile_config(self):
        if not self.compiled:
            return None
        return {
            name: keras.saving.serialize_keras_object(value)
            for name, value in self._compile_arguments().items()
        }

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)


def standardize_arguments(tasks, input_shape, filters, model):
    """Checks the arguments that all the networks share.

    Args:
        tasks: see `get_tasks`.
        input_shape: `(height, width, channels)`, height and width divisible by 32.
        filters: five positive ints.
        model: str, the name to use in errors.

    Returns:
        List of `Task`, and the two shapes as tuples.

    Raises:
        ValueError: if one of them is none of these.
    """
    input_shape, filters = (tuple(np.ravel(value).tolist()) for value in (input_shape, filters))
    if len(input_shape) != 3 or not all(isinstance(n, int) and n > 0 for n in input_shape):
        raise ValueError(
            f"`{model}` needs `input_shape=(height, width, channels)`. "
            f"Received: input_shape={input_shape}. Use e.g. (288, 384, 3)."
        )
    height, width, channels = input_shape
    if height % 32 or width % 32:
        padded = (height + -height % 32, width + -width % 32, channels)
        raise ValueError(
            f"`{model}` needs an image height and width divisible by 32. "
            f"Received: input_shape={input_shape}. Pad or resize to {padded}."
        )
    if len(filters) != 5 or not all(isinstance(n, int) and n > 0 for n in filters):
        raise ValueError(
            f"`filters` of `{model}` must be five positive integers, one for each level. "
            f"Received: filters={filters}. Use e.g. (64, 128, 256, 512, 512)."
        )
    return get_tasks(tasks), input_shape, filters


def _as_list(callbacks):
    if callbacks is None:
        return []
    if isinstance(callbacks, keras.callbacks.CallbackList):
        # `fit` adds these two itself.
        own = (keras.callbacks.History, keras.callbacks.ProgbarLogger)
        return [callback for callback in callbacks.callbacks if not isinstance(callback, own)]
    return list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
