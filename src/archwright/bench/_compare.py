"""Comparison of strategies and schedulers: the same space and budget, many seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from archwright import schedulers
from archwright import strategies as registry
from archwright._scalars import scalars
from archwright.bench._comparison import Comparison, Run
from archwright.bench._simulate import Searcher, Task, Test
from archwright.bench._table import Table
from archwright.errors import BudgetError, StrategyError
from archwright.evaluate import Candidate, Evaluator, as_evaluator
from archwright.schedulers import Scheduler
from archwright.space import Space
from archwright.strategies import OneShot, Strategy
from archwright.trials import Objective

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
    test: Test | None = None,
    best: float | None = None,
    best_test: float | None = None,
    scale: float = 1.0,
    progress: Callable[[str, int], None] | None = None,
) -> Comparison:
    """Compare strategies on the same task with the same seeds, by their regret.

    Each run is a study in memory. With a `Table`, a search sees validation values, and the incumbent is also evaluated
    by its test value.

    If a strategy has a scheduler, all are compared by simulated time; those without one use full evaluations. A
    promoted trial costs the difference to the rung below, and a stopped one the "seconds" of its curve. The incumbent
    is the best of the trials at the highest fidelity so far; its value and its test value are those of a full
    evaluation, whose cost is not counted. With several workers, stopping decisions use what is known at the start of a
    trial.

    Args:
        space: The search space.
        evaluator: A table, another evaluator, or a function.
        strategies: Names of strategies, strategies, or pairs of these with a scheduler or its name; or a mapping from
            labels to any of these.
        trials: Number of evaluations of a run; by simulated time, its length in full evaluations.
        seeds: Number of runs of each strategy, or their seeds.
        workers: Number of parallel evaluations on a simulated clock: an evaluation takes the "seconds" among its
            metrics, or 1. By simulated time one without "seconds" takes its share of `seconds / trials`.
        seconds: Simulated time of each run. By default, with schedulers, that of `trials` mean full trainings of a
            table, or `trials` if the table has no times.
        objective: The objective; by default that of the evaluator.
        test: A function of the incumbent's architecture that returns its test value; by default that of a table.
        best: The optimum; by default a table's, else the best value of all runs.
        best_test: The optimum of the test values, likewise.
        scale: The factor of differences, such as 100 for percentage points.
        progress: Called with the label and the seed before each run.

    Raises:
        BudgetError: No trials, seeds, workers, strategies or seconds are given, or `seconds` is needed to compare
            schedulers without a table.
        UnknownName: No strategy or scheduler has that name.
        EvaluationError: The "seconds" of an evaluation are not valid.
        TableError: A table lacks a proposed architecture.
        StrategyError: A strategy does not support the space, or is given twice with the same settings.
        SchedulerError: A scheduler does not support its strategy, or needs fidelities or intermediate reports that the
            evaluator lacks.

    Example:
        >>> def evaluate(candidate):
        ...     return -abs(candidate.settings["x"] - 40)
        >>> space = aw.Space(x=aw.integer(0, 63))
        >>> aw.bench.compare(space, evaluate, ["random", "local-search"], trials=20, seeds=3).ranking.best
        'local-search'
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
        if test is None and measured.best_test is not None:
            test = measured.test
            best_test = measured.best_test if best_test is None else best_test
    if seconds is None and any(searcher.scheduler is not None for searcher in chosen.values()):
        seconds = trials * _mean_seconds(measured)
    if seconds is not None and not 0 < seconds < math.inf:
        raise BudgetError(f"seconds is the simulated time of a run, a number above 0, not {seconds!r}")
    task = Task(space, measured, aim, trials, workers, test, seconds)
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
    return Comparison.of(runs, aim, trials, numbers, workers, best, best_test, scale, seconds)


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
