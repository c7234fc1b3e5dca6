"""Latency, measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright._scalars import is_number, scalar
from archwright.cost._base import Cost, inputs_of
from archwright.cost._target import Target, check_target
from archwright.cost._timing import Timing, time_calls
from archwright.cost._turn import turn
from archwright.errors import CostError, Unsteady
from archwright.space import Architecture, InputSpec, Space, TensorSpec

if TYPE_CHECKING:
    import torch

__all__ = ["Latency", "time_files", "time_networks"]

_PAUSES = (1.0, 3.0, 9.0)  # seconds until it is measured again where the machine is busy


@dataclass(frozen=True)
class Latency(Cost):
    """How long a forward pass takes on a target, measured.

    - "latency_ms": the median milliseconds of a batch.
    - "throughput": samples in a second.

    The network is run until it is warm, then in rounds; see `time_networks`. It has fresh weights: what a network has
    learned does not change how long it takes.

    Args:
        target: On what it runs, or the text of it: "onnx:threads=1".
        limit: The greatest spread that is believed: the distance between the quartiles of the rounds, as a share of
            their median, above 0.

    Raises:
        UnknownName: There is no such runtime.
        CostError: A setting is out of range.
    """

    target: Target | str = "eager"
    limit: float = 0.3
    metrics = ("latency_ms", "throughput")

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", Target.parse(self.target))
        check_limit(self.limit)

    def check(self, space: Space, example_input: InputSpec | None = None) -> None:
        """Refuse a device that is absent and a runtime that is not installed."""
        check_target(Target.parse(self.target))

    def of(self, space: Space, architecture: Architecture, example_input: InputSpec | None = None) -> dict[str, float]:
        """Return the latency of the network of an architecture.

        Raises:
            CostError: The network does not run on the target, or the device is absent.
            Unsteady: The times waver too much, each time.
            MissingExtra: The runtime is not installed.
        """
        (found,) = self.of_all(space, [architecture], example_input)
        return found

    def of_all(
        self, space: Space, architectures: Sequence[Architecture], example_input: InputSpec | None = None
    ) -> list[dict[str, float]]:
        """Return the latencies of several networks, which take turns."""
        from archwright.cost._network import fresh

        specs = inputs_of(space, example_input)
        target = Target.parse(self.target)
        models = [fresh(space, architecture, specs, "cpu") for architecture in architectures]
        return [as_metrics(timing, target) for timing in time_networks(models, specs, target, limit=self.limit)]

    def __repr__(self) -> str:
        return f"Latency({str(self.target)!r})"

    def to_json(self) -> dict[str, Any]:
        """Return its settings."""
        return {"type": "latency", "target": str(self.target), "limit": self.limit}


def time_networks(
    models: Sequence[torch.nn.Module], specs: Sequence[TensorSpec], target: Target, *, limit: float = 0.1
) -> list[Timing]:
    """Return how long a forward pass of each of several networks takes on a target.

    All take turns, so that what slows the machine down for a while slows all of them; and so do processes that measure
    on one machine. Where the times waver too much, they are measured up to three times again, a few seconds later.

    Args:
        models: The networks; they are left as they are.
        specs: What goes in, one sample of it.
        target: On what.
        limit: The greatest spread that is believed.

    Raises:
        CostError: A network does not run on the target, or the device is absent.
        Unsteady: The times waver too much, each time.
        MissingExtra: The runtime is not installed.
    """
    from archwright.cost._runtimes import call_of

    return _timed(lambda: [call_of(model, specs, target) for model in models], target, limit)


def time_files(
    files: Sequence[Path], specs: Sequence[TensorSpec], target: Target, *, limit: float = 0.1
) -> list[Timing]:
    """Return how long a forward pass of the network of each of several ONNX files takes, as `time_networks` does."""
    from archwright.cost._runtimes import call_of_onnx

    return _timed(lambda: [call_of_onnx(file, specs, target) for file in files], target, limit)


def as_metrics(timing: Timing, target: Target) -> dict[str, float]:
    """Return a timing as the metrics of `Latency`."""
    return {"latency_ms": timing.milliseconds, "throughput": target.batch_size / timing.milliseconds * 1e3}


def check_limit(limit: object) -> None:
    """Refuse a limit of the spread that is no number above 0."""
    limit = scalar(limit)
    if not is_number(limit) or not limit > 0:
        raise CostError(f"limit is the greatest spread that is believed, a share above 0, not {limit!r}")


def _timed(make: Callable[[], list[Callable[[], object]]], target: Target, limit: float) -> list[Timing]:
    """Return the times of calls, which are measured again after a while where the machine is busy."""
    from archwright.cost._runtimes import running, watch_of

    with running(target):
        calls, watch = make(), watch_of(target)
        for pause in _PAUSES:
            with suppress(Unsteady), turn():
                return time_calls(calls, limit=limit, watch=watch)
            time.sleep(pause)
        with turn():
            return time_calls(calls, limit=limit, watch=watch)
