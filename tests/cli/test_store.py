"""`archwright store`."""

from __future__ import annotations

import json
import sqlite3

import pytest
from tests.store.helpers import content
from tests.study.helpers import SPACE, function, walk

import archwright as aw
from archwright.store import export_studies


@pytest.fixture
def store(tmp_path):
    """A database with two studies."""
    path = tmp_path / "studies.db"
    aw.search(SPACE, function, strategy="evolution", budget=aw.Budget(trials=20), store=path, name="first")
    with aw.Study(SPACE, store=path, name="sécond \n'x", strategy="random") as study:
        walk(study, 5)
        study.ask()
    return path


def test_the_command(store, tmp_path, in_process):
    status, out, _ = in_process("store", "list", store, "--json")
    assert (status, [each["trials"] for each in json.loads(out)]) == (0, [20, 6])
    assert in_process("studies", store) == in_process("store", "list", store)
    assert in_process("store", "check", store)[:2] == (
        0,
        "'first': 20 trials, nothing is damaged\n\"sécond \\n'x\": 6 trials, nothing is damaged\n",
    )
    status, out, _ = in_process("store", "backup", store, tmp_path / "copy.db")
    assert (status, "wrote" in out) == (0, True)
    status, out, _ = in_process("store", "export", store)
    assert out.splitlines() == list(export_studies(store))
    status, out, _ = in_process("store", "export", store, "--name", "first", "--out", tmp_path / "first.jsonl")
    assert (status, out.split()[0], out.split()[-2:]) == (0, "wrote", ["21", "lines"])
    status, out, _ = in_process("store", "import", tmp_path / "first.jsonl", tmp_path / "copy.db", "--as", "third")
    assert (status, "'third'" in out) == (0, True)
    assert content(tmp_path / "copy.db", "third") == content(store, "first")
    status, _, err = in_process("store", "import", tmp_path / "first.jsonl", tmp_path / "copy.db")
    assert (status, "has a study 'first' already" in err) == (2, True)
    status, _, err = in_process("store", "export", store, "--out", tmp_path / "first.jsonl")
    assert (status, "exists already" in err) == (2, True)
    status, _, err = in_process("store", "import", tmp_path / "copy.db", tmp_path / "other.db")
    assert status == 2
    assert err.startswith("archwright: ")


def test_the_command_on_a_run_folder(tmp_path, in_process):
    aw.search(SPACE, function, budget=aw.Budget(trials=4), path=tmp_path / "run")
    for place in (tmp_path / "run", tmp_path / "run" / "study.db"):
        status, out, err = in_process("store", "check", place)
        assert (status, out) == (0, "'study': 4 trials, nothing is damaged\n"), err
    with sqlite3.connect(tmp_path / "run" / "study.db") as connection:
        connection.execute("UPDATE documents SET value = '5' WHERE name = 'objective'")
    connection.close()
    status, out, _ = in_process("store", "check", tmp_path / "run")
    assert (status, "objective" in out) == (1, True)


def test_no_password_is_told_by_the_command(tmp_path, in_process, postgresql):
    with aw.Study(SPACE, store=postgresql, name="a") as study:
        walk(study, 2)
    secret = postgresql.replace("archwright@", "archwright:s3cret%21@")
    told = ""
    for arguments in (
        ("list", secret),
        ("check", secret),
        ("backup", secret, tmp_path / "copy.db"),
        ("backup", secret, tmp_path / "copy.db"),
        ("export", secret, "--out", tmp_path / "out.jsonl"),
        ("export", secret, "--name", "missing"),
        ("import", tmp_path / "out.jsonl", secret),
        ("import", tmp_path / "out.jsonl", secret, "--as", "b"),
        ("list", secret.replace("127.0.0.1", "127.0.0.1:port")),
    ):
        _, out, err = in_process("store", *arguments)
        told += out + err
    study = aw.search(SPACE, function, budget=aw.Budget(trials=2), store=secret, name="c", path=tmp_path / "run")
    told += repr(study) + repr(study._recorder.place) + str(study.summary())
    told += "".join(path.read_text() for path in (tmp_path / "run").glob("*") if path.is_file())
    told += "".join(export_studies(postgresql))
    assert "127.0.0.1" in told
    assert "s3cret" not in told
