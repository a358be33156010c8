import keras

from keras_atinet.training.remat.function import remat


class Rematerialization:
    """A functional model some pieces of which keep no activations in training.

    Of such a piece only the inputs are kept; its forward pass is computed once more on the way
    back. Moving averages are updated once.

    Args:
        inputs: KerasTensor or list of KerasTensors.
        start: list of KerasTensors, what the pieces begin with.
        pieces: list of `(inputs, output)`, KerasTensors, in the order of computation.
        outputs: structure of KerasTensors.

    Call arguments:
        inputs: tensor or list of tensors.
        training: bool.
    """

    def __init__(self, inputs, start, pieces, outputs):
        self._whole = keras.Model(inputs, outputs)
        self._start_tensors = start
        self._start = None if inputs is start else keras.Model(inputs, start)
        self._pieces = [(*piece, keras.Model(*piece)) for piece in pieces]
        read = {id(tensor) for tensors, _ in pieces for tensor in tensors}
        # What no piece reads, the rest does.
        self._ends = [output for _, output in pieces if id(output) not in read]
        self._rest = keras.Model(self._ends, outputs)

    @property
    def losses(self):
        """The losses that layers add, a list of scalars."""
        return self._whole.losses

    def __call__(self, inputs, training):
        start = inputs if self._start is None else self._start(inputs, training=training)
        values = dict(zip(map(id, self._start_tensors), start, strict=True))
        token = keras.ops.zeros(())
        for tensors, output, model in self._pieces:
            inputs = [values[id(tensor)] for tensor in tensors]
            token, values[id(output)] = _rematerialized(token, model, inputs, training)
        return self._rest([values[id(tensor)] for tensor in self._ends], training=training)


def _rematerialized(token, model, inputs, training):
    """A token and `model(inputs)`, computed again where gradients need what is within it.

    The way back passes the tokens one after the other, and so one piece after the other.
    """
    variables, moving = model.variables, model.non_trainable_variables

    # A function of tensors alone, as all backends need it: variables go in and come out.
    def call(*tensors):
        inputs, values = tensors[: len(model.inputs)], tensors[len(model.inputs) :]
        with keras.StatelessScope(list(zip(variables, values, strict=True))) as scope:
            output = model(list(inputs), training=training)
        return [output, *(scope.get_current_value(variable) for variable in moving)]

    # Copies of what changes before the way back comes here.
    changing = set(map(id, moving))
    values = [keras.ops.copy(v.value) if id(v) in changing else v.value for v in variables]
    values = [keras.ops.convert_to_tensor(value) for value in values]
    token, output, *updates = remat(call, token, *inputs, *values)
    for variable, value in zip(moving, updates, strict=True):
        variable.assign(value)
    return token, output
