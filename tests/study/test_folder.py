"""The run folder: which folder is taken, what stays the user's, links, full disks, places that cannot be written to."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import warnings
from contextlib import closing, contextmanager
from itertools import cycle

import pytest
import torch
from tests.study.helpers import SPACE, function, record, walk
from tests.study.killed import search
from tests.study.test_best import NETWORKS, Marks, MarksAgain, mark
from tests.study.test_kill import kill, start

import archwright as aw
from archwright.errors import ArchwrightError, StoreError, StudyError

OTHERS = [
    ["best/thesis.pt", "best.old/notes.txt", "front/3/figure.pt", "checkpoints/7.pt", "train.py"],
    ["log.txt"],
    [".git/config"],
    ["study.lock", "notes.txt"],
    ["front/3/architecture.json"],
]


def fill(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("three weeks of work")
    return content(folder)


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --------------------------------------------------------------------------- folders of others


@pytest.mark.parametrize("names", OTHERS, ids=lambda names: names[0])
def test_a_folder_that_holds_something_else_is_refused_and_left_as_it_is(tmp_path, names):
    before = fill(tmp_path, names)
    with pytest.raises(StudyError, match=r"is not empty and is not a run folder.* choose a new folder, such as .*run$"):
        aw.Study(SPACE, path=tmp_path)
    assert content(tmp_path) == before


@pytest.mark.parametrize("names", OTHERS, ids=lambda names: names[0])
def test_a_search_that_is_given_such_a_folder_is_kept_in_a_new_one_inside(tmp_path, names):
    before = fill(tmp_path, names)
    options = {"path": tmp_path, "objective": ["max value", "min cost"]}
    both = lambda candidate: {"value": function(candidate), "cost": 1.0}  # noqa: E731
    with pytest.warns(UserWarning, match=r"is left as it is: the search is kept in .*archwright-run"):
        study = aw.search(SPACE, both, budget=aw.Budget(trials=2), **options)
    assert study.path == tmp_path / "archwright-run"
    with pytest.warns(UserWarning, match="archwright-run"), pytest.raises(StudyError, match="holds a study already"):
        aw.search(SPACE, both, budget=aw.Budget(trials=3), **options)
    with pytest.warns(UserWarning, match="archwright-run"):
        study = aw.search(SPACE, both, budget=aw.Budget(trials=4), resume=True, **options)
    assert len(study.trials) == 4
    with pytest.raises(StoreError, match=r"no study\.db in it; there is one in .*archwright-run"):
        aw.load(tmp_path)
    assert {name: found for name, found in content(tmp_path).items() if name.parts[0] != "archwright-run"} == before


def test_what_a_user_adds_to_a_run_folder_stays(tmp_path):
    options = {"objective": ["max value", "min cost"], "scheduler": "asha", "fidelity": {"epochs": (1, 4)}}
    aw.search(NETWORKS, Costly(), strategy="random", budget=aw.Budget(trials=2), path=tmp_path, **options)
    mine = ["best/mine.pt", "front/mine/notes.txt", "checkpoints/mine.pt", "best.old/notes.txt", "notes.txt"]
    mine += [f"front/{path.name}/figure.pt" for path in (tmp_path / "front").iterdir()]
    for name in mine:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    study = aw.load(tmp_path, evaluator=Costly()).resume(aw.Budget(trials=12))
    assert {(tmp_path / name).read_text() for name in mine} == {"mine"}
    assert {path.name for path in (tmp_path / "front").iterdir()} > {str(each.trial.number) for each in study.front}


class Costly(aw.Evaluator):
    """Gives each network a value and a cost that both depend on its width and on how much it was given."""

    fidelities = {"epochs": aw.evaluate.Fidelity(1, 4, whole=True)}  # noqa: RUF012

    def evaluate(self, candidate):
        width = candidate.model[0].out_features
        candidate.restore()
        candidate.save({"model": candidate.model.state_dict()})
        return {"value": candidate.seed % 97 + 10.0 * width, "cost": float(width)}


# --------------------------------------------------------------------------- the first moment


@pytest.mark.parametrize("number", range(1, 8))
def test_a_search_killed_in_its_first_moment_is_begun_again(tmp_path, number):
    unbroken = search("random")
    kill(start(tmp_path, "transaction", number, strategy="random"))
    assert start(tmp_path, strategy="random").communicate()[0] == "done\n"
    assert [record(t) for t in aw.load(tmp_path).trials] == [record(t) for t in unbroken.trials]


def newborn(folder):
    """Leave what a process leaves that is killed before the tables are there."""
    folder.mkdir()
    (folder / "study.lock").touch()
    (folder / "study.lock.json").write_text("{}")
    connection = sqlite3.connect(folder / "study.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


@pytest.mark.parametrize("resume", [True, False])
def test_a_database_without_tables_is_no_dead_end(tmp_path, resume):
    newborn(tmp_path / "run")
    with pytest.raises(StoreError, match="Begin the search again, in the same folder"):
        aw.load(tmp_path / "run")
    study = aw.search(SPACE, function, budget=aw.Budget(trials=2), path=tmp_path / "run", resume=resume)
    assert len(study.trials) == 2


@pytest.mark.parametrize("resume", [True, False])
def test_a_study_that_never_ran_is_no_dead_end(tmp_path, resume):
    aw.Study(SPACE, seed=3, path=tmp_path).close()
    options = {"path": tmp_path, "resume": resume}
    study = aw.search(SPACE, function, seed=4, strategy="random", budget=aw.Budget(trials=2), **options)
    assert (aw.load(tmp_path).seed, len(study.trials)) == (4, 2)


def test_the_record_is_in_the_file_but_for_the_last_moment(tmp_path):
    kill(start(tmp_path, "end", 15))
    for name in ("study.db-wal", "study.db-shm"):
        (tmp_path / name).unlink()
    assert len(aw.load(tmp_path).history.finished) >= 8
    assert start(tmp_path).communicate()[0] == "done\n"
    assert [record(t) for t in aw.load(tmp_path).trials] == [record(t) for t in search("evolution").trials]


# --------------------------------------------------------------------------- links

LINKS = [
    "best",
    "front",
    "top",
    "checkpoints",
    "trials",
    "log.txt",
    "log.jsonl",
    "supernet.pt",
    "study.lock.json",
    "study.lock",
    "study.db",
]


@pytest.mark.parametrize("name", LINKS)
def test_links_in_a_run_folder_are_not_followed(tmp_path, name):
    run, outside = tmp_path / "run", tmp_path / "outside"
    options = {"path": run, "final": 2, "budget": aw.Budget(trials=2)}
    aw.search(NETWORKS, MarksAgain(), **options)
    outside.mkdir()
    there = outside / name
    if (run / name).exists():
        (run / name).rename(there)
    elif name.endswith((".txt", ".json", ".pt")):
        there.write_text("not yours")
    else:
        (there / "3").mkdir(parents=True)
        (there / "3" / "precious").write_text("not yours")
    (run / name).symlink_to(there)
    before = content(outside)
    with pytest.raises(ArchwrightError, match=f"{name} is a symbolic link"):
        aw.load(run, evaluator=MarksAgain()).resume(aw.Budget(trials=4))
    with pytest.raises(ArchwrightError, match=f"{name} is a symbolic link"):
        aw.search(NETWORKS, MarksAgain(), resume=True, **options)
    assert content(outside) == before


@pytest.mark.parametrize("name", ["study.db", "study.db-journal", "study.db-wal", "study.db-shm", "study.lock"])
@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_a_record_that_is_no_file_is_refused(tmp_path, name, kind):
    """SQLite would wait for a pipe for ever."""
    run = tmp_path / "run"
    aw.search(SPACE, function, budget=aw.Budget(trials=2), path=run)
    (run / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(run / name)
    else:
        (run / name).mkdir()
    for use in (aw.load, lambda path: aw.search(SPACE, function, budget=aw.Budget(trials=3), path=path, resume=True)):
        if (use, name) != (aw.load, "study.lock"):  # reading locks nothing
            with pytest.raises(StudyError, match=f"{name} is not a file: move it away"):
                use(run)


# --------------------------------------------------------------------------- names


@pytest.mark.parametrize("name", [b"caf\xe9", "a b%20#?'\"é漢".encode(), b"new\nline"])
def test_a_run_folder_has_any_name(tmp_path, name):
    run = tmp_path / os.fsdecode(name)
    study = aw.search(NETWORKS, MarksAgain(), budget=aw.Budget(trials=3), path=run)
    assert mark(aw.load(run)) == 100.0
    assert aw.load(run).trials == study.trials


def test_names_that_are_no_text_are_kept(tmp_path):
    odd = os.fsdecode(b"caf\xe9.ttf")

    def evaluate(candidate):
        candidate.report(1, value=0.25, **{f"metric of {odd}": 1.0})
        if candidate.architecture["font"] != odd:
            raise ValueError(f"cannot read {odd}")
        return {"value": 0.5, odd: 2.0}

    space = aw.Space(font=aw.choice(odd, "b.ttf"))
    study = aw.search(space, evaluator_of(evaluate), strategy="grid", budget=aw.Budget(trials=2), path=tmp_path)
    assert sorted(trial.state for trial in study.trials) == ["complete", "failed"]
    loaded = aw.load(tmp_path)
    assert loaded.best.architecture["font"] == odd
    assert loaded.best.metrics == {"value": 0.5, odd: 2.0}
    (failed,) = (trial for trial in loaded.trials if trial.state == "failed")
    assert "cannot read caf\\udce9.ttf" in failed.error
    assert "cannot read caf" in (tmp_path / "log.txt").read_text()
    assert json.loads((tmp_path / "best" / "metrics.json").read_text())["metrics"][odd] == 2.0


def evaluator_of(function_):
    return aw.evaluate.as_evaluator(function_, metric="value")


# --------------------------------------------------------------------------- full disks


@contextmanager
def largest(size):
    """Let no file of this process grow beyond a size, as if the disk were full."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_log_that_cannot_be_written_costs_no_trial(tmp_path):
    aw.Study(SPACE, strategy="random", path=tmp_path).close()
    (tmp_path / "log.txt").write_text("." * 2_000_000)
    with (
        largest(1_000_000),
        pytest.warns(UserWarning, match=r"log\.txt cannot be written to, and will lack lines") as told,
    ):
        study = aw.search(SPACE, function, strategy="random", budget=aw.Budget(trials=5), path=tmp_path)
    assert [trial.state for trial in study.trials] == ["complete"] * 5
    assert len(told) == 1


