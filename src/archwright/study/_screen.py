"""Where progress is shown: in a terminal, in a notebook, or as lines."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from archwright._words import clock, counted, differing, figure, printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_LABEL = 13  # columns of the label of a line in a terminal, the space behind it included
_BAR = 16  # columns of a bar
_ENDLESS = 1_000_000  # columns, where there is no terminal
_REFRESH = 0.5  # seconds between updates of a notebook
_SHOWN = 10  # trials in a notebook


@dataclass(frozen=True)
class Row:
    """A trial that has ended."""

    number: int
    state: str
    seconds: float
    given: str  # its fidelity, and the trial it goes on from
    metrics: Mapping[str, float]
    cause: str  # of a failure or an early end
    architecture: Mapping[str, Any]
    is_better: bool  # than all before it


@dataclass(frozen=True)
class Status:
    """How far a search is."""

    phase: str
    share: float | None  # of the phase; `None` where there is no end to be told
    elapsed: float
    left: str
    doing: str
    best: str
    counts: str

    @property
    def time(self) -> str:
        """The time, as text."""
        percent = [] if self.share is None else [f"{self.share:4.0%}"]
        return "  ".join([*percent, ", ".join(filter(None, [clock(self.elapsed), self.left]))])

    @property
    def so_far(self) -> str:
        """What has come of it, as text."""
        return "; ".join(filter(None, [self.best, self.counts]))


class Screen:
    """Lines, for pipes, files and consoles that cannot move the cursor.

    Attributes:
        moves: Whether the status is shown.
        scrolls: Whether lines leave the screen, so that there should not be too many.
    """

    moves, scrolls = False, True

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, label: str, text: str) -> None:
        """Show a line."""
        self._console.print(printable(f"{label:<{_LABEL - 1}} {text}"), soft_wrap=True)

    def row(self, row: Row, best: str, skipped: int) -> None:
        """Show a trial that has ended, and the number of those that were not shown before it."""
        self.say(f"trial {row.number:>3}", "  ".join(filter(None, [_told(row), best, _skipped(skipped)])))

    def draw(self) -> None:
        """Show the status."""

    def end(self) -> None:
        """End the display."""


class Terminal(Screen):
    """A live status below the lines."""

    moves = True

    def __init__(self, console: Console, status: Callable[[], Status]) -> None:
        from rich.live import Live

        super().__init__(console)
        self._status = status
        # What is printed stays above the status; standard output is left alone where it goes elsewhere.
        self._streams = sys.stdout, sys.stderr
        self._live = Live(
            console=console, get_renderable=self._rendered, transient=True, redirect_stdout=sys.stdout.isatty()
        )
        _terminals.add(self)
        self._live.start()

    def say(self, label: str, text: str) -> None:
        """Show a line above the status, wrapped at words."""
        self._console.print(_grid(label, text))

    def row(self, row: Row, best: str, skipped: int) -> None:
        """Show a trial above the status, which has the best one."""
        better = "best so far" if row.is_better else ""
        self.say(f"trial {row.number:>3}", "  ".join(filter(None, [_told(row), better, _skipped(skipped)])))

    def end(self) -> None:
        """Remove the status."""
        _terminals.discard(self)
        self._live.stop()

    def leave(self) -> None:
        """Give the streams back to a process that was forked, where nothing refreshes the status."""
        from rich.file_proxy import FileProxy

        given = [isinstance(stream, FileProxy) for stream in (sys.stdout, sys.stderr)]
        sys.stdout, sys.stderr = (
            before if is_ours else now
            for before, now, is_ours in zip(self._streams, (sys.stdout, sys.stderr), given, strict=True)
        )

    def _rendered(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        status = self._status()
        head = Table.grid()
        head.add_column(width=_LABEL, style="bold", no_wrap=True)
        bar = [] if status.share is None else [ProgressBar(total=1.0, completed=status.share, width=_BAR)]
        for _ in bar:
            head.add_column(width=_BAR + 1)
        head.add_column()
        head.add_row(status.phase, *bar, status.time)
        lines = [("now", status.doing), ("so far", status.so_far)]
        return Group(head, *(_grid(label, text) for label, text in lines if text))


class Notebook(Screen):
    """A table that is updated in place, in the output of a cell."""

    moves, scrolls = True, False

    def __init__(self, console: Console, status: Callable[[], Status]) -> None:
        display = sys.modules["IPython"].display.display

        super().__init__(console)
        self._status = status
        self._lines: list[tuple[str, str]] = []
        self._best: Row | None = None
        self._rows: deque[Row] = deque(maxlen=_SHOWN)
        self._drawn = time.monotonic()
        self._is_over = False
        self._handle: Any = display(self, display_id=True)

    def say(self, label: str, text: str) -> None:
        """Show a line below the table."""
        self._lines.append((label, text))
        self.draw()

    def row(self, row: Row, best: str, skipped: int) -> None:
        """Show a trial as the last row of the table."""
        self._rows.append(row)
        self._best = row if row.is_better else self._best
        self.draw()

    def draw(self) -> None:
        """Update the output, but not too often."""
        if self._is_over or time.monotonic() - self._drawn > _REFRESH:
            self._drawn = time.monotonic()
            self._handle.update(self)

    def end(self) -> None:
        """Show the end."""
        self._is_over = True
        self.draw()

    def _repr_html_(self) -> str:
        status = self._status()
        said = [f"<div><b>{_html(label)}</b> {_html(text)}</div>" for label, text in self._lines]
        parts = said[:1]
        if not self._is_over:
            bar = "" if status.share is None else f'<progress value="{status.share:.3f}" max="1"></progress> '
            parts.append(f"<div><b>{_html(status.phase)}</b> {bar}{_html(status.time)}</div>")
            parts.append(f"<div>{_html(status.doing) or '&nbsp;'}</div>")
        parts.append(f"<div>{_html(status.so_far)}</div>")
        if self._rows:
            # The best one stays, also when it is not among the last.
            is_gone = self._best is not None and self._best.number < self._rows[0].number
            parts.append(_table([self._best, *self._rows] if self._best and is_gone else [*self._rows], self._best))
        return "".join(parts + said[1:])

    def __repr__(self) -> str:
        told = [f"{label:<{_LABEL - 1}} {text}" for label, text in self._lines]
        rows = [f"trial {row.number:>3}  {_told(row)}" for row in self._rows]
        return printable("\n".join([self._status().best, *rows, *told]))


def _table(rows: list[Row], best: Row | None) -> str:
    """Return trials as a table of HTML, with the best one in bold, and without columns that are empty."""
    names = dict.fromkeys(name for row in rows for name in row.metrics)
    columns = {
        "trial": [str(row.number) for row in rows],
        "state": [row.state for row in rows],
        "seconds": [f"{row.seconds:.1f}" for row in rows],
        "fidelity": [row.given for row in rows],
        **{name: [figure(name, row.metrics[name]) if name in row.metrics else "" for row in rows] for name in names},
        "architecture": [
            ", ".join(f"{name}={value}" for name, value in decisions.items())
            for decisions in differing([row.architecture for row in rows])
        ],
        "reason": [row.cause for row in rows],
    }
    shown = {name: values for name, values in columns.items() if any(values)}
    heads = "".join(f"<th>{_html(name)}</th>" for name in shown)
    body = ""
    for row, values in zip(rows, zip(*shown.values(), strict=True), strict=True):
        style = ' style="font-weight: bold"' if row is best else ""
        body += f"<tr{style}>{''.join(f'<td>{_html(value)}</td>' for value in values)}</tr>"
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def screen_for(console: Console, status: Callable[[], Status], *, is_notebook: bool) -> Screen:
    """Return where to show progress: a notebook, a terminal, or lines on standard error."""
    if is_notebook:
        return Notebook(console, status)
    is_live = console.file.isatty() and not console.is_dumb_terminal
    return Terminal(console, status) if is_live else Screen(console)


def make_console() -> Console:
    """Return a console on standard error that reads nothing as markup."""
    from rich.console import Console

    class Steady(Console):
        def show_cursor(self, show: bool = True) -> bool:
            """Leave the cursor as it is: a process that is killed could not bring it back."""
            return False

        def on_broken_pipe(self) -> None:
            """Say no more: that nobody listens is no reason to end a search."""
            self.quiet = True

    console = Steady(stderr=True, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _ENDLESS
    return console


def in_notebook() -> bool:
    """Tell whether the code runs in a cell of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def _told(row: Row) -> str:
    metrics = "  ".join(f"{name} {figure(name, value)}" for name, value in row.metrics.items())
    state = f"{row.state:<8} {row.seconds:6.1f} s"
    return "  ".join(filter(None, [state, row.given, metrics, row.cause]))


def _skipped(count: int) -> str:
    return f"({counted(count, 'trial')} before it not shown)" if count else ""


def _grid(label: str, text: str) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid()
    grid.add_column(width=_LABEL, style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(printable(label)), Text(printable(text)))
    return grid


def _html(text: str) -> str:
    return escape(printable(text))


_terminals: WeakSet[Terminal] = WeakSet()


def _leave_all() -> None:
    for each in list(_terminals):
        each.leave()


if hasattr(os, "register_at_fork"):  # a forked process that prints would wait for a lock whose holder it does not have
    os.register_at_fork(after_in_child=_leave_all)
