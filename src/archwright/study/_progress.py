"""Progress of a search for the person who looks at it."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, get_args
from weakref import WeakSet

from archwright._words import clock, counted, figure, figures
from archwright.errors import StudyError
from archwright.study._callback import Callback, as_callbacks
from archwright.study._screen import Row, Screen, Status, Terminal, in_notebook, make_console, screen_for
from archwright.trials import State, Trial

if TYPE_CHECKING:
    from archwright.evaluate import Learned
    from archwright.study._study import Study

_BURST = 10  # rows of trials that are shown at once,
_EVERY = 1.0  # and then one in so many seconds
_CAUSES = 20  # different reasons of failures that are shown whenever they come
_BEAT = 30.0  # seconds between lines on a long trial, where nothing moves by itself
_NAMED = 3  # running trials that are told one by one


class Progress(Callback):
    """Shows a search: a live display in a terminal or a notebook, else a line for each trial.

    `search`, `run` and `resume` use one by default. It writes to standard error. After a burst of quick trials it shows
    one each second. "best" is the best full evaluation; as long as there is none, the leader of the highest fidelity is
    named with its fidelity.

    Args:
        framed: Whether to say what is searched at the start, and the result at the end; and to look for a notebook.

    Attributes:
        console: The console of standard error, to print above a live display.

    Example:
        >>> from archwright.study import Progress
        >>> space, shown = aw.Space(x=aw.integer(0, 9)), Progress(framed=False)
        >>> study = aw.search(space, lambda one: 1.0, budget=aw.Budget(trials=2), callbacks=[shown], progress=False)
        >>> Progress.ended(study)
        '2 complete in 0:00: the budget of 2 full evaluations is used up'
    """

    optional = True

    def __init__(self, *, framed: bool = True) -> None:
        self.console, self._framed = make_console(), framed
        self._screen: Screen | None = None

    @property
    def is_live(self) -> bool:
        """Whether there is a live display in a terminal now."""
        return isinstance(self._screen, Terminal)

    def say(self, label: str, text: str) -> None:
        """Show a line above the display."""
        if self._screen is not None:
            self._screen.say(label, text)

    # ------------------------------------------------------------------ a search as it goes

    def on_start(self, study: Study) -> None:
        """Begin the display."""
        self._study = study
        self._before, self._began = study.elapsed, time.monotonic()
        self._counts = Counter(trial.state for trial in study.history.finished)
        self._running: dict[int, str] = {}
        self._phase, self._doing, self._best = "search", "getting ready", _best(study)
        self._finals, self._final_share, self._final_began = 0, 0.0, 0.0
        self._rows, self._refilled, self._skipped, self._beat = float(_BURST), self._began, 0, self._began
        self._hidden: Row | None = None
        self._causes: set[str] = set()
        _showing.add(self)
        self._screen = screen_for(self.console, self._status, is_notebook=self._framed and in_notebook())
        if self._framed:
            self.say("search", _aim(study))
            for line in study.why:
                if line.startswith(("warm start", "knowledge base", "prior")):  # what others' data do to this search
                    self.say("start", line)

    def on_prepare(self, study: Study, step: int, metrics: Mapping[str, float]) -> None:
        """Show an epoch of what is trained before the first trial."""
        shown = {name: value for name, value in metrics.items() if name != "seconds"}
        self._phase, self._doing = "supernet", f"epoch {step}: {figures(shown)}"
        if self._screen is not None and not self._screen.moves:
            self.say("supernet", f"epoch {step:>3}  {metrics.get('seconds', 0.0):6.1f} s  {figures(shown)}")
        self._draw()

    def on_prepared(self, study: Study, learned: Learned) -> None:
        """Show what has been learned before the first trial."""
        self._phase, self._doing = "search", ""
        for line in self.learned(study):
            self.say("supernet", line)

    def on_trial_start(self, study: Study, trial: Trial) -> None:
        """Show that a trial runs."""
        self._phase = "search"
        given = study.given(trial)
        self._running[trial.number] = f"trial {trial.number}" + (f" ({given})" if given else "")
        self._draw_running({})

    def on_report(self, study: Study, trial: Trial, step: float, metrics: Mapping[str, float]) -> None:
        """Show how far a trial or a final training is."""
        unit = "step" if study.evaluator.task is None else "epoch"
        where = f"{unit} {step:g}: {figures(metrics)}"
        if trial.ended:
            self._doing = f"trial {trial.number}: {where}"
            most = study.evaluator.most_final_epochs
            self._final_share = step / most if 0 < most < math.inf else 0.0
            self._draw()
        else:
            self._draw_running({trial.number: where})
        now = time.monotonic()
        if self._screen is not None and not self._screen.moves and now - self._beat > _BEAT:
            self._beat = now
            self.say("final" if trial.ended else f"trial {trial.number:>3}", where)

    def on_trial_end(self, study: Study, trial: Trial) -> None:
        """Show a trial that has ended."""
        self._counts[trial.state] += 1
        self._running.pop(trial.number, None)
        before, self._best = self._best, _best(study)
        row = self._row(study, trial, is_better=self._best != before and self._best.startswith("best"))
        now = time.monotonic()
        self._beat = now
        self._rows, self._refilled = min(_BURST, self._rows + (now - self._refilled) / _EVERY), now
        is_news = bool(trial.cause) and trial.cause not in self._causes and len(self._causes) < _CAUSES
        if trial.cause and is_news:
            self._causes.add(trial.cause)
        if self._rows >= 1 or is_news or not (self._screen and self._screen.scrolls):
            self._rows = max(0.0, self._rows - 1)
            self._show(row)
        else:
            self._hidden, self._skipped = row, self._skipped + 1
        self._draw_running({})
        if study.forecast is not None:
            networks = study.history.count_seen - len({each.architecture for each in study.history.running})
            found = study.forecast.correct(networks, study.elapsed)
            if found is not None:
                self.say("plan", f"about {counted(f'{found:.0f}', 'network')} in all, at the pace so far")

    def on_final_start(self, study: Study, trial: Trial) -> None:
        """Begin the phase of the final training."""
        if self._phase != "final":
            self._phase, self._final_began = "final", time.monotonic()
            self._flush()
        self._doing, self._final_share = f"trial {trial.number}", 0.0
        self.say("final", f"training of trial {trial.number} from scratch, on training and validation data")
        self._draw()

    def on_final_end(self, study: Study, trial: Trial, metrics: Mapping[str, float]) -> None:
        """Show the result of a final training."""
        self._finals, self._final_share = self._finals + 1, 0.0
        if self._framed:
            tested = {name: value for name, value in metrics.items() if name.startswith("test_")} or metrics
            self.say("final", f"trial {trial.number}: {figures(tested)}")

    def on_end(self, study: Study) -> None:
        """End the display."""
        _showing.discard(self)
        if self._screen is None:
            return
        self._flush()
        if self._framed:
            self.say("ended", self.ended(study))
            if study.best is not None:
                self.say("best", f"trial {study.best.trial.number}: {figures(study.best.metrics)}")
        self._screen.end()
        self._screen = None

    @staticmethod
    def ended(study: Study) -> str:
        """Return how a search ended, in a line."""
        return f"{Progress.states(study, is_ended=True)} in {clock(study.elapsed)}: {Progress.why(study)}"

    @staticmethod
    def why(study: Study, stopped_by: str | None = None) -> str:
        """Return why a search ended.

        Args:
            study: The study.
            stopped_by: What ended it, as in `Study.stopped_by`; by default what ended it in this process.
        """
        trials = None if study.budget is None else study.budget.trials
        reasons = {
            "trials": f"the budget of {counted(trials or 0, 'full evaluation')} is used up",
            "seconds": "the time budget is used up",
            "target": "the target is reached",
            "exhausted": "the search space is exhausted",
            "interrupt": "interrupted" + ("" if study.path is None else f"; `archwright resume {study.path}` goes on"),
            "callback": "stopped by a callback",
            "failures": "trials kept failing with the same error",
        }
        return reasons.get(stopped_by or study.stopped_by or "", "an error ended it")

    @staticmethod
    def states(study: Study, *, is_ended: bool = False) -> str:
        """Return how many trials there are in each state; those that have not ended and do not run are interrupted."""
        counts = {state: n for state, n in study.summary()["trials"].items() if n}
        if "running" in counts and (is_ended or not study.is_held):
            counts = {"interrupted": counts.pop("running"), **counts}
        return ", ".join(f"{n:,} {state}" for state, n in counts.items()) or "no trials"

    @staticmethod
    def learned(study: Study) -> list[str]:
        """Return what there is to say about what was learned before the first trial, as lines."""
        found = study.diagnosis()
        if found is None:
            return []
        lines = [f"{counted(found['epochs'], 'epoch')} in {clock(found['seconds'])}"]
        if "derived" in found:
            undecided = f", entropy {found['entropy']:.2f}" if "entropy" in found else ""
            shares = f"{found['skips']:.0%} skip connections, {found['nothing']:.0%} none{undecided}"
            lines.append(f"derived {found['derived']}: {shares}")
        if found.get("degenerate"):
            lines.append(f"the derived architecture is degenerate: {found['degenerate']}")
        if "spearman" in found:
            lines.append(
                f"rank correlation of shared and stand-alone accuracy, {found['compared']} architectures: Spearman "
                f"{found['spearman']:.2f}, Kendall {found['kendall']:.2f}"
            )
        return lines

    # ------------------------------------------------------------------ inside

    def _row(self, study: Study, trial: Trial, *, is_better: bool) -> Row:
        names = dict.fromkeys([*(objective.metric for objective in study.objectives), "accuracy"])
        metrics = {name: trial.metrics[name] for name in names if name in trial.metrics}
        origin = "" if trial.origin is None else f"from trial {trial.origin}"
        given = ", ".join(filter(None, [study.given(trial), origin]))
        return Row(
            trial.number, trial.state, trial.seconds, given, metrics, trial.cause, dict(trial.architecture), is_better
        )

    def _show(self, row: Row) -> None:
        if self._screen is not None:
            self._screen.row(row, self._best, self._skipped)
        self._hidden, self._skipped = None, 0

    def _flush(self) -> None:
        """Show the last trial, if it was one too many before."""
        if self._hidden is not None:
            self._skipped -= 1
            self._show(self._hidden)

    def _draw_running(self, told: Mapping[int, str]) -> None:
        for number, where in told.items():
            if number in self._running:
                self._running[number] = f"{self._running[number].partition(': ')[0]}: {where}"
        running = list(self._running.values())
        if len(running) > _NAMED:
            names = ", ".join(map(str, self._running))
            self._doing = f"trials {names}"
        else:
            self._doing = "; ".join(running)
        self._draw()

    def _draw(self) -> None:
        if self._screen is not None:
            self._screen.draw()

    def _status(self) -> Status:
        """Return what is shown now; another thread may ask."""
        now = time.monotonic()
        share, left = self._final(now) if self._phase == "final" else self._search(now)
        counts = ", ".join(f"{self._counts[state]:,} {state}" for state in get_args(State) if self._counts[state])
        elapsed = self._before + now - self._began
        return Status(self._phase, share, elapsed, left, self._doing, self._best, counts)

    def _search(self, now: float) -> tuple[float | None, str]:
        """Return the share of the search that is over, and what is left of it; how long it prepares is not known."""
        if self._phase == "supernet":
            return None, ""
        study = self._study
        budget, session = study.budget, study._session
        shares, lefts = [], []
        if session is not None and math.isfinite(session.times.search_end):
            whole = session.times.search_end - self._began + self._before
            lefts.append(max(0.0, session.times.search_end - now))
            shares.append(1 - lefts[0] / whole if whole > 0 else 1.0)
        if budget is not None and budget.trials is not None:
            ended, trials = study.history.spent, float(min(budget.trials, 10**300))  # more is too large for a float
            shares.append(ended / trials)
            if ended:
                lefts.append((self._before + now - self._began) / ended * (trials - ended))
        if not shares:
            return None, ""
        then = ", then the final training" if session is not None and session.finals.count else ""
        about = "about " if budget is not None and budget.trials is not None else ""
        left = f"{about}{clock(max(0.0, min(lefts)))} left{then}" if lefts else ""
        return min(1.0, max(shares)), left

    def _final(self, now: float) -> tuple[float | None, str]:
        """Return the share of the final trainings that is over, and what is left of them."""
        session = self._study._session
        if session is None:
            return None, ""
        if math.isfinite(session.times.end):
            left = max(0.0, session.times.end - now)
            whole = session.times.end - self._final_began
            return (1 - left / whole if whole > 0 else 1.0), f"{clock(left)} left at most"
        return min(1.0, (self._finals + min(1.0, self._final_share)) / max(1, session.finals.count)), ""


# A search in another one, in this process, is part of it.
_showing: WeakSet[Progress] = WeakSet()


def callbacks_of(callbacks: Iterable[Callback], progress: bool) -> list[Callback]:
    """Return the callbacks of a search, with a display of its progress in front, if that is wanted.

    A search inside another one or in a worker process, and one whose logger is switched off, shows nothing.

    Raises:
        StudyError: A callback is something else, or `progress` is neither true nor false.
    """
    listed, given = as_callbacks(callbacks), progress
    if not isinstance(given, bool):
        raise StudyError(f"progress is True or False, not {given!r}")
    logger = logging.getLogger("archwright")
    off = logger.disabled or logger.level > logging.INFO or logger.manager.disable >= logging.INFO
    return listed if not progress or off or _showing else [Progress(), *listed]


def _aim(study: Study) -> str:
    from archwright.space import describe_size

    size = counted(describe_size(study.space.bound), "architecture")
    aims = ", ".join(map(str, study.objectives))
    where = f", in {study.path}" if study.path else ""
    space = study.space.name or "a space"
    return f"{aims} by {study.strategy} in {space} of {size}; {study.budget}, seed {study.seed}{where}"


def _best(study: Study) -> str:
    """Return the best full evaluation; without one, the leader at the highest fidelity."""
    best = study.history.best
    if best is None:
        return ""
    name = study.objective.metric
    told = f"{name} {figure(name, best.metrics[name])}"
    if best.state == "complete" and best.share >= 1:
        front = len(study.history.front) if len(study.objectives) > 1 else 0
        return f"best {told} (trial {best.number})" + (f", {counted(front, 'network')} on the front" if front else "")
    given = study.given(best)
    state = "" if best.state == "complete" else f", {best.state}"
    return f"leading {told}{given and f' at {given}'} (trial {best.number}{state})"
