import importlib.util

import keras


def tensorboard(folder, model):
    """A callback that writes the logs of each epoch for TensorBoard, at no cost for a step.

    `keras.callbacks.TensorBoard` without its hooks of batches, for which Keras would wait for the
    device in each step. It writes with TensorFlow, on every backend.

    Args:
        folder: str or path.
        model: the model that will be trained.

    Raises:
        ImportError: if TensorFlow or TensorBoard is not installed.
    """
    for package in ("tensorflow", "tensorboard"):
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                "Keras writes files for TensorBoard with the packages tensorflow and tensorboard. "
                f"There is no '{package}'. Install it, pip install {package}, or leave out the "
                "setting `tensorboard`: history.csv has the same numbers."
            )
    if keras.backend.backend() != "tensorflow":
        import tensorflow as tf

        # Or it would take the memory of the device that the backend computes on.
        tf.config.set_visible_devices([], "GPU")
    writer = keras.callbacks.TensorBoard(folder, write_graph=False)
    writer.set_model(model)
    return keras.callbacks.LambdaCallback(
        on_epoch_end=writer.on_epoch_end, on_train_end=writer.on_train_end
    )
