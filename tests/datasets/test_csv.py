"""Tables in text files."""

from __future__ import annotations

import gzip
import json
import os
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from archwright.datasets import data
from archwright.errors import DataError


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def fruit(tmp_path):
    """40 rows of a number, a text and a class."""
    lines = [f"{row}.5,{('red', 'green')[row % 2]},{('apple', 'pear')[row // 20]}" for row in range(40)]
    return write(tmp_path / "fruit.csv", "weight,colour,kind", *lines)


def test_numbers_become_features_and_texts_become_marks(fruit):
    found = data(fruit)
    assert (found.name, found.kind, found.classes) == ("fruit", "table", ("apple", "pear"))
    assert found.train.inputs.shape == (28, 3)
    assert found.train.inputs.dtype == torch.float32
    weight, green, red = found.train.inputs.T
    assert torch.equal(green, (weight.floor() % 2).float())
    assert torch.equal(green + red, torch.ones(28))
    assert ((weight >= 20).long() == found.train.targets).all()


def test_only_numbers_are_standardised(fruit):
    found = data(fruit)
    assert float(found.mean[0]) == pytest.approx(float(found.train.inputs[:, 0].mean()))
    assert found.mean[1:].tolist() == [0, 0]
    assert found.std[1:].tolist() == [1, 1]
    assert torch.equal(found.normalise(found.test.inputs)[:, 1:], found.test.inputs[:, 1:])


def test_the_target_may_be_any_column(fruit):
    found = data(fruit, target="colour")
    assert found.classes == ("green", "red")
    assert found.train.inputs.shape == (28, 3)
    assert found.spec == {
        "source": str(fruit.resolve()),
        "validation": 0.1,
        "test": 0.2,
        "seed": 0,
        "target": "colour",
    }
    again = data(**json.loads(json.dumps(found.spec)))
    assert torch.equal(found.test.inputs, again.test.inputs)


def test_a_category_that_training_never_shows_gives_zeros(tmp_path):
    lines = [f"{row},c{row % 2},{row % 2}" for row in range(30)]
    lines[0] = "0,rare,0"
    path = write(tmp_path / "t.csv", "number,colour,y", *lines)
    widths = set()
    for seed in range(12):
        found = data(path, seed=seed)
        width = found.train.inputs.shape[1]
        widths.add(width)
        rows = torch.cat([found.train.inputs, found.validation.inputs, found.test.inputs])
        rare = rows[rows[:, 0] == 0][0]
        trained = bool((found.train.inputs[:, 0] == 0).any())
        assert width == (4 if trained else 3)
        assert rare[1:].sum() == (1 if trained else 0)
        assert found.mean.shape == found.std.shape == (width,)
        assert found.example_input.shape == (width,)
    assert widths == {3, 4}  # both cases were met


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", ", "])
def test_separators(tmp_path, separator):
    lines = [
        separator.join(cells) for cells in [["a", "b", "y"], *([str(i), f"{i}.5", "xy"[i % 2]] for i in range(20))]
    ]
    found = data(write(tmp_path / "t.csv", *lines))
    assert found.train.inputs.shape[1] == 2
    assert found.classes == ("x", "y")


def test_quotes_byte_order_marks_blank_lines_and_compression(tmp_path):
    lines = ['"a, b",y', "", *(f'"{row}",{"xy"[row % 2]}' for row in range(20)), "  "]
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(("\ufeff" + "\r\n".join(lines)).encode()))
    found = data(path, target="y")
    assert (found.name, found.train.inputs.shape[1]) == ("t", 1)
    assert sorted((found.train + found.validation + found.test).inputs.flatten().tolist()) == list(range(20))


def test_whole_numbers_are_classes_in_numeric_order(tmp_path):
    path = write(tmp_path / "t.csv", "a,y", *(f"{row},{(9, 10, '9.0')[row % 3]}" for row in range(30)))
    assert data(path).classes == ("9", "10")


@pytest.mark.parametrize(
    ("first", "header"),
    [
        ("5.1,3.5,setosa", False),  # numbers over numbers
        ("a,b,kind", True),
        ("0,1,2", True),  # the names that pandas writes
        ("0,1,kind", True),
    ],
)
def test_a_row_of_names_is_told_from_data(tmp_path, first, header):
    rows = [f"{row},{row + 0.5},{('setosa', 'virginica')[row % 2]}" for row in range(20)]
    found = data(write(tmp_path / "t.csv", first, *rows))
    assert len(found.train) + len(found.validation) + len(found.test) == (20 if header else 21)


