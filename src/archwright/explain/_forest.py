"""A random forest over the columns of a space, with exact marginals over the leaves of its trees."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archwright.explain._columns import Array, Box, Columns, Mask

Codes = NDArray[np.int64]

_GROUPS = 32  # bootstrap samples of the trials
_TREES = 3  # fitted to each
_ROWS = 2_000  # the most trials of a bootstrap sample
_CELLS = 80_000  # the most leaves of a tree times columns, which bounds the memory
_POINTS = 2_048  # random architectures by which the variance beyond main effects is estimated


class Forest:
    """Small forests of regression trees, one for each of several bootstrap samples of the trials.

    Hutter, Hoos and Leyton-Brown, "An efficient approach for assessing hyperparameter importance", ICML 2014: a leaf is
    a box in the space, so the mean prediction over all other decisions is a sum over the leaves. Levels without an
    order are sorted by the mean value of their trials in each sample (Wright and König, "Splitting on categorical
    predictors in random forests", PeerJ 2019). Where a decision is not active its level is drawn at random for each
    tree, and marginals are taken over the region in which it is active. After the columns of the space come dummies:
    columns of random levels, one for each kind of column.

    Args:
        columns: The columns of the space.
        codes: (n, columns) levels of the trials, -1 where a decision is not active.
        values: (n,) finite values of a metric.
        rng: The only source of randomness.

    Attributes:
        known: The share of the variance of the trials that is predicted for each by the trees that have not seen it.
        dummies: The dummies by number of levels and whether these have an order.
    """

    def __init__(self, columns: Columns, codes: Codes, values: Array, rng: np.random.Generator) -> None:
        from sklearn.tree import DecisionTreeRegressor

        self.columns = columns
        made = columns.columns
        kinds = list(dict.fromkeys((len(each.weights), each.ordered) for each in made))
        self.dummies = {kind: len(made) + index for index, kind in enumerate(kinds)}
        self._weights = [each.weights for each in made] + [np.full(size, 1 / size) for size, _ in kinds]
        self._ordered = [each.ordered for each in made] + [ordered for _, ordered in kinds]
        n = len(codes)
        # None where it would bound nothing: trees of a bounded size grow in another order.
        most = None if min(n, _ROWS) * len(self._weights) <= _CELLS else max(2, _CELLS // len(self._weights))
        unnamed = np.hstack([codes, np.full((n, len(kinds)), -1)])
        self._orders = [np.argsort(rank, kind="stable") for rank in self._ranks(unnamed, values)]
        self._points = self._draw(_POINTS, rng)
        trees_made: list[tuple[Array, Codes, Codes]] = []
        ranks: list[list[Codes]] = []
        total, unseen = np.zeros(_POINTS), np.zeros((2, n))
        for _ in range(_GROUPS):
            rows = rng.integers(n, size=min(n, _ROWS))
            out = np.setdiff1d(np.arange(n), rows)
            dummies = self._draw(n, rng)[:, len(made) :]
            rank = self._ranks(np.hstack([codes, dummies])[rows], values[rows])
            for _ in range(_TREES):
                drawn = self._draw(n, rng)[:, : len(made)]
                inputs = _ranked(np.hstack([np.where(codes >= 0, codes, drawn), dummies]), rank)
                tree = DecisionTreeRegressor(max_leaf_nodes=most, random_state=int(rng.integers(2**31)))
                tree.fit(inputs[rows], values[rows])
                trees_made.append(_leaves(tree.tree_, [int(each.max()) + 1 for each in rank]))
                ranks.append(rank)
                total += tree.predict(_ranked(self._points, rank))
                unseen[1, out] += tree.predict(inputs[out])
                unseen[0, out] += 1
        held = unseen[0] > 0
        missed = values[held] - unseen[1, held] / unseen[0, held]
        self.known = max(0.0, 1 - float((missed**2).sum() / ((values[held] - values[held].mean()) ** 2).sum()))
        self._predicted = total / (_GROUPS * _TREES)  # (points,)
        self._marginals: dict[int, Array] = {}
        self._stack(trees_made, ranks)

    def _draw(self, count: int, rng: np.random.Generator) -> Codes:
        """Return (count, columns and dummies) random levels; the labels of options make no difference to the draws."""
        drawn = [
            order[rng.choice(len(each), count, p=each[order])]
            for each, order in zip(self._weights, self._orders, strict=True)
        ]
        return np.stack(drawn, axis=1)

    def _ranks(self, codes: Codes, values: Array) -> list[Codes]:
        """Return for each column the rank of each of its levels."""
        found = []
        for index, (weights, ordered) in enumerate(zip(self._weights, self._ordered, strict=True)):
            if ordered:
                found.append(np.arange(len(weights)))
                continue
            active = codes[:, index] >= 0
            level, value = codes[active, index], values[active]
            counts = np.bincount(level, minlength=len(weights))
            sums = np.bincount(level, value, minlength=len(weights))
            means = np.where(counts > 0, sums / np.maximum(counts, 1), values.mean())
            found.append(np.unique(means, return_inverse=True)[1])
        return found

    def _stack(self, made: Sequence[tuple[Array, Codes, Codes]], ranks: Sequence[Sequence[Codes]]) -> None:
        """Keep the leaves of all trees side by side; trees with fewer are filled up with leaves of no mass."""
        most, count = max(len(value) for value, *_ in made), len(self._weights)
        self._value = np.zeros((len(made), most))
        self._low = np.zeros((len(made), most, count), dtype=np.int16)
        self._high = np.zeros((len(made), most, count), dtype=np.int16)
        self._rank = [np.stack([rank[index] for rank in ranks]) for index in range(count)]  # of each (trees, levels)
        for tree, (value, low, high) in enumerate(made):
            size = len(value)
            self._value[tree, :size] = value
            self._low[tree, :size], self._high[tree, :size] = low, high
            self._high[tree, size:] = [int(each.max()) + 1 for each in ranks[tree]]
        self._held = np.stack([self._measure(index, weights) for index, weights in enumerate(self._weights)], axis=2)
        self._mass = self._held.prod(axis=2)
        for tree, (value, *_) in enumerate(made):
            self._mass[tree, len(value) :] = 0

    def _measure(self, index: int, weights: Array) -> Array:
        """Return (trees, leaves) the sum of the weights of a column's levels that each leaf holds."""
        rank = self._rank[index]
        size = rank.shape[1] + 1
        at = np.arange(len(rank))[:, None] * size + rank + 1
        sums = np.bincount(at.ravel(), np.broadcast_to(weights, rank.shape).ravel(), len(rank) * size)
        up_to = sums.reshape(-1, size).cumsum(axis=1)
        trees = np.arange(len(rank))[:, None]
        return np.asarray(up_to[trees, self._high[:, :, index]] - up_to[trees, self._low[:, :, index]])

    def _restricted(self, box: Box, apart: Sequence[int]) -> Any:
        """Return (trees, leaves) the share of each leaf inside a box, with columns set apart."""
        inside: Any = 1.0
        for index, mask in box.items():
            if index not in apart:
                inside = inside * self._measure(index, self._weights[index] * mask) / self._held[:, :, index]
        return inside

    def _region(self, *indices: int) -> tuple[list[Box], float]:
        """Return the boxes in which columns are active, and the probability of being there."""
        real = [index for index in indices if index < len(self.columns.columns)]
        return self.columns.common(*real), self.columns.active(*real)

    def marginal(self, index: int) -> Array:
        """Return (groups, levels) mean predictions by level over the region in which a column is active."""
        if index not in self._marginals:
            self._marginals[index] = self._marginal(index)
        return self._marginals[index]

    def _marginal(self, index: int) -> Array:
        rank = self._rank[index]
        size = rank.shape[1] + 1
        boxes, active = self._region(index)
        inside = sum(self._restricted(box, [index]) for box in boxes)
        parts = inside * self._value * self._mass / self._held[:, :, index]
        start = np.arange(len(rank))[:, None] * size
        sums = np.bincount((start + self._low[:, :, index]).ravel(), parts.ravel(), len(rank) * size)
        sums -= np.bincount((start + self._high[:, :, index]).ravel(), parts.ravel(), len(rank) * size)
        by_rank = sums.reshape(-1, size).cumsum(axis=1)
        means = self._grouped(np.take_along_axis(by_rank, rank, axis=1))
        if boxes != [{}]:
            return np.asarray(means / active)
        middle = means @ self._weights[index]
        return np.asarray(middle[:, None] + (means - middle[:, None]) / active)  # elsewhere its level changes nothing

    def main(self, index: int) -> Array:
        """Return (groups,) the variance of the main effect of a column, weighted by how often it is active."""
        means, weights = self.marginal(index), self._weights[index]
        return np.asarray(self._region(index)[1] * ((means - (means @ weights)[:, None]) ** 2 @ weights))

    def interaction(self, first: int, second: int) -> Array:
        """Return (groups,) the variance of the interaction of two columns, weighted by how often both are active."""
        boxes, active = self._region(first, second)
        held = self._value * self._mass / (self._held[:, :, first] * self._held[:, :, second])
        levels = (len(self._weights[first]), len(self._weights[second]))
        sums, room = np.zeros((len(self._value), *levels)), np.zeros(levels)
        inside = [self._inside(each) for each in (first, second)]
        for box in boxes:
            masks = [
                box.get(each, np.ones(size, dtype=bool)) for each, size in zip((first, second), levels, strict=True)
            ]
            parts = (inside[0] & masks[0]) * (held * self._restricted(box, [first, second]))[:, :, None]
            sums += parts.transpose(0, 2, 1) @ (inside[1] & masks[1]).astype(float)
            rest = self.columns.probability({at: mask for at, mask in box.items() if at not in (first, second)})
            room += rest * np.outer(*masks)
        weights = room * np.outer(self._weights[first], self._weights[second])
        means = self._grouped(sums) / np.where(room > 0, room, 1)
        pure = means - _mean(means, weights, 2) - _mean(means, weights, 1) + _mean(means, weights, (1, 2))
        spread = (pure**2 * weights).sum(axis=(1, 2))
        return np.asarray(spread / active if boxes == [{}] else spread)

    @cached_property
    def total(self) -> Array:
        """(groups,) the variance of predictions: of the main effects in each group, and of the rest in all together.

        The rest is what the mean over all groups predicts beyond its own main effects: in that mean what few trees make
        of noise has averaged out. Its variance is estimated from random architectures, that of main effects is exact.
        """
        made = len(self.columns.columns)
        rest = self._predicted.copy()
        active = self.columns.activity(self._points[:, :made])
        mains = np.zeros(_GROUPS)
        for index, weights in enumerate(self._weights):
            means = self.marginal(index).mean(axis=0)
            off = (means - means @ weights)[self._points[:, index]]
            rest -= off * active[:, index] if index < made else off
            mains += self.main(index)
        return np.asarray(mains + rest.var())

    def _inside(self, index: int) -> Mask:
        """Tell which levels of a column each leaf holds: (trees, leaves, levels)."""
        rank = self._rank[index][:, None, :]
        return np.asarray((rank >= self._low[:, :, index, None]) & (rank < self._high[:, :, index, None]))

    def _grouped(self, of_trees: Array) -> Array:
        """Return the means over the trees of each group."""
        return np.asarray(of_trees.reshape(_GROUPS, -1, *of_trees.shape[1:]).mean(axis=1))


def _mean(means: Array, weights: Array, axis: int | tuple[int, int]) -> Array:
    """Return weighted means over one or two axes, which stay with length 1; 0 where there is no weight."""
    total = weights[None].sum(axis=axis, keepdims=True)
    return np.asarray((means * weights).sum(axis=axis, keepdims=True) / np.where(total > 0, total, 1))


def _ranked(levels: Codes, rank: Sequence[Codes]) -> NDArray[np.float32]:
    return np.stack([each[levels[:, index]] for index, each in enumerate(rank)], axis=1).astype(np.float32)


def _leaves(tree: Any, sizes: Sequence[int]) -> tuple[Array, Codes, Codes]:
    """Return the values of a tree's leaves, and the ranges of ranks, from low and below high, of their boxes."""
    low = np.zeros((tree.node_count, len(sizes)), dtype=np.int64)
    high = np.tile(np.array(sizes), (tree.node_count, 1))
    front = np.zeros(1, dtype=np.int64)
    while len(front):  # one depth after another
        front = front[tree.children_left[front] >= 0]
        feature, cut = tree.feature[front], np.floor(tree.threshold[front]).astype(np.int64) + 1
        left, right = tree.children_left[front], tree.children_right[front]
        low[left], high[left], low[right], high[right] = low[front], high[front], low[front], high[front]
        high[left, feature], low[right, feature] = cut, cut
        front = np.concatenate([left, right])
    ends = tree.children_left < 0
    return tree.value[ends, 0, 0], low[ends], high[ends]
