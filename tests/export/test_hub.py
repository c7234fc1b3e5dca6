"""Uploads to the Hugging Face Hub: its client, and a server that answers as the Hub does."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from tests import processes

import archwright as aw
from archwright import nn
from archwright.errors import StudyError
from archwright.export import check_repository, save_best

pytest.importorskip("huggingface_hub")


class Hub(BaseHTTPRequestHandler):
    """Keeps what is uploaded, and refuses a repository that exists."""

    kept: dict[str, dict[str, bytes]]
    made: list[dict[str, object]]

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Authorization"] == "Bearer hf_secret"
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self.made.append(asked)
            if name in self.kept:
                return self.answer({"error": "You already created this model repo"}, 409)
            self.kept[name] = {}
            return self.answer({"url": f"http://{self.headers['Host']}/{name}"})
        name = "/".join(self.path.split("/")[3:5])
        if "/preupload/" in self.path:
            files = [{"path": each["path"], "uploadMode": "regular"} for each in json.loads(body)["files"]]
            return self.answer({"files": [{**each, "shouldIgnore": False} for each in files]})
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.kept[name][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        return self.answer(
            {"commitUrl": f"http://{self.headers['Host']}/{name}/commit/1", "commitOid": "1" * 40, "success": True}
        )

    def answer(self, content, status=200):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub() -> Iterator[tuple[type[Hub], dict[str, str]]]:
    kind = type("OneHub", (Hub,), {"kept": {"me/taken": {"mine": b"precious"}}, "made": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield kind, {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_TOKEN": "hf_secret"}
    server.shutdown()
    server.server_close()


def test_an_export_is_uploaded_to_a_new_private_repository(hub, tmp_path):
    server, environment = hub
    space = aw.Space(model=nn.Linear(4, aw.ordinal(2, 3, name="width")), example_input=(4,))
    made = aw.Candidate(space, space.sample(np.random.default_rng(0)), seed=0)
    save_best(tmp_path / "run", space=space, architecture=made.architecture, candidate=made, metrics={})
    command = ("-m", "archwright", "export", tmp_path / "run")
    done = processes.run(*command, "--out", tmp_path / "out", "--push-to", "me/digits", env=environment)
    assert done.returncode == 0, done.stderr
    assert "uploaded to" in done.stdout
    assert server.made[-1].get("private") is True or server.made[-1].get("visibility") == "private"
    assert server.kept["me/digits"] == {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    done = processes.run(*command, "--out", tmp_path / "again", "--push-to", "me/taken", env=environment)
    assert (done.returncode, done.stderr.strip().count("\n")) == (2, 1)  # and the warning that there is no record
    assert "the Hub does not take me/taken" in done.stderr
    assert "hf_secret" not in done.stderr
    assert server.kept["me/taken"] == {"mine": b"precious"}
    with socket.create_server(("127.0.0.1", 0)) as closing:
        nobody = {**environment, "HF_ENDPOINT": f"http://127.0.0.1:{closing.getsockname()[1]}"}
    done = processes.run(*command, "--out", tmp_path / "third", "--push-to", "me/other", env=nobody)
    assert (done.returncode, done.stderr.strip().count("\n")) == (2, 1)
    assert f"The export is in {tmp_path / 'third'}" in done.stderr


def test_what_is_no_repository_is_refused_before_the_export():
    for name in ("digits", "me/", "../x", "me/a b", "https://elsewhere/me/x"):
        with pytest.raises(StudyError, match="USER/NAME"):
            check_repository(name)
