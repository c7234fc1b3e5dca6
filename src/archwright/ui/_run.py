"""A study as the dashboard shows it: read once, then followed."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from archwright import _disk
from archwright._words import last_lines, plain
from archwright.errors import ArchwrightError, StudyError
from archwright.explain import name_of
from archwright.report import value_of
from archwright.study import Found, Progress
from archwright.trials import State, Trial, metrics_to_json
from archwright.ui._log import LogState

if TYPE_CHECKING:
    from archwright.study import Study

_FRESH = 0.3  # seconds for which what was read is not read again
_STILL = 3.0  # seconds after which files that have not changed are taken to be unchanged
_LINES, _BYTES = 400, 131_072  # of the end of the log of a trial
_LONGEST = 20_000  # characters of an error
_FILES = ("study.db", "study.db-wal", "study.lock.json", "log.jsonl")


class Run:
    """A study, and what the pages show of it. Threads take turns.

    Args:
        found: Where it is.

    Attributes:
        key: Its name in addresses.
        place: Where it is.
        problem: Why it cannot be read, or None.
    """

    def __init__(self, found: Found) -> None:
        self.key = hashlib.sha256(found.name.encode(errors="surrogatepass")).hexdigest()[:16]
        self.place = found
        self.problem: str | None = None
        self._turn = threading.RLock()
        self._read_at = 0.0
        self._stamp: object = None
        self._study: Study | None = None
        self._forget()

    def _forget(self) -> None:
        """Begin anew: the study is another one."""
        self._epoch = secrets.randbits(48)
        self._settings: dict[str, Any] = {}
        self._history: object = None
        self._revision = 0
        self._rows: list[dict[str, Any]] = []
        self._metrics: dict[str, int] = {}
        self._decisions: dict[str, int] = {}
        self._ended = 0
        self._log = LogState()
        self._log_stamp: object = None
        self._is_held = False
        self._unresumable: str | None = None

    # ------------------------------------------------------------------ reading

    @property
    def is_read(self) -> bool:
        """Whether it has been read, or cannot be."""
        return self._study is not None or self.problem is not None

    @property
    def study(self) -> Study:
        """The study.

        Raises:
            StudyError: It cannot be read.
        """
        if self._study is None:
            raise StudyError(self.problem or "the study is not read yet")
        return self._study

    def refresh(self) -> None:
        """Read what has changed."""
        with self._turn:
            if time.monotonic() - self._read_at < _FRESH:
                return
            stamp = self._stamp_now()
            if self._study is None or stamp != self._stamp or self._is_held:
                try:
                    self._read()
                    self.problem, self._stamp = None, stamp
                except (ArchwrightError, OSError) as error:
                    self._study, self.problem, self._stamp = None, str(error), None
                    self._forget()
            self._read_at = time.monotonic()

    def _read(self) -> None:
        if self._study is None:
            self._study = self.place.open()
            changed = list(self._study.trials)
        else:
            changed = self._study.refresh()
        study = self._study
        if study.history is not self._history:
            self._forget()
            self._history, changed = study.history, list(study.trials)
            told = study.summary()
            names = ("space", "strategy", "seed", "constraints", "created", "versions")
            self._settings = {name: told[name] for name in names}
        self._is_held = study.is_held
        self._unresumable = None if self._is_held else study.why_not_resumed()
        stamp = _stamp_of(self.place.path / "log.jsonl") if self.place.path is not None else None
        if stamp != self._log_stamp:
            self._log, self._log_stamp = LogState.of(study.events()), stamp
        self._take(changed)

    def _take(self, changed: list[Trial]) -> None:
        order = {
            trial.number: place for place, trial in enumerate(self.study.history.finished[self._ended :], self._ended)
        }
        self._ended += len(order)
        self._revision += 1
        for trial in sorted(changed, key=lambda trial: trial.number):
            row = self._row(trial, order.get(trial.number))
            if trial.number == len(self._rows):
                self._rows.append({"revision": self._revision, "row": row})
            elif self._rows[trial.number]["row"] != row:
                self._rows[trial.number] = {"revision": self._revision, "row": row}

    def _row(self, trial: Trial, ended: int | None) -> list[Any]:
        for known, names in ((self._metrics, trial.metrics), (self._decisions, trial.architecture)):
            for name in names:
                known.setdefault(name, len(known))
        return [
            trial.number,
            trial.state,
            ended,
            trial.share,
            trial.seconds,
            self.study.given(trial),
            trial.origin,
            plain(trial.cause[:300]),
            [value_of(each, trial.metrics) for each in self.study.objectives],
            {self._metrics[name]: value for name, value in metrics_to_json(trial.metrics).items()},
            {self._decisions[name]: value for name, value in trial.architecture.to_json().items()},
        ]

    # ------------------------------------------------------------------ what is shown

    def summary(self) -> dict[str, Any]:
        """Return what the list of runs shows."""
        with self._turn:
            found = {"key": self.key, "name": plain(self.place.name), "problem": self.problem}
            if self._study is None:
                return {**found, "state": "unreadable" if self.problem else "loading"}
            study = self._study
            counts = Counter(trial.state for trial in study.trials)
            state, reason = self._state()
            states = {name: counts[name] for name in get_args(State) if counts[name]}
            if not self._is_held and "running" in states:
                states["interrupted"] = states.pop("running")
            return {
                **found,
                "state": state,
                "reason": reason,
                "objectives": [{"name": name_of(each), "maximise": each.maximise} for each in study.objectives],
                "aim": ", ".join(map(str, study.objectives)),
                **self._settings,
                "budget": "" if study.budget is None else str(study.budget),
                "trials": len(study.trials),
                "states": states,
                "best": self._best(),
                "share": self._share(),
                **self._time(),
            }

    def page(self, epoch: int, since: int) -> dict[str, Any]:
        """Return what the page of a run shows, with the trials that have changed.

        Args:
            epoch: What the page was told about the study; another number if it is another study by now.
            since: The revision that the page has.
        """
        with self._turn:
            found = self.summary()
            if self._study is None:
                return found
            study = self._study
            since = since if epoch == self._epoch else 0
            history, several = study.history, len(study.objectives) > 1
            final = {str(number): metrics_to_json(metrics) for number, metrics in study.finals.items()}
            return {
                **found,
                "epoch": self._epoch,
                "revision": self._revision,
                "metrics": list(self._metrics),
                "decisions": list(self._decisions),
                "rows": [each["row"] for each in self._rows if each["revision"] > since],
                "front": [trial.number for trial in history.front] if several else None,
                "finals": final,
                "running": [self._running(trial) for trial in history.running] if self._is_held else [],
                "phase": self._log.phase if self._is_held else "",
                "doing": self._log.doing if self._is_held else {},
                "last_problem": plain(self._log.problem[:1_000]),
                "why": list(map(plain, study.why)),
                "stop": None if self._is_held else "no process runs the search",
                "resume": self._unresumable if not self._is_held else "the search runs",
            }

    def trial(self, number: int) -> dict[str, Any]:
        """Return all that is known of a trial.

        Raises:
            StudyError: There is no such trial, or the study cannot be read.
        """
        with self._turn:
            study = self.study
            if not 0 <= number < len(study.trials):
                raise StudyError(f"there is no trial {number}; the study has {len(study.trials)}")
            trial, log = study.trials[number], study.log_file(number)
            curve = [metrics_to_json(point) for point in study.curve(number)]
            best = study.history.best
            found = {
                "number": number,
                "id": trial.architecture.id,
                "state": trial.state if trial.ended or self._is_held else "interrupted",
                "is_best": best is not None and best.number == number,
                "seconds": trial.seconds,
                "seed": trial.seed,
                "given": study.given(trial),
                "origin": trial.origin,
                "worker": plain(trial.worker),
                "attempts": trial.attempts,
                "metrics": metrics_to_json(trial.metrics),
                "final": None if (final := study.finals.get(number)) is None else metrics_to_json(final),
                "decisions": trial.architecture.to_json(),
                "curve": curve,
                "error": (trial.error or "")[-_LONGEST:],
                "log": [],
                "drawn": self._has_drawing(),
            }
        if log is not None:
            found["log"] = list(map(plain, last_lines(_disk.read(log, last=_BYTES), _LINES)))
        return found

    def drawing(self, number: int) -> str:
        """Return the network of a trial as SVG.

        Raises:
            ArchwrightError: There is none, or it cannot be drawn.
        """
        from archwright.draw import svg

        with self._turn:
            study = self.study
            if not 0 <= number < len(study.trials):
                raise StudyError(f"there is no trial {number}")
            return str(svg(study.space, study.trials[number].architecture))

    # ------------------------------------------------------------------ inside

    def _has_drawing(self) -> bool:
        try:
            return "model" in self.study.space.parts
        except ArchwrightError:
            return False

    def _state(self) -> tuple[str, str]:
        """Return "running", "interrupted", "ended" or "new", and the reason."""
        study, by = self.study, self._log.stopped_by
        if self._is_held:
            return "running", ""
        if not study.trials and study.budget is None:
            return "new", "not started yet"
        if not by and study.budget is not None:  # without a run folder, or killed
            by = study.budget.used_up(study.history) or ("seconds" if study.elapsed >= study.budget.time else "")
        if by == "interrupt" or study.history.running or not by:
            return "interrupted", ""
        return "ended", Progress.why(study, by)

    def _best(self) -> dict[str, Any] | None:
        study, best = self.study, self.study.history.best
        if best is None:
            return None
        return {
            "trial": best.number,
            "values": [value_of(each, best.metrics) for each in study.objectives],
            "metrics": metrics_to_json(best.metrics),
            "given": study.given(best),
            "state": best.state,
            "test": None if study.test is None else metrics_to_json(study.test),
        }

    def _running(self, trial: Trial) -> dict[str, Any]:
        report = self._log.reports.get(trial.number)
        return {"number": trial.number, "given": self.study.given(trial), "report": report}

    def _time(self) -> dict[str, Any]:
        """Return the seconds of the search, and about how many are left of it."""
        study = self.study
        elapsed = study.elapsed
        if self._is_held and self.place.path is not None:  # what has passed since the last record
            written = max((stamp[0] for name in _FILES[:2] if (stamp := _stamp_of(self.place.path / name))), default=0)
            elapsed += max(0.0, time.time() - written / 1e9) if written else 0.0
        left, budget = [], study.budget
        if self._is_held and budget is not None:
            if budget.time < float("inf"):
                left.append(max(0.0, budget.time - elapsed))
            if budget.trials is not None and study.history.spent:
                left.append(max(0.0, elapsed / study.history.spent * (budget.trials - study.history.spent)))
        return {"seconds": elapsed, "left": min(left, default=None)}

    def _share(self) -> float | None:
        """Return the share of the budget that is used up, or None without one."""
        study, budget = self.study, self.study.budget
        if budget is None:
            return None
        shares = [study.history.spent / budget.trials] if budget.trials else []
        shares += [study.elapsed / budget.time] if budget.time < float("inf") else []
        return min(1.0, max(shares)) if shares else None

    def _stamp_now(self) -> object:
        """Return what tells whether files have changed; something new each time where that is not known."""
        path = self.place.path
        if path is None:
            return object()
        stamps = [_stamp_of(path / name) for name in _FILES]
        newest = max((stamp[0] for stamp in stamps if stamp), default=0)
        return object() if time.time() - newest / 1e9 < _STILL else tuple(stamps)


def _stamp_of(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
