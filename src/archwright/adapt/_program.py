"""The best sum of scores under bounds of costs: an integer program over the options of decisions."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import LinearConstraint, milp
from scipy.sparse import lil_matrix

from archwright.errors import StudyError
from archwright.space import Architecture, Space, Value

_TRIES = 20  # programs that are solved until the counted costs keep the bounds
_NOTHING = 1e-9  # share of the whole cost below which two decisions do not touch each other

Costs = Callable[[Architecture], Mapping[str, float]]


@dataclass
class BlockProgram:
    """Chooses an option of each decision: the least sum of losses, with the costs within bounds.

    Each option is judged alone, in the whole network, and losses are added up (Puzzle: Bercovich et al., "Puzzle:
    Distillation-based NAS for inference-optimized LLMs", 2024). The program is solved by `scipy.optimize.milp`::

        minimise    sum_iv loss[i, v] x[i, v]
        subject to  sum_v x[i, v] = 1
                    cost_0 + sum_iv cost[i, v] x[i, v] + sum_ijvw cost[i, v, j, w] y[i, v, j, w] <= bound

    with x in {0, 1}, and y[i, v, j, w] = x[i, v] x[j, w], written by linear constraints. The costs of pairs are
    measured where two decisions touch each other, such as the widths before and after a convolution, if costs are
    counted. What is left (three decisions in one layer) is made up for: the costs of the solution are measured, and the
    bound is tightened until they are within.

    Args:
        space: The space.
        whole: The architecture of the whole network.
        costs: Returns the costs of an architecture.
        bounds: The greatest value of each cost.
        pairs: Whether to measure pairs.

    Example:
        >>> space = aw.Space(a=aw.ordinal(1, 2, 4, name="a"), b=aw.ordinal(1, 2, 4, name="b"))
        >>> whole = aw.Architecture({"a": 4, "b": 4})
        >>> costs = lambda architecture: {"area": float(architecture["a"] * architecture["b"])}
        >>> program = aw.adapt.BlockProgram(space, whole, costs, {"area": 8.0})
        >>> dict(program.solve({("a", 1): 9.0, ("a", 2): 4.0, ("b", 1): 3.0, ("b", 2): 1.0}))
        {'a': 4, 'b': 2}
    """

    space: Space
    whole: Architecture
    costs: Costs
    bounds: Mapping[str, float]
    pairs: bool = True
    _single: dict[tuple[str, Value], dict[str, float]] = field(default_factory=dict)
    _double: dict[tuple[str, Value, str, Value], dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.options: dict[str, list[Value]] = {
            name: list(self.space.decisions[name].values())
            for name in self.whole
            if self.space.decisions[name].size > 1
        }
        self._base = self._measured(self.whole)
        for name, value in self.others():
            self._single[name, value] = self._beyond({name: value})
        if self.pairs:
            for one, two in itertools.combinations(self.options, 2):
                self._measure_pair(one, two)

    def others(self) -> list[tuple[str, Value]]:
        """Return the options that are not those of the whole network, with the names of their decisions."""
        return [(name, each) for name, values in self.options.items() for each in values if each != self.whole[name]]

    def changed(self, changes: Mapping[str, Value]) -> Architecture:
        """Return the architecture of the whole network with some decisions made otherwise."""
        return self.space.canonical({**self.whole, **changes})

    def solve(self, losses: Mapping[tuple[str, Value], float]) -> Architecture:
        """Return the architecture of the least sum of losses that keeps the bounds.

        Args:
            losses: The loss of each of the `others`, by the name of the decision and the option.

        Raises:
            StudyError: Nothing was found within the bounds; the message gives the closest costs.
        """
        tightened = dict(self.bounds)
        closest: dict[str, float] = {}
        for _ in range(_TRIES):
            found = self._solved(losses, tightened)
            if found is None:
                break
            measured = self._measured(found)
            over = {name: measured[name] - bound for name, bound in self.bounds.items() if measured[name] > bound}
            if not over:
                return found
            closest = measured
            for name, excess in over.items():
                tightened[name] -= excess + 1e-6 * abs(self.bounds[name])
        told = ", ".join(f"{name} {self.bounds[name]:g}" for name in self.bounds)
        near = ", ".join(f"{name} {closest[name]:g}" for name in self.bounds if name in closest)
        raise StudyError(f"no sub-network was found within {told}; the closest has {near or 'more'}: raise the bounds")

    # ------------------------------------------------------------------ inside

    def _measured(self, architecture: Architecture) -> dict[str, float]:
        found = self.costs(architecture)
        return {name: float(found[name]) for name in self.bounds}

    def _beyond(self, changes: Mapping[str, Value]) -> dict[str, float]:
        measured = self._measured(self.changed(changes))
        return {name: measured[name] - self._base[name] for name in measured}

    def _measure_pair(self, one: str, two: str) -> None:
        def rest(v: Value, w: Value) -> dict[str, float]:
            both = self._beyond({one: v, two: w})
            return {name: both[name] - self._single[one, v][name] - self._single[two, w][name] for name in both}

        values = [[each for each in self.options[name] if each != self.whole[name]] for name in (one, two)]
        first = rest(values[0][0], values[1][0])
        if all(abs(each) <= _NOTHING * abs(self._base[name]) for name, each in first.items()):
            return
        for v, w in itertools.product(*values):
            self._double[one, v, two, w] = rest(v, w)

    def _solved(self, losses: Mapping[tuple[str, Value], float], bounds: Mapping[str, float]) -> Architecture | None:
        places = {
            (name, each): at for at, (name, each) in enumerate((n, v) for n in self.options for v in self.options[n])
        }
        count, pairs = len(places), list(self._double)
        size = count + len(pairs)
        rows: list[tuple[dict[int, float], float, float]] = []
        for name, values in self.options.items():
            rows.append(({places[name, each]: 1.0 for each in values}, 1.0, 1.0))
        for at, (one, v, two, w) in enumerate(pairs, start=count):
            first, second = places[one, v], places[two, w]
            rows += [({at: 1.0, first: -1.0}, -np.inf, 0.0), ({at: 1.0, second: -1.0}, -np.inf, 0.0)]
            rows.append(({at: 1.0, first: -1.0, second: -1.0}, -1.0, np.inf))
        for name, bound in bounds.items():
            scale = abs(self._base[name]) or 1.0
            row = {places[key]: each[name] / scale for key, each in self._single.items()}
            row |= {at: self._double[pair][name] / scale for at, pair in enumerate(pairs, start=count)}
            rows.append((row, -np.inf, (bound - self._base[name]) / scale))
        matrix = lil_matrix((len(rows), size))
        for index, (row, _, _) in enumerate(rows):
            for at, value in row.items():
                matrix[index, at] = value
        aims = np.zeros(size)
        for key, loss in losses.items():
            aims[places[key]] = loss
        limits: Sequence[Any] = [low for _, low, _ in rows], [high for _, _, high in rows]
        result = milp(
            aims,
            constraints=LinearConstraint(matrix.tocsr(), *limits),
            integrality=np.array([1] * count + [0] * len(pairs)),
            bounds=(0, 1),
        )
        if result.x is None:
            return None
        return self.space.canonical({name: value for (name, value), at in places.items() if result.x[at] > 0.5})
