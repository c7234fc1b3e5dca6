"""Predictions over HTTP: a real server, and real requests to it."""

from __future__ import annotations

import ast
import http.client
import io
import json
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import numpy as np
import pytest
from tests import processes

import archwright as aw
from archwright import nn
from archwright.errors import BuildError
from archwright.export import export_network, save_best

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

TABLE = "a,b,c,d\n5.1,3.5,1.4,0.2\n6.5,3.0,5.5,1.9\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The run folder of a search on a table, and an export of it with a server."""
    folder = tmp_path_factory.mktemp("served")
    space = aw.spaces.create("mlp", input_shape=(4,), classes=3)
    training, budget = aw.Training(aw.data("iris"), epochs=2), aw.Budget(trials=1)
    study = aw.search(space, training, strategy="random", budget=budget, final=False, path=folder / "run")
    study.export(folder / "out", docker=True)
    (folder / "new.csv").write_text(TABLE)
    return folder


@contextmanager
def served(*arguments, cwd=None) -> Iterator[tuple[str, int]]:
    """Run a server; its address and port."""
    process = processes.start(*arguments, cwd=cwd)
    line = process.stdout.readline()
    assert line.startswith("serving at http://"), process.stderr.read()
    host, port = line.split("/")[2].rsplit(":", 1)
    try:
        yield host, int(port)
    finally:
        process.kill()
        process.communicate()


def ask(place, method, path, body=None, kind="application/octet-stream", **headers):
    """Send a request; the status and the answer, JSON where it is some."""
    connection = http.client.HTTPConnection(*place, timeout=60)
    connection.request(method, path, body, {"Content-Type": kind, **headers})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    is_json = answer.headers.get_content_type() == "application/json"
    return answer.status, json.loads(content) if is_json else content.decode()


def test_a_run_and_its_export_answer_as_the_command_does(run, in_process_predict):
    wanted = in_process_predict(run / "run", run / "new.csv")
    for each in wanted:
        each["file"] = "new.csv"
    rows = [dict(zip("abcd", map(float, line.split(",")), strict=True)) for line in TABLE.splitlines()[1:]]
    names = [each["name"] for each in json.loads((run / "out" / "preprocess.json").read_text())["columns"]]
    named = [dict(zip(names, row.values(), strict=True)) for row in rows]
    without = "import sys; sys.modules['archwright'] = None; import runpy; sys.argv = ['serve.py', '--port', '0']\n"
    ways = [
        (("-m", "archwright", "serve", run / "run", "--port", "0"), None),
        (("-m", "archwright", "serve", run / "out", "--trust", "--port", "0"), None),
        (("-c", f"{without}runpy.run_path('serve.py', run_name='__main__')"), run / "out"),
    ]
    for arguments, cwd in ways:
        with served(*arguments, cwd=cwd) as place:
            assert place[0] == "127.0.0.1"
            status, found = ask(place, "POST", "/predict?name=new.csv", TABLE)
            assert (status, found["errors"]) == (200, [])
            assert [each["label"] for each in found["predictions"]] == [each["label"] for each in wanted]
            assert [each["file"] for each in found["predictions"]] == ["new.csv"] * 2
            assert found["predictions"][0]["probability"] == pytest.approx(wanted[0]["probability"], abs=1e-6)
            status, same = ask(place, "POST", "/predict", json.dumps({"rows": named}), "application/json")
            assert [each["label"] for each in same["predictions"]] == [each["label"] for each in wanted]
            inputs = {"inputs": [list(row.values()) for row in rows]}
            assert ask(place, "POST", "/predict", json.dumps(inputs), "application/json")[1] == same
            status, schema = ask(place, "GET", "/schema")
            assert (status, schema["kind"], schema["columns"]) == (200, "table", names)
            status, page = ask(place, "GET", "/")
            assert (status, "<script>" in page, "http" in page) == (200, True, False)  # self-contained


@pytest.fixture
def in_process_predict(capsys):
    """The predictions of `archwright predict --json`."""

    def predict(folder, file):
        from archwright.export import report

        capsys.readouterr()
        assert report(aw.load(folder).predictor(), [file], as_json=True) == 0
        return json.loads(capsys.readouterr().out)["predictions"]

    return predict


PICTURES = """
import sys, torch
from archwright.datasets import ImagePreprocess
from archwright.export import Predictor, serve
network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 2))
preprocess = ImagePreprocess(("cat", "dog"), 3, 4, 4, (0.0,) * 3, (1.0,) * 3, resize=True)
serve(Predictor(network, preprocess), port=0, max_gigabytes=2e-4)
"""