class Wide(MarksAgain):
    """Has a network for the final training that is large."""

    def retrain(self, candidate):
        self.count += 1
        candidate.model[-1].register_buffer("wide", torch.zeros(100_000), persistent=True)
        return {"test_value": float(self.count)}


@pytest.mark.parametrize("finals", [1, 2])
def test_a_final_network_that_could_not_be_kept_is_trained_again(tmp_path, finals):
    with largest(300_000), pytest.warns(UserWarning, match="could not be kept; `resume` trains it again"):
        study = aw.search(NETWORKS, Wide(), final=finals, budget=aw.Budget(trials=4), path=tmp_path)
    assert (study.test, study.finals) == (None, {})
    assert study.best.load() is not None  # that of the search is still there
    evaluator = Wide()
    evaluator.count = 10
    study = aw.load(tmp_path, evaluator=evaluator).resume()
    assert len(study.finals) == finals
    assert study.test == {"test_value": 11.0}
    assert (tmp_path / "best" / "weights.safetensors").stat().st_size > 400_000


def test_a_final_network_that_is_lost_is_trained_again(tmp_path):
    study = aw.search(NETWORKS, MarksAgain(), budget=aw.Budget(trials=4), path=tmp_path)
    shutil.rmtree(tmp_path / "best")
    with pytest.raises(StudyError, match="holds no network"):
        study.best.load()
    study = aw.load(tmp_path, evaluator=MarksAgain()).resume()
    assert mark(study) == 100.0


