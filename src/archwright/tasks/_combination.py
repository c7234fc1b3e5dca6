"""How the outputs of several networks become one; `model.py` of an ensemble has a copy of the class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class MeanOutputs(nn.Module):
    """Weighted mean of the outputs of several networks, tensor by tensor in tuples, lists and mappings.

    Args:
        weights: The weight of each network; their sum is 1.

    Example:
        >>> MeanOutputs([0.75, 0.25])(torch.tensor([1.0]), torch.tensor([5.0]))
        tensor([2.])
    """

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        self.weights = tuple(weights)

    def forward(self, *outputs: Any) -> Any:
        """Return the mean of the outputs, one for each network."""
        first = outputs[0]
        if isinstance(first, Tensor):
            return torch.stack([each * weight for each, weight in zip(outputs, self.weights, strict=True)]).sum(0)
        if isinstance(first, Mapping):
            return {name: self(*(each[name] for each in outputs)) for name in first}
        means = [self(*parts) for parts in zip(*outputs, strict=True)]
        return type(first)(*means) if hasattr(first, "_fields") else type(first)(means)


class MeanProbabilities(nn.Module):
    """Weighted mean of the class probabilities of several networks, as log-probabilities: scores whose softmax it is.

    Args:
        weights: The weight of each network, greater than 0; their sum is 1.

    Example:
        >>> scores = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
        >>> MeanProbabilities([0.75, 0.25])(*scores).softmax(1)
        tensor([[0.8000, 0.2000]])
    """

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        self.weights = tuple(weights)

    def forward(self, *scores: Tensor) -> Tensor:
        """Return the logarithm of the mean probabilities, shape (n, classes), from the scores of each network."""
        weighted = [each.log_softmax(1) + math.log(weight) for each, weight in zip(scores, self.weights, strict=True)]
        return torch.stack(weighted).logsumexp(0)
