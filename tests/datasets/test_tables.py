"""Missing cells, columns that are left out, guesses and parts of tables in files."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import archwright as aw
from archwright.datasets import InputError, data, load_preprocess
from archwright.datasets._table_preprocess import table_rows
from archwright.errors import DataError


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def gaps(tmp_path: Path, gap: str = "") -> Path:
    """A table of 60 rows with gaps among numbers and texts."""
    lines = []
    for row in range(60):
        age = gap if row % 4 == 0 else str(10 * row)
        colour = gap if row % 7 == 0 else ("red", "green")[row % 2]
        lines.append(f"{age},{colour},{row},{'ab'[row // 2 % 2]}")
    return write(tmp_path / "gaps.csv", "age,colour,full,y", *lines)


@pytest.mark.parametrize("gap", ["", "NA", "NaN", "n/a", "null", " "])
def test_gaps_are_filled_and_marked(tmp_path, gap):
    found = data(gaps(tmp_path, gap))
    age, colour, full = found.columns
    assert (age.features, colour.categories, full.features) == (2, ("", "green", "red"), 1)
    whole = found.train + found.validation + found.test
    rows = whole.inputs[:, 5].long()
    assert torch.equal(whole.inputs[:, 1], (rows % 4 == 0).float())
    assert torch.equal(whole.inputs[:, 2], (rows % 7 == 0).float())
    assert (whole.inputs[rows % 4 == 0, 0] == age.fill).all()
    assert torch.equal(whole.inputs[rows % 4 != 0, 0], 10.0 * rows[rows % 4 != 0])
    assert found.mean[[1, 2, 3, 4]].tolist() == [0] * 4
    assert found.std[[1, 2, 3, 4]].tolist() == [1] * 4


@pytest.mark.parametrize("seed", range(5))
def test_the_median_is_that_of_the_training_part(tmp_path, seed):
    found = data(gaps(tmp_path), seed=seed)
    inputs = found.train.inputs
    assert found.columns[0].fill == np.median(inputs[inputs[:, 1] == 0, 0])
    assert found.columns[2].fill == np.median(inputs[:, 5])
    # Other values in the held-out parts change nothing of what is done with the training part.
    held_out = (found.validation + found.test).inputs[:, 5].int().tolist()
    lines = gaps(tmp_path).read_text().splitlines()
    for row in held_out:
        if row % 4:
            lines[1 + row] = "1e6" + lines[1 + row][len(str(10 * row)) :]
    other = data(write(tmp_path / "gaps.csv", *lines), seed=seed)
    assert torch.equal(other.train.inputs, inputs)
    assert other.columns == found.columns
    assert torch.equal(other.mean, found.mean)


def test_a_gap_that_training_never_shows_is_no_feature(tmp_path):
    train = write(tmp_path / "train.csv", "a,c,y", *(f"{row},{'uv'[row % 2]},{row // 2 % 2}" for row in range(40)))
    test = write(tmp_path / "test.csv", "a,c,y", ",,0", "5,u,1")
    found = data(train, test_file=test)
    assert [each.features for each in found.columns] == [1, 2]
    assert found.test.inputs.tolist() == [[found.columns[0].fill, 0, 0], [5, 1, 0]]


def test_question_marks_are_gaps_among_numbers_and_a_category_among_texts(tmp_path):
    lines = [f"{'?' if row % 5 == 0 else row},{'?' if row % 5 == 0 else 'uv'[row % 2]},{row % 2}" for row in range(40)]
    number, text = data(write(tmp_path / "t.csv", "n,t,y", *lines)).columns
    assert number.marked
    assert text.categories == ("?", "u", "v")


def test_columns_of_no_use_are_left_out_and_said(tmp_path):
    lines = [
        f"{row + 7},name {row},ticket {row % 30},,3,{row},,{'uv'[row % 2]},{'ab'[row // 2 % 2]}" for row in range(50)
    ]
    path = write(tmp_path / "t.csv", "PassengerId,name,ticket,empty,same,a,blank,c,y", *lines)
    with pytest.warns(UserWarning, match="left out") as caught:
        found = data(path)
    told = " ".join(str(each.message) for each in caught)
    assert [each.name for each in found.columns] == ["a", "c"]
    assert "left out as identifiers, different in each row: 'PassengerId', 'name'" in told
    assert "left out for too many different texts to be categories" in told
    assert told.count("'ticket'") == 1
    assert "left out as missing altogether in the training part: 'empty', 'blank'" in told
    assert "left out as constant in the training part: 'same'" in told
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = data(path, ignore=["PassengerId", "name", "ticket", "empty", "same", "blank"])
    assert again.columns == found.columns
    assert torch.equal(data(**json.loads(json.dumps(again.spec))).train.inputs, again.train.inputs)


def test_what_is_ignored_has_to_be_there(tmp_path):
    path = gaps(tmp_path)
    assert [each.name for each in data(path, ignore="age").columns] == ["colour", "full"]
    with pytest.raises(DataError, match=r"no column 'agee'\. Did you mean 'age'\?"):
        data(path, ignore=["agee"])
    with pytest.raises(DataError, match="'y' is the target, and cannot be ignored"):
        data(path, ignore=["y"])
    with pytest.raises(DataError, match="takes no ignore="):
        data("iris", ignore=["a"])


@pytest.mark.parametrize("named", [True, False])
def test_the_preprocessing_fills_in_as_the_training_did(tmp_path, named):
    path = gaps(tmp_path)
    if not named:
        write(path, *path.read_text().splitlines()[1:])
    found = data(path, ignore=["full" if named else "3"], header=named)
    (tmp_path / "preprocess.json").write_text(json.dumps(found.preprocess.to_json()))
    preprocess = load_preprocess(tmp_path / "preprocess.json")
    assert preprocess == found.preprocess
    read = torch.stack([raw for _, raw in preprocess.read(path)])
    assert torch.equal(preprocess.normalise(read).sort(0).values, found.normalise(everything(found)).sort(0).values)
    if not named:  # also without the target, and with the columns of the network alone
        cells = [line.split(",") for line in path.read_text().splitlines()]
        for places in ((0, 1, 2), (0, 1)):
            part = write(tmp_path / "part.csv", *(",".join(row[place] for place in places) for row in cells))
            assert torch.equal(torch.stack([raw for _, raw in preprocess.read(part)]), read)
        with pytest.raises(InputError, match="has 5 columns; the network takes 2"):
            next(preprocess.read(write(tmp_path / "part.csv", "1,2,3,4,5")))


def everything(found: aw.Data) -> torch.Tensor:
    return (found.train + found.validation + found.test).inputs


def test_a_gap_where_training_had_none_is_said(tmp_path):
    preprocess = data(gaps(tmp_path)).preprocess
    with pytest.warns(UserWarning, match="column 'full' has missing cells, but had none in training"):
        row = preprocess.item({"age": None, "colour": float("nan"), "full": ""})
    age, _, full = preprocess.columns
    assert row.tolist() == [age.fill, 1, 1, 0, 0, full.fill]


def test_preprocessing_of_before_has_nothing_to_fill_in():
    old = {
        "version": 1,
        "kind": "table",
        "named": True,
        "target": "y",
        "columns": [{"name": "a", "mean": 1.0, "std": 2.0}, {"name": "c", "categories": ["u", "v"]}],
        "classes": ["0", "1"],
    }
    preprocess = aw.datasets.preprocess_from_json(old)
    assert preprocess.item({"a": 3, "c": "v"}).tolist() == [3, 0, 1]
    with pytest.raises(InputError, match="column 'a' is missing"):
        preprocess.item({"a": None, "c": "v"})
    for change in ({"fill": "x"}, {"marked": 1}, {"marked": True}, {"fill": float("inf")}):
        with pytest.raises(InputError):
            aw.datasets.preprocess_from_json({**old, "columns": [{**old["columns"][0], **change}]})
    with pytest.raises(InputError, match="none of the 3"):
        aw.datasets.preprocess_from_json({**old, "named": False, "target": None, "width": 3})


# ---------------------------------------------------------------------- guesses


@pytest.mark.parametrize(
    ("target", "task"),
    [
        (lambda row: row / 2, "regression"),  # no whole numbers
        (lambda row: [0.5, 1.0][row % 2], "regression"),
        (lambda row: 3 * row % 100, "regression"),  # many
        (lambda row: row % 30, "regression"),  # counted up, but with few samples each
        (lambda row: 2 * (row % 20), "classification"),
        (lambda row: row % 7, "classification"),
        (lambda row: f"{row % 7}.0", "classification"),
        (lambda row: f"c{row % 30}", "classification"),
    ],
)
def test_the_task_is_guessed_from_the_target(tmp_path, target, task):
    path = write(tmp_path / "t.csv", "a,b,y", *(f"{row},{row % 3},{target(row)}" for row in range(100)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = data(path)
        again = data(**found.spec)
    assert bool(found.targets) == (task == "regression")
    assert found.spec.get("task", "classification") == task
    assert len(found.told) == 1
    count = len({target(row) for row in range(100)})
    if task == "regression":
        assert f"task: regression, because the last column, 'y', has {count} different numbers;" in found.told[0]
    else:
        assert found.told == ("target: the last column, 'y'; name another column with target=, or --label",)
    assert torch.equal(again.test.targets, found.test.targets)


def test_many_numbers_with_many_samples_are_classes(tmp_path):
    path = write(tmp_path / "t.csv", "a,y", *(f"{row / 2},{1 + row % 26}" for row in range(260)))
    assert len(data(path).classes) == 26


def test_what_is_told_is_not_guessed(tmp_path):
    path = write(tmp_path / "t.csv", "a,y", *(f"{row},{row % 50}" for row in range(200)))
    assert data(path, task="regression", target="y").told == ()
    assert len(data(path, task="classification", target="y").classes) == 50
    (named,) = data(path, target="y").told
    assert named.endswith("because the column 'y' has 50 different numbers; name another task with task=, or --task")
    assert aw.task(path).told == data(path).told


# ---------------------------------------------------------------------- parts in files of their own


@pytest.fixture
def three(tmp_path):
    rng = np.random.default_rng(0)
    files = []
    for name, count in (("train", 40), ("valid", 12), ("test", 20)):
        lines = [f"{rng.normal():.3f},{'uvw'[rng.integers(3)]},{'ab'[row % 2]}" for row in range(count)]
        files.append(write(tmp_path / f"{name}.csv", "x,c,y", *lines))
    return files


def test_parts_in_files(three):
    train, valid, test = three
    found = data(train, validation_file=valid, test_file=test)
    assert (len(found.train), len(found.validation), len(found.test)) == (40, 12, 20)
    wanted = [float(line.split(",")[0]) for line in test.read_text().splitlines()[1:]]
    assert found.test.inputs[:, 0].tolist() == pytest.approx(wanted)
    assert found.mean[0] == pytest.approx(float(found.train.inputs[:, 0].mean()))
    assert torch.equal(data(**json.loads(json.dumps(found.spec))).test.inputs, found.test.inputs)
    part = data(train, test_file=test, validation=0.25)
    assert (len(part.train), len(part.validation), len(part.test)) == (30, 10, 20)


def test_the_order_of_columns_is_that_of_the_training_file(three, tmp_path):
    train, _, test = three
    turned = write(tmp_path / "turned.csv", *(",".join(line.split(",")[::-1]) for line in test.read_text().split()))
    assert torch.equal(data(train, test_file=turned).test.inputs, data(train, test_file=test).test.inputs)


def test_other_columns_are_named(three, tmp_path):
    train, _, _ = three
    other = write(tmp_path / "other.csv", "x,colour,y,z", "1,u,a,2")
    with pytest.raises(DataError, match=r"other\.csv: the columns differ from those of .*train\.csv: .* lacks 'c'"):
        data(train, test_file=other)
    with pytest.raises(DataError, match="has 'colour', 'z' besides"):
        data(train, validation_file=other)
    with pytest.raises(DataError, match=r"nothing\.csv"):
        data(train, test_file=tmp_path / "nothing.csv")
    with pytest.raises(DataError, match="takes no test_file="):
        data("iris", test_file=train)
    bad = write(tmp_path / "bad.csv", "x,c,y", *(f"{'oops' if row == 1 else row},u,a" for row in range(5)))
    with pytest.raises(DataError, match=r"'oops' in row 3 of the file \(bad\.csv\)"):
        data(train, test_file=bad)
    new = write(tmp_path / "new.csv", "x,c,y", "1,u,c")
    with pytest.raises(
        DataError, match=r"the class 'c', which the training part never shows, in row 2 of the file \(new\.csv\)"
    ):
        data(train, test_file=new)


# ---------------------------------------------------------------------- Parquet and data frames


@pytest.fixture
def frame(tmp_path):
    pandas = pytest.importorskip("pandas")
    found = pandas.read_csv(gaps(tmp_path))
    found["age"] = found["age"].astype("Int64")  # whole numbers with gaps
    found["flag"] = found["full"] % 2 == 0
    return found[["age", "colour", "full", "flag", "y"]]


def test_a_data_frame_is_a_table(frame, tmp_path):
    frame.to_csv(tmp_path / "frame.csv", index=False)
    wanted, found = data(tmp_path / "frame.csv"), data(frame, target="y")
    assert found.columns == wanted.columns
    assert found.columns[3].categories == ("False", "True")
    assert torch.equal(found.train.inputs, wanted.train.inputs)
    assert (found.name, found.spec, found.told) == ("frame", None, ())
    rows = found.preprocess.item(frame.to_dict("records")[0])
    assert torch.equal(rows, torch.stack([raw for _, raw in wanted.preprocess.read(tmp_path / "frame.csv")])[0])
    parts = data(frame[:40], test_file=frame[40:])
    assert len(parts.test) == 20
    with pytest.raises(DataError, match="with a data frame, give a data frame"):
        data(frame, test_file=tmp_path / "frame.csv")
    with pytest.raises(DataError, match=r"the test data frame: the columns differ .* lacks 'age'"):
        data(frame, test_file=frame[["colour", "full", "flag", "y"]])
    with pytest.raises(DataError, match="a data frame takes no header="):
        data(frame, header=True)


def test_parquet_is_read_as_csv_is(frame, tmp_path):
    pytest.importorskip("pyarrow")
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    wanted, found = data(tmp_path / "t.csv"), data(tmp_path / "t.parquet")
    assert found.columns == wanted.columns
    assert torch.equal(found.test.inputs, wanted.test.inputs)
    assert torch.equal(data(**found.spec).test.inputs, wanted.test.inputs)
    one, other = (
        torch.stack([raw for _, raw in found.preprocess.read(tmp_path / name)]) for name in ("t.csv", "t.parquet")
    )
    assert torch.equal(one, other)
    apart = data(tmp_path / "t.csv", test_file=tmp_path / "t.parquet").test.inputs
    assert torch.equal(apart[:, 1:], one[:, 1:])  # the median is that of another training part
    with pytest.raises(DataError, match=r"takes more than the limit of 1e-07 gigabytes.*max_gigabytes"):
        data(tmp_path / "t.parquet", max_gigabytes=1e-7)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and more, but no table PAR1")
    with pytest.raises(DataError, match=r"bad\.parquet cannot be read as a Parquet file"):
        data(tmp_path / "bad.parquet")


def test_a_text_that_rows_share_counts_for_each(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"text": ["x" * 100_000] * 300, "y": ["a", "b"] * 150})
    path = tmp_path / "t.parquet"
    frame.to_parquet(path)
    rows = list(table_rows(path))
    assert len({id(cells[0]) for _, cells in rows[1:]}) == 1  # and takes memory once, until it is counted
    with pytest.raises(DataError, match=r"as a table in memory, more than the limit of 0\.01 gigabytes"):
        data(path, max_gigabytes=0.01)


def test_values_in_lists_count_one_by_one(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"many": [[7] * 10_000] * 40, "y": [n % 2 for n in range(40)]})
    parquet.write_table(table, tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 10_000
    with pytest.raises(DataError, match=r"takes more than the limit of 0\.01 gigabytes"):
        data(tmp_path / "t.parquet", max_gigabytes=0.01)


@pytest.mark.parametrize("target", [None, "class"])
def test_sentences_in_a_table_lead_to_text_classification(tmp_path, target):
    long = "as the markets heard of it " * 7
    rows = [f"{n % 4},Oil is {n} cents dearer again today,The price of oil rose by {n} cents {long}" for n in range(40)]
    path = write(tmp_path / "news.csv", "class,title,description", *rows)
    hold = "'description', 'title' hold" if target is None else "'title', 'description' hold"
    with pytest.raises(DataError, match=f"{hold} sentences.*--task text-classification"):
        data(path, target=target)
    task = aw.task(path, "text-classification")
    assert task.classes == ("0", "1", "2", "3")


def test_dates_beyond_the_calendar_are_told(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    days = pyarrow.array([10**8, *range(39)], pyarrow.int32()).cast(pyarrow.date32())
    parquet.write_table(pyarrow.table({"day": days, "y": [n % 2 for n in range(40)]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"t\.parquet cannot be read as a Parquet file"):
        data(tmp_path / "t.parquet")


def test_where_the_target_cannot_be_used_is_said(tmp_path):
    table = write(tmp_path / "table.csv", "x,y", *(f"{n},{'b' if n == 3 else n / 7}" for n in range(30)))
    with pytest.raises(DataError, match=r"not 'b' in row 5 of the file\. To classify, give task='classification'"):
        data(table, task="regression")
    write(table, "x,y", *(f"{n},a" for n in range(30)))
    with pytest.raises(DataError, match=r"table\.csv, column 'y': there is one class only, 'a'"):
        data(table)


def test_cells_may_be_long(tmp_path):
    table = write(tmp_path / "table.csv", "x,note,y", *(f"{n},{'z' * 140_000},{n % 2}" for n in range(20)))
    with pytest.warns(UserWarning, match="left out as constant.*'note'"):
        assert len(data(table).train) == 14
