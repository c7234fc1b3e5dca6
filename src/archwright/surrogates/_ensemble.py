"""Ensembles of multilayer perceptrons."""

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

_BATCH = 256  # architectures of a step of the optimizer, where there are more


@dataclass(frozen=True)
class Ensemble(Predictor):
    """An ensemble of multilayer perceptrons, each with initial weights of its own.

    White, Neiswanger and Savani, "BANANAS: Bayesian optimization with neural architectures for neural architecture
    search", AAAI 2021; Lakshminarayanan et al., "Simple and scalable predictive uncertainty estimation using deep
    ensembles", NeurIPS 2017. The prediction is the mean over the members, the deviation their standard deviation. All
    are trained at once on the mean absolute error; the networks are smaller than those of the paper.

    Args:
        encoding: The input of the networks: "path", "vector", "both" or "network"; see `encode_rows`. In a space
            without cells "path" and "both" are "vector".
        members: Number of networks, at least 1.
        width: Units of a hidden layer, at least 1.
        depth: Number of hidden layers, at least 1.
        steps: Number of optimizer steps, at least 1.
        rate: The first learning rate, above 0.

    Raises:
        StrategyError: A setting is out of range.

    Example:
        >>> space, rng = aw.Space(x=aw.integer(0, 9)), np.random.default_rng(0)
        >>> fitted = aw.surrogates.Ensemble().fit(space, list(space.enumerate()), np.arange(10.0), rng)
        >>> int(fitted.predict(list(space.enumerate()))[0].argmax())
        9
    """

    encoding: Encoding = "network"
    members: int = 5
    width: int = 32
    depth: int = 2
    steps: int = 80
    rate: float = 0.02

    def __post_init__(self) -> None:
        check_options(self, encoding=ENCODINGS)
        check_counts(self, "members", "width", "depth", "steps")
        check_positive(self, "rate")

    def fit(
        self, space: Space, architectures: Sequence[Architecture], scores: Array, rng: np.random.Generator
    ) -> FittedMembers:
        """Learn from measured architectures."""
        import torch

        from archwright.surrogates import _members

        standard, centre, spread = standardise(scores)
        rows = torch.from_numpy(encode_rows(space, architectures, self.encoding))
        seeds = rng.integers(2**31, size=self.members + 1).tolist()
        model = _members.Perceptrons(seeds[1:], rows.shape[1], width=self.width, depth=self.depth)
        wanted = torch.from_numpy(standard).to(rows.dtype)
        _members.train(model, (rows,), wanted, steps=self.steps, rate=self.rate, batch=_BATCH, seed=seeds[0])

        def values(architectures: Sequence[Architecture]) -> Array:
            rows = torch.from_numpy(encode_rows(space, architectures, self.encoding))
            return _members.predict(model, (rows,))

        return FittedMembers(values, centre, spread)
