"""Strategies compared: the same space, the same budget, many seeds."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from archwright import strategies as registry
from archwright.bench._comparison import Comparison, Run
from archwright.bench._table import Table
from archwright.errors import BudgetError, EvaluationError, Exhausted, StrategyError, TableError
from archwright.evaluate import Candidate, Evaluator, as_evaluator
from archwright.space import Architecture, Space
from archwright.strategies import OneShot, Strategy
from archwright.study import Study
from archwright.trials import History, Objective

__all__ = ["compare"]

Judge = Callable[[Architecture], float]


@dataclass(frozen=True)
class _Counting(Strategy):
    """Another strategy, with a count of what it proposed though it had been proposed before."""

    inner: Strategy
    repeats: list[int]

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return what the other strategy proposes."""
        architecture = self.inner.propose(space, history, rng)
        self.repeats[0] += history.seen(architecture)
        return architecture

    def check(self, space: Space) -> None:
        """Refuse what the other strategy refuses."""
        self.inner.check(space)


def compare(
    space: Space,
    evaluator: Evaluator | Callable[[Candidate], Any],
    strategies: Iterable[str | Strategy] | Mapping[str, str | Strategy],
    *,
    trials: int = 150,
    seeds: int | Sequence[int] = 50,
    workers: int = 1,
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

    Args:
        space: Where to search.
        evaluator: What measures a candidate: a table, any evaluator, or a function.
        strategies: Names of strategies, strategies, or either by the label to show.
        trials: How many evaluations a run has.
        seeds: How many runs each strategy has, or their seeds.
        workers: How many evaluations run at one time, on a simulated clock: an evaluation takes the "seconds" among
            its metrics, 1 where there are none, and a strategy is asked while others are still running.
        objective: What to optimise; the evaluator's own when not given.
        judge: Returns the value by which the best found is judged; a table's test value when not given.
        best: The best value there is; a table's own, else the best that any run finds.
        best_judged: The best that `judge` can give, likewise.
        scale: What differences are multiplied by, such as 100 for percentage points.
        progress: Called with the label and the seed before each run.

    Raises:
        BudgetError: There are no trials, seeds, workers or strategies.
        UnknownName: No strategy has a name that was given.
        EvaluationError: The "seconds" of an evaluation are no time.
        TableError: A table lacks what a strategy proposes.
        StrategyError: A strategy cannot serve the space, or was given twice with the same settings.
    """
    chosen = _labelled(strategies)
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
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
    runs: dict[str, list[Run]] = {}
    for label, strategy in chosen.items():
        strategy.check(space)
        if isinstance(strategy, OneShot):
            raise StrategyError(
                f"{label} goes by a supernet, which is trained on data; a table of measured networks has none. "
                f"benchmarks/oneshot.py looks up what such strategies derive"
            )
        runs[label] = []
        for seed in numbers:
            if progress is not None:
                progress(label, seed)
            runs[label].append(_run(space, measured, strategy, aim, trials, seed, workers, judge))
    return Comparison.of(runs, aim, trials, numbers, workers, best, best_judged, scale)


def _labelled(strategies: Iterable[str | Strategy] | Mapping[str, str | Strategy]) -> dict[str, Strategy]:
    if isinstance(strategies, Mapping):
        return {label: _made(one) for label, one in strategies.items()}
    made = [_made(one) for one in ([strategies] if isinstance(strategies, str) else strategies)]
    names = [registry.name_of(one) or repr(one) for one in made]
    labels = [name if names.count(name) == 1 else repr(one) for name, one in zip(names, made, strict=True)]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise StrategyError(f"these strategies were given more than once: {', '.join(twice)}; give a dict with labels")
    return dict(zip(labels, made, strict=True))


def _made(strategy: str | Strategy) -> Strategy:
    return registry.create(strategy) if isinstance(strategy, str) else strategy


def _run(
    space: Space,
    evaluator: Evaluator,
    strategy: Strategy,
    objective: Objective,
    trials: int,
    seed: int,
    workers: int,
    judge: Judge | None,
) -> Run:
    """Run one study on the simulated clock."""
    repeats = [0]
    study = Study(space, strategy=_Counting(strategy, repeats), objective=str(objective), seed=seed)
    running: list[tuple[float, int, Any]] = []
    asked, now, overhead = 0, 0.0, 0.0
    clock: list[float] = []
    values: list[float] = []
    judged: list[float] = []
    while len(values) < trials:
        while len(running) < workers and asked < trials:
            start = time.perf_counter()
            try:
                trial = study.ask()
            except Exhausted:
                asked = trials
                break
            overhead += time.perf_counter() - start
            asked += 1
            outcome = _measure(evaluator, space, trial.architecture, trial.seed)
            heapq.heappush(running, (now + _seconds(outcome), trial.number, outcome))
        if not running:
            break
        now, number, outcome = heapq.heappop(running)
        start = time.perf_counter()
        trial = study.tell(study.trials[number], outcome)
        overhead += time.perf_counter() - start
        best = study.history.best
        clock.append(now)
        values.append(math.nan if best is None else best.metrics[objective.metric])
        if judge is not None:
            changed = best is not None and best.number == number
            judged.append(judge(best.architecture) if best and changed else judged[-1] if judged else math.nan)
    count = max(1, len(values))
    return Run(
        seed, np.array(clock), np.array(values), np.array(judged) if judge else None, repeats[0], overhead / count
    )


def _measure(evaluator: Evaluator, space: Space, architecture: Architecture, seed: int) -> Any:
    """Return the metrics, or the exception, which makes the trial a failed one; what a table lacks ends the run."""
    try:
        return evaluator.evaluate(Candidate(space, architecture, seed=seed))
    except TableError:
        raise
    except Exception as error:  # the evaluator may be anybody's
        return error


def _seconds(outcome: Any) -> float:
    """Return how long an evaluation took on the simulated clock.

    Raises:
        EvaluationError: It says so with a number that is no time.
    """
    seconds = outcome.get("seconds", 1.0) if isinstance(outcome, Mapping) else 1.0
    if not 0 <= seconds < math.inf:
        raise EvaluationError(f'the metric "seconds" is the time of an evaluation, 0 or more, not {seconds!r}')
    return float(seconds)
