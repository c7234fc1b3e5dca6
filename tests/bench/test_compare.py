"""Strategies compared, on tables whose every number is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

import archwright as aw
from archwright import bench, strategies
from archwright.errors import BudgetError, EvaluationError, StrategyError, TableError, UnknownName
from archwright.space import Architecture
from archwright.strategies import Strategy

SPACE = aw.Space(x=aw.integer(0, 5))
VALIDATION = [0.1, 0.5, 0.3, 0.9, 0.7, 0.2]
TEST = [0.2, 0.8, 0.1, 0.6, 0.9, 0.0]
SECONDS = [10.0, 1.0, 4.0, 2.0, 3.0, 5.0]


def table(**options):
    return bench.Table(
        SPACE,
        [Architecture({"x": x}) for x in range(6)],
        {1: np.array(VALIDATION)},
        **{"test": np.array(TEST), "seconds": np.array(SECONDS), **options},
    )


@dataclass(frozen=True)
class Script(Strategy):
    """Proposes what it is told, in order; what was seen already it leaves out only when it is asked again."""

    order: tuple[int, ...] = (0, 1, 2, 3, 4, 5)

    def propose(self, space, history, rng):
        return Architecture({"x": self.order[len(history.trials)]})


@dataclass(frozen=True)
class Stubborn(Strategy):
    """Proposes the same one for ever."""

    def propose(self, space, history, rng):
        return Architecture({"x": 2})


def one(comparison):
    (result,) = comparison.results.values()
    return result


def test_a_search_sees_validation_and_is_judged_by_test():
    found = one(bench.compare(SPACE, table(), {"script": Script()}, trials=6, seeds=1, scale=100))
    assert np.allclose(found.regret, [[80, 40, 40, 0, 0, 0]])
    assert np.allclose(found.test_regret, [[70, 10, 10, 30, 30, 30]])  # the best by validation is not the best by test
    assert found.final is found.test_regret
    assert found.found.tolist() == [4.0]


def test_one_worker_after_the_other_on_the_simulated_clock():
    found = one(bench.compare(SPACE, table(), {"script": Script()}, trials=6, seeds=1))
    assert found.clock.tolist() == [np.cumsum(SECONDS).tolist()]
    times = np.array([0.0, 9.99, 10.0, 14.99, 15.0, 17.0, 1e9])
    assert np.allclose(found.at(times), [[math.nan, math.nan, 0.7, 0.1, 0.1, 0.3, 0.3]], equal_nan=True)


def test_two_workers_share_the_clock_and_tell_in_the_order_in_which_they_end():
    found = one(bench.compare(SPACE, table(), {"script": Script()}, trials=6, seeds=1, workers=2))
    # 0 runs until 10; beside it 1 until 1, 2 until 5, 3 until 7, 4 until 10; 0 was begun before 4, and 5 after it.
    assert found.clock.tolist() == [[1, 5, 7, 10, 10, 15]]
    assert np.allclose(found.regret, [[0.4, 0.4, 0, 0, 0, 0]])


def test_an_evaluation_takes_one_second_where_nothing_says_how_long():
    found = one(bench.compare(SPACE, lambda c: float(c.architecture["x"]), {"s": Script()}, trials=4, seeds=1))
    assert found.clock.tolist() == [[1, 2, 3, 4]]
    assert found.test_regret is None
    assert np.allclose(found.final, [[3, 2, 1, 0]])  # the best that any run found is the best known


@pytest.mark.parametrize("seconds", [math.nan, -1.0, math.inf])
def test_seconds_that_mean_nothing_are_refused(seconds):
    with pytest.raises(EvaluationError, match="seconds"):
        bench.compare(SPACE, lambda c: {"value": 1.0, "seconds": seconds}, "random", trials=2, seeds=1)


def test_what_any_run_found_is_the_best_where_no_table_says():
    scripts = {"low": Script((0, 1, 2, 3, 4, 5)), "high": Script((5, 4, 3, 2, 1, 0))}
    comparison = bench.compare(SPACE, lambda c: float(c.architecture["x"]), scripts, trials=3, seeds=2)
    assert not comparison.best_known
    assert comparison.results["low"].regret.tolist() == [[5, 4, 3]] * 2
    assert comparison.results["high"].regret.tolist() == [[0, 0, 0]] * 2
    assert comparison.results["low"].found.tolist() == [math.inf] * 2
    assert comparison.results["high"].found.tolist() == [1, 1]


def test_less_is_better_where_the_objective_says_so():
    losses = table(objective="min loss", test=np.array(TEST))
    found = one(bench.compare(SPACE, losses, {"script": Script((3, 4, 0, 1, 2, 5))}, trials=6, seeds=1))
    assert np.allclose(found.regret, [[0.8, 0.6, 0, 0, 0, 0]])
    assert np.allclose(found.test_regret, [[0.6, 0.9, 0.2, 0.2, 0.2, 0.2]])
    assert found.found.tolist() == [3]


def test_repeats_are_counted_though_nothing_is_evaluated_twice():
    comparison = bench.compare(SPACE, table(), {"same": Stubborn(), "random": "random"}, trials=4, seeds=3)
    same, random = comparison.results["same"], comparison.results["random"]
    assert same.duplicates == 3 * 20  # the study asks twenty times, for each trial after the first
    assert random.duplicates < 4
    assert np.isfinite(same.found).sum() <= 3


def test_a_run_ends_with_the_space_and_holds_its_last_value():
    found = one(bench.compare(SPACE, table(), {"script": Script((5, 4, 3, 2, 1, 0, 0, 0, 0))}, trials=9, seeds=1))
    assert found.regret.shape == (1, 9)
    assert np.allclose(found.regret[0, 2:], 0)
    assert found.clock[0, -1] == sum(SECONDS)


def test_evaluations_that_fail_are_trials_without_a_value():
    def half(candidate):
        if candidate.architecture["x"] < 2:
            raise RuntimeError("no")
        return float(candidate.architecture["x"])

    found = one(bench.compare(SPACE, half, {"script": Script()}, trials=6, seeds=1))
    assert np.allclose(found.regret, [[math.nan, math.nan, 3, 2, 1, 0]], equal_nan=True)
    none = bench.compare(SPACE, lambda c: math.nan, {"a": Script(), "b": "random"}, trials=3, seeds=2)
    assert np.isnan(none.results["a"].regret).all()
    assert none.to_json()["results"]["a"]["val_regret"] == {"3": None}


def test_what_a_table_lacks_ends_the_comparison():
    lacking = bench.Table(SPACE, [Architecture({"x": x}) for x in range(5)], {1: np.array(VALIDATION[:5])})
    with pytest.raises(TableError, match="not in the table"):
        bench.compare(SPACE, lacking, {"script": Script()}, trials=6, seeds=1)


def test_the_same_seeds_give_the_same_comparison():
    both = [
        bench.compare(SPACE, table(), ["random", "evolution"], trials=5, seeds=[3, 8]).results["random"]
        for _ in range(2)
    ]
    assert np.array_equal(both[0].regret, both[1].regret)
    other = bench.compare(SPACE, table(), "random", trials=5, seeds=[4, 9]).results["random"]
    assert not np.array_equal(both[0].regret, other.regret)


def test_strategies_have_names_and_none_is_lost():
    small, large = (strategies.create("evolution", population=n) for n in (2, 3))
    comparison = bench.compare(SPACE, table(), [small, large, "random"], trials=2, seeds=1)
    assert list(comparison.results) == [repr(small), repr(large), "random"]
    with pytest.raises(StrategyError, match=r"more than once: Random\(\)"):
        bench.compare(SPACE, table(), ["random", "random"], trials=2, seeds=1)


@pytest.mark.parametrize("options", [{"trials": 0}, {"seeds": 0}, {"workers": 0}, {"strategies": []}])
def test_an_empty_comparison_is_refused(options):
    with pytest.raises(BudgetError, match="at least one trial, worker, seed and strategy"):
        bench.compare(SPACE, table(), **{"strategies": "random", "trials": 2, "seeds": 1, **options})


def test_a_strategy_that_cannot_serve_the_space_is_refused_before_anything_runs():
    runs = []
    with pytest.raises(StrategyError, match="grid"):
        bench.compare(aw.Space(lr=aw.real(0, 1)), runs.append, ["grid"], trials=2, seeds=1)
    with pytest.raises(UnknownName, match="'evolution'"):
        bench.compare(SPACE, table(), "evolutoin", trials=2, seeds=1)
    assert not runs


def test_a_judge_of_ones_own():
    found = one(
        bench.compare(SPACE, table(), {"s": Script()}, trials=3, seeds=1, test=lambda a: 1.0 - a["x"], best_test=1.0)
    )
    assert np.allclose(found.test_regret, [[0, 1, 1]])


def test_what_goes_by_a_supernet_has_no_table():
    with pytest.raises(aw.errors.StrategyError, match="darts needs a supernet, which is trained on data"):
        aw.bench.compare(aw.Space(x=aw.choice(1, 2)), lambda candidate: 1.0, ["darts"], trials=1, seeds=1)
