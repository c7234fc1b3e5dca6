"""Protection against user code that does not return, leaves Python, forks, or changes the process."""

from __future__ import annotations

import _thread
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from archwright.study._restored import SIGNALS, restored

if TYPE_CHECKING:
    from types import FrameType
    from typing import Self

T = TypeVar("T")

_GRACE = 5.0  # seconds that code has to return after its time is over,
_GRACE_SHARE = 0.1  # and so much of the time budget
_LAST = 60.0  # seconds after that until a process in which it still runs is ended,
_LAST_SHARE = 0.5  # and so much of the time budget
_AGAIN = 5.0  # seconds between attempts to interrupt it
_QUIET = 1.0  # seconds after a search that was interrupted in which further interrupts are taken for the same
_STATUS = 124  # of a process that is ended, as by the command `timeout`


class Overdue(BaseException):
    """Code has not returned when its time was over, and is left wherever it is.

    No `Exception`, so that code which goes on after any of those does not go on after this.
    """


class Guard:
    """Runs the code of others in a search, such as evaluators and strategies, so that the search goes on and ends.

    What runs in `inside` may change global state of the process, which is put back; may raise `SystemExit` and
    `KeyboardInterrupt`, which are told apart from those that signals raise; and may fork a process, which ends there.

    In the main thread the first Ctrl-C is raised where it comes. Further ones are ignored while the search winds up,
    and for a second after it.

    In the main thread, too, time is kept: code that has not returned 5 seconds and a tenth of the time budget after its
    deadline is left by `Overdue`. That ends what sleeps, waits or runs Python. Code that goes on all the same, such as
    a function of C that does not return, has a minute and half the time budget more; then the process is ended with
    status 124, if `last` agrees. Nothing helps against C code that keeps the interpreter's lock. On Windows a sleep or
    a wait comes to its end first.

    Args:
        seconds: The time budget; infinity for none.
        last: Is called with a message, in another thread, when nothing but the end of the process is left; says whether
            it is to be ended.
    """

    def __init__(self, seconds: float, last: Callable[[str], bool]) -> None:
        known = seconds if math.isfinite(seconds) else 0.0
        self._grace, self._patience = _GRACE + _GRACE_SHARE * known, _LAST + _LAST_SHARE * known
        self._last = last
        self._process = os.getpid()
        self._handlers: dict[int, Any] = {}
        self._raised: BaseException | None = None  # by the handler of a signal
        self._doing: str | None = None
        self._is_late = self._is_sent = False
        self._asked: threading.Event | None = None
        self._moved = threading.Event()
        self._is_over, self._quiet_until = False, 0.0

    def __enter__(self) -> Self:
        """Take over the handlers of signals, and keep time from now on."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handler = signal.getsignal(number)
                other = _guard_of(handler)
                if other is not None and other._is_over:
                    handler = other._handlers[number]
                # Of those that are no functions Ctrl-C alone is taken over: it is also by what time is kept.
                if callable(handler) or (number == signal.SIGINT and handler is not None):
                    self._handlers[number] = handler
                    signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        """Give the handlers back."""
        self._moved.set()
        self._is_over, self._quiet_until = True, time.monotonic() + _QUIET
        for number, handler in self._handlers.items():
            if number != signal.SIGINT or not self.is_left:
                signal.signal(number, handler)

    @property
    def is_in_main_thread(self) -> bool:
        """Whether it has taken over Ctrl-C."""
        return signal.SIGINT in self._handlers

    @property
    def is_left(self) -> bool:
        """Whether the handler of a signal, such as that of Ctrl-C, has raised an exception, so that the search ends."""
        return self._raised is not None

    @property
    def is_child(self) -> bool:
        """Whether this process is one that the search's process has forked."""
        return os.getpid() != self._process

    def until(self, deadline: float) -> None:
        """Say when what runs from now on is to be over, in seconds of `time.monotonic()`; infinity for never."""
        self._moved.set()
        self._moved, self._is_late = threading.Event(), False
        if signal.SIGINT in self._handlers and math.isfinite(deadline):
            seconds = max(0.0, deadline - time.monotonic()) + self._grace
            threading.Thread(target=self._watch, args=(seconds, self._moved), daemon=True).start()

    @contextmanager
    def inside(self, doing: str, seed: int | None = None) -> Iterator[None]:
        """Run the code of others in the block.

        Args:
            doing: What it is, as the start of a sentence: "trial 3".
            seed: Of the global random generators in the block; `None` leaves them as they are.

        Raises:
            Overdue: It did not return in time.
            BaseException: What the handler of a signal has raised, even where the block went on after it.
        """
        try:
            with restored(seed):
                self._doing = doing
                try:
                    if self._is_late:
                        raise Overdue
                    yield
                finally:
                    self._doing = None
                    if self.is_child:
                        say(f"a process that {doing} has forked came back from it, and ends here")
                        os._exit(1)
        finally:
            if self._raised is not None:
                raise self._raised

    def interrupt(self, is_over: threading.Event) -> bool:
        """Raise `KeyboardInterrupt` in the main thread, as Ctrl-C does, also where a shell has that ignored.

        Args:
            is_over: Nothing is raised once this is set.

        Returns:
            Whether it is raised: not where another thread runs the search, or where a candidate has put a handler of
            its own in place.
        """
        if signal.SIGINT not in self._handlers or _guard_of(signal.getsignal(signal.SIGINT)) is None:
            return False
        self._asked = is_over
        _interrupt_main_thread()
        return True

    def attempt(self, doing: str, call: Callable[[], T], seed: int | None = None) -> T | BaseException:
        """Return what code of others gives or raises; what the handler of a signal raises in it is raised."""
        try:
            with self.inside(doing, seed):
                return call()
        except BaseException as error:
            if self.is_left:
                raise
            return error

    # ------------------------------------------------------------------ in the main thread

    def _handle(self, number: int, frame: FrameType | None) -> None:
        handler = self._handlers[number]
        if number == signal.SIGINT:
            asked, self._asked = self._asked, None
            if asked is not None:
                if asked.is_set() or (self.is_left and self._doing is None):
                    return
                self._raised = KeyboardInterrupt()
                raise self._raised
            if self._is_sent:
                self._is_sent = False
                if self._doing is not None:
                    raise Overdue
                return
            if self._is_over:
                if time.monotonic() < self._quiet_until:
                    return
                signal.signal(number, handler)
            elif self.is_left and self._doing is None:
                return
        if callable(handler):
            try:
                handler(number, frame)
            except BaseException as error:
                self._raised = error
                raise
        elif handler == signal.SIG_DFL:
            signal.signal(number, handler)
            signal.raise_signal(number)

    # ------------------------------------------------------------------ in a thread that watches

    def _watch(self, seconds: float, moved: threading.Event) -> None:
        """Interrupt what still runs after so many seconds, and end the process where that is of no use."""
        if moved.wait(min(seconds, threading.TIMEOUT_MAX)):
            return
        self._is_late = True
        for _ in range(math.ceil(self._patience / _AGAIN)):
            # Where a candidate has put another handler in the place of ours, it is not asked.
            if self._doing is not None and _guard_of(signal.getsignal(signal.SIGINT)) is not None:
                self._is_sent = True
                _interrupt_main_thread()
            if moved.wait(_AGAIN):
                return
        doing = self._doing
        if doing is None:
            return
        late = self._grace + self._patience
        if self._last(f"{doing} did not return within {late:.3g} seconds after its time was over"):
            flush = threading.Thread(target=sys.stdout.flush, daemon=True)
            flush.start()
            flush.join(_AGAIN)  # and no longer: whoever holds it may be what does not return
            os._exit(_STATUS)


def _guard_of(handler: object) -> Guard | None:
    owner = getattr(handler, "__self__", None)
    return owner if isinstance(owner, Guard) else None


def _interrupt_main_thread() -> None:
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:
        # A signal to the thread itself, so that a system call in which it waits returns.
        ident = threading.main_thread().ident
        assert ident is not None
        signal.pthread_kill(ident, signal.SIGINT)


def say(text: str) -> None:
    """Write a line to standard error, past all buffers and locks."""
    os.write(2, f"archwright: {text}\n".encode(errors="backslashreplace"))
