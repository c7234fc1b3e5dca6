"""The suite of strategies, over every registered strategy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

import archwright as aw
from archwright.strategies import Strategy
from archwright.study._loop import SearchLoop
from archwright.testing import SchedulerSuite, StrategySuite
from archwright.testing._strategies import _SPACES

# "tpe" is one of the samplers of "optuna"; a model of BoTorch takes too long for histories of this length, and has
# shorter ones in tests/strategies/test_botorch.py; "llm" has a server in tests/strategies/test_llm.py.
ELSEWHERE = {"botorch", "llm", "optuna"}

# A population that is full within the short histories of the suite; learning that takes less time, and seldom.
SETTINGS = {
    "evolution": {"population": 8, "sample": 3},
    "deep-q": {"updates": 1},
    "bananas": {"batch": 20},
    "npenas": {"batch": 20},
    "predictor": {"batch": 20, "initial": 10},
}


class TestRegistered(StrategySuite):
    trials = 24

    @pytest.fixture(params=sorted({*aw.strategies.names()} - ELSEWHERE))
    def strategy(self, request) -> Strategy:
        return aw.strategies.create(request.param, **SETTINGS.get(request.param, {}))


class TestBestImprovement(StrategySuite):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return aw.strategies.create("local-search", improvement="best")


@dataclass(frozen=True)
class _Forgetful(Strategy):
    """Counts its calls, which no resumed study can know, and draws from the global generator."""

    calls: list[int] = field(default_factory=list)

    def propose(self, space, history, rng):
        self.calls.append(1)
        np.random.random()
        return space.sample(np.random.default_rng(len(self.calls)))


@dataclass(frozen=True)
class _Fragile(Strategy):
    """Expects a complete trial."""

    def propose(self, space, history, rng):
        return space.mutate(history.best.architecture, rng) if history.trials else space.sample(rng)


@pytest.mark.parametrize(
    "law",
    [
        "test_a_history_is_all_it_needs",
        "test_the_same_seed_proposes_the_same",
    ],
)
def test_the_suite_finds_a_strategy_with_a_memory_of_its_own(law):
    with pytest.raises(AssertionError):
        getattr(StrategySuite(), law)(_Forgetful(), _SPACES["flat"]())


def test_the_suite_finds_a_strategy_that_breaks():
    with pytest.raises(AttributeError):
        StrategySuite().test_it_goes_on_where_nothing_is_complete(_Fragile(), _SPACES["flat"]())


def test_the_suite_finds_a_search_that_goes_on_when_its_time_is_over(monkeypatch):
    reason = SearchLoop._reason_to_stop
    monkeypatch.setattr(SearchLoop, "_reason_to_stop", lambda run: None if reason(run) == "seconds" else reason(run))
    monkeypatch.setattr(SearchLoop, "_least_seconds", lambda run, trial: -1e9)
    with pytest.raises(AssertionError):
        StrategySuite().test_every_budget_ends_the_search(aw.strategies.create("random"), _SPACES["real"]())
    with pytest.raises(AssertionError):
        SchedulerSuite().test_a_budget_ends_the_search(aw.schedulers.create("full"))
