"""Latency as the sum of the measured latencies of operations."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archwright.cost._base import Cost, inputs_of
from archwright.cost._latency import check_limit, time_networks
from archwright.cost._target import Target, check_target
from archwright.cost._timing import time_calls
from archwright.cost._turn import turn
from archwright.errors import CostError
from archwright.space import Architecture, InputSpec, Space, TensorSpec

if TYPE_CHECKING:
    from archwright.cost._operations import Operation

_AT_ONCE = 16  # operations that take turns


@dataclass(frozen=True)
class Agreement:
    """Agreement of predicted and measured costs.

    Args:
        count: Number of measured networks.
        spearman: The rank correlation; NaN for fewer than three.
        error: The median relative error.
        bias: The median of predicted / measured; below 1 for underestimates.

    Example:
        >>> agreement = aw.cost.Agreement.of([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
        >>> round(agreement.spearman, 2), agreement.error, agreement.bias
        (1.0, 0.0, 1.0)
    """

    count: int
    spearman: float
    error: float
    bias: float

    @classmethod
    def of(cls, expected: Sequence[float], measured: Sequence[float]) -> Agreement:
        """Return the agreement of two sequences of positive numbers."""
        from scipy.stats import spearmanr  # slow to import

        one, other = np.asarray(expected, dtype=float), np.asarray(measured, dtype=float)
        rank = float(spearmanr(one, other).statistic) if len(one) > 2 else float("nan")
        return cls(len(one), rank, float(np.median(np.abs(one / other - 1))), float(np.median(one / other)))

    def __str__(self) -> str:
        """Return it as a person reads it."""
        return (
            f"{self.count} networks: rank correlation {self.spearman:.3f}, median error {self.error:.0%}, "
            f"{self.bias:.2f} times what was measured"
        )


class LatencyTable(Cost):
    """Latency predicted as the sum of the latencies of the operations, each measured once for a target.

    Cai et al., "ProxylessNAS", ICLR 2019; Wu et al., "FBNet", CVPR 2019. An operation is a layer or function of torch
    with the shapes of its inputs. Missing entries are measured on first use, on this machine. `agreement` compares sums
    with networks measured end to end: if a runtime fuses operations or runs them in parallel, sums are too high, and
    only their order is meaningful.

    Args:
        target: The target, or its text.
        times: Milliseconds by operation, as written by `save`.

    Raises:
        UnknownName: No runtime has that name.
        CostError: The text of the target cannot be parsed.

    Example:
        >>> table = aw.cost.LatencyTable("eager:threads=1", {"ReLU() float32[1, 4]": 0.1})
        >>> space = aw.Space(model=nn.Sequential(nn.ReLU(), nn.ReLU()), example_input=(4,))
        >>> table.of(space, aw.Architecture({}))["latency_ms"]
        0.2
    """

    metrics = ("latency_ms", "throughput")
    is_counted = True

    def __init__(self, target: Target | str = "eager", times: dict[str, float] | None = None) -> None:
        self.target = Target.parse(target)
        self.times = dict(times or {})

    def __len__(self) -> int:
        """Return how many operations it knows."""
        return len(self.times)

    def fill(self, space: Space, architectures: Iterable[Architecture], example_input: InputSpec | None = None) -> int:
        """Measure the operations of architectures that are missing in the table, and return their number.

        Raises:
            CostError: An operation does not run on the target, or the device is absent.
            MissingExtra: The runtime is not installed.
        """
        specs = inputs_of(space, example_input)
        return self._measure(each for one in architectures for each in self._operations(space, one, specs))

    def check(self, space: Space, example_input: InputSpec | None = None) -> None:
        """Check that the device is present and the runtime installed, since operations may have to be measured."""
        check_target(self.target)

    def of(self, space: Space, architecture: Architecture, example_input: InputSpec | None = None) -> dict[str, float]:
        """Return the predicted latency of an architecture's network.

        Raises:
            CostError: A missing operation does not run on the target.
        """
        specs = inputs_of(space, example_input)
        found = self._operations(space, architecture, specs)
        self._measure(found)
        counts = Counter(operation.key for operation in found)
        total = sum(self.times[key] * count for key, count in counts.items())
        return {"latency_ms": total, "throughput": self.target.batch_size / total * 1e3 if total else float("inf")}

    def agreement(
        self,
        space: Space,
        architectures: Sequence[Architecture],
        example_input: InputSpec | None = None,
        *,
        limit: float = 0.1,
    ) -> Agreement:
        """Measure networks end to end, and return their agreement with the predictions.

        Args:
            space: The space.
            architectures: The architectures; they should differ from those that filled the table.
            example_input: The input of the networks; by default that of the space.
            limit: The maximum interquartile range of the rounds, relative to their median.

        Raises:
            CostError: The times vary too much, or a network does not run on the target.
        """
        from archwright.cost._network import fresh

        check_limit(limit)
        specs = inputs_of(space, example_input)
        expected = [self.of(space, architecture, example_input)["latency_ms"] for architecture in architectures]
        models = [fresh(space, architecture, specs, "cpu") for architecture in architectures]
        return Agreement.of(
            expected, [timing.milliseconds for timing in time_networks(models, specs, self.target, limit=limit)]
        )

    def to_json(self) -> dict[str, Any]:
        """Return the table as a JSON object."""
        return {"type": "latency-table", "target": str(self.target), "milliseconds": dict(self.times)}

    def save(self, path: str | Path) -> None:
        """Write the table as JSON."""
        Path(path).write_text(json.dumps(self.to_json(), indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> LatencyTable:
        """Return the table written by `save`.

        Raises:
            CostError: The file is not such a table.
        """
        try:
            document: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(document["target"], {key: float(value) for key, value in document["milliseconds"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CostError(f"{path} holds no latency table, as LatencyTable.save writes it: {error!r}") from error

    def _operations(self, space: Space, architecture: Architecture, specs: Sequence[TensorSpec]) -> list[Operation]:
        from archwright.build import drawn_for
        from archwright.cost._network import fresh, on_meta_or_cpu
        from archwright.cost._operations import operations

        def listed(device: str) -> list[Operation]:
            model = fresh(space, architecture, specs, device)
            return operations(model, drawn_for(specs, size=self.target.batch_size, device=device))

        return on_meta_or_cpu(listed)

    def _measure(self, operations: Iterable[Operation]) -> int:
        """Measure those of operations that are not in the table yet, and return how many those were."""
        missing = list({each.key: each for each in operations if each.key not in self.times}.values())
        if not missing:
            return 0
        from archwright.cost._runtimes import call_of_operation, running, watch_of

        with running(self.target):
            for start in range(0, len(missing), _AT_ONCE):
                part = missing[start : start + _AT_ONCE]
                # Operations of microseconds waver by themselves: their sum counts, and `agreement` judges it.
                calls = [call_of_operation(operation, self.target) for operation in part]
                with turn():
                    timings = time_calls(calls, limit=math.inf, watch=watch_of(self.target))
                for operation, timing in zip(part, timings, strict=True):
                    self.times[operation.key] = timing.milliseconds
        return len(missing)

    def __repr__(self) -> str:
        return f"LatencyTable({str(self.target)!r}, {len(self)} operations)"