# --------------------------------------------------------------------------- places that cannot be written to


@contextmanager
def unwritable(folder):
    """Give a folder as it is seen where nothing can be written, not even by root."""
    place = folder.with_name(f"{folder.name}-readonly")
    if os.geteuid():
        shutil.copytree(folder, place)
        for path in [place, *place.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield place
        for path in [place, *(each for each in place.rglob("*") if each.is_dir())]:
            path.chmod(0o755)
        return
    place.mkdir()
    mounted = ["mount", "--bind", folder, place], ["mount", "-o", "remount,bind,ro", place]
    if any(subprocess.run(each, capture_output=True).returncode for each in mounted):
        subprocess.run(["umount", place], capture_output=True)
        pytest.skip("root may write anywhere, and nothing may be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("killed", [False, True])
def test_a_run_is_read_where_nothing_can_be_written(tmp_path, killed):
    run = tmp_path / "run"
    if killed:
        kill(start(run, "end", 15))
        assert (run / "study.db-wal").stat().st_size
        (run / "study.db-shm").unlink()
    else:
        aw.search(NETWORKS, MarksAgain(), budget=aw.Budget(trials=4), path=run)
    expected = [record(t) for t in aw.load(run).trials]
    for name in ("study.db-wal", "study.db-shm") if not killed else ("study.db-shm",):
        (run / name).unlink(missing_ok=True)
    before = content(run)
    with unwritable(run) as place:
        study = aw.load(place)
        assert [record(t) for t in study.trials] == expected
        if not killed:
            assert mark(study) == 100.0
            from archwright.export import export_network, measure_networks

            export_network(place, tmp_path / "out")
            assert len(measure_networks(place, study.space, limit=1e9)) == 1
        with pytest.raises(StoreError, match="cannot be written to"):
            study.ask()
    assert content(run) == before


# --------------------------------------------------------------------------- wrong types on record

WRONG = [None, True, -1, 10**400, "\ud800", [[]], {"a": {}}]
DEEP = "[" * 100_000


def paths(value, path=()):
    """Yield where the parts of a JSON value are."""
    yield path
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(min(len(value), 2)):
            yield from paths(value[key], (*path, key))


def changed(value, path, wrong):
    if not path:
        return wrong
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], wrong)
    return copy


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    options = {"scheduler": "asha", "fidelity": {"epochs": (1, 4)}, "constraints": ["cost <= 99"]}
    options |= {"objective": ["max value", "min cost"], "strategy": "evolution"}
    aw.search(NETWORKS, Costly(), budget=aw.Budget(trials=3), path=folder, **options)
    connection = sqlite3.connect(folder / "study.db")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    return folder


