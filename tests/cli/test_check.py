"""`archwright check` and `archwright schema`."""

from __future__ import annotations

import json

import jsonschema
import pytest

FILE = """
import archwright as aw
from archwright import nn

width = aw.ordinal(4, 8, name="width")
fits = aw.Space(model=nn.Sequential(nn.LazyLinear(width), nn.LazyLinear(2)), example_input=(3,))
"""


@pytest.fixture
def spaces_file(tmp_path):
    file = tmp_path / f"spaces_{tmp_path.name}.py"  # a file is executed once in a process
    file.write_text(FILE)
    return file


def test_an_architecture_is_checked_with_all_its_problems(in_process, tmp_path):
    given = tmp_path / "architecture.json"
    given.write_text(json.dumps({"cell.edge_0_1": "skip", "cell.edge_0_2": "none", "bogus": 1}))
    where = ("nasbench201", given, "--input-shape", "3,32,32", "--classes", "10")
    status, out, _ = in_process("check", *where, "--json")
    told = json.loads(out)
    assert (status, told["valid"], told["shapes_checked"]) == (1, False, True)
    kinds = [problem["kind"] for problem in told["problems"]]
    assert (kinds.count("unknown"), kinds.count("invalid"), kinds.count("missing")) == (1, 1, 4)
    status, lines, _ = in_process("check", *where)
    assert status == 1
    assert len(lines.splitlines()) == 6
    assert "the nearest is 'skip_connect'" in lines
    given.write_text(json.dumps(told["nearest"]))
    status, out, _ = in_process("check", *where)
    assert (status, out.split()[:3]) == (0, ["valid", "architecture", told["id"]])


def test_the_space_of_a_file_and_of_a_run_folder(in_process, tmp_path, spaces_file):
    import archwright as aw
    from archwright.space import load_code

    given = tmp_path / "architecture.json"
    given.write_text('{"width": 8}')
    assert in_process("check", f"{spaces_file}:fits", given)[0] == 0
    space = vars(load_code(spaces_file))["fits"]
    run = tmp_path / "run"
    aw.search(space, lambda one: 1.0, strategy="random", budget=aw.Budget(trials=1), path=run, progress=False)
    given.write_text('{"width": 7}')
    assert in_process("check", run, given)[0] == 1
    status, out, _ = in_process("schema", run, "--json")
    assert status == 0
    valid = jsonschema.Draft202012Validator(json.loads(out))
    assert [valid.is_valid({"width": width}) for width in (4, 7)] == [True, False]
    file = tmp_path / "schema.json"
    assert in_process("schema", run, "--out", file)[0] == 0
    assert json.loads(file.read_text()) == json.loads(out)
    assert in_process("schema", run, "--out", file)[0] == 2  # it is there


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "an object of decisions, not list"),
        ("{", "a JSON file with the decisions"),
        ("[" * 100_000, "a JSON file with the decisions"),
    ],
    ids=["list", "broken", "deep"],
)
def test_a_file_that_holds_no_decisions_is_an_error(in_process, tmp_path, spaces_file, content, message):
    given = tmp_path / "architecture.json"
    given.write_text(content)
    status, out, err = in_process("check", f"{spaces_file}:fits", given)
    assert (status, out) == (2, "")
    assert message in err


def test_a_space_that_depends_on_data_says_so(in_process, tmp_path):
    status, _, err = in_process("schema", "mobile")
    assert status == 2
    assert "give --input-shape, such as 3,32,32, and --classes" in err
