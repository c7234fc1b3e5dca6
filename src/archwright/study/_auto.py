"""The rules of automatic choices."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from archwright import schedulers, spaces, strategies
from archwright._words import counted
from archwright.cost import COUNTED, TrainingPace
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
from archwright.study._speed import SAMPLED, STARTS, SpeedProfile
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
_USELESS = 1.0  # epochs of the fastest network, below which a final training is of no use
_SPARE = 2.0  # times the steps of a final training, for its validation and for a pace that is off
_TIMING_SHARE = 0.05  # of a time budget, after which no further network is timed
_GENERATIONS = 4  # that evolution is to have at least
_POPULATION = 5, 50  # the least and the most


BY_LOSS = "objective loss"
"""What the line begins with that tells of an automatic objective."""


@dataclass(frozen=True)
class SearchPlan:
    """What a search uses."""

    strategy: Strategy
    scheduler: Scheduler
    ladder: Ladder  # of fidelities
    constraints: tuple[Constraint, ...]
    starts: tuple[Architecture, ...]  # architectures that are evaluated first
    why: tuple[str, ...]  # a line for each automatic choice: what was chosen, and the rule
    forecast: Forecast | None = None  # of the number of networks, in a time budget


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
) -> SearchPlan:
    """Return the plan of a search: what was asked for, and where "auto" was, what the rules say.

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
    rules = _Rules(space, evaluator, budget, fidelity, strategy, several=len(objectives) > 1, final=final)
    scheduler = rules.scheduler(scheduler)
    constraints = rules.constraints(scheduler, constraints)
    ladder = rules.ladder(scheduler, 0.0 if began is None else time.monotonic() - began)
    why = rules.why
    if strategy == "auto":
        why += cautions(evaluator.task)
        if starts is None and (starts := _starts(space, evaluator, constraints)):
            why.append(f"starts {len(starts)}: known good designs are tried first")
        strategy, reason = _strategy(space, scheduler, rules.expected, objectives, is_bounded=_is_sized(constraints))
        why.append(f"strategy {strategies.name_of(strategy)}: {reason}")
    elif isinstance(strategy, str):
        strategy = strategies.create(strategy)
    forecast = None if rules.typical is None else Forecast(rules.expected, rules.search_time)
    return SearchPlan(strategy, scheduler, ladder, constraints, starts or (), tuple(why), forecast)


