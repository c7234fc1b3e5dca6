"""The evaluator of a search, and checks before anything is written."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from archwright._scalars import scalar
from archwright._words import counted
from archwright.cost import COUNTED, Costed, cost_from_json, with_costs
from archwright.errors import BudgetError, SchedulerError, StrategyError, StudyError
from archwright.evaluate import Evaluator, as_evaluator, decided_settings
from archwright.schedulers import Ladder, Scheduler
from archwright.space import Space
from archwright.strategies import OneShot, Strategy
from archwright.study._budget import Budget
from archwright.study._reduced import matches
from archwright.trials import Constraint, Objective

if TYPE_CHECKING:
    from archwright.datasets import Data
    from archwright.tasks import Task

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


def evaluator_of(evaluator: Any, objectives: Sequence[Objective] | None) -> Evaluator:
    """Return an evaluator as it is, of data or a task its training, and a function as an evaluator."""
    # Where they are not loaded, nobody has any.
    kinds = [(sys.modules.get("archwright.datasets"), "Data"), (sys.modules.get("archwright.tasks"), "Task")]
    if isinstance(evaluator, tuple(getattr(module, name) for module, name in kinds if module is not None)):
        from archwright.evaluate import Training

        return Training(cast("Task | Data", evaluator))
    return as_evaluator(evaluator, metric="value" if objectives is None else objectives[0].metric)


def with_supernet(measure: Evaluator, strategy: str | Strategy) -> Evaluator:
    """Return the evaluator, or one that trains a supernet first, where the strategy needs one."""
    if not isinstance(strategy, OneShot) or measure.prepares:
        return measure
    from archwright.evaluate import Training
    from archwright.supernet import SupernetEvaluator

    if not isinstance(measure, Training):
        raise StrategyError(
            f"a supernet learns from data: give search the data or a Training, or a SupernetEvaluator; "
            f"{measure!r} was given"
        )
    return SupernetEvaluator.of(measure, strategy, judge="alone")


def resumed(
    evaluator: Evaluator,
    strategy: Strategy,
    objectives: Sequence[Objective],
    constraints: Iterable[Constraint],
    stored: Mapping[str, Any] | None,
) -> Evaluator:
    """Return the evaluator of a study that goes on: with the supernet that its strategy needs, and with its costs."""
    if isinstance(evaluator, Costed):
        return evaluator
    measure = evaluator
    if evaluator.task is not None:
        from archwright.evaluate import Training

        measure = with_supernet(evaluator, strategy) if isinstance(evaluator, Training) else evaluator
    if stored is not None and stored["type"] == "costed":
        return Costed(measure, list(map(cost_from_json, stored["costs"])))
    return with_costs(measure, objectives, [each for each in constraints if each.metric not in COUNTED], ())
