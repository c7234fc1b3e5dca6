from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from archwright.bench._statistics import holm, rank


def losses(*columns):
    return {f"s{i}": np.array(column, dtype=float) for i, column in enumerate(columns)}


# ---------------------------------------------------------------------- ranks


def test_ranks_are_means_over_the_seeds_and_equals_share_theirs():
    ranking = rank({"good": np.array([1.0, 1.0, 2.0]), "bad": np.array([3.0, 1.0, 1.0]), "ugly": np.array([2.0, 5, 9])})
    # By seed: 1, 3, 2; 1.5, 1.5, 3; 2, 1, 3.
    assert ranking.ranks == {"good": 4.5 / 3, "bad": 5.5 / 3, "ugly": 8 / 3}


@settings(max_examples=12)
@given(
    st.integers(2, 5).flatmap(
        lambda count: st.lists(st.lists(st.integers(0, 4), min_size=count, max_size=count), min_size=1, max_size=8)
    )
)
def test_ranks_add_up_and_do_not_see_the_scale(rows):
    columns = losses(*zip(*rows, strict=True))
    ranking = rank(columns)
    count = len(columns)
    assert sum(ranking.ranks.values()) == pytest.approx(count * (count + 1) / 2)
    stretched = rank({name: np.exp(3 * column) for name, column in columns.items()})
    assert stretched.ranks == ranking.ranks
    assert stretched.friedman == pytest.approx(ranking.friedman, nan_ok=True)
    assert all(0 <= p <= 1 for p in ranking.wilcoxon.values())


# ---------------------------------------------------------------------- Friedman


def test_friedman_is_the_statistic_of_the_paper():
    """Demšar 2006, section 3.2.2, worked out again from its own formula on a table without ties."""
    table = np.array([[1, 2, 3, 4], [2, 1, 3, 4], [1, 3, 2, 4], [1, 2, 4, 3], [2, 1, 4, 3], [1, 2, 3, 4]], dtype=float)
    seeds, count = table.shape
    ranks = table.mean(0)
    statistic = 12 * seeds / (count * (count + 1)) * ((ranks**2).sum() - count * (count + 1) ** 2 / 4)
    expected = stats.chi2.sf(statistic, count - 1)
    assert rank(losses(*table.T)).friedman == pytest.approx(expected, rel=1e-9)


def test_friedman_needs_three_strategies_and_is_1_where_none_differ():
    assert math.isnan(rank(losses([1, 2], [2, 1])).friedman)
    assert rank(losses([1, 2, 3], [1, 2, 3], [1, 2, 3])).friedman == 1.0
    assert rank(losses([1, 2, 3], [1, 2, 3], [1, 2, 9])).friedman < 1.0


# ---------------------------------------------------------------------- Nemenyi


@pytest.mark.parametrize(
    ("count", "quantile"),
    # Demšar 2006, table 5 (a): the critical values at 0.05 for two to ten strategies, from quantiles of three digits.
    list(zip(range(2, 11), [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164], strict=True)),
)
def test_the_critical_difference_is_that_of_the_published_table(count, quantile):
    seeds = 14
    found = rank(losses(*np.random.default_rng(0).random((count, seeds)))).critical_difference
    assert found / math.sqrt(count * (count + 1) / (6 * seeds)) == pytest.approx(quantile, abs=1e-3)


def test_the_critical_difference_of_the_papers_example():
    # Four algorithms, 14 data sets: 2.569 * sqrt(4 * 5 / (6 * 14)) = 1.25.
    found = rank(losses(*np.random.default_rng(0).random((4, 14)))).critical_difference
    assert found == pytest.approx(1.25, abs=0.005)


# ---------------------------------------------------------------------- Wilcoxon and Holm


def test_wilcoxon_by_hand():
    # Differences 1, -2, 3, 4, 5, 6: the negative ranks sum to 2. Of the 64 ways to give signs, 3 have a sum of 2 or
    # less (none, 1, 2); both tails: 6/64.
    one, other = np.array([2.0, 0, 4, 5, 6, 7]), np.array([1.0, 2, 1, 1, 1, 1])
    assert rank({"a": one, "b": other}).wilcoxon == {("a", "b"): pytest.approx(6 / 64)}
    assert rank({"b": other, "a": one}).wilcoxon == {("b", "a"): pytest.approx(6 / 64)}


