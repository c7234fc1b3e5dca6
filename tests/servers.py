"""A PostgreSQL server for tests, started from the programs of Debian's packages where they are installed."""

from __future__ import annotations

import glob
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

USER = "postgres"  # whom the server runs as, since it does not run as root


def programs() -> Path | None:
    """Return the folder of the server's programs, or `None`."""
    found = shutil.which("pg_ctl") or max(glob.glob("/usr/lib/postgresql/*/bin/pg_ctl"), default=None)
    return None if found is None else Path(found).resolve().parent


class PostgreSQL:
    """A server with a folder of its own, which forgets all when it is closed.

    Attributes:
        url: The URL of its database.
    """

    def __init__(self) -> None:
        folder = programs()
        assert folder is not None
        self._programs = folder
        self._folder = Path(tempfile.mkdtemp(prefix="archwright-postgresql-"))
        self._as = {"user": USER, "group": USER, "extra_groups": []} if os.getuid() == 0 else {}
        if self._as:
            shutil.chown(self._folder, USER, USER)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"postgresql://archwright@127.0.0.1:{self._port}/postgres"
        self._call("initdb", "-U", "archwright", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self.start()

    def start(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self._port,
            "unix_socket_directories": self._folder,
            "fsync": "off",
            "max_connections": 60,
        }
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self._call("pg_ctl", "start", "-w", "-l", self._folder / "log", "-o", options)

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: "immediate" cuts off what it is doing, "fast" ends it in order."""
        self._call("pg_ctl", "stop", "-w", "-m", mode)

    def close(self) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _call(self, program: str, *arguments: object) -> None:
        # The server keeps what it is given for its output: it is not given a pipe, whose end would be waited for.
        with (self._folder / f"{program}.out").open("w") as out:
            command = [self._programs / program, "-D", self._folder / "data", *map(str, arguments)]
            ran = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self._folder, check=False, **self._as
            )
        if ran.returncode:
            raise RuntimeError(f"{program} failed: {(self._folder / f'{program}.out').read_text()}")
