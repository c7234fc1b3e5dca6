"""An explanation in words: what the numbers carry, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from archwright._words import counted
from archwright.errors import Inconclusive
from archwright.explain import _effects, _importance
from archwright.explain._columns import Columns
from archwright.explain._effects import Effects, OptionEffect
from archwright.explain._fit import Fit
from archwright.explain._importance import Importance, importance
from archwright.explain._sample import compared
from archwright.explain._told import percent, span
from archwright.explain._what_if import Change, WhatIf, what_if
from archwright.space import Space
from archwright.trials import Objective, Trial

_NAMED = 5  # decisions whose options are told of
_LISTED = 8  # names in a row


@dataclass(frozen=True, repr=False)
class Explanation:
    """An explanation of a study; its `str` is the text.

    Args:
        text: The explanation in words, or why there is none.
        importance: The importance of each decision; `None` if the trials tell nothing.
        among_best: That among the best trials.
        effects: The effects of options, and interactions.
        what_if: What a change of the best network does.

    Example:
        >>> done = [aw.Trial(0, aw.Architecture({"x": 1}), "complete", {"value": 1.0})]
        >>> str(aw.explain.explain(aw.Space(x=aw.integer(0, 3)), done, aw.Objective("value")))[:59]
        'too few trials to tell anything from: 20 complete trials at'
    """

    text: str
    importance: Importance | None = None
    among_best: Importance | None = None
    effects: Effects | None = None
    what_if: WhatIf | None = None

    def __str__(self) -> str:
        """Return the text."""
        return self.text

    def to_json(self) -> dict[str, Any]:
        """Return the text and all numbers as a JSON object."""
        parts = {name: getattr(self, name) for name in ("importance", "among_best", "effects", "what_if")}
        return {"text": self.text, **{name: None if part is None else part.to_json() for name, part in parts.items()}}


def explain(
    space: Space,
    trials: Iterable[Trial],
    objective: Objective,
    *,
    of: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Explanation:
    """Return in words which decisions matter, which options are better, and what a change of the best network does.

    Effects that cannot be told from those of a random decision are said to be such; if the trials are too few, or all
    have the same value, the text says that.

    Args:
        space: The space.
        trials: The trials, as for `importance`.
        objective: The metric, and which values of it are better.
        of: The architecture whose changes are described; by default the best of the trials.
        seed: The random seed.

    Raises:
        StudyError: No trial has the metric.
        SpaceError: The space has no decision with two or more values.

    Example:
        >>> space = aw.Space(x=aw.ordinal(1, 2, 3, name="x"), y=aw.ordinal(0, 1, name="y"))
        >>> rng = np.random.default_rng(0)
        >>> draws = [space.sample(rng) for _ in range(60)]
        >>> done = [aw.Trial(i, a, "complete", {"value": a["x"]}) for i, a in enumerate(draws)]
        >>> print(aw.explain.explain(space, done, aw.Objective("value")).text.splitlines()[3])
        The effect of y by itself cannot be told from noise.
    """
    listed = list(trials)
    try:
        fit = Fit(space, compared(listed, objective), seed)
    except Inconclusive as error:
        Columns(space)  # where no number of trials would do, more of them are not asked for
        return Explanation(str(error))
    found = _importance.of_fit(fit)
    near = what_if(space, listed, objective, of=of, seed=seed)
    best = importance(space, listed, objective, among="best", seed=seed)
    clear = [row for row in found.rows if not row.noise]
    shown = _effects.of_fit(fit, [row.decision for row in clear[:_NAMED]], _NAMED)
    lines = [
        f"{fit.sample.metric}: {fit.sample.told()}.",
        *_main(found, fit.sample.metric),
        *_pairs(shown),
        *_options(shown, better=objective.maximise),
        *_best(best),
        *_changes(near),
    ]
    return Explanation("\n".join(lines), found, best, shown, near)


def _main(found: Importance, metric: str) -> list[str]:
    clear = [row for row in found.rows if not row.noise]
    noise = [row.decision for row in found.rows if row.noise]
    lines = [
        f"The forest predicts {percent(found.known)} of the variance of {metric} in trials that it has not seen; the "
        "rest is noise, or was not learned."
        if found.known
        else f"The forest predicts nothing of {metric} in trials that it has not seen."
    ]
    if clear:
        shares = [f"{row.decision} {percent(row.share)} ({span(row.low, row.high)})" for row in clear]
        rest = max(0.0, 1 - sum(row.share for row in found.rows))
        lines.append(
            f"Of what it predicts, decisions explain by themselves: {_several(shares)}. {percent(rest)} are "
            "interactions of decisions, or not told apart."
        )
        part = [f"{row.decision} ({percent(row.active)})" for row in clear if row.active < 1]
        if part:
            lines.append(f"Active in a part of the space, by which the share is weighted: {_several(part)}.")
    if noise:
        lines.append(
            f"The {'effects' if len(noise) > 1 else 'effect'} of {_several(noise)} by "
            f"{'themselves' if len(noise) > 1 else 'itself'} cannot be told from noise."
        )
    return lines


def _pairs(shown: Effects) -> list[str]:
    clear = [pair for pair in shown.interactions if not pair.noise]
    told = [f"{each.first} and {each.second} {percent(each.share)} ({span(each.low, each.high)})" for each in clear[:3]]
    return [f"Together, beyond that, explain: {_several(told)}."] if told else []


def _options(shown: Effects, *, better: bool) -> list[str]:
    """Say which option is the best, which cannot be told from it, and which is the worst of the others."""
    lines = []
    for name in dict.fromkeys(row.decision for row in shown.rows):
        rows = sorted((row for row in shown.of(name) if row.trials), key=lambda row: -row.mean if better else row.mean)
        if len(rows) < 2:
            continue
        top = rows[0]
        others = [row for row in rows[1:] if (row.high < top.low if better else row.low > top.high)]
        alike = [row.option for row in rows[1:] if row not in others]
        told = f"{name}: best on average {_option(top)}"
        if alike:
            told += f", which cannot be told from {_several(alike)}"
        lines.append(f"{told}; worst {_option(others[-1])}." if others else f"{told}.")
    return lines


def _option(row: OptionEffect) -> str:
    return f"{row.option} ({row.mean:.4g}, {row.low:.4g} to {row.high:.4g}, {counted(row.trials, 'trial')})"


def _best(found: Importance) -> list[str]:
    clear = [f"{row.decision} {percent(row.share)} ({span(row.low, row.high)})" for row in found.rows if not row.noise]
    told = f"what distinguishes the very best: {_several(clear)}" if clear else "no decision can be told from noise"
    return [f"Among the best quarter of the trials: {told}."]


def _changes(near: WhatIf) -> list[str]:
    measured = [row for row in near.rows if row.measured]
    predicted = [row for row in near.rows if not row.measured]
    reached = "not measured" if near.value is None else f"measured {near.value:.4g}"
    lines = [
        f"One change of the best network ({near.architecture.id}, {reached}, predicted {near.expected:.4g}): "
        f"{counted(len(measured), 'change')} measured, {len(predicted)} not."
    ]
    if measured:
        lines.append(f"Best of the measured: {_change(measured[0])}.")
    if predicted:
        row = predicted[0]
        lines.append(
            f"Best of the predicted, not measured: {_change(row)} (90 % of measurements between {row.low:.4g} and "
            f"{row.high:.4g})."
        )
    return lines


def _change(row: Change) -> str:
    return f"{row.decision} from {row.before} to {row.after}: {row.value:.4g}"


def _several(names: list[str]) -> str:
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
