"""Kernels on the trees of decisions, which serve recursive spaces too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from archwright.space import Architecture, Space, tree_counts
from archwright.surrogates._kernels import Array, Cosine, Matern

_SAMPLE = 512  # architectures that say which nodes there are


class Tree(Cosine):
    """Cosine kernel, as in `Paths`, on the subtrees of the tree of decisions: see `space.tree_counts`.

    Equal subtrees are alike wherever they stand, which suits recursive spaces; there it is the kernel of "network" and
    "decisions" too.

    Example:
        >>> block = aw.recursive(lambda block: aw.choice({"a": nn.ReLU(), "b": nn.Sequential(block, block)}), depth=2)
        >>> term = aw.surrogates.Tree(aw.Space(model=block))
        >>> dict(term.counts(aw.Architecture({"model": "a"})))["0 block=a"]
        1
    """

    @classmethod
    def serves(cls, space: Space) -> bool:
        """Tell that every space has trees."""
        return True

    def counts(self, architecture: Architecture) -> Mapping[str, int]:
        """Return how often each subtree occurs."""
        return tree_counts(self.space.program, architecture)


class TreeCounts(Matern):
    """Matérn 5/2 kernel, as in `Counts`, on the logarithms of 1 + the number of nodes of each kind in the tree.

    A kind of node is a decision of a rule and its value: see `space.tree_counts`. It compares networks of different
    sizes, which the cosine of `Tree` does not.

    Example:
        >>> block = aw.recursive(lambda block: aw.choice({"a": nn.ReLU(), "b": nn.Sequential(block, block)}), depth=2)
        >>> term = aw.surrogates.TreeCounts(aw.Space(model=block))
        >>> term.features([aw.Architecture({"model": "a"})]).round(2)
        array([[0.69, 0.69, 0.  ]])
    """

    def __init__(self, space: Space) -> None:
        rng = np.random.default_rng(0)
        drawn = dict.fromkeys(space.sample(rng) for _ in range(_SAMPLE))
        self._kinds = sorted({kind for each in drawn for kind in tree_counts(space.program, each, height=0)})
        super().__init__(space)

    def features(self, architectures: Sequence[Architecture]) -> Array:
        """Return (n, 1 + kinds) logarithms: of the number of all nodes, and of those of each kind."""
        counted = [tree_counts(self.space.program, each, height=0) for each in architectures]
        rows = [
            [len(a), *(counts[kind] for kind in self._kinds)] for a, counts in zip(architectures, counted, strict=True)
        ]
        return np.log1p(np.array(rows, dtype=np.float64).reshape(len(counted), -1))
