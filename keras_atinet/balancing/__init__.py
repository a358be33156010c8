"""Balancers: how the losses of the tasks become one update."""

from keras_atinet.balancing.balancer import Balancer
from keras_atinet.balancing.gradient_based.aligned_mtl import AlignedMTL
from keras_atinet.balancing.gradient_based.cagrad import CAGrad
from keras_atinet.balancing.gradient_based.fairgrad import FairGrad
from keras_atinet.balancing.gradient_based.graddrop import GradDrop
from keras_atinet.balancing.gradient_based.gradient_balancer import GradientBalancer
from keras_atinet.balancing.gradient_based.gradnorm import GradNorm
from keras_atinet.balancing.gradient_based.gradvac import GradVac
from keras_atinet.balancing.gradient_based.impartial_gradient import ImpartialGradient
from keras_atinet.balancing.gradient_based.mgda import MGDA
from keras_atinet.balancing.gradient_based.nash_mtl import NashMTL
from keras_atinet.balancing.gradient_based.pcgrad import PCGrad
from keras_atinet.balancing.gradient_based.upgrad import UPGrad
from keras_atinet.balancing.loss_based.dynamic_task_prioritization import DynamicTaskPrioritization
from keras_atinet.balancing.loss_based.dynamic_weight_average import DynamicWeightAverage
from keras_atinet.balancing.loss_based.equal import Equal
from keras_atinet.balancing.loss_based.famo import FAMO
from keras_atinet.balancing.loss_based.fixed import Fixed
from keras_atinet.balancing.loss_based.geometric_loss import GeometricLoss
from keras_atinet.balancing.loss_based.impartial_loss import ImpartialLoss
from keras_atinet.balancing.loss_based.random_loss_weighting import RandomLossWeighting
from keras_atinet.balancing.loss_based.smooth_tchebycheff import SmoothTchebycheff
from keras_atinet.balancing.loss_based.uncertainty import Uncertainty

BALANCERS = {
    "equal": Equal,
    "dwa": DynamicWeightAverage,
    "uncertainty": Uncertainty,
    "rlw": RandomLossWeighting,
    "gls": GeometricLoss,
    "dtp": DynamicTaskPrioritization,
    "imtl_l": ImpartialLoss,
    "famo": FAMO,
    "stch": SmoothTchebycheff,
    "gradnorm": GradNorm,
    "pcgrad": PCGrad,
    "gradvac": GradVac,
    "graddrop": GradDrop,
    "mgda": MGDA,
    "cagrad": CAGrad,
    "imtl_g": ImpartialGradient,
    "nashmtl": NashMTL,
    "aligned_mtl": AlignedMTL,
    "fairgrad": FairGrad,
    "upgrad": UPGrad,
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
