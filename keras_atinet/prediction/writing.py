"""Files of what was predicted for a picture."""

import threading
import zipfile

import numpy as np

from keras_atinet import files
from keras_atinet.data.sources.pillow import pillow
from keras_atinet.prediction.pictures import full_size_colors, overlay, side_by_side, strips
from keras_atinet.prediction.point_cloud import point_cloud, write_ply
from keras_atinet.tasks import DepthEstimation, SemanticSegmentation, SurfaceNormals
from keras_atinet.visualization import load_matplotlib

# What is rounded to so many parts fills a half (depth) to a fifth (normals) of the disk: 1 mm of
# depth and a quarter of a degree are far below the errors of any network.
_PARTS = {DepthEstimation: 1024, SurfaceNormals: 256}
_ALL, _POINTS = "_all.png", ".ply"
_LONGEST_JPEG = 65500  # pixels
_FARTHEST = 65.535  # metres, of a PNG of 16 bits
_FAST = 1  # level of zlib; higher ones take thrice the time for a tenth to a third of the size
_drawing = threading.Lock()  # matplotlib is not made for threads


def file_names(tasks, with_points=False):
    """The ends of the names that `write_predictions` gives its files, in order."""
    ends = [".npz"]
    for task in tasks:
        ends.append(f"_{task.name}.png")
        if isinstance(task, SemanticSegmentation):
            ends += [f"_{task.name}_classes.png", f"_{task.name}_overlay.jpg"]
        if isinstance(task, DepthEstimation):
            ends.append(f"_{task.name}_mm.png")
    ends += [_POINTS] if with_points else []
    return [*ends, _ALL] if can_draw() else ends


def find_task(tasks, kind):
    """The first task of a kind, or None."""
    return next((task for task in tasks if isinstance(task, kind)), None)


def can_draw():
    """Whether matplotlib is installed, which puts pictures side by side."""
    try:
        load_matplotlib()
    except ImportError:
        return False
    return True


def write_predictions(folder, name, image, maps, tasks, fov=None):
    """Writes the maps of a picture as arrays and as pictures of its size; all or none of them.

    - `NAME.npz`: the maps, with the numbers of the classes (int32), metres in steps of 1/1024, and
      unit vectors in steps of 1/256 (x right, y down, z forward; float32).
    - `NAME_TASK.png`: each map in colours.
    - `NAME_TASK_classes.png`: the numbers of the classes, in 8 bits, or 16 for more than 256.
    - `NAME_TASK_overlay.jpg`: the colours of the classes on top of the picture.
    - `NAME_TASK_mm.png`: depth in millimetres, in 16 bits, which end at 65.535 m.
    - `NAME.ply`: the points of the depth, see `point_cloud`; only with `fov`.
    - `NAME_all.png`: the picture and all maps side by side, with keys to the colours; only with
      matplotlib.

    Args:
        folder: `pathlib.Path`.
        name: str, `NAME`.
        image: array `(H, W, 3)`, as of `read_picture`.
        maps: dict of maps, as a `Predictor` returns.
        tasks: list of `Task`.
        fov: optional float, degrees, the horizontal field of view.

    Returns:
        list of str, what of it could not be written.

    Raises:
        ImportError: if Pillow is not installed.
        OSError: if the system refuses to write.
    """
    notes = []
    with files.replacing(folder / f"{name}.npz") as new:
        for task in tasks:
            found = maps[task.name]
            start = new.with_name(f"{name}_{task.name}")
            _save(full_size_colors(task, found), f"{start}.png")
            if isinstance(task, SemanticSegmentation):
                _save(
                    found.astype(np.min_scalar_type(task.num_classes - 1)), f"{start}_classes.png"
                )
                if max(found.shape) <= _LONGEST_JPEG:
                    _save(overlay(image, found, task), f"{start}_overlay.jpg")
                else:
                    notes.append(
                        f"{start.name}_overlay.jpg is left out: JPEG has up to {_LONGEST_JPEG} "
                        f"rows and columns. Received: {found.shape}."
                    )
            if isinstance(task, DepthEstimation):
                _save(_millimetres(found), f"{start}_mm.png")
                if found.max() > _FARTHEST:
                    notes.append(f"{start.name}_mm.png ends at {_FARTHEST} m. {name}.npz does not.")
        if fov is not None:
            depth, normals = (find_task(tasks, kind) for kind in (DepthEstimation, SurfaceNormals))
            normals = normals and maps[normals.name]
            cloud = point_cloud(maps[depth.name], fov, image, normals)
            write_ply(new.with_name(f"{name}{_POINTS}"), *cloud)
        if can_draw():
            with _drawing:
                side_by_side(image, maps, tasks).savefig(new.with_name(f"{name}{_ALL}"))
        _save_arrays(maps, tasks, new)
    return notes


def _millimetres(depth):
    return np.rint(1000 * np.minimum(depth[..., 0], _FARTHEST)).astype("uint16")


def _save(pixels, path):
    pillow().fromarray(pixels).save(path, quality=90, compress_level=_FAST)


def _save_arrays(maps, tasks, path):
    # As `numpy.savez_compressed`, at another level, and in strips of rows.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_FAST) as archive:
        for task in tasks:
            found = np.ascontiguousarray(maps[task.name])
            parts = next((n for kind, n in _PARTS.items() if isinstance(task, kind)), None)
            with archive.open(f"{task.name}.npy", "w", force_zip64=True) as file:
                header = np.lib.format.header_data_from_array_1_0(found)
                np.lib.format.write_array_header_1_0(file, header)
                for rows in strips(found):
                    file.write(_rounded(found[rows], parts).tobytes())


def _rounded(array, parts):
    return np.rint(array * parts) / np.float32(parts) if parts else array
