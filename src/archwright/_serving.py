"""What serves an application of Starlette on a port. An export has a copy of it in its serve.py."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn

__all__ = ["listen", "run"]

_CONNECTIONS = 64  # at a time
_GRACE = 5  # seconds that requests have to end after Ctrl-C


def listen(host: str, port: int, error: Callable[[str], Exception]) -> socket.socket:
    """Return a socket that listens at an address; port 0 is any that is free.

    Raises:
        Exception: The address or the port cannot be used; `error` makes it of the message.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as refused:
        told = str(getattr(refused, "strerror", None) or refused).partition(" (")[0]
        raise error(
            f"port {port} of {host} cannot be used: {told}. Give another one with --port, or --port 0 for a free one"
        ) from refused


def run(app: Any, listening: socket.socket) -> None:
    """Serve an application at a socket until Ctrl-C or SIGTERM."""
    with suppress(KeyboardInterrupt):
        config = uvicorn.Config(
            app,
            log_level="warning",
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=_GRACE,
            server_header=False,
        )
        uvicorn.Server(config).run(sockets=[listening])
