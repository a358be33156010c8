def check_hooks(model, base, split):
    """Refuses what a subclass overrides and a train step would pass over.

    Args:
        model: `MultiTaskModel`.
        base: the class `MultiTaskModel`.
        split: bool, whether the step calls two parts of the network in place of `model`.

    Raises:
        ValueError: if it overrides `compute_loss` or `compute_metrics`, or `call` of a network that
            is split, and not `train_step`.
    """
    kind = type(model)
    hooks = ("compute_loss", "compute_metrics", *(["call"] if split else []))
    changed = [hook for hook in hooks if getattr(kind, hook) is not getattr(base, hook)]
    if changed and kind.train_step is base.train_step:
        raise ValueError(
            "A train step of a `MultiTaskModel` computes the loss of each task by itself, so that "
            f"{' and '.join(f'`{hook}`' for hook in changed)} would change `evaluate` and not "
            f"training. Received: `{kind.__name__}`, which overrides this. Give a loss by "
            "`Task.loss` or `compile(loss=...)`, more of it by `add_loss` in a layer, metrics by "
            "`Task.metrics` or `compile(metrics=...)`, and what `call` does as layers."
        )
