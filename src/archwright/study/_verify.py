"""Verification of a study: its proposals are replayed from the record, and trials run again."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from archwright._fields import fields, number
from archwright._scalars import is_whole, scalar
from archwright.cost import costs_of
from archwright.errors import ArchwrightError, StudyError
from archwright.evaluate import Evaluator, Stopped
from archwright.execute import Checkpoints, InProcess, Job, Report, Worker, conclude, drive
from archwright.store import Record
from archwright.study import _describe as describe
from archwright.study._budget import Budget
from archwright.study._check import resumed
from archwright.study._dispatcher import Dispatcher
from archwright.study._guard import Guard
from archwright.study._prechecks import prechecks_for
from archwright.study._propose import Planner
from archwright.study._proxy_filter import proxy_scorer
from archwright.study._recorder import TIMED, outside_of
from archwright.study._workers import Workers, measured_metrics
from archwright.trials import History, Trial

if TYPE_CHECKING:
    from archwright.study._study import Study

_TOLD = 3  # differing decisions or metrics that are named


@dataclass(frozen=True)
class Verification:
    """The result of `verify`.

    Args:
        proposals: How each replayed proposal differs from the record, by the number of the trial; empty where it
            agrees.
        unknown: The trials on record without what their proposals had seen, which an earlier version has stored.
        trials: How the metrics of each trial that was run again differ from the record; empty where they agree.
        measured: Metrics that are measured on this machine, such as a latency, and are not compared.
        versions: The packages that are not those of the record: the version then, and now.

    Example:
        >>> from archwright.study import Verification
        >>> Verification({0: "", 1: "x is 3, and 4 is proposed"}).agrees
        False
    """

    proposals: Mapping[int, str]
    unknown: tuple[int, ...] = ()
    trials: Mapping[int, str] = field(default_factory=dict)
    measured: tuple[str, ...] = ()
    versions: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not any((*self.proposals.values(), *self.trials.values()))

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        return {
            "agrees": self.agrees,
            "proposals": {str(number): told for number, told in self.proposals.items()},
            "unknown": list(self.unknown),
            "trials": {str(number): told for number, told in self.trials.items()},
            "measured": list(self.measured),
            "versions": {name: list(pair) for name, pair in self.versions.items()},
        }


def verify(study: Study, *, trials: int = 0) -> Verification:
    """Replay each proposal of a study from its record, and run some of its trials again; nothing is written.

    A proposal depends on the seed, the number of its trial, the trials that had ended, in their order, those that were
    running, training times that were measured for a constraint, and replies of a server. All of it is on record, for
    any number of workers, also of a study that was interrupted and resumed. No server is asked.

    Trials are run again as they were run first: with their seeds, and in as many processes; those of a cluster in
    processes of this machine. Only complete trials are, without those that inherited weights, distributed evenly over
    the search, and the best one among them.

    Args:
        study: The study.
        trials: The number of trials to run again; fewer if there are not as many.

    Raises:
        StudyError: The space, the strategy, or the evaluator, if it is needed, cannot be restored from the record; or
            no trial can be run again.

    Example:
        >>> from archwright.study import verify
        >>> space = aw.Space(x=aw.integer(0, 99))
        >>> study = aw.search(space, lambda one: one.settings["x"], strategy="evolution", budget=aw.Budget(trials=30))
        >>> verify(study, trials=2).agrees
        True
    """
    trials = scalar(trials)
    if not is_whole(trials) or trials < 0:
        raise StudyError(f"trials is the number of trials to run again, 0 or more, not {trials!r}")
    document, now = study._recorder.document, describe.versions()
    planner, records = _planner(study), study._recorder.records()
    proposals = dict(_replay(study, planner, records))
    again: dict[int, str] = {}
    measured: tuple[str, ...] = ()
    if trials:
        evaluator = _evaluator(study)
        measured = tuple(measured_metrics(evaluator))
        again = dict(_run_again(study, planner, evaluator, trials, measured))
    return Verification(
        proposals,
        tuple(record.trial.number for record in records if record.seen is None),
        again,
        measured,
        {name: (was, now[name]) for name, was in document["versions"].items() if now.get(name, was) != was},
    )


def _evaluator(study: Study) -> Evaluator:
    stored = study._recorder.document["evaluator"]
    return resumed(study.evaluator, study.strategy, study.objectives, study.constraints, stored)


def _planner(study: Study) -> Planner:
    """Return what has made the proposals, without what it knows of them."""
    planner = replace(study._plan)
    if (planner.constraints or planner.screen) and study.budget is not None:  # a run knows more than `ask`
        evaluator = _evaluator(study)
        planner.prechecks = prechecks_for(study.space, planner.constraints, evaluator)
        if planner.screen is not None:
            planner.scorer = proxy_scorer(planner.screen, study.space, evaluator)
    return planner


# ------------------------------------------------------------------ proposals


def _replay(study: Study, planner: Planner, records: list[Record]) -> Iterator[tuple[int, str]]:
    """Yield how each proposal that is made again differs from the record."""
    reference = study._recorder.document["reference"]
    history = History(study.objectives, constraints=study.constraints, reference=reference)
    history.learned, history.background = study.learned, study.history.background
    history.outside.is_replay = True
    over = sorted((record for record in records if record.ended is not None), key=lambda record: record.ended or 0)
    count = 0  # trials that have ended
    for record in records:
        trial = record.trial
        if trial.architecture not in study.space:
            yield trial.number, f"{trial.architecture.id} is not in the space; what follows cannot be replayed"
            return
        try:
            if record.seen is not None:
                planner.prechecks.believe(_timed(record))
                history.outside.put(trial.number, outside_of(record))
                for ended in over[count : record.seen]:
                    history.add(ended.trial)
                count = max(count, record.seen)
                yield trial.number, _difference(trial, planner.next(history))
            history.add(_begun(trial))
        except (ArchwrightError, ValueError) as error:  # of a record that was changed
            yield trial.number, f"{error}; what follows cannot be replayed"
            return


def _timed(record: Record) -> dict[str, float]:
    """Return the training times that were measured for a proposal.

    Raises:
        ValueError: They cannot be read.
    """
    stored = fields((record.saw or {}).get(TIMED, {}), TIMED)
    return {architecture: number(seconds, f"a time of {TIMED}") for architecture, seconds in stored.items()}


def _begun(trial: Trial) -> Trial:
    """Return a trial as it was when it began."""
    return replace(trial, state="running", metrics={}, curve=(), seconds=0.0, error=None)


def _difference(trial: Trial, again: Trial) -> str:
    told = _changes(dict(trial.architecture), dict(again.architecture))
    for name in ("seed", "fidelity", "share", "origin"):
        told += _changes({name: getattr(trial, name)}, {name: getattr(again, name)})
    return _listed(told, "is proposed")


# ------------------------------------------------------------------ trials


def _run_again(
    study: Study, planner: Planner, evaluator: Evaluator, count: int, left_out: Collection[str]
) -> Iterator[tuple[int, str]]:
    """Run trials again, and yield how the metrics of each differ from the record, with some left out."""
    history = study.history
    if evaluator.prepares:
        raise StudyError("the trials of this study use the weights of a supernet, and are not run again")
    chosen = {trial.number: trial for trial in _chosen(history, count)}
    if not chosen:
        raise StudyError("the study has no complete trial that can be run again")
    recorder, budget = study._recorder, study.budget or Budget(trials=1)
    workers, _ = Workers.from_json(recorder.document["workers"] or {}).decided(evaluator, budget)
    dispatcher = Dispatcher(planner, recorder, Checkpoints(None), evaluator, lambda problem: None)
    jobs = iter([dispatcher.job_alone(trial) for trial in chosen.values()])
    costs = {name for cost in costs_of(evaluator) for name in cost.metrics}

    def listen(report: Report) -> Stopped | None:
        """Stop a trial where its last report was its result."""
        trial, row = chosen[report.trial], {**report.metrics}
        results = {name: value for name, value in trial.metrics.items() if name not in costs or name in row}
        return Stopped(complete=True) if len(report.curve) == len(trial.curve) and results == row else None

    def next_job() -> Job | None:
        return next(jobs, None)

    with Guard(math.inf, lambda message: False) as guard:
        worker = Worker(study.space, evaluator, constraints=history.constraints, attempt=guard.attempt)
        executor = (
            workers.start(worker, history.constraints, None, budget) if workers.are_processes else InProcess(worker)
        )
        try:
            for report, _ in drive(executor, next_job, listen):
                trial = chosen[report.trial]
                checked = planner.prechecks.checked(trial.architecture)
                again = conclude(_begun(trial), report, history, checked=checked)
                if again.state != "complete":
                    yield trial.number, f"it is complete on record, and {again.state} again: {again.cause}"
                    continue
                kept, came = (
                    {name: value for name, value in each.metrics.items() if name not in left_out}
                    for each in (trial, again)
                )
                told = _listed(_changes(kept, came), "comes again")
                seconds = (trial.fidelity or {}).get("seconds")
                if told and seconds is not None:
                    told += f"; it was trained for {seconds:.3g} s, in which another number of steps was made"
                yield trial.number, told
        finally:
            executor.close()


def _chosen(history: History, count: int) -> list[Trial]:
    """Return complete trials that have learnt from no other one, evenly distributed, with the best among them."""
    able = []
    for trial in history.complete:
        first = trial
        while (before := history.before(first)) is not None:
            first = before
        is_copy = trial.origin is None and history.measured(trial.architecture, trial.share) is not trial
        if first.origin is None and not is_copy:
            able.append(trial)
    able.sort(key=lambda trial: trial.number)
    chosen = [able[place * len(able) // count] for place in range(count)] if count < len(able) else able
    best = history.best
    return chosen if best in chosen or best not in able else [*chosen[:-1], best]


# ------------------------------------------------------------------ differences


def _changes(kept: Mapping[str, Any], came: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return what differs: a name, the value on record, and the other one."""
    found = []
    for name in {**kept, **came}:
        one, other = kept.get(name), came.get(name)
        if one != other and repr(one) != repr(other):  # NaN is not equal to itself
            found.append((name, repr(one), repr(other)))
    return found


def _listed(changes: list[tuple[str, str, str]], what: str) -> str:
    told = [f"{name} is {kept}, and {came} {what}" for name, kept, came in changes[:_TOLD]]
    more = len(changes) - len(told)
    return "; ".join([*told, *([f"{more} more differ"] if more else [])])
