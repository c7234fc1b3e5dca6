"""Selection of an ensemble from trained networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from archwright.evaluate._device import Setup
from archwright.evaluate._feed import BATCH, Feed, compute_metrics, mean_metrics
from archwright.tasks import map_tensors, size_of

if TYPE_CHECKING:
    from archwright.tasks import Task


def select_members(score: Callable[[tuple[int, ...]], Any], candidates: int, size: int) -> tuple[int, ...]:
    """Return how often each candidate is taken into an ensemble, by forward selection with replacement.

    Caruana, Niculescu-Mizil, Crew and Ksikes, "Ensemble selection from libraries of models", ICML 2004: beginning with
    the best candidate, the one is added that makes the best ensemble, until there are `size`; the best ensemble on the
    way is returned, so that none is worse than its best member.

    Args:
        score: The score of an ensemble, from how often each candidate is in it; greater is better.
        candidates: The number of candidates.
        size: The largest number of members.

    Example:
        >>> from archwright.evaluate import select_members
        >>> numbers = [1.0, 5.0, 9.0]                           # their mean is to be 4
        >>> def score(counts):
        ...     return -abs(sum(c * n for c, n in zip(counts, numbers)) / sum(counts) - 4)
        >>> select_members(score, len(numbers), size=4)
        (1, 3, 0)
    """
    best = held = (0,) * candidates
    reached = None
    for _ in range(size):
        options = [(*held[:place], held[place] + 1, *held[place + 1 :]) for place in range(candidates)]
        scores = list(map(score, options))
        place = max(range(candidates), key=scores.__getitem__)  # of equals the first
        held = options[place]
        if reached is None or scores[place] > reached:
            best, reached = held, scores[place]
    return best


class Library:
    """The outputs of trained networks on the validation part of a task, for the metrics of their ensembles.

    Networks run in float32, as those of the exported files do.

    Args:
        task: The task.
        device: The torch device.

    Example:
        >>> from archwright.evaluate import Library
        >>> library = Library(aw.Training(aw.data("iris"), device="cpu").task, "cpu")
        >>> for _ in range(2):
        ...     library.add(torch.nn.Linear(4, 3))
        >>> sorted(library.metrics((1, 1)))
        ['accuracy', 'f1', 'loss', 'precision', 'recall']
    """

    def __init__(self, task: Task, device: str) -> None:
        self._task, self._setup = task, Setup(device)
        self._feed = Feed(task, task.validation, self._setup)
        self._targets: list[tuple[Any, int]] = []
        self._outputs: list[list[Any]] = []

    @torch.no_grad()
    def add(self, model: torch.nn.Module) -> None:
        """Take in a network.

        Raises:
            EvaluationError: Its outputs do not fit the task.
        """
        model.to(self._setup.device).eval()
        batches = [
            (map_tensors(torch.Tensor.cpu, self._feed.run(model, inputs)), targets, size_of(inputs))
            for inputs, targets in self._feed.in_order(BATCH)
        ]
        self._targets = [(targets, size) for _, targets, size in batches]
        self._outputs.append([outputs for outputs, _, _ in batches])

    @torch.no_grad()
    def metrics(self, counts: Sequence[int]) -> dict[str, float]:
        """Return the validation metrics of an ensemble, from how often each network is in it."""
        chosen = [outputs for outputs, count in zip(self._outputs, counts, strict=True) if count]
        combine = self._task.combination([count / sum(counts) for count in counts if count])
        batches = (
            (self._setup.place(combine(*outputs)), *rest) for *outputs, rest in zip(*chosen, self._targets, strict=True)
        )
        return mean_metrics(self._task, self._setup.device, batches)

    def test(self, model: torch.nn.Module) -> dict[str, float]:
        """Return the metrics of a network on the test part, named `test_...`; none where there is no test part."""
        if not len(self._task.test):
            return {}
        found = compute_metrics(
            model.to(self._setup.device), Feed(self._task, self._task.test, self._setup), self._setup
        )
        return {f"test_{name}": value for name, value in found.items()}
