"""The evaluator that scores untrained networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from archwright._scalars import scalar
from archwright.errors import EvaluationError
from archwright.evaluate import Batch, Candidate, Evaluator, Feed, Setup, Training, lay_out, positive_integer
from archwright.proxies import _base
from archwright.proxies._base import Proxy
from archwright.proxies._score import as_proxies, score

if TYPE_CHECKING:
    from archwright.datasets import Data
    from archwright.tasks import Task


class ProxyEvaluator(Evaluator):
    """Evaluator that scores a candidate's untrained network by zero-cost proxies, on one batch of the training set.

    All candidates see the same batch; weights and random numbers of proxies depend on the candidate's seed. The final
    training is that of `Training`. Scores do not depend on the training, so a space may have no decisions besides those
    of the network.

    Args:
        training: The final training: a `Training`, or a task or data for one with its defaults.
        proxy: One or several proxies: names (`archwright.proxies.names()`) or `Proxy` objects. Several proxies share
            their passes.
        batch_size: Number of samples of the batch, limited by the training set.
        objective: "max" and the name of a proxy; `None` for the first of them.
        seed: The random seed of the batch.

    Raises:
        EvaluationError: A value is out of its range, or "az-nas", which ranks sets, is first and no objective is given.
        UnknownName: No proxy has that name.

    Example:
        >>> import archwright as aw
        >>> aw.ProxyEvaluator(aw.data("iris"), ["snip", "parameters"]).objective
        'max snip'
    """

    task: Task
    settings = frozenset()

    def __init__(
        self,
        training: Training | Task | Data,
        proxy: str | Proxy | Iterable[str | Proxy] = "naswot",
        *,
        batch_size: int = 32,
        objective: str | None = None,
        seed: int = 0,
    ) -> None:
        self.training = training if isinstance(training, Training) else Training(training)
        given = (proxy,) if isinstance(proxy, str | Proxy) else tuple(proxy)
        self.proxies = as_proxies(given)
        first = _base.create(given[0]) if isinstance(given[0], str) else given[0]
        if objective is None and first.parts:
            raise EvaluationError(
                f"{_base.name_of(first)!r} ranks the networks of a set, and a candidate comes alone: give an "
                f"objective, such as 'max {first.parts[0]}', and hand the trials' metrics to proxies.aggregate"
            )
        self.objective = objective or f"max {next(iter(self.proxies))}"
        if self.objective.split()[-1] not in self.proxies:
            raise EvaluationError(
                f"objective {objective!r} is by none of the proxies asked for: {', '.join(self.proxies)}"
            )
        self.metrics = frozenset(self.proxies)
        self.batch_size, self.seed = positive_integer("batch_size", batch_size), scalar(seed)
        self.task = self.training.task
        self.example_input = self.training.example_input
        self.device = self.training.device
        self._batches: dict[str, Batch] = {}

    def evaluate(self, candidate: Candidate) -> dict[str, float]:
        """Return the scores of the candidate's network by proxy; greater is better.

        Raises:
            EvaluationError: A proxy is undefined for the network.
        """
        setup = Setup(candidate.device, self.training.setup(candidate.device).channels_last)
        model = candidate.model
        lay_out(model, setup.layout)
        try:
            loss = self.task.loss
            return score(model, *self._batch(setup), self.proxies.values(), seed=candidate.seed, loss=loss)
        finally:
            lay_out(model, torch.contiguous_format)

    def check_ensemble(self) -> None:
        """Refuse: the networks of the search are not trained.

        Raises:
            EvaluationError: Always.
        """
        raise EvaluationError(
            f"{self!r} scores untrained networks, and an ensemble needs trained ones: take a Training, and the proxy "
            f"as screen={next(iter(self.proxies))!r}"
        )

    def retrain(self, candidate: Candidate) -> dict[str, float]:
        """Train the candidate's network from scratch and test it once, as `Training` does."""
        return self.training.retrain(candidate)

    def held_out(self, candidate: Candidate, model: torch.nn.Module) -> dict[str, float]:
        """Test a trained network, as `Training` does."""
        return self.training.held_out(candidate, model)

    def to_json(self) -> dict[str, Any] | None:
        """Return a JSON object from which the evaluator can be restored, or `None`."""
        training = self.training.to_json()
        if training is None:
            return None
        return {
            "type": "proxies",
            "training": training,
            "proxies": {name: dataclasses.asdict(proxy) for name, proxy in self.proxies.items()},  # type: ignore[call-overload]  # every proxy is a dataclass
            "batch_size": self.batch_size,
            "objective": self.objective,
            "seed": self.seed,
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> ProxyEvaluator:
        """Return the evaluator written by `to_json`, and load its data.

        Raises:
            EvaluationError: The object is not such an evaluator.
        """
        options = dict(written)
        if options.pop("type", None) != "proxies" or not {"training", "proxies"} <= set(options):
            raise EvaluationError(f"this is not an evaluator by proxies written down: {written!r}")
        training = Training.from_json(options.pop("training"))
        made = [_base.create(name, **settings) for name, settings in options.pop("proxies").items()]
        return cls(training, made, **options)

    def _batch(self, setup: Setup) -> Batch:
        """Return the batch as a network on the device wants it."""
        if setup.device not in self._batches:
            feed = Feed(self.task, self.task.train, setup)
            size = min(self.batch_size, len(feed))
            generator = torch.Generator().manual_seed(self.seed)
            self._batches[setup.device] = next(feed.shuffled(size, generator))
        return self._batches[setup.device]

    def __repr__(self) -> str:
        return f"ProxyEvaluator({self.task.name!r}, {', '.join(self.proxies)}, batch_size={self.batch_size})"
