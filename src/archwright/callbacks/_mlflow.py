"""MLflow."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from archwright.callbacks._tracker import Settings, Tracker
from archwright.errors import require

_FORBIDDEN = re.compile(r"[^\w\-. :/]")  # in names, where "_" takes their place
_MOST_SETTINGS = 100  # in one call
_LONGEST = 6_000  # characters of a setting
_ENDS = {"failed": "FAILED", "interrupted": "KILLED"}


class MLflow(Tracker):
    """Callback that records each trial as a run of MLflow, with its decisions as parameters and the tag "state".

    Fractional steps are rounded down.

    Args:
        experiment: The name of the experiment, which is created if it does not exist; best one for each study.
        uri: The tracking server or database, such as "sqlite:///mlflow.db"; by default that of MLflow.

    Raises:
        MissingExtra: MLflow is not installed.

    Example:
        >>> flow = aw.callbacks.MLflow("digits", uri="sqlite:///mlflow.db")
        >>> space = aw.Space(x=aw.integer(0, 9))
        >>> study = aw.search(space, lambda one: one.settings["x"], budget=aw.Budget(trials=2), callbacks=[flow])
        >>> sorted(run.info.run_name for run in flow.client.search_runs([flow.experiment]))
        ['trial-0', 'trial-1']
    """

    def __init__(self, experiment: str = "archwright", *, uri: str | None = None) -> None:
        super().__init__()
        require("mlflow", extra="mlflow", purpose="archwright.callbacks.MLflow")
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=uri)
        found = self.client.get_experiment_by_name(experiment)
        self.experiment = self.client.create_experiment(experiment) if found is None else found.experiment_id

    def begin(self, name: str, settings: Settings) -> Any:
        """Create a run with parameters, and return its id."""
        from mlflow.entities import Param

        run = self.client.create_run(self.experiment, run_name=name).info.run_id
        parameters = [Param(_name(key), str(value)[:_LONGEST]) for key, value in settings.items()]
        for start in range(0, len(parameters), _MOST_SETTINGS):
            self.client.log_batch(run, params=parameters[start : start + _MOST_SETTINGS])
        return run

    def log(self, run: Any, step: float, metrics: Mapping[str, float]) -> None:
        """Record metrics."""
        from mlflow.entities import Metric

        now = round(1000 * time.time())
        self.client.log_batch(run, [Metric(_name(name), value, now, int(step)) for name, value in metrics.items()])

    def end(self, run: Any, state: str, settings: Settings, metrics: Mapping[str, float]) -> None:
        """Set the state of a run."""
        self.client.set_tag(run, "state", state)
        self.client.set_terminated(run, _ENDS.get(state, "FINISHED"))


def _name(name: str) -> str:
    return _FORBIDDEN.sub("_", name)
