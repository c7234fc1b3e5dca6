"""Differential evolution on the rungs of Hyperband."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from tests.schedulers.helpers import LADDER, Play

import archwright as aw
from archwright.errors import SchedulerError
from archwright.schedulers import DEHB, Ladder
from archwright.space import Space

SHORT = Ladder.of({"epochs": (1, 3)}, eta=3)  # brackets of (3, 1) and (2,): populations of 3 and 2
REALS = aw.Space(**{name: aw.real(0.0, 1.0) for name in "abcd"})


def worth(trial):
    return int(trial.architecture.id, 16) % 1009


def study_of(space=REALS, ladder=SHORT, **settings):
    return aw.Study(space, strategy="random", scheduler=DEHB(**settings), fidelity=ladder)


def told(study, count, value):
    for _ in range(count):
        trial = study.ask()
        study.tell(trial, value(trial), seconds=0.0)
    return study.trials


def test_the_first_bracket_is_successive_halving_and_the_others_begin_anew_on_each_rung():
    play = Play(DEHB())
    first = [play.step(worth) for _ in range(40)]
    assert [level for level, _ in first] == [0] * 27 + [1] * 9 + [2] * 3 + [3]
    assert all((origin is None) == (level == 0) for level, origin in first)
    second = [play.step(worth) for _ in range(17)]
    assert [level for level, _ in second] == [1] * 12 + [2] * 4 + [3]
    # Populations are of 27, 12, 6 and 4: three go on to fill the second, three the third, one of three the last.
    assert [origin is not None for _, origin in second] == [True] * 3 + [False] * 9 + [True] * 3 + [False] + [True]
    third = [play.step(worth) for _ in range(8 + 4)]
    assert [level for level, _ in third] == [2] * 6 + [3] * 2 + [3] * 4
    assert [play.step(worth)[0] for _ in range(28)] == [0] * 27 + [1]
    later = [trial for trial in play.history.trials[40 + 17 + 8 :] if trial.origin is not None]
    assert len(later) == 0
    assert play.checkpoints() == frozenset()


@pytest.mark.parametrize("workers", [1, 3, 8])
@pytest.mark.parametrize("failing", [0.0, 0.3])
def test_the_best_of_the_first_bracket_go_on_whatever_runs_beside_it(workers, failing):
    play, rng, running = Play(DEHB()), np.random.default_rng(0), []
    for _ in range(90):
        running.append(play.ask())
        while len(running) >= workers:
            trial = running.pop(int(rng.integers(len(running))))
            play.tell(trial, None if rng.random() < failing else worth(trial))
    trials = play.history.trials
    begun = [trial for trial in trials if trial.origin is None and play.level(trial) == 0][:27]
    assert [trial.number for trial in begun] == list(range(27))
    best = sorted((trial for trial in begun if trial.state == "complete"), key=worth, reverse=True)[:9]
    going = [trial.origin for trial in trials if trial.origin is not None and trial.origin < 27]
    assert set(going[: len(best)]) == {trial.number for trial in best}
    assert Counter(play.level(trial) for trial in trials if trial.origin is not None)[1] <= 12


def test_the_levels_after_the_first_bracket_do_not_depend_on_how_many_failed():
    sound, broken = Play(DEHB()), Play(DEHB())
    for _ in range(40 + 50):
        sound.step(worth)
    for number in range(27 + 50):
        broken.step(None if number < 27 else worth)
    assert [broken.level(each) for each in broken.history.trials[27:]] == [
        sound.level(each) for each in sound.history.trials[40:]
    ]


def test_of_a_member_and_its_rival_the_better_stays():
    play = Play(DEHB(), SHORT)
    for value in (5, 1, 3):
        play.tell(play.begin(0), value)
    view = play.scheduler.view  # of all that was measured on the lowest rung
    members = play.scheduler._members(view(SHORT, aw.Space(x=aw.integer(1, 99)), play.history), 3)
    assert [members[place].metrics["a"] for place in range(3)] == [5, 1, 3]
    for value in (4, 2, None):  # the rivals of 5, 1 and 3
        play.tell(play.begin(0), value)
    members = play.scheduler._members(view(SHORT, aw.Space(x=aw.integer(1, 99)), play.history), 3)
    assert [members[place].metrics["a"] for place in range(3)] == [5, 2, 3]


def test_a_child_takes_one_number_of_the_mutant_at_least_and_the_rest_of_its_rival():
    study = study_of(crossover=0.0)
    trials = told(study, 200, lambda trial: trial.architecture["a"])
    children, small = 0, [trial for trial in trials if trial.share < 1]
    for place, trial in enumerate(small[3:], 3):
        rivals = [each.architecture for each in small[place % 3 : place : 3]]
        same = [sum(trial.architecture[name] == rival[name] for name in "abcd") for rival in rivals]
        children += max(same) >= 3
    assert children > 0.95 * (len(small) - 3)


def test_mutants_stay_in_the_cube_and_what_is_outside_is_drawn_anew(monkeypatch):
    seen = []
    decode = Space.decode
    monkeypatch.setattr(Space, "decode", lambda self, vector: seen.append(vector) or decode(self, vector))
    space = aw.Space(a=aw.real(0.0, 1.0), kind=aw.choice("x", "y", "z"), size=aw.integer(1, 9))
    told(study_of(space, crossover=1.0, factor=1.0), 200, lambda trial: -abs(trial.architecture["a"] - 0.5))
    vectors = np.array(seen)
    assert len(vectors) > 100
    assert vectors.min() >= 0
    assert vectors.max() <= 1
    assert not np.isin(vectors[:, 0], (0.0, 1.0)).any()  # not cut off at the ends


def test_it_gets_better():
    def far(trial):
        return -sum((value - 0.7) ** 2 for value in trial.architecture.values())

    def best(study):
        return max(far(trial) for trial in told(study, 300, far))

    ladder = Ladder.of({"epochs": (1, 27)}, eta=3)
    plain = aw.Study(REALS, strategy="random", scheduler="hyperband", fidelity=ladder)
    assert best(study_of(ladder=ladder)) > best(plain) / 2


def test_it_takes_no_strategy_but_random():
    DEHB().check(aw.strategies.create("random"))
    with pytest.raises(SchedulerError, match=r"proposes by itself.*Evolution.*'random', or another scheduler"):
        DEHB().check(aw.strategies.create("evolution"))
    with pytest.raises(SchedulerError):
        aw.Study(REALS, strategy="evolution", scheduler="dehb", fidelity={"epochs": (1, 27)})


def test_what_the_first_round_costs():
    assert DEHB().bracket(LADDER) == pytest.approx(3.0)
