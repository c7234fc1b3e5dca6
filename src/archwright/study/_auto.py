"""The rules of automatic choices."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np

from archwright import schedulers, spaces, strategies
from archwright._words import counted
from archwright.cost import COUNTED, Counted, TrainingPace
from archwright.errors import SchedulerError, StrategyError
from archwright.evaluate import ENOUGH, LONGER, Evaluator, Fidelity
from archwright.schedulers import Ladder, Range, Scheduler
from archwright.space import Architecture, Space
from archwright.strategies import OneShot, Strategy
from archwright.study._budget import Budget, search_time
from archwright.study._cautions import cautions
from archwright.study._forecast import Forecast
from archwright.study._prechecks import prechecks_for
from archwright.study._reduced import as_ladder, wanted_ranges
from archwright.trials import Constraint, Objective, parse_objectives

_MODELLED = 400  # trials up to which a Gaussian process is worth its time
_FEW = 4  # full trainings below which half of them would be spent before anything is compared
_PIECES = 100  # of the time of a search, one is what a candidate gets at first
_LONGEST = 8  # and at most the time over this at last
_FEWEST = 8  # trainings of the lowest rung that there is time for, however slow the networks are
_LEAST_SECONDS = 1.0
_LEAST_EPOCHS = 0.15  # below that the order of networks tells nothing of what it will be
_COMPLETE = 12  # evaluations of a network in the middle of the space that the search has time for: then all are full
_ENOUGH = 0.7  # of the epochs of a final training, that the slowest network is to get at least
_SMALLER = 3  # times as many, that the fastest one is to get at most: it would lead in short trainings alone
_USELESS = 1.0  # epochs of the fastest network, below which a final training is of no use
_DRAWN = 12  # networks that are counted
_STARTS = 3  # known architectures that are tried first
_GENERATIONS = 4  # that evolution is to have at least
_POPULATION = 5, 50  # the least and the most
_DIGITS = 3  # of the bounds


BY_LOSS = "objective loss"
"""What the line begins with that tells of an automatic objective."""


@dataclass(frozen=True)
class Way:
    """How a search goes."""

    strategy: Strategy  # what proposes
    scheduler: Scheduler  # what says how much each trial gets
    ladder: Ladder  # what trials are given less of
    constraints: tuple[Constraint, ...]  # what networks have to keep to
    starts: tuple[Architecture, ...]  # what is tried first
    why: tuple[str, ...]  # what was chosen and by which rule, as lines
    forecast: Forecast | None = None  # about how many networks there will be, in a time budget


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
    starts: tuple[Architecture, ...] | None = None,
    final: bool = True,
    began: float | None = None,
) -> Way:
    """Return how a search goes: what was asked for, and where "auto" was, what the rules say.

    Scheduler: "asha" where a fidelity is asked for; "full" where the evaluator knows none, has learned beforehand, the
    budget is below four full evaluations or its time suffices for twelve, or there are several objectives; else "asha".

    Fidelity: where time alone is the budget, seconds, so that networks are compared in equal time; where it suffices
    for twelve full evaluations and the validation data are few, splits; else the first one.

    Size: with such a budget and a final training, no networks that could not see the data often enough in it, and
    where networks are compared in equal time none of a third of that size, which would be ahead only as long as
    trainings are short.

    Strategy: "bo" where at most 400 trials are expected, which is where a model of the space is worth its time; else,
    and where there are bounds of size, which a model would have to be asked for many times over, "evolution". With
    several objectives these are "mo-bo" and "nsga2", and small networks are let in.

    Starts: with that strategy, up to three networks that are known to do well in a ready-made space and keep to the
    bounds.

    The time that has passed since the search `began`, in seconds of `time.monotonic()`, is not planned again.
    """
    why: list[str] = []
    asked = fidelity is not None and not isinstance(fidelity, Ladder)
    own = sorted(space.parts.keys() & evaluator.fidelities.keys())
    is_timed = (
        fidelity is None
        and "seconds" in evaluator.fidelities
        and budget.trials is None  # else the time is only a limit
        and math.isfinite(budget.time)
        and not own  # else it would be in vain that the space decides them
    )
    several = len(objectives) > 1
    epochs = evaluator.fidelities["epochs"].full if "epochs" in evaluator.fidelities else 1.0
    paces = Paces.of(space, evaluator) if is_timed and evaluator.is_paced and not evaluator.prepares else None
    if is_timed and paces is None and evaluator.is_paced and not evaluator.prepares:
        why.append(f"size not constrained: none of {_DRAWN} sampled networks could be counted and timed")
    ranges: Mapping[str, Range] | Ladder
    if isinstance(fidelity, Ladder):
        ranges = fidelity
    elif is_timed:
        ranges = {"seconds": _seconds(budget.time)}  # less, where some of it is kept for a final training
    else:
        ranges = wanted_ranges(evaluator.fidelities, fidelity, space)
    complete = 0.0
    if scheduler == "auto":
        if paces is not None and not several:
            complete = search_time(budget, evaluator, complete=True, final=final) / (paces.middle * epochs)
        if complete >= _COMPLETE and "splits" in evaluator.fidelities:
            ranges = {"splits": evaluator.fidelities["splits"]}
        name, reason = _scheduler(evaluator, budget, strategy, ranges, asked=asked, several=several, complete=complete)
        scheduler = schedulers.create(name)
        why.append(f"scheduler {name}: {reason}")
    elif isinstance(scheduler, str):
        scheduler = schedulers.create(scheduler)
    if asked and not scheduler.partial:
        raise SchedulerError(
            f"fidelity={fidelity!r} has no effect with {scheduler!r}, whose trials are full evaluations: omit it, or "
            "use a scheduler such as 'asha'"
        )
    expected = _expected(scheduler, budget)
    by_splits = scheduler.partial and not isinstance(ranges, Ladder) and "splits" in ranges
    by_seconds = scheduler.partial and is_timed and not by_splits
    seconds = search_time(budget, evaluator, complete=not scheduler.partial or by_splits, final=final)
    slowest = None if paces is None else paces.middle
    usable = max(0.0, seconds - (0.0 if began is None else time.monotonic() - began))
    if paces is not None and seconds < budget.time:
        left, wanted = budget.time - seconds, _ENOUGH * LONGER * epochs
        if paces.fastest * _USELESS > left:
            why.append(
                f"budget too short: the fastest of {_DRAWN} sampled networks takes {paces.fastest:.2g} seconds per "
                f"epoch, and {left:.2g} are left for the final training; more time, a smaller space or smaller inputs "
                "would help"
            )
        if not _is_sized(constraints):
            bounds, reason = paces.affordable(left, wanted, both=by_seconds and not several)
            constraints = (*constraints, *map(Constraint.parse, bounds))
            why.append(reason)
            slowest = min(paces.middle, max(paces.fastest, left / wanted))
    if by_seconds:
        least, most = _seconds(usable, 0.0 if slowest is None else _least_epochs(evaluator) * slowest)
        ranges, expected = {"seconds": (least, most)}, usable / (2 * least)  # as much again for those that go on
        why.append(
            "fidelity seconds: with a time budget, networks are compared after equal training time; about "
            f"{counted(f'{expected:.0f}', 'network')} get {counted(least, 'second')}, the best of them more"
        )
    elif slowest is not None:
        each = slowest * epochs
        expected = usable / each / (2 if scheduler.partial else 1)
        if by_splits:
            few = "" if evaluator.task is None else f"{len(evaluator.task.validation)} "
            why.append(
                f"fidelity splits: {few}validation samples are few, so good networks are "
                "trained on several splits of training and validation data, and their metrics are means"
            )
        why.append(f"plan: about {counted(f'{expected:.0f}', 'network')}, at {each:.2g} seconds for a training")
    ladder = as_ladder(scheduler, ranges, space)
    for name in ladder.rungs[0] if ladder.rungs else ():
        if name in own:
            why.append(f"fidelity {name}: decided by the space; each trial gets a share of its own value")
    if strategy == "auto":
        why += cautions(evaluator.task)
        if starts is None and (starts := _starts(space, evaluator, constraints)):
            why.append(f"starts {len(starts)}: known good designs are tried first")
        strategy, reason = _strategy(space, scheduler, expected, objectives, is_bounded=_is_sized(constraints))
        why.append(f"strategy {strategies.name_of(strategy)}: {reason}")
    elif isinstance(strategy, str):
        strategy = strategies.create(strategy)
    forecast = Forecast(expected, seconds) if slowest is not None else None
    return Way(strategy, scheduler, ladder, constraints, starts or (), tuple(why), forecast)


def default_objectives(
    evaluator: Evaluator, strategy: str | Strategy, budget: Budget | None
) -> tuple[tuple[Objective, ...], tuple[str, ...]]:
    """Return the objectives that nobody has given, and what to say of them.

    They are the evaluator's; but with few validation samples accuracies have few different values, and "auto" takes the
    loss.
    """
    task, target = evaluator.task, getattr(budget, "target", None)  # what is no budget is refused later
    samples = ENOUGH if task is None else len(task.validation)
    if strategy != "auto" or target is not None or samples >= ENOUGH or evaluator.objective != "max accuracy":
        return parse_objectives(evaluator.objective), ()
    few = counted(samples, "validation sample")
    return parse_objectives("min loss"), (f"{BY_LOSS}: {few}, below {ENOUGH}, too few to compare accuracies",)


def _scheduler(
    evaluator: Evaluator,
    budget: Budget,
    strategy: str | Strategy,
    ranges: Mapping[str, Range] | Ladder,
    *,
    asked: bool,
    several: bool,
    complete: float,
) -> tuple[str, str]:
    if asked:
        return "asha", "a fidelity range is given; the best third of each rung is promoted"
    if isinstance(ranges, Ladder) or not any(map(_is_wide, ranges.values())):
        return "full", "the evaluator has no lower fidelity"
    if several:
        return "full", "with several objectives every trial is a full evaluation"
    if evaluator.prepares or isinstance(strategy, OneShot):
        return "full", "the evaluator or the strategy is trained before the first trial"
    if budget.trials is not None and budget.trials < _FEW:
        return "full", f"the budget is below {_FEW} full evaluations"
    if complete >= _COMPLETE and "splits" not in ranges:
        return "full", f"there is time for about {complete:.0f} full evaluations"
    return "asha", "successive halving; the best third of each rung is promoted"


def _is_wide(range_: Range) -> bool:
    return not isinstance(range_, Fidelity) or range_.least < range_.full


def _is_sized(constraints: Sequence[Constraint]) -> bool:
    return any(each.metric in (*COUNTED, *TrainingPace.metrics) for each in constraints)


def _strategy(
    space: Space, scheduler: Scheduler, expected: float, objectives: Sequence[Objective], *, is_bounded: bool
) -> tuple[Strategy, str]:
    """Return the strategy that suits a space, the number of trials to expect and the objectives, and the reason."""
    multi_objective = len(objectives) > 1
    if schedulers.name_of(scheduler) == "dehb":
        return strategies.create("random"), "the scheduler makes the proposals"
    if is_bounded:
        reason = "constraints on size or speed; mutations of feasible networks are mostly feasible"
        if multi_objective:
            return strategies.create("nsga2"), reason
        population = int(np.clip(expected / _GENERATIONS, *_POPULATION)) if expected else max(_POPULATION)
        return (
            strategies.create("evolution", population=population, sample=max(3, population // 5)),
            f"{reason}; population {population}",
        )
    evolution, model = ("nsga2", "mo-bo") if multi_objective else ("evolution", "bo")
    if expected > _MODELLED:
        reason = f"more than {_MODELLED} trials expected, too many for a surrogate model"
        return strategies.create(evolution), reason
    try:
        strategies.create(model).check(space)
    except StrategyError as error:
        return strategies.create(evolution), f"the surrogate model does not support the space: {error}"
    reason = f"at most {_MODELLED} trials expected, few enough for a surrogate model"
    return strategies.create(model), reason


def _starts(space: Space, evaluator: Evaluator, constraints: Sequence[Constraint]) -> tuple[Architecture, ...]:
    """Return a few known architectures that keep to the constraints that can be checked before training."""
    bounds = prechecks_for(space, constraints, evaluator)
    return tuple(islice(filter(bounds.keep, spaces.starts(space)), _STARTS))


def _expected(scheduler: Scheduler, budget: Budget) -> float:
    """Return about how many trials there will be; those that get little are about four for each full evaluation."""
    if budget.trials is None:
        return 0.0  # a time budget buys few trainings, as far as can be known
    return budget.trials * (4 if scheduler.partial else 1)


def _least_epochs(evaluator: Evaluator) -> float:
    """Return the epochs below which a training tells nothing of a network."""
    epochs = evaluator.fidelities.get("epochs")
    # The least that the evaluator knows has fifty steps.
    return max(_LEAST_EPOCHS, 0.0 if epochs is None else epochs.least)


def _seconds(search_time: float, least: float = 0.0) -> tuple[float, float]:
    low = max(_LEAST_SECONDS, float(f"{min(max(search_time / _PIECES, least), search_time / _FEWEST):.2g}"))
    return low, max(3 * low, float(f"{search_time / _LONGEST:.2g}"))


@dataclass(frozen=True)
class Paces:
    """How large a few networks of a space are, and how long their training takes here."""

    flops: tuple[float, ...]  # of each, ascending
    known: float  # of the smallest of the known designs, which is let in however slow it is; 0 without one
    timed: tuple[tuple[float, float], ...]  # the FLOPs of some, ascending, and the seconds of an epoch, not descending

    @classmethod
    def of(cls, space: Space, evaluator: Evaluator) -> Paces | None:
        """Draw and count them, and time the smallest, the largest and one between; `None` where none of them can be."""
        rng, pace, counted = np.random.default_rng(0), TrainingPace(evaluator), Counted(("flops",))
        sizes: dict[Architecture, float] = {}
        drawn, known = [space.sample(rng) for _ in range(_DRAWN)], spaces.starts(space)
        for architecture in (*drawn, *known):
            with suppress(Exception):  # a layer may raise anything
                sizes[architecture] = counted.of(space, architecture, evaluator.example_input)["flops"]
        drawn = sorted((each for each in dict.fromkeys(drawn) if sizes.get(each)), key=sizes.__getitem__)
        timed: list[tuple[float, float]] = []
        for architecture in dict.fromkeys(drawn[place] for place in (0, len(drawn) // 2, -1) if drawn):
            with suppress(Exception):
                timed.append((sizes[architecture], pace.of(space, architecture)["seconds_per_epoch"]))
        seconds = np.maximum.accumulate([each for _, each in timed])
        points = tuple(zip((flops for flops, _ in timed), seconds.tolist(), strict=True))
        smallest = min((sizes[each] for each in known if each in sizes), default=0.0)
        return cls(tuple(sizes[each] for each in drawn), smallest, points) if timed else None

    def seconds(self, flops: float) -> float:
        """About the seconds of an epoch of a network of a size, between those that were timed."""
        sizes, seconds = zip(*self.timed, strict=True)
        return float(np.interp(flops, sizes, seconds))

    def largest(self, seconds: float) -> float:
        """About the FLOPs of the largest network with such an epoch; those of the smallest, if that takes longer."""
        best = self.timed[0][0]
        for (low, quick), (high, slow) in pairwise(self.timed):
            if seconds >= slow:
                best = high
            elif seconds > quick:
                best = low + (high - low) * (seconds - quick) / (slow - quick)
        return best

    @property
    def middle(self) -> float:
        """About the seconds of an epoch of a network in the middle of the space."""
        return self.seconds(float(np.median(self.flops)))

    @property
    def fastest(self) -> float:
        """About those of the smallest network: it is let in however slow the machine is."""
        return self.timed[0][1]

    def affordable(self, seconds: float, wanted: float, *, both: bool) -> tuple[tuple[str, ...], str]:
        """Return the bounds within which networks make good use of a time, and what to say of them.

        Args:
            seconds: The time of the final training.
            wanted: The epochs of it that a network has to get.
            both: Whether networks are bounded from below, too, as is needed where they are compared after short
                trainings.
        """
        most = seconds / wanted
        if most >= self.timed[-1][1]:
            return (), f"size not constrained: all sampled networks fit {wanted:.0f} epochs into the final training"
        bound = _rounded(max(self.largest(most), self.known), math.ceil)
        reason = f"larger networks do not fit {wanted:.0f} epochs into the final training"
        if not both or self.fastest >= most / _SMALLER:
            return (f"flops <= {bound:g}",), f"size up to {bound:.2g} FLOPs: {reason}"
        least = _rounded(min(self.largest(most / _SMALLER), self.known or math.inf), math.floor)
        return (f"flops <= {bound:g}", f"flops >= {least:g}"), (
            f"size from {least:.2g} to {bound:.2g} FLOPs: {reason}; smaller ones lead only in short trainings"
        )


def _rounded(number: float, to_whole: Callable[[float], int]) -> float:
    """Return a number of few digits that is not less, or not more."""
    unit = 10.0 ** (math.floor(math.log10(number)) - _DIGITS + 1)
    return float(f"{to_whole(number / unit) * unit:.{_DIGITS}g}")
