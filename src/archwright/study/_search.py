"""A search in one call."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright import strategies
from archwright._deprecated import renamed
from archwright.cost import Cost, Target, check_metrics_known, costs_of, with_costs
from archwright.errors import SpaceError
from archwright.evaluate import Evaluator
from archwright.schedulers import Ladder, Scheduler
from archwright.space import Space
from archwright.strategies import Strategy
from archwright.study._auto import choose, default_objectives
from archwright.study._baseline import has_baselines
from archwright.study._budget import Budget
from archwright.study._callback import Callback
from archwright.study._check import check_run, check_scheduler, check_strategy, evaluator_of, with_supernet
from archwright.study._clock import began
from archwright.study._ensemble import check_ensemble
from archwright.study._folder import inside_of
from archwright.study._knowledge import from_knowledge
from archwright.study._place import Place
from archwright.study._progress import callbacks_of
from archwright.study._proxy_filter import ProxyFilter, proxy_scorer
from archwright.study._study import Study
from archwright.study._warm import Source, told_background
from archwright.study._workers import Workers
from archwright.trials import Constraint, Objective, parse_constraints, parse_objectives

if TYPE_CHECKING:
    from archwright.execute import Cluster


@renamed(objectives="objective")
def search(
    space: Space | str,
    task: Any,
    *,
    objective: str | Objective | Iterable[str | Objective] | None = None,
    constraints: str | Constraint | Iterable[str | Constraint] = (),
    costs: str | Target | Cost | Iterable[str | Target | Cost] = (),
    strategy: str | Strategy = "auto",
    scheduler: str | Scheduler = "auto",
    fidelity: Mapping[str, tuple[float, float]] | None = None,
    screen: str | None = None,
    starts: Iterable[Mapping[str, Any]] | None = None,
    warm_start: Source | Iterable[Source] = (),
    priors: Mapping[str, Any] | None = None,
    inherit: bool = False,
    budget: Budget | None = None,
    final: bool | int = True,
    baseline: bool | None = None,
    ensemble: int = 0,
    path: str | os.PathLike[str] | None = None,
    store: str | os.PathLike[str] | None = None,
    name: str | None = None,
    resume: bool = False,
    seed: int = 0,
    workers: int | str = 1,
    trial_seconds: float | None = None,
    trial_memory: float | None = None,
    retries: int = 2,
    executor: str | Cluster = "processes",
    callbacks: Iterable[Callback] = (),
    progress: bool = True,
) -> Study:
    """Search a space, train the best network from scratch, and return the study.

    Args:
        space: The search space, or the name of a ready-made one, which is then made for the evaluator's data.
        task: How an architecture is evaluated: data, on which each network is trained with the defaults of `Training`;
            an `Evaluator`, such as `Training(data, epochs=5)`, `SupernetEvaluator(data)` or `Repeats(evaluator, 3)`;
            or a function `f(candidate) -> float | dict`.
        objective: The metric to optimise, such as "max accuracy"; the evaluator's own when not given, and the loss with
            the strategy "auto" and fewer than 500 validation samples. Several metrics
            make one number as "max accuracy - 0.01*latency_ms", or "max accuracy * (latency_ms / 5) ^ -0.07" (MnasNet).
            A list, such as ["max accuracy", "min latency_ms"], gives several objectives; `Study.front` is their Pareto
            front. Metrics of `archwright.cost` are added to those of the evaluator as they are asked for.
        constraints: A bound of a metric, or several, such as "parameters <= 1e6", "latency_ms <= 5" or
            "accuracy >= 0.9". What can be counted or looked up is checked before training, and infeasible
            architectures are not proposed; other constraints are checked after training, and make the trial infeasible.
        costs: The devices for latency and energy: targets such as "onnx:threads=1"; published devices such as "pixel3"
            (`archwright devices`); or costs, such as a `LatencyTable`, or the name of one, such as "flops". PyTorch on
            this machine when not given.
        strategy: The name of a strategy, or a strategy; "auto" for one that suits the space and the budget. A strategy
            that needs a supernet, such as "darts", trains it first.
        scheduler: The name of a scheduler, or a scheduler, which sets how much training each trial gets; "auto" for one
            that suits the evaluator and the budget. What was chosen and why is in `Study.why`.
        fidelity: The range of a fidelity, by name: `{"epochs": (1, 9)}`. Names are the fidelities of the evaluator
            ("epochs", "seconds", "data", "resolution" of a `Training`), and decisions of the space, by a pattern such
            as "*.width", with the range as a fraction of their values: `{"*.width": (0.25, 1)}`.
        screen: A zero-cost proxy that selects one of 4 proposals before training, such as "naswot"; "naswot:16"
            selects one of 16.
        starts: Architectures of the first trials. By default, the strategy "auto" starts with a few known good ones of
            a ready-made space (`archwright.spaces.starts`).
        warm_start: Earlier studies with the same objective: run folders, folders of them, databases, or studies. Their
            best architectures are tried early, and their trials fit the surrogate model, as far as they rank the new
            trials well. Decisions are matched by name; what is used is copied into the record of this study, which
            resumes without them, whatever `warm_start` is then. When not given, the strategy "auto" takes the most
            similar runs of the user's knowledge base (`archwright.study.KnowledgeBase`), if there is one.
        priors: Values of decisions that are believed to be good, such as `{"width": 64, "*.depth": (3, 0.9)}`, by name,
            the last part of a path or a pattern; the second number is a confidence from 0 to 1, 0.75 when not given.
        inherit: Whether a trial is initialised with the weights of the most similar of the best trials before it. The
            final training starts from scratch.
        budget: The search budget, such as `Budget(trials=100, minutes=10)`.
        final: Whether to train the best network from scratch, for longer, on training and validation data, and to
            evaluate it on the test data; or the number of best networks for that.
        baseline: Whether to fit quick classical methods (a linear model and, for tables, gradient boosting) before the
            first trial, to compare the best network with: `Study.baselines`, `Study.ahead`. They take at most 10 % of a
            time budget and 30 seconds, or 10 seconds without one. `None` for yes if the strategy is "auto", the task
            has classical methods, and a time budget is 20 seconds or more.
        ensemble: The largest number of networks of the search that are combined in an ensemble (`Study.ensemble`), 2 or
            more; 0 for none. It is selected on the validation data, and evaluated on the test data beside the best
            single network.
        path: The run folder, created if it does not exist; `None` for a study in memory. If the folder is not empty and
            not a run folder, a warning is given and the run folder is a new folder inside it, "archwright-run".
        store: The database of the record, in place of the run folder's own: the path of an SQLite file, or a URL such
            as "postgresql://user@host/database". It may hold many studies.
        name: The name of the study in the store; by default that of the run folder.
        resume: Whether to continue the study, if it exists.
        seed: The random seed; 0 or more.
        workers: The number of trials at a time. With 2 or more, each runs in a process of its own, with its share of
            the threads; "auto" for as many as there are cores or GPUs, if that pays. The evaluator, its data and the
            space are sent to each process once.
        trial_seconds: The time limit of a trial; one that exceeds it is stopped. `None` for that of the budget.
        trial_memory: The memory limit of a trial in gigabytes; one that exceeds it is ended, and fails. It runs in a
            process of its own then, also with one worker. Linux only.
        retries: How often a trial is started again whose process died; after that it fails.
        executor: Where trials run: "processes" of this machine, "ray" or "slurm"; or a cluster, such as
            `aw.Ray(address="auto", gpus=0.5)` or `aw.Slurm(cpus=4)`.
        callbacks: Callbacks that follow the search.
        progress: Whether to show the progress on standard error: a live display in terminals and notebooks, else a line
            for each trial, at most one a second where there are many. The level of the logger "archwright" switches it
            off for all searches: `logging.getLogger("archwright").setLevel(logging.WARNING)`.

    Raises:
        BudgetError: No budget is given.
        UnknownName: No strategy, space or executor has that name.
        MissingExtra: The library of the executor is not installed.
        StrategyError: The strategy does not support the space, or needs a supernet and the task is a function.
        SchedulerError: The scheduler cannot work with the evaluator, the strategy, the fidelities or the budget.
        ArchitectureError: A start does not belong to the space.
        SpaceError: The space has parts that the evaluator does not understand.
        ShapeError: The space's networks do not fit the evaluator's data.
        StudyError: The study exists, and `resume` is not set or that study differs; or baselines are asked for, and the
            task has none.
        StudyLocked: Another process writes to the study.

    Example:
        >>> import archwright as aw
        >>> study = aw.search("mlp", aw.Training(aw.data("iris"), epochs=2), budget=aw.Budget(trials=1), final=False)
        >>> study.stopped_by
        'trials'
    """
    start = began()
    settings = Workers(workers, trial_seconds, trial_memory, retries, executor)
    callbacks = callbacks_of(callbacks, progress)
    wanted = None if objective is None else parse_objectives(objective)
    if isinstance(strategy, str) and strategy != "auto":
        strategy = strategies.create(strategy)
    measure = with_supernet(evaluator_of(task, wanted), strategy)
    where = _as_space(space, measure)
    path = None if path is None else inside_of(Path(path))
    before = None
    if resume and Place.find(path, store, name).holds_study():
        before = Study.open(
            path, store=store, name=name, space=where, strategy=strategy if isinstance(strategy, Strategy) else None
        )
    why: tuple[str, ...] = ()
    if wanted is not None:
        aims = wanted
    elif before is not None:
        aims = before.objectives
    else:
        aims, why = default_objectives(measure, strategy, budget)
    bounds = parse_constraints(constraints)
    if strategy == "auto" and before is None and not warm_start:
        warm_start, told = from_knowledge(measure.task, where, aims)
        why = (*why, *told)
    measure = with_costs(measure, aims, bounds, costs)
    check_metrics_known(measure, aims, bounds)
    baselines = has_baselines(baseline, strategy, measure, budget)
    for cost in costs_of(measure):
        cost.check(where, measure.example_input)
    check_run(where, measure, budget, final)
    check_ensemble(ensemble, measure, aims)
    assert budget is not None
    given: Mapping[str, tuple[float, float]] | Ladder | None = fidelity
    if before is not None:
        strategy = before.strategy if strategy == "auto" else strategy
        scheduler = before.scheduler if scheduler == "auto" else scheduler
        given = before.ladder if fidelity is None and before.ladder.rungs else fidelity
        bounds = bounds or before.constraints
        starts = before.starts if starts is None else starts
    plan = choose(
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
        began=start,
    )
    check_strategy(where, plan.strategy, measure)
    check_scheduler(where, plan.scheduler, plan.ladder, measure, budget)
    scorer = None if screen is None else proxy_scorer(ProxyFilter.parse(screen), where, measure)
    study = Study(
        where,
        strategy=plan.strategy,
        scheduler=plan.scheduler,
        fidelity=plan.ladder,
        inherit=inherit,
        screen=screen,
        constraints=plan.constraints,
        starts=plan.starts,
        warm_start=warm_start,
        priors=priors,
        objective=aims,
        seed=seed,
        path=path,
        store=store,
        name=name,
        resume=resume,
    )
    why, study.forecast = (*why, *plan.why, *told_background(study.history.background)), plan.forecast
    return study._run(
        measure, budget, final, ensemble, callbacks, settings, why=why, baselines=baselines, scorer=scorer, start=start
    )


load = Study.open


def _as_space(space: object, evaluator: Evaluator) -> Space:
    if isinstance(space, Space):
        return space
    if not isinstance(space, str):
        raise SpaceError(f"a search space is a Space or the name of a ready-made one, not {space!r}")
    from archwright import spaces

    options = {} if evaluator.task is None else spaces.fitting(space, evaluator.task.space_options)
    return spaces.create(space, **options)
