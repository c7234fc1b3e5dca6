from __future__ import annotations

import json
import math
import sqlite3
from dataclasses import replace

import pytest
import sqlalchemy
from sqlalchemy.dialects import postgresql
from tests.study.helpers import SPACE, walk

import archwright as aw
from archwright.errors import StoreError, StudyError
from archwright.store import DOCUMENTS, MemoryStore, Record, SQLStore
from archwright.store import _tables as sql
from archwright.trials import Trial


@pytest.fixture
def run(tmp_path):
    with aw.Study(SPACE, path=tmp_path / "run", seed=3) as study:
        walk(study, 20)
    return tmp_path / "run"


@pytest.fixture(params=["memory", "file", "url"])
def store(request, tmp_path):
    if request.param == "memory":
        store = MemoryStore()
    elif request.param == "file":
        store = SQLStore(tmp_path / "odd name?#%.db")
    else:
        store = SQLStore(f"sqlite:///{tmp_path / 'study.db'}")
    yield store
    store.close()


def test_what_is_kept_is_read_again(store):
    document = dict.fromkeys(DOCUMENTS) | {"seed": 3, "space": {"a": [1, None]}}
    assert store.is_empty()
    store.create(document)
    assert not store.is_empty()
    first = Trial(0, SPACE.canonical(dict.fromkeys(SPACE.decisions, "a")), seed=2**31 - 1, worker="w")
    second = replace(first, number=1)
    store.add(Record(first, 0.5))
    store.add(Record(second, 0.75))
    ended = replace(
        first,
        state="complete",
        metrics={"a": 0.1 + 0.2, "b": math.inf},
        curve=({"step": 1.0, "a": 1e-300},),
        seconds=1 / 3,
        error="é\n",
        attempts=2,
    )
    store.write(Record(ended, 1.5, 0))
    store.update(budget={"trials": 3}, results={"0": {}})
    snapshot = store.read()
    assert snapshot.document == document | {"budget": {"trials": 3}, "results": {"0": {}}}
    assert snapshot.records == [Record(ended, 1.5, 0), Record(second, 0.75)]


def test_statements_are_fit_for_postgresql():
    dialect = postgresql.dialect()
    for table in sql.SCHEMA.sorted_tables:
        assert "CREATE TABLE" in str(sqlalchemy.schema.CreateTable(table).compile(dialect=dialect))
    for statement in (sql.ADD_TRIAL, sql.WRITE_TRIAL, sql.ADD_DOCUMENT, sql.WRITE_DOCUMENT):
        assert "FOR SHARE" in str(statement.compile(dialect=dialect))


