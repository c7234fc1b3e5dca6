"""Evaluation of jobs."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from archwright.errors import ArchwrightError, StudyError
from archwright.evaluate import Candidate, Evaluator, Saved, Stopped, check_metrics
from archwright.execute._job import Job, Origin, Report
from archwright.execute._outcome import broken_by, report_of
from archwright.trials import Constraint

if TYPE_CHECKING:
    import torch

    from archwright.space import Space

T = TypeVar("T")

Listen = Callable[[Report], Stopped | None]
"""Is told what an evaluation reports on the way; returns why it is to end now, if it is."""


class Attempt(Protocol):
    """Runs code of others: returns what it gives, or the exception that it raises."""

    def __call__(self, doing: str, call: Callable[[], T], seed: int | None = None, /) -> T | BaseException:
        """Run the code."""


class States(Protocol):
    """What trials leave for those that go on from them, by their numbers."""

    def load(self, number: int, digest: str | None, /) -> dict[str, Any]:
        """Return a state.

        Raises:
            LookupError: It is lost, or has another digest; the message says why.
        """

    def keep(self, number: int, state: Mapping[str, Any], /) -> str:
        """Keep a state, and return its digest."""


def attempt(doing: str, call: Callable[[], T], seed: int | None = None) -> T | BaseException:
    """Return what code of others gives, or the exception that it raises."""
    try:
        return call()
    except Exception as error:
        return error


class Worker:
    """Evaluation of jobs: create the candidate, call the evaluator, and report.

    Args:
        space: The space of the jobs' architectures.
        evaluator: The evaluator.
        constraints: Constraints that can end an evaluation before the training.
        states: Storage of checkpoints, or `None`.
        attempt: A function that calls the evaluator.

    Example:
        >>> from archwright.evaluate import as_evaluator
        >>> from archwright.execute import Job, Worker
        >>> space = aw.Space(x=aw.integer(0, 9))
        >>> worker = Worker(space, as_evaluator(lambda candidate: candidate.settings["x"]))
        >>> worker.run(Job(0, space.fingerprint, aw.Architecture({"x": 4}), seed=0))[0].metrics
        {'value': 4.0}
    """

    def __init__(
        self,
        space: Space,
        evaluator: Evaluator,
        *,
        constraints: Iterable[Constraint] = (),
        states: States | None = None,
        attempt: Attempt = attempt,
    ) -> None:
        self.space, self.evaluator = space, evaluator
        self._constraints = tuple(constraints)
        self._states = states
        self._attempt = attempt
        self._process = os.getpid()

    def run(self, job: Job, listen: Listen = lambda report: None) -> tuple[Report, Candidate]:
        """Run a job; return its final report, and the candidate with its network.

        Args:
            job: The job.
            listen: Called with intermediate reports.

        Raises:
            StudyError: The job belongs to another space.
        """
        if job.space != self.space.fingerprint:
            raise StudyError(f"the job of trial {job.trial} is of another space than this worker's")
        candidate = self.candidate(job, listen)
        start = time.monotonic()

        def evaluate() -> dict[str, float]:
            self._inherit(job, candidate, listen)
            return check_metrics(self.evaluator.evaluate(candidate))

        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            torch.cuda.reset_peak_memory_stats()  # the peak is told where memory has run out
        outcome = self._attempt(f"trial {job.trial}", evaluate, job.seed)
        seconds = time.monotonic() - start
        try:
            report = report_of(job.trial, outcome, curve=candidate.curve, seconds=seconds)
        except Exception as error:  # of a curve that the evaluator has made something else of
            report = report_of(job.trial, error, curve=(), seconds=seconds)
        if report.kind == "failed":
            del outcome  # with the tensors of the calls in its traceback
            _empty_cache()
        return report, candidate

    def candidate(self, job: Job, listen: Listen = lambda report: None) -> Candidate:
        """Return the candidate of a job."""
        answer: Stopped | None = None

        def report(step: float, metrics: Mapping[str, float]) -> None:
            nonlocal answer
            if self._is_own_process:
                answer = listen(Report(job.trial, "progress", metrics, tuple(candidate.curve)))

        candidate = Candidate(
            self.space,
            job.architecture,
            seed=job.seed,
            fidelity=job.fidelity,
            stages=job.stages,
            device=self.evaluator.device,
            deadline=None if job.seconds is None else time.monotonic() + job.seconds,
            listener=report,
            example_input=self.evaluator.example_input,
            preprocess=self.evaluator.preprocess,
            stop=lambda curve: answer,
            restore=lambda: self._restore(job, candidate, listen),
            save=(lambda state: self._save(job, state, listen)) if job.saves else None,
            precheck=lambda metrics: broken_by(metrics, self._constraints),
        )
        return candidate

    # ------------------------------------------------------------------ what trials hand on

    def _restore(self, job: Job, candidate: Candidate, listen: Listen) -> Saved | None:
        """Return what the trial before left; where that is lost, let this one begin as the first of them did."""
        if job.before is None:
            return None
        saved = self._left(job, job.before, "starts again", listen)
        if saved is None:
            self._inherit(job, candidate, listen)
        return saved

    def _inherit(self, job: Job, candidate: Candidate, listen: Listen) -> None:
        """Let a candidate begin with the weights of another architecture's trial, if there is one to inherit from."""
        saved = None if job.parent is None else self._left(job, job.parent, "begins from scratch", listen)
        if saved is not None:
            candidate.take_over(saved)

    def _left(self, job: Job, origin: Origin, instead: str, listen: Listen) -> Saved | None:
        """Return what a trial left for another; where it is lost or of no use, say what the other does instead."""
        assert self._states is not None
        try:
            if not origin.kept:
                raise LookupError("was not among the few that are kept")
            state = self._states.load(origin.trial, origin.digest)
            return Saved(state, origin.curve, self._grown(job, origin, state))
        except LookupError as error:
            reason = str(error)
        except ArchwrightError as error:
            reason = f"is of no use ({error})"
        told = f"the checkpoint of trial {origin.trial} {reason}: trial {job.trial} {instead}"
        listen(Report(job.trial, "problem", error=told))
        return None

    def _grown(self, job: Job, origin: Origin, state: Mapping[str, Any]) -> torch.nn.Module | None:
        """Return the job's network with the weights of another's; `None` where the two are the same network."""
        if origin.architecture == job.architecture or "model" not in state:
            return None
        from archwright.morphism import inherit

        network, _ = inherit(
            self.space,
            job.architecture,
            origin.architecture,
            state["model"],
            seed=job.seed,
            example_input=self.evaluator.example_input,
        )
        return network

    def _save(self, job: Job, state: Mapping[str, Any], listen: Listen) -> None:
        """Keep what a trial leaves for those that go on from it."""
        if not self._is_own_process or self._states is None:
            return
        try:
            digest = self._states.keep(job.trial, state)
        except Exception:  # whatever an evaluator saves, and however full the disk is
            told = f"the checkpoint of trial {job.trial} could not be kept; what goes on from it starts again"
            listen(Report(job.trial, "problem", error=told, cause=traceback.format_exc()))
        else:
            listen(Report(job.trial, "saved", cause=digest))

    @property
    def _is_own_process(self) -> bool:
        """Whether this is not a process that an evaluator has forked."""
        return os.getpid() == self._process


def _empty_cache() -> None:
    """Give back GPU memory that a failed evaluation has left in the cache of torch, which is not loaded for this."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
