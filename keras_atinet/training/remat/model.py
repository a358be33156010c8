import keras

from keras_atinet.training.remat.function import remat


class RematerializedModel:
    """A functional model of which some segments keep no activations in training.

    Of such a segment only the inputs are kept; its forward pass is computed once more in the
    backward pass. Moving averages are updated once.

    Args:
        inputs: list of KerasTensors, the image and perhaps the features.
        features: list of KerasTensors, what the segments begin with.
        segments: list of `(inputs, output)`, KerasTensors, in the order of computation.
        outputs: structure of KerasTensors.

    Call arguments:
        inputs: tensor or list of tensors.
        training: bool.
    """

    def __init__(self, inputs, features, segments, outputs):
        self._whole = keras.Model(inputs, outputs)
        self._inputs = inputs
        given = set(map(id, inputs))
        self._features = [feature for feature in features if id(feature) not in given]
        self._before = keras.Model(inputs, self._features) if self._features else None
        self._segments = [(*segment, keras.Model(*segment)) for segment in segments]
        read = {id(tensor) for tensors, _ in segments for tensor in tensors}
        # What no segment reads, the rest of the network does; and perhaps the image.
        last = [output for _, output in segments if id(output) not in read]
        self._last = [inputs[0], *last]
        self._after = keras.Model(self._last, outputs)

    @property
    def losses(self):
        """The losses added by layers, a list of scalars."""
        return self._whole.losses

    def __call__(self, inputs, training):
        inputs = [keras.ops.convert_to_tensor(x) for x in keras.tree.flatten(inputs)]
        values = dict(zip(map(id, self._inputs), inputs, strict=True))
        if self._before is not None:
            features = self._before(inputs, training=training)
            values.update(zip(map(id, self._features), features, strict=True))
        token = keras.ops.zeros(())
        for tensors, output, model in self._segments:
            inputs = [values[id(tensor)] for tensor in tensors]
            token, values[id(output)] = _rematerialized(token, model, inputs, training)
        return self._after([values[id(tensor)] for tensor in self._last], training=training)


def _rematerialized(token, model, inputs, training):
    """A token and `model(inputs)`, whose activations the backward pass computes again.

    The backward pass hands the tokens from segment to segment, and so computes one at a time.
    """
    variables, moving = model.variables, model.non_trainable_variables

    # A function of tensors alone, as all backends need it: variables go in and come out.
    def call(*tensors):
        inputs, values = tensors[: len(model.inputs)], tensors[len(model.inputs) :]
        with keras.StatelessScope(list(zip(variables, values, strict=True))) as scope:
            output = model(list(inputs), training=training)
        return [output, *(scope.get_current_value(variable) for variable in moving)]

    # Copies of what changes before the backward pass comes here.
    changing = set(map(id, moving))
    values = [keras.ops.copy(v.value) if id(v) in changing else v.value for v in variables]
    values = [keras.ops.convert_to_tensor(value) for value in values]
    token, output, *updates = remat(call, token, *inputs, *values)
    for variable, value in zip(moving, updates, strict=True):
        variable.assign(value)
    return token, output
