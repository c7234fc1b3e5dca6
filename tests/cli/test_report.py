"""`archwright report` and `archwright compare`."""

import json
import sqlite3
from contextlib import closing

import pytest

import archwright as aw


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two searches."""
    folders = [tmp_path_factory.mktemp("runs") / name for name in ("one", "two")]
    for folder, strategy in zip(folders, ("random", "grid"), strict=True):
        study = aw.Study(aw.Space(x=aw.integer(0, 99)), strategy=strategy, path=folder)
        study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=5))
    return folders


def test_report(runs, in_process, tmp_path):
    status, out, err = in_process("report", runs[0])
    assert (status, out, err) == (0, f"wrote {runs[0] / 'report.html'}\n", "")
    status, out, _ = in_process("report", runs[0], "--json")
    assert (status, json.loads(out)) == (0, {"file": str(runs[0] / "report.html")})
    assert in_process("report", runs[0], "--out", tmp_path / "page.html")[0] == 0
    (tmp_path / "mine.html").write_text("mine")
    status, _, err = in_process("report", runs[0], "--out", tmp_path / "mine.html")
    assert status == 2
    assert err.startswith("archwright: ")
    assert err.endswith("archwright did not write it: give another file, or move it\n")
    assert aw.load(runs[0]).run(lambda candidate: 1.0, aw.Budget(trials=6)).best  # a page in its folder hinders nothing


def test_compare(runs, in_process, tmp_path):
    status, out, err = in_process("compare", *runs, "--out", tmp_path / "page.html")
    assert (status, err) == (0, "")
    assert "2 searches side by side" in out
    assert "data: not on record for all searches" in out
    assert (tmp_path / "page.html").exists()
    status, out, _ = in_process("compare", *runs, "--json")
    assert [each["best"] for each in json.loads(out)["searches"]] == [
        aw.load(run).best.metrics["value"] for run in runs
    ]
    status, _, err = in_process("compare", runs[0])
    assert (status, err) == (2, "archwright: two searches or more are compared; 1 search given\n")


def test_folders_that_hold_no_study(runs, in_process, tmp_path):
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "study.db").write_bytes(b"SQLite format 3\0" + b"\0" * 50)
    newer = tmp_path / "newer"
    aw.Study(aw.Space(x=aw.integer(0, 99)), path=newer).close()
    with closing(sqlite3.connect(newer / "study.db")) as database, database:
        database.execute("UPDATE studies SET format = 99")
    for folder in ("none", "half", "newer"):
        for arguments in (
            ["report", tmp_path / folder],
            ["compare", runs[0], tmp_path / folder],
            ["export", tmp_path / folder, "--out", tmp_path / "network"],
        ):
            status, out, err = in_process(*arguments)
            assert (status, out) == (2, ""), folder
            assert err.startswith("archwright: ")
            assert err.count("\n") == 1, err
            assert not (tmp_path / folder / "report.html").exists()
    assert "there is no folder" in in_process("report", tmp_path / "none")[2]
    assert "half/study.db cannot be used" in in_process("export", tmp_path / "half")[2]
    assert "later version of archwright" in in_process("export", newer)[2]


def test_an_export_of_a_study_without_networks_says_so(runs, in_process, tmp_path):
    status, out, _ = in_process("export", runs[0], "--out", tmp_path / "network")
    assert status == 0
    assert "trained none (candidate.model)" in out
