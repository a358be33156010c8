"""From a preset to the network."""

from keras_atinet.models.multi_task_model import MultiTaskModel
from keras_atinet.models.presets.configs import build
from keras_atinet.models.presets.files import CONFIG, WEIGHTS, check_files, read_metadata
from keras_atinet.models.presets.locating import find_preset
from keras_atinet.models.presets.weights import load_weights


def from_preset(preset):
    """The trained network of a preset, without a compiled training.

    No code of a preset is run, and each file must be what it was when the preset was written.

    Args:
        preset: str or path:
            the name of one that comes with the package, see `presets()`, which stands for that
            even where there is a folder of this name (`"./NAME"` is the folder);
            a folder, from `MultiTaskModel.save_to_preset`;
            `"hf://org/name"`, on Hugging Face, where `huggingface_hub` is installed, with
            `"@revision"` for a branch, tag or commit;
            `"kaggle://org/model/keras/variant"`, on Kaggle, where `kagglehub` is installed, with
            `"/version"` for one that is not the newest.

    Returns:
        `MultiTaskModel`.

    Raises:
        FileNotFoundError: if there is no such preset.
        ValueError: if it is damaged, of a newer format, or holds other layers than those of Keras,
            `keras_atinet` and `keras_hub`.
        ImportError: if it needs a package that is not installed.
        OSError: if it cannot be downloaded.

    Example:
        >>> model = keras_atinet.from_preset("split_efficientnet_lite2_nyuv2")
        >>> depth = model.predict(images)["depth"]
    """
    folder = find_preset(preset)
    metadata = read_metadata(folder)
    check_files(folder, metadata)
    model = build(folder / CONFIG)
    if not isinstance(model, MultiTaskModel):
        raise ValueError(
            "A preset holds a network of `keras_atinet`. "
            f"Received: '{folder}', a {type(model).__name__}."
        )
    load_weights(folder / WEIGHTS, model)
    return model
