"""What the commands of the command line do."""

import importlib.metadata
import json
import pathlib
import shlex
import sys
import zipfile

import keras
import numpy as np

from keras_atinet import evaluation, models, runs, visualization
from keras_atinet.data import Subset, resize
from keras_atinet.data.opening import splits
from keras_atinet.data.sources.pillow import pillow
from keras_atinet.runs import environment

_PICTURE_SAMPLES = 4
_NETWORKS = (
    ("ATINet", models.ATINet, {}),
    ("MTAN", models.MTAN, {}),
    ("PADNet", models.PADNet, {}),
    ("Split(deep=True)", models.Split, {"deep": True}),
    ("SingleTask for segmentation", models.SingleTask, {"tasks": "segmentation"}),
)
_EXTRAS = (
    *("tensorflow", "tensorflow-datasets", "jax", "torch", "keras-tuner", "matplotlib", "pillow"),
    *("h5py", "pyarrow", "datasets"),
    *("onnx", "tf2onnx", "onnxruntime", "openvino", "nncf", "ai-edge-litert"),
)


def train(arguments, argv):
    """Trains a new run or goes on with one, then reports on its best model."""
    explicit = {key: value for key, value in vars(arguments).items() if key in runs.DEFAULT}
    if arguments.resume:
        if explicit or arguments.recipe or arguments.out:
            raise ValueError(
                "`--resume` takes all settings from the run. Received others as well. "
                "Leave them out, or start a new run without `--resume`."
            )
        run = runs.Run(arguments.resume)
        settings = {**runs.DEFAULT, **run.read_config()["settings"]}
    else:
        settings = {**runs.RECIPES[arguments.recipe or "default"], **explicit}
        check_num_samples(explicit, settings["data"])
        settings["data"] = absolute(settings["data"])
        if "splits" not in explicit:
            settings["splits"] = two_splits(settings["data"])
        run = runs.Run(arguments.out or _new_folder(settings))
        _check_empty(run)
    if arguments.resume and run.is_finished():
        print(f"The run {run.path} is finished: {settings['epochs']} epochs.")
    else:
        try:
            runs.train(run, settings, shlex.join(["keras-atinet", *argv]), _verbose(arguments))
        except KeyboardInterrupt:
            if not run.config.exists():
                raise
            print(
                f"\nStopped. Go on with: keras-atinet train --resume {shlex.quote(str(run.path))}"
            )
            if run.best_loss() is not None:
                _draw(run, load_model(run.best), settings)
            return 130
    _report(run, settings)
    return 0


def check_num_samples(explicit, data):
    """Refuses a number of rooms for data that has none.

    Raises:
        ValueError: if `explicit`, the settings of the user, has one, and `data` is not rooms.
    """
    if "num_samples" in explicit and data != runs.ROOMS:
        raise ValueError(
            "`--num-samples` is the number of rooms to make up. "
            f"Received: {explicit['num_samples']}, with --data {data}. Leave it out."
        )


