"""Statistical significance of differences between strategies."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats


@dataclass(frozen=True)
class Ranking:
    """The ranking of strategies over the same seeds, with tests of significance.

    Args:
        ranks: The mean rank of each strategy, 1 the best; ties share their mean rank.
        friedman: The p-value of the Friedman test (1937); NaN for fewer than three strategies.
        critical_difference: The critical difference of mean ranks at the level 0.05 (Nemenyi 1963).
        wilcoxon: For each pair the p-value of the signed-rank test (Wilcoxon 1945), corrected for multiple testing
            (Holm 1979).

    Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 2006.

    Example:
        >>> ranking = aw.bench.rank({"a": np.array([0.1, 0.2, 0.1]), "b": np.array([0.3, 0.4, 0.5])})
        >>> ranking.ranks, ranking.best
        ({'a': 1.0, 'b': 2.0}, 'a')
    """

    ranks: Mapping[str, float]
    friedman: float
    critical_difference: float
    wilcoxon: Mapping[tuple[str, str], float]

    def to_json(self) -> dict[str, Any]:
        """Return the ranking as a JSON object; NaN is null."""
        return {
            "ranks": dict(self.ranks),
            "friedman_p": None if math.isnan(self.friedman) else self.friedman,
            "critical_difference": None if math.isnan(self.critical_difference) else self.critical_difference,
            "wilcoxon_p": {f"{one} | {other}": p for (one, other), p in self.wilcoxon.items()},
        }

    @property
    def best(self) -> str:
        """The strategy with the lowest mean rank; of several the first."""
        return min(self.ranks, key=self.ranks.__getitem__)

    def alike(self, name: str, level: float = 0.05) -> list[str]:
        """Return the strategies that do not differ significantly from one, by Wilcoxon's test at a level."""
        pairs = [pair for pair, p in self.wilcoxon.items() if p >= level and name in pair]
        return [one if other == name else other for one, other in pairs]


def rank(losses: Mapping[str, NDArray[np.float64]]) -> Ranking:
    """Rank strategies by their losses with the same seeds.

    Args:
        losses: For each strategy (seeds,) numbers, smaller is better, in the same order of seeds. Infinity is allowed.

    Example:
        >>> losses = {"a": np.array([0.1, 0.2, 0.1]), "b": np.array([0.3, 0.4, 0.5])}
        >>> aw.bench.rank(losses).wilcoxon
        {('a', 'b'): 0.25}
    """
    names, columns = list(losses), list(losses.values())
    table = np.stack(columns, axis=1)
    seeds, count = table.shape
    differ = bool((table != table[:, :1]).any())
    friedman = 1.0 if count > 2 else math.nan
    if count > 2 and differ:
        friedman = float(stats.friedmanchisquare(*columns).pvalue)
    quantile = _studentized_range(count) / math.sqrt(2) if count > 1 else math.nan
    pairs = list(itertools.combinations(range(count), 2))
    raw = [_wilcoxon(columns[i], columns[j]) for i, j in pairs]
    return Ranking(
        dict(zip(names, stats.rankdata(table, axis=1).mean(0).tolist(), strict=True)),
        friedman,
        quantile * math.sqrt(count * (count + 1) / (6 * seeds)),
        {(names[i], names[j]): p for (i, j), p in zip(pairs, holm(raw), strict=True)},
    )


@functools.cache
def _studentized_range(count: int) -> float:
    """Return what the range of so many means exceeds in one case of twenty."""
    return float(stats.studentized_range.ppf(0.95, count, np.inf))


def _wilcoxon(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the probability of such differences; 1 where there is none. Two infinite losses are equal."""
    differ = one != other
    return float(stats.wilcoxon(one[differ] - other[differ]).pvalue) if differ.any() else 1.0


def holm(values: list[float]) -> list[float]:
    """Return probabilities corrected for their number by Holm's step-down procedure."""
    corrected, worst = [0.0] * len(values), 0.0
    for place, index in enumerate(np.argsort(values, kind="stable").tolist()):
        worst = max(worst, min(1.0, (len(values) - place) * values[index]))
        corrected[index] = worst
    return corrected
