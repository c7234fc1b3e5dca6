"""Tabular benchmarks as evaluators."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from archwright._words import counted
from archwright.errors import EvaluationError, TableError
from archwright.evaluate import Candidate, Evaluator, Fidelity
from archwright.space import Architecture, Space

Column = NDArray[np.float64]


class Table(Evaluator):
    """Tabular benchmark: an evaluator that looks up validation values; `test` returns the test value.

    Missing entries (NaN) are not imputed. A missing validation value, time or test value is an error; another missing
    metric is omitted.

    Args:
        space: The space of the networks.
        architectures: The networks, one for each row.
        validation: The objective's validation metric by epochs, ascending; (rows,) each. The last is that of the full
            training.
        test: (rows,) the test metric after the full training, or `None`.
        seconds: (rows,) duration of the full training, of which shorter ones take their share; or durations by epochs;
            `None` if unknown.
        metrics: Further metrics, such as "parameters"; (rows,) each.
        objective: "max" or "min", and the name of the metric.
        nearest: The treatment of networks without a row: an error; the nearest row, see `row`; or the row returned by a
            function of the architecture.
        key: A function that maps architectures with the same network to the same key.
        keys: The keys of the rows; by default those that `key` returns.
        failed: Rows of networks whose training failed, with the reasons. Without a validation value the evaluation
            fails likewise.

    Attributes:
        architectures: The networks, in the order of the rows.
        epochs: The numbers of epochs with results, ascending; the last is the full training.
        fidelities: The corresponding fidelities; empty if there is one result only.
        metric: The name of the objective's metric.
        best: The best validation value of all rows.
        best_test: The best test value of all rows, or `None`.

    Raises:
        TableError: Two rows have the same network, there are no rows, or none has a validation value.

    Example:
        >>> space = aw.Space(x=aw.ordinal(1, 2, 3))
        >>> table = aw.bench.Table(space, list(space.enumerate()), {10: [0.7, 0.9, 0.8]}, test=[0.6, 0.8, 0.7])
        >>> study = aw.search(space, table, strategy="grid", budget=aw.Budget(trials=3))
        >>> study.best.architecture["x"], table.test(study.best.architecture)
        (2, 0.8)
    """

    def __init__(
        self,
        space: Space,
        architectures: Sequence[Architecture],
        validation: Mapping[int, Column],
        *,
        test: Column | None = None,
        seconds: Column | Mapping[int, Column] | None = None,
        metrics: Mapping[str, Column] | None = None,
        objective: str = "max accuracy",
        nearest: bool | Callable[[Architecture], int] = False,
        key: Callable[[Architecture], Hashable] | None = None,
        keys: Sequence[Hashable] | None = None,
        failed: Mapping[int, str] | None = None,
    ) -> None:
        if not len(architectures):
            raise TableError("the table has no rows")
        self.space = space
        self.architectures = architectures
        self.objective = objective
        self.metric = objective.split()[-1]
        self.epochs = tuple(validation)
        if len(self.epochs) > 1:
            values = tuple(map(float, self.epochs))
            self.fidelities = {"epochs": Fidelity(values[0], values[-1], whole=True, values=values)}
        self.nearest = nearest
        self._key = key
        if keys is None:
            keys = architectures if key is None else list(map(key, architectures))
        self._rows = {found: row for row, found in enumerate(keys)}
        if len(self._rows) < len(architectures):
            twice = len(architectures) - len(self._rows)
            have = "network of the table has" if twice == 1 else "networks of the table have"
            raise TableError(f"{twice:,} {have} more than one row")
        self._validation = validation
        self._test = None if test is None or np.isnan(test).all() else test
        last = self.epochs[-1]
        if np.isnan(validation[last]).all():
            raise TableError(f"no network of the table has its {self.metric} after {counted(last, 'epoch')}")
        if isinstance(seconds, np.ndarray):
            seconds = {epochs: seconds * (epochs / last) for epochs in self.epochs}
        self._seconds = seconds
        self._metrics = dict(metrics or {})
        self._failed = dict(failed or {})
        self._vectors: Column | None = None
        best = np.nanmax if objective.startswith("max") else np.nanmin
        self.best = float(best(validation[last]))
        self.best_test = None if self._test is None else float(best(self._test))

    def evaluate(self, candidate: Candidate) -> dict[str, float]:
        """Return the validation value of the candidate's row, with "seconds" and the other metrics.

        Results after fewer epochs, up to the candidate's fidelity, are reported as its learning curve, with the
        "seconds" until then.

        Raises:
            Stopped: The candidate is stopped at one of these reports.
            TableError: The network has no row, the row lacks the value, or there are no results at the fidelity.
            EvaluationError: The training of this network failed.
        """
        row = self.row(candidate.architecture)
        epochs = int((candidate.fidelity or {}).get("epochs", self.epochs[-1]))
        if epochs not in self._validation:
            allowed = ", ".join(map(str, self.epochs))
            raise TableError(f"the table has results after {allowed} epochs; those after {epochs} were asked for")
        self._report(candidate, row, epochs)
        value = self._validation[epochs][row]
        if row in self._failed and math.isnan(value):
            raise EvaluationError(f"the training of {self.architectures[row]!r} failed: {self._failed[row]}")
        found = {self.metric: self._known(self.metric, value, row)}
        if self._seconds is not None:
            found["seconds"] = self._known("seconds", self._seconds[epochs][row], row)
        others = {name: float(column[row]) for name, column in self._metrics.items()}
        return found | {name: other for name, other in others.items() if not math.isnan(other)}

    @property
    def mean_seconds(self) -> float | None:
        """The mean duration of a full training over the rows; `None` if unknown."""
        return None if self._seconds is None else float(np.nanmean(self._seconds[self.epochs[-1]]))

    def test(self, architecture: Mapping[str, object]) -> float:
        """Return the test value of an architecture after the full training.

        Raises:
            TableError: The table has no test values, the network has no row, or the row lacks the value.
        """
        if self._test is None:
            raise TableError("this table has no test part")
        row = self.row(architecture)
        return self._known(f"test {self.metric}", self._test[row], row)

    def row(self, architecture: Mapping[str, object]) -> int:
        """Return the index of an architecture's row.

        With `nearest=True`, for an architecture without a row it is the first row whose vector (`Space.encode`) has the
        smallest L1 distance.

        Raises:
            TableError: The architecture has no row.
        """
        known = architecture if isinstance(architecture, Architecture) else Architecture(dict(architecture))  # type: ignore[arg-type]
        if self._key is None:
            row = self._rows.get(known)
            if row is not None:
                return row
        if known not in self.space:
            raise TableError(f"{known!r} is not of the space {self.space.name!r}, whose networks the table lists")
        if self._key is not None:
            row = self._rows.get(self._key(known))
            if row is not None:
                return row
        if not self.nearest:
            rows = counted(len(self._rows), "network")
            raise TableError(f"{known!r} is not in the table, which lists {rows} of {self.space.name!r}")
        return self._nearest(known) if self.nearest is True else self.nearest(known)

    def _report(self, candidate: Candidate, row: int, last: int) -> None:
        """Put the points of a row up to so many epochs on a candidate's curve, without those that are empty.

        Nothing is asked at the last, nor at those up to which the evaluation has come that this one goes on from.
        """
        before = candidate.stages[-2].get("epochs", 0) if len(candidate.stages) > 1 else 0
        for epochs in self.epochs if len(self.epochs) > 1 else ():
            columns = {self.metric: self._validation[epochs]}
            if self._seconds is not None:
                columns["seconds"] = self._seconds[epochs]
            point = {name: float(column[row]) for name, column in columns.items() if not math.isnan(column[row])}
            if epochs <= last and self.metric in point:
                tell = candidate.report if before < epochs < last else candidate.record
                tell(epochs, **point)

    def _nearest(self, architecture: Architecture) -> int:
        if self._vectors is None:
            self._vectors = np.array([self.space.encode(listed) for listed in self.architectures])
        return int(np.abs(self._vectors - self.space.encode(architecture)).sum(1).argmin())

    def _known(self, name: str, value: float, row: int) -> float:
        if math.isnan(value):
            raise TableError(f"the table has no {name} for {self.architectures[row]!r}")
        return float(value)

    def __repr__(self) -> str:
        """Return what the table holds, in one line."""
        return f"Table({counted(len(self._rows), 'network')} of {self.space.name!r}, {self.objective!r})"


@dataclass(frozen=True)
class Benchmark:
    """A named table.

    Args:
        name: The name of the table.
        dataset: The data set of the training.
        table: The table.
        scale: The factor of reported differences: 100 for percentage points.

    Example:
        >>> benchmark = aw.bench.load("digits-cells")
        >>> len(benchmark.table.architectures), benchmark.table.metric
        (1458, 'accuracy')
    """

    name: str
    dataset: str
    table: Table = field(repr=False)
    scale: float = 100.0

    @property
    def space(self) -> Space:
        """The space of the table."""
        return self.table.space
