"""What a search does that is not told how: rules, written down and told at its start."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from archwright import schedulers, strategies
from archwright.cost import COUNTED, measures
from archwright.errors import SchedulerError, StrategyError
from archwright.evaluate import Candidate, Evaluator, Fidelity
from archwright.schedulers import Ladder, Range, Scheduler
from archwright.space import Space
from archwright.strategies import OneShot, Strategy
from archwright.study._budget import Budget
from archwright.study._run import search_time
from archwright.study._shrink import as_ladder, wanted_ranges
from archwright.trials import Constraint, Objective

__all__ = ["Way", "choose"]

_MODELLED = 400  # trials up to which a Gaussian process is worth its time
_FEW = 4  # full trainings below which half of them would be spent before anything is compared
_PIECES = 100  # of the time of a search, one is what a candidate gets at first
_LONGEST = 8  # and at most the time over this at last
_LEAST_SECONDS = 1.0
_EPOCHS = 6  # of the final training, that the largest network is to get at least
_SMALLER = 2  # times smaller than that one, the least network: it could not use the time
_DRAWN, _TIMED = 16, 4  # networks that are counted, and of those that are timed
_SMALLEST = 0.2  # of the networks are let in, however slow the machine is


@dataclass(frozen=True)
class Way:
    """How a search goes.

    Args:
        strategy: What proposes.
        scheduler: What says how much each trial gets.
        ladder: What trials are given less of.
        constraints: What networks have to keep to.
        why: What was chosen and by which rule, as lines.
    """

    strategy: Strategy
    scheduler: Scheduler
    ladder: Ladder
    constraints: tuple[Constraint, ...]
    why: tuple[str, ...]


def choose(
    space: Space,
    evaluator: Evaluator,
    budget: Budget,
    *,
    strategy: str | Strategy,
    scheduler: str | Scheduler,
    fidelity: Mapping[str, tuple[float, float]] | Ladder | None,
    constraints: tuple[Constraint, ...],
    objectives: Sequence[Objective] = (),
    final: bool = True,
) -> Way:
    """Return how a search goes: what was asked for, and where "auto" was, what the rules say.

    Scheduler: "asha" where a fidelity is asked for; "full" where the evaluator knows none, has learned beforehand, the
    budget is below four full evaluations, or there are several objectives; else "asha". Fidelity: seconds, where time
    alone is the budget and the evaluator knows them, so that networks are compared in equal time; else the first one.
    Size: with such a budget and a final training, no networks that could not see the data six times
    in it, and none of less than half that size, which would be ahead only as long as trainings are short. Strategy:
    "bo" where at most 400 trials are expected, which is where a model of the space is worth its time; else, and where
    there are bounds of size, which a model would have to be asked for many times over, "evolution". With several
    objectives these are "mo-bo" and "nsga2", and small networks are let in.

    Args:
        space: Where to search.
        evaluator: What measures.
        budget: What may be spent.
        strategy: "auto", a name or a strategy.
        scheduler: "auto", a name or a scheduler.
        fidelity: The ranges asked for, by name; or the rungs, as they are on record.
        constraints: Those asked for.
        objectives: What is optimised.
        final: Whether the best is to be trained again in the end.

    Raises:
        UnknownName: No strategy or scheduler has that name, or the evaluator does not know a fidelity.
        SchedulerError: The scheduler cannot work with what the evaluator knows, or gives no less of the fidelity.
    """
    why: list[str] = []
    asked = fidelity is not None and not isinstance(fidelity, Ladder)
    is_timed = (
        fidelity is None
        and "seconds" in evaluator.fidelities
        and budget.trials is None  # else the time is only a limit
        and math.isfinite(budget.time)
    )
    ranges: Mapping[str, Range] | Ladder
    if isinstance(fidelity, Ladder):
        ranges = fidelity
    elif is_timed:
        ranges = {"seconds": _seconds(budget.time)}  # less, where some of it is kept for a final training
    else:
        ranges = wanted_ranges(evaluator.fidelities, fidelity, space)
    if scheduler == "auto":
        name, reason = _scheduler(evaluator, budget, strategy, ranges, asked=asked, several=len(objectives) > 1)
        scheduler = schedulers.create(name)
        why.append(f"scheduler {name}: {reason}")
    elif isinstance(scheduler, str):
        scheduler = schedulers.create(scheduler)
    if asked and not scheduler.partial:
        raise SchedulerError(
            f"fidelity={fidelity!r} is what trials are given less of, and {scheduler!r} gives each of them all: leave "
            "it out, or take a scheduler such as 'asha'"
        )
    if scheduler.partial and is_timed:
        seconds = search_time(budget, evaluator, scheduler, final=final)
        ranges = {"seconds": _seconds(seconds)}
        why.append(
            "fidelity seconds: there is a time budget, so networks are compared by what they reach in equal time"
        )
        if not _is_sized(constraints) and seconds < budget.time:
            bounds, reason = _affordable(space, evaluator, budget.time - seconds, several=len(objectives) > 1)
            constraints = (*constraints, *map(Constraint.parse, bounds))
            why.append(reason)
    if strategy == "auto":
        name, reason = _strategy(space, scheduler, budget, objectives, is_bounded=_is_sized(constraints))
        strategy = strategies.create(name)
        why.append(f"strategy {name}: {reason}")
    elif isinstance(strategy, str):
        strategy = strategies.create(strategy)
    return Way(strategy, scheduler, as_ladder(scheduler, ranges, space), constraints, tuple(why))


def _scheduler(
    evaluator: Evaluator,
    budget: Budget,
    strategy: str | Strategy,
    ranges: Mapping[str, Range] | Ladder,
    *,
    asked: bool,
    several: bool,
) -> tuple[str, str]:
    if asked:
        return "asha", "it was said what trials may be given less of; the best third of each rung goes on"
    if isinstance(ranges, Ladder) or not any(map(_is_wide, ranges.values())):
        return "full", "the evaluator knows no cheaper form of an evaluation"
    if several:
        return "full", "a front is as long as many networks were measured in full"
    if evaluator.prepares or isinstance(strategy, OneShot):
        return "full", "what is known of the space is learned before the first trial"
    if budget.trials is not None and budget.trials < _FEW:
        return "full", f"a budget below {_FEW} full evaluations is too small to divide"
    return "asha", "most networks are given little, and the best third of each rung goes on"


def _is_wide(range_: Range) -> bool:
    return not isinstance(range_, Fidelity) or range_.least < range_.full


def _is_sized(constraints: Sequence[Constraint]) -> bool:
    return any(each.metric in COUNTED for each in constraints)


def _strategy(
    space: Space, scheduler: Scheduler, budget: Budget, objectives: Sequence[Objective], *, is_bounded: bool
) -> tuple[str, str]:
    several = len(objectives) > 1
    evolution, model = ("nsga2", "mo-bo") if several else ("evolution", "bo")
    if schedulers.name_of(scheduler) == "dehb":
        return "random", "the scheduler proposes by itself"
    if is_bounded:
        return evolution, "there are bounds of size, and what it proposes near networks that keep to them mostly does"
    if _expected(scheduler, budget) > _MODELLED:
        return evolution, f"more than {_MODELLED} trials are expected, too many for a model of the space"
    try:
        strategies.create(model).check(space)
    except StrategyError as error:
        return evolution, f"a model cannot serve the space: {error}"
    return model, f"at most {_MODELLED} trials are expected, few enough for a model of the space"


def _affordable(space: Space, evaluator: Evaluator, seconds: float, *, several: bool) -> tuple[tuple[str, ...], str]:
    """Return between which FLOPs networks make good use of a time, and what to say of it."""
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(_DRAWN)]
    flops = [float(measures(space, architecture)[1]) for architecture in drawn]
    paces = []
    for architecture, count in zip(drawn[:_TIMED], flops, strict=False):
        candidate = Candidate(
            space, architecture, seed=0, device=evaluator.device, example_input=evaluator.example_input
        )
        seconds_per_epoch = evaluator.seconds_per_epoch(candidate)
        if seconds_per_epoch is None:
            return (), "size any: the evaluator does not say how long an epoch takes"
        paces.append(seconds_per_epoch / count)
    most = seconds / (_EPOCHS * float(np.median(paces)))
    if most >= max(flops):
        return (), f"size any: all networks drawn can see the data {_EPOCHS} times in the final training"
    most = float(f"{max(most, float(np.quantile(flops, _SMALLEST))):.3g}")
    if several:  # then small networks are wanted for what they cost
        return (f"flops <= {most:g}",), (
            f"size flops up to {most:g}: larger networks could not see the data {_EPOCHS} times in the final training"
        )
    least = float(f"{min(most / _SMALLER, float(np.quantile(flops, _SMALLEST))):.3g}")
    return (f"flops <= {most:g}", f"flops >= {least:g}"), (
        f"size flops from {least:g} to {most:g}: larger networks could not see the data {_EPOCHS} times in the final "
        "training, and much smaller ones would be ahead only as long as trainings are short"
    )


def _seconds(search_time: float) -> tuple[float, float]:
    low = max(_LEAST_SECONDS, float(f"{search_time / _PIECES:.2g}"))
    return low, max(3 * low, float(f"{search_time / _LONGEST:.2g}"))


def _expected(scheduler: Scheduler, budget: Budget) -> float:
    """Return about how many trials there will be; those that get little are about four for each full evaluation."""
    if budget.trials is None:
        return 0.0  # a time budget buys few trainings, as far as can be known
    return budget.trials * (4 if scheduler.partial else 1)
