"""A study that another process goes on with, and its copy in a storage of Optuna."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from archwright import _disk
from archwright.errors import ArchwrightError, StudyError
from archwright.study._recorder import Recorder
from archwright.study._stop import request_stop
from archwright.trials import Trial, metrics_from_json

_LAST = 2_000_000  # bytes of the log of events in which the reports of a running trial are looked for


class Followed:
    """Mixin of results: what other processes record meanwhile, and copies for Optuna."""

    _recorder: Recorder

    def refresh(self) -> list[Trial]:
        """Read what another process has recorded since the study was opened, or since the last call.

        Only trials that may have changed are read. While this process holds the right to write, there are none.

        Returns:
            The trials that run, or have ended since, by number.

        Raises:
            StoreError: The study was removed or is damaged.
        """
        return [record.trial for record in self._recorder.refresh()]

    def curve(self, number: int) -> Sequence[Mapping[str, float]]:
        """Return the reports of a trial; those of a running one are read from the log of the run folder.

        Args:
            number: The number of the trial.

        Raises:
            StudyError: There is no such trial, or the log is no file.
        """
        trials, folder = self._recorder.history.trials, self._recorder.folder
        if not 0 <= number < len(trials):
            raise StudyError(f"there is no trial {number}; the study has {len(trials)}")
        if trials[number].ended or folder is None:
            return trials[number].curve
        found: list[Mapping[str, float]] = []
        for event in self.events():
            if event.get("trial") == number and event.get("event") == "trial_start":
                found = []
            elif event.get("trial") == number and event.get("event") == "report":
                try:
                    found.append({"step": float(event["step"]), **metrics_from_json(event["metrics"])})
                except (KeyError, TypeError, ValueError):  # a line that something else wrote
                    continue
        return found

    def events(self) -> list[dict[str, Any]]:
        """Return the last events in the log of the run folder, in order; none without a run folder.

        Raises:
            StudyError: The log is no file.
        """
        folder = self._recorder.folder
        try:
            text = b"" if folder is None else _disk.read(folder / "log.jsonl", last=_LAST)
        except FileNotFoundError:
            return []
        found = []
        for line in text.splitlines():
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):  # the end of a line, or one that is being written
                continue
            if isinstance(event, dict):
                found.append(event)
        return found

    def request_stop(self) -> None:
        """Ask the process that runs the search to end it, as Ctrl-C in its terminal does.

        It looks for requests each second. The trials that run are interrupted, and run again when the search goes on.

        Raises:
            StudyError: There is no run folder, or no process of this machine runs the search.
        """
        from archwright.study._lock import Lock

        folder = self._recorder.folder
        if folder is None:
            raise StudyError(f"{self._recorder.place} has no run folder here, through which a search could be stopped")
        lock = Lock(folder)
        holder = lock.holder()
        if holder is None or not lock.is_held():
            raise StudyError(f"no process runs the search in {folder}")
        if holder["host"] != socket.gethostname():
            raise StudyError(f"the search in {folder} runs on {holder['host']}: stop it there")
        request_stop(folder, holder)

    def why_not_resumed(self) -> str | None:
        """Return why `archwright resume` cannot continue the search; `None` if it can, as far as is known.

        Whether the data are still there, and whether something is left of the budget, shows when it is continued.

        Example:
            >>> study = aw.Study(aw.Space(x=aw.integer(0, 9)), path="asked")
            >>> study.why_not_resumed()
            'the study has no budget yet: the program that made it has to run it'
        """
        from archwright.study._describe import NO_EVALUATOR, is_restorable, restore_planner
        from archwright.study._results import Results
        from archwright.study._workers import Workers

        assert isinstance(self, Results)
        recorder = self._recorder
        if recorder.folder is None:
            return f"{recorder.place} has no run folder here"
        if recorder.document["budget"] is None:
            return "the study has no budget yet: the program that made it has to run it"
        if recorder.is_held:
            return "a process runs the search, or asks and tells"
        if not is_restorable(recorder.document["evaluator"]):
            return NO_EVALUATOR
        try:
            Workers.resumed(recorder.document["workers"], None, None)
            restore_planner(recorder.document, self.space, self.strategy)
        except ArchwrightError as error:
            return str(error)
        return None

    def to_optuna(self, storage: str | os.PathLike[str] | Any, *, name: str | None = None) -> str:
        """Copy the study into a storage of Optuna, for `optuna.load_study`, `optuna.importance` and optuna-dashboard.

        Trials become those of `archwright.optuna_storage`. Nothing is overwritten.

        Args:
            storage: The path of a journal file of Optuna, which is created if it does not exist, or a storage of
                Optuna.
            name: The name of the copy; by default that of the study in its store, or of its run folder.

        Returns:
            The name.

        Raises:
            StudyError: The storage has a study of that name, the file is no journal, or the study has no name.
            MissingExtra: Optuna is not installed.
        """
        from archwright.study._optuna import copy_study
        from archwright.study._results import Results

        assert isinstance(self, Results)
        return copy_study(self, storage, name)
