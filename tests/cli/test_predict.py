"""`archwright predict`: new files through a trained network."""

from __future__ import annotations

import json

import pytest

import archwright as aw
from archwright.errors import DataError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on a table whose classes have names that a terminal would obey."""
    root = tmp_path_factory.mktemp("predict")
    kinds = ("[red]", "\x1b[31m")
    (root / "t.csv").write_text(
        "size,colour,kind\n" + "".join(f"{n},{'ab'[n % 2]},{kinds[n % 2]}\n" for n in range(60))
    )
    data = aw.data(root / "t.csv")
    space = aw.spaces.create("mlp", input_shape=data.example_input.shape, classes=2)
    aw.search(space, aw.Training(data, epochs=4), strategy="random", budget=aw.Budget(trials=1), path=root / "run")
    return root / "run"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("colour,size\na,10\nb,x\nb,11\nc,12\n")
    return path


def test_a_table_of_predictions(run, table, in_process):
    status, out, err = in_process("predict", run, table)
    lines = out.splitlines()
    assert lines[0].split() == ["file", "row", "class", "probability"]
    assert [line.split()[:2] for line in lines[1:]] == [[str(table), row] for row in ("2", "4", "5")]
    assert all(0 <= float(line.split()[-1]) <= 1 for line in lines[1:])
    assert "\x1b" not in out + err
    assert "[red]" in out
    assert f"{table}, row 3: column 'size' holds 'x' where a number is required" in err
    assert "warning: column 'colour' holds the unknown category 'c'" in err
    assert status == 1


def test_json_is_one_document(run, table, in_process):
    status, out, _ = in_process("predict", run, table, "--json", "--batch-size", 2)
    document = json.loads(out)
    assert [each["row"] for each in document["predictions"]] == [2, 4, 5]
    assert set(document["predictions"][0]["probabilities"]) == {"[red]", "\x1b[31m"}
    assert len(document["errors"]) == 1
    assert status == 1


def test_all_is_well(run, table, in_process):
    table.write_text("colour,size\na,10\n")
    assert in_process("predict", run, table)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"), [(["no/such/run", "x.csv"], "no/such/run"), (["RUN", "x.csv", "--trial", "9"], "no trial 9")]
)
def test_bad_use_is_told_in_a_line(run, arguments, said, in_process):
    status, out, err = in_process("predict", *(run if each == "RUN" else each for each in arguments))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err


@pytest.mark.parametrize("change", [{"kind": "sound"}, {"columns": [1]}, {"classes": "[red]"}])
def test_a_damaged_description_is_told_in_a_line(run, table, change, in_process):
    file = run / "best" / "preprocess.json"
    before = file.read_text()
    try:
        file.write_text(json.dumps({**json.loads(before), **change}))
        status, out, err = in_process("predict", run, table)
    finally:
        file.write_text(before)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "preprocess.json cannot be used" in err


def test_without_a_prediction_no_table_is_printed(run, tmp_path, in_process):
    status, out, err = in_process("predict", run, tmp_path / "missing.csv")
    assert (status, out) == (1, "")
    assert err.rstrip().endswith("missing.csv cannot be opened: No such file or directory")


def test_a_folder_is_made_only_for_what_is_saved(run, table, tmp_path, in_process):
    _, out, err = in_process("predict", run, table, "--out", tmp_path / "out")
    assert len(out.splitlines()) == 4
    assert err.count("such predictions are printed, and not saved as files") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("limit", ["inf", "nan", "0"])
def test_what_is_no_limit_of_memory_is_refused(run, table, in_process, limit):
    status, out, err = in_process("predict", run, table, "--max-gigabytes", limit)
    assert (status, out) == (2, "")
    assert "must be a number above 0" in err
    with pytest.raises(DataError, match="max_gigabytes="):
        aw.load(run).predict(table, max_gigabytes=float(limit))
