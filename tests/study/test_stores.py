"""Databases of many studies: names, leases, takeovers, and what a run folder knows of them."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
import sqlalchemy
from tests import processes
from tests.study.helpers import SPACE, function, record, walk

import archwright as aw
from archwright.cli._listing import show_studies
from archwright.errors import StoreError, StudyError, StudyLocked
from archwright.store import SQLStore, _lease, address, database_url, list_studies
from archwright.trials import History


@pytest.fixture
def store(database):
    """The URL of a database without tables."""
    return database


@pytest.fixture
def short(monkeypatch):
    """Leases that end soon, in this process as in the drivers."""
    monkeypatch.setattr(_lease, "_LEASE", 0.4)


def search(**options):
    return aw.search(SPACE, function, **{"strategy": "evolution", "budget": aw.Budget(trials=8), **options})


def test_many_studies_in_one_database(store):
    names = ["first", "sécond\n'; DROP TABLE trials; --", "../third"]
    for seed, name in enumerate(names):
        search(store=store, name=name, seed=seed)
    for seed, name in enumerate(names):
        study = aw.load(store=store, name=name)
        assert [record(t) for t in study.trials] == [record(t) for t in search(seed=seed).trials]
        assert study.seed == seed
    assert [(each.name, each.trials, each.unfinished, each.writer) for each in list_studies(store)] == [
        (name, 8, 0, None) for name in sorted(names)
    ]


def test_a_study_goes_on_in_its_database(store):
    with pytest.raises(StudyError, match=r"needs a name: give name="):
        search(store=store)
    search(store=store, name="a", budget=aw.Budget(trials=4))
    with pytest.raises(
        StudyError, match=r"study 'a' in .* holds a study already, with 4 trials.*load\(store=, name=\).*name"
    ):
        search(store=store, name="a")
    resumed = search(store=store, name="a", resume=True)
    assert [record(t) for t in resumed.trials] == [record(t) for t in search().trials]
    assert len(aw.load(store=store, name="a", evaluator=function).resume(aw.Budget(trials=10)).trials) == 10
    with pytest.raises(StoreError, match=r"holds no study 'b'; its studies: 'a'"):
        aw.load(store=store, name="b")
    with pytest.raises(StudyError, match="which study"):
        aw.load()


def test_a_run_folder_knows_the_study_that_it_belongs_to(store, tmp_path, monkeypatch, capsys):
    folder, other = tmp_path / "run", f"sqlite:///{tmp_path / 'other.db'}"
    search(store=store, path=folder, budget=aw.Budget(trials=4))
    assert not (folder / "study.db").exists()
    assert (folder / "log.txt").exists()
    with pytest.raises(StudyError, match=r"belongs to the study 'run' in the database .*ARCHWRIGHT_STORE"):
        aw.load(folder)
    for wrong in ({"store": other}, {"store": store, "name": "b"}):
        with pytest.raises(StudyError, match="belongs to the study 'run'"):
            aw.load(folder, **wrong)
    assert aw.load(folder, store=store).trials == aw.load(store=store, name="run").trials
    monkeypatch.setenv("ARCHWRIGHT_STORE", store)
    assert len(search(path=folder, resume=True).trials) == 8
    monkeypatch.setattr("sys.argv", ["archwright", "show", str(folder), "--json"])
    from archwright.cli import main

    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)["trials"]["complete"] == 8


def test_what_a_run_folder_says_is_quoted(tmp_path):
    search(store=tmp_path / "studies.db", path=tmp_path / "run")
    said = {"store": "\x1b[31m\n\ud800" + "x" * 10_000, "name": "run"}
    (tmp_path / "run" / "archwright-study.json").write_text(json.dumps(said))
    with pytest.raises(StudyError, match=r"belongs to the study 'run' in the database '\\x1b\[31m\\n\\ud800x") as error:
        aw.load(tmp_path / "run", store=tmp_path / "studies.db")
    assert len(str(error.value)) < 2000


def test_a_database_can_be_moved(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHWRIGHT_STORE", "")  # as if it were not set
    search(store=tmp_path / "studies.db", path=tmp_path / "run")
    with pytest.raises(StudyError, match="belongs to the study 'run'"):
        aw.load(tmp_path / "run")
    (tmp_path / "studies.db").rename(tmp_path / "moved.db")
    with pytest.raises(StudyError, match=r"If the database was moved, change its address in archwright-study\.json"):
        aw.load(tmp_path / "run", store=tmp_path / "moved.db")
    pointer = tmp_path / "run" / "archwright-study.json"
    pointer.write_text(pointer.read_text().replace("studies.db", "moved.db"))
    assert len(aw.load(tmp_path / "run", store=tmp_path / "moved.db").trials) == 8


def test_networks_without_a_run_folder_are_lost_with_their_process(tmp_path):
    search(store=tmp_path / "studies.db", name="a")
    with pytest.raises(StudyError, match="it has no run folder and another process trained it: `resume` trains it"):
        aw.load(store=tmp_path / "studies.db", name="a").best.load()


def test_a_path_is_a_database_too(tmp_path):
    search(store=tmp_path / "studies.db", name="a")
    assert len(aw.load(store=f"sqlite:///{tmp_path}/studies.db", name="a").trials) == 8


def test_a_folder_with_a_study_of_its_own_takes_no_other(store, tmp_path):
    search(path=tmp_path / "run")
    with pytest.raises(StudyError, match="holds a study of its own"):
        search(path=tmp_path / "run", store=store)
    with pytest.raises(StoreError, match="is the database of a run folder"):
        aw.load(store=tmp_path / "run" / "study.db", name="study")
    with pytest.raises(StudyError, match="has a name, 'a', but no store"):
        aw.load(tmp_path / "run", name="a")


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("mysql://me:secret@host/studies", r"^mysql is not a supported database"),
        ("postgresql://me:secret@host:port/studies", r"^postgresql://\*\*\*@host:port/studies is not the URL"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite://folder/studies.db", "names a host: the path of a file follows three slashes"),
        ("sqlite:///studies.db?key=secret", r"key=\*\*\* names no file"),
        ("postgresql:/me:secret@host/studies", r"^postgresql://\*\*\*@host/studies is not the URL"),
        ("postgresql://me:a/secret@host:port/studies", r"^postgresql://\*\*\*@host:port/studies is not the URL"),
        ("postgresql://me:a?secret@host:port/studies", r"^postgresql://\*\*\*@host:port/studies is not the URL"),
        ("postgresql://me:secret", r"^postgresql://me:\*\*\* is not the URL"),
        ("sqlite:///{tmp}", "is not a file"),
        ("{tmp}/missing/studies.db", "there is no folder .*missing"),
        ("{tmp}/pipe", "is not a file"),
        ("{tmp}/blocked.db", "blocked.db-journal is not a file"),
        ("{tmp}/" + "long" * 100, "cannot be used: .*too long"),
        ("{tmp}/nul\0", "cannot be used: embedded null"),
        ("{tmp}/schema.db", "schema.db cannot be used"),
        ("{tmp}/text", "cannot be used: file is not a database"),
        ("{tmp}/recipes.db", "its tables are recipes"),
    ],
)
def test_places_that_hold_no_studies(tmp_path, place, told):
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "blocked.db-journal")
    (tmp_path / "text").write_text("text " * 1000)
    with sqlite3.connect(tmp_path / "recipes.db") as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    (tmp_path / "schema.db").write_bytes((tmp_path / "recipes.db").read_bytes().replace(b"recipes", b"recip\xf2s"))
    with pytest.raises(StoreError, match=told) as error:
        aw.Study(SPACE, store=place.format(tmp=tmp_path), name="a")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("name", ["a\0", "a\udc80", 5, b"a"])
def test_a_name_that_no_database_can_store(store, name):
    with pytest.raises(StudyError, match="the name of a study is text without NUL or surrogates"):
        aw.Study(SPACE, store=store, name=name)


def test_no_password_is_told():
    assert address("postgresql://host/b?Password=secret") == "postgresql://host/b"
    assert address("postgresql://me:secret@host:5/b?password=secret&connect_timeout=3") == (
        "postgresql://host:5/b?connect_timeout=3"
    )


# --------------------------------------------------------------------------- who may write


def test_one_process_writes_at_a_time(store):
    first = aw.Study(SPACE, store=store, name="a")
    walk(first, 2)
    second = aw.load(store=store, name="a")
    with pytest.raises(StudyLocked, match=rf"study 'a' in .*by process {os.getpid()} on .*lease ends in \d+ seconds"):
        second.ask()
    assert [each.writer.split(" on ")[0] for each in list_studies(store)] == [f"process {os.getpid()}"]
    walk(aw.Study(SPACE, store=store, name="b"), 1)  # another study of the same database
    first.close()
    walk(second, 2)
    with pytest.raises(StudyLocked):
        first.ask()


DRIVER = """
import sys
import archwright as aw
from archwright.store import _lease
from tests.study.helpers import SPACE
_lease._LEASE = 0.4
study = aw.Study(SPACE, store=sys.argv[1], name="a", seed=5)
trial = study.ask()
print("asked", flush=True)
sys.stdin.readline()
try:
    study.tell(trial, 0.5)
