import keras

from keras_atinet.balancing import Equal, get_balancer
from keras_atinet.internals import built_shape, track, untrack, without_backend
from keras_atinet.losses import as_loss
from keras_atinet.models.auxiliary import Auxiliary
from keras_atinet.models.encoder_training import EncoderTraining
from keras_atinet.models.inference import for_inference
from keras_atinet.models.matching_weights import load_matching_weights
from keras_atinet.models.saving import Saving
from keras_atinet.settings import ON_NONFINITE
from keras_atinet.tasks.names import check_log_names
from keras_atinet.training import (
    Fitting,
    LastStep,
    NetworkSplit,
    TrainStep,
    by_task,
    check_hooks,
    group_optimizer,
)


class MultiTaskModel(Auxiliary, EncoderTraining, Saving, Fitting, TrainStep, keras.Model):
    """A functional `keras.Model` from one image to a dict of predictions, one per task.

    Subclasses build the graph and call this constructor. Losses, metrics and the masks of valid
    pixels come from the tasks; a balancer turns the losses into one update.

    Args:
        inputs: KerasTensor, the image `(batch, height, width, channels)`.
        outputs: dict task name -> KerasTensor.
        tasks: list of `Task`.
        config: dict, the other constructor arguments of the subclass, for `get_config`.
        features: optional list of float KerasTensors, the shared features: the last that the
            tasks share, all of `outputs` follow from them (and the size of the image). This is
            where balancers with `over="bottleneck"` balance gradients.
        remat: optional list of `(inputs, output)`, segments of the network from the `features`
            on, in the order of computation. Training keeps their inputs only and computes the
            activations within again in the backward pass.
        dtype: dtype policy of the layers.
        name: str.
        auxiliary: optional dict task name -> list of KerasTensors of the shape of the task's
            prediction, auxiliary outputs such as initial predictions. They are trained by the
            task's loss, and neither predicted, exported nor evaluated.
        auxiliary_weight: float, what their losses are multiplied by. Defaults to 1.
        auxiliary_tasks: list of `Task` that have auxiliary outputs only.
        encoder: optional layer, all encoders of a network that has one for each task. Defaults to
            that of `config`.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)` in `[0, 1]`.
        training: bool, whether BatchNorm uses the batch's own statistics.

    Returns:
        Dict task name -> float32 tensor `(batch, height, width, channels of the task)`.
    """

    def __init__(
        self,
        inputs,
        outputs,
        tasks,
        config,
        features=None,
        remat=(),
        dtype=None,
        name=None,
        auxiliary=None,
        auxiliary_weight=1.0,
        auxiliary_tasks=(),
        encoder=None,
    ):
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self.dtype_policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        self.tasks = tasks
        self.features = features
        self.remat = list(remat)
        self._config = config
        self._loss_trackers = [keras.metrics.Mean(name=f"{task.name}_loss") for task in tasks]
        self._added_losses = keras.metrics.Mean(name="added_losses")
        self._name_auxiliary(auxiliary or {}, auxiliary_weight, auxiliary_tasks)
        own = config.get("encoder")
        part = own.model if own and encoder is None else encoder
        # A function, because Keras would save a layer in an attribute a second time.
        self._encoder = lambda: part
        self._freeze_encoder(own.frozen_epochs if own else 0)

    @property
    def encoder(self):
        """The encoder, a functional `keras.Model`, or None where it is the paper's SegNet.

        Where each task has one of its own, a layer of them all, whose `models` they are.
        """
        return self._encoder()

    @property
    def encoder_levels(self):
        """List of `keras_atinet.models.encoders.Level` of the encoder, None without one."""
        encoder = self._config.get("encoder")
        return encoder.levels if encoder else None

    def for_inference(self, input_shape=None, batch_size=None, dtype=None):
        """An equal functional `keras.Model` for inference, of plain convolutions.

        BatchNorm is folded into the convolutions before it, the encoder's too, the two
        convolutions of a head are merged, and the distillation is folded in or, where it is off,
        cut away. Nothing of training is left. The layers of an encoder become layers of the model.
        Outputs equal those of this model but for rounding (a mean difference below 1e-5).

        Args:
            input_shape: optional `(height, width, channels)`, another size, for a SegNet divisible
                by 32; None stands for any (not on JAX). Defaults to the size of this model.
            batch_size: optional int, the only batch size to take. Defaults to any.
            dtype: optional dtype policy, e.g. `"float32"`. Defaults to that of the layers.

        Returns:
            `keras.Model` with the inputs and outputs of this model. It is no `MultiTaskModel`: it
            predicts, saves, loads and exports, and is not to be trained.

        Raises:
            ValueError: if the network does not take such a size.

        Example:
            >>> fast = model.for_inference()
            >>> fast.predict(images)["depth"]
        """
        return for_inference(self, input_shape, batch_size, dtype)

    def compile(
        self,
        optimizer="adam",
        balancer="equal",
        loss=None,
        metrics=None,
        on_nonfinite="raise",
        learning_rate_multipliers=None,
        encoder_lr_multiplier=None,
        **kwargs,
    ):
        """Configures training.

        A step in which the loss of a task or the gradient is NaN or infinite, or in which no task
        that is predicted has a valid pixel, leaves weights, optimizer and balancer as they are (on
        one device). So does one whose gradients overflow under `mixed_float16`, but for the scale
        of the losses.

        `fit` logs `loss`, a mean over the images of the batches with labels, and the balancer's
        logs of the last step that was taken (`<task>_weight`); all are NaN for an epoch without.

        Args:
            optimizer: a `keras.optimizers.Optimizer` or its name. Defaults to `"adam"`.
            balancer: a name (see `keras_atinet.balancing`) or a
                `keras_atinet.balancing.Balancer`.
            loss: optional dict task name -> Keras loss, its name or a function, instead of the
                task's own loss. A `keras.losses.Loss` should average with
                `reduction="mean_with_sample_weight"`: ignored pixels have weight 0.
            metrics: optional dict task name -> list of Keras metrics, instead of the tasks' own.
                They see valid pixels only, as `sample_weight`. `{}` means none.
            on_nonfinite: `"raise"` (`fit` stops with an error that names task and step where a
                loss or the gradient is NaN or infinite, and takes no step from that one on) or
                `"skip"` (goes on, and logs the number of such steps of the epoch as
                `skipped_steps`). With either, `fit` stops where weights are not finite before it
                or after an epoch. Defaults to `"raise"`.
            learning_rate_multipliers: optional dict, name of one of `optimizer_groups` -> float
                above 0, what its learning rate (and with it weight decay) is multiplied by.
            encoder_lr_multiplier: optional float above 0, the multiplier of the encoder's group.
                A pretrained one often trains best at a tenth of the rate of the rest.
            **kwargs: `run_eagerly`, `steps_per_execution`, `jit_compile`, `auto_scale_loss`, as
                for `keras.Model.compile`.

        Raises:
            ValueError: if the balancer is unknown or needs features that this network does not
                name, `loss` or `metrics` name no task of this model, or
                `learning_rate_multipliers` no group of its weights; if `encoder_lr_multiplier` is
                given to a network without an encoder; if a subclass overrides `compute_loss`,
                `compute_metrics` or `call` where training does not call them.
            FloatingPointError: by `fit`, see `on_nonfinite`.
        """
        used, over = self._usable_balancer(balancer)
        check_hooks(
            self, MultiTaskModel, over == "bottleneck" or bool(self.remat or self.auxiliary)
        )
        if on_nonfinite not in ON_NONFINITE:
            raise ValueError(
                f"`on_nonfinite` of `compile` must be one of {ON_NONFINITE}. "
                f"Received: on_nonfinite={on_nonfinite!r}."
            )
        if on_nonfinite == "skip" and self.num_replicas > 1:
            raise ValueError(
                "`compile(on_nonfinite='skip')` works on one device only. "
                f"Received: a strategy of {self.num_replicas} replicas. Use 'raise'."
            )
        multipliers = self._encoder_multipliers(encoder_lr_multiplier, learning_rate_multipliers)
        if "loss_weights" in kwargs or "weighted_metrics" in kwargs:
            raise ValueError(
                "`compile` of a multi-task model takes no `loss_weights` (a `balancer` weighs the "
                "tasks) and no `weighted_metrics` (all `metrics` see valid pixels only). "
                f"Received: {sorted(kwargs)}."
            )
        if loss is not None and not isinstance(loss, dict):
            loss = by_task(self.all_tasks, loss, "loss")
        task_metrics = metrics
        if metrics is None:
            task_metrics = {task.name: task.metrics() for task in self.tasks}
        self._check_names(self.all_tasks, loss=loss or {})
        self._check_names(self.tasks, metrics=task_metrics)
        by_name = {task.name: task_metrics.get(task.name, ()) for task in self.tasks}
        check_log_names(by_name, self.auxiliary)
        own = {name: as_loss(value) for name, value in (loss or {}).items()}
        self._task_losses = {
            task.name: own.get(task.name) or task.loss() for task in self.all_tasks
        }

        used_optimizer = group_optimizer(
            optimizer,
            self.optimizer_groups(),
            multipliers,
            kwargs.get("auto_scale_loss", True) and self.dtype_policy.name == "mixed_float16",
            getattr(self, "optimizer", None),
        )
        super().compile(used_optimizer, weighted_metrics=task_metrics, **kwargs)
        for name in ("balancer", "skipped_steps", "last_step"):
            if hasattr(self, name):
                # Or what it holds and logs would stay with the model.
                untrack(self, getattr(self, name))
        self.balancer = used
        track(self, used)
        if not used.built:
            used.build((len(self.tasks),))
        self.network_split = NetworkSplit(self, over)
        self.skips_nonfinite = on_nonfinite == "skip"
        self.skipped_steps = keras.metrics.Sum(name="skipped_steps")
        self.last_step = LastStep(self.balancer_log_names())
        self.prepare_variables()
        arguments = {
            "optimizer": optimizer,
            "balancer": balancer,
            "loss": loss,
            "metrics": metrics,
            "on_nonfinite": on_nonfinite,
            "learning_rate_multipliers": learning_rate_multipliers,
            "encoder_lr_multiplier": encoder_lr_multiplier,
            **kwargs,
        }
        # A function, because Keras tracks the metrics in an attribute as the model's own.
        self._compile_arguments = lambda: arguments

    def load_matching_weights(self, source):
        """Takes from another network all weights that fit by name and shape, for fine-tuning.

        Tasks, classes and the kind of the network may be others: what they share fits, and all
        else stays as it is. A layer takes its weights, the statistics of a BatchNorm included,
        together or not at all; one that mixes the features of all tasks, such as the units of a
        `CrossStitch`, if the tasks are the same in the same order. The share of an ATI-Net's
        distillation is taken if all of this network's distillation fits: it then begins in the
        phase that the other one was in. Nothing of the optimizer or the balancer is taken.

        Args:
            source: str or path of a `.keras` file, or a `keras.Model`.

        Returns:
            `MatchingWeights`, the lists of paths `taken`, `kept` (of this network, as they were)
            and `unused` (of the source). Printed, it names the layers.

        Raises:
            ValueError: if nothing fits, as with other `filters`; if the file is no `.keras` file.
            FileNotFoundError: if there is no such file.

        Example:
            >>> model = keras_atinet.ATINet(tasks=("depth", "normal"))
            >>> print(model.load_matching_weights("segmentation.keras"))
        """
        return load_matching_weights(self, source)

    def build_optimizer(self):
        """Makes the optimizer's variables for the weights that are trainable now, if not done."""
        # A `LossScaleOptimizer` that is built twice cannot load what it saved.
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    def _usable_balancer(self, balancer):
        """A balancer for this network, and where it takes gradients, None if it takes none."""
        count = len(self.tasks)
        # One task is plain training, whatever the balancer would make of it.
        used = get_balancer(balancer) if count > 1 else Equal()
        if built_shape(used) not in (None, (count,)):
            raise ValueError(
                "`balancer` belongs to a network of another number of tasks. "
                f"Received: {used.name}, for a network of {count}. "
                "Make a new one for each network."
            )
        over = used.over if used.needs_gradients else None
        if over == "bottleneck" and self.features is None:
            raise ValueError(
                "A balancer with `over='bottleneck'` needs a network that names its shared "
                f"`features`. Received: {type(self).__name__}, which does not. "
                "Use over='shared_weights'."
            )
        return used, over

    def _check_names(self, tasks, **arguments):
        names = [task.name for task in tasks]
        for argument, value in arguments.items():
            if not set(value) <= set(names):
                raise ValueError(
                    f"`{argument}` of `compile` must be keyed by the tasks of this model, {names}. "
                    f"Received keys: {sorted(value)}."
                )

    def get_config(self):
        encoder = self._config.get("encoder")
        return {
            "tasks": [keras.saving.serialize_keras_object(task) for task in self.tasks],
            **self._config,
            **self._auxiliary_config(),
            **({"encoder": keras.saving.serialize_keras_object(encoder)} if encoder else {}),
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
        self.compile(**keras.saving.deserialize_keras_object(without_backend(config)))
        self.build_optimizer()