def evaluate(arguments, argv):
    """Prints losses and metrics of a model on one split."""
    file, run = find_model(arguments.model)
    if arguments.data is None and not run.config.exists():
        raise ValueError(
            f"'{file}' lies in no run folder, whose config.json would tell the data. "
            "Say it: --data rooms, or --data DIR."
        )
    model = load_model(file)
    settings = {**runs.DEFAULT, **(run.read_config()["settings"] if run.config.exists() else {})}
    settings["tasks"] = [task.name for task in model.tasks]
    if arguments.data:
        settings["data"] = absolute(arguments.data)
        names = splits(settings["data"])
        settings["splits"] = [names[0], names[min(1, len(names) - 1)]]
    sizes = model.input_shape[1:3], arguments.batch_size or settings["batch_size"]
    split = arguments.split or settings["splits"][1]
    source = _source(settings, split)
    batches = runs.get_batches(source, model.tasks, *sizes)
    verbose = _verbose(arguments) if arguments.verbose is not None else 0
    results = evaluation.evaluate(model, batches, arguments.averaging, verbose)
    baseline = None
    if arguments.baseline:
        train_source = _source(settings, settings["splits"][0])
        baseline = runs.constant_baseline(train_source, model.tasks, *sizes, batches)
    print(f"{file} on {len(source)} images, split '{split}' of {settings['data']}:")
    print(evaluation.table(results, baseline))
    if arguments.json:
        facts = {"model": str(file), "data": settings["data"], "split": split, "results": results}
        if baseline is not None:
            facts["constant"] = baseline
        file = pathlib.Path(arguments.json)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def predict(arguments, argv):
    """Writes pictures and arrays of what a model predicts for image files."""
    paths = [pathlib.Path(path) for path in arguments.images]
    out = pathlib.Path(arguments.out)
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"There is no such image file. Received: '{path}'.")
    model = load_model(find_model(arguments.model)[0])
    out.mkdir(parents=True, exist_ok=True)
    for path, name in zip(paths, _unique_names(paths), strict=True):
        pixels = _read_picture(path)
        image = resize({"image": pixels}, model.input_shape[1:3])["image"]
        outputs = model.predict(image[None], verbose=0)
        decoded = {task.name: task.decode(outputs[task.name][0]) for task in model.tasks}
        np.savez_compressed(out / f"{name}.npz", **decoded)
        for task in model.tasks:
            picture = _picture(task, decoded[task.name], pixels.shape[:2])
            picture.save(out / f"{name}_{task.name}.png")
        print(f"{path}: {out / name}.npz, {out / name}_*.png")


def info(arguments, argv):
    """Prints what is installed, and the facts of a model."""
    for name, value in environment.versions().items():
        print(f"{name:14}{value}")
    print(f"{'devices':14}{', '.join(environment.devices())}")
    print(f"{'installed':14}{', '.join(_installed())}")
    print()
    if arguments.model is None:
        print("Trainable parameters of the paper's networks, 13 classes:")
        for name, kind, options in _NETWORKS:
            # Nothing is allocated in this scope.
            with keras.StatelessScope():
                model = kind(**options)
            print(f"{name:30}{runs.count_parameters(model):12,}")
        return
    file, _ = find_model(arguments.model)
    model = load_model(file)
    facts = {
        "model": f"{type(model).__name__} ({file})",
        "tasks": ", ".join(f"{task.name} ({task.channels})" for task in model.tasks),
        "input": " x ".join(map(str, model.input_shape[1:])),
        "filters": " ".join(map(str, model.get_config()["filters"])),
        "parameters": f"{runs.count_parameters(model):,} trainable",
        "dtype": model.dtype_policy.name,
    }
    if hasattr(model, "distillation_active"):
        share = model.distillation_share
        how = {0.0: "1 (not distilled)", 1.0: "2 (distilled)"}
        facts["phase"] = how.get(share, f"2 ({share:.0%} distilled)")
    if model.compiled:
        facts["balancer"] = type(model.balancer).__name__
        facts["optimizer"] = model.get_compile_config()["optimizer"]["class_name"]
    for name, value in facts.items():
        print(f"{name:14}{value}")


def find_model(path):
    """A file of a model, and the `Run` of its folder, which need not be one.

    Args:
        path: str or path of a `.keras` file or of a run folder, which stands for its best model.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no complete `.keras` file.
    """
    path = pathlib.Path(path)
    file = runs.Run(path).best if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"There is no model '{file}'. `--model` takes a .keras file, or a run folder in which "
            "at least one epoch is done."
        )
    if file.suffix != ".keras" or not zipfile.is_zipfile(file):
        raise ValueError(f"A model is a complete .keras file. Received: '{file}', which is none.")
    return file, runs.Run(file.parent)