except aw.errors.StudyLocked as error:
    print(error, flush=True)
else:
    print("told", flush=True)
sys.stdin.readline()
"""


def take_over(store):
    """Go on with the study of another process as soon as its lease has ended."""
    study, end = aw.load(store=store, name="a"), time.monotonic() + 60
    while True:
        try:
            return study, study.ask()
        except StudyLocked:
            assert time.monotonic() < end


def test_the_lease_of_a_living_process_is_renewed(store, short):
    driver = processes.start("-c", DRIVER, store)
    assert driver.stdout.readline() == "asked\n"
    until = time.monotonic() + 1.2  # three times its lease
    while time.monotonic() < until:
        with pytest.raises(StudyLocked):
            aw.load(store=store, name="a").ask()
        assert aw.load(store=store, name="a").is_held
        (listed,) = list_studies(store)
        assert (listed.unfinished, listed.writer.split(" on ")[0]) == (1, f"process {driver.pid}")
    driver.stdin.write("\n")
    driver.stdin.flush()
    assert driver.stdout.readline() == "told\n"
    driver.kill()
    driver.wait()
    study, trial = take_over(store)
    assert (trial.number, study.trials[0].state) == (1, "complete")
    study.close()


def test_a_paused_process_cannot_write_after_a_takeover(store, short):
    driver = processes.start("-c", DRIVER, store)
    assert driver.stdout.readline() == "asked\n"
    driver.send_signal(signal.SIGSTOP)
    study, trial = take_over(store)
    assert (trial.number, trial.attempts) == (0, 2)
    study.tell(trial, 0.25)
    driver.send_signal(signal.SIGCONT)
    driver.stdin.write("\n")
    driver.stdin.flush()
    assert "cannot be written to: another process has taken it over" in driver.stdout.readline()
    driver.kill()
    driver.wait()
    walk(study, 3)
    study.close()
    trials = aw.load(store=store, name="a").trials
    assert trials[0].metrics == {"value": 0.25}
    assert [t.architecture for t in trials] == [t.architecture for t in study.trials]


def test_trials_of_a_process_that_was_killed_are_interrupted_when_its_lease_has_ended(store, short, capsys):
    driver = processes.start("-c", DRIVER, store)
    assert driver.stdout.readline() == "asked\n"
    driver.kill()
    driver.wait()
    while aw.load(store=store, name="a").is_held:
        time.sleep(0.02)
    (listed,) = list_studies(store)
    assert (listed.trials, listed.unfinished, listed.writer) == (1, 1, None)
    show_studies(store, as_json=False)
    assert "1 trial, 1 interrupted, created" in " ".join(capsys.readouterr().out.split())
    with SQLStore(store, "a")._database.transaction() as connection:  # of a clock that was set back
        connection.execute(sqlalchemy.text("UPDATE studies SET holder = 'somebody', expires = expires + 36000"))
    assert not aw.load(store=store, name="a").is_held
    assert list_studies(store)[0].writer is None
    assert aw.Study(SPACE).is_held  # in memory


def test_a_lease_that_another_took_is_not_given_up_or_renewed(tmp_path, monkeypatch):
    monkeypatch.setattr(_lease, "_LEASE", 0.01)
    monkeypatch.setattr(_lease._Renewal, "run", lambda self: None)
    first, second = (SQLStore(tmp_path / "studies.db", "a") for _ in range(2))
    first.create(aw.Study(SPACE)._recorder.document)
    time.sleep(0.05)
    with pytest.warns(UserWarning, match="the lease of process .* has ended"):
        second.acquire()
    assert not first._lease._renewal.write({"holder": None, "expires": None})
    first.close()
    monkeypatch.setattr(_lease, "_LEASE", 60.0)
    assert second._lease._renewal.write({"expires": second._database.now + 60.0})
    with pytest.raises(StudyLocked):
        SQLStore(tmp_path / "studies.db", "a").acquire()
    second.close()


def test_processes_that_begin_at_once(store, monkeypatch):
    """The tables are created once; of two processes that create the same study, one has to wait."""
    document, ready, outcomes = aw.Study(SPACE)._recorder.document, threading.Barrier(4), []

    def begin(name):
        one = SQLStore(store, name)
        monkeypatch.setattr(one, "is_empty", lambda: True)  # as each of them finds before the others create it
        ready.wait()
        try:
            one.create(document)
            outcomes.append(name)
        except StudyLocked:
            outcomes.append("locked")
        finally:
            one.close()

    threads = [threading.Thread(target=begin, args=(name,)) for name in ("a", "a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["a", "b", "c", "locked"]
    assert [each.name for each in list_studies(store)] == ["a", "b", "c"]


def test_a_lease_without_an_end_can_be_taken_over(tmp_path):
    search(store=tmp_path / "studies.db", name="a")
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        connection.execute("UPDATE studies SET holder = 'somebody'")
    walk(aw.load(store=tmp_path / "studies.db", name="a"), 1)


def test_a_study_that_is_not_closed_keeps_nobody_out(store, short):
    study = aw.Study(SPACE, store=store, name="a")
    study.ask()
    del study
    gc.collect()
    _, trial = take_over(store)
    assert trial.number == 0
    program = "import sys, archwright as aw; from tests.study.helpers import SPACE; "
    program += "study = aw.Study(SPACE, store=sys.argv[1], name='b'); study.ask()"
    subprocess.run([sys.executable, "-c", program, store], check=True)
    assert aw.load(store=store, name="b").ask().attempts == 2


def test_no_file_is_made_in_the_place_of_one_that_was_moved(tmp_path):
    study = aw.Study(SPACE, store=tmp_path / "studies.db", name="a")
    walk(study, 1)
    (tmp_path / "elsewhere").mkdir()
    for file in tmp_path.glob("studies.db*"):
        file.rename(tmp_path / "elsewhere" / file.name)
    study.close()
    assert [each.name for each in tmp_path.iterdir()] == ["elsewhere"]


def test_a_connection_that_was_closed_while_idle_is_made_again(postgresql):
    study = aw.Study(SPACE, store=postgresql, name="a")
    trial = study.ask()
    with sqlalchemy.create_engine(database_url(postgresql)).begin() as connection:
        ended = connection.execute(
            sqlalchemy.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = :name AND pid <> pg_backend_pid()"
            ),
            {"name": postgresql.rpartition("=")[2]},
        )
        assert ended.scalars().all()
    study.tell(trial, 0.5)
    walk(study, 2)
    study.close()
    assert len(aw.load(store=postgresql, name="a").history.complete) == 3


def test_a_database_that_a_later_version_has_written_to_is_left_as_it_is(store):
    search(store=store, name="a", budget=aw.Budget(trials=1))
    engine = sqlalchemy.create_engine(database_url(store))
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE studies SET format = 3"))
    for name in ("a", "b"):
        with pytest.raises(StoreError, match=r"later version of archwright \(format 3"):
            search(store=store, name=name, resume=True)
    with engine.begin() as connection:
        assert connection.execute(sqlalchemy.text("SELECT name, format FROM studies")).all() == [("a", 3)]


def test_users_of_one_database_share_a_run_folder(tmp_path):
    assert address("postgresql://me@host:5432/b") == address("postgres://you:secret@host/b")


# --------------------------------------------------------------------------- replays


def test_every_proposal_can_be_replayed_from_what_it_had_seen(tmp_path):
    study = aw.Study(SPACE, strategy="evolution", seed=3, path=tmp_path)
    waiting = []
    for number in range(40):
        waiting.append(study.ask())
        if number % 3:
            trial = waiting.pop(number % len(waiting))
            study.tell(trial, function(trial))
    study.close()
    store = SQLStore(tmp_path / "study.db", readonly=True)
    records = store.read().records
    store.close()
    assert {record.seen for record in records} > {0, 5}
    for asked in records:
        history = History(study.objectives)
        for before in records[: asked.trial.number]:
            history.add(replace(before.trial, state="running", metrics={}, curve=()))
        ended = [each for each in records if each.ended is not None and each.ended < asked.seen]
        for each in sorted(ended, key=lambda each: each.ended):
            history.add(each.trial)
        assert study._plan.next(history).architecture == asked.trial.architecture


# --------------------------------------------------------------------------- migration


def test_a_migration_that_is_broken_off_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.execute("CREATE TABLE study (id INTEGER, format INTEGER, space TEXT)")
        connection.execute("INSERT INTO study VALUES (1, 1, '{}')")
        connection.execute("CREATE TABLE trials (number INTEGER)")  # which lacks columns
    shutil.copy(tmp_path / "study.db", tmp_path / "before.db")
    with pytest.raises(StoreError, match="no such column: architecture"):
        SQLStore(tmp_path / "study.db")
    for name in ("study", "trials"):
        before, after = (
            sqlite3.connect(tmp_path / file).execute(f"SELECT * FROM {name}").fetchall()
            for file in ("before.db", "study.db")
        )
        assert before == after
