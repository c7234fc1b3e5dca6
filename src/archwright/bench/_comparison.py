"""Results of a comparison of strategies."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright import _disk
from archwright.bench._statistics import Ranking, rank
from archwright.trials import Objective

Array = NDArray[np.float64]

_CHECKPOINTS = (25, 50, 100, 150, 300, 1000, 3000)


@dataclass(frozen=True)
class Run:
    """One run of a strategy with one seed.

    Args:
        seed: The seed.
        clock: (trials,) the simulated time at which each evaluation ended.
        values: (trials,) the incumbent's value of the objective; NaN while no trial is complete.
        test: (trials,) the incumbent's test value; `None` without test values.
        repeats: Number of duplicate proposals, after which the study asked again; NaN if not counted.
        overhead: Seconds of `ask` and `tell` for each trial, without the evaluation.

    Example:
        >>> values = np.array([0.1, 0.5, 0.5])
        >>> run = aw.bench.Run(seed=0, clock=np.arange(3.0), values=values, test=None, repeats=0, overhead=0.01)
        >>> float(run.values[-1])
        0.5
    """

    seed: int
    clock: Array
    values: Array
    test: Array | None
    repeats: float
    overhead: float


@dataclass(frozen=True)
class Result:
    """The results of the runs of one strategy.

    By simulated time runs differ in their numbers of evaluations; the longest has as many as there are columns.

    Args:
        regret: (seeds, trials) the simple regret, the difference of the incumbent to the optimum.
        test_regret: (seeds, trials) the regret of the incumbent's test value; `None` without test values.
        clock: (seeds, trials) the simulated time; by simulated time NaN after the end of a run.
        found: For each seed the number of evaluations until the optimum was found, or infinity. By simulated time the
            time, in full evaluations.
        duplicates: The mean number of duplicate proposals in a run; NaN if not counted.
        ms_per_trial: The mean time of `ask` and `tell`, in milliseconds.

    Example:
        >>> space = aw.Space(x=aw.integer(0, 63))
        >>> comparison = aw.bench.compare(space, lambda one: one.settings["x"], ["grid"], trials=4, seeds=1, best=63)
        >>> comparison.results["grid"].regret
        array([[63., 62., 61., 60.]])
    """

    regret: Array
    test_regret: Array | None
    clock: Array
    found: Array
    duplicates: float
    ms_per_trial: float

    @property
    def final(self) -> Array:
        """The (seeds, trials) regret of the final values, or without them of the objective."""
        return self.regret if self.test_regret is None else self.test_regret

    @property
    def evaluations(self) -> float:
        """The mean number of evaluations of a run."""
        return float(np.isfinite(self.clock).sum(1).mean())

    def at(self, seconds: Array, regret: Array | None = None) -> Array:
        """Return a (seeds, times) regret at times of the simulated clock; NaN before the first evaluation.

        Args:
            seconds: (times,) the times.
            regret: The regret; by default `final`.
        """
        regret = self.final if regret is None else regret
        places = np.stack([np.searchsorted(clock, seconds, side="right") for clock in self.clock])
        known = np.hstack([np.full((len(regret), 1), math.nan), regret])
        return np.take_along_axis(known, places, axis=1)


@dataclass(frozen=True)
class Comparison:
    """The results of several strategies on one task.

    Args:
        objective: The objective.
        trials: Number of evaluations of each run; by simulated time, its length in full evaluations.
        seeds: The seeds of the runs.
        workers: Number of parallel evaluations.
        best_known: Whether the optimum is known; otherwise regret is relative to the best value of all runs.
        results: The results of the strategies by label.
        ranking: The ranking by regret after the last evaluation.
        seconds: The simulated time of each run; `None` if evaluations are counted.

    Example:
        >>> space = aw.Space(x=aw.integer(0, 63))
        >>> comparison = aw.bench.compare(space, lambda one: one.settings["x"], ["grid", "random"], trials=8, seeds=2)
        >>> sorted(comparison.results), comparison.best_known
        (['grid', 'random'], False)
    """

    objective: Objective
    trials: int
    seeds: tuple[int, ...]
    workers: int
    best_known: bool
    results: Mapping[str, Result]
    ranking: Ranking
    seconds: float | None = None

    @classmethod
    def of(
        cls,
        runs: Mapping[str, Sequence[Run]],
        objective: Objective,
        trials: int,
        seeds: Sequence[int],
        workers: int,
        best: float | None,
        best_test: float | None,
        scale: float,
        seconds: float | None = None,
    ) -> Comparison:
        """Return the comparison of runs; arguments are those of `compare`."""
        sign = 1.0 if objective.maximise else -1.0
        every = [run for several in runs.values() for run in several]
        known = best is not None
        if best is None:
            best = sign * _greatest([sign * run.values for run in every])
        if best_test is None and every[0].test is not None:
            best_test = sign * _greatest([sign * run.test for run in every if run.test is not None])
        longest = trials if seconds is None else max(1, *(len(run.values) for run in every))
        results = {}
        for label, several in runs.items():
            values = np.stack([_padded(run.values, longest) for run in several])
            test_regret = None
            if best_test is not None:
                held = [_padded(run.test, longest) for run in several if run.test is not None]
                test_regret = scale * sign * (best_test - np.stack(held))
            hits = np.isclose(values, best, rtol=0, atol=1e-12)
            clock = np.stack([_padded(run.clock, longest, None if seconds is None else math.nan) for run in several])
            first = hits.argmax(1)
            reached = first + 1.0 if seconds is None else clock[range(len(several)), first] / (seconds / trials)
            results[label] = Result(
                scale * sign * (best - values),
                test_regret,
                clock,
                np.where(hits.any(1), reached, math.inf),
                float(np.mean([run.repeats for run in several])),
                1e3 * float(np.mean([run.overhead for run in several])),
            )
        last = {label: np.nan_to_num(result.final[:, -1], nan=math.inf) for label, result in results.items()}
        return cls(objective, trials, tuple(seeds), workers, known, results, rank(last), seconds)

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """The numbers of (full) evaluations that tables show: round ones, and the last."""
        return tuple(dict.fromkeys([*(point for point in _CHECKPOINTS if point < self.trials), self.trials]))

    @property
    def times(self) -> Array:
        """(10,) times of the simulated clock, evenly spaced, up to the one at which half of all runs had ended."""
        if self.seconds is not None:
            return np.linspace(0, self.seconds, 11)[1:]
        ends = [float(end) for result in self.results.values() for end in result.clock[:, -1]]
        return np.linspace(0, float(np.median(ends)), 11)[1:]

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as a JSON object."""
        return {
            "objective": str(self.objective),
            "trials": self.trials,
            "seeds": len(self.seeds),
            "workers": self.workers,
            "best_known": self.best_known,
            **({} if self.seconds is None else {"seconds": self.seconds}),
            "results": {
                label: {**self._described(result), "rank": self.ranking.ranks[label]}
                for label, result in self.results.items()
            },
            "tests": self.ranking.to_json(),
        }

    def _described(self, result: Result) -> dict[str, Any]:
        """Return means and standard errors at the checkpoints, and means at some times."""
        median, times = float(np.median(result.found)), self.times
        held = result.at(times).mean(0)
        counted = {"duplicates": result.duplicates} if self.seconds is None else {"evaluations": result.evaluations}
        return {
            "test_regret": self._means(result, result.test_regret),
            "test_regret_se": self._errors(result, result.test_regret),
            "val_regret": self._means(result, result.regret),
            "val_regret_se": self._errors(result, result.regret),
            "regret_at_seconds": {f"{at:g}": _finite(value) for at, value in zip(times, held, strict=True)},
            "median_to_best": None if math.isinf(median) else median,
            "share_found": float(np.isfinite(result.found).mean()),
            **counted,
            "ms_per_trial": result.ms_per_trial,
        }

    def _means(self, result: Result, regret: Array | None) -> dict[str, float | None] | None:
        if regret is None:
            return None
        return {str(point): _finite(column.mean()) for point, column in self._columns(result, regret)}

    def _errors(self, result: Result, regret: Array | None) -> dict[str, float | None] | None:
        if regret is None or len(regret) < 2:
            return None
        root = math.sqrt(len(regret))
        return {str(point): _finite(column.std(ddof=1) / root) for point, column in self._columns(result, regret)}

    def _columns(self, result: Result, regret: Array) -> list[tuple[int, Array]]:
        """Return the checkpoints, each with the (seeds,) regret by then."""
        if self.seconds is None:
            return [(point, regret[:, point - 1]) for point in self.checkpoints]
        held = result.at(np.array(self.checkpoints) / self.trials * self.seconds, regret)
        return list(zip(self.checkpoints, held.T, strict=True))

    def save(self, folder: str | Path, *, title: str = "") -> list[Path]:
        """Write results.json, runs.csv and the plots (PNG, SVG, HTML) to a folder.

        Existing files with these names are renamed, with the suffix ".old".

        Raises:
            MissingExtra: Matplotlib is not installed.
        """
        from archwright.bench._curves import draw

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("results.json", "runs.csv", "curves.png", "curves.svg", "report.html"):
            if os.path.lexists(folder / name):
                _disk.set_aside(folder / name)
        (folder / "results.json").write_text(json.dumps({"title": title, **self.to_json()}, indent=1) + "\n")
        with (folder / "runs.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["strategy", "seed", "evaluation", "clock", "val_regret", "test_regret"])
            for label, result in self.results.items():
                for row, seed in enumerate(self.seeds):
                    tests = (
                        np.full_like(result.clock[row], math.nan)
                        if result.test_regret is None
                        else result.test_regret[row]
                    )
                    numbers = zip(result.clock[row], result.regret[row], tests, strict=True)
                    for trial, (clock, regret, test) in enumerate(numbers, start=1):
                        if math.isnan(clock):
                            break
                        test_regret = "" if math.isnan(test) else f"{test:.6g}"
                        table.writerow([label, seed, trial, f"{clock:.6g}", f"{regret:.6g}", test_regret])
        return [folder / "results.json", folder / "runs.csv", *draw(self, folder, title=title)]

    def __str__(self) -> str:
        """Return a table, the best strategy first: the mean regret at the checkpoints, and the rest."""
        counted = "repeats" if self.seconds is None else "evaluations"
        heads = ["strategy", *map(str, self.checkpoints), "±", "to best", "found", counted, "ms", "rank"]
        rows = [heads]
        for label, result in sorted(self.results.items(), key=lambda item: self.ranking.ranks[item[0]]):
            means, errors = self._means(result, result.final) or {}, self._errors(result, result.final) or {}
            median = float(np.median(result.found))
            rows.append(
                [
                    label,
                    *map(_short, means.values()),
                    _short(errors.get(str(self.trials))),
                    "-" if math.isinf(median) else f"{median:g}" if self.seconds is None else f"{median:.1f}",
                    f"{np.isfinite(result.found).mean():.0%}",
                    f"{result.duplicates if self.seconds is None else result.evaluations:.1f}",
                    f"{result.ms_per_trial:.2f}",
                    f"{self.ranking.ranks[label]:.2f}",
                ]
            )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
            for row in rows
        ]
        alike = self.ranking.alike(self.ranking.best)
        if alike:
            lines.append(f"not told apart from {self.ranking.best} (Wilcoxon, Holm, 0.05): {', '.join(alike)}")
        return "\n".join(lines)


def _greatest(several: Sequence[Array]) -> float:
    """Return the greatest number of all; NaN where there is none."""
    known = [float(value) for values in several for value in values[~np.isnan(values)]]
    return max(known, default=math.nan)


def _padded(values: Array, length: int, filling: float | None = None) -> Array:
    """Return values with the last repeated up to a length, or something else: a run may end before others do."""
    filler = values[-1:] if filling is None and len(values) else np.array([math.nan])
    return np.concatenate([values, np.repeat(filler, length - len(values))])


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
