"""Searches side by side."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from archwright._told import Told
from archwright._words import counted
from archwright.draw import Drawing
from archwright.errors import StudyError
from archwright.explain import name_of
from archwright.report._html import figure, page, table, told, write
from archwright.report._plots import lines_of, time_unit
from archwright.report._searched import Searched, best_so_far, clock, number, value_of
from archwright.trials import Objective, hypervolume

_TOGETHER = 8  # lines in a chart
_ROOM = 0.1  # of their range, that the reference point is beyond the worst values


@dataclass(frozen=True)
class SearchRow:
    """One of the searches that are compared.

    Args:
        name: The name of the run folder or of the study; where two have one name, the whole path.
        objective: The first objective.
        best: The best value of it, or `None` without a complete trial.
        error: Half of the 95 % interval of an accuracy, over its validation samples; `None` for other metrics.
        test: The value of the same metric on the test part, after the final training; `None` without one.
        test_error: Half of its 95 % interval, over the test samples.
        trial: The number of the best trial.
        trials: The number of trials that have ended.
        complete: The number of complete ones.
        seconds: The time of the search.
        cost: The cost of all trials, in full evaluations.
        strategy: The name of the strategy.
        space: The name of the space.
        seed: The random seed.
        hypervolume: The hypervolume of its Pareto front, from the reference point of the comparison; `None` with one
            objective, or if the objectives of the searches differ.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 9)), strategy="grid")
        >>> study = study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=3))
        >>> aw.compare([study, study]).rows[0].best
        2.0
    """

    name: str
    objective: str
    best: float | None
    error: float | None
    test: float | None
    test_error: float | None
    trial: int | None
    trials: int
    complete: int
    seconds: float
    cost: float
    strategy: str
    space: str
    seed: int
    hypervolume: float | None = None


@dataclass(frozen=True, repr=False, eq=False)
class SearchComparison(Told):
    """Searches side by side; `str`, HTML in notebooks, `frame`, `to_json`, and a page by `save`.

    Args:
        rows: A row for each search.
        differs: What differs between the searches, and what follows from it, as lines of text; none if all values are
            comparable.
        reference: The reference point of the hypervolumes, by metric; `None` where there are none. It is that of all
            searches if they have the same, such as a given one, and otherwise slightly worse than the worst values of
            all of them.

    Example:
        >>> space, budget = aw.Space(x=aw.integer(0, 9)), aw.Budget(trials=3)
        >>> studies = [aw.Study(space, strategy=name) for name in ("grid", "random")]
        >>> aw.compare([study.run(lambda candidate: candidate.settings["x"], budget) for study in studies]).differs
        ('data: not on record for all searches, so whether they are the same is not known',)
    """

    rows: tuple[SearchRow, ...]
    differs: tuple[str, ...]
    reference: dict[str, float] | None
    _searched: tuple[Searched, ...] = field(repr=False)

    @property
    def heading(self) -> str:
        """What is compared, and what differs."""
        return "\n".join([f"{counted(len(self.rows), 'search', 'searches')} side by side", *self._notes()])

    def _notes(self) -> Iterator[str]:
        yield from self.differs
        if self.reference is not None:
            point = ", ".join(f"{name} {number(value)}" for name, value in self.reference.items())
            yield f"best: by {self.rows[0].objective}; all objectives are in the hypervolume, from {point}"

    def history(self, *, by: str = "trials") -> Drawing:
        """Return the best value so far of each search.

        Args:
            by: "trials" or "seconds".

        Raises:
            StudyError: No search has a complete trial, the objectives differ, there are more than eight searches, or
                `by` is unknown.
        """
        if len(self.rows) > _TOGETHER:
            raise StudyError(f"{len(self.rows)} lines are too many for one chart: compare up to {_TOGETHER} searches")
        if len({row.objective for row in self.rows}) > 1:
            raise StudyError("the objectives differ: values of different metrics are not drawn together")
        return self._chart(self._searched, by)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the comparison as an HTML page that loads nothing, into a new file or over an earlier one.

        Args:
            path: The file; its name ends with ".html".

        Raises:
            StudyError: There is something else in its place.
        """
        return write(path, page("Searches side by side", self._page()))

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as a JSON object."""
        curves = {by: [best_so_far(each, each.objectives[0], by) for each in self._searched] for by in _BY}
        rows = [
            {**asdict(row), **{f"best_by_{by}": curves[by][place] for by in _BY}} for place, row in enumerate(self.rows)
        ]
        return {"searches": rows, "differs": list(self.differs), "reference": self.reference}

    def _chart(self, searched: Sequence[Searched], by: str) -> Drawing:
        objective = searched[0].objectives[0]
        lines = [(self._name(each), best_so_far(each, objective, by)) for each in searched]
        ends = [
            float(len(each.history.finished)) if by == "trials" else max(each.ends.values(), default=0.0)
            for each in searched
        ]
        unit, named = (1.0, "trials") if by == "trials" else time_unit(max(ends))
        drawn = [(name, [(x / unit, y) for x, y in points]) for name, points in lines if points]
        if not drawn:
            raise StudyError("no trial is complete: there is nothing to plot yet")
        title = f"best {name_of(objective)} so far, by {by}"
        return lines_of(drawn, (named, name_of(objective)), title, is_steps=True, end=max(ends) / unit)

    def _name(self, searched: Searched) -> str:
        return self.rows[self._searched.index(searched)].name

    def _page(self) -> Iterator[str]:
        yield "<h1>Searches side by side</h1>"
        for line in self.differs:
            yield f'<p class="warn">{told(line, 1_000)}</p>'
        for line in list(self._notes())[len(self.differs) :]:
            yield f"<p>{told(line, 1_000)}</p>"
        names, rows = self._table()
        yield table(names, rows, numbers=range(1, 7 if self.reference is None else 8))
        yield (
            '<p class="mute">± is half of a 95 % interval of an accuracy over its samples. The best of many trials is '
            "partly luck, which the interval does not have; test metrics are free of that.</p>"
        )
        by_objective: dict[str, list[Searched]] = {}
        for each in self._searched:
            by_objective.setdefault(str(each.objectives[0]), []).append(each)
        for aim, searched in by_objective.items():
            shown = []
            alone = len(searched) > _TOGETHER
            groups = [[each] for each in searched] if alone else [searched]
            for by in _BY[:1] if alone else _BY:
                for group in groups:
                    if any(each.full for each in group):
                        shown.append(figure(self._chart(group, by)))
            if shown:
                yield f'<h2>Best so far: {told(aim)}</h2><div class="charts">{"".join(shown)}</div>'

    def _table(self) -> tuple[list[str], list[list[str]]]:
        same = len({row.objective for row in self.rows}) == 1
        heads = ["search", f"best ({self.rows[0].objective})" if same else "best", "test"]
        heads += [*([] if self.reference is None else ["hypervolume"]), "trials", "complete", "time"]
        heads += ["full evaluations", "strategy", "space", "seed"]
        return heads, [self._cells(row, same) for row in self.rows]

    def _cells(self, row: SearchRow, same: bool) -> list[str]:
        best = _with_error(row.best, row.error) + ("" if same or row.best is None else f" ({row.objective})")
        return [
            row.name,
            best,
            _with_error(row.test, row.test_error),
            *([] if row.hypervolume is None else [number(row.hypervolume)]),
            f"{row.trials:,}",
            f"{row.complete:,}",
            clock(row.seconds),
            f"{row.cost:,.6g}",
            row.strategy,
            row.space,
            str(row.seed),
        ]

    def _repr_html_(self) -> str:
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in self._notes())
        return lines + table(*self._table())


_BY = ("trials", "seconds")


def compared(searched: Sequence[Searched]) -> SearchComparison:
    """Return searches side by side.

    Args:
        searched: The searches, two or more.

    Raises:
        StudyError: There are fewer than two.

    Example:
        >>> from archwright.report import compared
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 9)), strategy="grid")
        >>> study = study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=3))
        >>> len(compared([study.searched(), study.searched()]).rows)
        2
    """
    if len(searched) < 2:
        raise StudyError(f"two searches or more are compared; {counted(len(searched), 'search', 'searches')} given")
    names = [each.name for each in searched]
    names = [each.place if names.count(each.name) > 1 else each.name for each in searched]
    point = _reference(searched)
    rows = tuple(_row(each, name, point) for each, name in zip(searched, names, strict=True))
    reference = None
    if point is not None:
        aims = searched[0].objectives
        reference = {name_of(aim): score if aim.maximise else -score for aim, score in zip(aims, point, strict=True)}
    return SearchComparison(rows, tuple(_differences(searched)), reference, tuple(searched))


def _reference(searched: Sequence[Searched]) -> tuple[float, ...] | None:
    """Return the reference point of all hypervolumes, as scores, where there are several objectives and all agree."""
    aims = {each.objectives for each in searched}
    points = [point for each in searched for point in each.history.points if np.isfinite(point).all()]
    if len(aims) > 1 or len(searched[0].objectives) < 2 or not points:
        return None
    chosen = {each.history.reference for each in searched}
    if len(chosen) == 1 and (same := chosen.pop()) is not None:
        return same
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    return tuple((low - _ROOM * np.maximum(high - low, 1e-12)).tolist())


def _row(searched: Searched, name: str, point: tuple[float, ...] | None) -> SearchRow:
    history, summary, objective = searched.history, searched.summary, searched.objectives[0]
    best, metric = history.best, name_of(searched.objectives[0])
    value = None if best is None else value_of(objective, best.metrics)
    test = _test(searched, objective)
    return SearchRow(
        name,
        str(objective),
        value,
        None if value is None else searched.error(metric, value),
        test,
        None if test is None else searched.error(f"test_{metric}", test),
        None if best is None else best.number,
        len(history.finished),
        len(history.complete),
        summary["seconds"],
        history.spent,
        summary["strategy"],
        summary["space"],
        summary["seed"],
        None if point is None else hypervolume(_front(searched), point),
    )


def _front(searched: Searched) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the scores of a front: (n, objectives)."""
    points = {
        trial.number: point for trial, point in zip(searched.history.complete, searched.history.points, strict=True)
    }
    return np.array([points[trial.number] for trial in searched.history.front])


