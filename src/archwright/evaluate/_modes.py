"""Training mode, with frozen batch normalisation left as it is."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _NormBase


def is_frozen_norm(layer: nn.Module) -> bool:
    """Tell whether a layer is batch or instance normalisation whose own parameters are all frozen.

    Its statistics are part of what was frozen: new data must not move them.

    Example:
        >>> from archwright.evaluate import is_frozen_norm
        >>> is_frozen_norm(torch.nn.BatchNorm1d(4)), is_frozen_norm(torch.nn.BatchNorm1d(4).requires_grad_(False))
        (False, True)
    """
    if not isinstance(layer, _NormBase) or layer.running_mean is None:
        return False
    own = list(layer.parameters(recurse=False))
    return bool(own) and not any(parameter.requires_grad for parameter in own)


def set_training(model: nn.Module) -> None:
    """Set a network to training mode, except for frozen batch normalisation, which keeps its statistics.

    Example:
        >>> from archwright.evaluate import set_training
        >>> norm = torch.nn.BatchNorm1d(4).requires_grad_(False)
        >>> set_training(torch.nn.Sequential(norm))
        >>> norm.training
        False
    """
    model.train()
    for layer in model.modules():
        if is_frozen_norm(layer):
            layer.eval()