def test_whether_there_are_names_may_be_said(tmp_path):
    path = write(tmp_path / "t.csv", "400.5,401.0,y", *(f"{row},{-row},{'ab'[row % 2]}" for row in range(20)))
    with pytest.raises(DataError, match="class 'y'"):
        data(path)
    found = data(path, header=True, target="y")
    assert found.train.inputs.shape[1] == 2
    assert found.spec["header"] is True
    plain = write(tmp_path / "u.csv", *(f"{'cd'[row % 2]},{'ab'[row // 10]}" for row in range(20)))
    found = data(plain, header=False, target="2")
    assert len(found.train + found.validation) == 16


@pytest.mark.parametrize("gap", ["", "NA", "nan", "NaN", "N/A", "null", " "])
def test_missing_labels_are_counted_and_placed(tmp_path, gap):
    lines = [f"{row},{row},{'ab'[row % 2]}" for row in range(20)]
    lines[4] = f"4,{gap},a"
    lines[9] = f"9,9,{gap}"
    path = write(tmp_path / "t.csv", "a,b,y", *lines)
    with pytest.raises(DataError, match="column 'y', the target, has 1 missing cell, the first in row 11 of the file"):
        data(path)


@pytest.mark.parametrize("cell", ["twelve", "1O"])
def test_a_text_among_numbers_is_placed(tmp_path, cell):
    lines = [f"{row},{'ab'[row % 2]}" for row in range(10)]
    lines[3] = f"{cell},b"
    path = write(tmp_path / "t.csv", "age,y", *lines)
    with pytest.raises(DataError, match=rf"column 'age' holds 9 numbers and 1 other cell, .*'{cell}' in row 5"):
        data(path)


def test_marks_and_numbers_may_be_categories(tmp_path):
    workplaces = ["Private", "?", "State"]
    children = ["0", "1", "3+"]
    lines = [f"{workplaces[row % 3]},{children[row % 3]},{'ab'[row % 2]}" for row in range(30)]
    assert data(write(tmp_path / "t.csv", "work,children,y", *lines)).train.inputs.shape[1] == 6


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["y", "a", "b"], "one column only, 'y'"),
        ([""], "is empty"),
        (["a,y"], "no samples"),
        (["a,,y", *(["1,2,b", "2,3,c"] * 5)], "column 2 has no name"),
        (["a,a,y", *(["1,2,b", "2,3,c"] * 5)], "two columns are called 'a'"),
        (["a,b,y", "1,2,b", "1,2"], "row 3 has 2 cells, but row 1 has 3"),
        (["a,y", *(f"inf,{row % 2}" for row in range(20))], "column 'a' holds 'inf' in row 2 of the file, .* infinite"),
        (["a,y", *(f"name{row},{row % 2}" for row in range(50))], "no column is left to learn 'y' from.*'a'"),
        (["a,y", *(f"1,{row % 2}" for row in range(50))], "no column is left to learn from.*constant.*'a'"),
        (
            ["a;y", *(f"{row},5;{row % 2}" for row in range(20))],
            "column 'a' holds decimal commas, such as '0,5' in row 2",
        ),
    ],
)
def test_tables_that_cannot_be_learnt_from(tmp_path, lines, message):
    path = write(tmp_path / "t.csv", *lines)
    with pytest.raises(DataError, match=message) as caught:
        data(path)
    assert str(path) in str(caught.value)


def test_measurements_are_no_classes(tmp_path):
    path = write(tmp_path / "t.csv", "a,y", *(f"{row},{row / 8}" for row in range(20)))
    with pytest.raises(DataError, match=r"0\.125 .*task=.regression.*column 'y'"):
        data(path, task="classification")


def test_an_unknown_target_tells_the_nearest(fruit):
    with pytest.raises(DataError, match=r"no column 'kinds'\. Did you mean 'kind'\? There are: weight, colour, kind"):
        data(fruit, target="kinds")


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(bytes(range(128, 256)) * 4)
    with pytest.raises(DataError, match="cannot be read as a table in UTF-8"):
        data(path)
    (tmp_path / "t.csv.gz").write_bytes(b"not compressed")
    with pytest.raises(DataError, match="cannot be read"):
        data(tmp_path / "t.csv.gz")


