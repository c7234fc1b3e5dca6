"""The content of a payload, which all agents of one machine hold in one file."""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from archwright._payload import Payload

_PATIENCE = 60.0  # seconds for the agent that has the file to write it and hand it over


class SharedPayload:
    """A payload that the first agent of a machine writes, and hands over to the others as an open file.

    They find it by a socket without a name on disk, so that nothing is left behind, however they end. Where that is
    not possible, each writes its own.

    Args:
        key: A secret of the search.
        read: Returns the content.

    Attributes:
        payload: The payload.
        door: What becomes ready when another agent asks for it; `None` if this one was not the first.
    """

    def __init__(self, key: bytes, read: Callable[[], Any]) -> None:
        self.door: Any = None
        name = b"\0archwright-" + hashlib.sha256(key).hexdigest()[:32].encode()
        held = self._meet(name) if sys.platform == "linux" else None
        try:
            self.payload = Payload(read()) if held is None else Payload.adopt(held)
        except BaseException:
            self._shut()
            raise

    def hand_over(self) -> None:
        """Give the open file to an agent that asks for it."""
        with suppress(OSError):  # it may be gone
            caller, _ = self.door.accept()
            with caller:
                if _user(caller) == os.getuid():
                    socket.send_fds(caller, [b"!"], list(self.payload.descriptors))

    def close(self) -> None:
        """Release the file."""
        self._shut()
        self.payload.close()

    def _meet(self, name: bytes) -> int | None:
        """Open the door, or return the open file that is got at it; `None` if this is the first agent."""
        door = socket.socket(socket.AF_UNIX)
        try:
            door.bind(name)
            door.listen(1024)
            door.setblocking(False)
            self.door = door
        except OSError:  # another agent was first
            door.close()
            with socket.socket(socket.AF_UNIX) as caller, suppress(OSError):
                caller.settimeout(_PATIENCE)
                caller.connect(name)
                if _user(caller) == os.getuid():
                    _, files, _, _ = socket.recv_fds(caller, 1, 1)
                    return files[0] if files else None
        return None

    def _shut(self) -> None:
        if self.door is not None:
            self.door.close()


def _user(end: socket.socket) -> int:
    """Return the number of the user at the other end of a socket of this machine."""
    found: int = struct.unpack("3i", end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[1]
    return found
