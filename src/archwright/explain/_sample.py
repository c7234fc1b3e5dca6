"""The trials that are compared: complete, at one fidelity, with a value of the metric."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from archwright._words import counted
from archwright.errors import EvaluationError, Inconclusive, StudyError
from archwright.explain._columns import Array
from archwright.trials import Objective, Trial

LEAST = 20
"""The least number of trials of which anything is said."""


@dataclass(frozen=True)
class Sample:
    """Trials that can be compared.

    Args:
        objective: The metric and its direction.
        trials: The trials.
        values: (n,) their values of the metric.
        fidelity: What each was given, in words.
        left_out: The numbers of trials that were left out, by reason.

    Example:
        >>> draws = [aw.Architecture({"x": index % 5}) for index in range(25)]
        >>> done = [aw.Trial(i, a, "complete", {"value": a["x"]}) for i, a in enumerate(draws)]
        >>> aw.explain.compared(done, aw.Objective("value")).told()
        '25 trials at full evaluation'
    """

    objective: Objective
    trials: tuple[Trial, ...] = field(repr=False)
    values: Array = field(repr=False)
    fidelity: str
    left_out: Mapping[str, int]

    @property
    def metric(self) -> str:
        """The name of the metric; of several metrics in one objective its text."""
        return name_of(self.objective)

    @property
    def scores(self) -> Array:
        """(n,) values of which greater is better."""
        return self.values if self.objective.maximise else -self.values

    @property
    def best(self) -> Trial:
        """The first trial with the best value."""
        return self.trials[int(np.argmax(self.scores))]

    def told(self) -> str:
        """Return in words which trials were compared, and how many were left out."""
        text = f"{counted(len(self.trials), 'trial')} at {self.fidelity}"
        if self.left_out:
            text += f"; left out: {', '.join(f'{count:,} {reason}' for reason, count in self.left_out.items())}"
        return text


def name_of(objective: Objective) -> str:
    """Return the name of an objective's metric; of several metrics in one objective its text.

    Example:
        >>> aw.explain.name_of(aw.Objective("accuracy"))
        'accuracy'
    """
    return objective.metric if type(objective) is Objective else str(objective)


def aim(objectives: Sequence[Objective], metric: str | Objective | None) -> Objective:
    """Return the metric that is asked for, and its direction.

    Args:
        objectives: The objectives of the study.
        metric: A metric of an objective; another one, with its direction if it is not well known, such as "min price";
            `None` for the first objective.

    Raises:
        StudyError: The direction is not known.

    Example:
        >>> aw.explain.aim([aw.Objective("accuracy"), aw.Objective("price", maximise=False)], "price")
        Objective(metric='price', maximise=False)
    """
    if metric is None:
        return objectives[0]
    known = {name_of(objective): objective for objective in objectives}
    return known[metric] if isinstance(metric, str) and metric in known else Objective.parse(metric)


def compared(trials: Iterable[Trial], objective: Objective, *, least: int = LEAST) -> Sample:
    """Return the trials of the highest fidelity of which there are enough.

    Args:
        trials: All trials.
        objective: The metric and its direction.
        least: How many are enough.

    Raises:
        Inconclusive: There are too few at any fidelity.
        StudyError: No trial has the metric.

    Example:
        >>> draws = [aw.Architecture({"x": index % 5}) for index in range(25)]
        >>> done = [aw.Trial(i, a, "complete", {"value": a["x"]}) for i, a in enumerate(draws)]
        >>> aw.explain.compared(done, aw.Objective("value")).best.number
        4
    """
    left_out: Counter[str] = Counter()
    by_share: dict[float, list[tuple[Trial, float]]] = {}
    names: set[str] = set()
    for trial in trials:
        if trial.state != "complete":
            left_out["running" if trial.state == "running" else trial.state] += 1
            continue
        names |= trial.metrics.keys()
        try:
            value = objective.score(trial.metrics)
        except EvaluationError:
            left_out["without the metric"] += 1
            continue
        if math.isfinite(value):
            by_share.setdefault(trial.share, []).append((trial, value if objective.maximise else -value))
        else:
            left_out["with a value that is not finite"] += 1
    if not by_share and names:
        raise StudyError(
            f"no complete trial has a finite value of {name_of(objective)!r}; their metrics are "
            f"{', '.join(map(repr, sorted(names)))}"
        )
    enough = [share for share, held in by_share.items() if len(held) >= least]
    if not enough:
        have = [
            f"{len(held):,} at {_fidelity(held[0][0])}"
            for share, held in sorted(by_share.items(), key=lambda it: -it[0])
        ]
        told = ", ".join(have) if have else "none"
        if left_out:
            told += f" ({', '.join(f'{count:,} {reason}' for reason, count in left_out.items())})"
        raise Inconclusive(
            f"too few trials to tell anything from: {least} complete trials at one fidelity are needed; there are "
            f"{told}. Continue the search with a larger budget"
        )
    chosen = by_share[max(enough)]
    others = sum(map(len, by_share.values())) - len(chosen)
    if others:
        left_out["at another fidelity"] = others
    kept, values = zip(*chosen, strict=True)
    return Sample(objective, kept, np.array(values), _fidelity(kept[0]), dict(left_out))


def _fidelity(trial: Trial) -> str:
    if trial.fidelity is None:
        return "full evaluation"
    return ", ".join(f"{name} {value:g}" for name, value in trial.fidelity.items())
