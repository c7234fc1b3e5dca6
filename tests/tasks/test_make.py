"""Options of tasks: numbers in place of texts, limits of memory, and what a task is loaded again with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import archwright as aw
from archwright.errors import DataError, EvaluationError
from archwright.tasks._make import _with_texts


def interactions(path: Path) -> Path:
    path.write_text("".join(f"{n % 5},{n % 4},{n % 3 + 1}\n" for n in range(60)))
    return path


def series(path: Path) -> Path:
    path.write_text("".join(f"{n},{n % 7},{n % 12}\n" for n in range(120)))
    return path


def text(path: Path) -> Path:
    path.write_text("the cat sat on the mat. " * 60)
    return path


def test_numbers_are_texts_where_texts_are_taken() -> None:
    def load(
        source: Path,
        *,
        column: str | None = None,
        several: Sequence[str] | str | None = None,
        count: int | None = None,
        other: Any = None,
    ) -> None: ...

    given = {"column": 1, "several": [2, "x"], "count": 3, "other": 4}
    assert _with_texts(given, load) == {"column": "1", "several": ["2", "x"], "count": 3, "other": 4}
    assert _with_texts({"column": Path("a"), "several": 5}, load) == {"column": "a", "several": "5"}
    assert _with_texts({"column": None, "several": True}, load) == {"column": None, "several": "true"}
    for wrong in ({"column": {"a": 1}}, {"column": ["a"]}, {"several": [None]}):
        with pytest.raises(EvaluationError, match=r"(column|several)=.* must be a text"):
            _with_texts(wrong, load)


def test_columns_are_given_by_their_numbers(tmp_path: Path) -> None:
    task = aw.task(interactions(tmp_path / "ratings.csv"), "recommendation", user=2, item=1)
    assert (len(task.preprocess.users), len(task.preprocess.items)) == (4, 5)
    assert aw.task(**task.spec).preprocess == task.preprocess
    for targets in (3, [3], "3"):
        assert aw.task(series(tmp_path / "series.csv"), "forecasting", time=1, targets=targets).names == ("3",)
    table = interactions(tmp_path / "table.csv")
    assert aw.task(table, "classification", target=1).classes == ("0", "1", "2", "3", "4")


@pytest.mark.parametrize(
    ("write", "name"), [(interactions, "recommendation"), (series, "forecasting"), (text, "language")]
)
def test_a_limit_of_memory_is_kept(tmp_path: Path, write: Any, name: str) -> None:
    path = write(tmp_path / "data.csv")
    assert "max_gigabytes" not in aw.task(path, name).spec
    task = aw.task(path, name, max_gigabytes=20)
    assert task.spec["max_gigabytes"] == 20.0
    assert aw.task(**task.spec).spec == task.spec


def test_all_arguments_are_noted_with_full_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = [text(tmp_path / name).resolve() for name in ("train.txt", "test.txt")]
    assert aw.task("train.txt", "language", length=8, test_file="test.txt").spec == {
        "task": "language",
        "source": str(files[0]),
        "validation": 0.1,
        "test": 0.1,
        "unit": "characters",
        "length": 8,
        "test_file": str(files[1]),
    }


@pytest.mark.parametrize("limit", [math.inf, math.nan, 0, -1, True, "4"])
@pytest.mark.parametrize("name", ["language", None])
def test_what_is_no_limit_of_memory_is_refused(tmp_path: Path, limit: object, name: str | None) -> None:
    with pytest.raises(DataError, match=r"max_gigabytes=.* must be a number above 0"):
        aw.task(text(tmp_path / "a.txt") if name else interactions(tmp_path / "a.csv"), name, max_gigabytes=limit)


def test_what_a_task_does_not_take_is_refused_by_the_name_of_its_task(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b,c\n" + "".join(f"{n},{n % 7},{'xy'[n % 2]}\n" for n in range(60)))
    for options, message in (
        ({"bogus": 1}, r"a folder of classes has no option 'bogus'; it has: validation, .*, skip_broken$"),
        ({"horizon": 3}, r"horizon= is an option of forecasting: name forecasting, by task= or --task$"),
        ({"encoding": "latin-1"}, r"encoding= is an option of .*text-classification"),
    ):
        with pytest.raises(EvaluationError, match=message):
            aw.task(table, **options)
    with pytest.raises(EvaluationError, match=r"task 'regression' has no option 'gaps'"):
        aw.task(table, "regression", gaps="interpolate")
    with pytest.raises(
        EvaluationError, match=r"it has: horizon, .* Did you mean targets='c', or --option targets=c\?$"
    ):
        aw.task(series(tmp_path / "series.csv"), "forecasting", target="c")


def test_the_encoding_that_is_given_is_that_of_recognition(tmp_path: Path) -> None:
    films = tmp_path / "films.csv"
    rows = [f"très joli film {n} {'bien' if n % 2 else 'mal'} vu,{'ab'[n % 2]}" for n in range(60)]
    films.write_text("\n".join(["text,label", *rows]), encoding="latin-1")
    task = aw.task(films, encoding="latin-1")
    assert task.told[0].startswith("task: text-classification")
    assert "très" in task.preprocess.vocabulary
    with pytest.raises(DataError, match="UTF-8"):
        aw.task(films)


@pytest.mark.filterwarnings("ignore:.*left out as identifiers")
def test_a_table_that_is_nearly_a_series_is_told(tmp_path: Path) -> None:
    table = tmp_path / "load.csv"
    lines = [f"2024-{1 + n // 28:02}-{1 + n % 28:02},{n % 5},{n * n % 89}" for n in range(28)]
    lines = ["day,a,load", *lines[:9], *lines[10:]]
    table.write_text("\n".join(lines))
    told = aw.task(table).told[0]
    assert "row 11: 2024-01-11 is 2 steps of 1 day after 2024-01-09" in told
    assert "--task forecasting" in told
    assert "--option gaps=interpolate" in told
    lines[5], lines[6] = lines[6], lines[5]
    table.write_text("\n".join(line.rpartition(",")[0] for line in lines))
    with pytest.raises(DataError, match=r"looks like a time series .*--task forecasting\).* row 7: .* sort the rows"):
        aw.task(table)
    table.write_text("\n".join(["day,a,load", *(f"2024-01-{1 + n * n % 28:02},{n},{n % 3}" for n in range(60))]))
    assert not any("series" in line for line in aw.task(table).told)  # dates of events


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("x,y\n1,a\n2,b\n3,a\n4,b\n")
    for task, options in ((None, {}), ("recommendation", {}), ("text-classification", {"text": "x"})):
        with pytest.raises(DataError, match=r"short\.csv"):
            aw.task(path, task, **options)
    tags = tmp_path / "a.conll"
    tags.write_text("Ann O\n\n" * 30)
    with pytest.raises(DataError, match=r"^/.*a\.conll: there is one tag only, 'O'"):
        aw.task(tags)
    tags.write_bytes("in O\nKöln B-LOC\n\n".encode("latin-1") * 9)
    with pytest.raises(DataError, match=r"a\.conll, line 2: .* is not UTF-8.*--option encoding=latin-1"):
        aw.task(tags)
    assert aw.task(tags, encoding="latin-1").told[0].startswith("task: tagging")
