"""The model card of a preset: README.md, with the front matter that hubs read."""

import math

_FRONT = """---
library_name: keras
pipeline_tag: image-segmentation
license: {license}
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
_LICENSE = "other  # to fill in: that of the data counts as well"
_USE = """
## Use

```bash
pip install keras-atinet
keras-atinet predict photo.jpg --model {name} --out predictions
```

```python
import keras_atinet

model = keras_atinet.from_preset("{name}")
```

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
    tags = "".join(f"- {_TAGS[task.name]}\n" for task in model.tasks if task.name in _TAGS)
    lines = [
        f"# {name}",
        "",
        f"{type(model).__name__}, a network of [keras-atinet](https://pypi.org/project/"
        "keras-atinet/), for TensorFlow, JAX and PyTorch.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {key} | {value} |" for key, value in _facts(model).items()),
    ]
    parts = [_FRONT.format(license=license, tags=tags), "\n".join(lines), *sections]
    return "\n".join([*map(str.rstrip, parts), _USE.format(name=name)])


def _facts(model):
    height, width, channels = model.input_shape[1:]
    facts = {
        "tasks": ", ".join(f"{task.name} ({task.channels})" for task in model.tasks),
        "input": f"RGB in [0, 1], {height} x {width} x {channels}",
        "parameters": f"{sum(math.prod(weight.shape) for weight in model.weights):,}",
    }
    if model.encoder is not None:
        facts["encoder"] = model.get_config()["encoder"]["config"]["source"]
    for task in model.tasks:
        names = getattr(task, "class_names", None)
        if names:
            facts[f"classes of {task.name}"] = ", ".join(names)
    return facts
