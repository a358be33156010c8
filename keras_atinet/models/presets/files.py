"""The files of a preset, and the metadata that say what they hold."""

import datetime
import hashlib

import keras

from keras_atinet.files import read_json, write_json
from keras_atinet.version import __version__

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
METADATA, CARD = "metadata.json", "README.md"
FORMAT = 1
_LARGEST = {CONFIG: 2**24, METADATA: 2**20, WEIGHTS: 2**33}  # bytes
_CHUNK = 2**20
_WAY_OUT = "Get the preset again."


def write_metadata(folder, model):
    """Writes what reading checks: the format, versions, sizes and checksums."""
    facts = {
        "format": FORMAT,
        "keras_version": keras.version(),
        "keras_atinet_version": __version__,
        "parameter_count": model.count_params(),
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
        "files": {name: _facts(folder / name) for name in (CONFIG, WEIGHTS)},
    }
    write_json(folder / METADATA, facts)


def read_metadata(folder):
    """What `write_metadata` wrote; of the files that it names nothing is read.

    Args:
        folder: `pathlib.Path`.

    Returns:
        dict.

    Raises:
        FileNotFoundError: if the folder is not a preset.
        ValueError: if a newer version wrote it, or the file is damaged.
    """
    for name in (METADATA, CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"A preset is a folder with {METADATA}, {CONFIG} and {WEIGHTS}. "
                f"Received: '{folder}' without {name}. `model.save_to_preset` writes one."
            )
        if (folder / name).stat().st_size > _LARGEST[name]:
            raise ValueError(
                f"A file of a preset is too large. Received: '{folder / name}', larger than "
                f"{_LARGEST[name]:,} bytes. {_WAY_OUT}"
            )
    metadata = read_json(folder / METADATA)
    number = metadata.get("format")
    if isinstance(number, int) and number > FORMAT:
        raise ValueError(
            f"The preset is of a newer format, {number}. Received: '{folder}', for version "
            f"{__version__} of the package, which reads {FORMAT}. Update: "
            "`pip install --upgrade keras-atinet`."
        )
    if not (number == FORMAT and _is_complete(metadata)):
        raise ValueError(
            "A preset says in its metadata which format it has and what its files hold. Received: "
            f"'{folder / METADATA}', which does not. {_WAY_OUT}"
        )
    return metadata


def check_files(folder, metadata):
    """Compares the files of a preset with sizes and checksums.

    Raises:
        ValueError: if one is damaged.
    """
    for name in (CONFIG, WEIGHTS):
        facts, expected = _facts(folder / name), metadata["files"][name]
        if facts == expected:
            continue
        what = "its checksum is another"
        if facts["bytes"] != expected["bytes"]:
            what = f"it has {facts['bytes']:,} bytes, not {expected['bytes']:,}"
        if name == CONFIG:
            what += ", as after a change by hand, which needs another preset"
        raise ValueError(
            f"A file of the preset is damaged. Received: '{folder / name}' ({what}). {_WAY_OUT}"
        )


def _facts(path):
    checksum = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            checksum.update(chunk)
    return {"bytes": path.stat().st_size, "sha256": checksum.hexdigest()}


def _is_complete(metadata):
    files = metadata.get("files")
    found = [files.get(name) for name in (CONFIG, WEIGHTS)] if isinstance(files, dict) else [None]
    return isinstance(metadata.get("parameter_count"), int) and all(map(_are_facts, found))


def _are_facts(facts):
    return (
        isinstance(facts, dict)
        and set(facts) == {"bytes", "sha256"}
        and isinstance(facts["bytes"], int)
        and isinstance(facts["sha256"], str)
    )
