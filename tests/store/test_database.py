"""What happens to a database while a study is written: servers that restart, files that are moved, torn or full."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy
from tests import processes, servers
from tests.store.helpers import content
from tests.study.helpers import SPACE, function, record, value, walk

import archwright as aw
from archwright.errors import StoreError, StudyError, StudyLocked
from archwright.store import DOCUMENTS, Record, SQLStore, _database, _lease, _mounts, database_url
from archwright.trials import Trial

# --------------------------------------------------------------------------- a server that restarts


@pytest.fixture(scope="module")
def server():
    """A server that the tests may stop."""
    if servers.programs() is None:
        pytest.skip("there is no pg_ctl to start a PostgreSQL server with")
    pytest.importorskip("psycopg")
    made = servers.PostgreSQL()
    yield made
    made.close()


def test_a_search_goes_on_when_its_server_was_restarted(server):
    def restarted(candidate):
        if candidate.seed % 3 == 0:
            server.stop()
            server.start()
        return function(candidate)

    search = {"strategy": "evolution", "budget": aw.Budget(trials=6)}
    study = aw.search(SPACE, restarted, store=server.url, name="restarted", **search)
    assert [record(t) for t in study.trials] == [record(t) for t in aw.search(SPACE, function, **search).trials]
    again = aw.load(store=server.url, name="restarted")
    assert [record(t) for t in again.trials] == [record(t) for t in study.trials]


def test_a_search_with_workers_goes_on_when_its_server_was_away(server):
    """It is killed while two trials run, and is back when both have ended."""

    class Restarts(aw.Callback):
        def on_report(self, study, trial, step, metrics):
            if trial.number == 4 and len(study.history.running) == 2:
                server.stop()
                threading.Timer(0.5, server.start).start()

    def evaluate(candidate):
        candidate.report(1, value=0.0)
        return function(candidate)

    search = {"strategy": "random", "budget": aw.Budget(trials=10)}
    study = aw.search(SPACE, evaluate, store=server.url, name="workers", workers=2, callbacks=[Restarts()], **search)
    assert study.stopped_by == "trials"
    again = aw.load(store=server.url, name="workers")
    assert [record(t) for t in again.trials] == [record(t) for t in study.trials]
    assert [record(t) for t in study.trials] == [record(t) for t in aw.search(SPACE, function, **search).trials]
    assert {trial.attempts for trial in again.trials} == {1}


@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
def test_a_restart_in_a_transaction_neither_loses_nor_doubles_what_it_writes(server, moment):
    name = moment
    study = aw.Study(SPACE, store=server.url, name=name, seed=1)
    walk(study, 2)
    pending = [True]

    def interrupt(connection):
        if pending:
            pending.clear()
            server.stop()
            server.start()
            if moment == "after the commit":  # it is done, and the answer is lost
                raise sqlalchemy.exc.OperationalError("COMMIT", {}, Exception("gone"), connection_invalidated=True)

    engine = study._recorder._store._database.engine
    event = "commit" if moment == "before the commit" else "after_commit"
    if event == "commit":
        sqlalchemy.event.listen(engine, "commit", interrupt)
    else:
        original = engine.dialect.do_commit

        def commit(connection):
            original(connection)
            interrupt(connection)

        engine.dialect.do_commit = commit
    trial = study.ask()
    assert not pending
    study.tell(trial, value(trial.architecture))
    walk(study, 2)
    study.close()
    unbroken = walk(aw.Study(SPACE, seed=1), 5)
    assert [record(t) for t in aw.load(store=server.url, name=name).trials] == [record(t) for t in unbroken.trials]


@pytest.mark.filterwarnings("ignore:the lease of process")
def test_a_process_that_is_paused_in_a_transaction_keeps_nobody_out(server, monkeypatch):
    monkeypatch.setattr(_database, "_IDLE", 0.3)
    monkeypatch.setattr(_lease, "_LEASE", 0.4)
    monkeypatch.setattr(_lease._Renewal, "run", lambda self: None)  # all of it is paused
    first, second = (SQLStore(server.url, "paused") for _ in range(2))
    first.create(aw.Study(SPACE)._recorder.document)

    def pause():
        with first._database.transaction() as connection:
            connection.execute(sqlalchemy.text("UPDATE studies SET holder = 'paused' WHERE name = 'paused'"))
            while second.is_held():
                time.sleep(0.05)
            second.acquire()

    with pytest.raises(StoreError, match="cannot be reached"):
        pause()
    second.update(seed=3)
    with pytest.raises(StudyLocked, match="another process has taken it over"):
        first.update(seed=4)
    assert second.read().document["seed"] == 3
    second.close()
    first.close()


def test_a_server_that_stays_away_is_waited_for_for_a_limited_time(server, monkeypatch):
    monkeypatch.setattr(_database, "_PATIENCE", 0.5)
    study = aw.Study(SPACE, store=server.url, name="away")
    trial = study.ask()
    server.stop()
    try:
        with pytest.raises(
            StoreError, match=r"(?s)cannot be reached.*did not come back within 0 seconds.*go on \(`resume`"
        ):
            study.tell(trial, 0.5)
        assert study.trials[0].state == "running"
    finally:
        server.start()
    study.tell(trial, 0.5)
    study.close()
    assert aw.load(store=server.url, name="away").trials[0].metrics == {"value": 0.5}


def test_a_server_that_is_not_there_is_told_at_once(server):
    url = server.url.replace("archwright@", "me:s3cret%21@")
    server.stop("fast")
    try:
        begin = time.monotonic()
        with pytest.raises(StoreError, match="cannot be reached") as error:
            aw.Study(SPACE, store=url, name="a")
        assert time.monotonic() - begin < 60
    finally:
        server.start()
    assert "s3cret" not in str(error.value)


def test_a_password_that_a_server_repeats_is_not_told(server):
    url = server.url.replace("archwright@", "archwright:hush@").replace("/postgres", "/hush")
    with pytest.raises(StoreError, match=r"cannot be reached.*\*\*\*") as error:
        aw.Study(SPACE, store=url, name="a")
    assert "FATAL" in str(error.value)
    assert "hush" not in str(error.value).partition("reached")[2]


# --------------------------------------------------------------------------- a file that is moved


@pytest.mark.parametrize("how", ["moved", "removed", "replaced", "folder"])
def test_a_file_that_is_moved_during_a_search_is_noticed(tmp_path, how):
    folder, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()

    def evaluate(candidate):
        if len(evaluated) == 3:
            if how == "folder":
                folder.rename(tmp_path / "elsewhere" / "here")
            else:
                for file in folder.glob("studies.db*"):
                    file.rename(elsewhere / file.name)
            if how == "replaced":
                SQLStore(folder / "studies.db").create(dict.fromkeys(DOCUMENTS))
        evaluated.append(candidate)
        return function(candidate)

    evaluated = []
    with pytest.raises(StoreError, match=r"studies.db was moved, removed or replaced while it was in use.*resume"):
        aw.search(SPACE, evaluate, budget=aw.Budget(trials=9), store=folder / "studies.db", name="a")
    assert len(evaluated) == 4
    there = elsewhere / "here" / "studies.db" if how == "folder" else elsewhere / "studies.db"
    study = aw.load(store=there, name="a")
    assert [t.state for t in study.trials] == ["complete"] * 3 + ["running"]


# --------------------------------------------------------------------------- threads


@pytest.mark.parametrize("kept", ["memory", "file"])
def test_threads_that_share_a_study_take_turns(tmp_path, kept):
    study = aw.Study(SPACE, strategy="random", path=None if kept == "memory" else tmp_path / "run")

    def work(number):
        trial = study.ask()
        return study.tell(trial, value(trial.architecture)).number

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(work, range(80))) == list(range(80))
    study.close()
    alone = walk(aw.Study(SPACE, strategy="random"), 80)
    assert [t.architecture for t in study.trials] == [t.architecture for t in alone.trials]
    if kept == "file":
        again = aw.load(tmp_path / "run")
        assert [record(t) for t in again.trials] == [record(t) for t in study.trials]


def test_a_study_that_is_run_in_one_thread_is_not_used_in_another(tmp_path):
    study, outcomes = aw.Study(SPACE, path=tmp_path / "run"), []

    def use():
        for call in (study.ask, lambda: study.run(function, aw.Budget(trials=3))):
            try:
                outcomes.append(call())
            except StudyError as error:
                outcomes.append(str(error))

    def evaluate(candidate):
        if not outcomes:
            thread = threading.Thread(target=use)
            thread.start()
            thread.join()
        return function(candidate)

    study.run(evaluate, aw.Budget(trials=3))
    assert outcomes == ["another thread runs this study: wait until its search has ended"] * 2
    assert len(study.history.complete) == 3


# --------------------------------------------------------------------------- a file that is torn


def test_a_file_that_is_cut_anywhere_is_refused(tmp_path):
    with aw.Study(SPACE, path=tmp_path / "run") as study:
        walk(study, 60)
    whole = (tmp_path / "run" / "study.db").read_bytes()
    assert len(content(tmp_path / "run" / "study.db").records) == 60
    draw, torn = random.Random(0), tmp_path / "torn.db"
    for length in [2, 99, 100, 4095, 4096, len(whole) - 1, *(draw.randrange(len(whole)) for _ in range(40))]:
        torn.write_bytes(whole[:length])
        for readonly in (True, False):
            with pytest.raises(StoreError, match=r"torn\.db (is damaged|cannot be used)"):
                SQLStore(torn, readonly=readonly).read()
        assert torn.read_bytes() == whole[:length]


def test_a_log_that_is_cut_anywhere_gives_the_last_good_state(tmp_path):
    """Of a process that was killed, with the last bytes of its log not on the disk."""
    path, states, refused = tmp_path / "studies.db", [], []
    store = SQLStore(path, "study", locked=True)
    store._database.settle = lambda: None  # all stays in the log
    store.create(dict.fromkeys(DOCUMENTS))
    store._database.connection.connection.driver_connection.execute("PRAGMA wal_autocheckpoint = 0")
    architecture = SPACE.canonical(dict.fromkeys(SPACE.decisions, "a"))
    for number in range(12):
        store.add(Record(Trial(number, architecture, seed=number), float(number)))
    whole, log = path.read_bytes(), path.with_name("studies.db-wal").read_bytes()
    last = store.read()
    store.close()
    draw = random.Random(0)
    for length in sorted({len(log), *(draw.randrange(len(log)) for _ in range(40))}):
        torn = tmp_path / f"torn-{length}.db"
        torn.write_bytes(whole)
        torn.with_name(f"{torn.name}-wal").write_bytes(log[:length])
        try:
            found = content(torn).records
        except StoreError as error:  # not even the tables were in what is left
            refused.append(str(error))
            states.append(-1)
        else:
            assert found == last.records[: len(found)]
            states.append(len(found))
    assert all("holds no study" in each for each in refused)
    assert states == sorted(states)
    assert states[-1] == 12
    assert len(set(states)) > 3


# --------------------------------------------------------------------------- a disk that is full

FULL = """
import resource, sys
import archwright as aw
from archwright.errors import StoreError
from tests.study.helpers import SPACE, value
study = aw.Study(SPACE, path=sys.argv[1], strategy="random")
told = 0
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    while True:
        trial = study.ask()
        study.tell(trial, value(trial.architecture))
        told += 1
