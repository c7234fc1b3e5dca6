"""The base class of callbacks that record each trial as a run of another tool."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archwright.study import Callback

if TYPE_CHECKING:
    from archwright.study import Study
    from archwright.trials import Trial

Settings = Mapping[str, bool | float | str]

_PLAIN = (bool, int, float, str)


@dataclass
class _Run:
    """A run that is open."""

    handle: Any
    settings: Settings
    step: float = 0.0


class Tracker(Callback, ABC):
    """Base class of callbacks that record each trial as a run of another tool.

    The run of trial 7 is "trial-7", that of its final training "final-7". A run has the decisions of the trial as its
    settings, with its seed and its fidelity; each report; and the metrics and the state at the end. A trial that is
    started again is a new run. If the tool fails, a warning says so, and the search goes on without it.

    Example:
        >>> class Printed(aw.callbacks.Tracker):
        ...     def begin(self, name, settings):
        ...         return print("begin", name, settings["x"])
        ...     def log(self, run, step, metrics):
        ...         print("log", dict(metrics))
        ...     def end(self, run, state, settings, metrics):
        ...         print("end", state)
        >>> space = aw.Space(x=aw.choice(3))
        >>> study = aw.search(space, lambda one: 1.0, budget=aw.Budget(trials=1), callbacks=[Printed()])
        begin trial-0 3
        log {'value': 1.0}
        end complete
    """

    optional = True

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}

    @abstractmethod
    def begin(self, name: str, settings: Settings) -> Any:
        """Begin a run, and return what stands for it."""

    @abstractmethod
    def log(self, run: Any, step: float, metrics: Mapping[str, float]) -> None:
        """Record metrics; those of the end are at the last step."""

    @abstractmethod
    def end(self, run: Any, state: str, settings: Settings, metrics: Mapping[str, float]) -> None:
        """End a run, whose metrics at the end have been recorded already.

        Args:
            run: The run.
            state: The state of the trial; "complete" after a final training, and "interrupted" where there is no end.
            settings: The settings of the run.
            metrics: The metrics at the end.
        """

    def on_trial_start(self, study: Study, trial: Trial) -> None:
        """Begin a run."""
        self._begin(f"trial-{trial.number}", trial)

    def on_report(self, study: Study, trial: Trial, step: float, metrics: Mapping[str, float]) -> None:
        """Record a report, of a trial or of a final training."""
        run = self._runs[f"final-{trial.number}" if trial.ended else f"trial-{trial.number}"]
        run.step = step
        self.log(run.handle, step, metrics)

    def on_trial_end(self, study: Study, trial: Trial) -> None:
        """End the run of a trial."""
        self._end(f"trial-{trial.number}", trial.state, trial.metrics)

    def on_final_start(self, study: Study, trial: Trial) -> None:
        """Begin the run of a final training."""
        self._begin(f"final-{trial.number}", trial)

    def on_final_end(self, study: Study, trial: Trial, metrics: Mapping[str, float]) -> None:
        """End the run of a final training."""
        self._end(f"final-{trial.number}", "complete", metrics)

    def on_end(self, study: Study) -> None:
        """End what was interrupted."""
        for name in list(self._runs):
            self._end(name, "interrupted", {})

    def _begin(self, name: str, trial: Trial) -> None:
        if name in self._runs:  # its process has died
            self._end(name, "interrupted", {})
        fidelity = {f"fidelity.{name}": value for name, value in (trial.fidelity or {}).items()}
        settings: dict[str, Any] = {**trial.architecture, "trial.seed": trial.seed, **fidelity}
        settings = {key: value if isinstance(value, _PLAIN) else str(value) for key, value in settings.items()}
        self._runs[name] = _Run(self.begin(name, settings), settings)

    def _end(self, name: str, state: str, metrics: Mapping[str, float]) -> None:
        run = self._runs.pop(name)
        if metrics:
            self.log(run.handle, run.step, metrics)
        self.end(run.handle, state, run.settings, metrics)
