"""Worker processes of other machines, as the process of the search sees them."""

from __future__ import annotations

import os
import secrets
import socket
import struct
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from archwright.execute._agent import INTERRUPT, Ticket, keep_alive
from archwright.execute._output import Output
from archwright.execute._process import WorkerProcess

_GREETING = 10  # seconds that a caller has to show that it knows the key


class Agent(Protocol):
    """The program beside a worker process, as what has started it sees it."""

    def over(self) -> str | None:
        """Return how it has ended, to follow its name; `None` if it may still run, or has not begun."""

    def cancel(self) -> None:
        """End it, also before it has begun."""


class RemoteProcess(WorkerProcess):
    """A worker process of another machine, which its agent ends with all that it has forked when it is let go.

    Args:
        place: Its number.
        connection: The connection to its agent.
        agent: The agent, which lives as long as this is held.
        logs: The folder for what its jobs print; `None` where that stays on its machine.
    """

    has_same_clock = False

    def __init__(self, place: int, connection: Any, agent: Agent, logs: Path | None) -> None:
        super().__init__(place, connection)
        self.output = None if logs is None else Output(logs)
        self._agent = agent
        self._used = 0
        self._how = "was lost: its machine has failed, or the connection to it"

    def receive(self) -> Any:
        """Return the next message of the process; take in those of its agent."""
        message = super().receive()
        if message[0] == "memory":
            self._used = message[1]
        elif message[0] == "printed" and self.output is not None:
            self.output.add(message[2], message[1])
        elif message[0] == "ended":
            self._how = message[1]
            raise EOFError
        return message

    @property
    def is_alive(self) -> bool:
        """Whether it is not known to have ended."""
        return not self.is_killed and self._agent.over() is None

    def memory(self) -> int:
        """Return the bytes that it used when its agent looked."""
        self.peak, self.looked = max(self.peak, self._used), time.monotonic()
        return self._used

    def interrupt(self) -> None:
        """Do to it what Ctrl-C does."""
        with suppress(OSError):
            self.connection.send_bytes(INTERRUPT)

    def wait(self, seconds: float) -> None:
        """Wait for its end, but no longer than some seconds."""
        end = time.monotonic() + seconds
        with suppress(EOFError, OSError):
            while self.connection.poll(max(0.0, end - time.monotonic())):
                self.receive()

    def kill(self) -> str:
        """Let it go; return how it has ended, to follow its name."""
        self.is_killed = True
        self.connection.close()
        if self.output is not None:
            self.output.close()
        return self._how


class Gateway:
    """The place at which agents call the search; one that does not know the key is not let in.

    Args:
        host: The name or address by which other machines reach this one.
        anywhere: Whether to listen at all addresses of this machine, instead of this one alone.

    Attributes:
        handle: What becomes ready when an agent has called, or `ring` was.
    """

    def __init__(self, host: str, *, anywhere: bool) -> None:
        self._server = socket.create_server(("" if anywhere else host, 0), backlog=1024)
        self._address = (host, self._server.getsockname()[1])
        self._key = secrets.token_bytes(32)
        self._called: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        self.handle, self._bell = socket.socketpair()
        self.handle.setblocking(False)
        self._bell.setblocking(False)
        threading.Thread(target=self._listen, daemon=True).start()

    def ticket(self, number: int) -> Ticket:
        """Return what the agent with a number needs."""
        return Ticket(self._address, self._key, number)

    def ring(self) -> None:
        """Make `handle` ready, in any thread."""
        with suppress(OSError):  # it is, if it cannot take more; or nobody waits for it any longer
            self._bell.send(b"!")

    def calls(self) -> list[tuple[int, Any]]:
        """Return the numbers and the connections of the agents that have called since the last time."""
        with suppress(BlockingIOError):
            self.handle.recv(4096)
        found = []
        while not self._called.empty():
            found.append(self._called.get())
        return found

    def close(self) -> None:
        """Let nobody in any more."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # which ends the wait for a call
        self._server.close()
        for _, caller in self.calls():
            caller.close()
        self.handle.close()
        self._bell.close()

    def _listen(self) -> None:
        while True:
            try:
                call, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._let_in, args=(Connection(call.detach()),), daemon=True).start()

    def _let_in(self, caller: Any) -> None:
        """Let a caller in that knows the key."""
        try:
            _wait_at_most(caller, _GREETING)
            deliver_challenge(caller, self._key)
            answer_challenge(caller, self._key)
            number: int = caller.recv()
            _wait_at_most(caller, 0)
            keep_alive(caller)
        except Exception:  # anybody may call, and say anything
            caller.close()
        else:
            self._called.put((number, caller))
            self.ring()


def _wait_at_most(caller: Any, seconds: int) -> None:
    """Let a connection fail that is silent for so many seconds; 0 for no limit."""
    with socket.socket(fileno=os.dup(caller.fileno())) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", seconds, 0))
