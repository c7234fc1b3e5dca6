from __future__ import annotations

import numpy as np
import pytest

import archwright as aw
from archwright.evaluate import Learned
from archwright.strategies import OneShot
from archwright.trials import Trial

SPACE = aw.Space(**{f"e{i}": aw.choice(*"abc") for i in range(4)})
NAMES = [entry.name for entry in aw.strategies.entries() if issubclass(entry.make, OneShot)]


def test_all_that_are_asked_for():
    assert NAMES == ["darts", "drnas", "enas", "gdas", "pc-darts", "proxyless"]


@pytest.mark.parametrize("name", NAMES)
def test_each_names_a_relaxation_that_takes_its_settings(name):
    strategy = aw.strategies.create(name)
    made = aw.supernet.create(strategy.relaxation, **strategy.relaxation_settings())
    assert made.warmup == strategy.warmup


def test_architectures_that_were_tried_are_left_out():
    history = aw.History(aw.Objective("value"))
    first, second, third = list(SPACE.enumerate())[:3]
    history.learned = Learned((first, second, third))
    history.add(Trial(0, second, seed=0))
    strategy = aw.strategies.create("gdas")
    assert strategy.propose(SPACE, history, np.random.default_rng(0)) == first
    history.add(Trial(1, first, seed=0))
    assert strategy.propose(SPACE, history, np.random.default_rng(0)) == third
    history.add(Trial(2, third, seed=0))
    assert strategy.propose(SPACE, history, np.random.default_rng(0)) in set(SPACE.neighbours(first))


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("darts", {"order": 3}, "order must be one of 1, 2, not 3"),
        ("darts", {"epochs": 0}, "epochs must be an integer of 1 or more, not 0"),
        ("darts", {"early_stop": -1}, "early_stop must be an integer of 0 or more, not -1"),
        ("drnas", {"selection": "luck"}, "selection must be one of 'strength', 'perturbation', not 'luck'"),
        ("pc-darts", {"channels": 0}, "channels must be an integer of 1 or more, not 0"),
        ("gdas", {"end": 0.0}, "end must be a number above 0, not 0.0"),
        ("proxyless", {"cost": "beauty"}, "cost must be one of '', 'latency', 'flops', 'parameters', not 'beauty'"),
        ("enas", {"warmup": 2}, "warmup must be a number from 0 to 1, not 2"),
    ],
)
def test_settings_out_of_range(name, settings, told):
    with pytest.raises(aw.errors.StrategyError, match=told):
        aw.strategies.create(name, **settings)