def test_seeds_without_a_difference_are_left_out():
    one, other = np.array([2.0, 0, 4, 5, 6, 7, 3, 3]), np.array([1.0, 2, 1, 1, 1, 1, 3, 3])
    assert rank({"a": one, "b": other}).wilcoxon == {("a", "b"): pytest.approx(6 / 64)}


@given(st.lists(st.integers(-30, 30).filter(bool), min_size=1, max_size=9, unique_by=abs))
def test_wilcoxon_is_exact_for_few_seeds(differences):
    """Against all ways to give signs to the ranks."""
    ranks = stats.rankdata(np.abs(differences))
    total = ranks.sum()
    smaller = min(ranks[np.array(differences) > 0].sum(), ranks[np.array(differences) < 0].sum())
    sums = [sum(chosen) for k in range(len(ranks) + 1) for chosen in itertools.combinations(ranks, k)]
    tails = sum(value <= smaller or value >= total - smaller for value in sums)
    expected = min(1.0, tails / 2 ** len(ranks))
    found = rank(losses(differences, [0] * len(differences))).wilcoxon[("s0", "s1")]
    assert found == pytest.approx(expected)


def test_holm_by_hand():
    # Sorted: 0.01 x 4, 0.02 x 3, 0.03 x 2, 0.5 x 1; none below the one before it, none above 1.
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.9, 0.8, 0.7]) == [1.0, 1.0, 1.0]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.5))
def test_holm_rejects_what_the_step_down_procedure_rejects(values, level):
    rejected = set()
    for place, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        if (len(values) - place) * values[index] > level:
            break
        rejected.add(index)
    assert {index for index, p in enumerate(holm(values)) if p <= level} == rejected


def test_all_pairs_are_compared_and_corrected_together():
    rng = np.random.default_rng(0)
    columns = losses(*(rng.random((4, 12)) + np.array([[0], [0.4], [0.5], [2]])))
    ranking = rank(columns)
    raw = {
        (one, other): stats.wilcoxon(columns[one], columns[other]).pvalue
        for one, other in itertools.combinations(columns, 2)
    }
    assert list(ranking.wilcoxon) == list(raw)
    assert list(ranking.wilcoxon.values()) == pytest.approx(holm(list(raw.values())))
    for name in columns:
        pairs = [pair for pair, p in ranking.wilcoxon.items() if p >= 0.05 and name in pair]
        assert [{name, other} for other in ranking.alike(name)] == [set(pair) for pair in pairs]
    assert ranking.best == "s0"
    assert "s3" not in ranking.alike("s0")


# ---------------------------------------------------------------------- what cannot be told


def test_strategies_that_never_differ_are_alike():
    ranking = rank(losses([1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]))
    assert set(ranking.ranks.values()) == {2.0}
    assert set(ranking.wilcoxon.values()) == {1.0}
    assert ranking.alike("s1") == ["s0", "s2"]


def test_runs_without_a_result_are_equal_to_each_other_and_worse_than_all_others():
    inf = math.inf
    ranking = rank(losses([inf, 1, 1, 1, 1, 1, 1, 1], [inf, inf, inf, inf, inf, inf, inf, inf], [2] * 8))
    assert ranking.ranks == {"s0": (2.5 + 7) / 8, "s1": (2.5 + 21) / 8, "s2": (1 + 14) / 8}
    raw = [2 / 2**7, stats.wilcoxon([inf] + [-1.0] * 7).pvalue, 2 / 2**8]
    assert [ranking.wilcoxon[pair] for pair in (("s0", "s1"), ("s0", "s2"), ("s1", "s2"))] == pytest.approx(holm(raw))


def test_one_strategy_and_one_seed():
    alone = rank(losses([1.0, 2.0]))
    assert alone.ranks == {"s0": 1.0}
    assert math.isnan(alone.critical_difference)
    assert alone.to_json() == {"ranks": {"s0": 1.0}, "friedman_p": None, "critical_difference": None, "wilcoxon_p": {}}
    once = rank(losses([1.0], [2.0], [3.0]))
    assert once.ranks == {"s0": 1.0, "s1": 2.0, "s2": 3.0}
    assert set(once.wilcoxon.values()) == {1.0}
    assert once.to_json()["wilcoxon_p"] == {"s0 | s1": 1.0, "s0 | s2": 1.0, "s1 | s2": 1.0}
