"""Measured latency."""

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

_PAUSES = (1.0, 3.0, 9.0)  # seconds until it is measured again where the machine is busy


@dataclass(frozen=True)
class Latency(Cost):
    """Measured latency of a forward pass on a target.

    - "latency_ms": the median milliseconds of a batch.
    - "throughput": samples in a second.

    The network, with initial weights, is warmed up and then timed in rounds; see `time_networks`.

    Args:
        target: The target, or its text: "onnx:threads=1".
        limit: The maximum interquartile range of the rounds, relative to their median, above 0.

    Raises:
        UnknownName: No runtime has that name.
        CostError: A setting is out of range.

    Example:
        >>> latency = aw.cost.Latency("onnx:threads=1")
        >>> latency.target.threads, latency.metrics
        (1, ('latency_ms', 'throughput'))
    """

    target: Target | str = "eager"
    limit: float = 0.3
    metrics = ("latency_ms", "throughput")

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", Target.parse(self.target))
        check_limit(self.limit)

    def check(self, space: Space, example_input: InputSpec | None = None) -> None:
        """Check that the device is present and the runtime installed."""
        check_target(Target.parse(self.target))

    def of(self, space: Space, architecture: Architecture, example_input: InputSpec | None = None) -> dict[str, float]:
        """Return the latency of the network of an architecture.

        Raises:
            CostError: The network does not run on the target, or the device is absent.
            Unsteady: The times vary too much in every repetition.
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
    """Return the latency of a forward pass of each of several networks on a target.

    Rounds of the networks are interleaved, so that temporary slowdowns of the machine affect all alike; processes that
    measure on one machine take turns. If the times vary too much, the measurement is repeated up to three times, a few
    seconds later.

    Args:
        models: The networks; they are not changed.
        specs: The inputs of one sample.
        target: The target.
        limit: The maximum interquartile range of the rounds, relative to their median.

    Raises:
        CostError: A network does not run on the target, or the device is absent.
        Unsteady: The times vary too much in every repetition.
        MissingExtra: The runtime is not installed.

    Example:
        >>> target, specs = aw.cost.Target(batch_size=2), [aw.TensorSpec((4,))]
        >>> (timing,) = aw.cost.time_networks([torch.nn.Linear(4, 3)], specs, target, limit=float("inf"))
        >>> timing.milliseconds > 0
        True
    """
    from archwright.cost._runtimes import call_of

    return _timed(lambda: [call_of(model, specs, target) for model in models], target, limit)


def time_files(
    files: Sequence[Path], specs: Sequence[TensorSpec], target: Target, *, limit: float = 0.1
) -> list[Timing]:
    """Return the latency of a forward pass of the network in each of several ONNX files, as `time_networks`."""
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
