"""What a change of one decision would do: measured where there are trials, else predicted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from archwright._told import Told
from archwright.explain._columns import Array
from archwright.explain._fit import check_varied
from archwright.explain._sample import Sample, compared
from archwright.space import Architecture, Space
from archwright.surrogates import GaussianProcess
from archwright.trials import Objective, Trial

_FOLDS = 5
_COVERED = 0.9  # the share of measurements that fall into an interval of a prediction
_MOST = 500  # trials that a model is fitted to
_ENOUGH = 100  # errors of predictions, after which no further fold is predicted: each costs a fit


@dataclass(frozen=True)
class Change:
    """An architecture that differs in one decision.

    Args:
        decision: The decision.
        before: Its value.
        after: Its value after the change.
        architecture: The changed architecture; decisions that became active have their first value.
        measured: Whether there are trials of it; else the value is predicted.
        value: The mean of the trials, or the prediction.
        low: The least of several trials, or the lower end of the 90 % interval of a measurement; `None` for one trial.
        high: The greatest of several trials, or the upper end.
        trials: The number of trials.

    Example:
        >>> changed = aw.Architecture({"width": 32})
        >>> aw.explain.Change("width", 16, 32, changed, False, 0.9, 0.85, 0.95, 0).measured
        False
    """

    decision: str
    before: Any
    after: Any
    architecture: Architecture
    measured: bool
    value: float
    low: float | None
    high: float | None
    trials: int


@dataclass(frozen=True, repr=False)
class WhatIf(Told):
    """The neighbours of an architecture, the best value first.

    Args:
        sample: The trials that were compared.
        architecture: The architecture.
        value: The mean of its trials; `None` if there is none.
        expected: What the model predicts for it. The best of many measured values is partly luck, and the prediction is
            less so.
        rows: The changes.

    Example:
        >>> space = aw.Space(x=aw.ordinal(1, 2, 3, name="x"), y=aw.ordinal(0, 1, name="y"))
        >>> rng = np.random.default_rng(0)
        >>> draws = [space.sample(rng) for _ in range(30)]
        >>> done = [aw.Trial(i, a, "complete", {"value": a["x"]}) for i, a in enumerate(draws)]
        >>> [(row.decision, row.value) for row in aw.explain.what_if(space, done, aw.Objective("value")).rows]
        [('y', 3.0), ('x', 2.0), ('x', 1.0)]
    """

    sample: Sample
    architecture: Architecture
    value: float | None
    expected: float
    rows: tuple[Change, ...]

    @property
    def heading(self) -> str:
        """Whose neighbours these are, and what it reached."""
        reached = "not measured" if self.value is None else f"measured {self.value:.4g}"
        return (
            f"{self.sample.metric} after one change of {self.architecture.id} ({reached}, predicted "
            f"{self.expected:.4g}; intervals hold {_COVERED:.0%} of measurements): {self.sample.told()}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        rows = [{**asdict(row), "architecture": row.architecture.to_json()} for row in self.rows]
        return {
            "metric": self.sample.metric,
            "trials": len(self.sample.trials),
            "fidelity": self.sample.fidelity,
            "architecture": self.architecture.to_json(),
            "value": self.value,
            "expected": self.expected,
            "rows": rows,
        }

    def _table(self) -> tuple[list[str], list[list[str]]]:
        rows = []
        for row in self.rows:
            ends = "" if row.low is None else f"{row.low:.4g} to {row.high:.4g}"
            source = f"measured ({row.trials})" if row.measured else "predicted"
            rows.append([row.decision, str(row.before), str(row.after), f"{row.value:.4g}", ends, source])
        return ["decision", "from", "to", "value", "interval", ""], rows


def what_if(
    space: Space,
    trials: Iterable[Trial],
    objective: Objective,
    *,
    of: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> WhatIf:
    """Return what one changed decision does to an architecture.

    The changes are those of `Space.neighbours`. Where no trial at the same fidelity has the changed architecture, a
    Gaussian process predicts its value. The interval of a prediction is where 90 % of measurements fall: the errors of
    predictions for 100 trials or more that the model had not seen (all of them, where there are fewer), in folds of
    5-fold cross-validation, give its width (split conformal prediction, Vovk et al., 2005), so it includes the noise of
    a measurement.

    Args:
        space: The space.
        trials: The trials, as for `importance`.
        objective: The metric, and which values of it are better.
        of: The architecture; by default the best of the trials.
        seed: The random seed.

    Raises:
        StudyError: There are too few trials, all have the same value, or none has the metric.
        ArchitectureError: The architecture does not belong to the space.

    Example:
        >>> space = aw.Space(x=aw.ordinal(1, 2, 3, name="x"), y=aw.ordinal(0, 1, name="y"))
        >>> rng = np.random.default_rng(0)
        >>> draws = [space.sample(rng) for _ in range(30)]
        >>> done = [aw.Trial(i, a, "complete", {"value": a["x"]}) for i, a in enumerate(draws)]
        >>> found = aw.explain.what_if(space, done, aw.Objective("value"), of={"x": 1, "y": 0})
        >>> [(row.before, row.after, row.measured) for row in found.rows]
        [(1, 3, True), (1, 2, True), (0, 1, True)]
    """
    sample = compared(trials, objective)
    check_varied(sample)
    known = [space.canonical(trial.architecture) for trial in sample.trials]
    start = space.canonical(sample.best.architecture if of is None else of)
    near = space.neighbours(start)
    expected, margin = _predicted(space, sample, known, [start, *near], np.random.default_rng(seed))
    held: dict[Architecture, list[float]] = {}
    for architecture, value in zip(known, sample.values.tolist(), strict=True):
        held.setdefault(architecture, []).append(value)
    rows = []
    for changed, predicted in zip(near, expected[1:].tolist(), strict=True):
        name = next(name for name, value in start.items() if name in changed and changed[name] != value)
        values = held.get(changed, [])
        value, ends = predicted, (predicted - margin, predicted + margin)
        if values:
            value, ends = float(np.mean(values)), (min(values), max(values))
        low, high = (None, None) if len(values) == 1 else ends
        rows.append(Change(name, start[name], changed[name], changed, bool(values), value, low, high, len(values)))
    rows.sort(key=lambda row: -row.value if objective.maximise else row.value)
    own = held.get(start)
    return WhatIf(sample, start, None if own is None else float(np.mean(own)), float(expected[0]), tuple(rows))


def _predicted(
    space: Space, sample: Sample, measured: list[Architecture], wanted: list[Architecture], rng: np.random.Generator
) -> tuple[Array, float]:
    """Return predictions, and how far 90 % of measurements are from predictions at most."""
    model, sign = GaussianProcess("decisions"), 1 if sample.objective.maximise else -1
    chosen = rng.permutation(len(sample.trials))[:_MOST]
    known, scores = [measured[index] for index in chosen], sample.scores[chosen]
    fold = np.arange(len(chosen)) % _FOLDS
    errors = np.empty(0)
    for number in range(_FOLDS):
        if len(errors) >= _ENOUGH:
            break
        seen, unseen = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        fitted = model.fit(space, [known[index] for index in seen], scores[seen], rng)
        missed = fitted.predict([known[index] for index in unseen])[0] - scores[unseen]
        errors = np.concatenate([errors, np.abs(missed)])
    rank = min(len(errors), math.ceil(_COVERED * (len(errors) + 1))) - 1
    means, _ = model.fit(space, known, scores, rng).predict(wanted)
    return np.asarray(sign * means), float(np.sort(errors)[rank])
