"""Gradient-boosted trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from archwright._checks import check_counts, check_options, check_positive
from archwright.space import Architecture, Space
from archwright.surrogates._base import FittedMembers, Predictor, standardise
from archwright.surrogates._rows import ENCODINGS, Encoding, encode_rows

Array: TypeAlias = NDArray[np.float64]

_SUBSAMPLE = 0.6  # architectures that each tree sees, and features that each split may use: so members differ
_FEATURES = 0.4


@dataclass(frozen=True)
class BoostedTrees(Predictor):
    """An ensemble of gradient-boosted regression trees, each fitted to a random part of the data.

    Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 2001, and "Stochastic
    gradient boosting", 2002; as predictors of architectures in White et al., "How powerful are performance predictors
    in neural architecture search?", NeurIPS 2021. The trees are scikit-learn's. The prediction is the mean over the
    members, the deviation their standard deviation.

    Args:
        encoding: The input of the trees: "path", "vector", "both" or "network"; see `encode_rows`. In a space without
            cells "path" and "both" are "vector".
        members: Number of boosted models, at least 1.
        trees: Number of trees of each, at least 1.
        depth: Maximum depth of a tree, at least 1.
        rate: The learning rate, above 0 and at most 1.

    Raises:
        StrategyError: A setting is out of range.

    Example:
        >>> space, rng = aw.Space(x=aw.integer(0, 9)), np.random.default_rng(0)
        >>> fitted = aw.surrogates.BoostedTrees("vector").fit(space, list(space.enumerate()), np.arange(10.0), rng)
        >>> int(fitted.predict(list(space.enumerate()))[0].argmax())
        9
    """

    encoding: Encoding = "network"
    members: int = 5
    trees: int = 40
    depth: int = 3
    rate: float = 0.2

    def __post_init__(self) -> None:
        check_options(self, encoding=ENCODINGS)
        check_counts(self, "members", "trees", "depth")
        check_positive(self, "rate", most=1)

    def fit(
        self, space: Space, architectures: Sequence[Architecture], scores: Array, rng: np.random.Generator
    ) -> FittedMembers:
        """Learn from measured architectures."""
        from sklearn.ensemble import GradientBoostingRegressor

        standard, centre, spread = standardise(scores)
        rows = encode_rows(space, architectures, self.encoding)
        models = [
            GradientBoostingRegressor(
                n_estimators=self.trees,
                max_depth=self.depth,
                learning_rate=self.rate,
                subsample=_SUBSAMPLE if len(rows) > 1 else 1.0,
                max_features=_FEATURES,
                random_state=seed,
            ).fit(rows, standard)
            for seed in rng.integers(2**31, size=self.members).tolist()
        ]

        def values(architectures: Sequence[Architecture]) -> Array:
            rows = encode_rows(space, architectures, self.encoding)
            return np.array([model.predict(rows) for model in models])

        return FittedMembers(values, centre, spread)
