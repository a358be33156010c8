"""The model card of a preset: README.md, with the front matter that hubs read."""

import math

from keras_atinet.settings import PRESETS

_FRONT = """---
library_name: keras
{pipeline}license: {license}
tags:
- keras
- keras-atinet
- multi-task-learning
{tags}---
"""
_TAGS = {
    "segmentation": "semantic-segmentation",
    "depth": "depth-estimation",
    "normal": "surface-normals",
}
# What hubs sort models by; the first that fits.
_PIPELINES = {"segmentation": "image-segmentation", "depth": "depth-estimation"}
_LICENSE = "other  # to fill in: that of the data counts as well"
_USE = """## Use

```bash
pip install keras-atinet
keras-atinet predict photo.jpg --model {name} --out predictions
```

```python
import keras_atinet

model = keras_atinet.from_preset("{name}")
```
"""
_PLACE = """
`{name}` stands for the folder; on a hub it is `hf://org/name` or `kaggle://org/model/keras/variant`.
"""


def model_card(model, name, sections=(), license=_LICENSE):
    """The text of `README.md`.

    Args:
        model: `MultiTaskModel`.
        name: str, of the preset.
        sections: strings of Markdown, after the facts of the network.
        license: str, the field of the front matter.
    """
    names = [task.name for task in model.tasks]
    tags = "".join(f"- {_TAGS[name]}\n" for name in names if name in _TAGS)
    pipeline = next((f"pipeline_tag: {_PIPELINES[n]}\n" for n in _PIPELINES if n in names), "")
    lines = [
        f"# {name}",
        "",
        f"{type(model).__name__}, a network of keras-atinet, for TensorFlow, JAX and PyTorch.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {key} | {value} |" for key, value in _facts(model).items()),
    ]
    front = _FRONT.format(pipeline=pipeline, license=license, tags=tags)
    use = _USE if name in PRESETS else _USE + _PLACE
    parts = [front, "\n".join(lines), *sections, use.format(name=name)]
    return "\n\n".join(map(str.strip, parts)) + "\n"


def _facts(model):
    height, width, channels = model.input_shape[1:]
    facts = {
        "tasks": ", ".join(f"{task.name} ({task.channels})" for task in model.tasks),
        "input": f"{height} x {width} x {channels}, in [0, 1]",
        "parameters": f"{sum(math.prod(weight.shape) for weight in model.weights):,}",
    }
    if model.encoder is not None:
        facts["encoder"] = model.get_config()["encoder"]["config"]["source"]
    for task in model.tasks:
        names = getattr(task, "class_names", None)
        if names:
            facts[f"classes of {task.name}"] = ", ".join(names)
    return facts
