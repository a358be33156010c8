"""All that this package uses of Keras and PyTorch beyond their documented interfaces, in one place.

`tests/test_internals.py` has a test for each function, which fails where a version has changed what
it relies on. The classes derived from Keras's optimizers (`training/optimizer/`)
further set or answer attributes of their own that Keras asks of an optimizer,
`_trainable_variables`, `_variables` and `_model_variables_moving_average`; their tests cover these.
"""

import contextlib
import sys
import threading

import keras
import numpy as np


@contextlib.contextmanager
def tensorflow_only_if_imported():
    """Keeps Keras from importing TensorFlow merely to find that nothing is of it.

    On PyTorch and JAX too, Keras imports a TensorFlow that is installed when it saves a model, to
    ask of each part whether it is TensorFlow's, and when it sets seeds: seconds, and lines of
    noise. While this context lasts it takes it for installed once something else has imported it.
    """
    lazy = keras.utils.set_random_seed.__globals__["tf"]

    class Imported(type(lazy)):
        @property
        def available(self):
            return sys.modules.get("tensorflow") is not None

    before, lazy.__class__ = lazy.__class__, Imported
    try:
        yield
    finally:
        lazy.__class__ = before


_loading = threading.RLock()


@contextlib.contextmanager
def values_to_load():
    """On JAX, lets variables that would be random be zeros, those that this thread makes.

    For where a model is made to load its weights. JAX compiles a program for the initial values of
    each shape, of random ones above all: 16 s of the 19 for a Split on EfficientNet-Lite2. One
    thread at a time: what another replaced meanwhile would be put back for good.
    """
    if keras.backend.backend() != "jax":
        yield
        return
    names = "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Orthogonal"
    values = {getattr(keras.initializers, name): np.zeros for name in names}
    values |= {keras.initializers.Zeros: np.zeros, keras.initializers.Ones: np.ones}
    own = threading.get_ident()

    def replaced(kind, usual):
        def call(self, shape, dtype=None, **kwargs):
            if threading.get_ident() != own:
                return usual(self, shape, dtype, **kwargs)
            return values[kind](shape, dtype or keras.config.floatx())

        return call

    with _loading:
        usual = {kind: kind.__call__ for kind in values}
        for kind, call in usual.items():
            kind.__call__ = replaced(kind, call)
        try:
            yield
        finally:
            for kind, call in usual.items():
                kind.__call__ = call


def built_shape(layer):
    """The shape of the one input that a layer was built for, a tuple; `None` before that."""
    return tuple(layer.get_build_config()["input_shape"]) if layer.built else None


def sublayers(layer):
    """The layers that a layer is made of, in lists and dicts as well, not those within them."""
    return list(layer._flatten_layers(include_self=False, recursive=False))


def track(layer, sublayer):
    """Makes the weights of an attribute of a layer its own.

    Keras does so by itself, but for functional models only from 3.15 on.
    """
    if all(other is not sublayer for other in layer._layers):
        layer._layers.append(sublayer)


def untrack(layer, sublayer):
    """Undoes that a layer was made an attribute of another: its weights are no longer its own."""
    layer._tracker.untrack(sublayer)
    layer._layers[:] = [other for other in layer._layers if other is not sublayer]


def graph_nodes(model):
    """The calls that make the graph of a functional model, in the order of computation.

    Each has the `operation`, its `input_tensors` and its `outputs`; `model.operations` tells
    neither, and names an operation that is called twice once.
    """
    by_depth = sorted(_functional(model)._nodes_by_depth.items(), reverse=True)
    return [node for _, nodes in by_depth for node in nodes if not node.is_input]


def output_specs(node, specs):
    """What a node of `graph_nodes` would return for other inputs, `{id(input_tensor): spec}`."""
    args, kwargs = node.arguments.fill_in(specs)
    return keras.tree.flatten(node.operation.compute_output_spec(*args, **kwargs))


def producer(tensor):
    """The operation of a functional model that computes a tensor of its graph."""
    return tensor._keras_history.operation


def is_functional(layer):
    """Whether a layer is a model that computes what its graph says, a `keras.Sequential` too."""
    functional = keras.models.clone_model.__globals__["Functional"]
    if isinstance(layer, keras.Sequential):
        return layer.built and type(layer).call is keras.Sequential.call
    return isinstance(layer, functional) and type(layer).call is functional.call


def is_training(node):
    """Whether a node of `graph_nodes` is a call as in training, whatever the model is."""
    given = [*node.arguments.args, node.arguments.kwargs.get("training")]
    return any(argument is True for argument in given)


