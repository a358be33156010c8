"""The weights of one network that fit another one."""

import os
import pathlib
import re
from typing import NamedTuple

import keras

from keras_atinet.internals import sublayers
from keras_atinet.models.saving import damage

_SHOWN = 2


class MatchingWeights(NamedTuple):
    """What `load_matching_weights` did; as a text, up to three short lines.

    Attributes:
        taken: paths of the variables that have taken other values.
        kept: paths of the others of the model, which stay as they were.
        unused: paths of the variables in the other model that fit none.
    """

    taken: list
    kept: list
    unused: list

    def __str__(self):
        total = len(self.taken) + len(self.kept)
        text = f"{len(self.taken)} of {total} taken"
        parts = (("as they were", self.kept), ("not used", self.unused))
        lines = [f"  {name}: {_layers(paths)}" for name, paths in parts if paths]
        return "\n".join([text, *lines])


def load_matching_weights(model, source):
    """See `MultiTaskModel.load_matching_weights`."""
    other = open_model(source) if isinstance(source, (str, os.PathLike)) else source
    layers = _layers_of(other)
    found = dict(_named_layers(layers))
    taken, kept, unused = [], [], {id(v): v.path for layer in layers for v in layer.weights}
    unfit = None
    if _task_names(model) != _task_names(other):
        # Of the same shapes, they would be those of other tasks.
        mixed = [name for name in found if getattr(found[name], "mixes_tasks", False)]
        found = {
            name: layer
            for name, layer in found.items()
            if not any(f"{name}/".startswith(f"{start}/") for start in mixed)
        }
    # Sublayers come before what they are in, whose own state, such as the share of a distillation,
    # makes sense with all of them only.
    complete = {}
    for name, layer in _named_layers(_layers_of(model)):
        variables, values = _own_weights(layer), _own_weights(found.get(name))
        fits = len(variables) == len(values) and all(
            variable.name == value.name and variable.shape == value.shape
            for variable, value in zip(variables, values, strict=True)
        )
        inside = [done for inner, done in complete.items() if inner.startswith(f"{name}/")]
        complete[name] = fits = fits and name in found and all(inside)
        if variables and values and not fits and unfit is None:
            unfit = variables[0], values[0]
        if not fits:
            kept.extend(variable.path for variable in variables)
            continue
        for variable, value in zip(variables, values, strict=True):
            variable.assign(keras.ops.convert_to_numpy(value))
            taken.append(variable.path)
            unused.pop(id(value), None)
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # computes what it works with
    if not taken:
        raise ValueError(
            "`load_matching_weights` needs weights of the same names and shapes. "
            f"Received: {_described(source)}, of which nothing fits{_example(unfit)}. "
            "Make the network with the `filters` of the other one."
        )
    return MatchingWeights(taken, kept, list(unused.values()))


def open_model(path):
    path = pathlib.Path(path)
    if path.suffix != ".keras":
        raise ValueError(
            "Weights are matched by the names of their layers, which a .keras file has. "
            f"Received: '{path}'. Load a file of weights alone into a network as it was saved "
            "from, `other.load_weights(file)`, and pass that network."
        )
    if not path.is_file():
        raise FileNotFoundError(f"There is no model '{path}' to take weights from.")
    found = damage(path)
    if found:
        raise ValueError(
            f"The model to take weights from is damaged. Received: '{path}' ({found})."
        )
    return keras.saving.load_model(path, compile=False)


def _layers_of(model):
    return [*model.layers, *getattr(model, "auxiliary_layers", ())]


def _task_names(model):
    return [task.name for task in getattr(model, "all_tasks", ())]


def _named_layers(layers, prefix=""):
    """Pairs of a name, the same in each session, and a layer: all that these layers are made of.

    Keras counts layers that were given no name over the whole session: `conv2d_3` may be the
    first of a network. Here it is counted within what it is part of.
    """
    counts = {}
    for layer in layers:
        kind, name = _snake_case(type(layer).__name__), layer.name
        if re.fullmatch(rf"{kind}(_\d+)?", name):
            counts[kind] = counts.get(kind, 0) + 1
            name = f"{kind}#{counts[kind]}"
        yield from _named_layers(sublayers(layer), f"{prefix}{name}/")
        yield f"{prefix}{name}", layer


def _snake_case(name):
    # As Keras names layers.
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _own_weights(layer):
    if layer is None:
        return []
    inner = {id(weight) for part in sublayers(layer) for weight in part.weights}
    return [weight for weight in layer.weights if id(weight) not in inner]


def _layers(paths):
    names = list(dict.fromkeys(path.split("/")[0] for path in paths))
    shown = ", ".join(names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more layers" if len(names) > _SHOWN else ""
    return f"{len(paths)} in {shown}{more}"


def _described(source):
    return f"'{source}'" if isinstance(source, (str, os.PathLike)) else f"'{source.name}'"


def _example(unfit):
    if unfit is None:
        return ""
    variable, value = unfit
    return f" ('{value.path}' has the shape {tuple(value.shape)} for {tuple(variable.shape)})"
