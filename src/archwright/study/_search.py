"""A search in one call."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from archwright import strategies
from archwright.cost import Cost, Target
from archwright.errors import SpaceError, StrategyError, StudyError, unknown
from archwright.evaluate import Evaluator, as_evaluator
from archwright.schedulers import Ladder, Scheduler
from archwright.space import Space
from archwright.strategies import OneShot, Strategy
from archwright.study._auto import choose
from archwright.study._budget import Budget
from archwright.study._callback import Callback
from archwright.study._costs import check_metrics_known, costs_of, with_costs
from archwright.study._run import check_run, check_scheduler
from archwright.study._screen import Screen, promise
from archwright.study._study import Study
from archwright.trials import Constraint, Objective, parse_objectives

__all__ = ["EVALUATORS", "default_trials", "load", "search"]

EVALUATORS = {
    "training": "Each network is trained by itself.",
    "supernet": "One supernet is trained first, and each network is judged by its weights.",
}
"""How networks can be measured on data, by name."""


def search(
    space: Space | str,
    task: Any,
    *,
    evaluator: str = "training",
    strategy: str | Strategy = "auto",
    scheduler: str | Scheduler = "auto",
    fidelity: Mapping[str, tuple[float, float]] | None = None,
    screen: str | None = None,
    constraints: Iterable[str | Constraint] = (),
    starts: Iterable[Mapping[str, Any]] | None = None,
    inherit: bool = False,
    repeats: int = 1,
    objective: str | Objective | None = None,
    objectives: Iterable[str | Objective] | None = None,
    costs: Iterable[str | Target | Cost] = (),
    reference: Mapping[str, float] | None = None,
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
        task: What to do well: data, on which networks are trained; or what measures, which is an
            `Evaluator` or a function `f(candidate) -> float | dict`.
        evaluator: How networks are measured where data are given: "training", each by itself with
            the defaults of `Training`; or "supernet", by the weights of one supernet that is
            trained first, with the defaults of `SupernetEvaluator`. A `Training` may stand in place
            of the data.
        strategy: The name of a strategy, or a strategy; "auto" for one that suits the space and the budget. One of
            those that go by a supernet, such as "darts", has it trained first.
        scheduler: The name of a scheduler, or a scheduler: how much each trial gets; "auto" for one that suits the
            evaluator and the budget. What was chosen and why is in `Study.why`.
        fidelity: What trials are given less of, by name, with the range: `{"epochs": (1, 9)}`. Besides what the
            evaluator knows ("epochs", "seconds", "data", "resolution" of a `Training`) it may name decisions of the
            space, by a pattern such as "*.width", with the range of shares of their values: `{"*.width": (0.25, 1)}`.
        screen: A zero-cost proxy by which the most promising of 4 proposals is chosen before any is trained, such as
            "naswot"; or of as many as stand behind a colon: "naswot:16".
        constraints: Bounds of metrics, such as "params <= 1e6", "latency_ms <= 5" or "accuracy >= 0.9". What can be
            counted or looked up is judged before a network is trained, and costs nothing of the budget; what is
            measured makes the trial infeasible.
        starts: Architectures to try before the strategy is asked. When not given, a search whose strategy is "auto"
            tries a few that are known to do well in a ready-made space (`archwright.spaces.starts`).
        inherit: Whether a trial begins with the weights of the nearest of the best trials before it. The final
            training starts from scratch.
        repeats: How often each trial is evaluated, with different seeds; the metrics are the means.
        objective: What to optimise, such as "max accuracy"; the evaluator's own when not given. Several metrics make
            one number as "max accuracy - 0.01*latency_ms", or "max accuracy * (latency_ms / 5) ^ -0.07" (MnasNet).
        objectives: Several, such as ["max accuracy", "min latency_ms"], in place of `objective`: `Study.front` is what
            nothing beats in all of them. Metrics of `archwright.cost` are added to those of the evaluator as they are
            asked for.
        costs: What latency and energy are measured on: targets such as "onnx:threads=1"; published devices such as
            "pixel3" (`archwright devices`); or costs, such as a `LatencyTable`. PyTorch on this machine when not given.
        reference: Values of the objectives, by metric, from which the front's hypervolume is measured.
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
        StrategyError: The strategy cannot serve the space, or goes by a supernet and the task is a
            function, on which none can be trained.
        SchedulerError: The scheduler cannot work with the evaluator, the strategy, the fidelities or the budget.
        ArchitectureError: A start does not belong to the space.
        SpaceError: The space has parts that the evaluator does not understand.
        ShapeError: The space's networks do not fit the evaluator's data.
        StudyError: The folder holds a study, and `resume` is not set or that study differs.
        StudyLocked: Another process writes to the folder.
    """
    began = time.monotonic()
    if objective is not None and objectives is not None:
        raise StudyError("give objective, or objectives for several of them, and not both")
    asked = objective if objectives is None else tuple(objectives)
    wanted = None if asked is None else parse_objectives(asked)
    if isinstance(strategy, str) and strategy != "auto":
        strategy = strategies.create(strategy)
    measure = _with_supernet(_as_evaluator(task, wanted), evaluator, strategy)
    bounds = tuple(map(Constraint.parse, constraints))
    if repeats != 1:
        from archwright.evaluate import Repeats

        measure = Repeats(measure, repeats)
    aims = wanted or parse_objectives(measure.objective)
    measure = with_costs(measure, aims, bounds, costs)
    check_metrics_known(measure, aims, bounds)
    where = _as_space(space, measure)
    for cost in costs_of(measure):
        cost.check(where, measure.example_input)
    check_run(where, measure, budget, final)
    assert budget is not None
    given: Mapping[str, tuple[float, float]] | Ladder | None = fidelity
    if resume and path is not None and (Path(path) / "study.db").is_file():
        before = Study.open(path, space=where, strategy=strategy if isinstance(strategy, Strategy) else None)
        strategy = before.strategy if strategy == "auto" else strategy
        scheduler = before.scheduler if scheduler == "auto" else scheduler
        given = before.ladder if fidelity is None and before.ladder.rungs else fidelity
        bounds = bounds or before.constraints
        starts = before.starts if starts is None else starts
    way = choose(
        where,
        measure,
        budget,
        strategy=strategy,
        scheduler=scheduler,
        fidelity=given,
        constraints=bounds,
        objectives=aims,
        starts=None if starts is None else tuple(map(where.canonical, starts)),
        final=bool(final),
    )
    check_scheduler(where, way.scheduler, way.ladder, measure, budget)
    promised = None if screen is None else promise(Screen.parse(screen), where, measure)
    study = Study(
        where,
        strategy=way.strategy,
        scheduler=way.scheduler,
        fidelity=way.ladder,
        inherit=inherit,
        screen=screen,
        constraints=way.constraints,
        starts=way.starts,
        objective=aims,
        reference=reference,
        seed=seed,
        path=path,
        resume=resume,
    )
    return study._run(measure, budget, final, callbacks, why=way.why, promised=promised, began=began)


