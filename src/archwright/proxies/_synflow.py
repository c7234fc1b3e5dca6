"""SynFlow: data-free flow through the weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from archwright.errors import EvaluationError
from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes
from archwright.proxies._state import NORMS, bypassed, refilled
from archwright.tasks import leaves

_RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish)
_LINEAR = (*NORMS, *_RECTIFIERS, nn.Hardswish, nn.Softplus)


@register("synflow")
@dataclass(frozen=True)
class Synflow(Proxy):
    """SynFlow: log of the sum of `|weight × gradient|` for absolute weights and an input of ones.

    The network is linearised: parameters are replaced by their absolute values, and normalisation layers and rectifiers
    by the identity. The gradient is that of the sum of the outputs. The sum grows with the product of the layers'
    sizes, hence float64 and the logarithm, which keeps the ranking.

    It needs a separate pass. Undefined for integer inputs, and if no weight is connected to the output.

    Tanaka, Kunin, Yamins and Ganguli, "Pruning neural networks without any data by iteratively conserving synaptic
    flow", NeurIPS 2020; without normalisation, as in Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR
    2021.

    Example:
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> _ = torch.nn.init.eye_(model.weight)
        >>> round(aw.proxies.score(model, torch.eye(2), torch.tensor([0, 1]), "synflow")["synflow"], 3)
        0.693
    """

    def score(self, passes: Passes) -> float:
        """Return the logarithm of the sum over all weights."""
        model, inputs = passes.model, passes.floating_inputs()
        precise = torch.float32 if inputs.device.type == "mps" else torch.float64  # which mps does not have
        ones = torch.ones_like(inputs[:1], dtype=precise)
        linear = [module for module in model.modules() if isinstance(module, _LINEAR)]
        with bypassed(linear), refilled(model, lambda module, name, values: values.abs(), precise):
            weights = passes.learnt()
            total = torch.stack([output.sum() for output in leaves(model(ones))]).sum()
            if not total.requires_grad:
                raise EvaluationError(_NOTHING)
            gradients = torch.autograd.grad(total, weights, materialize_grads=True)
            flow = sum(float((w.detach() * g).abs().sum()) for w, g in zip(weights, gradients, strict=True))
        if not flow:
            raise EvaluationError(_NOTHING)
        return math.log(flow)


_NOTHING = "no weight leads from the network's input to its output: leave such networks out of the space"
