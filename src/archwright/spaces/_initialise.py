"""How weights begin. The text of the function is copied into written source."""

from __future__ import annotations

from torch import nn
from torch.nn.parameter import is_lazy

__all__ = ["initialised"]


def initialised(network: nn.Module, scheme: str) -> nn.Module:
    """Return a network, its linear and convolution layers filled by a scheme.

    "kaiming" is normal (He et al. 2015), "xavier" uniform (Glorot & Bengio 2010),
    "orthogonal" that of Saxe et al. (2014). Biases begin at zero.
    """
    schemes = {
        "kaiming": nn.init.kaiming_normal_,
        "xavier": nn.init.xavier_uniform_,
        "orthogonal": nn.init.orthogonal_,
    }
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            if is_lazy(layer.weight) or layer.weight.is_meta:
                continue
            schemes[scheme](layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network
