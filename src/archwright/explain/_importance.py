"""The importance of decisions: shares of the variance that each explains."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from archwright._told import Told
from archwright.errors import StudyError
from archwright.explain._fit import Fit
from archwright.explain._ped_anova import ped_anova
from archwright.explain._sample import Sample, compared
from archwright.explain._told import percent, span
from archwright.space import Space
from archwright.trials import Objective, Trial

_METHODS = {"all": ("fanova", "ped-anova"), "best": ("ped-anova",)}


@dataclass(frozen=True)
class DecisionImportance:
    """The importance of one decision.

    Args:
        decision: Its name; for an option of a large subset "decision: option".
        share: The share of the predicted variance that it explains by itself, weighted by how often it is active.
        low: The lower end of the 90 % interval.
        high: The upper end.
        noise: Whether the share cannot be told from that of a random dummy.
        active: The share of random architectures in which it is active.
        trials: The number of compared trials in which it is active.

    Example:
        >>> aw.explain.DecisionImportance("width", 0.41, 0.33, 0.52, False, 1.0, 120).share
        0.41
    """

    decision: str
    share: float
    low: float
    high: float
    noise: bool
    active: float
    trials: int


@dataclass(frozen=True, repr=False)
class Importance(Told):
    """The importance of each decision, the most important first; `str`, HTML in notebooks, `frame` and `to_json`.

    Args:
        among: "all" or "best".
        method: "fanova" or "ped-anova".
        sample: The trials that were compared.
        known: The share of the variance of the metric that the forest predicts in trials that it has not seen, of which
            the rows are shares; `None` without a forest.
        rows: A row for each decision with two or more values.

    Example:
        >>> space, rng = aw.Space(x=aw.integer(0, 3), y=aw.choice("a", "b")), np.random.default_rng(0)
        >>> draws = [space.sample(rng) for _ in range(40)]
        >>> done = [aw.Trial(i, a, "complete", {"value": a["x"]}) for i, a in enumerate(draws)]
        >>> aw.explain.importance(space, done, aw.Objective("value"))["x"].share > 0.9
        True
    """

    among: str
    method: str
    sample: Sample
    known: float | None
    rows: tuple[DecisionImportance, ...]

    @property
    def heading(self) -> str:
        """What is explained, by which method, and from which trials."""
        what, also = _AIMS[self.among], ""
        if self.known is not None:
            what = f"predicted variance of {self.sample.metric}"
            also = f", {percent(self.known)} of the variance of unseen trials predicted"
        return f"{what} explained by each decision ({self.method}, 90 % intervals{also}): {self.sample.told()}"

    def __getitem__(self, decision: str) -> DecisionImportance:
        """Return the row of a decision.

        Raises:
            KeyError: There is none; the message names those that there are.
        """
        for row in self.rows:
            if row.decision == decision:
                return row
        raise KeyError(f"no row of {decision!r}; there are {', '.join(repr(row.decision) for row in self.rows)}")

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        return {
            "metric": self.sample.metric,
            "among": self.among,
            "method": self.method,
            "trials": len(self.sample.trials),
            "fidelity": self.sample.fidelity,
            "left_out": dict(self.sample.left_out),
            "known": self.known,
            "rows": [asdict(row) for row in self.rows],
        }

    def _table(self) -> tuple[list[str], list[list[str]]]:
        rows = [
            [
                row.decision,
                percent(row.share),
                span(row.low, row.high),
                percent(row.active),
                f"{row.trials:,}",
                "as a random decision" if row.noise else "",
            ]
            for row in self.rows
        ]
        return ["decision", "share", "interval", "active", "trials", ""], rows


_AIMS = {
    "all": "whether a trial is among the best tenth",
    "best": "which of the best quarter of the trials are among the best tenth",
}


def importance(
    space: Space,
    trials: Iterable[Trial],
    objective: Objective,
    *,
    among: str = "all",
    method: str | None = None,
    seed: int = 0,
) -> Importance:
    """Return how much of the differences between trials each decision explains by itself.

    "fanova" (Hutter, Hoos and Leyton-Brown, "An efficient approach for assessing hyperparameter importance", ICML 2014)
    fits a random forest, and returns the variance of each decision's marginal as a share of the variance of the
    forest's predictions over the space. "ped-anova" (Watanabe, Bansal and Hutter, "PED-ANOVA: efficiently quantifying
    hyperparameter importance in arbitrary subspaces", IJCAI 2023) compares the distribution of a decision among the
    best trials with that among all (or among the better ones): it is the share of the variance of "is this one of the
    best" that the decision explains.

    A decision that is active in a part of the space is judged within that part, and its variance is weighted by how
    often that part is drawn (Baba, Ozaki and Watanabe, "Conditional PED-ANOVA", 2026, for "ped-anova"); what the choice
    of the part changes counts for the decision that activates it. With "fanova" shares add up to at most 1, and the
    rest is interaction; they are shares of what the forest predicts, which is less than all where trials have noise.
    Intervals come from bootstrap samples of the trials.

    Args:
        space: The space.
        trials: The trials; those that are complete, at the highest fidelity of which there are 20 or more, are used.
        objective: The metric, and which values of it are better.
        among: "all", or "best": what distinguishes the best tenth within the best quarter (20 trials at least).
        method: "fanova", the default, or "ped-anova", the default and the only one among the best.
        seed: The random seed of forests and bootstrap samples.

    Raises:
        StudyError: There are too few trials, all have the same value, none has the metric, or an argument is unknown.
        SpaceError: The space has no decision with two or more values.

    Example:
        >>> space, rng = aw.Space(x=aw.integer(0, 3), y=aw.choice("a", "b")), np.random.default_rng(0)
        >>> draws = [space.sample(rng) for _ in range(60)]
        >>> done = [aw.Trial(i, a, "complete", {"value": a["x"]}) for i, a in enumerate(draws)]
        >>> found = aw.explain.importance(space, done, aw.Objective("value"))
        >>> [(row.decision, row.noise) for row in found.rows]
        [('x', False), ('y', True)]
    """
    if among not in _METHODS:
        raise StudyError(f"among is 'all' or 'best', not {among!r}")
    method = method or _METHODS[among][0]
    if method not in _METHODS[among]:
        raise StudyError(f"the method among {among!r} is {' or '.join(map(repr, _METHODS[among]))}, not {method!r}")
    sample = compared(trials, objective)
    if method == "fanova":
        return of_fit(Fit(space, sample, seed))
    return Importance(among, method, sample, None, _sorted(_rated(space, sample, among, seed)))


def of_fit(fit: Fit) -> Importance:
    """Return the importance of each decision by the forest that was fitted."""
    rows = []
    for index, column in enumerate(fit.columns.columns):
        found = fit.main(index)
        active = fit.columns.active(index)
        row = DecisionImportance(
            column.name, found.share, found.low, found.high, found.noise, active, fit.trials(index)
        )
        rows.append(row)
    return Importance("all", "fanova", fit.sample, fit.forest.known, _sorted(rows))


def _rated(space: Space, sample: Sample, among: str, seed: int) -> list[DecisionImportance]:
    columns, found = ped_anova(space, sample, among, seed)
    return [
        DecisionImportance(column.name, each.share, each.low, each.high, each.noise, columns.active(index), each.trials)
        for index, (column, each) in enumerate(zip(columns.columns, found, strict=True))
    ]


def _sorted(rows: Iterable[DecisionImportance]) -> tuple[DecisionImportance, ...]:
    return tuple(sorted(rows, key=lambda row: -row.share))
