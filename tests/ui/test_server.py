"""The server of the dashboard: what it tells, whom it lets in, and what it refuses to do."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import sqlite3
import time

import pytest
from tests import processes

import archwright as aw
from archwright.errors import StudyError

pytest.importorskip("uvicorn")
client_module = pytest.importorskip("starlette.testclient")

from archwright.ui import dashboard, make_app  # noqa: E402  # which needs Starlette

HOSTILE = "<script>alert(1)</script>\x1b[31m"
SPACE = aw.Space(
    width=aw.ordinal(16, 32, 64, name="width"), kind=aw.choice("plain", "a&b", name="<b>kind</b>"), rate=aw.real(0, 1)
)


def evaluate(candidate):
    width = candidate.architecture["width"]
    if candidate.seed % 4 == 0:
        raise ValueError(HOSTILE)
    for epoch in (1, 2):
        candidate.record(epoch, accuracy=width / 100 * epoch / 2)
    return {"accuracy": width / 100, "size": width}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a search for two objectives, one that asks and tells, and one of a newer version."""
    folder = tmp_path_factory.mktemp("runs")
    study = aw.Study(
        SPACE, strategy="random", objective=["max accuracy", "min size"], path=folder / "deep" / "<i>one</i>"
    )
    study.run(evaluate, aw.Budget(trials=20))
    aw.Study(SPACE, path=folder / "new").close()
    shutil.copytree(folder / "new", folder / "newer")
    with sqlite3.connect(folder / "newer" / "study.db") as file:
        file.execute("UPDATE studies SET format = 99")
    (folder / "half").mkdir()
    (folder / "half" / "study.db").write_bytes(b"SQLite format 3\0")
    return folder


@pytest.fixture
def runs(made, tmp_path):
    return shutil.copytree(made, tmp_path / "runs")


def client(place, host="127.0.0.1", **settings):
    return client_module.TestClient(make_app(str(place), host=host, **settings), base_url=f"http://{host}:8265")


def listed(asked):
    """The runs by name, once all were read."""
    found = until(
        lambda: asked.get("/api/runs").json()["runs"], lambda runs: all(run["state"] != "loading" for run in runs)
    )
    return {run["name"]: run for run in found}


def until(call, holds, seconds=30):
    """What a call gives, once that is as it should be."""
    end = time.monotonic() + seconds
    while not holds(found := call()):
        assert time.monotonic() < end, found
    return found


def test_runs_and_trials_are_told_as_they_are_on_record(runs):
    asked = client(runs)
    found = listed(asked)
    study = aw.load(runs / "deep" / "<i>one</i>")
    assert sorted(found) == ["deep/<i>one</i>", "half", "new", "newer"]
    run = found["deep/<i>one</i>"]
    assert (run["state"], run["trials"], run["strategy"]) == ("ended", 20, "random")
    assert run["best"]["trial"] == study.best.trial.number
    assert "budget of 20 full evaluations is used up" in run["reason"]
    assert found["new"]["state"] == "new"
    assert "later version of archwright" in found["newer"]["problem"]
    assert found["half"]["problem"]
    page = asked.get(f"/api/run/{run['key']}").json()
    assert page["front"] == [best.trial.number for best in study.front]
    assert [row[1] for row in page["rows"]] == [trial.state for trial in study.trials]
    place = page["metrics"].index("size")
    assert [row[9].get(str(place)) for row in page["rows"]] == [trial.metrics.get("size") for trial in study.trials]
    again = asked.get(f"/api/run/{run['key']}?epoch={page['epoch']}&since={page['revision']}").json()
    assert again["rows"] == []
    failed = next(trial for trial in study.trials if trial.state == "failed")
    told = asked.get(f"/api/trial/{run['key']}?number={failed.number}")
    assert told.headers["content-type"] == "application/json"
    assert HOSTILE in told.json()["error"]
    complete = study.best.trial
    told = asked.get(f"/api/trial/{run['key']}?number={complete.number}").json()
    assert told["decisions"] == dict(complete.architecture)
    assert [point["accuracy"] for point in told["curve"]] == [point["accuracy"] for point in complete.curve]
    report = asked.get(f"/report/{run['key']}")
    assert "&lt;i&gt;one&lt;/i&gt;" in report.text
    assert "script-src" not in report.headers["content-security-policy"]
    assert asked.get(f"/drawing/{run['key']}?number=99").status_code == 409
    assert asked.get(f"/api/trial/{run['key']}?number=99").json()["error"].startswith("there is no trial 99")
    assert asked.get(f"/api/trial/{run['key']}?number=x").status_code == 422
    assert asked.get("/api/run/0123456789abcdef").status_code == 404
    assert asked.get("/static/..%2f__init__.py").status_code == 404


