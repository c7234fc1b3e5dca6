"""Hyperparameters searched anew for each architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archwright import strategies
from archwright.errors import SpaceError
from archwright.evaluate import Candidate, Evaluator, Learned, Preparation, Spent, Stopped
from archwright.space import Architecture, Space
from archwright.strategies import Strategy
from archwright.study._study import Study

__all__ = ["Nested"]


class Nested(Evaluator):
    """Evaluates an architecture by a small search of its hyperparameters: it is worth what its best settings give.

    The nested form of a joint search (Zela, Klein, Falkner and Hutter, "Towards automated deep learning: efficient
    joint neural architecture and hyperparameter search", 2018, discuss both). Dearer, as each architecture is trained
    several times; but none is thrown away for settings that suit others. For the joint form put the settings into the
    space itself.

    Args:
        evaluator: What measures an architecture with its settings, such as a `Training`.
        hyperparameters: A space of settings that the evaluator understands, such as
            `Space(lr=real(1e-3, 1e-1, log=True))`.
        trials: How many settings are tried for each architecture, at least 1.
        strategy: What proposes them.

    Raises:
        SpaceError: The hyperparameters hold a model, or what the evaluator does not understand.
    """

    def __init__(
        self, evaluator: Evaluator, hyperparameters: Space, *, trials: int = 6, strategy: str | Strategy = "bo"
    ) -> None:
        unknown = set(hyperparameters.parts) - (evaluator.settings or set(hyperparameters.parts))
        if "model" in hyperparameters.parts or unknown or trials < 1:
            known = ", ".join(sorted(evaluator.settings or ())) or "any"
            raise SpaceError(
                f"the hyperparameters of a nested search are settings that {type(evaluator).__name__} understands "
                f"({known}), tried at least once; given were {', '.join(hyperparameters.parts)} and trials={trials}"
            )
        self.evaluator = evaluator
        self.hyperparameters = hyperparameters
        self.trials = trials
        self.strategy = strategies.create(strategy) if isinstance(strategy, str) else strategy
        self.objective = evaluator.objective
        self.settings = evaluator.settings
        self.example_input = evaluator.example_input
        self.device = evaluator.device
        self.fidelities = evaluator.fidelities
        self.data = getattr(evaluator, "data", None)
        self._found: dict[tuple[Architecture, int], Architecture] = {}

    def evaluate(self, candidate: Candidate) -> dict[str, float]:
        """Return the metrics with the best settings, and the settings that are numbers under their own names.

        After each of the settings the best value so far is reported; the network is that of the best.
        """
        study = Study(self.hyperparameters, strategy=self.strategy, objective=self.objective, seed=candidate.seed)
        history = study.history
        for number in range(1, self.trials + 1):
            trial = study.ask()
            one = self._with(candidate, trial.architecture)
            try:
                ended = study.tell(trial, self.evaluator.evaluate(one))
            except Stopped:
                if history.best is None or history.best.state != "complete":
                    raise
                break
            except Exception as error:  # settings may be such that a training fails; others are tried
                ended = study.tell(trial, error)
                if number == self.trials and history.best is None:
                    raise
            if history.best is ended:
                candidate.adopt(one.model)
            if history.best is not None:
                metric = history.objective.metric
                tell = candidate.record if number == self.trials else candidate.report
                tell(number, **{metric: history.best.metrics[metric]})
        assert history.best is not None
        chosen = history.best.architecture
        self._found[candidate.architecture, candidate.seed] = chosen
        numbers = {name: float(value) for name, value in chosen.items() if isinstance(value, int | float)}
        return {**history.best.metrics, **numbers}

    @property
    def retrains(self) -> bool:
        """Whether the evaluator trains from scratch."""
        return self.evaluator.retrains

    def seconds_per_epoch(self, candidate: Candidate) -> float:
        """Return what the evaluator says."""
        return self.evaluator.seconds_per_epoch(self._with(candidate, None))

    def check_fidelities(self, space: Space, rungs: Sequence[Spent]) -> None:
        """Refuse what the evaluator refuses."""
        self.evaluator.check_fidelities(space, rungs)

    def prepare(self, preparation: Preparation) -> Learned | None:
        """Get the evaluator ready."""
        return self.evaluator.prepare(preparation)

    def retrain(self, candidate: Candidate) -> Mapping[str, float] | None:
        """Train the candidate from scratch with the settings that were best for it.

        In another process than the one that found them they are searched again, and found again.
        """
        key = candidate.architecture, candidate.seed
        if key not in self._found:
            self.evaluate(self._with(candidate, None))
        one = self._with(candidate, self._found[key])
        metrics = self.evaluator.retrain(one)
        candidate.adopt(one.model)
        return metrics

    def _with(self, candidate: Candidate, chosen: Architecture | None) -> Candidate:
        """Return a candidate of the same architecture and seed, with settings of the hyperparameters' space."""
        settings = {} if chosen is None else Candidate(self.hyperparameters, chosen, seed=0).settings
        return Candidate(
            candidate.space,
            candidate.architecture,
            seed=candidate.seed,
            fidelity=candidate.fidelity,
            device=candidate.device,
            deadline=candidate.deadline,
            example_input=candidate.example_input,
            settings=settings,
        )

    def to_json(self) -> dict[str, Any] | None:
        """Return what makes it again, or `None` where a part of it cannot be written down."""
        written, name = self.evaluator.to_json(), strategies.name_of(self.strategy)
        if written is None or name is None:
            return None
        return {
            "type": "nested",
            "evaluator": written,
            "hyperparameters": self.hyperparameters.to_json(),
            "trials": self.trials,
            "strategy": name,
            "settings": strategies.options(self.strategy),
        }

    def __repr__(self) -> str:
        return f"Nested({self.evaluator!r}, {', '.join(self.hyperparameters.parts)}, trials={self.trials})"
