"""Strategies and schedulers compared: the same space, the same budget, many seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from archwright import schedulers
from archwright import strategies as registry
from archwright._scalars import scalars
from archwright.bench._comparison import Comparison, Run
from archwright.bench._simulate import Judge, Searcher, Task
from archwright.bench._table import Table
from archwright.errors import BudgetError, StrategyError
from archwright.evaluate import Candidate, Evaluator, as_evaluator
from archwright.schedulers import Scheduler
from archwright.space import Space
from archwright.strategies import OneShot, Strategy
from archwright.trials import Objective

__all__ = ["Entry", "compare"]

Entry: TypeAlias = str | Strategy | tuple[str | Strategy, str | Scheduler]
"""A strategy or its name; with a scheduler or its name where it is compared by simulated time."""


def compare(
    space: Space,
    evaluator: Evaluator | Callable[[Candidate], Any],
    strategies: Iterable[Entry] | Mapping[str, Entry],
    *,
    trials: int = 150,
    seeds: int | Sequence[int] = 50,
    workers: int = 1,
    seconds: float | None = None,
    objective: str | Objective | None = None,
    judge: Judge | None = None,
    best: float | None = None,
    best_judged: float | None = None,
    scale: float = 1.0,
    progress: Callable[[str, int], None] | None = None,
) -> Comparison:
    """Run strategies on the same task under the same seeds, and say how far from the best they ended.

    Each run is a study in memory. With a `Table`, a search sees validation values, and the best that it has seen is
    judged by its test value.

    Where a strategy is given with a scheduler, all are compared by simulated time, and those without one give every
    trial a full evaluation. A trial that goes on costs the difference, and one that is stopped costs what it has taken
    until then, as the "seconds" of its curve say. The best so far is that of the trials that were given most; its value
    and its test value are those after a full evaluation, which costs nothing here. With several workers a trial is
    stopped by what is known when it begins.

    Args:
        space: Where to search.
        evaluator: What measures a candidate: a table, any evaluator, or a function.
        strategies: Names of strategies, strategies, or either in a pair with a scheduler or its name; or any of these
            by the label to show.
        trials: How many evaluations a run has; by simulated time, how many full ones that is the time of.
        seeds: How many runs each strategy has, or their seeds.
        workers: How many evaluations run at one time, on a simulated clock: an evaluation takes the "seconds" among
            its metrics, 1 where there are none, and a strategy is asked while others are still running. By simulated
            time one without "seconds" takes its share of `seconds / trials`.
        seconds: How much simulated time each run has. When not given and schedulers are compared: that of `trials` full
            trainings in the mean over a table's rows, or `trials` where a table knows no times.
        objective: What to optimise; the evaluator's own when not given.
        judge: Returns the value by which the best found is judged; a table's test value when not given.
        best: The best value there is; a table's own, else the best that any run finds.
        best_judged: The best that `judge` can give, likewise.
        scale: What differences are multiplied by, such as 100 for percentage points.
        progress: Called with the label and the seed before each run.

    Raises:
        BudgetError: There are no trials, seeds, workers, strategies or seconds, or it takes `seconds` to compare
            schedulers on something that is no table.
        UnknownName: No strategy or scheduler has a name that was given.
        EvaluationError: The "seconds" of an evaluation are no time.
        TableError: A table lacks what a strategy proposes.
        StrategyError: A strategy cannot serve the space, or was given twice with the same settings.
        SchedulerError: A scheduler cannot work with its strategy, or the evaluator lacks what it needs: fidelities, or
            reports on the way.
    """
    chosen = _labelled(strategies)
    trials, workers, seconds, seeds = scalars((trials, workers, seconds, seeds))
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(scalars(list(seeds)))
    if min(trials, workers, len(numbers), len(chosen)) < 1:
        raise BudgetError(
            f"a comparison needs at least one trial, worker, seed and strategy; trials={trials}, workers={workers}, "
            f"seeds={seeds}, {len(chosen)} strategies were given"
        )
    measured = as_evaluator(evaluator)
    aim = Objective.parse(objective or measured.objective)
    if isinstance(measured, Table):
        best = measured.best if best is None else best
        if judge is None and measured.best_test is not None:
            judge = measured.test
            best_judged = measured.best_test if best_judged is None else best_judged
    if seconds is None and any(searcher.scheduler is not None for searcher in chosen.values()):
        seconds = trials * _mean_seconds(measured)
    if seconds is not None and not 0 < seconds < math.inf:
        raise BudgetError(f"seconds is the simulated time of a run, a number above 0, not {seconds!r}")
    task = Task(space, measured, aim, trials, workers, judge, seconds)
    for label, searcher in chosen.items():
        task.study(searcher, numbers[0])
        if isinstance(searcher.strategy, OneShot):
            raise StrategyError(
                f"{label} needs a supernet, which is trained on data; a table of measured networks has none. "
                f"benchmarks/oneshot.py looks up what such strategies derive"
            )
    runs: dict[str, list[Run]] = {}
    for label, searcher in chosen.items():
        runs[label] = []
        for seed in numbers:
            if progress is not None:
                progress(label, seed)
            runs[label].append(task.run(searcher, seed))
    return Comparison.of(runs, aim, trials, numbers, workers, best, best_judged, scale, seconds)


def _mean_seconds(evaluator: Evaluator) -> float:
    """Return how long a full evaluation takes on average; BudgetError where it is not known."""
    if not isinstance(evaluator, Table):
        raise BudgetError(
            f"schedulers are compared by simulated time, and only a table knows how long a full training takes on "
            f"average: give seconds, the simulated time of a run, for {evaluator!r}"
        )
    return 1.0 if evaluator.mean_seconds is None else evaluator.mean_seconds


def _labelled(strategies: Iterable[Entry] | Mapping[str, Entry]) -> dict[str, Searcher]:
    if isinstance(strategies, Mapping):
        return {label: _made(one) for label, one in strategies.items()}
    made = [_made(one) for one in ([strategies] if isinstance(strategies, str) else strategies)]
    names = [_name(one) for one in made]
    labels = [name if names.count(name) == 1 else str(one) for name, one in zip(names, made, strict=True)]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise StrategyError(f"these strategies were given more than once: {', '.join(twice)}; give a dict with labels")
    return dict(zip(labels, made, strict=True))


def _made(entry: Entry) -> Searcher:
    strategy, scheduler = entry if isinstance(entry, tuple) else (entry, None)
    return Searcher(
        registry.create(strategy) if isinstance(strategy, str) else strategy,
        schedulers.create(scheduler) if isinstance(scheduler, str) else scheduler,
    )


def _name(searcher: Searcher) -> str:
    strategy, scheduler = searcher.strategy, searcher.scheduler
    name = registry.name_of(strategy) or repr(strategy)
    return name if scheduler is None else f"{name}+{schedulers.name_of(scheduler) or repr(scheduler)}"
