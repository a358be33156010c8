"""Balancers: how the losses of the tasks become one update."""

from keras_atinet.balancing.balancer import Balancer
from keras_atinet.balancing.dynamic_weight_average import DynamicWeightAverage
from keras_atinet.balancing.equal import Equal
from keras_atinet.balancing.gradient_balancer import GradientBalancer

BALANCERS = {
    "equal": Equal,
    "dwa": DynamicWeightAverage,
}


def get_balancer(balancer):
    """The balancer that `compile(balancer=...)` describes.

    Args:
        balancer: a name from `BALANCERS`, or a `Balancer`.

    Returns:
        A `Balancer`.

    Raises:
        ValueError: if the name is unknown.
    """
    if isinstance(balancer, Balancer):
        return balancer
    if not isinstance(balancer, str) or balancer not in BALANCERS:
        raise ValueError(
            f"Unknown `balancer`. Received: {balancer!r}. Expected one of {sorted(BALANCERS)} "
            "or a `keras_atinet.balancing.Balancer` object."
        )
    return BALANCERS[balancer]()
