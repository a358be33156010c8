from keras_atinet.layers import PredictionHead


def prediction_heads(features, tasks, filters, dtype=None, image=None):
    """A `PredictionHead` for each task, named after it; dict task name -> KerasTensor.

    Args:
        features: dict task name -> KerasTensor `(batch, height, width, channels)`.
        tasks: list of `Task`.
        filters: five ints, the widths of the network.
        dtype: dtype policy of the layers.
        image: optional KerasTensor, the network's input, to whose height and width the predictions
            are resized. Defaults to None: they stay as large as the features.
    """
    size = {} if image is None else {"like": image}
    return {
        task.name: PredictionHead(task, filters[0], dtype=dtype, name=task.name)(
            features[task.name], **size
        )
        for task in tasks
    }
