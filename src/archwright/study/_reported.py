"""What a study shows of itself: its report, its charts, and a table of its trials."""

from __future__ import annotations

import os
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright._words import counted, plain
from archwright.errors import ArchwrightError, StudyError, require
from archwright.study._subject import Subject

if TYPE_CHECKING:
    from archwright.report import Plots, Searched
    from archwright.study._recorder import Recorder

REPORT = "report.html"
"""The name of a report in its run folder."""


class Reported(Subject):
    """Mixin of results: a report, charts, and a table of the trials."""

    _recorder: Recorder

    @property
    def why(self) -> tuple[str, ...]:
        """The automatic choices."""
        raise NotImplementedError

    @property
    def samples(self) -> dict[str, int] | None:
        """The numbers of samples."""
        raise NotImplementedError

    def summary(self) -> dict[str, Any]:
        """Return a summary of the study."""
        raise NotImplementedError

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write a report of the search: an HTML page that loads nothing, with charts.

        Args:
            path: The file, new or an earlier report; by default `report.html` in the run folder.

        Returns:
            The file.

        Raises:
            StudyError: There is something else in its place, or no path is given and there is no run folder.

        Example:
            >>> study = aw.Study(aw.Space(x=aw.integer(0, 9)), strategy="grid")
            >>> study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=3)).report("report.html").name
            'report.html'
        """
        from archwright.report import report, write

        folder = self._recorder.folder
        if path is None and folder is None:
            raise StudyError("this study has no run folder: name the file, such as study.report('report.html')")
        target = folder / REPORT if path is None and folder is not None else Path(path or REPORT)
        return write(target, report(self.searched()))

    @property
    def plot(self) -> Plots:
        """The charts of the search as SVG: `study.plot.history()`, `front`, `parallel`, `importance`, `curves`."""
        from archwright.report import Plots

        return Plots(self.searched())

    def searched(self) -> Searched:
        """Return what reports and charts are made from, as it is now."""
        from archwright.report import Searched

        recorder = self._recorder
        space, without = None, ""
        try:
            space = self.space
        except StudyError as error:
            without = str(error)
        return Searched(
            place=str(recorder.place),
            folder=recorder.folder,
            history=self.history,
            space=space,
            summary=self.summary(),
            ends={record.trial.number: record.elapsed for record in recorder.records() if record.ended is not None},
            why=self.why,
            data=recorder.document["data"],
            samples=self.samples,
            without_space=without,
        )

    def frame(self) -> Any:
        """Return the trials as a `pandas.DataFrame`, one in each row.

        Columns are the number, the state, the metrics, the decisions, the seconds, the fidelity as text and as a share
        of a full evaluation, and the last line of the error. A decision with the name of another column has
        " (decision)" behind it. What a trial lacks is missing (`NaN` or `None`).

        Raises:
            MissingExtra: pandas is not installed.
        """
        pandas = require("pandas", extra="frames", purpose="a data frame of trials")
        trials = self.history.trials
        metrics = dict.fromkeys(name for trial in trials for name in trial.metrics)
        taken = {"number", "state", *metrics, "seconds", "fidelity", "share", "error"}
        decisions = dict.fromkeys(name for trial in trials for name in trial.architecture)
        columns: dict[str, list[Any]] = {
            "number": [trial.number for trial in trials],
            "state": [trial.state for trial in trials],
        }
        for name in metrics:
            columns[name if name not in columns else f"{name} (metric)"] = [trial.metrics.get(name) for trial in trials]
        for name in decisions:
            shown = f"{name} (decision)" if name in taken else name
            columns[shown] = [trial.architecture.get(name) for trial in trials]
        columns["seconds"] = [trial.seconds for trial in trials]
        columns["fidelity"] = [
            ", ".join(f"{name} {value:g}" for name, value in (trial.fidelity or {}).items()) or "full"
            for trial in trials
        ]
        columns["share"] = [trial.share for trial in trials]
        columns["error"] = [trial.cause or None for trial in trials]
        return pandas.DataFrame(columns)

    def __repr__(self) -> str:
        aims = ", ".join(map(str, self.history.objectives))
        ended = counted(len(self.history.finished), "trial")
        return f"<Study {aims} in {self._recorder.place}, {ended}{self._leader()}>"

    def _repr_html_(self) -> str:
        """Return the best network and the best so far, for notebooks."""
        text = (
            f"<p><b>{_safe(', '.join(map(str, self.history.objectives)))}</b> in {_safe(str(self._recorder.place))}: "
        )
        text += f"{counted(len(self.history.finished), 'trial')}{_safe(self._leader())}</p>"
        best = self.history.best
        if best is None:
            return text
        try:
            chart = self.plot.history()
        except ArchwrightError:
            chart = None  # no trial is complete, or its run folder is gone
        return f"{text}{best._repr_html_()}{chart or ''}"

    def _leader(self) -> str:
        """Return the best trial, with its values of the objectives."""
        best = self.history.best
        if best is None:
            return ""
        named: Mapping[str, float] = {
            each.metric: best.metrics[each.metric] for each in self.history.objectives if each.metric in best.metrics
        }
        return f", best {', '.join(f'{name} {value:.4g}' for name, value in named.items())} (trial {best.number})"


def _safe(text: str) -> str:
    return escape(plain(text))
