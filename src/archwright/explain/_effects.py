"""What each option of a decision does, and which decisions depend on each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from archwright._told import Told
from archwright.explain._fit import INTERVAL, Fit, as_index
from archwright.explain._sample import Sample, compared
from archwright.explain._told import percent, span
from archwright.space import Space
from archwright.trials import Objective, Trial

_PAIRED = 10  # decisions with the largest effects, whose pairs are looked at
_KEPT = 10  # the strongest interactions that are kept


@dataclass(frozen=True)
class OptionEffect:
    """The mean of the metric with one option of a decision.

    Args:
        decision: The decision's name.
        option: The option; an interval of numbers of a long range.
        mean: The mean of the predictions with this option over the part of the space in which the decision is active.
        low: The lower end of the 90 % interval.
        high: The upper end.
        trials: The number of compared trials with this option.

    Example:
        >>> aw.explain.OptionEffect("width", "64", 0.91, 0.90, 0.92, 40).mean
        0.91
    """

    decision: str
    option: str
    mean: float
    low: float
    high: float
    trials: int


@dataclass(frozen=True)
class Interaction:
    """How far the effect of one decision depends on another.

    Args:
        first: A decision.
        second: Another one.
        share: The share of the predicted variance that the two explain together beyond what each explains by itself.
        low: The lower end of the 90 % interval.
        high: The upper end.
        noise: Whether the share cannot be told from that of one of them with a random dummy.

    Example:
        >>> aw.explain.Interaction("width", "depth", 0.1, 0.05, 0.15, False).share
        0.1
    """

    first: str
    second: str
    share: float
    low: float
    high: float
    noise: bool


@dataclass(frozen=True, repr=False)
class Effects(Told):
    """Effects of options, by decision and in the order of options, and the strongest interactions.

    Args:
        sample: The trials that were compared.
        rows: The effects; decisions with the largest first.
        interactions: The strongest interactions among the ten most important decisions, the strongest first.

    Example:
        >>> space, rng = aw.Space(x=aw.choice(0, 1, name="x"), y=aw.choice(0, 1, name="y")), np.random.default_rng(0)
        >>> draws = [space.sample(rng) for _ in range(60)]
        >>> done = [aw.Trial(i, a, "complete", {"value": a["x"] ^ a["y"]}) for i, a in enumerate(draws)]
        >>> aw.explain.effects(space, done, aw.Objective("value")).interactions[0].share > 0.9
        True
    """

    sample: Sample
    rows: tuple[OptionEffect, ...]
    interactions: tuple[Interaction, ...]

    @property
    def heading(self) -> str:
        """What the means are of, and from which trials."""
        return f"mean {self.sample.metric} by option (90 % intervals): {self.sample.told()}"

    def of(self, decision: str) -> tuple[OptionEffect, ...]:
        """Return the rows of a decision."""
        return tuple(row for row in self.rows if row.decision == decision)

    def __str__(self) -> str:
        """Return the effects as a table, and the interactions that can be told from noise."""
        told = [
            f"{each.first} and {each.second} together explain a further {percent(each.share)} "
            f"({span(each.low, each.high)}) of the predicted variance"
            for each in self.interactions
            if not each.noise
        ]
        return "\n".join([super().__str__(), *(told or ["no interaction of two decisions can be told from noise"])])

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        return {
            "metric": self.sample.metric,
            "trials": len(self.sample.trials),
            "fidelity": self.sample.fidelity,
            "left_out": dict(self.sample.left_out),
            "rows": [asdict(row) for row in self.rows],
            "interactions": [asdict(each) for each in self.interactions],
        }

    def _table(self) -> tuple[list[str], list[list[str]]]:
        rows = [
            [row.decision, row.option, f"{row.mean:.4g}", f"{row.low:.4g} to {row.high:.4g}", f"{row.trials:,}"]
            for row in self.rows
        ]
        return ["decision", "option", "mean", "interval", "trials"], rows


def effects(
    space: Space,
    trials: Iterable[Trial],
    objective: Objective,
    *,
    decisions: Iterable[str] | None = None,
    top: int = 5,
    seed: int = 0,
) -> Effects:
    """Return the mean of a metric by option, and the strongest pairwise interactions, by the forest of `importance`.

    A mean is a marginal: over all other decisions, each drawn at random, in the part of the space in which the decision
    is active. It differs from the mean of the trials, where a search tried an option mostly in good company.

    Args:
        space: The space.
        trials: The trials, as for `importance`.
        objective: The metric, and which values of it are better.
        decisions: The decisions; by default the `top` most important ones.
        top: The number of decisions.
        seed: The random seed.

    Raises:
        StudyError: There are too few trials, all have the same value, none has the metric, or a decision is unknown.
        SpaceError: The space has no decision with two or more values.

    Example:
        >>> space, rng = aw.Space(x=aw.ordinal(1, 2, 3, name="x")), np.random.default_rng(0)
        >>> draws = [space.sample(rng) for _ in range(60)]
        >>> done = [aw.Trial(i, a, "complete", {"value": a["x"]}) for i, a in enumerate(draws)]
        >>> [round(row.mean) for row in aw.explain.effects(space, done, aw.Objective("value")).rows]
        [1, 2, 3]
    """
    return of_fit(Fit(space, compared(trials, objective), seed), decisions, top)


def of_fit(fit: Fit, decisions: Iterable[str] | None, top: int) -> Effects:
    """Return the effects by a forest that was fitted."""
    columns = fit.columns.columns
    rows = []
    for index in fit.leading(top) if decisions is None else as_index(fit.columns, decisions):
        means = fit.means(index)
        low, high = np.quantile(means, INTERVAL, axis=0)
        for level, label in enumerate(columns[index].labels):
            ends = float(low[level]), float(high[level])
            count = int((fit.codes[:, index] == level).sum())
            rows.append(OptionEffect(columns[index].name, label, float(means[:, level].mean()), *ends, count))
    pairs = []
    for first, second in combinations(fit.leading(_PAIRED), 2):
        found = fit.interaction(first, second)
        names = columns[first].name, columns[second].name
        pairs.append(Interaction(*names, found.share, found.low, found.high, found.noise))
    pairs.sort(key=lambda pair: -pair.share)
    return Effects(fit.sample, tuple(rows), tuple(pairs[:_KEPT]))
