from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.strategies.helpers import add, architecture, is_random, parents, told

import archwright as aw
from archwright import nn
from archwright.cost import measures
from archwright.errors import BuildError, StrategyError
from archwright.strategies import MapElites
from archwright.trials import History, Objective


def elites(costs, scores, bins, initial):
    """The best of each bin, worked out from the definition; of equals the first."""
    limits = [np.quantile(costs[:initial], place / bins) for place in range(1, bins)]
    best = {}
    for i, (cost, score) in enumerate(zip(costs, scores, strict=True)):
        place = sum(cost >= limit for limit in limits)
        if place not in best or score > scores[best[place]]:
            best[place] = i
    return set(best.values())


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5)), min_size=1, max_size=40),
    st.integers(1, 5),
    st.integers(1, 12),
)
def test_the_archive_holds_the_best_of_each_bin(trials, bins, initial):
    costs, scores = [float(cost) for cost, _ in trials], [float(score) for _, score in trials]
    history = told(scores, params=costs)
    strategy = MapElites("params", bins, initial, sample=1)
    if len(trials) < initial:
        assert is_random(strategy, history)
    else:
        assert set(parents(strategy, history, 100)) == elites(costs, scores, bins, initial)


def test_a_history_may_come_in_any_pieces():
    rng = np.random.default_rng(1)
    costs, scores = rng.random(40).tolist(), rng.random(40).tolist()
    strategy, history = MapElites("params", 4, 10, sample=1), History(Objective("a"))
    for i in range(40):
        add(history, architecture(i), a=scores[i], params=costs[i])
        if i > 8 and i % 7 == 0:
            assert set(parents(strategy, history, 80)) == elites(costs[: i + 1], scores[: i + 1], 4, 10)


@pytest.mark.parametrize("sample", [1, 2, 4])
def test_the_best_of_the_sample_is_mutated(sample):
    # Four bins with one elite each, the first the best.
    history = told([4.0, 3.0, 2.0, 1.0], params=[1.0, 2.0, 3.0, 4.0])
    counts = parents(MapElites("params", 4, 4, sample), history, 2000)
    shares = [((4 - r) / 4) ** sample - ((3 - r) / 4) ** sample for r in range(4)]
    assert stats.chisquare([counts[r] for r in range(4)], [2000 * share for share in shares]).pvalue > 0.001


def test_one_bin_keeps_the_best_of_all():
    assert set(parents(MapElites("params", 1, 2), told([1.0, 5.0, 3.0], params=[1.0, 2.0, 3.0]))) == {1}


def test_a_cost_that_is_not_finite_spoils_nothing():
    costs = [1.0, 2.0, float("nan"), 3.0, 4.0, float("inf")]
    history = told([1.0, 2.0, 0.0, 3.0, 4.0, 0.0], params=costs)
    assert set(parents(MapElites("params", 4, 6, sample=1), history)) == {0, 1, 3, 4}
    lost = told([1.0, 2.0], params=[float("nan")] * 2)
    assert set(parents(MapElites("params", 4, 2, sample=1), lost)) == {1}


def test_a_metric_that_no_trial_reports_is_an_error():
    with pytest.raises(StrategyError, match="trial 0 reports no 'latency'; its metrics are: a, params"):
        parents(MapElites("latency", initial=1), told([1.0], params=[2.0]))


# ---------------------------------------------------------------------- what a network costs where nobody says


def costs_by(space, **metrics):
    """The proposals after every architecture of a space has been measured, with some metrics."""
    history = History(Objective("a"))
    for one in space.enumerate():
        found = {name: float(measure(one)) for name, measure in metrics.items()}
        add(history, one, a=int(one.id, 16) % 1009 / 1009, **found)
    strategy = MapElites(bins=5, initial=10, sample=1)
    return [strategy.propose(space, history, np.random.default_rng(seed)) for seed in range(60)]


def test_it_counts_parameters_where_the_trials_report_none():
    width = aw.choice(1, 40, 3, 12, 7)
    space = aw.Space(
        model=nn.Sequential(nn.LazyLinear(width), nn.ReLU(), nn.LazyLinear(aw.choice(2, 5, 3))), example_input=(4,)
    )
    reported = costs_by(space, parameters=lambda a: measures(space, a)[0])
    assert costs_by(space) == reported
    assert costs_by(space, parameters=lambda a: -measures(space, a)[1] % 7) != reported  # what is reported counts


def test_a_network_that_cannot_be_built_has_no_cost_and_is_no_obstacle():
    unchecked = aw.Space(model=nn.Conv2d(4, aw.choice(6, 8, 12), 1, groups=4))
    space = aw.Space.from_json({**unchecked.to_json(), "example_input": [{"shape": [4, 2, 2], "dtype": "float32"}]})
    with pytest.raises(BuildError, match="divisible by groups"):
        space.build({"model.out_channels": 6})
    history = History(Objective("a"))
    for width, score in ((6, 3.0), (8, 2.0), (12, 1.0)):
        add(history, space.canonical({"model.out_channels": width}), a=score)
    proposed = [
        MapElites(bins=2, initial=3, sample=1).propose(space, history, np.random.default_rng(seed))
        for seed in range(20)
    ]
    assert all(child in space for child in proposed)


def test_without_networks_the_decisions_tell_large_from_small():
    space = aw.Space(kind=aw.choice(*"abcdef"), size=aw.ordinal(1, 2, 3), some=aw.subset(*"xyz", k=(0, 3)))

    def size(architecture):
        kind, number = "abcdef".index(architecture["kind"]) / 5, (architecture["size"] - 1) / 2
        return (kind + number + len(architecture["some"]) / 3) / 3

    assert costs_by(space) == costs_by(space, parameters=size)


@pytest.mark.parametrize("options", [{"bins": 0}, {"initial": 0}, {"sample": 0}])
def test_settings_are_checked(options):
    with pytest.raises(StrategyError, match="must be an integer of 1 or more, not 0"):
        MapElites(**options)
