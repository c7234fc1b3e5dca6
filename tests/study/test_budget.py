from __future__ import annotations

import json
import math
import time

import pytest

import archwright as aw
from archwright import Budget
from archwright.errors import BudgetError
from archwright.evaluate import Evaluator
from archwright.study._budget import search_time


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"at least one of .* Budget\(trials=100\)"),
        ({"trials": 0}, "trials must be greater than 0, not 0"),
        ({"trials": -3}, "trials must be greater than 0, not -3"),
        ({"trials": 2.5}, "trials must be an integer, not 2.5"),
        ({"trials": True}, "trials must be a number, not True"),
        ({"minutes": 0}, "minutes must be greater than 0"),
        ({"seconds": -1.0}, "seconds must be greater than 0"),
        ({"seconds": math.nan}, "seconds must be finite"),
        ({"minutes": "10"}, "minutes must be a number, not '10'"),
        ({"trials": 3, "target": math.inf}, "target must be finite"),
        ({"minutes": 10**400}, "minutes must be finite"),
        ({"trials": 10**4000}, "trials has more than 4,000 digits"),
    ],
)
def test_what_is_no_budget_is_refused(given, message):
    with pytest.raises(BudgetError, match=message):
        Budget(**given)


def test_time_is_in_seconds():
    assert Budget(minutes=2).time == Budget(seconds=120).time == 120
    assert Budget(minutes=1, seconds=30).time == 90
    assert Budget(trials=3).time == math.inf


def test_more_trials_than_a_float_can_count():
    budget = Budget(trials=10**400)
    assert Budget.from_json(json.loads(json.dumps(budget.to_json()))) == budget
    assert str(budget) == "about 10^400 trials"


def test_json_and_words():
    budget = Budget(trials=100, minutes=1.5, target=-2.0)
    assert Budget.from_json(budget.to_json()) == budget
    assert str(budget) == "100 trials, 1.5 minutes, target -2"
    assert str(Budget(trials=1, minutes=1, seconds=1.0)) == "1 trial, 1 minute, 1 second"


def test_a_run_that_has_nothing_to_do_takes_no_time(tmp_path):
    space = aw.Space(x=aw.choice(1, 2, 3, 4))
    study = aw.search(space, lambda candidate: 1.0, budget=aw.Budget(trials=2), path=tmp_path / "run")
    spent = study.elapsed
    again = aw.load(tmp_path / "run", evaluator=lambda candidate: 1.0).resume(aw.Budget(trials=2))
    assert again.elapsed == pytest.approx(spent)
    assert aw.load(tmp_path / "run").elapsed == pytest.approx(spent)


def test_the_final_training_has_its_share_of_the_time_or_what_it_needs_at_most():
    class Final(Evaluator):
        def evaluate(self, candidate):
            return {"value": 1.0}

        def retrain(self, candidate):
            return {}

    def left(budget, **options):
        return search_time(budget, Final(), complete=True, final=True, **options)

    assert left(Budget(seconds=100)) == pytest.approx(70)
    assert left(Budget(seconds=100), most=5.0) == 95
    assert left(Budget(seconds=100), most=1e9) == pytest.approx(70)
    assert left(Budget(trials=4)) == left(Budget(trials=4), most=5.0) == math.inf


def test_more_time_goes_to_trials_though_the_final_training_took_most_of_what_there_was():
    class Retrained(aw.Evaluator):
        objective = "max x"

        def evaluate(self, candidate):
            return {"x": candidate.architecture["x"]}

        def retrain(self, candidate):
            time.sleep(max(0.0, candidate.remaining()))
            return {"test_x": 0.0}

    space = aw.Space(x=aw.real(0.0, 1.0))
    study = aw.search(space, Retrained(), strategy="random", budget=aw.Budget(seconds=1.5))
    before = len(study.trials)
    study.resume(budget=aw.Budget(seconds=2))  # the final training has 30 % of the time, 0.6 seconds
    assert len(study.trials) > before
