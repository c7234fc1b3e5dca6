"""TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archwright.callbacks._tracker import Settings, Tracker
from archwright.errors import require

_FLUSH = 10  # seconds until what is recorded can be seen


class TensorBoard(Tracker):
    """Callback that writes each trial as a run for TensorBoard, with its decisions for the HParams dashboard.

    Fractional steps are rounded down. The state is the text "state".

    Args:
        folder: The folder of the runs, for `tensorboard --logdir`.

    Raises:
        MissingExtra: TensorBoard is not installed.

    Example:
        >>> board = aw.callbacks.TensorBoard("board")
        >>> space = aw.Space(x=aw.integer(0, 9))
        >>> study = aw.search(space, lambda one: one.settings["x"], budget=aw.Budget(trials=2), callbacks=[board])
        >>> sorted(path.name for path in board.folder.iterdir())
        ['trial-0', 'trial-1']
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        super().__init__()
        require("tensorboard", extra="tensorboard", purpose="archwright.callbacks.TensorBoard")
        self.folder = Path(folder)

    def begin(self, name: str, settings: Settings) -> Any:
        """Return the writer of a run's folder."""
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.folder / name), flush_secs=_FLUSH)

    def log(self, run: Any, step: float, metrics: Mapping[str, float]) -> None:
        """Write scalars."""
        for name, value in metrics.items():
            run.add_scalar(name, value, int(step))

    def end(self, run: Any, state: str, settings: Settings, metrics: Mapping[str, float]) -> None:
        """Write the settings with the names of the metrics, and close the file."""
        from torch.utils.tensorboard.summary import hparams

        run.add_text("state", state)
        # `SummaryWriter.add_hparams` would write them into another run, below this one.
        for summary in hparams(dict(settings), dict(metrics)):  # type: ignore[no-untyped-call]  # torch has none
            run.file_writer.add_summary(summary)
        run.close()
