"""What the log of a run folder says about a search that runs or has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class LogState:
    """What the last events of a search say.

    Attributes:
        phase: "search"; "supernet", while one is trained; or "final", for a final training.
        doing: The number of the trial of the final training, and the last report of it or of the supernet.
        reports: The last report of each trial.
        problem: The last problem.
        stopped_by: What ended the search, as in `Study.stopped_by`; "" if it has not ended, as far as the log says.
    """

    phase: str = "search"
    doing: dict[str, Any] = field(default_factory=dict)
    reports: dict[int, dict[str, Any]] = field(default_factory=dict)
    problem: str = ""
    stopped_by: str = ""

    @classmethod
    def of(cls, events: list[dict[str, Any]]) -> LogState:
        """Return what events say; those that something else has written say nothing."""
        found = cls()
        for event in events:
            found._take(event)
        return found

    def _take(self, event: Mapping[str, Any]) -> None:
        kind, number = event.get("event"), event.get("trial")
        report = {"step": event.get("step"), "metrics": event.get("metrics")}
        if kind == "start":
            self.__init__()  # type: ignore[misc]  # a session begins
        elif kind == "prepare":
            self.phase, self.doing = "supernet", report
        elif kind == "prepared":
            self.phase, self.doing = "search", {}
        elif kind == "report" and isinstance(number, int):
            self.reports[number] = report
        elif kind in ("trial_start", "trial_end") and isinstance(number, int):
            self.phase = "search"
            self.reports.pop(number, None)
        elif kind == "final_start":
            self.phase, self.doing = "final", {"trial": number}
        elif kind == "final_report":
            self.phase, self.doing = "final", {"trial": number, **report}
        elif kind == "problem":
            self.problem = str(event.get("message", ""))
        elif kind == "end":
            self.stopped_by = str(event.get("stopped_by") or "error")
