import keras

from keras_atinet.layers import (
    BilinearResizing,
    ConvBlock,
    FeaturePropagation,
    MultiModalDistillation,
    PredictionHead,
    ResidualBlock,
)
from keras_atinet.models.arguments import standardize_arguments
from keras_atinet.models.auxiliary import standardize_auxiliary
from keras_atinet.models.encoders import Level, as_encoder
from keras_atinet.models.feature_pyramid import at_finest_size, feature_pyramid
from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.models.segnet import DEFAULT_FILTERS, DEFAULT_INPUT_SHAPE


@keras.saving.register_keras_serializable(package="keras_atinet")
class MTINet(MultiTaskModel):
    """MTI-Net: the tasks exchange features at several scales, each scale by itself.

    At each level `X^s` of the encoder, from the coarsest to the finest, task k has features
    `F_k^s = block(block([X^s, resize(P_k^{s+1})]))`, two `ResidualBlock`s, and from them an initial
    prediction, `conv1x1(F_k^s)`. `P_k^{s+1}` is what `FeaturePropagation` makes of the features of
    all tasks at the next coarser level; the coarsest sees `X^s` alone.

    Each level has a `MultiModalDistillation` of the features. A task's refined features of all
    levels, resized to the finest and side by side, pass a 1x1 ConvBlock and a 1x1 convolution to
    the prediction. The loss is that of the prediction + `auxiliary_weight` times the sum of those
    of the initial ones.

    The features are half as wide as `filters`, in order from the finest level on: 32, 64, 128 and
    256 channels.

    Args:
        tasks, input_shape, filters, dtype: as for `ATINet`.
        name: str. Defaults to `"mtinet"`.
        encoder, **encoder_options: as for `ATINet`.
        distillation_stride: optional int: the levels are those of at least this stride. Defaults to
            4, which on SegNet leaves four: strides 4, 8, 16 and, its bottleneck, 32.
        auxiliary_tasks: optional tasks, as `tasks`, that make initial predictions only: the others
            learn from their features, and they are not predicted. `fit` needs their targets.
            Defaults to none.
        auxiliary_weight: float, what the losses of initial predictions are multiplied by. Defaults
            to 1.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)` in `[0, 1]`.

    Returns:
        Dict task name -> float32 tensor `(batch, height, width, channels of the task)`.

    Raises:
        ValueError: as for `ATINet`, or if `distillation_stride` leaves fewer than two levels of the
            encoder, or `auxiliary_tasks` are among the `tasks`.

    Example:
        >>> model = keras_atinet.MTINet(tasks=("depth", "normal"), input_shape=(96, 128, 3))
        >>> model = keras_atinet.MTINet(encoder="efficientnet_lite0", auxiliary_tasks="normal",
        ...                             tasks=("segmentation", "depth"))

    Reference: Vandenhende et al., "MTI-Net", ECCV 2020; there on HRNet.
    """

    def __init__(
        self,
        tasks=("segmentation", "depth", "normal"),
        input_shape=DEFAULT_INPUT_SHAPE,
        filters=DEFAULT_FILTERS,
        dtype=None,
        name="mtinet",
        encoder=None,
        distillation_stride=None,
        auxiliary_tasks=(),
        auxiliary_weight=1.0,
        **encoder_options,
    ):
        tasks, input_shape, filters = standardize_arguments(
            tasks, input_shape, filters, "MTINet", encoder
        )
        auxiliary_tasks = standardize_auxiliary(tasks, auxiliary_tasks, auxiliary_weight, "MTINet")
        names = [task.name for task in tasks]
        all_tasks = [*tasks, *auxiliary_tasks]

        inputs = keras.Input(input_shape, name="image")
        encoder = as_encoder(encoder, input_shape, dtype, **encoder_options)
        levels = feature_pyramid(inputs, encoder, filters, distillation_stride, dtype, "MTINet")
        features, auxiliary = _initial(levels, all_tasks, filters, inputs, dtype)
        refined = _distilled(features, all_tasks, names, dtype)
        outputs = {
            task.name: _aggregated(refined[task.name], task, inputs, dtype) for task in tasks
        }

        config = {
            "input_shape": input_shape,
            "filters": filters,
            "encoder": encoder,
            "distillation_stride": distillation_stride,
        }
        super().__init__(
            inputs,
            outputs,
            tasks,
            config,
            [level.last for level in levels],
            dtype=dtype,
            name=name,
            auxiliary=auxiliary,
            auxiliary_weight=auxiliary_weight,
            auxiliary_tasks=auxiliary_tasks,
        )


def _initial(levels, tasks, filters, image, dtype):
    """From the coarsest level on, the features of each task and predictions from them.

    Returns:
        Dict stride -> list of KerasTensors `F_k^s`; dict task name -> list of predictions; both
        from the finest level on.
    """
    features, auxiliary = {}, {task.name: [] for task in tasks}
    propagated = None
    widths = [max(width // 2, 1) for width in filters]
    for index, level in reversed(list(enumerate(levels))):
        width = widths[min(index, len(widths) - 1)]
        at = features[level.stride] = []
        for k, task in enumerate(tasks):
            name = f"{task.name}_stride_{level.stride}"
            x = level.last
            if propagated is not None:
                resize = BilinearResizing(dtype=dtype, name=f"{name}_resizing")
                x = [x, resize(propagated[k], level.last)]
            for block in (1, 2):
                x = ResidualBlock(width, dtype=dtype, name=f"{name}_block_{block}")(x)
            head = PredictionHead(task, dtype=dtype, name=f"{name}_auxiliary")
            auxiliary[task.name].insert(0, head(x, like=image))
            at.append(x)
        if index > 0:
            propagate = FeaturePropagation(
                [task.name for task in tasks],
                dtype=dtype,
                name=f"propagation_stride_{level.stride}",
            )
            propagated = propagate(at)
    return dict(reversed(features.items())), auxiliary


def _distilled(features, tasks, targets, dtype):
    """Dict task name -> list of `Level`, its features as the other tasks have refined them."""
    refined = {name: [] for name in targets}
    for stride, at in features.items():
        distil = MultiModalDistillation(
            [task.name for task in tasks],
            targets,
            dtype=dtype,
            name=f"distillation_stride_{stride}",
        )
        for name, x in zip(targets, distil(at), strict=True):
            refined[name].append(Level(stride, x, x))
    return refined


def _aggregated(levels, task, image, dtype):
    """The prediction of a task from its refined features of all levels."""
    x = at_finest_size(levels, dtype, f"{task.name}_aggregation")
    width = sum(level.last.shape[-1] for level in levels)
    x = ConvBlock(width, 1, dtype=dtype, name=f"{task.name}_aggregation")(x)
    return PredictionHead(task, dtype=dtype, name=task.name)(x, like=image)
