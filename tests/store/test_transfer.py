"""Exports, imports, backups and checks."""

from __future__ import annotations

import json
import math
import random
import sqlite3
import warnings
from contextlib import suppress
from dataclasses import replace

import pytest
from tests.store.helpers import content
from tests.study.helpers import SPACE, function, record, value, walk

import archwright as aw
from archwright.errors import StoreError
from archwright.store import (
    DOCUMENTS,
    Record,
    SQLStore,
    back_up,
    check_studies,
    export_studies,
    import_studies,
    list_studies,
    new_file,
)


@pytest.fixture
def other(database):
    """The URL of a database without tables."""
    return database


@pytest.fixture
def store(tmp_path):
    """A database with two studies, one of which has trials of every state."""
    path = tmp_path / "studies.db"

    def evaluate(candidate):
        number = int(value(candidate.architecture) * 1009)
        candidate.report(1, value=0.1 + 0.2, odd=math.nan)
        if number % 4 == 0:
            raise ValueError("é\n\x00 \udc80")
        if number % 4 == 1:
            raise aw.evaluate.Stopped("early")
        return {"value": number / 1009, "endless": math.inf}

    aw.search(SPACE, evaluate, strategy="evolution", budget=aw.Budget(trials=20), store=path, name="first")
    with aw.Study(SPACE, store=path, name="sécond \n'x", seed=3, strategy="random") as study:
        walk(study, 5)
        study.ask()
    return path


def same(one, two):
    """Compare what is stored, where NaN is NaN."""
    return repr(one) == repr(two)


def test_what_is_exported_and_imported_is_the_same(store, other):
    lines = list(export_studies(store))
    assert import_studies(lines, other) == ["first", "sécond \n'x"]
    for name in ("first", "sécond \n'x"):
        assert same(content(other, name), content(store, name))
    assert list(export_studies(other)) == lines
    assert all(json.loads(line) for line in lines)
    assert len(lines) == 2 + 20 + 6


def test_an_imported_study_goes_on_as_the_first_would(store, other):
    import_studies(export_studies(store, ["sécond \n'x"]), other, name="again")
    with aw.load(store=other, name="again") as study:
        walk(study, 4)
    unbroken = walk(aw.Study(SPACE, seed=3, strategy="random"), 9)
    assert [record(t) for t in study.trials] == [record(t) for t in unbroken.trials]


def test_a_run_folder_is_exported_by_its_name(tmp_path, other):
    aw.search(SPACE, function, budget=aw.Budget(trials=4), path=tmp_path / "my run")
    assert import_studies(export_studies(tmp_path / "my run"), other) == ["my run"]
    assert [each.trials for each in list_studies(other)] == [4]
    with pytest.raises(StoreError, match=r"there is no study\.db in it"):
        list(export_studies(tmp_path))


def test_an_import_leaves_what_is_there_as_it_is(store, other):
    lines = list(export_studies(store))
    import_studies(lines[21:], other)
    before = content(other, "sécond \n'x")
    with pytest.raises(StoreError, match=r"(?s)has a study .* already: give the new one another name"):
        import_studies(lines, other)
    assert [each.name for each in list_studies(other)] == ["sécond \n'x"]  # nor is the first of them there
    assert same(content(other, "sécond \n'x"), before)


