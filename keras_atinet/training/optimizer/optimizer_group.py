import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class OptimizerGroup:
    """Weights of a network that are stepped by an optimizer of their own.

    Attributes:
        variables: list of `keras.Variable`; those that are not trained do no harm.
        is_on: optional function without arguments that returns a scalar bool tensor. While it is
            False, the group is not stepped, and weight decay does not shrink it.
        multiplier: float above 0, what its learning rate is multiplied by where `compile` is told
            no other.
        weight_decay: optional float, the decay of its kernels (weights of two dimensions or more):
            `w <- w - learning_rate * weight_decay * w` at each step, beside the loss. It takes the
            place of the user's optimizer's; other weights of the group do not decay then.
    """

    variables: list
    is_on: Callable | None = None
    multiplier: float = 1.0
    weight_decay: float | None = None

    @property
    def settings(self):
        """Dict, what the group's optimizer has instead of the user's setting."""
        return {} if self.weight_decay is None else {"weight_decay": self.weight_decay}

    @property
    def not_decayed(self):
        """List of the variables that the group's own decay leaves alone."""
        return [variable for variable in self.variables if len(variable.shape) < 2]
