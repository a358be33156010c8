"""Random transforms: a sample and a random generator go in, a new sample comes out."""

import functools
import inspect

from keras_atinet.data.transforms.color import adjust_color
from keras_atinet.data.transforms.mirror import mirror
from keras_atinet.data.transforms.scale_crop import scale_crop


def random_mirror(sample, rng, tasks=None):
    """Mirrors every second sample by chance; see `mirror`.

    Args:
        sample: dict of arrays.
        rng: `numpy.random.Generator`.
        tasks: optional dict, task key -> facts, as in `Source.tasks`.
    """
    return mirror(sample, tasks) if rng.random() < 0.5 else sample


def random_scale_crop(sample, rng, tasks=None, scales=(1.0, 1.2, 1.5)):
    """Zooms into a sample at a random place; see `scale_crop`.

    Args:
        sample: dict of arrays.
        rng: `numpy.random.Generator`.
        tasks: optional dict, task key -> facts, as in `Source.tasks`.
        scales: sequence of float to choose from, those of MTAN by default.
    """
    scale, position = rng.choice(scales), rng.random(2)
    return scale_crop(sample, scale, position, tasks) if scale != 1 else sample


def random_color(sample, rng, brightness=0.2, contrast=0.2, saturation=0.2):
    """Changes the colours by random factors in `[1 - x, 1 + x]`; see `adjust_color`.

    Args:
        sample: dict of arrays.
        rng: `numpy.random.Generator`.
        brightness: float in `[0, 1]`.
        contrast: float in `[0, 1]`.
        saturation: float in `[0, 1]`.
    """
    widths = brightness, contrast, saturation
    return adjust_color(sample, *(float(rng.uniform(1 - x, 1 + x)) for x in widths))


AUGMENTATIONS = {
    "mirror": [random_mirror],
    "color": [random_color, random_mirror],
    "full": [random_scale_crop, random_color, random_mirror],
    "none": [],
}


def get_augmentation(augment, tasks):
    """A list of functions `(sample, rng) -> sample`.

    Args:
        augment: a key of `AUGMENTATIONS`, True (`"full"`), False (`"none"`), such a function, or a
            sequence of them. To those that take `tasks`, the facts are passed.
        tasks: dict, task key -> facts, as in `Source.tasks`.

    Raises:
        TypeError: if `augment` is none of these.
    """
    if isinstance(augment, (bool, str)):
        names = {True: "full", False: "none"}
        functions = AUGMENTATIONS.get(names.get(augment, augment))
    else:
        functions = [augment] if callable(augment) else list(augment or ())
    if functions is None or not all(map(callable, functions)):
        raise TypeError(
            f"`augment` takes True, False, one of {list(AUGMENTATIONS)}, a function "
            "`(sample, rng) -> sample` or a sequence of such functions. "
            f"Received: augment={augment!r}."
        )
    return [
        functools.partial(function, tasks=tasks) if _takes_tasks(function) else function
        for function in functions
    ]


def _takes_tasks(function):
    return "tasks" in inspect.signature(function).parameters
