"""Fisher information of channels."""

from __future__ import annotations

from dataclasses import dataclass

from archwright.errors import EvaluationError
from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes


@register("fisher")
@dataclass(frozen=True)
class Fisher(Proxy):
    """Fisher: half the mean square of activation × gradient, summed over the channels.

    Channels are those of the outputs of convolutions and linear layers, before normalisation and activation.

    Undefined without such a layer.

    Theis, Korshunova, Tejani and Huszár, "Faster gaze prediction with dense networks and Fisher pruning", 2018; Turner,
    Crowley, O'Boyle, Storkey and Gray, "BlockSwap: Fisher-guided Block Substitution for Network Compression on a
    Budget", ICLR 2020; summed over a network by Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021.

    Example:
        >>> model = torch.nn.Linear(2, 2, bias=False)
        >>> _ = torch.nn.init.eye_(model.weight)
        >>> round(aw.proxies.score(model, torch.eye(2), torch.tensor([0, 1]), "fisher")["fisher"], 3)
        0.009
    """

    needs = frozenset({"gradients", "channel_saliency"})

    def score(self, passes: Passes) -> float:
        """Return the sum over all channels."""
        found = passes.channel_saliency
        if not found:
            raise EvaluationError(
                "the network has no convolution or linear layer whose channels the loss depends on: take another "
                "proxy, such as 'snip'"
            )
        return sum(float(channels.sum()) for channels in found)
