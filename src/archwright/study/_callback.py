"""Callbacks of a search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from archwright.errors import StudyError
from archwright.trials import Trial

if TYPE_CHECKING:
    from archwright.evaluate import Learned
    from archwright.study._baseline import Baseline
    from archwright.study._ensemble import Ensemble
    from archwright.study._study import Study


class Callback:
    """Base class of callbacks, whose methods are called during a search; by default they do nothing.

    The methods are called in the process and thread of the search, also if trials run in other processes.
    `study.stop()` ends the search after the current trial; an exception ends it at once, except in `on_report`, where
    it ends the trial: `archwright.evaluate.Stopped` prunes it, any other exception fails it.

    Attributes:
        optional: Whether the search goes on without the callback after an exception, with a warning that names it, as
            is right for one that only records.

    Example:
        >>> import archwright as aw
        >>> class Show(aw.Callback):
        ...     def on_trial_end(self, study, trial):
        ...         print(trial.number, trial.state)
        >>> found = aw.search(aw.Space(x=aw.choice(1)), lambda c: 1.0, budget=aw.Budget(trials=1), callbacks=[Show()])
        0 complete
    """

    optional: bool = False

    def on_start(self, study: Study) -> None:
        """Called when the search starts or is resumed."""

    def on_baseline(self, study: Study, baseline: Baseline) -> None:
        """Called when a classical baseline has been fitted, before the first trial, and is recorded."""

    def on_prepare(self, study: Study, step: int, metrics: Mapping[str, float]) -> None:
        """Called for each report of the evaluator's preparation before the first trial."""

    def on_prepared(self, study: Study, learned: Learned) -> None:
        """Called after the evaluator's preparation, when its result is recorded."""

    def on_trial_start(self, study: Study, trial: Trial) -> None:
        """Called when a trial starts."""

    def on_report(self, study: Study, trial: Trial, step: float, metrics: Mapping[str, float]) -> None:
        """Called for each report of a trial."""

    def on_trial_end(self, study: Study, trial: Trial) -> None:
        """Called when a trial has ended and is recorded."""

    def on_ensemble(self, study: Study, ensemble: Ensemble) -> None:
        """Called when the ensemble has been selected, tested and recorded."""

    def on_final_start(self, study: Study, trial: Trial) -> None:
        """Called when the final training of a trial's architecture starts."""

    def on_final_end(self, study: Study, trial: Trial, metrics: Mapping[str, float]) -> None:
        """Called when the final training of a trial's architecture has ended and is recorded."""

    def on_problem(self, study: Study, message: str) -> None:
        """Called for a problem that does not end the search, which is also a warning."""

    def on_end(self, study: Study) -> None:
        """Called at the end of the search, for whatever reason."""


def as_callbacks(callbacks: Iterable[Callback]) -> list[Callback]:
    """Return the callbacks of a search as a list.

    Raises:
        StudyError: One of them is something else.
    """
    listed = list(callbacks)
    for each in listed:
        given: object = each
        if isinstance(given, type) and issubclass(given, Callback):
            raise StudyError(f"callbacks takes instances: give {given.__name__}(), not {given.__name__}")
        if not isinstance(given, Callback):
            raise StudyError(f"a callback is a subclass of archwright.Callback, not {given!r}")
    return listed