def run_graph(model, inputs, function_of):
    """What a functional model's graph gives for some inputs, with other functions in it.

    Args:
        model: functional `keras.Model`, see `is_functional`.
        inputs: structure of tensors or KerasTensors.
        function_of: function from an operation of the graph to what is called instead of it.

    Returns:
        What the model itself returns for the inputs.
    """
    outputs = _functional(model)._run_through_graph(inputs, operation_fn=function_of)
    is_single = isinstance(outputs, (list, tuple)) and len(outputs) == 1
    return outputs[0] if is_single else outputs


def _functional(model):
    return model._functional if isinstance(model, keras.Sequential) else model


def branch_order(names):
    """The order in which a functional model computes equal branches to outputs of these names."""
    return sorted(names, reverse=True)


def loss_tracker(model):
    """The metric of a compiled model that is logged as `loss`; `metrics` walks all its layers."""
    return model._loss_tracker


def optimizer_weights(optimizer):
    """The weights that an optimizer was built for, in order."""
    return optimizer._trainable_variables


def step_count(optimizer):
    """The variable that counts the calls of `apply`; `iterations` counts updates of weights."""
    return optimizer._iterations


def accumulated_gradients(optimizer):
    """Under gradient accumulation, the gradients so far, one for each of `optimizer_weights`."""
    return optimizer._accumulated_gradients


def moving_averages(optimizer):
    """With `use_ema`, the moving averages, one for each of `optimizer_weights`."""
    return optimizer._model_variables_moving_average


def without_empty_gradients(optimizer, gradients, variables):
    """The gradients that are not `None` and their variables, with Keras's warning or error."""
    return optimizer._filter_empty_gradients(gradients, variables)


def copy_weight_decay_exclusions(source, target):
    """Excludes from an optimizer's weight decay what another excludes."""
    target._use_weight_decay = source._use_weight_decay


def allow_nothing_to_decay(optimizer):
    """Lets weight decay pass where all weights are excluded, which fails on PyTorch."""
    decay = optimizer._apply_weight_decay

    def apply_weight_decay(variables):
        if any(map(optimizer._use_weight_decay, variables)):
            decay(variables)

    optimizer._apply_weight_decay = apply_weight_decay


def torch_batch_normalization(inputs, gamma, beta, epsilon):
    """Batch normalization of `(batch, channels, ...)` and the batch's statistics.

    With the documented `torch.nn.functional.batch_norm`, whose moving statistics can be made those
    of the batch, a train step of ATI-Net at full size takes 10 to 12 % longer on a CPU
    (`benchmarks/train_step.py --alternative torch_functional_batch_norm`).

    Returns:
        Outputs; mean and variance `(channels,)`, without a gradient.
    """
    import torch

    outputs, mean, inverse_deviation = torch.native_batch_norm(
        inputs, gamma, beta, None, None, True, 0.0, epsilon
    )
    return outputs, mean, (inverse_deviation**-2 - epsilon).clamp(min=0)


class JaxState:
    """Gives the variables of a `keras.Model` back their values where a step on JAX fails.

    Keras takes the values out of them when it begins a loop over batches. An error in its first
    step, or anywhere in `evaluate` and `predict`, Ctrl-C included, would lose the weights. (Ctrl-C
    within a step of `fit` still does.)
    """

    _before = None

    def _get_jax_state(self, purge_model_variables=False, **asked):
        state = super()._get_jax_state(purge_model_variables=purge_model_variables, **asked)
        if purge_model_variables:
            # In the order of the tuple; the names under which Keras keeps it from step to step.
            names = ("trainable", "non_trainable", "optimizer", "metrics")
            names = [f"{name}_variables" for name in names if asked.get(f"{name}_variables")]
            self._jax_state = dict(zip(names, state, strict=True))
            if not asked.get("optimizer_variables"):
                import jax

                # A step gives away the memory of its state: an error within it would leave none.
                self._before = self._jax_state
                state = jax.tree.map(jax.numpy.copy, state)
        return state

    def evaluate(self, *args, **kwargs):
        with self._synced():
            return super().evaluate(*args, **kwargs)

    def predict(self, *args, **kwargs):
        with self._synced():
            return super().predict(*args, **kwargs)

    @contextlib.contextmanager
    def _synced(self):
        try:
            yield
        except BaseException:
            if self._before is not None:
                self._jax_state, self._jax_state_synced = self._before, False
            self.jax_state_sync()
            raise
        finally:
            self._before = None


def without_backend(config):
    """A serialized object in which Keras's optimizers are named without a backend.

    On PyTorch Keras writes the module of a class that it cannot import where PyTorch is not
    installed. `keras.optimizers` gives the class of the backend in use.
    """
    if isinstance(config, list):
        return [without_backend(value) for value in config]
    if not isinstance(config, dict):
        return config
    config = {key: without_backend(value) for key, value in config.items()}
    if str(config.get("module")).startswith("keras.src.backend.torch.optimizers."):
        config["module"] = "keras.optimizers"
    return config
