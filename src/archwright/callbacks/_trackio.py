"""Trackio."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

from archwright.callbacks._tracker import Settings, Tracker
from archwright.errors import require


class Trackio(Tracker):
    """Callback that records each trial as a run of Trackio, with its decisions as the configuration.

    The state is "state" in the last row of a run. The data are in a local SQLite file, which `trackio show` shows, or
    in a Space of Hugging Face.

    Args:
        project: The name of the project; best one for each study.
        space: The Space, such as "user/name"; by default none.

    Raises:
        MissingExtra: Trackio is not installed.

    Example:
        >>> tracker = aw.callbacks.Trackio("digits")  # doctest: +SKIP
        >>> study = aw.search("mlp", data, budget=aw.Budget(trials=20), callbacks=[tracker])  # doctest: +SKIP
    """

    def __init__(self, project: str = "archwright", *, space: str | None = None) -> None:
        super().__init__()
        self._trackio = require("trackio", extra="trackio", purpose="archwright.callbacks.Trackio")
        self._project, self._space = project, space

    def begin(self, name: str, settings: Settings) -> Any:
        """Create a run beside the others; of a trial that is started again it goes on."""
        config = {key.lstrip("_") or key: value for key, value in settings.items()}  # those with "_" are Trackio's own
        with redirect_stdout(io.StringIO()):  # it prints lines for each run
            return self._trackio.init(
                self._project, name, space_id=self._space, config=config, resume="allow", embed=False
            )

    def log(self, run: Any, step: float, metrics: Mapping[str, float]) -> None:
        """Record metrics."""
        run.log({"epoch": step, **metrics})

    def end(self, run: Any, state: str, settings: Settings, metrics: Mapping[str, float]) -> None:
        """Finish a run."""
        run.log({"state": state})
        with redirect_stdout(io.StringIO()):
            run.finish()
