"""Checks before a search writes anything."""

from __future__ import annotations

import math

from archwright._scalars import scalar
from archwright._words import counted
from archwright.errors import BudgetError, SchedulerError, StrategyError, StudyError
from archwright.evaluate import Evaluator, decided_settings
from archwright.schedulers import Ladder, Scheduler
from archwright.space import Space
from archwright.strategies import OneShot, Strategy
from archwright.study._budget import Budget
from archwright.study._reduced import matches

_ROUNDING = 1e-9  # of what trials have spent


def check_run(space: Space, evaluator: Evaluator, budget: object, final: object) -> None:
    """Refuse, before anything is written, a search that cannot work."""
    if not isinstance(budget, Budget):
        raise BudgetError(
            f"a search needs a budget, such as budget=Budget(trials=100) or budget=Budget(minutes=10); "
            f"{budget!r} was given"
        )
    final = scalar(final)
    if not isinstance(final, int) or final < 0:
        raise StudyError(f"final is True, False, or how many networks to train, not {final!r}")
    evaluator.check(space)


def check_strategy(space: Space, strategy: Strategy, evaluator: Evaluator) -> None:
    """Refuse a strategy that goes by a supernet for a space that decides more than the network."""
    decided = decided_settings(space) if "model" in space.parts else []
    if isinstance(strategy, OneShot) and evaluator.prepares and decided:
        raise StrategyError(
            f"{strategy!r} can only search the network, not other settings: {', '.join(decided)} would be left to "
            "chance. Remove them from the space and give them to the Training, or use another strategy, such as 'bo'"
        )


def check_scheduler(space: Space, scheduler: Scheduler, ladder: Ladder, evaluator: Evaluator, budget: Budget) -> None:
    """Refuse a scheduler that cannot do its work with the evaluator or the budget."""
    if not scheduler.partial:
        return
    for name in ladder.rungs[0]:
        if evaluator.fidelities and name not in evaluator.fidelities and not matches(space, name):
            raise SchedulerError(
                f"{type(evaluator).__name__} does not support the fidelity {name!r}; it supports "
                f"{', '.join(evaluator.fidelities)}"
            )
    evaluator.check_fidelities(space, ladder.rungs)
    needed = scheduler.bracket(ladder)
    seconds = needed * ladder.rungs[-1].get("seconds", 0.0)
    if seconds > budget.time:
        raise SchedulerError(
            f"the first round of {scheduler!r} over {ladder} takes {counted(f'{seconds:.3g}', 'second')}, and the "
            f"budget is {budget}: give more time, fewer or lower rungs, or the scheduler 'asha', which has no rounds"
        )
    if budget.trials is not None and budget.trials < needed - _ROUNDING:
        raise SchedulerError(
            f"the first round of {scheduler!r} over {ladder} costs as much as "
            f"{counted(f'{needed:.3g}', 'full evaluation')}, and the budget is {budget.trials}: give at least "
            f"{counted(math.ceil(needed), 'trial')}, fewer rungs, or the scheduler 'asha', which has no rounds"
        )
