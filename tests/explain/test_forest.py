"""The marginals of the forest, against the mean over all architectures, one by one."""

from itertools import product

import numpy as np
import pytest
from tests.explain.helpers import STAGES, TREE, choices, measured

from archwright.explain._columns import Columns
from archwright.explain._forest import _GROUPS, Forest, _ranked


def everything(space, function, count=80):
    """Return a forest, and all levels of its columns and dummies with their probabilities and predictions by group."""
    trials = measured(space, function, count, noise=0.3)
    columns = Columns(space)
    codes = columns.codes([trial.architecture for trial in trials])
    values = np.array([trial.metrics["value"] for trial in trials])
    forest = Forest(columns, codes, values, np.random.default_rng(0))
    grid = np.array(list(product(*(range(len(weights)) for weights in forest._weights))))
    chance = np.prod([weights[grid[:, at]] for at, weights in enumerate(forest._weights)], axis=0)
    ranks = [[rank[tree] for rank in forest._rank] for tree in range(len(forest._value))]
    predicted = np.array([one_by_one(forest, tree, _ranked(grid, rank)) for tree, rank in enumerate(ranks)])
    return forest, grid, chance, forest._grouped(predicted)


def one_by_one(forest, tree, rows):
    inside = (rows[:, None] >= forest._low[tree]) & (rows[:, None] < forest._high[tree])
    held = inside.all(axis=2) & (forest._mass[tree] > 0)
    assert (held.sum(axis=1) == 1).all()  # the leaves are a partition
    return held @ forest._value[tree]


SPACES = {
    "tree": (TREE, lambda a: a["kind"] if isinstance(a["kind"], int) else a["b"] - (a["c"] == "u")),
    "stages": (STAGES, lambda a: a["first"] * a["scale"] + (a.get("act") == "Tanh()")),
}


@pytest.mark.parametrize("name", SPACES)
def test_marginals_are_means_over_the_region_in_which_a_decision_is_active(name):
    forest, grid, chance, predicted = everything(*SPACES[name])
    real = forest.columns.columns
    active = forest.columns.activity(grid[:, : len(real)])
    np.testing.assert_allclose(forest._mass.sum(axis=1), 1)
    effects = np.zeros_like(predicted)
    for at, column in enumerate(real):
        means = np.zeros((_GROUPS, len(column.weights)))
        for level in range(len(column.weights)):
            rows = active[:, at] & (grid[:, at] == level)
            means[:, level] = predicted[:, rows] @ chance[rows] / chance[rows].sum()
        np.testing.assert_allclose(forest.marginal(at), means, atol=1e-9)
        off = means - (means @ column.weights)[:, None]
        of_rows = np.where(active[:, at], off[:, grid[:, at]], 0)
        np.testing.assert_allclose(forest.main(at), of_rows**2 @ chance, atol=1e-9)
        effects += of_rows
    # Main effects do not overlap: their variances and that of the rest add up to all of it.
    whole = (predicted - (predicted @ chance)[:, None]) ** 2 @ chance
    rest = predicted - (predicted @ chance)[:, None] - effects
    mains = sum(forest.main(at) for at in range(len(real)))
    np.testing.assert_allclose(mains + rest**2 @ chance, whole, atol=1e-9)


@pytest.mark.parametrize("name", SPACES)
def test_interactions_are_what_two_decisions_explain_beyond_their_own_effects(name):
    forest, grid, chance, predicted = everything(*SPACES[name])
    real = forest.columns.columns
    active = forest.columns.activity(grid[:, : len(real)])
    for first in range(len(real)):
        for second in range(first):
            both = active[:, first] & active[:, second]
            weight = chance[both]
            sums = []
            for group in range(3):
                value = predicted[group, both]
                keys = [(), (first,), (second,), (first, second)]
                mean = [conditional(value, weight, grid[both][:, list(key)]) for key in keys]
                sums.append(weight @ (mean[3] - mean[1] - mean[2] + mean[0]) ** 2)
            np.testing.assert_allclose(forest.interaction(first, second)[:3], sums, atol=1e-9)


def conditional(values, weights, levels):
    """Return for each row the weighted mean over the rows with the same levels."""
    if not levels.shape[1]:
        return np.full(len(values), values @ weights / weights.sum())
    _, key = np.unique(levels, axis=0, return_inverse=True)
    return (np.bincount(key, values * weights) / np.bincount(key, weights))[key]


def test_levels_of_no_trial_take_part():
    forest, _, chance, predicted = everything(choices(2, 6), lambda a: a["d0"], count=20)
    np.testing.assert_allclose(forest.marginal(0) @ forest._weights[0], predicted @ chance, atol=1e-9)