def test_a_bomb_is_refused(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,y\n" + b"1,b\n2,c\n" * 10_000))
    assert path.stat().st_size < 2_000
    with pytest.raises(DataError, match=r"in memory, more than the limit of 0\.005 gigabytes.*max_gigabytes"):
        data(path, max_gigabytes=0.005)
    assert len(data(path, max_gigabytes=0.006).test) == 4_000
    # What is far too large is refused after a look at its beginning: the row of three cells is never met.
    path.write_bytes(gzip.compress(b"a,y\n" + b"1,b\n" * 15_000 + b"1,b,2\n" + b"1,b\n" * 50_000))
    with pytest.raises(DataError, match=r"in memory, more than the limit of 0\.005 gigabytes"):
        data(path, max_gigabytes=0.005)
    path.write_bytes(gzip.compress(b"a,y\n" + b"1," * 1_000_000))
    with pytest.raises(
        DataError, match=r"a line of more than 312,500 characters, a sixty-fourth of the limit of 0\.02"
    ):
        data(path, max_gigabytes=0.02)


def test_long_cells_and_long_rows_are_refused(tmp_path):
    path, rows = tmp_path / "t.csv.gz", "".join(f"{row},{'x' * 10_000},{'ab'[row % 2]}\n" for row in range(200))
    path.write_bytes(gzip.compress(f"a,text,y\n{rows}".encode()))
    with pytest.raises(DataError, match=r"in memory, more than the limit of 0\.001 gigabytes"):
        data(path, max_gigabytes=0.001)
    path.write_bytes(gzip.compress(b"a,y\n" + b'"\n",' * 5_000))
    with pytest.raises(DataError, match=r"a row of more than 15,625 characters, a sixty-fourth of the limit of 0\.001"):
        data(path, max_gigabytes=0.001)


def test_many_categories_are_refused(tmp_path):
    path = write(tmp_path / "t.csv", "n,kind,y", *(f"{row},c{row % 600},{row % 2}" for row in range(2_000)))
    with pytest.raises(DataError, match=r"2,000 rows of 601 features take .* such as 'kind' with 600: ignore=, or"):
        data(path, max_gigabytes=0.005)
    assert data(path, max_gigabytes=0.005, ignore="kind").example_input.shape == (1,)


def test_a_long_text_among_short_ones_takes_no_more_than_itself(tmp_path):
    """An array of texts takes for each as much as for the longest: 160 MB here."""
    cells = ["long " * 4_000 if row == 7 else f"text {row % 50}" for row in range(2_000)]
    path = write(tmp_path / "t.csv", "text,y", *(f"{cell},{'ab'[row % 2]}" for row, cell in enumerate(cells)))
    tracemalloc.start()
    try:
        found = data(path)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found.columns[0].categories) in (50, 51)
    assert most < 40e6
    with pytest.raises(DataError, match=r"the label 'long .* \(row 9 of the file\) has 19,999 characters"):
        data(path, target="text")


@pytest.mark.parametrize("given", [0, -1, "8", True, float("inf"), float("nan"), 10**400, 1e300])
def test_a_limit_that_is_none(fruit, given):
    with pytest.raises(DataError, match=r"max_gigabytes=.* must be a number above 0"):
        data(fruit, max_gigabytes=given)


def test_many_columns_take_time_in_proportion(tmp_path):
    """Names were looked for in a list of those before: 40,000 columns took minutes."""
    names = [f"c{number}" for number in range(10_000)]
    rows = [",".join([str(row)] * len(names) + ["ab"[row % 2]]) for row in range(4)]
    path = write(tmp_path / "t.csv", ",".join([*names, "y"]), *rows)
    assert data(path, test=1, validation=1).train.inputs.shape == (2, 10_000)


@pytest.mark.parametrize(
    ("make", "told"), [(os.mkfifo, "a pipe"), (lambda path: path.symlink_to("/dev/zero"), "a device")]
)
def test_what_is_no_file_is_not_opened(tmp_path, make, told):
    make(tmp_path / "t.csv")
    with pytest.raises(DataError, match=f"is {told}, not a file"):
        data(tmp_path / "t.csv")


def test_a_scale_that_becomes_classes_is_said(tmp_path):
    path = write(tmp_path / "wine.csv", "acid,quality", *(f"{row},{3 + row % 7}" for row in range(70)))
    with pytest.warns(UserWarning, match=r"column 'quality' are whole numbers from 3 to 9, and are taken as 7 classes"):
        assert data(path).classes == tuple("3456789")
    numbered = write(tmp_path / "t.csv", "acid,kind", *(f"{row},{1 + row % 7}" for row in range(70)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data(numbered)


def test_options_of_other_kinds_are_refused(fruit):
    with pytest.raises(DataError, match="a table, takes no size="):
        data(fruit, size=8)


def test_a_table_as_scikit_learn_reads_it(tmp_path):
    """The same iris through a file and through the registry."""
    load_iris = pytest.importorskip("sklearn.datasets").load_iris
    iris = load_iris()
    rows = [",".join([*map(str, x), iris.target_names[y]]) for x, y in zip(iris.data, iris.target, strict=True)]
    found, known = data(write(tmp_path / "iris.csv", *rows), seed=5), data("iris", seed=5)
    assert found.classes == known.classes
    assert torch.equal(found.test.inputs, known.test.inputs)
    assert np.allclose(found.mean, known.mean)
