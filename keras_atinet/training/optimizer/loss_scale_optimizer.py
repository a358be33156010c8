import keras


@keras.saving.register_keras_serializable(package="keras_atinet")
class LossScaleOptimizer(keras.optimizers.LossScaleOptimizer):
    """Keras's around a `GroupedOptimizer`.

    Gradients of groups that are off do not count as overflow. The state of the optimizer inside is
    left to that optimizer: Keras's counts all variables, and drops the state of a file that has
    another number.
    """

    def apply(self, grads, trainable_variables=None):
        variables = trainable_variables or self._trainable_variables
        super().apply(self.inner_optimizer.mask(grads, variables), trainable_variables)

    def stateless_apply(self, optimizer_variables, grads, trainable_variables):
        with self.inner_optimizer.conditions():
            grads = self.inner_optimizer.mask(grads, self._trainable_variables)
            return super().stateless_apply(optimizer_variables, grads, trainable_variables)

    def save_own_variables(self, store):
        for index, variable in enumerate(self._variables):
            store[str(index)] = variable.numpy()

    def load_own_variables(self, store):
        # Fewer where it was saved before the first step on JAX.
        for index, variable in zip(range(len(store.keys())), self._variables, strict=False):
            variable.assign(store[str(index)])

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Keras's own around the user's optimizer, to which `compile` gives groups."""
        return keras.optimizers.LossScaleOptimizer.from_config(config, custom_objects)
