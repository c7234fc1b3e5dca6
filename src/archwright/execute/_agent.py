"""The program beside a worker process on another machine: it starts the process, and connects it with the search."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any

from archwright.execute._job import PRINTED
from archwright.execute._output import Relay
from archwright.execute._process import LocalProcess
from archwright.execute._share import SharedPayload

INTERRUPT = b"interrupt"
"""The message that is for the agent and not for its process: unlike all others it is no pickle."""

_LOOK = 0.2  # seconds between two looks at the memory or the life of the process
_TOLD = 1 << 26  # bytes by which its memory has to change until the search is told again
_TCP = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_NODELAY": 1}


@dataclass(frozen=True)
class Ticket:
    """What an agent needs to reach the search.

    Args:
        address: The address at which the search listens.
        key: The secret by which each knows the other.
        number: The number of the agent.
    """

    address: tuple[str, int]
    key: bytes
    number: int


@dataclass(frozen=True)
class Setting:
    """What all worker processes of a search have in common.

    Args:
        environment: Environment variables that they have besides those of their machine.
        paths: Folders in which the program of the search finds its modules.
        is_limited: Whether the search wants to know how much memory they use.
        is_logged: Whether the search wants to know what they print.
    """

    environment: Mapping[str, str]
    paths: tuple[str, ...]
    is_limited: bool
    is_logged: bool


def serve(ticket: Ticket, read: Callable[[], Any], setting: Setting) -> None:
    """Run a worker process, and pass on what it and the search tell each other, until one of them has ended.

    Args:
        ticket: How to reach the search.
        read: Returns the content of the payload.
        setting: What the process is to have.
    """
    sys.path += [path for path in setting.paths if path not in sys.path]
    with connection.Client(ticket.address, authkey=ticket.key) as search:
        keep_alive(search)
        search.send(ticket.number)
        relay = Relay(lambda *printed: search.send(("printed", *printed))) if setting.is_logged else None
        with closing(SharedPayload(ticket.key, read)) as shared:
            process = LocalProcess(0, shared.payload, setting.environment, relay)
            try:
                _pass_on(search, process, shared, relay, is_limited=setting.is_limited)
            finally:
                how = process.kill()
                if relay is not None:
                    with suppress(OSError):
                        relay.finish()
                    relay.close()
        with suppress(OSError):  # the search has ended, or has given the process up
            search.send(("ended", how))


def _pass_on(
    search: Any, process: LocalProcess, shared: SharedPayload, relay: Relay | None, *, is_limited: bool
) -> None:
    doors = [] if shared.door is None else [shared.door]
    told = 0
    timeout = _LOOK if is_limited or not process.tells_of_death else None
    with suppress(EOFError, OSError):  # of either: then both have to end
        while True:
            printed = [] if relay is None else relay.handles
            ready = connection.wait([search, *process.handles, *doors, *printed], timeout)
            if relay is not None and printed and printed[0] in ready:
                relay.read()
            if doors and shared.door in ready:
                shared.hand_over()
            if search in ready:
                message = search.recv_bytes()
                if message == INTERRUPT:
                    process.interrupt()
                else:
                    with suppress(OSError):  # it is dead; what it has said before comes first
                        process.connection.send_bytes(message)
            if process.connection in ready:
                message = process.connection.recv_bytes()
                if relay is not None and message == PRINTED:
                    relay.finish()
                else:
                    search.send_bytes(message)
            elif not process.is_alive:
                return
            if is_limited and abs(process.memory() - told) > _TOLD:
                told = process.memory()
                search.send(("memory", told))


def keep_alive(end: Any) -> None:
    """Let a connection fail when the machine at its other end is gone, and send each message at once."""
    with socket.socket(fileno=os.dup(end.fileno())) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _TCP.items():
            if hasattr(socket, name):  # not all systems have all of them
                held.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