def test_a_run_that_is_removed_or_replaced_while_it_is_shown(runs):
    asked = client(runs)
    key = listed(asked)["deep/<i>one</i>"]["key"]
    before = asked.get(f"/api/run/{key}").json()
    shutil.rmtree(runs / "deep" / "<i>one</i>")
    other = aw.Study(aw.Space(width=aw.integer(1, 9)), objective="max accuracy", path=runs / "deep" / "<i>one</i>")
    other.run(evaluate, aw.Budget(trials=2), final=False)
    asked_for = f"/api/run/{key}?epoch={before['epoch']}&since={before['revision']}"
    after = until(lambda: asked.get(asked_for).json(), lambda found: found.get("epoch") not in (None, before["epoch"]))
    assert after["strategy"] == "evolution"
    assert [row[0] for row in after["rows"]] == [0, 1]
    shutil.rmtree(runs / "deep")
    gone = until(lambda: asked.get(f"/api/run/{key}").json(), lambda found: found.get("problem") or "error" in found)
    assert "there is no folder" in gone.get("problem", "") or "no such run any more" in gone["error"]
    until(lambda: listed(asked), lambda found: len(found) == 3)
    shutil.rmtree(runs)
    assert "there is no folder" in until(lambda: asked.get("/api/runs").json()["problem"], bool)


def test_other_hosts_and_pages_elsewhere_are_refused(runs):
    asked = client(runs)
    key = listed(asked)["new"]["key"]
    for host in ("127.0.0.1:9", "localhost", "[::1]:8265"):
        assert asked.get("/api/runs", headers={"Host": host}).status_code == 200, host
    for host in ("evil.example", "localhost.evil.example", "192.0.2.1", ""):
        assert asked.get("/api/runs", headers={"Host": host}).status_code == 400, host
    page = asked.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert page.text.count("<script") == page.text.count('<script type="module" src="/static/app.js">') == 1
    for action in ("stop", "resume"):
        for headers in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}):
            assert asked.post(f"/api/{action}/{key}", json={}, headers=headers).status_code == 403
    own = {"Origin": "http://127.0.0.1:8265"}
    assert asked.post(f"/api/stop/{key}", data={"a": "b"}, headers=own).status_code == 415
    assert asked.post(f"/api/stop/{key}", json={}, headers=own).json()["error"].startswith("no process runs the search")
    refused = asked.post(f"/api/resume/{key}", json={}, headers=own)
    assert (refused.status_code, "has no budget yet" in refused.json()["error"]) == (409, True)
    key = listed(asked)["deep/<i>one</i>"]["key"]
    refused = asked.post(f"/api/resume/{key}", json={"trials": 30}, headers=own)
    assert "evaluator cannot be restored from its record" in refused.json()["error"]
    for trials in (0, -1, "5; rm", True, 1.5):
        assert asked.post(f"/api/resume/{key}", json={"trials": trials}, headers=own).status_code == 422
    assert asked.get(f"/api/stop/{key}").status_code == 405


