"""What a report is made from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.errors import ArchwrightError, EvaluationError, StudyError
from archwright.evaluate import standard_error
from archwright.explain import Importance, aim, name_of
from archwright.space import Space
from archwright.trials import History, Objective, Trial, metrics_from_json

if TYPE_CHECKING:
    from archwright.explain import Explanation

_SURE = 1.96  # standard errors on both sides of 95 % of a normal distribution


@dataclass(frozen=True, eq=False)
class Searched:
    """A search as a report reads it; `Study` makes one of itself.

    Args:
        place: The run folder, or another name of the study.
        folder: The run folder, if there is one.
        history: The trials.
        space: The space; `None` if it could not be restored, for the reason in `without_space`.
        summary: The summary of the study, as a JSON object (`Study.summary`).
        ends: The seconds of the search after which each trial had ended, by number.
        why: The automatic choices of the search.
        data: The numbers of samples and the checksum of the data, if they are known.
        samples: The numbers of "validation" and "test" samples, if accuracies are shares of them.
        without_space: Why there is no space.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 9)), strategy="grid")
        >>> study = study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=3))
        >>> len(study.plot.history())  > 500
        True
    """

    place: str
    folder: Path | None
    history: History = field(repr=False)
    space: Space | None = field(repr=False)
    summary: Mapping[str, Any] = field(repr=False)
    ends: Mapping[int, float] = field(repr=False)
    why: Sequence[str] = ()
    data: Mapping[str, Any] | None = None
    samples: Mapping[str, int] | None = None
    without_space: str = ""

    @property
    def name(self) -> str:
        """The name of the run folder, or that of the study."""
        return self.folder.name if self.folder is not None else self.place

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives."""
        return self.history.objectives

    def objective(self, metric: str | None = None) -> Objective:
        """Return an objective by its metric; by default the first.

        Raises:
            StudyError: There is none.
        """
        known = {name_of(each): each for each in self.objectives}
        if metric is not None and metric not in known:
            raise StudyError(f"{metric!r} is no objective of this search; its objectives are {', '.join(known)}")
        return self.objectives[0] if metric is None else known[metric]

    @cached_property
    def full(self) -> tuple[Trial, ...]:
        """The complete trials at the highest fidelity that there is, in the order in which they ended."""
        share = max((trial.share for trial in self.history.complete), default=1.0)
        return tuple(trial for trial in self.history.complete if trial.share == share)

    @property
    def test(self) -> dict[str, float]:
        """The metrics of the best network on the test part; empty without a final training."""
        found = metrics_from_json(self.summary["test"] or {})
        return {name: value for name, value in found.items() if name.startswith("test_")}

    @property
    def baselines(self) -> list[tuple[str, dict[str, float]]]:
        """The names and metrics of the classical methods."""
        return [(each["name"], metrics_from_json(each["metrics"])) for each in self.summary["baselines"]]

    def error(self, metric: str, value: float) -> float | None:
        """Return half the width of the 95 % interval of an accuracy over its samples; `None` for other metrics."""
        part = {"accuracy": "validation", "test_accuracy": "test"}.get(metric)
        if part is None or self.samples is None or not 0 <= value <= 1 or self.samples[part] < 1:
            return None
        return _SURE * standard_error(value, self.samples[part])

    @cached_property
    def explanation(self) -> Explanation | str:
        """Which decisions matter for the first objective, or why that is not known."""
        from archwright.explain import explain

        if self.space is None:
            return self.without_space
        best = self.history.best
        try:
            return explain(
                self.space, self.history.trials, self.objectives[0], of=None if best is None else best.architecture
            )
        except ArchwrightError as error:
            return str(error)

    def importance(self, metric: str | None = None) -> Importance:
        """Return the importance of the decisions for a metric, by default the first objective.

        Raises:
            StudyError: There are too few trials, or there is no space.
        """
        from archwright.explain import importance

        if self.space is None:
            raise StudyError(self.without_space)
        known = self.__dict__.get("explanation")  # where a page has asked for it
        if metric is None and known is not None and not isinstance(known, str) and known.importance is not None:
            found: Importance = known.importance
            return found
        return importance(self.space, self.history.trials, aim(self.objectives, metric))


def value_of(objective: Objective, metrics: Mapping[str, float]) -> float | None:
    """Return the value of an objective, in the units of its metric; `None` if it is missing or not finite.

    Example:
        >>> from archwright.report import value_of
        >>> value_of(aw.Objective.parse("min loss"), {"loss": 0.5})
        0.5
    """
    try:
        score = objective.score(metrics)
    except EvaluationError:
        return None
    return (score if objective.maximise else -score) if math.isfinite(score) else None


def best_so_far(searched: Searched, objective: Objective, by: str) -> list[tuple[float, float]]:
    """Return the points at which the best value at full fidelity changed: trials or seconds, and the value.

    Args:
        searched: The search.
        objective: The objective.
        by: "trials", the number of trials that had ended; or "seconds" of the search.

    Raises:
        StudyError: `by` is neither.

    Example:
        >>> from archwright.report import best_so_far
        >>> study = aw.Study(aw.Space(x=aw.ordinal(3, 1, 7)), strategy="grid")
        >>> study = study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=3))
        >>> best_so_far(study.searched(), study.objective, "trials")
        [(1.0, 3.0), (3.0, 7.0)]
    """
    if by not in ("trials", "seconds"):
        raise StudyError(f"by is 'trials' or 'seconds', not {by!r}")
    full = {trial.number for trial in searched.full}
    found: list[tuple[float, float]] = []
    for count, trial in enumerate(searched.history.finished, 1):
        value = value_of(objective, trial.metrics) if trial.number in full else None
        if value is None:
            continue
        if not found or (value > found[-1][1] if objective.maximise else value < found[-1][1]):
            found.append((float(count) if by == "trials" else searched.ends.get(trial.number, 0.0), value))
    return found


def number(value: float) -> str:
    """Return a number as text: whole ones and large ones with commas, others in four digits."""
    if not math.isfinite(value):
        return str(value)
    is_whole = float(value).is_integer() and abs(value) < 1e15
    return f"{value:,.0f}" if is_whole or 1e4 <= abs(value) < 1e15 else f"{value:.4g}"


def clock(seconds: float) -> str:
    """Return a time as text: "1.2 s", "3 min 5 s", "2 h 10 min"."""
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds >= 0.01 else "<0.01 s" if seconds else "0 s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"