def _test(searched: Searched, objective: Objective) -> float | None:
    """Return the value of an objective on the test part."""
    return value_of(objective, {name.removeprefix("test_"): value for name, value in searched.test.items()})


def _differences(searched: Sequence[Searched]) -> Iterator[str]:
    """Say what differs, and what follows from it."""

    def differ(key: Callable[[Searched], Any]) -> bool:
        return len({json.dumps(key(each), sort_keys=True) for each in searched}) > 1

    if any(each.data is None for each in searched):
        yield "data: not on record for all searches, so whether they are the same is not known"
    elif differ(lambda each: each.data):
        yield "data: differ, so values are of different samples and cannot be compared"
    if differ(lambda each: str(each.objectives[0])):
        yield "objective: differs, so values are of different metrics and cannot be compared"
    elif differ(lambda each: list(map(str, each.objectives))):
        yield f"objective: only the first, {searched[0].objectives[0]}, is that of all searches; it is compared"
    if differ(lambda each: each.summary["fingerprint"]):
        yield "space: differs, so a difference of values is one of spaces and strategies together"
    if differ(lambda each: each.summary["evaluator"]):
        yield "evaluator: differs, so networks were trained or measured in different ways"


def _with_error(value: float | None, error: float | None) -> str:
    return "" if value is None else number(value) if error is None else f"{number(value)} ± {error:.2g}"
