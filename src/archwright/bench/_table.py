"""A table of measured networks, as an evaluator."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from archwright.errors import TableError
from archwright.evaluate import Candidate, Evaluator
from archwright.space import Architecture, Space

__all__ = ["Benchmark", "Table"]

Column = NDArray[np.float64]


class Table(Evaluator):
    """Looks networks up. A search sees what they reached in validation; `test` judges what it found.

    Args:
        space: The space that the networks belong to.
        architectures: The networks, one for each row.
        validation: The objective's metric in validation by fidelity, ascending; (rows,) each. The last is the full one.
        test: (rows,) the metric on the test part after the full training; `None` where the table has none.
        seconds: (rows,) how long the full training took; `None` where it is not known.
        metrics: More of each network, such as "parameters".
        objective: "max" or "min", and the name of the metric.
        nearest: Whether a network of the space that has no row is answered by the nearest one that has; see `row`.

    Attributes:
        architectures: The networks, in the order of the rows.
        fidelities: How much training there are results for, in epochs.
        metric: The name of the objective's metric.
        best: The best validation value of all rows.
        best_test: The best test value of all rows; `None` where there is none.

    Raises:
        TableError: Two rows hold the same network.
    """

    def __init__(
        self,
        space: Space,
        architectures: Sequence[Architecture],
        validation: Mapping[int, Column],
        *,
        test: Column | None = None,
        seconds: Column | None = None,
        metrics: Mapping[str, Column] | None = None,
        objective: str = "max accuracy",
        nearest: bool = False,
    ) -> None:
        self.space = space
        self.architectures = architectures
        self.objective = objective
        self.metric = objective.split()[-1]
        self.fidelities = tuple(validation)
        self.nearest = nearest
        self._rows = {architecture: row for row, architecture in enumerate(architectures)}
        if len(self._rows) < len(architectures):
            raise TableError(f"{len(architectures) - len(self._rows):,} networks of the table have more than one row")
        self._validation = validation
        self._test = test
        self._seconds = seconds
        self._metrics = dict(metrics or {})
        self._vectors: Column | None = None
        best = np.nanmax if objective.startswith("max") else np.nanmin
        self.best = float(best(validation[self.fidelities[-1]]))
        self.best_test = None if test is None else float(best(test))

    def evaluate(self, candidate: Candidate) -> dict[str, float]:
        """Return the validation value of the candidate's row, with "seconds" and what else the table knows.

        The seconds of less than the full training are in proportion.

        Raises:
            TableError: The network has no row, or the row lacks the value.
        """
        row = self.row(candidate.architecture)
        fidelity = self.fidelities[-1] if candidate.fidelity is None else candidate.fidelity
        if fidelity not in self._validation:
            allowed = ", ".join(map(str, self.fidelities))
            raise TableError(f"the table has results after {allowed} epochs; fidelity {fidelity} was asked for")
        found = {self.metric: self._validation[fidelity][row]}
        if self._seconds is not None:
            found["seconds"] = self._seconds[row] * fidelity / self.fidelities[-1]
        found |= {name: column[row] for name, column in self._metrics.items()}
        return {name: self._known(name, value, row) for name, value in found.items()}

    def test(self, architecture: Mapping[str, object]) -> float:
        """Return the test value of an architecture after the full training.

        Raises:
            TableError: The table has no test part, or the network has no row.
        """
        if self._test is None:
            raise TableError("this table has no test part")
        row = self.row(architecture)
        return self._known(f"test {self.metric}", self._test[row], row)

    def row(self, architecture: Mapping[str, object]) -> int:
        """Return the row of an architecture.

        With `nearest`, an architecture that is not listed has the row whose vector (`Space.encode`) has the smallest
        sum of absolute differences from its own; the first of several.

        Raises:
            TableError: It has none.
        """
        key = architecture if isinstance(architecture, Architecture) else Architecture(dict(architecture))  # type: ignore[arg-type]
        row = self._rows.get(key)
        if row is not None:
            return row
        if not self.nearest or key not in self.space:
            raise TableError(
                f"{key!r} is not in the table, which lists {len(self._rows):,} networks of {self.space.name!r}"
            )
        if self._vectors is None:
            self._vectors = np.array([self.space.encode(listed) for listed in self.architectures])
        return int(np.abs(self._vectors - self.space.encode(key)).sum(1).argmin())

    def _known(self, name: str, value: float, row: int) -> float:
        if math.isnan(value):
            raise TableError(f"the table has no {name} for {self.architectures[row]!r}")
        return float(value)

    def __repr__(self) -> str:
        """Return what the table holds, in one line."""
        return f"Table({len(self._rows):,} networks of {self.space.name!r}, {self.objective!r})"


@dataclass(frozen=True)
class Benchmark:
    """A table with its name.

    Args:
        name: What the table is called.
        dataset: What its networks were trained on.
        table: The table.
        scale: What differences are multiplied by to be reported: 100 makes percentage points of accuracies.
    """

    name: str
    dataset: str
    table: Table = field(repr=False)
    scale: float = 100.0

    @property
    def space(self) -> Space:
        """The space of the table."""
        return self.table.space