load = Study.open


def default_trials(strategy: str | Strategy, evaluator: str) -> int:
    """Return how many trials a search has that is given no budget.

    Args:
        strategy: The strategy.
        evaluator: One of `EVALUATORS`.
    """
    if evaluator == "supernet":
        return 100  # each takes a moment
    # What a supernet prefers is tried a few times over; other strategies learn from their trials alone.
    return 3 if isinstance(strategy, OneShot) else 20


def _as_evaluator(evaluator: Any, objectives: Sequence[Objective] | None) -> Evaluator:
    datasets = sys.modules.get("archwright.datasets")  # where it is not loaded, nobody has data
    if datasets is not None and isinstance(evaluator, datasets.Data):
        from archwright.evaluate import Training

        return Training(evaluator)
    return as_evaluator(evaluator, metric="value" if objectives is None else objectives[0].metric)


def _with_supernet(measure: Evaluator, how: str, strategy: str | Strategy) -> Evaluator:
    """Return the evaluator, or one that trains a supernet first, where one is asked for."""
    if how not in EVALUATORS:
        raise unknown("evaluator", how, EVALUATORS)
    wants = isinstance(strategy, OneShot)
    if how == "training" and not wants:
        return measure
    if measure.prepares:
        return measure  # it gets ready by itself
    from archwright.evaluate import Training
    from archwright.supernet import SupernetEvaluator, create

    if not isinstance(measure, Training):
        raise StrategyError(
            f"a supernet learns from data: give search the data or a Training, or a SupernetEvaluator; "
            f"{measure!r} was given"
        )
    if not isinstance(strategy, OneShot):
        return SupernetEvaluator(measure)
    return SupernetEvaluator(
        measure,
        create(strategy.relaxation, **strategy.relaxation_settings()),
        epochs=strategy.epochs,
        judge="shared" if how == "supernet" else "alone",
        early_stop=strategy.early_stop,
        selection=strategy.selection,
    )


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
