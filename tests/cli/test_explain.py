"""`archwright explain`."""

import json

import pytest
from tests.explain.helpers import choices

import archwright as aw

SPACE = choices(4)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A search for two objectives, with failed trials."""

    def evaluate(candidate):
        a = candidate.architecture
        if a["d3"] == 3 and a["d2"] == 3:
            raise ValueError("broken")
        return {"value": a["d0"], "price": a["d1"]}

    folder = tmp_path_factory.mktemp("runs") / "run"
    study = aw.Study(SPACE, strategy="random", objective=["max value", "min price"], path=folder)
    study.run(evaluate, aw.Budget(trials=60))
    return folder


def test_the_command(run, in_process):
    status, out, err = in_process("explain", run)
    assert (status, err) == (0, "")
    assert out.startswith("value: ")
    assert "predicted variance of value explained by each decision" in out
    assert "mean value by option" in out
    assert "after one change of" in out
    status, out, _ = in_process("explain", run, "--metric", "price", "--json")
    assert status == 0
    assert json.loads(out)["importance"]["rows"][0]["decision"] == "d1"
    status, out, _ = in_process("explain", run, "--among", "best", "--json")
    assert json.loads(out)["method"] == "ped-anova"
    status, out, err = in_process("explain", run, "--among", "some")
    assert (status, out) == (2, "")
    assert err == "archwright: among is 'all' or 'best', not 'some'\n"


def test_the_command_with_too_few_trials(tmp_path, in_process):
    aw.Study(SPACE, strategy="random", path=tmp_path / "few").run(lambda c: c.architecture["d0"], aw.Budget(trials=3))
    status, out, _ = in_process("explain", tmp_path / "few")
    assert status == 0
    assert out.startswith("too few trials to tell anything from")
