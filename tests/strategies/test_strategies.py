"""What holds of every strategy, and the registry."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archwright as aw
from archwright import strategies
from archwright.errors import StrategyError, UnknownName
from archwright.trials import History, Objective, Trial

SPACES = {
    "flat": aw.Space(**{f"e{i}": aw.choice(*"abcde") for i in range(6)}),
    "nested": aw.Space(
        kind=aw.choice({"small": aw.choice(1, 2, name="size"), "large": aw.integer(3, 9, name="width")}, name="kind"),
        depth=aw.ordinal(1, 2, 4),
    ),
    "mixed": aw.Space(lr=aw.real(1e-4, 1e-1, log=True), units=aw.integer(1, 64), kind=aw.choice("a", "b")),
    "single": aw.Space(only=aw.choice(1)),
}


def served():
    for name in sorted({*strategies.names()} - {"llm"}):  # which needs a server
        for label, space in SPACES.items():
            if name != "grid" or space.bound < math.inf:
                yield name, label


def test_the_registry_lists_what_there_is():
    assert {"evolution", "grid", "local-search", "random"} <= set(strategies.names())
    assert all(entry.summary for entry in strategies.entries())
    with pytest.raises(UnknownName, match=r"'evolutoin'.*Did you mean 'evolution'\?.*grid"):
        strategies.create("evolutoin")
    with pytest.raises(StrategyError, match="no option 'size'; it has: population, sample"):
        strategies.create("evolution", size=3)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("evolution", {"population": 0}, "population must be .* 1 or more, not 0"),
        ("evolution", {"sample": 2.5}, "sample must be .* not 2.5"),
        ("local-search", {"improvement": "some"}, "not 'some'"),
    ],
)
def test_settings_are_checked_at_once(name, options, message):
    with pytest.raises(StrategyError, match=message):
        strategies.create(name, **options)


@pytest.mark.parametrize("name", strategies.names())
def test_a_strategy_is_made_again_from_its_options(name):
    made = strategies.create(name)
    assert strategies.create(name, **strategies.options(made)) == made
    assert strategies.name_of(made) == name


@settings(max_examples=6)
@given(data=st.data())
@pytest.mark.parametrize(("name", "space"), list(served()))
def test_nothing_that_trials_come_to_breaks_a_strategy(name, space, data):
    """Proposals stay in the space after any history: failures, pruned trials, trials that still run."""
    where, strategy = SPACES[space], strategies.create(name)
    if name == "evolution":
        strategy = strategies.create(name, population=4, sample=2)
    history = History(Objective.parse(data.draw(st.sampled_from(["max a", "min a"]))))
    values = st.floats(allow_nan=False, allow_infinity=False)
    open_trials = []
    for number in range(data.draw(st.integers(0, min(25, where.bound - 1)))):
        rng = np.random.default_rng([1, number])
        architecture = strategy.propose(where, history, rng)
        assert architecture in where
        history.add(Trial(number, architecture))
        open_trials.append(number)
        if data.draw(st.booleans()):
            state = data.draw(st.sampled_from(["complete", "failed", "pruned", "infeasible"]))
            ended = open_trials.pop(data.draw(st.integers(0, len(open_trials) - 1)))
            metrics = {"a": data.draw(values)} if state == "complete" else {}
            history.add(Trial(ended, history.trials[ended].architecture, state, metrics))
    assert strategy.propose(where, history, np.random.default_rng(0)) in where