def load_model(file):
    """A `MultiTaskModel` from a file.

    Raises:
        ValueError: if the file holds something else.
    """
    model = keras.saving.load_model(file)
    if not isinstance(model, models.MultiTaskModel):
        raise ValueError(
            "The model must be one of `keras_atinet`. "
            f"Received: '{file}', a {type(model).__name__}."
        )
    return model


def absolute(data):
    path = pathlib.Path(data)
    # Names such as "rooms" and "huggingface:..." are no paths.
    return str(path.resolve()) if path.exists() and data != runs.ROOMS else data


def two_splits(data):
    # One to learn from, and one to hold out.
    names = splits(data)
    if len(names) < 2:
        raise ValueError(
            "Training needs a split to learn from and one to hold out. "
            f"Received: '{data}' with {names}. Make two folders, for instance train and test."
        )
    return names[:2]


def _new_folder(settings):
    stem = f"{settings['model']}-{pathlib.Path(settings['data']).name}"
    number = 1
    while (path := pathlib.Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return path


def _check_empty(run):
    if run.path.exists() and (not run.path.is_dir() or any(run.path.iterdir())):
        hint = f", or go on with this run: --resume {run.path}" if run.config.exists() else ""
        raise FileExistsError(
            f"`--out` must be a new or an empty folder. Received: '{run.path}'. "
            f"Choose another{hint}."
        )


def _verbose(arguments):
    if arguments.verbose is None:
        return 1 if sys.stdout.isatty() else 2
    return arguments.verbose


def _report(run, settings):
    model = load_model(find_model(run.path)[0])
    sizes = settings["image_size"], settings["batch_size"]
    train_source, test_source = (runs.open_split(settings, split) for split in settings["splits"])
    batches = runs.get_batches(test_source, model.tasks, *sizes)
    results = evaluation.evaluate(model, batches)
    baseline = runs.constant_baseline(train_source, model.tasks, *sizes, batches)
    print(f"\nThe best model on {len(test_source)} held-out images; the best constant prediction:")
    print(evaluation.table(results, baseline))
    _draw(run, model, settings)
    print()
    for path in (run.best, run.last, run.history, run.predictions, run.config):
        if path.exists():
            print(path)


def _draw(run, model, settings):
    source = Subset(runs.open_split(settings, settings["splits"][1]), _PICTURE_SAMPLES)
    batches = runs.get_batches(source, model.tasks, settings["image_size"], len(source))
    images, targets = next(batches.as_numpy_iterator())
    predictions = model.predict(images, verbose=0)
    try:
        figure = visualization.prediction_grid(images, targets, predictions, model.tasks)
    except ImportError as error:
        print(f"No {run.predictions.name}: {error}", file=sys.stderr)
        return
    figure.savefig(run.predictions)


def _source(settings, split):
    source = runs.open_split(settings, split)
    runs.source_tasks(source, settings["tasks"])
    return source


def _read_picture(path):
    # (H, W, 3) float32 in [0, 1], the right way up
    image = pillow()
    from PIL import ImageOps

    try:
        with image.open(path) as picture:
            picture = ImageOps.exif_transpose(picture).convert("RGB")
    # Pillow reports some kinds of damage to PNG files as a SyntaxError.
    except (OSError, SyntaxError, ValueError, image.DecompressionBombError) as error:
        raise ValueError(f"The image cannot be read. Received: '{path}' ({error}).") from error
    return np.asarray(picture, "float32") / 255


def _picture(task, prediction, size):
    image = pillow()
    is_class = np.issubdtype(prediction.dtype, np.integer)
    resample = image.Resampling.NEAREST if is_class else image.Resampling.BILINEAR
    return image.fromarray(task.colorize(prediction)).resize((size[1], size[0]), resample)


def _unique_names(paths):
    # Files of two folders, or of two formats, may share a stem.
    names, taken = [], set()
    for path in paths:
        name, number = path.stem, 1
        while name.lower() in taken:
            number += 1
            name = f"{path.stem}-{number}"
        taken.add(name.lower())
        names.append(name)
    return names


def _installed():
    found = []
    for name in _EXTRAS:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
