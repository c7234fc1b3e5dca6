"""What can be counted on the meta device, where nothing is computed and no memory is taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archwright.cost._base import Cost, inputs_of
from archwright.errors import CostError, unknown
from archwright.space import Architecture, Space, TensorSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["COUNTED", "Counted", "count_flops", "measures"]

COUNTED = ("parameters", "flops", "activation_mb", "training_mb", "size_mb")
"""The metrics that are counted."""

_MB = 1e6  # bytes
_REMEMBERED = 100_000  # architectures of a space: searches ask for the same ones again
_STATES = 2  # numbers that AdamW keeps for each parameter


def measures(space: Space, architecture: Mapping[str, Any]) -> tuple[int, int]:
    """Return the parameters of a network and the FLOPs of one forward pass of one sample, 2 per multiply-add.

    A network is counted once; spaces without an example input have the parameters alone.
    """
    known: dict[Architecture, tuple[int, int]] = space.memo.setdefault("measures", {})
    key = architecture if isinstance(architecture, Architecture) else space.canonical(architecture)
    if key not in known:
        if len(known) > _REMEMBERED:
            known.clear()
        model, inputs = _on_meta(space, key, space.example_input)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        known[key] = parameters, count_flops(model, inputs)
    return known[key]


def count_flops(model: torch.nn.Module, inputs: Sequence[Tensor]) -> int:
    """Return the FLOPs of a forward pass, 2 per multiply-add, of convolutions, products of matrices and attention.

    Args:
        model: A network, best on the meta device: elsewhere fused kernels, such as an LSTM's on the CPU, hide theirs.
        inputs: What goes in.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from archwright.build import ShapesAlone

    with FlopCounterMode(display=False) as counter, torch.no_grad(), ShapesAlone():
        model(*inputs)
    return int(counter.get_total_flops())


@dataclass(frozen=True)
class Counted(Cost):
    """What is known of a network without running it.

    - "parameters": how many numbers it learns.
    - "flops": of a forward pass of one sample, 2 per multiply-add.
    - "size_mb": its weights and buffers, which is what its file comes to, in megabytes (10^6 bytes).
    - "activation_mb": the greatest number of bytes that a forward pass holds at one time besides the weights.
    - "training_mb": the greatest number that a training step with AdamW holds: weights, gradients, the optimizer's
      two numbers for each of them, and what the backward pass needs of the forward pass.

    Memory is that of PyTorch's eager mode, tensor by tensor; what the allocator or a kernel takes besides is not in it.

    Args:
        metrics: Which of these.
        batch_size: How many samples "activation_mb" and "training_mb" are for, at least 1.

    Raises:
        UnknownName: A metric is none of these.
        CostError: `batch_size` is not 1 or more.
    """

    metrics: tuple[str, ...] = ("parameters", "flops")
    batch_size: int = 1
    is_counted = True

    def __post_init__(self) -> None:
        """Check the settings."""
        object.__setattr__(self, "metrics", tuple(self.metrics))
        for name in self.metrics:
            if name not in COUNTED:
                raise unknown("counted metric", name, COUNTED)
        if self.batch_size < 1:
            raise CostError(f"batch_size is a whole number of 1 or more, not {self.batch_size!r}")

    def of(self, space: Space, architecture: Architecture, example_input: TensorSpec | None = None) -> dict[str, float]:
        """Return what was asked for of a network, which is counted once."""
        specs = inputs_of(space, example_input)
        known: dict[Architecture, dict[str, float]] = space.memo.setdefault(("counted", self, specs), {})
        if architecture not in known:
            if len(known) > _REMEMBERED:
                known.clear()
            known[architecture] = self._count(space, architecture, specs)
        return dict(known[architecture])

    def _count(self, space: Space, architecture: Architecture, specs: Sequence[TensorSpec]) -> dict[str, float]:
        model, inputs = _on_meta(space, architecture, specs)
        found: dict[str, float] = {}
        if "parameters" in self.metrics:
            found["parameters"] = float(sum(parameter.numel() for parameter in model.parameters()))
        if "flops" in self.metrics:
            found["flops"] = float(count_flops(model, inputs))
        if "size_mb" in self.metrics:
            found["size_mb"] = _bytes(model.state_dict().values()) / _MB
        if {"activation_mb", "training_mb"} & set(self.metrics):
            inputs = _samples(specs, self.batch_size)
        if "activation_mb" in self.metrics:
            found["activation_mb"] = _forward_peak(model, inputs) / _MB
        if "training_mb" in self.metrics:
            found["training_mb"] = _training_peak(model, inputs) / _MB
        return {name: found[name] for name in self.metrics}

    def __repr__(self) -> str:
        return f"Counted({', '.join(map(repr, self.metrics))})"

    def to_json(self) -> dict[str, Any]:
        """Return its settings."""
        return {"type": "counted", "metrics": list(self.metrics), "batch_size": self.batch_size}


def _on_meta(
    space: Space, architecture: Architecture, specs: Sequence[TensorSpec] | None
) -> tuple[torch.nn.Module, list[Tensor]]:
    """Return the network of an architecture, in evaluation mode, and one sample, both on the meta device."""
    import torch

    with torch.random.fork_rng(devices=()), torch.device("meta"):
        model = space.build(architecture, specs).eval()
    return model, _samples(specs or (), 1)


def _samples(specs: Iterable[TensorSpec], count: int) -> list[Tensor]:
    import torch

    return [torch.zeros((count, *spec.shape), dtype=getattr(torch, spec.dtype), device="meta") for spec in specs]


def _forward_peak(model: torch.nn.Module, inputs: Sequence[Tensor]) -> int:
    import torch

    from archwright.cost._alive import Alive

    alive = Alive(beside=model.state_dict().values())
    with alive, torch.no_grad():
        alive.take(inputs)
        model(*inputs)
    return alive.peak


def _training_peak(model: torch.nn.Module, inputs: Sequence[Tensor]) -> int:
    """Return the most bytes of a step: a forward and a backward pass beside weights and the optimizer's numbers."""
    import torch

    from archwright.cost._alive import Alive

    held = _bytes(model.state_dict().values()) + _STATES * _bytes(model.parameters())
    model.train()
    try:
        alive = Alive(beside=model.state_dict().values())
        with alive, torch.enable_grad():
            alive.take(inputs)
            out = model(*inputs)
            first = out if isinstance(out, torch.Tensor) else next(iter(out))
            first.sum().backward()
            del out, first
            at_step = _bytes(parameter.grad for parameter in model.parameters() if parameter.grad is not None)
    finally:
        model.eval()
        for parameter in model.parameters():
            parameter.grad = None
    return held + max(alive.peak, at_step)


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
