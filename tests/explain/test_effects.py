"""Effects of options, and interactions."""

import numpy as np
import pytest
from tests.explain.helpers import TREE, VALUE, choices, measured

import archwright as aw
from archwright.errors import StudyError
from archwright.explain import effects, importance

SPACE = choices(4)


def test_means_are_marginals_and_not_the_means_of_the_trials():
    """A search that tried the better option of d0 with the worst of d1 only."""
    trials = [
        trial
        for trial in measured(choices(2), lambda a: a["d0"] + 2 * a["d1"], 400)
        if trial.architecture["d0"] < 3 or trial.architecture["d1"] == 0 or trial.number % 10 == 0
    ]
    found = effects(choices(2), trials, VALUE, decisions=["d0"])
    means = [row.mean for row in found.rows]
    assert means == pytest.approx([3, 4, 5, 6], abs=0.3)
    taken = [trial.metrics["value"] for trial in trials if trial.architecture["d0"] == 3]
    assert np.mean(taken) < 5
    assert [row.trials for row in found.rows][3] == len(taken)
    assert [row.option for row in found.rows] == ["0", "1", "2", "3"]
    assert all(row.low <= row.mean <= row.high for row in found.rows)


def test_a_product_is_an_interaction():
    space = aw.Space(**{name: aw.choice(-1, 1, name=name) for name in "abcd"})
    trials = measured(space, lambda a: a["a"] * a["b"] + 0.5 * a["c"], 200)
    found = effects(space, trials, VALUE)
    pair = found.interactions[0]
    assert {pair.first, pair.second} == {"a", "b"}
    assert pair.share == pytest.approx(0.8, abs=0.05)
    assert [each.noise for each in found.interactions] == [False] + [True] * 5
    rows = importance(space, trials, VALUE)
    assert rows["a"].share < 0.05
    assert rows["c"].share == pytest.approx(0.2, abs=0.05)
    assert "together explain a further" in str(found)


def test_without_a_product_there_is_none():
    trials = measured(SPACE, lambda a: sum(a.values()), 200, noise=1)
    assert "no interaction of two decisions can be told from noise" in str(effects(SPACE, trials, VALUE))


def test_an_interaction_within_a_region():
    """Where `b` is active, its effect has the sign of `c`: a third of cases with +-1 is the whole variance."""
    trials = measured(TREE, lambda a: 0 if "b" not in a else (1 if a["b"] == 7 else -1) * (-1) ** (a["c"] == "u"), 600)
    found = effects(TREE, trials, VALUE).interactions[0]
    assert {found.first, found.second} == {"b", "c"}
    # Of b itself (1/3)**2 of the variance in the region remain, as `c` is "u" in a third of cases.
    assert found.share == pytest.approx(8 / 9, abs=0.05)


def test_which_decisions():
    trials = measured(SPACE, lambda a: a["d3"] * 2 + a["d1"], 60)
    assert {row.decision for row in effects(SPACE, trials, VALUE, top=2).rows} == {"d1", "d3"}
    assert {row.decision for row in effects(SPACE, trials, VALUE, decisions=["d0"]).rows} == {"d0"}
    assert len(effects(SPACE, trials, VALUE).of("d3")) == 4
    with pytest.raises(StudyError, match="no decision 'depth' with two or more values; it has 'd0', 'd1'"):
        effects(SPACE, trials, VALUE, decisions=["depth"])
    numbers = aw.Space(rate=aw.real(0.0, 1.0, name="rate"))
    rows = effects(numbers, measured(numbers, lambda a: a["rate"], 100), VALUE).rows
    assert rows[0].option == "0 to 0.0625"
    assert [row.mean for row in rows] == pytest.approx(np.arange(0.5, 16) / 16, abs=0.03)