def changed(lines, place, **fields):
    return [*lines[:place], json.dumps(json.loads(lines[place]) | fields), *lines[place + 1 :]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: lines[:-1], "line 28 .*ends after 5 of 6 trials: it is cut off"),
        (lambda lines: [*lines[:-1], lines[-1][:50]], "line 28 .*not JSON"),
        (lambda lines: lines[1:], "line 1 .*no field 'archwright'"),
        (lambda lines: [*lines[:4], *lines[5:]], "line 5 .*trial 3 is missing"),
        (lambda lines: [], "the export is empty"),
        (lambda lines: [*lines, *lines[21:]], "two studies of one name"),
        (lambda lines: ["[" * 100_000], "line 1 .*nested too deeply"),
        (lambda lines: changed(lines, 0, format=2), "line 1 .*later version"),
        (lambda lines: changed(lines, 0, document={"spice": 1}), "line 1 .*unknown field 'spice'"),
        (lambda lines: changed(lines, 0, name="a\0"), "the name of a study is text"),
        (lambda lines: changed(lines, 0, trials=-1), "line 1 .*trials is -1"),
        (lambda lines: changed(lines, 3, state="lost"), "line 4 .*state is 'lost'"),
        (lambda lines: changed(lines, 3, ended=999), "the order in which trials ended"),
        (lambda lines: changed(lines, 3, metrics={"value": "1"}), "line 4 .*'value' of metrics"),
        (lambda lines: changed(lines, 3, architecture={"e0": {}}), "line 4 .*decision 'e0'"),
        (lambda lines: changed(lines[:21], 0, trials=10**18), "line 22 .*after 20 of 1,000,000,000,000,000,000 trials"),
        (lambda lines: changed(lines, 3, seed=2**70), "line 4 .*seed is a number of more than 18 digits"),
        (lambda lines: changed(lines, 3, attempts=2**63), "line 4 .*attempts is a number of more than 18 digits"),
        (lambda lines: changed(lines, 3, elapsed=math.inf), "line 4 .*elapsed"),
        (lambda lines: [*lines[:3], f'{{"saw": {"[" * 100_000}'], "line 4 .*nested too deeply"),
        (lambda lines: [*lines[:3], f'{{"number": {"9" * 5000}}}', *lines[4:]], "line 4 .*not JSON"),
    ],
)
def test_an_export_that_is_damaged_is_refused(store, tmp_path, change, told):
    with pytest.raises(StoreError, match=told):
        import_studies(change(list(export_studies(store))), tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists() or not list_studies(tmp_path / "new.db")


def test_one_name_is_for_one_study(store, tmp_path):
    with pytest.raises(StoreError, match="a name is for one study, and the export has 2"):
        import_studies(export_studies(store), tmp_path / "new.db", name="a")
    with pytest.raises(StoreError, match=r"no study 'x'; the studies: 'first', "):
        list(export_studies(store, ["x"]))
    with pytest.raises(StoreError, match="has the name of the database of a run folder"):
        import_studies(export_studies(store), tmp_path / "study.db")


# --------------------------------------------------------------------------- backups


def test_a_backup_is_made_while_a_search_writes(store, tmp_path):
    made = []

    def evaluate(candidate):
        made.append(back_up(store, tmp_path / f"copy-{len(made)}.db"))
        return function(candidate)

    search = {"strategy": "evolution", "budget": aw.Budget(trials=3), "store": store, "name": "third"}
    study = aw.search(SPACE, evaluate, **search)
    assert made == [["first", "sécond \n'x", "third"]] * 3
    for number in range(3):
        copy = tmp_path / f"copy-{number}.db"
        assert same(content(copy, "first"), content(store, "first"))
        with aw.load(store=copy, name="third") as again:  # nobody holds it
            walk(again, 3 - number)
        assert [record(t) for t in again.trials] == [record(t) for t in study.trials]
    assert {path.name for path in tmp_path.glob("*")} >= {"copy-0.db"}
    assert not list(tmp_path.glob(".archwright-*"))


def test_a_server_is_backed_up_into_a_file(store, tmp_path, postgresql):
    import_studies(export_studies(store), postgresql)
    assert back_up(postgresql, tmp_path / "copy.db") == ["first", "sécond \n'x"]
    assert list(export_studies(tmp_path / "copy.db")) == list(export_studies(store))


def test_the_backup_of_a_run_folder_takes_its_place(tmp_path):
    study = aw.search(SPACE, function, budget=aw.Budget(trials=4), path=tmp_path / "run")
    back_up(tmp_path / "run", tmp_path / "copy.db")
    (tmp_path / "run" / "study.db").write_bytes((tmp_path / "copy.db").read_bytes())
    again = aw.load(tmp_path / "run", evaluator=function).resume(aw.Budget(trials=8))
    assert [record(t) for t in again.trials[:4]] == [record(t) for t in study.trials]


def test_no_file_is_written_over(store, tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(StoreError, match="mine exists already"):
        back_up(store, tmp_path / "mine")
    with pytest.raises(StoreError, match="there is no folder"):
        back_up(store, tmp_path / "missing" / "copy.db")

    def late():
        with new_file(tmp_path / "late") as new:
            new.write_text("new")
            (tmp_path / "late").write_text("late")

    with pytest.raises(StoreError, match="exists already"):
        late()
    with pytest.raises(ZeroDivisionError), new_file(tmp_path / "never") as new:
        new.write_text(str(1 / 0))
    assert {path.name: path.read_text() for path in tmp_path.glob("*") if path.name in ("mine", "late", "never")} == {
        "mine": "mine",
        "late": "late",
    }
    assert not list(tmp_path.glob(".archwright-*"))


# --------------------------------------------------------------------------- checks, and what is left of a damaged file


def test_a_check_names_the_study_that_is_damaged(store):
    assert [each.problem for each in check_studies(store)] == [None, None]
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE trials SET metrics = '{' WHERE study = 2 AND number = 3")
    connection.close()
    first, second = check_studies(store)
    assert (first.problem, second.trials) == (None, 6)
    assert "metrics of trial 3 is not JSON" in second.problem


def test_what_can_be_read_of_a_torn_file_is_saved(tmp_path):
    with aw.Study(SPACE, path=tmp_path / "run", strategy="random", seed=2) as study:
        walk(study, 150)
    whole, saved = (tmp_path / "run" / "study.db").read_bytes(), []
    draw, torn = random.Random(1), tmp_path / "torn.db"
    for length in sorted(draw.randrange(len(whole)) for _ in range(30)):
        torn.write_bytes(whole[:length])
        with pytest.raises(StoreError, match=r"torn\.db (is damaged|cannot be used)"):
            list(export_studies(torn))
        with warnings.catch_warnings(record=True) as told, suppress(StoreError):
            warnings.simplefilter("always")
            lines = list(export_studies(torn, salvage=True))
        assert torn.read_bytes() == whole[:length]
        if not told:  # not even the study is left
            continue
        assert "can be read; what came after them" in str(told[0].message)
        header, *trials = map(json.loads, lines)
        saved.append(len(trials))
        assert [each["architecture"] for each in trials] == [
            t.architecture.to_json() for t in study.trials[: len(trials)]
        ]
        if all(header["document"][name] is not None for name in ("space", "strategy", "objective", "seed", "results")):
            place = tmp_path / f"saved-{length}.db"
            import_studies(lines, place)
            with aw.load(store=place, name="study") as again:
                walk(again, 2)
            assert [t.architecture for t in again.trials] == [
                t.architecture for t in study.trials[: len(trials) + 2]
            ] or len(trials) + 2 > 150
    assert saved == sorted(saved)
    assert saved[-1] > 50


def test_a_page_that_is_lost_in_the_middle(tmp_path):
    with aw.Study(SPACE, path=tmp_path / "run", strategy="random") as study:
        trials = [study.ask() for _ in range(60)]
        for trial in reversed(trials):
            study.tell(trial, value(trial.architecture))
    path = tmp_path / "run" / "study.db"
    whole = path.read_bytes()
    place = whole.index(json.dumps(study.trials[30].architecture.to_json()).encode()) // 4096 * 4096
    path.write_bytes(whole[:place] + b"\0" * 4096 + whole[place + 4096 :])
    with pytest.raises(StoreError, match=r"(?s)damaged.*salvage"), aw.load(tmp_path / "run") as opened:
        opened.ask()
    with pytest.warns(UserWarning, match="trials can be read"):
        lines = list(export_studies(tmp_path / "run", salvage=True))
    assert 0 < len(lines) - 1 <= 30
    import_studies(lines, tmp_path / "saved.db", name="saved")
    saved = content(tmp_path / "saved.db", "saved").records
    assert sorted(each.ended for each in saved) == list(range(len(saved)))
    assert [each.ended for each in saved] == list(range(len(saved)))[::-1]  # in the order in which they ended


def test_a_server_is_not_salvaged(postgresql):
    with pytest.raises(StoreError, match="is not salvaged"):
        list(export_studies(postgresql, salvage=True))


def test_a_store_that_is_exported_keeps_what_asks_saw(tmp_path):
    architecture = SPACE.canonical(dict.fromkeys(SPACE.decisions, "a"))
    store = SQLStore(tmp_path / "studies.db", "a")
    store.create(dict.fromkeys(DOCUMENTS))
    first = Record(aw.Trial(0, architecture), 0.5, seen=0, saw={"running": [1, 2]})
    store.add(first)
    store.write(replace(first, elapsed=0.75))
    store.close()
    import_studies(export_studies(tmp_path / "studies.db"), tmp_path / "new.db")
    assert content(tmp_path / "new.db", "a").records == [replace(first, elapsed=0.75)]