def test_the_file_holds_json_and_is_in_write_ahead_mode(run):
    with sqlite3.connect(run / "study.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        documents = dict(connection.execute("SELECT name, value FROM documents"))
        assert json.loads(documents["space"]) == SPACE.to_json()
        assert json.loads(documents["strategy"])["options"] == {"population": 20, "sample": 10}
        assert connection.execute("SELECT count(*) FROM trials").fetchone() == (20,)


def test_nothing_there(tmp_path):
    with pytest.raises(StoreError, match=r"no study\.db"):
        aw.load(tmp_path)
    with pytest.raises(StoreError, match="there is no folder"):
        aw.load(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()


def test_a_path_that_cannot_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made a run folder"):
        aw.Study(SPACE, path=tmp_path / "file")


def test_a_folder_that_cannot_be_locked(tmp_path):
    (tmp_path / "study.lock").mkdir()
    with pytest.raises(StudyError, match=r"study\.lock is not a file"):
        aw.Study(SPACE, path=tmp_path)
    assert not (tmp_path / "study.db").exists()


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\1" * 5000])
@pytest.mark.parametrize("way", ["load", "search"])
def test_a_file_that_is_no_database(tmp_path, content, way):
    (tmp_path / "study.db").write_bytes(content)
    with pytest.raises(StoreError, match=r"study\.db cannot be used: (file is not a database|.*malformed)"):
        aw.load(tmp_path) if way == "load" else aw.Study(SPACE, path=tmp_path)
    assert (tmp_path / "study.db").read_bytes() == content


def test_a_database_of_somebody_else(tmp_path):
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    for way in (lambda: aw.load(tmp_path), lambda: aw.Study(SPACE, path=tmp_path)):
        with pytest.raises(StoreError, match="holds no study: its tables are recipes"):
            way()


def test_a_file_that_was_never_filled_is_no_obstacle(tmp_path):
    (tmp_path / "study.db").write_bytes(b"")
    with pytest.raises(StoreError, match=r"holds no study yet.*Begin the search again"):
        aw.load(tmp_path)
    with aw.Study(SPACE, path=tmp_path) as study:
        walk(study, 2)
    assert len(aw.load(tmp_path).trials) == 2


def test_a_truncated_database(run):
    content = (run / "study.db").read_bytes()
    (run / "study.db").write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreError, match=r"study\.db (is damaged|cannot be used)"):
        aw.load(run)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE trials SET metrics = '{\"value\": 0.' WHERE number = 7", "metrics of trial 7 is not JSON"),
        ("UPDATE trials SET metrics = '[1]' WHERE number = 7", "trial 7 cannot be read"),
        ("DELETE FROM trials WHERE number = 4", "trial 4 is missing, trial 5 follows"),
        ("UPDATE documents SET value = '{' WHERE name = 'space'", "space is not JSON"),
        ("DELETE FROM studies", "holds no study yet"),
        ("UPDATE studies SET format = 99", "later version .*format 99"),
        ("UPDATE studies SET format = 'x'", "is damaged: format"),
        ("ALTER TABLE trials DROP COLUMN curve", "no such column"),
        ("DROP TABLE trials", "its tables are documents, studies"),
    ],
)
def test_damage_is_named(run, change, message):
    with sqlite3.connect(run / "study.db") as connection:
        connection.execute(change)
    with pytest.raises(StoreError, match=message):
        aw.load(run)


def test_what_is_there_is_not_overwritten(run):
    with pytest.raises(StudyError, match=r"holds a study already, with 20 trials.*resume=True"):
        aw.Study(SPACE, path=run, seed=3)
    with pytest.raises(StudyError, match=r"(?s)another path.*seed: 3 is on record, 4 was given"):
        aw.Study(SPACE, path=run, seed=4)
    assert len(aw.load(run).trials) == 20


def test_resume_goes_on_with_the_same_study_and_no_other(run):
    with aw.Study(SPACE, path=run, seed=3, resume=True) as study:
        walk(study, 5)
    unbroken = walk(aw.Study(SPACE, seed=3), 25)
    assert [t.architecture for t in aw.load(run).trials] == [t.architecture for t in unbroken.trials]
    other = aw.Space(x=aw.choice(1, 2))
    with pytest.raises(StudyError, match=r"(?s)a different study.*strategy: evolution\(.*random\(.*space"):
        aw.Study(other, strategy="random", path=run, seed=3, resume=True)


def test_a_failing_write_loses_nothing(run, monkeypatch):
    study = aw.load(run)
    trial = study.ask()
    with sqlite3.connect(run / "study.db") as connection:
        connection.execute("CREATE TRIGGER full BEFORE UPDATE ON trials BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(StoreError, match="disk full"):
        study.tell(trial, 0.5)
    assert study.trials[20].state == "running"
    with sqlite3.connect(run / "study.db") as connection:
        connection.execute("DROP TRIGGER full")
    study.tell(trial, 0.5)
    study.close()
    assert aw.load(run).trials[20].metrics == {"value": 0.5}


def test_a_transaction_that_an_interrupt_left_half_made_is_given_up(tmp_path):
    document = dict.fromkeys(DOCUMENTS)
    store = SQLStore(tmp_path / "study.db")
    store.create(document)
    transaction = store._database.connection.begin()
    del transaction.is_active
    store.close()
    other = SQLStore(tmp_path / "study.db")
    other.acquire()
    other.update(seed=3)
    assert other.read().document["seed"] == 3
    other.close()
