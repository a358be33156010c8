import keras


class EncoderUnfreezing(keras.callbacks.Callback):
    """Counts the epochs for which the encoder stays as it is; then it trains with the rest.

    `MultiTaskModel.fit` adds it to a network that was made with `freeze_encoder=<epochs>`, before
    the user's callbacks, so that what they save is up to date. Epochs are counted in
    `frozen_encoder_epochs` of the network, and so over several `fit` and saved files.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self._was_frozen = self.model.frozen_encoder_epochs > 0

    def on_epoch_end(self, epoch, logs=None):
        if not self._was_frozen:
            return
        self.model.frozen_encoder_epochs -= 1
        is_last = epoch + 1 == self.params["epochs"]
        if not self.model.frozen_encoder_epochs and not is_last and self.params.get("verbose") != 0:
            print(f"The encoder trains from epoch {epoch + 2} on.")
