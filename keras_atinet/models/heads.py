from keras_atinet.layers import PredictionHead


def prediction_heads(features, tasks, filters, dtype=None):
    """A `PredictionHead` for each task, named after it; dict task name -> KerasTensor."""
    return {
        task.name: PredictionHead(task, filters[0], dtype=dtype, name=task.name)(
            features[task.name]
        )
        for task in tasks
    }
