"""Servers for tests: PostgreSQL, from the programs of Debian's packages where they are installed, and chat."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

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


class Chat:
    """An OpenAI-compatible server in a thread of this process.

    Attributes:
        url: Its base URL.
        answer: Takes a request and returns the text of the reply; or a status, with the whole response as a dictionary
            or bytes, and headers. By default random architectures, of which the request alone decides.
        requests: The bodies of all requests.
        headers: Their headers.
    """

    def __init__(self) -> None:
        self.answer = drawn
        self.requests: list[dict] = []
        self.headers: list[dict] = []
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                chat.requests.append(body)
                chat.headers.append(dict(self.headers))
                answered = chat.answer(body)
                if isinstance(answered, str):
                    answered = 200, {"choices": [{"message": {"role": "assistant", "content": answered}}]}, {}
                status, content, headers = answered
                content = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *arguments: None  # a client that has left
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def drawn(body: dict) -> str:
    """Return a reply with random values for all decisions of the schema, active or not."""
    listed = body["response_format"]["json_schema"]["schema"]["properties"]["architectures"]
    digest = hashlib.sha256(json.dumps([body["messages"], body["seed"]]).encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8]))

    def value(domain):
        if "enum" in domain:
            return domain["enum"][int(rng.integers(len(domain["enum"])))]
        if domain["type"] == "array":
            labels = domain["items"]["enum"]
            return [labels[int(place)] for place in rng.permutation(len(labels))[: int(rng.integers(1, 3))]]
        number = rng.uniform(domain["minimum"], domain["maximum"])
        return round(number) if domain["type"] == "integer" else float(number)

    properties = listed["items"]["properties"]
    proposed = [{name: value(domain) for name, domain in properties.items()} for _ in range(int(listed["maxItems"]))]
    return json.dumps({"architectures": proposed})
