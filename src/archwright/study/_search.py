"""A search in one call."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from archwright.errors import SpaceError
from archwright.evaluate import Evaluator, as_evaluator
from archwright.space import Space
from archwright.strategies import Strategy
from archwright.study._budget import Budget
from archwright.study._callback import Callback
from archwright.study._run import check_run
from archwright.study._study import Study
from archwright.trials import Objective

__all__ = ["load", "search"]


def search(
    space: Space | str,
    evaluator: Any,
    *,
    strategy: str | Strategy = "evolution",
    objective: str | Objective | None = None,
    budget: Budget | None = None,
    path: str | os.PathLike[str] | None = None,
    seed: int = 0,
    final: bool | int = True,
    callbacks: Iterable[Callback] = (),
    resume: bool = False,
) -> Study:
    """Search a space, train the best network again, and return the study.

    Args:
        space: Where to search: a space, or the name of a ready-made one, which is then made for the
            evaluator's data.
        evaluator: What measures: an `Evaluator`; a function `f(candidate) -> float | dict`; or data,
            on which networks are then trained as `Training` does by default.
        strategy: The name of a strategy, or a strategy.
        objective: What to optimise, such as "max accuracy"; the evaluator's own when not given.
        budget: What may be spent, such as `Budget(trials=100, minutes=10)`.
        path: The run folder to keep everything in, made if need be; `None` keeps it in memory.
        seed: All that is random in the search follows from it; 0 or more.
        final: Whether to train the best network again, from scratch, for longer, on all that is not
            held out, and to test it there; or how many of the best.
        callbacks: Are told what happens.
        resume: Whether to go on with the study in the run folder, if there is one.

    Raises:
        BudgetError: No budget is given.
        UnknownName: No strategy or space has that name.
        StrategyError: The strategy cannot serve the space.
        SpaceError: The space has parts that the evaluator does not understand.
        ShapeError: The space's networks do not fit the evaluator's data.
        StudyError: The folder holds a study, and `resume` is not set or that study differs.
        StudyLocked: Another process writes to the folder.
    """
    wanted = None if objective is None else Objective.parse(objective)
    measure = _as_evaluator(evaluator, wanted)
    where = _as_space(space, measure)
    check_run(where, measure, budget, final)
    assert budget is not None
    study = Study(
        where,
        strategy=strategy,
        objective=wanted or measure.objective,
        seed=seed,
        path=path,
        resume=resume,
    )
    return study._run(measure, budget, final, callbacks)


load = Study.open


def _as_evaluator(evaluator: Any, objective: Objective | None) -> Evaluator:
    datasets = sys.modules.get("archwright.datasets")  # where it is not loaded, nobody has data
    if datasets is not None and isinstance(evaluator, datasets.Data):
        from archwright.evaluate import Training

        return Training(evaluator)
    return as_evaluator(evaluator, metric="value" if objective is None else objective.metric)


def _as_space(space: object, evaluator: Evaluator) -> Space:
    if isinstance(space, Space):
        return space
    if not isinstance(space, str):
        raise SpaceError(f"a search space is a Space or the name of a ready-made one, not {space!r}")
    from archwright import spaces

    options: dict[str, Any] = {}
    if evaluator.example_input is not None:
        options["input_shape"] = evaluator.example_input.shape
    data = getattr(evaluator, "data", None)
    if data is not None:
        options["classes"] = len(data.classes)
    return spaces.create(space, **options)
