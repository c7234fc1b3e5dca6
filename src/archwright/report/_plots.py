"""The charts of a search."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

from archwright._words import counted
from archwright.draw import Drawing
from archwright.errors import ArchwrightError, Inconclusive, StudyError
from archwright.explain import name_of
from archwright.report import _chart as chart
from archwright.report._chart import WIDTH
from archwright.report._searched import Searched, best_so_far, number, value_of
from archwright.space import written
from archwright.trials import Objective, Trial

_MOST_DOTS = 1_500
_MOST_LINES = 1_000  # of a chart of parallel coordinates
_AXES = 10  # decisions, of which one is shown
_CURVES = 8
_BARS = 15
_TENTH = 10


class Plots:
    """The charts of a search as SVG, which notebooks show; `.save(path)` writes one into a file.

    Trials below the highest fidelity so far are left out, except of learning curves.

    Args:
        searched: The search.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 9)), strategy="random")
        >>> study = study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=5))
        >>> study.plot.history(by="seconds").startswith("<svg")
        True
    """

    def __init__(self, searched: Searched) -> None:
        self._searched = searched

    def history(self, *, by: str = "trials", metric: str | None = None) -> Drawing:
        """Return the value of each trial, and the best so far.

        Args:
            by: "trials" or "seconds" of the search.
            metric: The metric of an objective; by default that of the first.

        Raises:
            StudyError: No trial is complete, or an argument is unknown.
        """
        searched, objective = self._searched, self._searched.objective(metric)
        best = best_so_far(searched, objective, by)
        if not best:
            raise StudyError("no trial is complete: there is nothing to plot yet")
        full = {trial.number for trial in searched.full}
        placed = [
            (float(count) if by == "trials" else searched.ends.get(trial.number, 0.0), value, trial)
            for count, trial in enumerate(searched.history.finished, 1)
            if trial.number in full and (value := value_of(objective, trial.metrics)) is not None
        ]
        ends = searched.ends.values()
        last = float(len(searched.history.finished)) if by == "trials" else max(ends, default=placed[-1][0])
        unit, named = (1.0, "trials") if by == "trials" else time_unit(last)
        lines = [(name, found[name_of(objective)]) for name, found in searched.baselines if name_of(objective) in found]
        lines = [(name, value) for name, value in lines if math.isfinite(value)]
        values = [value for _, value, _ in placed]
        up = chart.scale(
            [*values, *(value for _, value in lines)], 186.0, 24.0, best="high" if objective.maximise else "low"
        )
        across = chart.Scale(0.0, chart.distinct(0.0, last / unit)[1], 50.0, WIDTH - 18)
        parts = chart.axes(across, up, (named, name_of(objective)))
        for x, value, trial in thinned(placed, _MOST_DOTS):
            parts.append(chart.dot(across(x / unit), up(value), f"trial {trial.number}: {number(value)}"))
        taken: list[float] = []
        for name, value in lines:
            y = up(value)
            parts.append(chart.path([(across.start, y), (across.end, y)], "line dash s1"))
            at = next(
                each for each in (y - 4, y + 12, y + 24, y - 16, y + 36) if all(abs(each - o) > 11 for o in taken)
            )
            taken.append(at)
            parts.append(chart.text(across.end, at, name, "f1", anchor="end", room=200))
        parts.append(chart.steps([(across(x / unit), up(value)) for x, value in best], across.end, "line s0"))
        outside = sum(not up.low <= value <= up.high for value in values)
        if outside:
            parts.append(chart.text(WIDTH - 8, 12, f"{counted(outside, 'trial')} beyond the axis", "m", anchor="end"))
        return chart.drawing(parts, 224, f"{name_of(objective)} of each trial, and the best so far, by {by}")

    def front(self, x: str | None = None, y: str | None = None) -> Drawing:
        """Return the trials of a search with several objectives, with the Pareto front.

        Args:
            x: The metric of the objective on the horizontal axis; by default that of the second.
            y: The metric of the objective on the vertical axis; by default that of the first.

        Raises:
            StudyError: There is one objective, no trial is complete, or a metric is no objective.
        """
        searched = self._searched
        if len(searched.objectives) < 2:
            raise StudyError(
                f"a Pareto front needs two objectives or more; this search has one, {str(searched.objectives[0])!r}"
            )
        one = searched.objectives[1] if x is None else searched.objective(x)
        other = searched.objective(y)
        front = [trial for trial in searched.history.front if _pair(trial, one, other) is not None]
        if not front:
            raise StudyError("there is no Pareto front yet: no trial is complete")
        held = {trial.number for trial in front}
        rest = [
            (pair, trial) for trial in searched.full if trial.number not in held and (pair := _pair(trial, one, other))
        ]
        missed = [(pair, trial) for trial in searched.history.infeasible if (pair := _pair(trial, one, other))]
        points = sorted((pair, trial.number) for trial in front if (pair := _pair(trial, one, other)))
        everything = [pair for pair, _ in [*points, *rest]]
        across = chart.scale(
            [a for a, _ in everything], 50.0, WIDTH - 18, log=True, best="high" if one.maximise else "low"
        )
        up = chart.scale([b for _, b in everything], 226.0, 24.0, log=True, best="high" if other.maximise else "low")
        parts = chart.axes(across, up, (str(one), str(other)))
        told = f"{name_of(one)} {{}}, {name_of(other)} {{}}"
        for (a, b), trial in thinned(missed, 200):
            parts.append(
                chart.cross(across(a), up(b), f"trial {trial.number}, infeasible: {told.format(number(a), number(b))}")
            )
        for (a, b), trial in thinned(rest, _MOST_DOTS):
            parts.append(chart.dot(across(a), up(b), f"trial {trial.number}: {told.format(number(a), number(b))}"))
        if len(searched.objectives) == 2:
            places = [(across(a), up(b)) for (a, b), _ in points]
            corners = [places[0]]
            for (_, before), (at, to) in pairwise(places):
                # The dominated side: values on the horizontal axis that are worse, up to the next point.
                corners += [(corners[-1][0], to), (at, to)] if one.maximise else [(at, before), (at, to)]
            parts.append(chart.path(corners, "line s0"))
        for (a, b), trial_number in points:
            parts.append(
                chart.dot(across(a), up(b), f"trial {trial_number}: {told.format(number(a), number(b))}", "f0", 3.6)
            )
        outside = sum(not (across.low <= a <= across.high and up.low <= b <= up.high) for a, b in everything)
        if outside:
            parts.append(chart.text(WIDTH - 8, 12, f"{counted(outside, 'trial')} at the edge", "m", anchor="end"))
        return chart.drawing(parts, 264, f"Pareto front of {one} and {other}")

    def parallel(self, *, decisions: Iterable[str] | None = None, metric: str | None = None) -> Drawing:
        """Return parallel coordinates: a line for each trial, through its decisions and its value, from top to bottom.

        The best tenth of the trials is coloured; the best has the strongest line.

        Args:
            decisions: The decisions; by default up to ten, those that matter most if that is known.
            metric: The metric of an objective; by default that of the first.

        Raises:
            StudyError: No trial is complete, or an argument is unknown.
        """
        searched, objective = self._searched, self._searched.objective(metric)
        trials = [
            (trial, value) for trial in searched.full if (value := value_of(objective, trial.metrics)) is not None
        ]
        if not trials:
            raise StudyError("no trial is complete: there is nothing to plot yet")
        trials.sort(key=lambda pair: pair[1], reverse=objective.maximise)
        names = self._leading() if decisions is None else list(decisions)
        known = list(dict.fromkeys(name for trial, _ in trials for name in trial.architecture))
        for name in names:
            if name not in known:
                raise StudyError(f"no trial has a decision {name!r}; there are {', '.join(map(repr, known))}")
        shown = [*trials[: _MOST_LINES // 10], *thinned(trials[_MOST_LINES // 10 :], _MOST_LINES * 9 // 10)]
        top, low, high = 30.0, 14.0, WIDTH - 14
        rows = [_Row(name, [trial.architecture for trial, _ in trials], low, high) for name in names]
        across = chart.scale([value for _, value in trials], low, high, best="high" if objective.maximise else "low")
        heights = [top, *(top + below for below in accumulate(row.height for row in rows))]
        parts = []
        for row, y in zip(rows, heights, strict=False):
            parts += row.axis(y)
        y = heights[-1]
        parts.append(f'<path class="grid" d="M{low:.1f} {y:.1f}H{high:.1f}"/>')
        parts.append(chart.text(low - 10, y - 8, name_of(objective), room=WIDTH - 20))
        parts += [chart.text(across(v), y + 15, told, "m", anchor="middle") for v, told in across.ticks(5)]
        best = max(1, len(trials) // _TENTH)
        lines = []
        for place, (trial, value) in enumerate(shown):
            xs = [*(row(trial.architecture.get(row.name)) for row in rows), across(value)]
            look = "line s1" if place == 0 else "some" if place < best else "faint"
            lines.append(chart.path(zip(xs, heights, strict=True), look))
        # Many lines are fainter each: what most of them have in common shows, and the best are not hidden.
        grey, blue = lines[best:], lines[1:best]
        parts = [
            f'<g stroke-opacity="{min(0.3, 30 / max(1, len(grey))):.3f}">{"".join(grey)}</g>',
            f'<g stroke-opacity="{min(0.7, 15 / max(1, len(blue))):.3f}">{"".join(blue)}</g>',
            lines[0],
            '<g class="halo">',
            *parts,
            "</g>",
        ]
        told = f"{counted(len(trials), 'trial')} as lines through their decisions and their {name_of(objective)}"
        return chart.drawing(parts, heights[-1] + 24, told)

    def importance(self, metric: str | None = None) -> Drawing:
        """Return the shares of the variance that decisions explain, with 90 % intervals.

        Args:
            metric: The metric, as in `Study.importance`.

        Raises:
            Inconclusive: There are too few trials.
        """
        found = self._searched.importance(metric)
        rows = found.rows[:_BARS]
        across = chart.Scale(0.0, max(0.05, *(row.high for row in rows)), 10.0, WIDTH - 14)
        parts = []
        for place, row in enumerate(rows):
            y = 16 + 31.0 * place
            share = f"{row.share:.0%} ({row.low:.0%} to {row.high:.0%}){', as noise' if row.noise else ''}"
            parts.append(chart.text(10, y, row.decision, room=WIDTH - 34 - chart.width_of(share)))
            parts.append(chart.text(WIDTH - 14, y, share, "m", anchor="end"))
            look = "weak" if row.noise else "bar"
            size = max(1.0, across(row.share) - across.start)
            parts.append(
                f'<rect class="{look}" x="{across.start}" y="{y + 5:.0f}" width="{size:.1f}" height="9" rx="2"/>'
            )
            parts.append(chart.path([(across(row.low), y + 9.5), (across(row.high), y + 9.5)], "whisker"))
        return chart.drawing(parts, 14 + 31 * len(rows), f"importance of decisions for {found.sample.metric}")

    def curves(self, *, count: int = _CURVES, metric: str | None = None) -> Drawing:
        """Return the learning curves of the best trials, with those of the trials that they continue.

        Args:
            count: The number of trials, up to 8.
            metric: The metric; by default that of the first objective, or the first that was reported.

        Raises:
            StudyError: No trial has a curve of the metric, or the count is not between 1 and 8.
        """
        if not 1 <= count <= _CURVES:
            raise StudyError(f"count is a number of trials from 1 to {_CURVES}, not {count!r}")
        wanted = name_of(self._searched.objectives[0]) if metric is None else metric
        leading = self._searched.history.best_first(self._searched.full)
        curves = {trial.number: self._curve(trial) for trial in leading[: 4 * _CURVES]}
        reported = list(
            dict.fromkeys(name for rows in curves.values() for row in rows for name in row if name != "step")
        )
        if metric is None and wanted not in reported and reported:
            wanted = reported[0]
        drawn: list[tuple[str, Sequence[tuple[float, float]]]] = []
        for trial in leading[: 4 * _CURVES]:
            points = [(row["step"], row[wanted]) for row in curves[trial.number] if wanted in row and "step" in row]
            points = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
            if points and len(drawn) < count:
                drawn.append((f"trial {trial.number}", points))
        if not drawn:
            told = f"those that were reported are {', '.join(map(repr, reported))}" if reported else "none was reported"
            raise StudyError(f"no trial has a learning curve of {wanted!r}; {told}")
        return lines_of(drawn, ("step", wanted), f"learning curves of {wanted}")

    def _curve(self, trial: Trial) -> list[Mapping[str, float]]:
        """Return the reports of a trial, behind those of the trials that it continues."""
        rows, steps = list[Mapping[str, float]](), set[float]()
        at: Trial | None = trial
        while at is not None:
            fresh = [row for row in at.curve if row.get("step") not in steps]
            steps |= {row["step"] for row in fresh if "step" in row}
            rows = [*fresh, *rows]
            at = self._searched.history.before(at)
        return sorted(rows, key=lambda row: row.get("step", 0.0))

    def _leading(self) -> list[str]:
        """Return the decisions that matter most; where that is not known, the first."""
        searched = self._searched
        varied: dict[str, set[Any]] = {}
        for trial in searched.full:
            for name, value in trial.architecture.items():
                varied.setdefault(name, set()).add(value)
        names = [name for name, values in varied.items() if len(values) > 1] or list(varied)
        if len(names) > _AXES or "explanation" in searched.__dict__:
            try:
                ranked = [row.decision for row in searched.importance().rows]
            except (Inconclusive, ArchwrightError):
                ranked = []
            names.sort(key=lambda name: ranked.index(name) if name in ranked else len(ranked))
        return names[:_AXES]


class _Row:
    """A decision as an axis of parallel coordinates: a scale of numbers, or places of options."""

    def __init__(self, name: str, architectures: Sequence[Mapping[str, Any]], start: float, end: float) -> None:
        self.name = name
        values = list(dict.fromkeys(each[name] for each in architectures if name in each))
        is_partial = any(name not in each for each in architectures)
        self._start, self._end = start, end
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        is_scale = len(numbers) == len(values) and len(values) > 8
        self._scale = chart.scale(numbers, start, end - 50 * is_partial, log=True) if is_scale else None
        if len(numbers) == len(values) or all(isinstance(value, str) for value in values):
            values.sort()
        options = [] if is_scale else values
        places = [*options, *[None] * is_partial]
        across = end - start
        self._places = {
            value: start + across * ((place + 0.5) / len(places) if not is_scale else 1.0)
            for place, value in enumerate(places)
        }

    def __call__(self, value: Any) -> float:
        return self._scale(value) if self._scale is not None and value is not None else self._places[value]

    @property
    def height(self) -> float:
        """The pixels to the next axis."""
        return 50.0 + 12.0 * self._is_staggered

    @property
    def _room(self) -> float:
        """The pixels of an option in a row of labels."""
        return (self._end - self._start) / max(1, len(self._places)) - 4

    @property
    def _is_staggered(self) -> bool:
        """Whether every other label is a line lower, since they are long."""
        return self._scale is None and any(chart.width_of(_option(value)) > self._room for value in self._places)

    def axis(self, y: float) -> list[str]:
        """Return the line of the axis at a height, its name above, and its values below."""
        parts = [f'<path class="grid" d="M{self._start:.1f} {y:.1f}H{self._end:.1f}"/>']
        parts.append(chart.text(self._start - 10, y - 8, self.name, room=WIDTH - 20))
        if self._scale is not None:
            ticks = self._scale.ticks(5)
            parts += [chart.text(self._scale(value), y + 15, told, "m", anchor="middle") for value, told in ticks]
            parts += [chart.text(x, y + 15, _option(value), "m", anchor="end") for value, x in self._places.items()]
            return parts
        every = max(1, math.ceil(24 / (self._room + 4)))  # of very many options some have labels
        for place, (value, x) in enumerate(list(self._places.items())[::every]):
            room = self._room * every * (1 + self._is_staggered)
            lower = 12 * (place % 2) * self._is_staggered
            parts.append(chart.text(x, y + 15 + lower, _option(value), "m", anchor="middle", room=room))
        return parts


def lines_of(
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]],
    names: tuple[str, str],
    title: str,
    *,
    is_steps: bool = False,
    end: float | None = None,
) -> Drawing:
    """Return up to eight lines, each with its name at its end.

    Args:
        lines: The name and the points of each.
        names: The names of the axes.
        title: A description, for screen readers.
        is_steps: Whether lines keep each value until the next point.
        end: The last place on the horizontal axis; by default that of the last point.
    """
    room = min(110.0, max(chart.width_of(name) for name, _ in lines) + 6)
    every = [point for _, points in lines for point in points]
    last = max(x for x, _ in every) if end is None else end
    first = min(0.0 if is_steps else math.inf, *(x for x, _ in every))
    across = chart.Scale(*chart.distinct(first, last), 50.0, WIDTH - 10 - room)
    rising = sum(points[-1][1] - points[0][1] for _, points in lines) >= 0
    up = chart.scale([y for _, y in every], 186.0, 24.0, best="high" if rising else "low")
    parts = chart.axes(across, up, names, marks=(4, 5))
    heights = chart.apart([up(points[-1][1]) for _, points in lines], 12.0, up.end, up.start)
    for place, ((name, points), height) in enumerate(zip(lines, heights, strict=True)):
        spots = [(across(x), up(y)) for x, y in points]
        stop = across.end if is_steps else spots[-1][0]
        parts.append(chart.steps(spots, stop, f"line s{place}") if is_steps else chart.path(spots, f"line s{place}"))
        if len(spots) == 1 and not is_steps:
            parts.append(chart.dot(*spots[0], look=f"f{place}"))
        parts.append(
            chart.path([(stop, spots[-1][1]), (across.end + 4, height)], f"dash s{place}")
            if stop < across.end - 2
            else ""
        )
        parts.append(chart.text(across.end + 6, height + 4, name, f"f{place}", room=room))
    return chart.drawing(parts, 224, title)


def time_unit(seconds: float) -> tuple[float, str]:
    """Return the unit in which a time is drawn, in seconds, and its name."""
    return (3600.0, "hours") if seconds > 3 * 3600 else (60.0, "minutes") if seconds > 180 else (1.0, "seconds")


def thinned(items: Sequence[Any], most: int) -> list[Any]:
    """Return at most so many items, evenly spaced, with the first and the last."""
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def _pair(trial: Trial, one: Objective, other: Objective) -> tuple[float, float] | None:
    a, b = value_of(one, trial.metrics), value_of(other, trial.metrics)
    return None if a is None or b is None else (a, b)


def _option(value: Any) -> str:
    return "inactive" if value is None else value if isinstance(value, str) else written(value)
