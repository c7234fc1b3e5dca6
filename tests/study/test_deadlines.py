"""Time that final trainings cannot use goes to trials."""

from __future__ import annotations

import math

import pytest
from tests.study.helpers import SMALL, function

import archwright as aw
from archwright.study._deadlines import Deadlines, trained_seconds
from archwright.study._forecast import Forecast
from archwright.trials import History, parse_objectives


def history(*trials: dict[str, object]) -> History:
    """Return complete trials of different architectures, or of that of their origin."""
    found = History(parse_objectives("max value"))
    for number, given in enumerate(trials):
        given = {"metrics": {"value": 1.0, "epochs": 4.0}, **given}
        architecture = aw.Architecture({"x": given.get("origin", number)})
        found.add(aw.Trial(number, architecture))
        found.add(aw.Trial(number, architecture, state="complete", **given))
    return found


def test_the_search_has_what_the_slowest_network_cannot_use() -> None:
    trials = history({"seconds": 2.0}, {"seconds": 1.0}, {"seconds": 3.0}, {"seconds": 8.0})
    times, plan = Deadlines(1, epochs=30), Forecast(10, 40.0)
    times.begin(100.0, 60.0, history(), plan)
    for trial, kept, moves in zip(trials.trials, (30, 30, 45, 60), (True, False, True, True), strict=True):
        assert times.note(trials, trial) == moves
        assert times.end - times.search_end == pytest.approx(kept)
        assert plan.seconds == pytest.approx(100 - kept)
    again = Deadlines(1, epochs=30)
    again.begin(100.0, 60.0, history({"seconds": 2.0}), None)
    assert again.end - again.search_end == pytest.approx(30)


@pytest.mark.parametrize(
    ("trial", "finals", "epochs", "kept"),
    [
        ({"seconds": 0.01}, 1, 30, 20),  # a third is always kept
        ({"seconds": 2.0}, 2, 30, 60),
        ({"seconds": 2.0}, 1, math.inf, 60),
        ({"seconds": 2.0}, 0, 30, 60),
        ({"seconds": 2.0, "metrics": {"value": 1.0}}, 1, 30, 60),
        ({"seconds": 2.0, "fidelity": {"data": 0.5}, "share": 0.5}, 1, 30, 60),
        ({"seconds": 2.0, "fidelity": {"seconds": 2.0}}, 1, 30, 30),
    ],
)
def test_what_is_kept_for_final_trainings(trial, finals, epochs, kept) -> None:
    times = Deadlines(finals, epochs=epochs)
    times.begin(100.0, 60.0, history(trial), None)
    assert times.end - times.search_end == pytest.approx(kept)


def test_a_network_was_trained_in_all_the_trials_that_it_goes_on_with() -> None:
    trials = history({"seconds": 2.0}, {"seconds": 3.0, "origin": 0})
    assert [trained_seconds(trials, each) for each in trials.trials] == [2.0, 5.0]
    curve = tuple({"step": step, "value": 1.0} for step in (1, 2, 3))
    split = history({"seconds": 6.0, "fidelity": {"splits": 3}, "curve": curve})
    assert trained_seconds(split, split.trials[0]) == 2.0


def test_a_forecast_is_of_one_budget() -> None:
    study = aw.search(SMALL, function, budget=aw.Budget(trials=1))
    study.forecast = Forecast(10, 1.0)
    study.run(function, aw.Budget(trials=2))
    assert study.forecast is None
