"""Initial predictions: what some networks predict before the tasks exchange features."""

from keras_atinet.layers import BottleneckBlock, PredictionHead


def initial_predictions(features, tasks, filters, image, dtype=None):
    """For each task, `F = block2(block1(x))`, two bottleneck blocks, and a prediction from F.

    Args:
        features: KerasTensor, or list of KerasTensors of one size, side by side in the channels.
        tasks: list of `Task`, those that are only auxiliary included.
        filters: five ints, the widths of the network: the blocks are `filters[0]` wide and give
            `4 * filters[0]` channels.
        image: KerasTensor, the network's input, to whose size the predictions are resized.
        dtype: dtype policy of the layers.

    Returns:
        Dict task name -> KerasTensor `F`; dict task name -> list of one prediction, the
        `auxiliary` of a `MultiTaskModel`.

    Reference: PAD-Net, Xu et al., CVPR 2018.
    """
    initial = {
        task.name: _two_blocks(features, 4 * filters[0], f"{task.name}_initial", dtype)
        for task in tasks
    }
    auxiliary = {
        task.name: [
            PredictionHead(task, dtype=dtype, name=f"{task.name}_auxiliary")(
                initial[task.name], like=image
            )
        ]
        for task in tasks
    }
    return initial, auxiliary


def final_predictions(features, tasks, filters, image, dtype=None):
    """For each task two bottleneck blocks and a 1x1 convolution; dict task name -> KerasTensor.

    Args:
        features: dict task name -> KerasTensor.
        tasks: list of `Task`.
        filters: int, the channels that the blocks give.
        image, dtype: as for `initial_predictions`.
    """
    return {
        task.name: PredictionHead(task, dtype=dtype, name=task.name)(
            _two_blocks(features[task.name], filters, f"{task.name}_final", dtype), like=image
        )
        for task in tasks
    }


def _two_blocks(x, filters, name, dtype):
    for index in (1, 2):
        x = BottleneckBlock(filters, dtype=dtype, name=f"{name}_{index}")(x)
    return x