def test_a_token_is_asked_for_once(runs):
    asked = client(runs, host="192.0.2.7", token="secret-secret", cookie="c-8265")
    assert asked.get("/api/runs").status_code == 401
    assert asked.get("/?token=other-other-other").status_code == 401
    assert asked.get("/", headers={"Cookie": "c-8265=other"}).status_code == 401
    entered = asked.get("/?token=secret-secret&x=1", follow_redirects=False)
    assert (entered.status_code, entered.headers["location"]) == (303, "/?x=1")
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert asked.get("/api/runs").status_code == 200
    led = asked.get("//elsewhere.example/?token=secret-secret", follow_redirects=False)
    assert led.headers["location"] == "/"  # of this server
    assert asked.get("/api/runs", headers={"Host": "evil.example"}).status_code == 400


def test_what_cannot_be_shown_is_told_in_a_line(runs, tmp_path, capsys, monkeypatch):
    from archwright.cli import main

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for given, told in (
            ([tmp_path / "none"], f"there is no folder {tmp_path / 'none'}"),
            ([runs, "--port", port], f"port {port} of 127.0.0.1 cannot be used: Address already in use. Give another"),
            ([runs, "--token", "short"], "the token has 5 characters; it needs 12 or more"),
        ):
            monkeypatch.setattr("sys.argv", ["archwright", "ui", *map(str, given)])
            with pytest.raises(SystemExit) as ended:
                main()
            err = capsys.readouterr().err
            assert (ended.value.code, err.count("\n")) == (2, 1), err
            assert told in err
    with pytest.raises(StudyError, match="there is no folder"):
        dashboard(tmp_path / "none")


def test_an_empty_folder_and_other_machines(tmp_path):
    """A real server: it says how a search begins, makes a token, and ends at once on Ctrl-C."""
    process = processes.start("-m", "archwright", "ui", tmp_path, "--host", "0.0.0.0", "--port", "0")
    line, hint = process.stdout.readline(), process.stdout.readline()
    assert line.startswith("dashboard at http://0.0.0.0:")
    assert len(line.partition("?token=")[2].split()[0]) >= 32
    assert "there are no runs" in hint
    connection = http.client.HTTPConnection("127.0.0.1", int(line.split(":")[2].partition("/")[0]), timeout=60)
    connection.request("GET", "/")
    assert connection.getresponse().status == 401
    process.send_signal(2)
    process.stdin.close()
    assert process.wait(30) == 0


def test_studies_of_a_database_are_shown_without_its_password(tmp_path):
    file = tmp_path / "studies.db"
    study = aw.Study(SPACE, strategy="random", store=file, name=HOSTILE.replace("\x1b", ""))
    study.run(evaluate, aw.Budget(trials=4), final=False)
    asked = client(file)
    (run,) = listed(asked).values()
    assert (run["state"], run["trials"], "<script>" in run["name"]) == ("ended", 4, True)
    own = {"Origin": "http://127.0.0.1:8265"}
    assert "no run folder here" in asked.post(f"/api/stop/{run['key']}", json={}, headers=own).json()["error"]


def test_a_request_to_stop_is_for_one_process_alone(tmp_path):
    """A request that a killed search has left does not end the next one."""
    folder = tmp_path / "run"
    study = aw.Study(SPACE, strategy="random", path=folder)
    study.ask()
    study.request_stop()
    stale = (folder / "study.stop.json").read_text()
    study.close()
    assert json.loads(stale)["request"] == "stop"
    (folder / "study.stop.json").write_text(stale.replace('"since": "2', '"since": "1'))
    study.run(evaluate, aw.Budget(trials=3), final=False)
    assert study.stopped_by == "trials"
    assert (folder / "study.stop.json").exists()
    (folder / "study.stop.json").write_text("mine")
    study.ask()
    with pytest.raises(StudyError, match="archwright did not write it"):
        study.request_stop()
    assert (folder / "study.stop.json").read_text() == "mine"
