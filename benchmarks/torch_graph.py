"""The networks as plain PyTorch modules, channels first: what ours are timed and weighed against.

Layer for layer the networks of keras_atinet, with the same names: `encoder_1_1/conv/kernel` there
is `layers.encoder_1_1.conv.weight` here. Eager PyTorch as one would write it: indices from
`MaxPool2d`, ReLU in place.
"""

import itertools

import torch
from torch import nn
from torch.nn import functional

CHANNELS = {"segmentation": 13, "depth": 1, "normal": 3}
DEPTHS = (2, 2, 3, 3, 3)
LEVELS = range(1, 6)


class ConvBlock(nn.Sequential):
    def __init__(self, channels, filters, kernel_size=3):
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, kernel_size, padding=kernel_size // 2)
        self.norm = nn.BatchNorm2d(filters)
        self.relu = nn.ReLU(inplace=True)


class AttentionMask(nn.Sequential):
    def __init__(self, channels, filters):
        super().__init__()
        self.block = ConvBlock(channels, filters, kernel_size=1)
        self.conv = nn.Conv2d(filters, filters, 1)
        self.norm = nn.BatchNorm2d(filters)
        self.sigmoid = nn.Sigmoid()


class SelfAttention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.message = nn.Conv2d(channels, channels, 3, padding=1)
        self.gate = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.message(x) * torch.sigmoid(self.gate(x))


class Distillation(nn.Module):
    """`F'_t = F_t + sum over a != t of SelfAttention_{t, a}(F_a)`."""

    def __init__(self, tasks, channels):
        super().__init__()
        for target in tasks:
            for auxiliary in tasks:
                if auxiliary != target:
                    self.add_module(f"{auxiliary}_to_{target}", SelfAttention(channels))

    def forward(self, features):
        refined = dict(features)
        for target in features:
            for auxiliary, feature in features.items():
                if auxiliary != target:
                    message = self.get_submodule(f"{auxiliary}_to_{target}")(feature)
                    refined[target] = refined[target] + message
        return refined


class TaskDistillation(nn.Module):
    """Deconv heads, distillation, task encoders, mean over the tasks."""

    def __init__(self, tasks, channels, filters):
        super().__init__()
        self.tasks = tasks
        for task in tasks:
            self.add_module(f"{task}_deconv_head", _blocks((channels, *filters)))
            self.add_module(f"{task}_encoder", _blocks((*filters[::-1], channels)))
        self.distillation = Distillation(tasks, filters[-1])

    def forward(self, x):
        features = {task: self.get_submodule(f"{task}_deconv_head")(x) for task in self.tasks}
        features = self.distillation(features)
        encoded = [self.get_submodule(f"{task}_encoder")(features[task]) for task in self.tasks]
        return sum(encoded[1:], start=encoded[0]) / len(encoded)


class SegNet(nn.Module):
    """What all networks share: encoder, decoders, heads. Every layer stands in `layers`."""

    decoders = ("decoder",)

    def __init__(self, filters, tasks=tuple(CHANNELS), deep=False):
        super().__init__()
        self.tasks, self.filters, self.deep = tasks, filters, deep
        self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
        self.layers = nn.ModuleDict()
        # Of levels 1 to 5, and what comes into each from the level that is run before it.
        self.up = [filters[max(level - 2, 0)] for level in LEVELS]
        for level, channels in zip(LEVELS, (3, *filters), strict=False):
            self._add_blocks("encoder", level, channels, filters[level - 1])
            for name in self.decoders:
                self._add_blocks(name, level, filters[level - 1], self.up[level - 1])
        for task in tasks:
            head = nn.Sequential()
            head.conv = nn.Conv2d(filters[0], filters[0], 3, padding=1)
            head.projection = nn.Conv2d(filters[0], CHANNELS[task], 1)
            self.layers[task] = head

    def forward(self, image):
        _, _, indices, x = self.encode(image)
        decoded = self.decode(x, indices)[1]
        return self.predict(dict.fromkeys(self.tasks, decoded[0]))

    def encode(self, x):
        first, last, indices = [], [], []
        for level in LEVELS:
            outputs = self._run_blocks("encoder", level, x)
            x, index = self.pool(outputs[-1])
            first.append(outputs[0])
            last.append(outputs[-1])
            indices.append(index)
        return first, last, indices, x

    def decode(self, x, indices, name="decoder"):
        unpooled, decoded = [], []
        for level in reversed(LEVELS):
            unpooled.insert(0, self.unpool(x, indices[level - 1]))
            x = self._run_blocks(name, level, unpooled[0])[-1]
            decoded.insert(0, x)
        return unpooled, decoded

    def predict(self, features):
        predictions = {task: self.layers[task](feature) for task, feature in features.items()}
        if "normal" in predictions:
            predictions["normal"] = functional.normalize(predictions["normal"].float(), dim=1)
        return predictions

    def _add_blocks(self, name, level, channels, filters):
        for index in range(1, DEPTHS[level - 1] + 1):
            for suffix in ("", "b") if self.deep else ("",):
                self.layers[f"{name}_{level}_{index}{suffix}"] = ConvBlock(channels, filters)
                channels = filters

    def _run_blocks(self, name, level, x):
        outputs = []
        for index in range(1, DEPTHS[level - 1] + 1):
            x = self.layers[f"{name}_{level}_{index}"](x)
            if self.deep:
                x = self.layers[f"{name}_{level}_{index}b"](x)
            outputs.append(x)
        return outputs


