"""`archwright draw`: trials of a run as trees and SVG files."""

import json
from xml.etree import ElementTree

import pytest

import archwright as aw
from archwright import nn


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    budget = aw.Budget(trials=2)
    path = tmp_path_factory.mktemp("draw") / "run"
    model = nn.Sequential(nn.Linear(4, aw.ordinal(8, 16, name="width")), nn.ReLU(), nn.LazyLinear(1))
    space = aw.Space(model=model, example_input=(4,))
    aw.search(space, lambda candidate: candidate.architecture["width"], budget=budget, strategy="grid", path=path)
    return path


def test_a_trial_is_a_tree(in_process, folder):
    status, out, err = in_process("draw", folder)
    assert status == 0, err
    assert "Linear  4 → 16  16" in out  # the best one
    assert "Linear  4 → 8  8" in in_process("draw", folder, "--trial", 0)[1]
    assert "Linear  width: 8|16" in in_process("draw", folder, "--space")[1].replace("4 → ", "")


def test_two_trials_are_compared(in_process, folder):
    status, out, _ = in_process("draw", folder, "--trial", 0, "--other", 1)
    assert status == 0
    assert "~ Linear  4 → 8 ⇒ 16" in out
    document = json.loads(in_process("draw", folder, "--trial", 0, "--other", 1, "--json")[1])
    assert document == {
        "trials": [0, 1],
        "differences": [{"decision": "width", "before": "8", "now": "16"}],
        "file": None,
    }


def test_a_drawing_is_a_new_file(in_process, folder, tmp_path):
    file = tmp_path / "network.svg"
    assert in_process("draw", folder, "--out", file)[:2] == (0, f"wrote {file}\n")
    ElementTree.parse(file)
    before = file.read_bytes()
    status, _, err = in_process("draw", folder, "--space", "--out", file)
    assert (status, file.read_bytes()) == (2, before)
    assert "exists" in err


def test_a_trial_that_is_not_there(in_process, folder):
    status, _, err = in_process("draw", folder, "--other", 9)
    assert status == 2
    assert "there is no trial 9: the study has 2" in err
