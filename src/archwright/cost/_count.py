"""Counted costs of networks: parameters, FLOPs, memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archwright._checks import check_counts
from archwright.cost._base import Cost, inputs_of
from archwright.errors import unknown
from archwright.space import Architecture, InputSpec, Space, TensorSpec, as_specs

COUNTED = ("parameters", "trainable_parameters", "flops", "activation_mb", "training_mb", "size_mb")
"""The metrics that are counted."""

_BY_INPUT = frozenset({"flops", "activation_mb", "training_mb"})  # metrics of a pass
_MB = 1e6  # bytes
_REMEMBERED = 100_000  # architectures of a space: searches ask for the same ones again


def measures(space: Space, architecture: Mapping[str, Any]) -> tuple[int, int]:
    """Return the parameters of a network and the FLOPs of a forward pass of one sample, 2 per multiply-add.

    Raises:
        CostError: They cannot be counted, or the input is unknown.

    Example:
        >>> space = aw.Space(model=nn.Linear(4, 3), example_input=(4,))
        >>> aw.cost.measures(space, {})
        (15, 24)
    """
    key = architecture if isinstance(architecture, Architecture) else space.canonical(architecture)
    found = Counted().of(space, key)
    return int(found["parameters"]), int(found["flops"])


@dataclass(frozen=True)
class Counted(Cost):
    """Costs that are counted without running a network.

    - "parameters": number of parameters, frozen ones included.
    - "trainable_parameters": number of parameters that are not frozen (`requires_grad`).
    - "flops": of a forward pass of one sample, 2 per multiply-add; see `count_flops`.
    - "size_mb": size of weights and buffers, and so of the weights file, in megabytes (10^6 bytes).
    - "activation_mb": peak memory of a forward pass without the weights.
    - "training_mb": peak memory of a training step with AdamW: weights, gradients and optimizer states of the trained
      ones, and saved activations.

    Memory is that of the tensors in PyTorch's eager mode, without overhead of the allocator and workspaces of kernels.
    Networks that do not run on the meta device are counted on the CPU: see `on_meta_or_cpu`.

    Args:
        metrics: Names of these metrics.
        batch_size: Batch size of "activation_mb" and "training_mb", at least 1.

    Raises:
        UnknownName: No metric has that name.
        CostError: `batch_size` is not 1 or more.

    Example:
        >>> space = aw.Space(model=nn.Linear(4, 3), example_input=(4,))
        >>> aw.cost.Counted(["parameters", "flops", "size_mb"]).of(space, aw.Architecture({}))
        {'parameters': 15.0, 'flops': 24.0, 'size_mb': 6e-05}
    """

    metrics: tuple[str, ...] = ("parameters", "flops")
    batch_size: int = 1
    is_counted = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", tuple(self.metrics))
        for name in self.metrics:
            if name not in COUNTED:
                raise unknown("counted metric", name, COUNTED)
        check_counts(self, "batch_size")

    def check(self, space: Space, example_input: InputSpec | None = None) -> None:
        """Check that the input is known, if a metric depends on it."""
        if _BY_INPUT & set(self.metrics):
            inputs_of(space, example_input)

    def of(self, space: Space, architecture: Architecture, example_input: InputSpec | None = None) -> dict[str, float]:
        """Return the metrics of a network, which is counted once.

        Raises:
            CostError: It cannot be counted; the message names the layer.
        """
        self.check(space, example_input)
        specs = as_specs(example_input) or space.example_input
        known: dict[Architecture, dict[str, float]] = space.memo.setdefault(("counted", self, specs), {})
        if architecture not in known:
            if len(known) > _REMEMBERED:
                known.clear()
            known[architecture] = self._count(space, architecture, specs)
        return dict(known[architecture])

    def _count(self, space: Space, architecture: Architecture, specs: Sequence[TensorSpec] | None) -> dict[str, float]:
        from torch.nn.parameter import is_lazy

        from archwright.build import drawn_for
        from archwright.cost._flops import count_flops
        from archwright.cost._memory import bytes_of, forward_peak, training_peak
        from archwright.cost._network import fresh, on_meta_or_cpu

        def count(device: str) -> dict[str, float]:
            model = fresh(space, architecture, specs, device)
            if specs is None and any(map(is_lazy, (*model.parameters(), *model.buffers()))):
                inputs_of(space, None)  # raises: lazy layers have no sizes
            inputs = drawn_for(specs or (), size=1, device=device)
            batch = drawn_for(specs or (), size=self.batch_size, device=device)
            how: dict[str, Callable[[], float]] = {
                "parameters": lambda: sum(each.numel() for each in model.parameters()),
                "trainable_parameters": lambda: sum(each.numel() for each in model.parameters() if each.requires_grad),
                "flops": lambda: count_flops(model, inputs),
                "activation_mb": lambda: forward_peak(model, batch) / _MB,
                "training_mb": lambda: training_peak(model, batch) / _MB,
                "size_mb": lambda: bytes_of(model.state_dict().values()) / _MB,
            }
            return {name: float(how[name]()) for name in self.metrics}

        return on_meta_or_cpu(count)

    def __repr__(self) -> str:
        return f"Counted({', '.join(map(repr, self.metrics))})"

    def to_json(self) -> dict[str, Any]:
        """Return its settings."""
        return {"type": "counted", "metrics": list(self.metrics), "batch_size": self.batch_size}
