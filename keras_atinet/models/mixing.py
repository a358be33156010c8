"""An encoder and a decoder for each task, whose features are mixed between the encoders' levels."""

import math
import numbers

from keras_atinet.models.decoders import decode
from keras_atinet.models.encoders import Level
from keras_atinet.models.encoders.stages import TaskEncoders, encoder_stages
from keras_atinet.models.segnet import segnet_decoder, segnet_level
from keras_atinet.models.shared_features import refuse


class MixedNetworks:
    """The networks of all tasks, mixed by units that a network brings with it.

    Level by level: each task's own part of its encoder, then a unit for each task, from the
    features of all tasks to what its next level reads. On SegNet these are the pooled features of
    the five levels; a task's decoder unpools by its own argmax. On an encoder they are the `q` of
    all levels, and a task's decoder reads the mixed ones. With one task there is nothing to mix.

    Args:
        image: KerasTensor `(batch, height, width, channels)` in `[0, 1]`.
        tasks: list of `Task`.
        encoder: `Encoder` or None, SegNet.
        decoder, decoder_filters: as for `shared_features`.
        filters: five ints, the width of each level.
        dtype: dtype policy of the layers.
        model: str, the name to use in errors.
        unit: function from the index of a task and a name to the layer that makes its features of
            the list of those of all tasks.
        join: optional function from the list of a task's mixed features of all levels and a name
            to the KerasTensor that takes the deepest one's place in its decoder.

    Attributes:
        features: dict task name -> KerasTensor, what its head reads.
        encoder: layer of all encoders, None on SegNet.

    Raises:
        ValueError: if an argument is for the other kind of encoder, or the encoder cannot be cut.
    """

    def __init__(
        self,
        image,
        tasks,
        encoder,
        decoder,
        decoder_filters,
        filters,
        dtype,
        model,
        unit,
        join=None,
    ):
        self._names = [task.name for task in tasks]
        self._filters, self._dtype = filters, dtype
        self._unit, self._join = unit, join
        self.encoder = None
        if encoder is None:
            refuse(model, "with an `encoder`", "without", decoder=decoder)
            refuse(model, "with an `encoder`", "without", decoder_filters=decoder_filters)
            features = self._on_segnet(image)
        else:
            models = encoder.copies(len(tasks))
            self.encoder = TaskEncoders(models)
            stages = [
                encoder_stages(part, encoder.strides, f"{name}_encoder", encoder.source, model)
                for name, part in zip(self._names, models, strict=True)
            ]
            features = self._on_stages(encoder, image, stages, decoder or "unet", decoder_filters)
        self.features = dict(zip(self._names, features, strict=True))

    def _on_segnet(self, image):
        features, levels, argmaxes = [image] * len(self._names), [], []
        for level in range(1, 6):
            found = [
                segnet_level(x, level, self._filters, dtype=self._dtype, prefix=f"{name}_")
                for name, x in zip(self._names, features, strict=True)
            ]
            _, pooled, argmax = zip(*found, strict=True)
            features = self._mix(list(pooled), level)
            levels.append(features)
            argmaxes.append(argmax)
        return [
            segnet_decoder(x, own, self._filters, dtype=self._dtype, name=f"{name}_decoder")[1][0]
            for name, x, own in zip(
                self._names, self._deepest(levels), zip(*argmaxes, strict=True), strict=True
            )
        ]

    def _on_stages(self, encoder, image, stages, decoder, decoder_filters):
        features, mixed = [encoder.preprocess(image)] * len(self._names), []
        for stride, *own in zip(encoder.strides, *stages, strict=True):
            features = [stage(x) for stage, x in zip(own, features, strict=True)]
            features = self._mix(features, f"stride_{stride}")
            mixed.append(features)
        mixed[-1] = self._deepest(mixed)
        return [
            decode(
                [Level(stride, x, x) for stride, x in zip(encoder.strides, own, strict=True)],
                decoder,
                self._filters,
                decoder_filters,
                dtype=self._dtype,
                name=f"{name}_decoder",
            )
            for name, own in zip(self._names, zip(*mixed, strict=True), strict=True)
        ]

    def _mix(self, features, label):
        if len(features) == 1:
            return features
        return [
            self._unit(index, f"{name}_unit_{label}")(features)
            for index, name in enumerate(self._names)
        ]

    def _deepest(self, levels):
        """What the decoders start from, one KerasTensor for each task."""
        if self._join is None:
            return levels[-1]
        return [
            self._join(list(own), f"{name}_shortcut")
            for name, own in zip(self._names, zip(*levels, strict=True), strict=True)
        ]


def check_multiplier(multiplier, model):
    """Raises a ValueError if a multiplier of the learning rate is not above 0."""
    if not isinstance(multiplier, numbers.Real) or not 0 < multiplier < math.inf:
        raise ValueError(
            f"`units_lr_multiplier` of `{model}` must be a finite number above 0. "
            f"Received: units_lr_multiplier={multiplier!r}."
        )
