import keras

from keras_atinet.layers import (
    BilinearResizing,
    PredictionHead,
    ResidualBlock,
    TaskAttentionalModule,
)
from keras_atinet.models.arguments import standardize_arguments
from keras_atinet.models.auxiliary import standardize_auxiliary
from keras_atinet.models.encoders import as_encoder
from keras_atinet.models.feature_pyramid import feature_pyramid
from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.models.segnet import DEFAULT_FILTERS, DEFAULT_INPUT_SHAPE


@keras.saving.register_keras_serializable(package="keras_atinet")
class JTRL(MultiTaskModel):
    """JTRL: the tasks take turns, from coarse to fine, and each learns from the one before it.

    From the levels x_s of the encoder at strides 4 to 32, the coarsest first, every task t in the
    order of `tasks` has a state of `filters[1]` channels,

    `h_{s,t} = block[x_s, attend(up(h_{s+1,t}), h_last)]`,

    a `ResidualBlock` on the level and on what a `TaskAttentionalModule` makes of two states: the
    task's own at the coarser scale, and the last one that was made, that of the task before it. The
    first task follows the last one at the coarser scale. At the coarsest scale a task has no state
    yet: the block reads the level and the last state, where there is one.

    Every state makes a prediction, `conv1x1(h)`, resized to the image. Those of the finest scale
    are the network's, those of the coarser ones auxiliary outputs. The loss is that of the
    prediction + `auxiliary_weight` times the sum of theirs.

    Args:
        tasks: as for `ATINet`, in the order in which they take turns. With `auxiliary_tasks` at
            least two.
        input_shape, filters, dtype: as for `ATINet`.
        name: str. Defaults to `"jtrl"`.
        encoder, **encoder_options: as for `ATINet`.
        finest_stride: optional int: the scales are the levels of the encoder whose stride is at
            least this; 1 takes them all. Defaults to 4.
        auxiliary_tasks: optional tasks, as `tasks`, that are not predicted. They take their turns
            before `tasks`, which learn from them at every scale. `fit` needs their targets.
            Defaults to none.
        auxiliary_weight: float, what the losses of auxiliary outputs are multiplied by. Defaults
            to 1.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)` in `[0, 1]`.

    Returns:
        Dict task name -> float32 tensor `(batch, height, width, channels of the task)`.

    Raises:
        ValueError: as for `ATINet`, or if there is but one task, `finest_stride` leaves fewer than
            two levels of the encoder, or a task is given twice.

    Example:
        >>> model = keras_atinet.JTRL(tasks=("depth", "segmentation"), input_shape=(96, 128, 3))
        >>> model = keras_atinet.JTRL("segmentation", auxiliary_tasks=("depth", "normal"))

    Reference: after Zhang et al., "Joint Task-Recursive Learning", ECCV 2018 and TPAMI 2020.
    """

    def __init__(
        self,
        tasks=("segmentation", "depth", "normal"),
        input_shape=DEFAULT_INPUT_SHAPE,
        filters=DEFAULT_FILTERS,
        dtype=None,
        name="jtrl",
        encoder=None,
        finest_stride=None,
        auxiliary_tasks=(),
        auxiliary_weight=1.0,
        **encoder_options,
    ):
        tasks, input_shape, filters = standardize_arguments(
            tasks, input_shape, filters, "JTRL", encoder
        )
        auxiliary_tasks = standardize_auxiliary(tasks, auxiliary_tasks, auxiliary_weight, "JTRL")
        turns = [*auxiliary_tasks, *tasks]
        if len(turns) < 2:
            raise ValueError(
                "`JTRL` needs at least two tasks, which learn from each other. "
                f"Received: {[task.name for task in turns]}. For one task use `SingleTask`."
            )

        inputs = keras.Input(input_shape, name="image")
        encoder = as_encoder(encoder, input_shape, dtype, **encoder_options)
        levels = feature_pyramid(
            inputs, encoder, filters, finest_stride, dtype, "JTRL", "finest_stride"
        )
        predictions = {task.name: [] for task in turns}
        for level, states in _recursion(levels, turns, filters[1], dtype):
            for task in turns:
                is_final = level is levels[0] and task in tasks
                label = task.name if is_final else f"{task.name}_stride_{level.stride}"
                head = PredictionHead(task, dtype=dtype, name=label)
                predictions[task.name].append(head(states[task.name], like=inputs))
        outputs = {task.name: predictions[task.name].pop() for task in tasks}

        config = {
            "input_shape": input_shape,
            "filters": filters,
            "encoder": encoder,
            "finest_stride": finest_stride,
        }
        super().__init__(
            inputs,
            outputs,
            tasks,
            config,
            [level.last for level in levels],
            dtype=dtype,
            name=name,
            auxiliary=predictions,
            auxiliary_weight=auxiliary_weight,
            auxiliary_tasks=auxiliary_tasks,
        )


def _recursion(levels, tasks, filters, dtype):
    """Each level, the coarsest first, and its states, dict task name -> KerasTensor."""
    scales, states, last = [], {}, None
    for level in reversed(levels):
        coarse, finer = last, _resized(states, level, dtype)
        if finer:
            last = finer[tasks[-1].name]
        states = {}
        for task in tasks:
            name = f"{task.name}_stride_{level.stride}"
            inputs = level.last
            if finer:
                attend = TaskAttentionalModule(dtype=dtype, name=f"{name}_attention")
                inputs = [inputs, attend([finer[task.name], last], like=coarse)]
            elif last is not None:
                inputs = [inputs, last]
            block = ResidualBlock(filters, dtype=dtype, name=f"{name}_state")
            last = states[task.name] = block(inputs)
        scales.append((level, states))
    return scales


def _resized(states, level, dtype):
    return {
        task: BilinearResizing(dtype=dtype, name=f"{task}_to_stride_{level.stride}")(
            state, level.last
        )
        for task, state in states.items()
    }
