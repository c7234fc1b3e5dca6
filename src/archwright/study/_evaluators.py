"""The evaluator of a study."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from archwright.cost import COUNTED, Costed, cost_from_json, with_costs
from archwright.errors import StrategyError
from archwright.evaluate import Evaluator, as_evaluator
from archwright.strategies import OneShot, Strategy
from archwright.trials import Constraint, Objective

if TYPE_CHECKING:
    from archwright.datasets import Data
    from archwright.tasks import Task


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