def rows(folder, table):
    """Return each document with the statement that changes it; or each column of the last trial, or of the study."""
    with closing(sqlite3.connect(folder / "study.db")) as connection:
        connection.row_factory = sqlite3.Row
        if table == "documents":
            return {
                name: (text, f"UPDATE documents SET value = ? WHERE name = '{name}'")
                for name, text in connection.execute("SELECT name, value FROM documents")
            }
        where = "number = (SELECT max(number) FROM trials)" if table == "trials" else "1"
        row = dict(connection.execute(f"SELECT * FROM {table} WHERE {where}").fetchone())
        return {name: (text, f"UPDATE {table} SET {name} = ? WHERE {where}") for name, text in row.items()}


def use(folder):
    study = aw.load(folder)
    study.summary(), study.why, study.budget, study.finals, study.front, study.hypervolume, repr(study)
    return study.scheduler, study.ladder, study.starts, study.strategy


@pytest.mark.parametrize(
    ("table", "column", "value", "told"),
    [
        ("documents", "seed", "[]", r"seed is an array, not a whole number of 0 or more$"),
        ("documents", "space", "{}", r"space has no field 'name'$"),
        ("documents", "space", '{"name": 3}', r"the name of space is 3, not text$"),
        ("trials", "state", "x" * 10**4, r"trial 0 cannot be read \(state is 'x{50}', not one of running"),
        ("trials", "origin", "[]", r"trial 0 cannot be read \(origin is '\[\]', not null\)"),
    ],
)
def test_wrong_values_are_told_briefly(finished, tmp_path, table, column, value, told):
    shutil.copytree(finished, tmp_path / "run")
    with closing(sqlite3.connect(tmp_path / "run" / "study.db")) as database, database:
        if table == "trials":
            database.execute(f"UPDATE trials SET {column} = ? WHERE number = 0", (value,))
        else:
            database.execute("UPDATE documents SET value = ? WHERE name = ?", (value, column))
    with pytest.raises(ArchwrightError, match=told):
        aw.load(tmp_path / "run")


