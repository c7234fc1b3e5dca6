"""Explanations of studies in words."""

import json

import pytest
from tests.explain.helpers import VALUE, choices, measured

import archwright as aw
from archwright.errors import StudyError
from archwright.explain import explain

SPACE = choices(4)


def test_the_text_has_what_the_numbers_carry():
    trials = measured(SPACE, lambda a: 4 * a["d2"] + (a["d0"] == a["d1"]) * 6, 300, noise=1)
    told = explain(SPACE, trials, VALUE)
    lines = str(told).splitlines()
    assert lines[0] == "value: 300 trials at full evaluation."
    row = told.importance["d2"]
    assert lines[1].startswith(f"The forest predicts {told.importance.known:.0%} of the variance of value in trials")
    assert lines[2].startswith(f"Of what it predicts, decisions explain by themselves: d2 {row.share:.0%} (")
    assert lines[3] == "The effects of d0, d1, d3 by themselves cannot be told from noise."
    assert lines[4].startswith("Together, beyond that, explain: d0 and d1 ")
    assert "d2: best on average 3 (" in str(told)
    assert "; worst 0 (" in str(told)
    assert "d3:" not in str(told)
    assert told.to_json()["text"] == str(told)
    json.dumps(told.to_json())


def test_noise_alone_is_said_to_be_noise():
    text = str(explain(SPACE, measured(SPACE, lambda a: 0, 60, noise=1), VALUE))
    assert "The effects of" in text
    assert "cannot be told from noise" in text
    assert "The forest predicts nothing of value in trials that it has not seen." in text
    assert "explain by themselves" not in text
    assert "best on average" not in text


def test_options_that_are_equally_good_are_not_ranked():
    text = str(explain(SPACE, measured(SPACE, lambda a: a["d0"] // 2, 200, noise=0.2), VALUE))
    best, alike = ("2", "3") if "best on average 2 (" in text else ("3", "2")
    line = next(line for line in text.splitlines() if line.startswith("d0: "))
    assert line.startswith(f"d0: best on average {best} (")
    assert f", which cannot be told from {alike}; worst " in line


def test_too_few_trials_and_equal_ones_are_said_to_be_such():
    few = explain(SPACE, measured(SPACE, len, 7), VALUE)
    assert str(few).startswith("too few trials to tell anything from: 20 complete trials at one fidelity are needed")
    assert few.importance is None
    assert str(explain(SPACE, measured(SPACE, lambda a: 2, 30), VALUE)).startswith("all 30 trials have the same value")
    with pytest.raises(StudyError, match="no complete trial has a finite value of 'auc'"):
        explain(SPACE, measured(SPACE, len, 30), aw.Objective("auc"))


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


def test_a_study_explains_itself(run):
    study = aw.load(run)
    assert study.importance().rows[0].decision == "d0"
    assert study.importance("price").rows[0].decision == "d1"
    assert study.importance("min price", among="best").method == "ped-anova"
    assert study.effects("price", top=1).rows[0].decision == "d1"
    assert study.what_if().architecture == study.best.architecture
    assert study.what_if("price").rows[0].value == pytest.approx(0, abs=0.1)
    told = study.explain()
    assert f"{sum(t.state == 'failed' for t in study.trials)} failed" in str(told)
    assert str(aw.load(run).explain()) == str(told)
    with pytest.raises(StudyError, match=r"the direction is missing. Write \"max heat\" or \"min heat\""):
        study.explain("heat")
