"""What tasks have in common whose networks give scores of the token at each place of a sequence."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archwright.tasks._classification import check_floats
from archwright.tasks._task import Task


class TokenTask(Task):
    """Prediction of the token at each place: networks give scores, shape (n, length, tokens)."""

    kind = "tokens"
    least_steps = 2_000
    tokens: int
    """The number of tokens."""
    padding = -100
    """The target of a place without a token."""

    def check_outputs(self, outputs: Any, size: int) -> None:
        """Check that the outputs are floating-point scores of all tokens for each place.

        Raises:
            EvaluationError: The shape or type is wrong.
        """
        check_floats(outputs, (size, "length", self.tokens), "a score of each token at each place")

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float | None = None) -> Tensor:
        """Return the mean cross-entropy of the tokens of a batch in nats, a scalar.

        Args:
            outputs: Scores, shape (n, length, tokens).
            targets: The tokens, int64 of shape (n, length or more).
            label_smoothing: The label smoothing, from 0 to below 1.
        """
        wanted, smoothing = targets[:, : outputs.shape[1]].flatten(), label_smoothing or 0.0
        return F.cross_entropy(outputs.flatten(0, 1), wanted, ignore_index=self.padding, label_smoothing=smoothing)

    def meter(self, device: str = "cpu") -> TokenScores:
        """Return the metrics of a part."""
        return TokenScores(device, padding=self.padding)


class TokenScores:
    """The metrics of tokens, without padding.

    Args:
        device: Where the sums are kept.
        padding: The target of a place without a token.
    """

    def __init__(self, device: str = "cpu", *, padding: int = -100) -> None:
        self._sums = torch.zeros(3, device=device)
        self._padding = padding

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in scores (n, length, tokens) and tokens (n, length or more)."""
        wanted = targets[:, : outputs.shape[1]].flatten()
        scores, seen = outputs.flatten(0, 1).float(), wanted != self._padding
        entropy = F.cross_entropy(scores, wanted, ignore_index=self._padding, reduction="sum")
        right = ((scores.argmax(1) == wanted) & seen).sum()
        self._sums += torch.stack([entropy, right.to(entropy), seen.sum().to(entropy)])

    def compute(self) -> dict[str, float]:
        """Return "perplexity" and "accuracy"."""
        entropy, right, count = self._sums.tolist()
        return {"perplexity": math.exp(min(entropy / count, 700.0)), "accuracy": right / count}
