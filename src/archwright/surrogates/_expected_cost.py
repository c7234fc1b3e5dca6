"""Costs predicted from a few measured networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from archwright.cost import Agreement, Cost
from archwright.errors import CostError, unknown
from archwright.space import Architecture, InputSpec, Space
from archwright.surrogates._network import views
from archwright.surrogates._predictors import PREDICTORS
from archwright.surrogates._ridge import Ridge

_Expect: TypeAlias = Callable[[Sequence[Architecture]], NDArray[np.float64]]
By = Literal["ridge", "boosted-trees", "mlp", "graph", "gaussian-process"]

_PENALTIES = (1e-6, 1e-4, 1e-2)
_TRIES = 50  # draws for each architecture that is wanted, before the space is taken for a small one


class PredictedCost(Cost):
    """A cost that is predicted by regression from a few measured networks, without running the others.

    Random networks are measured, and a predictor is fitted to the logarithms of their costs. The error on held-out
    networks is in `agreement`. It serves as a constraint before training if a measurement takes seconds or needs a
    remote device.

    Dudziak et al., "BRP-NAS: prediction-based NAS using GCNs", NeurIPS 2020, with a graph network.

    Args:
        space: The space that networks are drawn from.
        cost: The measured cost, such as `Latency("onnx")`.
        measured: Number of measured networks to fit, at least 4.
        held_out: Number of further measured networks for `agreement`, at least 3.
        by: The predictor: "ridge", kernel ridge regression on the decisions and features of the cells; or one of
            `archwright.surrogates.PREDICTORS`.
        seed: The random seed.
        example_input: The input of the networks; by default that of the space.

    Attributes:
        agreement: For each metric the agreement of predictions and measurements on the held-out networks.

    Raises:
        UnknownName: No predictor has that name.
        CostError: A count is too small, or the cost of a network is undefined.

    Example:
        >>> space = aw.Space(model=nn.Sequential(nn.LazyLinear(aw.integer(1, 16, name="n"))), example_input=(3,))
        >>> cost = aw.surrogates.PredictedCost(space, aw.cost.Counted(["parameters"]), measured=8, held_out=4)
        >>> round(cost.of(space, aw.Architecture({"n": 8}))["parameters"])
        29
    """

    is_counted = True

    def __init__(
        self,
        space: Space,
        cost: Cost,
        *,
        measured: int = 60,
        held_out: int = 20,
        by: By = "ridge",
        seed: int = 0,
        example_input: InputSpec | None = None,
    ) -> None:
        if by not in get_args(By):
            raise unknown("predictor", by, get_args(By))
        if measured < 4 or held_out < 3:
            raise CostError(f"at least 4 networks are measured and 3 held out; {measured} and {held_out} were given")
        self.metrics = cost.metrics
        self.by = by
        self._space = space
        rng = np.random.default_rng(seed)
        drawn = _distinct(space, measured + held_out, rng)
        rows = cost.of_all(space, drawn, example_input)
        self._names = list(rows[0])
        values = np.log(np.array([[row[name] for name in self._names] for row in rows]))
        known, judged = slice(0, measured), slice(measured, None)
        self._fits = [self._fit(drawn[known], values[known, place], rng) for place in range(len(self._names))]
        expected = np.exp(self._expect(drawn[judged]))
        self.agreement = {
            name: Agreement.of(expected[:, place].tolist(), np.exp(values[judged, place]).tolist())
            for place, name in enumerate(self._names)
        }

    def of(self, space: Space, architecture: Architecture, example_input: InputSpec | None = None) -> dict[str, float]:
        """Return the predicted cost of an architecture's network.

        Raises:
            CostError: The architecture is of another space.
        """
        if space is not self._space and space.fingerprint != self._space.fingerprint:
            raise CostError("these predictions are of another space: make new ones for this")
        values = np.exp(self._expect([architecture]))[0]
        return dict(zip(self._names, map(float, values), strict=True))

    def _fit(self, architectures: list[Architecture], values: NDArray[np.float64], rng: np.random.Generator) -> _Expect:
        if self.by == "ridge":
            see = partial(views, self._space)
            ridge = Ridge(see, architectures, values[:, None], costs=False, penalties=_PENALTIES)
            return lambda asked: ridge.predict(asked)[:, 0]
        fitted = PREDICTORS[self.by]().fit(self._space, architectures, values, rng)
        return lambda asked: fitted.predict(asked)[0]

    def _expect(self, architectures: list[Architecture]) -> NDArray[np.float64]:
        """Return the (n, metrics) expected logarithms."""
        return np.stack([fit(architectures) for fit in self._fits], axis=1)

    def __repr__(self) -> str:
        return f"PredictedCost({', '.join(self._names)} by {self.by})"


def _distinct(space: Space, count: int, rng: np.random.Generator) -> list[Architecture]:
    found: dict[Architecture, None] = {}
    for _ in range(_TRIES * count):
        if len(found) == count:
            return list(found)
        found[space.sample(rng)] = None
    raise CostError(
        f"{count} different networks are wanted, and the space hardly has as many ({len(found)} were found)"
    )