@pytest.mark.parametrize("table", ["documents", "trials"])
def test_wrong_types_anywhere_are_told_by_file_and_field(finished, table):
    whole = (finished / "study.db").read_bytes()
    refused = told = tried = 0
    for name, (text, change) in rows(finished, table).items():
        if name in ("study", "space"):  # spaces are read by what reads all of them
            continue
        try:
            parsed = json.loads(text)
        except (TypeError, ValueError):
            parsed = None
        values = [None, -1, 1.5, "text", b"\xff\xfe", DEEP, "9" * 5000, float("inf")]
        if parsed is not None:
            # Two of the wrong values for each part, and over all parts all of them.
            places = [path for path in paths(parsed) for _ in range(2)]
            values += [json.dumps(changed(parsed, *how)) for how in zip(places, cycle(WRONG), strict=False)]
        for value in values:
            connection = sqlite3.connect(finished / "study.db")
            try:
                with connection:
                    connection.execute(change, (value,))
            except sqlite3.IntegrityError:  # such as NULL, where the table wants a value
                continue
            finally:
                connection.close()
            tried += 1
            try:
                use(finished)
            except ArchwrightError as error:
                refused += 1
                told += "study.db" in str(error) and name in str(error)
            (finished / "study.db").write_bytes(whole)
    assert refused > tried / 2
    assert told > 0.9 * refused, (told, refused)


def test_triggers_and_views_are_not_run(finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    connection = sqlite3.connect(run / "study.db")
    connection.execute("ALTER TABLE trials RENAME TO hidden")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS number FROM n"
    connection.execute(f"CREATE VIEW trials AS {endless}")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="besides tables there is the view 'trials'"):
        aw.load(run)


# --------------------------------------------------------------------------- the few best


@pytest.mark.parametrize("folder", [True, False])
@pytest.mark.parametrize("evaluator", [MarksAgain, Marks])
def test_as_many_networks_are_kept_as_are_trained_again(tmp_path, folder, evaluator):
    path = tmp_path / "run" if folder else None
    study = aw.search(NETWORKS, evaluator(), final=3, strategy="grid", budget=aw.Budget(trials=4), path=path)
    found = study.top(3)
    assert [each.trial.number for each in found] == [1, 2, 0]
    for each in found:
        network = each.load()
        assert network[0].out_features == each.architecture["width"]
        assert network[-1].bias[0].item() == (100.0 if evaluator is MarksAgain else each.trial.number)
    with pytest.raises(StudyError, match=r"not that of|no trained network"):
        study.top(4)[3].load()
    if folder:
        assert {place.name for place in (path / "top").iterdir()} == {"0", "1", "2"}
        from archwright.export import export_network

        for each in found:
            out = tmp_path / str(each.trial.number)
            export_network(path, out, trial=each.trial.number)
            assert json.loads((out / "architecture.json").read_text())["id"] == each.architecture.id
        (path / "top" / "9").mkdir()
        (path / "top" / "9" / "mine.txt").write_text("a folder of the user's")
        with pytest.raises(StudyError, match=r"holds no network of trial 3; networks are kept of trial 0, 1, 2\. A"):
            export_network(path, tmp_path / "none", trial=3)


def test_more_are_kept_later(tmp_path):
    aw.search(NETWORKS, MarksAgain(), strategy="grid", budget=aw.Budget(trials=4), path=tmp_path)
    assert not (tmp_path / "top").exists()
    study = aw.load(tmp_path, evaluator=MarksAgain())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study.resume(final=3)
    assert [each.load()[-1].bias[0].item() for each in study.top(3)] == [100.0] * 3


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "3", None])
def test_top_takes_a_whole_number(count):
    with pytest.raises(StudyError, match="such as top"):
        walk(aw.Study(SPACE), 3).top(count)
