"""The base class of costs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from archwright.errors import ArchwrightError, CostError
from archwright.space import Architecture, InputSpec, Space, TensorSpec, as_specs


class Cost(ABC):
    """Base class of costs: what a network costs, independent of its weights, such as size, FLOPs or latency.

    Attributes:
        metrics: The names of what `of` returns.
        is_counted: Whether it is computed without a measurement. A search then rejects networks that violate a
            constraint on it before they become trials.

    Example:
        >>> class Depth(aw.cost.Cost):
        ...     metrics, is_counted = ("depth",), True
        ...     def of(self, space, architecture, example_input=None):
        ...         return {"depth": len(space.build(architecture))}
        >>> space = aw.Space(model=nn.Sequential(nn.ReLU(), nn.Tanh()))
        >>> Depth().of(space, next(space.enumerate()))
        {'depth': 2}
    """

    metrics: tuple[str, ...] = ()
    is_counted: bool = False
    settings_error: ClassVar[type[ArchwrightError]] = CostError

    def check(self, space: Space, example_input: InputSpec | None = None) -> None:  # noqa: B027 - most serve every space
        """Check before a search that the cost is defined for a space.

        Raises:
            CostError: The device is absent, or the space is not supported.
            MissingExtra: The runtime is not installed.
        """

    @abstractmethod
    def of(self, space: Space, architecture: Architecture, example_input: InputSpec | None = None) -> dict[str, float]:
        """Return the cost of an architecture's network, by the names in `metrics`.

        Args:
            space: The space.
            architecture: One of its architectures.
            example_input: The input of the network for one sample; by default that of the space.

        Raises:
            CostError: The cost is undefined; the message gives the reason.
        """

    def of_all(
        self, space: Space, architectures: Sequence[Architecture], example_input: InputSpec | None = None
    ) -> list[dict[str, float]]:
        """Return the costs of several architectures, measured together for comparison.

        Raises:
            CostError: As `of`.
        """
        return [self.of(space, architecture, example_input) for architecture in architectures]

    def to_json(self) -> dict[str, Any] | None:
        """Return a JSON object for `cost_from_json`, or `None`."""
        return None


def inputs_of(space: Space, example_input: InputSpec | None) -> tuple[TensorSpec, ...]:
    """Return what goes into the networks of a space; CostError where nobody has said."""
    specs = as_specs(example_input) or space.example_input
    if specs is None:
        raise CostError(
            "what a network costs depends on what goes into it: give the space an example_input, such as "
            "Space(..., example_input=(3, 32, 32))"
        )
    return specs


def named_twice(costs: Iterable[Cost]) -> str | None:
    """Return a metric that two costs share, if there is one.

    Example:
        >>> aw.cost.named_twice([aw.cost.Latency("eager"), aw.cost.Latency("onnx")])
        'latency_ms'
    """
    seen: set[str] = set()
    for cost in costs:
        for name in cost.metrics:
            if name in seen:
                return name
            seen.add(name)
    return None