except StoreError as error:
    print(told, error, flush=True)
if sys.argv[3] == "room":
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    running = [trial for trial in study.trials if not trial.ended]
    held = running[0] if running else study.ask()
    study.tell(held, value(held.architecture))
    study.close()
    print("went on", flush=True)
"""


@pytest.mark.parametrize("kilobytes", [60, 90])
@pytest.mark.parametrize("then", ["room", "nothing"])
def test_a_full_disk_is_told_and_loses_nothing(tmp_path, kilobytes, then):
    ran = processes.run("-c", FULL, tmp_path / "run", kilobytes * 1024, then)
    told, _, message = ran.stdout.splitlines()[0].partition(" ")
    assert "study.db cannot be written to: " in message
    assert "What was recorded before is kept: make room" in message
    study = aw.load(tmp_path / "run")
    ended = [t for t in study.trials if t.ended]
    assert len(ended) == int(told) + (then == "room")
    assert [t.architecture for t in ended] == [
        t.architecture for t in walk(aw.Study(SPACE, strategy="random"), len(ended)).trials
    ]
    assert ("went on" in ran.stdout) is (then == "room")
    with study:
        walk(study, 3)


# --------------------------------------------------------------------------- network file systems


def mounted(tmp_path, monkeypatch, kind, options="rw", source="server:/export"):
    """Let this machine say that a folder is on a file system of some kind."""
    table = tmp_path / "mounts"
    folder = tmp_path / "far away"
    folder.mkdir()
    place = str(folder).replace(" ", "\\040")
    table.write_text(
        "22 1 8:1 / / rw,relatime - ext4 /dev/root rw\nbroken line\n"
        f"36 22 0:5 / {place} rw,relatime shared:1 - {kind} {source} {options}\n"
    )
    monkeypatch.setattr(_mounts, "_TABLE", table)
    return folder


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p"])
def test_a_file_on_a_network_file_system_has_a_rollback_journal(tmp_path, monkeypatch, kind):
    folder = mounted(tmp_path, monkeypatch, kind)
    with pytest.warns(UserWarning, match=rf"on a network file system \({kind} at .*far away\).*PostgreSQL"):
        study = aw.search(SPACE, function, budget=aw.Budget(trials=4), path=folder / "run")
    with sqlite3.connect(folder / "run" / "study.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)  # as of a file that is not in use
    connection.close()
    assert not list((folder / "run").glob("study.db-wal"))
    assert [record(t) for t in aw.load(folder / "run").trials] == [record(t) for t in study.trials]


def test_a_file_that_is_moved_to_a_network_file_system_changes_its_journal(tmp_path, monkeypatch):
    with aw.Study(SPACE, store=tmp_path / "studies.db", name="a") as study:
        walk(study, 3)
    folder = mounted(tmp_path, monkeypatch, "nfs")
    (tmp_path / "studies.db").rename(folder / "studies.db")
    with pytest.warns(UserWarning, match="rollback journal"), aw.load(store=folder / "studies.db", name="a") as study:
        walk(study, 2)
    assert (folder / "studies.db").read_bytes()[18:20] == b"\1\1"  # no write-ahead log
    assert len(aw.load(store=folder / "studies.db", name="a").trials) == 5


@pytest.mark.parametrize("kind", ["ext4", "tmpfs", "overlay", "fuseblk"])
def test_a_file_of_this_machine_has_a_log(tmp_path, monkeypatch, kind):
    folder = mounted(tmp_path, monkeypatch, kind)
    with aw.Study(SPACE, store=folder / "studies.db", name="a") as study:
        walk(study, 1)
        assert (folder / "studies.db-wal").exists()


@pytest.mark.parametrize("option", ["nolock", "local_lock=all", "local_lock=posix"])
def test_locks_that_other_machines_do_not_see_are_refused(tmp_path, monkeypatch, option):
    folder = mounted(tmp_path, monkeypatch, "nfs", f"rw,vers=3,{option},addr=10.0.0.1")
    with pytest.raises(StoreError, match=rf"mounted with {option}.*does not see the locks.*use PostgreSQL"):
        aw.Study(SPACE, store=folder / "studies.db", name="a")
    assert not (folder / "studies.db").exists() or not (folder / "studies.db").stat().st_size


def test_locks_that_fail_are_told(tmp_path, monkeypatch):
    import fcntl

    folder = mounted(tmp_path, monkeypatch, "nfs", "rw,local_lock=none")

    def fail(*arguments):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", fail)
    with pytest.raises(StoreError, match=r"cannot lock files: .*No locks available.*local disk, or use PostgreSQL"):
        aw.Study(SPACE, store=folder / "studies.db", name="a")


def test_an_option_that_a_mount_lies_over_counts(tmp_path, monkeypatch):
    folder = mounted(tmp_path, monkeypatch, "nfs", "nolock")
    with (tmp_path / "mounts").open("a") as table:
        table.write(f"40 36 0:9 / {str(folder).replace(' ', chr(92) + '040')} rw - tmpfs none rw\n")
    assert _mounts.network_mount(folder / "studies.db") is None


# --------------------------------------------------------------------------- former tables


def test_tables_without_the_latest_column_get_it_when_they_are_written_to(tmp_path):
    path = tmp_path / "studies.db"
    with aw.Study(SPACE, store=path, name="a") as study:
        walk(study, 3)
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE trials DROP COLUMN saw")
    connection.close()
    before = path.read_bytes()
    assert len(aw.load(store=path, name="a").trials) == 3
    assert path.read_bytes() == before
    with aw.load(store=path, name="a") as study:
        walk(study, 1)
    assert [each.saw for each in content(path, "a").records] == [None] * 4


def test_so_do_those_of_a_server(postgresql):
    with aw.Study(SPACE, store=postgresql, name="a") as study:
        walk(study, 3)
    with sqlalchemy.create_engine(database_url(postgresql)).begin() as connection:
        connection.execute(sqlalchemy.text("ALTER TABLE trials DROP COLUMN saw"))
    assert len(aw.load(store=postgresql, name="a").trials) == 3
    with aw.load(store=postgresql, name="a") as study:
        walk(study, 1)
    assert [each.saw for each in content(postgresql, "a").records] == [None] * 4


# --------------------------------------------------------------------------- clocks


def test_a_clock_that_was_set_back_does_not_lock_a_study(tmp_path, monkeypatch):
    monkeypatch.setattr(_lease, "_LEASE", 0.4)
    with aw.Study(SPACE, store=tmp_path / "studies.db", name="a") as study:
        walk(study, 1)
    with sqlite3.connect(tmp_path / "studies.db") as connection:  # of a process that died before the clock was set
        connection.execute(
            "UPDATE studies SET holder = 'process 1 on host', expires = (julianday('now') - 2440587.5) * 86400 + 3600"
        )
    connection.close()
    study = aw.load(store=tmp_path / "studies.db", name="a")
    with pytest.warns(UserWarning, match="the lease of process 1 on host"):
        walk(study, 1)
    study.close()


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_takes_nothing_from_a_living_process(tmp_path, monkeypatch, hours):
    monkeypatch.setattr(_lease, "_LEASE", 0.4)
    first = aw.Study(SPACE, store=tmp_path / "studies.db", name="a")
    trial = first.ask()
    with sqlite3.connect(tmp_path / "studies.db", timeout=30) as connection:
        connection.execute("UPDATE studies SET expires = expires + ?", (3600 * hours,))
    connection.close()
    second = aw.load(store=tmp_path / "studies.db", name="a")
    with pytest.raises(StudyLocked, match=rf"being written to by process {os.getpid()}"):
        second.ask()
    first.tell(trial, 0.5)
    first.close()
