from __future__ import annotations

import time

import pytest
from tests.study.helpers import SMALL, value, walk

import archwright as aw
from archwright import strategies
from archwright.errors import Exhausted
from archwright.strategies import Strategy

SPACES = {
    "small": SMALL,
    "one": aw.Space(x=aw.choice(1)),
    "constrained": aw.Space(x=aw.integer(0, 9), y=aw.integer(0, 9), where=lambda a: a["x"] + a["y"] == 9),
    "nested": aw.Space(x=aw.choice({"a": aw.integer(0, 5, name="n"), "b": 0}, name="x"), y=aw.choice(0, 1)),
}


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("strategy", sorted({*strategies.names()} - {"llm"}))  # which needs a server
def test_everything_once_and_then_exhausted(strategy, space):
    study = aw.Study(SPACES[space], strategy=strategy)
    everything = set(SPACES[space].enumerate())
    for _ in everything:
        trial = study.ask()
        study.tell(trial, value(trial.architecture) if trial.number % 3 else ValueError("no"))
    assert {trial.architecture for trial in study.trials} == everything
    with pytest.raises(Exhausted, match=f"all {len(everything)} architecture"):
        study.ask()
    assert len(study.trials) == len(everything)


def test_no_duplicates_among_trials_that_run():
    study = aw.Study(SMALL, strategy="local-search")
    assert len({study.ask().architecture for _ in range(12)}) == 12


def test_a_strategy_that_repeats_itself_does_not_hold_up_the_search():
    class Stubborn(Strategy):
        def propose(self, space, history, rng):
            return next(space.enumerate())

    study = walk(aw.Study(SMALL, strategy=Stubborn()), 12)
    assert {trial.architecture for trial in study.trials} == set(SMALL.enumerate())


def test_an_infinite_space_never_ends_and_may_repeat():
    class Stubborn(Strategy):
        def propose(self, space, history, rng):
            return space.canonical({"x": 0.5})

    space = aw.Space(x=aw.real(0.0, 1.0))
    study = walk(aw.Study(space, strategy=Stubborn()), 5)
    assert len({trial.architecture for trial in study.trials}) == 5


def test_the_last_of_a_large_space_are_found_quickly():
    space = aw.Space(**{f"e{i}": aw.choice(*"abcde") for i in range(5)})
    study = walk(aw.Study(space, strategy="grid"), 3_000)
    study._strategy = strategies.create("evolution")
    start = time.perf_counter()
    walk(study, 125)
    assert time.perf_counter() - start < 125 * 0.1  # far from a walk through the space for each
    with pytest.raises(Exhausted):
        study.ask()
