"""The registry, settings, and what trials have spent."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.schedulers.helpers import LADDER, SPACE, Play

import archwright as aw
from archwright import schedulers
from archwright.errors import SchedulerError, UnknownName
from archwright.schedulers import ASHA, Scheduler


def test_the_registry_lists_what_there_is():
    assert schedulers.names() == [
        "asha",
        "bohb",
        "dehb",
        "full",
        "hyperband",
        "median",
        "pasha",
        "patience",
        "successive-halving",
    ]
    assert schedulers.names("*asha") == ["asha", "pasha"]
    assert all(entry.summary for entry in schedulers.entries())
    with pytest.raises(UnknownName, match=r"'hyperbnd'.*Did you mean 'hyperband'\?"):
        schedulers.create("hyperbnd")
    with pytest.raises(SchedulerError, match="no option 'eat'; it has: eta"):
        schedulers.create("asha", eat=3)


@pytest.mark.parametrize("name", schedulers.names())
def test_a_scheduler_is_made_again_from_its_options(name):
    made = schedulers.create(name)
    assert schedulers.name_of(made) == name
    assert schedulers.create(name, **schedulers.options(made)) == made
    assert not any(option.startswith("_") for option in schedulers.options(made))


def test_options_are_those_that_were_given():
    made = schedulers.create("dehb", eta=4, factor=0.7)
    assert schedulers.options(made) == {"eta": 4, "factor": 0.7, "crossover": 0.5}
    assert made != schedulers.create("dehb", eta=4)


def test_one_that_is_not_registered_has_no_name():
    class Mine(ASHA):
        pass

    assert schedulers.name_of(Mine()) is None
    with pytest.raises(ValueError, match="scheduler 'asha' is registered already"):
        schedulers.register("asha")(Mine)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        *(
            (name, {"eta": 1}, f"{name}: eta must be a number above 1 .*, not 1")
            for name in schedulers.names()
            if "eta" in schedulers.options(schedulers.create(name))
        ),
        ("asha", {"eta": float("inf")}, "not inf"),
        ("asha", {"eta": "3"}, "not '3'"),
        ("bohb", {"random": 1.5}, "bohb: random must be a number from 0 to 1, not 1.5"),
        ("bohb", {"random": True}, "not True"),
        ("dehb", {"factor": -0.1}, "dehb: factor"),
        ("dehb", {"crossover": 2}, "dehb: crossover"),
        ("median", {"startup": 2.5}, "median: startup .* not 2.5"),
        ("median", {"grace": -1}, "median: grace must be an integer of 0 or more, not -1"),
        ("pasha", {"quantile": 90}, "pasha: quantile"),
        ("patience", {"points": True}, "patience: points .* not True"),
        ("patience", {"least": -1}, "patience: least must be a number of 0 or more, not -1"),
        ("patience", {"least": True}, "not True"),
        ("successive-halving", {"trials": 1}, "successive-halving: trials must be an integer of 2 or more, not 1"),
    ],
)
def test_settings_are_checked_at_once(name, options, message):
    with pytest.raises(SchedulerError, match=message):
        schedulers.create(name, **options)


def test_what_begins_with_less_needs_to_know_of_what():
    with pytest.raises(SchedulerError, match=r"fidelity=\{'epochs': \(1, 27\)\}"):
        aw.Study(SPACE, strategy="random", scheduler="asha")


def test_a_scheduler_of_ones_own_has_one_method():
    class Halves(Scheduler):
        """Gives each trial half, and then all."""

        def assign(self, ladder, history, rng, *, more=True):
            last = history.trials[-1] if history.trials else None
            if last is not None and last.share < 1 and last.state == "complete":
                return schedulers.Assignment(1, last)
            return schedulers.Assignment(0) if more else None

    study = aw.Study(aw.Space(number=aw.integer(1, 3)), strategy="random", scheduler=Halves(), fidelity={"e": (1, 2)})
    study.run(lambda candidate: candidate.architecture["number"], aw.Budget(trials=10))
    assert [trial.share for trial in study.trials] == [0.5, 1.0] * 3
    assert study.stopped_by == "exhausted"


# ---------------------------------------------------------------------- what the history makes of it


def test_what_trials_have_spent_is_counted_in_full_evaluations():
    play = Play(ASHA())
    one, other = play.begin(0), play.begin(1)
    assert play.history.spent == 0  # nothing has ended
    play.tell(one, 1)
    assert play.history.spent == pytest.approx(1 / 27)
    play.tell(other, None)
    assert play.history.spent == pytest.approx((1 + 3) / 27)
    play.tell(play.begin(2, one), 1)  # from 1 epoch to 9
    assert play.history.spent == pytest.approx((9 + 3) / 27)
    heir = replace(play.begin(3), origin=one.number)  # another architecture, with the weights of the first
    play.tell(heir, 1)
    assert play.history.spent == pytest.approx((9 + 3) / 27 + 1)


def test_a_trial_that_was_given_more_is_better():
    play = Play(ASHA())
    little, more, poor = play.begin(0), play.begin(1), play.begin(1)
    play.tell(little, 9)
    assert play.history.best.number == 0
    play.tell(more, 2)
    assert play.history.best.number == 1
    play.tell(poor, 1)
    assert play.history.best.number == 1
    play.tell(play.begin(0), 100)
    assert play.history.best.number == 1
    play.tell(play.begin(3), None)
    assert play.history.best.number == 1


def test_the_rungs_of_another_ladder_are_counted_anew():
    play = Play(ASHA())
    for value in (1, 3, 2):
        play.step(value)
    assert play.checkpoints() == {0, 1, 2}
    other = schedulers.Ladder.of({"epochs": (1, 27)}, eta=27)
    assert ASHA(27.0).checkpoints(other, play.history) == {0, 1, 2}
    assert play.ask().origin == 1
    assert play.scheduler.checkpoints(LADDER, play.history) == {0, 2}
