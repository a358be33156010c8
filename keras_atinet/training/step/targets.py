"""From what the user gives `fit` to targets and pixel weights by task."""

import difflib

from keras import ops


def by_task(tasks, value, argument):
    """A dict keyed by the names of the tasks, from a dict, a sequence, or one value.

    Args:
        tasks: list of `Task`.
        value: dict task name -> value, a list or tuple over the tasks, or one value for all.
        argument: `"y"`, `"sample_weight"` or `"loss"`, for the error; a dict of `"y"` must be
            complete, and only `"sample_weight"` may be one value for several tasks.

    Raises:
        ValueError: if a target is missing, or there is one value for several tasks.
    """
    names = [task.name for task in tasks]
    if isinstance(value, dict):
        missing = [name for name in names if name not in value]
        if argument == "y" and missing:
            raise ValueError(
                f"`{argument}` has no target for the tasks {missing}. "
                f"Received keys: {sorted(value)}. "
                "Give missing pixels their missing value: class -1, depth 0, zero normal."
            )
        return {name: value.get(name) for name in names}
    if isinstance(value, (list, tuple)) and len(value) == len(names):
        return dict(zip(names, value, strict=True))
    if argument == "sample_weight" or len(names) == 1:
        return dict.fromkeys(names, value)
    raise ValueError(
        f"`{argument}` must be a dict keyed by the tasks {names}. Received: {type(value)}."
    )


def check_weight_names(tasks, y, sample_weight):
    """Checks the keys of a dict of weights, which are those of tasks or of targets.

    Raises:
        ValueError: if a key is none of these; it names the nearest one.
    """
    names = list(
        dict.fromkeys([*(task.name for task in tasks), *(y if isinstance(y, dict) else ())])
    )
    for name in sample_weight if isinstance(sample_weight, dict) else ():
        if name not in names:
            near = difflib.get_close_matches(str(name), names, 1)
            raise ValueError(
                f"`sample_weight` must be keyed by the tasks {names}. Received: {name!r}, which "
                "is none of them." + (f" Did you mean {near[0]!r}?" if near else "")
            )


def valid_targets(tasks, y, y_pred, sample_weight):
    """Targets with harmless values at ignored pixels, and the weight of every pixel.

    Args:
        tasks: list of `Task`.
        y, sample_weight: as for `by_task`.
        y_pred: dict of predictions.

    Returns:
        Two dicts by task: targets, and float32 tensors `(batch, height, width)`, 0 at ignored
        pixels.

    Raises:
        ValueError: if a target has another shape than its task says, or a weight is neither one
            per image, `(batch,)` or `(batch, 1)`, nor one per pixel, `(batch, height, width)` or
            `(batch, height, width, 1)`; or if one is for something that is no task.
    """
    check_weight_names(tasks, y, sample_weight)
    y = by_task(tasks, y, "y")
    sample_weight = by_task(tasks, sample_weight, "sample_weight")
    targets, pixel_weights = {}, {}
    for task in tasks:
        target = ops.convert_to_tensor(y[task.name])
        _, height, width, _ = y_pred[task.name].shape
        if tuple(target.shape[1:]) != task.target_shape(height, width):
            raise ValueError(
                f"The target of task '{task.name}' must have the shape "
                f"{('batch', *task.target_shape(height, width))}. "
                f"Received: {tuple(target.shape)}. Check the task's channels and image size."
            )
        targets[task.name], mask = task.prepare(target)
        pixel_weight = ops.cast(mask, "float32")
        if sample_weight[task.name] is not None:
            pixel_weight *= _as_pixel_weight(sample_weight[task.name], mask, task)
        pixel_weights[task.name] = pixel_weight
    return targets, pixel_weights


def _as_pixel_weight(weight, mask, task):
    """A weight of images or of pixels as a float32 tensor of the shape of the mask."""
    weight = ops.cast(ops.convert_to_tensor(weight), "float32")
    batch, height, width = mask.shape
    allowed = [(batch,), (batch, 1), (batch, height, width), (batch, height, width, 1)]
    # What TensorFlow traces again, after another shape, has unknown sizes or even an unknown rank.
    is_known = getattr(weight.shape, "rank", 0) is not None
    if is_known and not any(_fits(tuple(weight.shape), shape) for shape in allowed):
        raise ValueError(
            f"`sample_weight` of task '{task.name}' must have one value for each image or each "
            f"pixel, a shape of {allowed}. Received: {tuple(weight.shape)}. "
            "Where there is one for each channel, give e.g. `weights[..., 0]`."
        )
    sizes = ops.shape(mask)
    pixels = ops.reshape(weight, (sizes[0], -1))
    pixels = ops.broadcast_to(pixels, (sizes[0], sizes[1] * sizes[2]))
    return ops.reshape(pixels, sizes)


def _fits(shape, other):
    return len(shape) == len(other) and all(
        None in sizes or len(set(sizes)) == 1 for sizes in zip(shape, other, strict=True)
    )