def test_what_is_broken_or_hostile_is_refused_as_json(tmp_path):
    image = pytest.importorskip("PIL.Image")
    picture, large = io.BytesIO(), io.BytesIO()
    image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(picture, "PNG")
    image.fromarray(np.zeros((900, 900, 3), np.uint8)).save(large, "PNG")
    assert len(large.getvalue()) < 4000
    outside = tmp_path / "outside.png"
    outside.write_bytes(picture.getvalue())
    with served("-c", PICTURES) as place:
        good = ask(place, "POST", "/predict?name=a.png", picture.getvalue())
        assert (good[0], good[1]["predictions"][0]["file"]) == (200, "a.png")
        for name in ("..%2F..%2Fetc%2Fpasswd.png", "%00%0A%3Cscript%3E.png", f"{'x' * 5000}.png", "C:%5Cx.png"):
            status, found = ask(place, "POST", f"/predict?name={name}", picture.getvalue())
            assert status == 200
            assert not set("/\\\0\n<") & set(found["predictions"][0]["file"])
        refused = [
            (400, "empty", "?name=a.png", b"", "image/png"),
            (400, "name of the file is missing", "", picture.getvalue(), "image/png"),
            (400, "name of the file is missing", "?name=..", picture.getvalue(), "image/png"),
            (422, "a.png cannot be decoded", "?name=a.png", picture.getvalue()[:40], "image/png"),
            (422, "pixels", "?name=a.png", large.getvalue(), "image/png"),
            (413, "larger than 12500 bytes", "?name=a.png", b"x" * 12501, "image/png"),
            (413, "larger than 12500 bytes", "", b"[" * 13000, "application/json"),
            (400, "not JSON", "", b"[" * 12000, "application/json"),
            (400, "not JSON", "", b"\xff", "application/json"),
            (422, "the body must be", "", json.dumps({"rows": [str(outside)]}), "application/json"),
            (422, "the body must be", "", json.dumps(str(outside)), "application/json"),
            (422, "no array of numbers", "", json.dumps({"inputs": [[1], [2, 3]]}), "application/json"),
            (422, "pictures of shape", "", json.dumps({"inputs": [[1.0, 2.0]]}), "application/json"),
            (422, "this network takes", "", json.dumps({"rows": [{"file": str(outside)}]}), "application/json"),
            (415, "--data-binary", "", b"--x--", "multipart/form-data; boundary=x"),
        ]
        for status, told, query, body, kind in refused:
            answer = ask(place, "POST", f"/predict{query}", body, kind)
            assert (answer[0], list(answer[1])) == (status, ["error"]), (told, answer)
            assert told in answer[1]["error"]
            assert "served-" not in answer[1]["error"]  # no path of the server
        chunks = iter([b"x" * 9000] * 3)  # without a length
        assert ask(place, "POST", "/predict?name=a.png", chunks)[0] == 413
        assert ask(place, "GET", "/predict")[0] == 405
        assert ask(place, "GET", "/other") == (404, {"error": "Not Found"})
        assert ask(place, "GET", "/schema", Host="elsewhere.example")[0] == 400  # a name that leads here
        assert ask(place, "POST", "/predict?name=a.png", picture.getvalue()) == good


def test_a_port_in_use_and_an_export_without_trust_are_told_in_a_line(run, capsys, monkeypatch):
    from archwright.cli import main

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for given, told in (
            ([run / "run", "--port", port], f"port {port} of 127.0.0.1 cannot be used: Address already in use. Give"),
            ([run / "out"], "give --trust"),
            ([run / "none"], str(run / "none")),
            ([run / "run", "--max-gigabytes", 0], "max_gigabytes=0"),
        ):
            monkeypatch.setattr("sys.argv", ["archwright", "serve", *map(str, given)])
            with pytest.raises(SystemExit) as ended:
                main()
            err = capsys.readouterr().err
            assert (ended.value.code, err.count("\n")) == (2, 1), err
            assert told in err


def test_the_container_has_all_that_it_copies_with_exact_versions(run):
    out = run / "out"
    lines = [shlex.split(line) for line in (out / "Dockerfile").read_text().splitlines()]
    copied = [name for line in lines if line[0] == "COPY" for name in line[1:-1]]
    assert all((out / name).is_file() for name in copied)
    assert {"serve.py", "requirements.txt", "weights.safetensors"} <= set(copied)
    wanted = {name: version(name).partition("+")[0] for name in ("starlette", "torch", "uvicorn")}
    needed = dict(line.split("==") for line in (out / "requirements.txt").read_text().splitlines())
    assert wanted.items() <= needed.items()
    assert not {"numpy", "archwright", "scipy"} & set(needed)
    assert "archwright" not in {
        (node.module or "").partition(".")[0]
        for node in ast.walk(ast.parse((out / "serve.py").read_text()))
        if isinstance(node, ast.ImportFrom)
    }


def test_a_network_without_preprocessing_has_no_container(tmp_path):
    space = aw.Space(model=nn.Linear(4, 3), example_input=(4,))
    made = aw.Candidate(space, space.canonical({}), seed=0)
    save_best(tmp_path, space=space, architecture=made.architecture, candidate=made, metrics={})
    with pytest.raises(BuildError, match=r"a Dockerfile needs .*predict\.py.*; add --format torch"):
        export_network(tmp_path, tmp_path / "out", space=space, docker=True)
    assert not (tmp_path / "out").exists()
