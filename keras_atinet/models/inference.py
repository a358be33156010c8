"""From a trained network to an equal one for inference."""

import collections
import itertools

import keras

from keras_atinet.internals import graph_nodes, is_functional, is_training, run_graph
from keras_atinet.layers import MaxPooling2DWithArgmax
from keras_atinet.layers.equal_layers import fold_convolution, frozen_copy
from keras_atinet.layers.folding import fold
from keras_atinet.layers.norm_folding import is_convolution, is_norm_of
from keras_atinet.models.arguments import check_divisible


def for_inference(model, input_shape=None, batch_size=None, dtype=None):
    """See `MultiTaskModel.for_inference`."""
    shape = tuple(model.input_shape[1:] if input_shape is None else input_shape)
    channels = model.input_shape[-1]
    if len(shape) != 3 or shape[-1] != channels:
        raise ValueError(
            f"`for_inference` needs `input_shape=(height, width, {channels})`. "
            f"Received: input_shape={shape}. Height and width may be None, for any."
        )
    if any(isinstance(layer, MaxPooling2DWithArgmax) for layer in model.layers):
        check_divisible(shape, "for_inference")
    image = keras.Input(shape, batch_size, name="image")
    try:
        outputs = _Folded(model, dtype)(image)
    except (TypeError, ValueError) as error:
        if input_shape is None or shape == model.input_shape[1:]:
            raise
        raise ValueError(
            f"`for_inference` cannot make this network for images of {shape}: a layer is bound to "
            f"the size it was built for, {model.input_shape[1:]}. Received: "
            f"input_shape={input_shape}. Leave it out, or build the network at that size. "
            f"The layer's error: {error}"
        ) from error
    return keras.Model(image, outputs, name=model.name)


class _Folded:
    """The graph of a model, and of the models within it as parts of it, with folded layers.

    A convolution whose one reader is a BatchNorm becomes one convolution with bias; `fold` says
    what each other layer becomes. What is called with `training=True` stays as it is.

    Args:
        model: functional `keras.Model`.
        dtype: dtype policy of the new layers, or None, theirs.

    Call arguments:
        inputs: KerasTensor.
    """

    def __init__(self, model, dtype):
        self._model, self._dtype = model, dtype
        self._names = {operation.name for operation in model.operations}
        graphs = _graphs(model)
        self._kept = {
            node.operation for graph in graphs for node in graph_nodes(graph) if is_training(node)
        }
        self._norms = _norms_to_fold(graphs)
        self._folded_norms = set(self._norms.values())
        self._functions = {}

    def __call__(self, inputs):
        return self._run(self._model, inputs)

    def _run(self, model, inputs):
        return run_graph(model, inputs, lambda operation: self._function(operation, model))

    def _function(self, operation, model):
        if operation not in self._functions:
            self._functions[operation] = self._make(operation, model)
        return self._functions[operation]

    def _make(self, operation, model):
        name = self._new_name(operation.name, model)
        if operation in self._kept:
            return frozen_copy(operation, self._dtype, name)
        if is_functional(operation):
            return lambda inputs, *ignored, **options: self._run(operation, inputs)
        if operation in self._folded_norms:
            function = _identity
        elif operation in self._norms:
            function = fold_convolution(operation, self._norms[operation], self._dtype, name)
        else:
            # Functions that others have registered need not take a name.
            options = {} if name is None else {"name": name}
            function = fold(operation, self._dtype, **options)

        def call(*args, training=None, **kwargs):
            return function(*args, **kwargs)

        return call

    def _new_name(self, name, model):
        """A name for an operation of a model, None for its own."""
        if model is self._model or name not in self._names:
            self._names.add(name)
            return None
        candidates = (f"{model.name}_{name}{'_' * n}" for n in itertools.count())
        new = next(candidate for candidate in candidates if candidate not in self._names)
        self._names.add(new)
        return new


def _identity(inputs, mask=None):
    return inputs


def _graphs(model):
    """A functional model and those within it, each once."""
    graphs = [model]
    for graph in graphs:
        operations = [node.operation for node in graph_nodes(graph)]
        inner = {operation for operation in operations if is_functional(operation)}
        graphs.extend(inner.difference(graphs))
    return graphs


def _norms_to_fold(graphs):
    """Dict, convolution -> the BatchNorm that is the one reader of what it gives."""
    nodes = [node for graph in graphs for node in graph_nodes(graph)]
    num_calls = collections.Counter(node.operation for node in nodes)
    readers = collections.Counter(id(x) for node in nodes for x in node.input_tensors)
    readers.update(id(x) for graph in graphs for x in graph.outputs)
    once = [node for node in nodes if num_calls[node.operation] == 1 and not is_training(node)]
    convolutions = {
        id(node.outputs[0]): node.operation
        for node in once
        if is_convolution(node.operation) and readers[id(node.outputs[0])] == 1
    }
    norms = {}
    for node in once:
        convolution = convolutions.get(id(node.input_tensors[0])) if node.input_tensors else None
        if (
            convolution is not None
            and len(node.input_tensors) == 1
            and is_norm_of(node.operation, convolution)
        ):
            norms[convolution] = node.operation
    return norms
