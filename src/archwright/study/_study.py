"""Studies with an ask-and-tell interface."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright import schedulers, strategies
from archwright._scalars import scalar
from archwright._words import counted
from archwright.cost import COUNTED, check_metrics_known
from archwright.errors import BudgetError, SchedulerError, StrategyError, StudyError
from archwright.evaluate import Evaluator
from archwright.execute import Checkpoints, Outcome, Report, conclude, report_of
from archwright.schedulers import Ladder, Range, Scheduler
from archwright.space import Space, load_code
from archwright.strategies import Strategy, for_objectives
from archwright.study import _describe as describe
from archwright.study._best import Artifacts
from archwright.study._budget import Budget
from archwright.study._callback import Callback
from archwright.study._check import check_run, check_scheduler, check_strategy, evaluator_of, resumed
from archwright.study._clock import began
from archwright.study._ensemble import check_ensemble
from archwright.study._forecast import Forecast
from archwright.study._loop import SearchLoop
from archwright.study._place import Place
from archwright.study._prechecks import prechecks_for
from archwright.study._progress import callbacks_of
from archwright.study._propose import Planner
from archwright.study._proxy_filter import ProxyFilter, ProxyScorer, proxy_scorer
from archwright.study._recorder import Recorder
from archwright.study._reduced import as_ladder
from archwright.study._results import Results
from archwright.study._warm import Source, background_of
from archwright.study._workers import Workers
from archwright.trials import Constraint, Objective, Trial, parse_constraints, parse_objectives

if TYPE_CHECKING:
    from typing import Self

    from archwright.execute import Cluster


class Study(Results):
    """A search with an ask-and-tell interface, whose trials are recorded from the first to the last.

    Each proposal is a function of the seed, its number and the trials before it, so an interrupted study is resumed
    with the same trials as an uninterrupted one. Several threads may ask and tell; they take turns.

    Args:
        space: The search space.
        strategy: The name of a strategy, or a strategy.
        objective: The objective: "max accuracy", "min loss"; or several: ["max accuracy", "min latency_ms"].
        seed: The random seed; 0 or more.
        path: The run folder, created if it does not exist, for the record of the trials, networks and checkpoints;
            `None` for a study in memory.
        store: The database of the record, in place of the run folder's own: the path of an SQLite file, or a URL such
            as "postgresql://user@host/database". It may hold many studies.
        name: The name of the study in the store; by default that of the run folder.
        resume: Whether to continue the study, if it exists.
        scheduler: The name of a scheduler, or a scheduler, which sets how much training each trial gets.
        fidelity: The range of a fidelity, by name: `{"epochs": (1, 27)}`; required by schedulers with several rungs.
            `trial.fidelity` is the fidelity of a trial, `trial.origin` the trial that it continues.
        inherit: Whether a trial is initialised with the weights of the most similar of the best trials before it, if
            the evaluator supports it.
        screen: A zero-cost proxy that selects one of 4 proposals: "naswot"; "naswot:16" selects one of 16. The
            evaluator needs data.
        constraints: Bounds of metrics, such as "parameters <= 1e6" or "accuracy >= 0.9". Counted costs (see
            `archwright.cost.COUNTED`) are checked before training, and infeasible architectures are not proposed. A
            trial that violates another constraint is infeasible, and proposals that are probably infeasible are
            rejected.
        starts: Architectures of the first trials, in this order; those that violate a constraint which is checked
            before training are omitted.
        warm_start: Earlier studies, as in `aw.search`.
        priors: Believed values of decisions, as in `aw.search`.
        reference: The reference point of the hypervolume: values of the objectives by metric. By default a little worse
            than the worst of the first ten complete trials.

    Attributes:
        path: The run folder, or `None`.
        stopped_by: What ended the last `run`: "trials", "seconds", "target", "exhausted", "interrupt", "callback", or
            "failures" if trials kept failing with the same error.

    Raises:
        UnknownName: No strategy has that name.
        StrategyError: The strategy does not support the space.
        SchedulerError: The scheduler does not support the strategy or the fidelities.
        ArchitectureError: A start does not belong to the space.
        StudyError: The study exists, and `resume` is not set or that study differs; or the folder is not empty and not
            a run folder.
        StudyLocked: Another process writes to the study.
        StoreError: The folder or the store cannot be used.

    Example:
        >>> import archwright as aw
        >>> study = aw.Study(aw.Space(x=aw.ordinal(1, 2, 3)), strategy="random", objective="max value")
        >>> trial = study.ask()
        >>> study.tell(trial, trial.architecture["x"]).state
        'complete'
    """

    _checkpoints: Checkpoints
    forecast: Forecast | None
    _session: SearchLoop | None
    _turn: threading.RLock  # of the thread that asks or tells
    _runner: int | None  # the thread that runs the search

    def __init__(
        self,
        space: Space,
        *,
        strategy: str | Strategy = "evolution",
        objective: str | Objective | Iterable[str | Objective] = "max value",
        seed: int = 0,
        path: str | os.PathLike[str] | None = None,
        store: str | os.PathLike[str] | None = None,
        name: str | None = None,
        resume: bool = False,
        scheduler: str | Scheduler = "full",
        fidelity: Mapping[str, Range] | Ladder | None = None,
        inherit: bool = False,
        screen: str | None = None,
        constraints: str | Constraint | Iterable[str | Constraint] = (),
        starts: Iterable[Mapping[str, Any]] = (),
        warm_start: Source | Iterable[Source] = (),
        priors: Mapping[str, Any] | None = None,
        reference: Mapping[str, float] | None = None,
    ) -> None:
        seed, inherit = scalar(seed), bool(inherit)
        strategy = strategies.create(strategy) if isinstance(strategy, str) else strategy
        scheduler = schedulers.create(scheduler) if isinstance(scheduler, str) else scheduler
        if not isinstance(strategy, Strategy):
            raise StrategyError(f"a strategy is a name or a Strategy, not {strategy!r}")
        if not isinstance(scheduler, Scheduler):
            raise SchedulerError(f"a scheduler is a name or a Scheduler, not {scheduler!r}")
        objectives = parse_objectives(objective)
        strategy = for_objectives(strategy, objectives)
        strategies.check_space(strategy, space)
        scheduler.check(strategy)
        if len(objectives) > 1 and not scheduler.multi_objective:
            raise SchedulerError(
                f"{scheduler!r} supports one objective, not {len(objectives)}: use a "
                "multi-objective scheduler, such as 'asha' or 'hyperband', or 'full'"
            )
        ladder = as_ladder(scheduler, fidelity, space)
        self._set_up(path, store, name, space, strategy)
        screened = None if screen is None else ProxyFilter.parse(screen)
        bounds = parse_constraints(constraints)
        first = tuple(dict.fromkeys(map(space.canonical, starts)))
        self._planner = Planner(space, strategy, scheduler, ladder, seed, inherit, screened, bounds, first)
        is_new = not (resume and self._recorder.place.holds_study())  # else the record has what earlier runs have left
        known = background_of(warm_start, priors, space, objectives, self._recorder.place) if is_new else None
        document = describe.describe(self._planner, objectives, reference, known)
        try:
            if not self._recorder.create(document):
                describe.check_joined(document, self._recorder, resume=resume)
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        store: str | os.PathLike[str] | None = None,
        name: str | None = None,
        space: Space | None = None,
        strategy: Strategy | None = None,
        evaluator: Any = None,
        code: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    ) -> Self:
        """Return the study of a run folder or of a store.

        Reading takes no lock. A study that is continued is read again first.

        Args:
            path: The run folder.
            store: The path or URL of the database, if it is not that of the run folder; by default the one that the
                environment variable ARCHWRIGHT_STORE names.
            name: The name of the study in the store; by default that of the run folder.
            space: The study's space; needed only if it cannot be restored from the record.
            strategy: The study's strategy; needed only if it is not registered.
            evaluator: The evaluator for `resume`; needed only if it cannot be restored from the record.
            code: Python files with the classes and functions of the space, if this program does not import them. They
                are executed.

        Raises:
            SpaceError: A file of code cannot be executed.
            StoreError: There is no study, or it is damaged.
            StudyError: The space differs from the recorded one; the message shows what changed.

        Example:
            >>> study = aw.Study(aw.Space(x=aw.integer(0, 9)), strategy="grid", path="mine")
            >>> study = study.run(lambda candidate: 1.0, aw.Budget(trials=3))
            >>> len(aw.load("mine").trials)
            3
        """
        for file in [code] if isinstance(code, str | os.PathLike) else code:
            load_code(file)
        study = cls.__new__(cls)
        if path is None and store is None:
            raise StudyError("which study? Give the run folder of a search, or store= and name=")
        study._set_up(path, store, name, space, strategy)
        study._recorder.read()
        if space is not None:
            describe.check_same_space(space, study._recorder.document, study._recorder.place)
        if evaluator is not None:
            study._evaluator = evaluator_of(evaluator, study.objectives)
        return study

    # ------------------------------------------------------------------ ask and tell

    def ask(self) -> Trial:
        """Return the next trial, and record it.

        Trials whose process died come first, unchanged.

        Raises:
            Exhausted: All architectures of the space were proposed.
            StudyError: The strategy or the space cannot be restored from the record.
            StudyLocked: Another process writes to the study.
        """
        with self._alone():
            return self._recorder.begin(self._recorder.next(self._plan))

    def tell(
        self,
        trial: Trial,
        outcome: Outcome | Report,
        *,
        curve: Iterable[Mapping[str, float]] = (),
        seconds: float | None = None,
    ) -> Trial:
        """Record the outcome of a trial.

        Args:
            trial: The trial returned by `ask`.
            outcome: The value of the objective; or metrics by name; or the exception that ended it.
                `archwright.evaluate.Stopped` prunes it, with the last point of its curve as its metrics;
                `archwright.evaluate.Infeasible`, like a violated constraint, makes it infeasible; any other exception
                fails it, with its traceback recorded, and so does an objective that is missing, NaN or infinite. Or a
                `Report`, which has the curve and the time, too.
            curve: Intermediate reports in order: "step" and metrics.
            seconds: Duration; by default the time since `ask`.

        Returns:
            The recorded trial.

        Raises:
            StudyError: The trial does not belong to this study, or has ended already.
            EvaluationError: The outcome has another type; the trial is still running.
        """
        with self._alone():
            recorder = self._recorder
            recorder.hold()
            held = self.trials[trial.number] if 0 <= trial.number < len(self.trials) else None
            if held is None or held.architecture != trial.architecture:
                raise StudyError(
                    f"trial {trial.number} ({trial.architecture.id}) is not one of this study's "
                    f"{counted(len(self.trials), 'trial')}; tell takes what ask returned"
                )
            if held.ended:
                raise StudyError(f"trial {trial.number} was told before: it is {held.state}")
            seconds = recorder.seconds(trial.number) if seconds is None else seconds
            prechecks, network = self._plan.prechecks, held.architecture
            unchecked = prechecks.failure(network)
            checked = prechecks.checked(network)
            report = outcome
            if not isinstance(report, Report):
                metric = self.objective.metric
                report = report_of(held.number, report, metric=metric, curve=curve, seconds=seconds)
            ended = conclude(held, report, self.history, checked=checked, unchecked=unchecked)
            recorder.end(ended)
            return ended

    # ------------------------------------------------------------------ the search

    @property
    def stopped_by(self) -> str | None:
        """The reason why the last `run` ended: see the class."""
        return None if self._session is None else self._session.stopped_by

    def run(
        self,
        evaluator: Any,
        budget: Budget,
        *,
        final: bool | int = True,
        ensemble: int = 0,
        workers: int | str = 1,
        trial_seconds: float | None = None,
        trial_memory: float | None = None,
        retries: int = 2,
        executor: str | Cluster = "processes",
        callbacks: Iterable[Callback] = (),
        progress: bool = True,
    ) -> Self:
        """Evaluate trials until the budget is used up, then run the final training; return the study itself.

        Ctrl-C ends it cleanly: the interrupted trials are run again by the next `run` or `resume`. Any exception of a
        candidate fails its trial; after 30 failures of one kind in a row the search ends. Changes of a trial to the
        process (random states, default dtype, working directory) are reverted after it. The run folder is locked during
        the run.

        In the main thread a trial, a strategy or a final training that exceeds its time by 5 seconds and a tenth of the
        time budget is interrupted. If that has no effect, as in C code, and there is a run folder, the process exits
        with status 124 after another minute and half the time budget.

        Args:
            evaluator: An `Evaluator`, or a function `f(candidate) -> float | dict`.
            budget: The budget, including what was spent before.
            final: Whether to train the best network from scratch, if the evaluator supports it; or the number of best
                networks. 30 % of a time budget are reserved for it; 60 % with a scheduler with lower fidelities.
            ensemble: The largest number of networks of the search that are combined in an ensemble (`Study.ensemble`),
                2 or more; 0 for none.
            workers: The number of trials at a time, as in `aw.search`.
            trial_seconds: The time limit of a trial, as in `aw.search`.
            trial_memory: The memory limit of a trial in gigabytes, as in `aw.search`.
            retries: How often a trial whose process died is started again, as in `aw.search`.
            executor: Where trials run, as in `aw.search`.
            callbacks: Callbacks that follow the search.
            progress: Whether to show the progress, as in `aw.search`.

        Raises:
            SpaceError: The space has parts that the evaluator does not support.
            ShapeError: The space's networks do not fit the evaluator's data.
            StrategyError: The strategy needs a supernet, and the space has decisions besides the network.
            StudyError: An objective or a constraint needs a metric that is not measured.
            StudyLocked: Another process writes to the study.
        """
        start = began()
        settings = Workers(workers, trial_seconds, trial_memory, retries, executor)
        given, stored = evaluator_of(evaluator, self.objectives), self._recorder.document["evaluator"]
        evaluator = resumed(given, self.strategy, self.objectives, self.constraints, stored)
        bounds = [each for each in self.constraints if each.metric not in COUNTED]
        check_metrics_known(evaluator, self.objectives, bounds)
        check_run(self.space, evaluator, budget, final)
        check_ensemble(ensemble, evaluator, self.objectives)
        self.forecast = None  # of a search before, in another budget
        return self._run(evaluator, budget, final, ensemble, callbacks_of(callbacks, progress), settings, start=start)

    def resume(
        self,
        budget: Budget | None = None,
        *,
        final: bool | int | None = None,
        ensemble: int | None = None,
        workers: int | str | None = None,
        executor: str | Cluster | None = None,
        callbacks: Iterable[Callback] = (),
        progress: bool = True,
    ) -> Self:
        """Continue the search with the recorded evaluator, or the one given to `load`.

        Args:
            budget: The budget, including what was spent before; by default the recorded one.
            final: As in `run`; by default as recorded.
            ensemble: As in `run`; by default as recorded.
            workers: As in `run`; by default as recorded, and so are the limits of trials.
            executor: As in `run`; has to be given again for a search that ran on a cluster.
            callbacks: Callbacks that follow the search.
            progress: Whether to show the progress, as in `aw.search`.

        Raises:
            StudyError: The evaluator cannot be restored from the record, or the executor is not given again.
            BudgetError: No budget is given, and none is recorded.
        """
        budget = budget or self.budget
        if budget is None:
            raise BudgetError("the study has no budget yet: study.resume(Budget(trials=100))")
        document = self._recorder.document
        settings = Workers.resumed(document["workers"], workers, executor)
        settings["final"] = (True if document["final"] is None else int(document["final"])) if final is None else final
        settings["ensemble"] = (document["ensemble"] or {"size": 0})["size"] if ensemble is None else ensemble
        return self.run(self.evaluator, budget, callbacks=callbacks, progress=progress, **settings)

    def stop(self) -> None:
        """End the search after the trials that run; to be called by callbacks."""
        if self._session is not None:
            self._session.stopped_by = "callback"

    def close(self) -> None:
        """Release the run folder for other processes. `ask`, `tell` and `run` open it again."""
        self._recorder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # ------------------------------------------------------------------ inside

    def _set_up(
        self,
        path: str | os.PathLike[str] | None,
        store: str | os.PathLike[str] | None,
        name: str | None,
        space: Space | None,
        strategy: Strategy | None,
    ) -> None:
        place = Place.find(path, store, name)
        self._turn, self._runner = threading.RLock(), None
        self.path = None if path is None else Path(path)
        self._session = None
        self.forecast = None
        self._space, self._strategy, self._evaluator = space, strategy, None
        self._planner = None
        self._recorder = Recorder(place)
        self._artifacts = Artifacts(place.folder)
        self._checkpoints = Checkpoints(place.folder)

    @contextmanager
    def _alone(self, *, running: bool = False) -> Iterator[None]:
        """Let one thread at a time use the study, and no other one while it runs the search.

        Raises:
            StudyError: Another thread runs the search.
        """
        if self._runner not in (None, threading.get_ident()):
            raise StudyError("another thread runs this study: wait until its search has ended")
        with self._turn:
            runner = self._runner
            if running:
                self._runner = threading.get_ident()
            try:
                yield
            finally:
                self._runner = runner

    def _run(
        self,
        evaluator: Evaluator,
        budget: Budget,
        final: bool | int,
        ensemble: int,
        callbacks: Iterable[Callback],
        workers: Workers,
        *,
        why: Sequence[str] = (),
        baselines: bool = False,
        scorer: ProxyScorer | None = None,
        start: float,
    ) -> Self:
        """Run what has been checked; the budget's time counts from `start`."""
        with self._alone(running=True):
            plan = self._plan
            check_strategy(self.space, plan.strategy, evaluator)
            check_scheduler(self.space, plan.scheduler, plan.ladder, evaluator, budget)
            plan.scorer, plan.prechecks = scorer, prechecks_for(self.space, plan.constraints, evaluator)
            plan.prechecks.check()
            if plan.screen is not None and scorer is None:
                plan.scorer = proxy_scorer(plan.screen, self.space, evaluator)
            self._recorder.hold()
            spent, done = self._recorder.clock.elapsed, self._recorder.progress
            self._recorder.clock.add(time.monotonic() - start)
            try:
                decided, reasons = workers.decided(evaluator, budget)
                lines = describe.choices(why or self.why, reasons, self.budget, budget)
                if lines != list(self.why):
                    self._recorder.update(why=lines)
                if baselines and self._recorder.document["baselines"] is None:
                    self._recorder.update(baselines=[])
                final, ensemble = int(final), int(ensemble)
                describe.write_down(self._recorder, evaluator, budget, final, ensemble, workers)
                self._evaluator = evaluator
                self._session = SearchLoop(
                    self,
                    plan,
                    self._recorder,
                    self._checkpoints,
                    self._artifacts,
                    evaluator,
                    budget,
                    final,
                    ensemble,
                    callbacks,
                    decided,
                )
                self._session.go()
                if any(done) and self._recorder.progress == done:
                    self._recorder.clock.set(spent)  # nothing was left to do: that it was found out costs nothing
                    self._recorder.update(elapsed=spent)
            finally:
                self.close()
            return self
