"""Weight initialisation. The text of the function is copied into written source."""

from __future__ import annotations

from torch import nn
from torch.nn.parameter import is_lazy


def initialised(network: nn.Module, scheme: str) -> nn.Module:
    """Return a network after filling its linear layers and convolutions.

    A scheme is named as in torch.nn.init: "kaiming_normal" (He et al. 2015),
    "xavier_uniform" (Glorot & Bengio 2010), "orthogonal" (Saxe et al. 2014).
    Biases begin at zero.
    """
    fill = getattr(nn.init, f"{scheme}_")
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            if is_lazy(layer.weight) or layer.weight.is_meta:
                continue
            fill(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network
