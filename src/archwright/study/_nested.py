"""Nested search of hyperparameters for each architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archwright import strategies
from archwright._scalars import is_whole, scalar
from archwright.errors import EvaluationError, Exhausted, SpaceError
from archwright.evaluate import Candidate, Evaluator, Spent, Stopped, Wrapped
from archwright.execute import InProcess, Job, Listen, Worker, drive
from archwright.space import Architecture, Space
from archwright.strategies import Strategy
from archwright.study._study import Study

if TYPE_CHECKING:
    import torch


class Nested(Wrapped):
    """Evaluator that tunes the hyperparameters of each architecture by a small search, and returns the best metrics.

    The nested form of a joint search (Zela, Klein, Falkner and Hutter, "Towards automated deep learning: efficient
    joint neural architecture and hyperparameter search", 2018). It costs more, as each architecture is trained several
    times, but compares architectures with suitable settings. For the joint form make the settings parts of the space.

    Args:
        evaluator: The evaluator of an architecture with its settings, such as a `Training`.
        hyperparameters: A space of settings of the evaluator, such as `Space(lr=real(1e-3, 1e-1, log=True))`.
        trials: Number of settings for each architecture, at least 1.
        strategy: The strategy that proposes them.

    Raises:
        SpaceError: The hyperparameters include a model, or parts that the evaluator does not support.
        StrategyError: The strategy does not support their space.
        UnknownName: No strategy has that name.

    Example:
        >>> import archwright as aw
        >>> rates = aw.Space(lr=aw.real(1e-3, 1e-1, log=True))
        >>> aw.Nested(aw.Training(aw.data("iris"), epochs=2), rates, trials=3).trials
        3
    """

    def __init__(
        self, evaluator: Evaluator, hyperparameters: Space, *, trials: int = 6, strategy: str | Strategy = "bo"
    ) -> None:
        trials = scalar(trials)
        unknown = set() if evaluator.settings is None else set(hyperparameters.parts) - evaluator.settings
        if "model" in hyperparameters.parts or unknown or not is_whole(trials) or trials < 1:
            known = "any" if evaluator.settings is None else ", ".join(sorted(evaluator.settings)) or "none"
            raise SpaceError(
                f"the hyperparameters of a nested search are settings that {type(evaluator).__name__} understands "
                f"({known}), tried at least once; given were {', '.join(hyperparameters.parts)} and trials={trials}"
            )
        super().__init__(evaluator)
        self.hyperparameters = hyperparameters
        self._own = sorted(hyperparameters.parts.keys() & evaluator.fidelities.keys())
        if self._own:
            self.fidelities = {}  # what it finds by itself, it cannot be given less of
        self.trials = trials
        self.strategy = strategies.create(strategy) if isinstance(strategy, str) else strategy
        self.strategy.check(hyperparameters)
        self._found: dict[tuple[Architecture, int], Architecture] = {}

    def check(self, space: Space) -> None:
        """Check the space with the evaluator, and that no setting is decided by both the space and the nested search.

        Raises:
            SpaceError: A setting is decided by both.
        """
        super().check(space)
        twice = sorted((space.parts.keys() - {"model"}) & self.hyperparameters.parts.keys())
        if twice:
            raise SpaceError(
                f"the space decides {', '.join(twice)}, and so does the nested search, which would go before it: leave "
                "it out of one of them"
            )

    def check_fidelities(self, space: Space, rungs: Sequence[Spent]) -> None:
        """Check the fidelities with the evaluator; none is allowed if the nested search decides one.

        Raises:
            EvaluationError: The nested search decides a fidelity.
        """
        if self._own:
            raise EvaluationError(
                f"the nested search decides {', '.join(self._own)} by itself, so that its trials cannot be given less "
                "than all: take the scheduler 'full'"
            )
        super().check_fidelities(space, rungs)

    def evaluate(self, candidate: Candidate) -> dict[str, float]:
        """Return the metrics with the best settings, and the settings that are numbers under their own names.

        The best value so far is reported after each of the settings; the network is that of the best. The search ends
        early at the deadline.
        """
        study = Study(self.hyperparameters, strategy=self.strategy, objective=self.objective, seed=candidate.seed)
        history = study.history
        metric = history.objective.metric

        def next_job() -> Job | None:
            if len(history.trials) >= self.trials:
                return None
            try:
                trial = study.ask()
            except Exhausted:
                return None
            return Job(trial.number, self.hyperparameters.fingerprint, trial.architecture, trial.seed)

        # Settings may be such that a training fails; others are tried.
        for report, one in drive(InProcess(_WithSettings(self, candidate.again())), next_job):
            ended = study.tell(history.trials[report.trial], report)
            if history.best is ended:
                self._found[candidate.architecture, candidate.seed] = ended.architecture
                if one.built is not None:
                    candidate.adopt(one.built)
            is_over = report.kind == "stopped" and not report.converged
            number = len(history.finished)
            if history.best is not None:
                tell = candidate.record if is_over or number == self.trials else candidate.report
                tell(number, **{metric: history.best.metrics[metric]})
            if is_over:
                raise Stopped(report.error)
        best = history.best
        if best is None:
            raise EvaluationError(f"no settings gave a result; the last ones: {history.finished[-1].cause}")
        candidate.save({})
        numbers = {name: float(value) for name, value in best.architecture.items() if isinstance(value, int | float)}
        return {**best.metrics, **numbers}

    def retrain(self, candidate: Candidate) -> Mapping[str, float] | None:
        """Train the candidate from scratch with its best settings.

        In another process they are searched again, with the same result.
        """
        key = candidate.architecture, candidate.seed
        if key not in self._found:
            self.evaluate(candidate.again())
        one = self._with(candidate, self._found[key])
        metrics = self.evaluator.retrain(one)
        if one.built is not None:
            candidate.adopt(one.built)
        return metrics

    def held_out(self, candidate: Candidate, model: torch.nn.Module) -> Mapping[str, float] | None:
        """Test a trained network, with the settings of its training if they are known."""
        chosen = self._found.get((candidate.architecture, candidate.seed))
        return self.evaluator.held_out(candidate if chosen is None else self._with(candidate, chosen), model)

    def _with(self, candidate: Candidate, chosen: Architecture) -> Candidate:
        """Return a candidate of the same architecture and seed, with settings of the hyperparameters' space."""
        return candidate.again(settings=Candidate(self.hyperparameters, chosen, seed=0).settings)

    def to_json(self) -> dict[str, Any] | None:
        """Return a JSON object from which the evaluator can be restored, or `None`."""
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

    @classmethod
    def from_json(cls, data: Mapping[str, Any], evaluator: Evaluator) -> Nested:
        """Return the evaluator that `to_json` stored, around another one."""
        return cls(
            evaluator,
            Space.from_json(data["hyperparameters"]),
            trials=data["trials"],
            strategy=strategies.create(data["strategy"], **data["settings"]),
        )

    def __repr__(self) -> str:
        return f"Nested({self.evaluator!r}, {', '.join(self.hyperparameters.parts)}, trials={self.trials})"


class _WithSettings(Worker):
    """Evaluates settings of one architecture."""

    def __init__(self, nested: Nested, start: Candidate) -> None:
        super().__init__(nested.hyperparameters, nested.evaluator)
        self._nested, self._start = nested, start

    def candidate(self, job: Job, listen: Listen = lambda report: None) -> Candidate:
        """Return a candidate of the architecture with the settings of a job."""
        return self._nested._with(self._start, job.architecture)
