"""Weights & Biases."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from archwright.callbacks._tracker import Settings, Tracker
from archwright.errors import require


class WandB(Tracker):
    """Callback that records each trial as a run of Weights & Biases, with its decisions as the configuration.

    The state is "state" in the summary of a run; a failed or interrupted one ends with exit code 1.

    Args:
        project: The name of the project.
        group: The name of the group of the runs, such as that of the study.
        mode: "online", "offline" (`wandb sync` uploads the runs later) or "disabled"; by default as in WANDB_MODE.
        folder: The folder in which "wandb/" is made; by default the working directory.

    Raises:
        MissingExtra: Weights & Biases is not installed.

    Example:
        >>> tracker = aw.callbacks.WandB("digits", mode="offline")  # doctest: +SKIP
        >>> study = aw.search("mlp", data, budget=aw.Budget(trials=20), callbacks=[tracker])  # doctest: +SKIP
    """

    def __init__(
        self,
        project: str = "archwright",
        *,
        group: str | None = None,
        mode: str | None = None,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        self._wandb = require("wandb", extra="wandb", purpose="archwright.callbacks.WandB")
        place = None if folder is None else os.fspath(folder)
        self._options = {"project": project, "group": group, "mode": mode, "dir": place}

    def begin(self, name: str, settings: Settings) -> Any:
        """Create a run beside the others."""
        silent = self._wandb.Settings(silent=True, console="off")  # what the search prints is not that of a trial
        run = self._wandb.init(name=name, config=dict(settings), reinit="create_new", settings=silent, **self._options)
        run.define_metric("*", step_metric="step")
        return run

    def log(self, run: Any, step: float, metrics: Mapping[str, float]) -> None:
        """Record metrics."""
        run.log({"step": step, **metrics})

    def end(self, run: Any, state: str, settings: Settings, metrics: Mapping[str, float]) -> None:
        """Finish a run."""
        run.summary["state"] = state
        run.finish(exit_code=int(state in ("failed", "interrupted")))