class PADNet(SegNet):
    def __init__(self, filters, tasks=tuple(CHANNELS)):
        self.decoders = [f"{task}_decoder" for task in tasks]
        super().__init__(filters, tasks)
        self.layers["distillation"] = Distillation(tasks, filters[0])

    def forward(self, image):
        _, _, indices, x = self.encode(image)
        features = {task: self.decode(x, indices, f"{task}_decoder")[1][0] for task in self.tasks}
        return self.predict(self.layers["distillation"](features))


class MTAN(SegNet):
    def __init__(self, filters, tasks=tuple(CHANNELS)):
        super().__init__(filters, tasks)
        down = [*filters[1:], filters[-1]]
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.down_pool = nn.MaxPool2d(2)
        for level, width, up in zip(LEVELS, filters, self.up, strict=True):
            below = 0 if level == 1 else down[level - 2]
            above = down[-1] if level == 5 else self.up[level]
            self.layers[f"attention_encoder_{level}"] = ConvBlock(width, down[level - 1])
            self.layers[f"attention_decoder_{level}"] = ConvBlock(above, up)
            for task in tasks:
                masks = {"encoder": (width + below, width), "decoder": (width + up, up)}
                for name, shape in masks.items():
                    self.layers[f"{task}_{name}_{level}_mask"] = AttentionMask(*shape)

    def forward(self, image):
        first, last, indices, x = self.encode(image)
        unpooled, decoded = self.decode(self.distill(x), indices)
        shared = first, last, unpooled, decoded
        return self.predict({task: self.attend(task, *shared) for task in self.tasks})

    def distill(self, bottleneck):
        return bottleneck

    def attend(self, task, first, last, unpooled, decoded):
        x = None
        for level, p, q in zip(LEVELS, first, last, strict=True):
            x = p if x is None else torch.cat([p, x], dim=1)
            x = self.layers[f"{task}_encoder_{level}_mask"](x) * q
            x = self.down_pool(self.layers[f"attention_encoder_{level}"](x))
        for level in reversed(LEVELS):
            x = self.layers[f"attention_decoder_{level}"](self.upsample(x))
            x = torch.cat([unpooled[level - 1], x], dim=1)
            x = self.layers[f"{task}_decoder_{level}_mask"](x) * decoded[level - 1]
        return x


class ATINet(MTAN):
    def __init__(self, filters, tasks=tuple(CHANNELS)):
        super().__init__(filters, tasks)
        self.layers["distillation"] = TaskDistillation(tasks, filters[-1], filters[2::-1])
        self.distillation_active = False

    def distill(self, bottleneck):
        return self.layers["distillation"](bottleneck) if self.distillation_active else bottleneck


def make(model, filters, phase=2):
    """The network of a name, that of the command line of keras_atinet."""
    filters = tuple(filters)
    if model == "single":
        return SegNet(filters, ("segmentation",))
    if model in ("split", "deep_split"):
        return SegNet(filters, deep=model == "deep_split")
    network = {"atinet": ATINet, "mtan": MTAN, "padnet": PADNet}[model](filters)
    if model == "atinet":
        network.distillation_active = phase == 2
    return network


def _blocks(widths):
    blocks = nn.Sequential()
    for index, (channels, filters) in enumerate(itertools.pairwise(widths), 1):
        blocks.add_module(f"block_{index}", ConvBlock(channels, filters, kernel_size=1))
    return blocks
