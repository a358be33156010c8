import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class OptimizerGroup:
    """Weights of a network that are stepped by an optimizer of their own.

    Attributes:
        variables: list of `keras.Variable`; those that are not trained do no harm.
        is_on: optional function without arguments that returns a scalar bool tensor. While it is
            False, the group is not stepped, and weight decay does not shrink it.
    """

    variables: list
    is_on: Callable | None = None