class _Rules:
    """The rules of the scheduler, the size of networks and the ladder, applied in this order.

    Args:
        space: The space.
        evaluator: The evaluator.
        budget: The budget.
        fidelity: The fidelity asked for.
        strategy: The strategy asked for.
        several: Whether there are several objectives.
        final: Whether there is a final training.

    Attributes:
        why: A line for each choice.
        expected: About the number of trials; 0 where it is not known.
        typical: Seconds of an epoch of a typical network; `None` where none was timed.
        search_time: Seconds of the budget without those of the final training.
    """

    def __init__(
        self,
        space: Space,
        evaluator: Evaluator,
        budget: Budget,
        fidelity: Mapping[str, tuple[float, float]] | Ladder | None,
        strategy: str | Strategy,
        *,
        several: bool,
        final: bool,
    ) -> None:
        self._space, self._evaluator, self._budget, self._asked = space, evaluator, budget, fidelity
        self._is_auto, self._is_one_shot = strategy == "auto", isinstance(strategy, OneShot)
        self._several, self._final = several, final
        self._decided = sorted(space.parts.keys() & evaluator.fidelities.keys())
        self._is_timed = (
            fidelity is None
            and "seconds" in evaluator.fidelities
            and budget.trials is None  # else the time is only a limit
            and math.isfinite(budget.time)
            and not self._decided  # else it would be in vain that the space decides them
        )
        self._epochs = evaluator.fidelities["epochs"].full if "epochs" in evaluator.fidelities else 1.0
        self._splits = False  # whether good networks are trained on several splits
        self.why: list[str] = []
        self.expected = 0.0
        self._profile: SpeedProfile | None = None
        if self._is_timed and evaluator.is_paced and not evaluator.prepares:
            self._profile = SpeedProfile.of(space, evaluator, _TIMING_SHARE * budget.time)
            if self._profile is None:
                self.why.append(f"size not constrained: none of {SAMPLED} sampled networks could be counted and timed")
        self.typical = None if self._profile is None else self._profile.middle

    def scheduler(self, scheduler: str | Scheduler) -> Scheduler:
        """Return the scheduler."""
        asked = self._asked is not None and not isinstance(self._asked, Ladder)
        if scheduler == "auto":
            complete = 0.0
            if self.typical is not None and not self._several:
                seconds = self._time_without_final(complete=True)
                complete = seconds / (self.typical * self._epochs)
            self._splits = complete >= _COMPLETE and "splits" in self._evaluator.fidelities
            name, reason = self._scheduler(asked=asked, complete=complete)
            scheduler = schedulers.create(name)
            self._splits = self._splits and scheduler.partial
            self.why.append(f"scheduler {name}: {reason}")
        elif isinstance(scheduler, str):
            scheduler = schedulers.create(scheduler)
        if asked and not scheduler.partial:
            raise SchedulerError(
                f"fidelity={self._asked!r} has no effect with {scheduler!r}, whose trials are full evaluations: omit "
                "it, or use a scheduler such as 'asha'"
            )
        self.search_time = self._time_without_final(complete=not scheduler.partial or self._splits)
        return scheduler

    def _time_without_final(self, *, complete: bool) -> float:
        profile, most = self._profile, self._evaluator.most_final_epochs
        longest = math.inf if profile is None else _SPARE * profile.slowest * most
        return search_time(self._budget, self._evaluator, complete=complete, final=self._final, most=longest)

    def _scheduler(self, *, asked: bool, complete: float) -> tuple[str, str]:
        evaluator, budget = self._evaluator, self._budget
        if asked:
            return "asha", "a fidelity range is given; the best third of each rung is promoted"
        if not self._has_lower_fidelity():
            return "full", "the evaluator has no lower fidelity"
        if self._several:
            return "full", "with several objectives every trial is a full evaluation"
        if evaluator.prepares or self._is_one_shot:
            return "full", "the evaluator or the strategy is trained before the first trial"
        if budget.trials is not None and budget.trials < _FEW:
            return "full", f"the budget is below {_FEW} full evaluations"
        if complete >= _COMPLETE and not self._splits:
            return "full", f"there is time for about {complete:.0f} full evaluations"
        return "asha", "successive halving; the best third of each rung is promoted"

    def constraints(self, scheduler: Scheduler, given: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
        """Return the constraints: those given, and where none is on size, the bounds that the final training sets."""
        left = self._budget.time - self.search_time
        if self._profile is None or self.search_time == self._budget.time:
            return given
        if self._profile.fastest * _USELESS > left:
            self.why.append(
                f"budget too short: the fastest of {SAMPLED} sampled networks takes {self._profile.fastest:.2g} "
                f"seconds per epoch, and {left:.2g} are left for the final training; more time, a smaller space or "
                "smaller inputs would help"
            )
        if _is_sized(given):
            return given
        wanted = _ENOUGH * LONGER * self._epochs
        both = self._by_seconds(scheduler) and not self._several
        bounds, reason = self._profile.affordable(left, wanted, both=both)
        self.why.append(reason)
        self.typical = min(self._profile.middle, max(self._profile.fastest, left / wanted))
        return (*given, *map(Constraint.parse, bounds))

    def ladder(self, scheduler: Scheduler, passed: float) -> Ladder:
        """Return the ladder, with so many seconds passed since the search began."""
        budget, evaluator = self._budget, self._evaluator
        usable = max(0.0, self.search_time - passed)
        ranges = self._ranges()
        if passed and usable <= 0:
            images = evaluator.task is not None and evaluator.task.kind == "image"
            self.why.append(
                f"budget too short: {passed:.2g} of {budget.time:.3g} seconds have passed before the first trial; one "
                f"network gets a short training. More time{', or smaller images (size=, --size),' if images else ''} "
                "would help"
            )
        if self._by_seconds(scheduler):
            least, most = _seconds(usable, 0.0 if self.typical is None else _least_epochs(evaluator) * self.typical)
            ranges, first = {"seconds": (least, most)}, most if self._is_auto else least  # a known design gets all
            self.expected = 1 + max(0.0, usable - first) / (2 * least)  # as much again for promotions
            self.why.append(
                "fidelity seconds: with a time budget, networks are compared after equal training time; about "
                f"{counted(f'{self.expected:.0f}', 'network gets', 'networks get')} {counted(least, 'second')}, the "
                "best of them more"
            )
        elif self.typical is not None:
            each = self.typical * self._epochs
            first = each * evaluator.fidelities["splits"].full if self._splits else each
            self.expected = 1 + max(0.0, usable - first) / each / (2 if scheduler.partial else 1)
            if self._splits:
                self.why.append(
                    "fidelity splits: validation samples are few, so good networks are trained on several splits of "
                    "training and validation data, and their metrics are means"
                )
            self.why.append(
                f"plan: about {counted(f'{self.expected:.0f}', 'network')}, at {each:.2g} seconds for a training"
            )
        elif budget.trials is not None:  # those that get little are about four for each full evaluation
            self.expected = budget.trials * (4 if scheduler.partial else 1)
        ladder = as_ladder(scheduler, ranges, self._space)
        for name in ladder.rungs[0] if ladder.rungs else ():
            if name in self._decided:
                self.why.append(f"fidelity {name}: decided by the space; each trial gets a share of its own value")
        return ladder

    def _by_seconds(self, scheduler: Scheduler) -> bool:
        """Tell whether trials get little time and the best of them more."""
        return scheduler.partial and self._is_timed and not self._splits

    def _ranges(self) -> Mapping[str, Range] | Ladder:
        """Return what trials can be given less of."""
        if isinstance(self._asked, Ladder):
            return self._asked
        if self._splits:
            return {"splits": self._evaluator.fidelities["splits"]}
        if self._is_timed:
            return {"seconds": _seconds(self._budget.time)}
        return wanted_ranges(self._evaluator.fidelities, self._asked, self._space)

    def _has_lower_fidelity(self) -> bool:
        ranges = self._ranges()
        return not isinstance(ranges, Ladder) and any(map(_is_wide, ranges.values()))


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
        reason = f"many trials expected (the limit of a surrogate model is {_MODELLED})"
        return strategies.create(evolution), reason
    try:
        strategies.check_space(strategies.create(model), space)
    except StrategyError as error:
        return strategies.create(evolution), f"the surrogate model does not support the space: {error}"
    reason = f"few trials expected (its limit is {_MODELLED}), so that a surrogate model pays"
    return strategies.create(model), reason


def _starts(space: Space, evaluator: Evaluator, constraints: Sequence[Constraint]) -> tuple[Architecture, ...]:
    """Return a few known architectures that keep to the constraints that can be checked before training."""
    bounds = prechecks_for(space, constraints, evaluator)
    return tuple(islice(filter(bounds.keep, spaces.starts(space)), STARTS))


def _least_epochs(evaluator: Evaluator) -> float:
    """Return the epochs below which a training tells nothing of a network."""
    epochs = evaluator.fidelities.get("epochs")
    # The least that the evaluator knows has fifty steps.
    return max(_LEAST_EPOCHS, 0.0 if epochs is None else epochs.least)


def _seconds(search_time: float, least: float = 0.0) -> tuple[float, float]:
    low = max(_LEAST_SECONDS, float(f"{min(max(search_time / _PIECES, least), search_time / _FEWEST):.2g}"))
    return low, max(3 * low, float(f"{search_time / _LONGEST:.2g}"))
