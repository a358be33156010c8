"""How the encoder of a network trains: not at all, after some epochs, at a rate of its own."""

import numbers
import warnings

import keras

from keras_atinet.training import EncoderUnfreezing, OptimizerGroup

GROUP = "encoder"


class EncoderTraining:
    """The part of a `MultiTaskModel` that trains its encoder, where it has one.

    A frozen encoder is stepped by nothing: its group of the optimizer is off by a variable of the
    network, so that compiled steps see when it ends, and files and backups hold it.
    """

    _frozen_epochs = None

    def _freeze_encoder(self, epochs):
        if epochs:
            self._frozen_epochs = self.add_weight(
                name="frozen_encoder_epochs",
                shape=(),
                initializer=keras.initializers.Constant(epochs),
                dtype="float32",
                trainable=False,
            )

    @property
    def frozen_encoder_epochs(self):
        """Int, for how many epochs more `fit` takes no step with the encoder's weights. Can be set.

        Only where the network was made with `freeze_encoder=<epochs>`; else 0. The statistics of
        its BatchNorms move, unless it was made with `freeze_batch_norm=True` too.
        """
        if self._frozen_epochs is None:
            return 0
        return int(keras.ops.convert_to_numpy(self._frozen_epochs))

    @frozen_encoder_epochs.setter
    def frozen_encoder_epochs(self, epochs):
        is_count = isinstance(epochs, numbers.Integral) and not isinstance(epochs, bool)
        if not is_count or epochs < 0:
            raise ValueError(
                "`frozen_encoder_epochs` must be a number of epochs, an int not below 0. "
                f"Received: {epochs!r}."
            )
        if self._frozen_epochs is None:
            raise ValueError(
                "`frozen_encoder_epochs` can be set where the network was made with "
                "`freeze_encoder=<epochs>`. Received: one that was not. To freeze its encoder, set "
                "`model.encoder.trainable = False` and compile with a new optimizer."
            )
        self._frozen_epochs.assign(float(epochs))

    def optimizer_groups(self):
        """Groups of weights whose optimizer state and learning rate are their own.

        Returns:
            Dict, name -> `keras_atinet.training.OptimizerGroup`: `"encoder"` where the network has
            one that is not the paper's SegNet; an ATI-Net has more.
        """
        if self.encoder is None:
            return {}
        is_on = None
        if self._frozen_epochs is not None and self.num_replicas == 1:
            is_on = self._encoder_trains
        return {GROUP: OptimizerGroup(self.encoder.variables, is_on)}

    def _encoder_trains(self):
        return self._frozen_epochs.value <= 0

    def _encoder_multipliers(self, encoder_lr_multiplier, multipliers):
        """`learning_rate_multipliers` of `compile`, with that of the encoder."""
        if self.frozen_encoder_epochs and self.num_replicas > 1:
            raise ValueError(
                "An encoder that is frozen for some epochs trains on one device only. "
                f"Received: freeze_encoder={self.frozen_encoder_epochs}, in a strategy of "
                f"{self.num_replicas} replicas. Use `freeze_encoder=True`; then, after the epochs, "
                "`model.encoder.trainable = True` and `compile` with a new optimizer."
            )
        if encoder_lr_multiplier is None:
            return multipliers
        if self.encoder is None:
            raise ValueError(
                "`encoder_lr_multiplier` of `compile` is for a network with an `encoder`. "
                f"Received: encoder_lr_multiplier={encoder_lr_multiplier!r}, for a "
                f"{type(self).__name__} without. Make it with e.g. encoder='efficientnet_lite0'."
            )
        if GROUP in (multipliers or {}):
            raise ValueError(
                "The encoder has one multiplier of the learning rate. Received: "
                f"encoder_lr_multiplier={encoder_lr_multiplier!r} and "
                f"learning_rate_multipliers={multipliers}. Give one of them."
            )
        if not self.encoder.trainable_variables:
            warnings.warn(
                f"`encoder_lr_multiplier={encoder_lr_multiplier!r}` has no effect: all weights of "
                "the encoder are frozen.",
                stacklevel=3,
            )
        return {**(multipliers or {}), GROUP: encoder_lr_multiplier}

    def _complete_callbacks(self, callbacks, initial_epoch):
        callbacks = super()._complete_callbacks(callbacks, initial_epoch)
        own = [EncoderUnfreezing()] if self._frozen_epochs is not None else []
        return [*own, *callbacks]
