"""Number of FLOPs."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from archwright.cost import count_flops, on_meta_or_cpu
from archwright.errors import EvaluationError
from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes
from archwright.tasks import leaves

_SAMPLES = 2  # one is too few for batch normalisation


@register("flops")
@dataclass(frozen=True)
class Flops(Proxy):
    """FLOPs of a forward pass of one sample, 2 per multiply-add.

    Convolutions and matrix products are counted, in a separate pass over two samples: see `cost.count_flops`.

    A strong baseline: White, Khodak, Tu, Shah, Bubeck and Dey, "A Deeper Look at Zero-Cost Proxies for Lightweight
    NAS", ICLR Blog Track 2022.

    Example:
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> _ = torch.nn.init.eye_(model.weight)
        >>> round(aw.proxies.score(model, torch.eye(2), torch.tensor([0, 1]), "flops")["flops"], 3)
        8.0
    """

    def score(self, passes: Passes) -> float:
        """Return the number."""
        inputs = list(leaves(passes.part(passes.inputs, slice(_SAMPLES))))
        total = on_meta_or_cpu(
            lambda device: count_flops(copy.deepcopy(passes.model).to(device), [each.to(device) for each in inputs])
        )
        if not total:
            raise EvaluationError("the network has no convolution and no product")
        return total / _SAMPLES
