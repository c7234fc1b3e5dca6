"""Costs of the options of branches, measured separately."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from archwright.cost import counting
from archwright.supernet._dry_run import observed, visits
from archwright.supernet._execution import Context, Draw
from archwright.supernet._nodes import Visit
from archwright.supernet._sized import SizedLayer

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet

_WARM, _TIMED = 3, 10  # runs before the clock counts, and with it


class Costs(nn.Module):
    """The cost of each option of each branch that has logits."""

    total: Tensor

    def __init__(self, supernet: Supernet, kind: str) -> None:
        super().__init__()
        self.kind = kind  # one of `KINDS`
        self.register_buffer("total", torch.zeros(()))  # with the most expensive option of every branch
        self._keys = {name: name.replace(".", "/") for name in supernet.branches if name in supernet.logits}
        for name, key in self._keys.items():
            self.register_buffer(key, torch.full((len(supernet.logits[name]),), torch.nan))

    @property
    def is_measured(self) -> bool:
        """Whether `measure` was called."""
        return not any(bool(buffer.isnan().any()) for buffer in self.buffers())

    def of(self, name: str) -> Tensor:
        """Return (n,) the costs of the options of a branch: seconds, operations or numbers."""
        return self.get_buffer(self._keys[name])

    @torch.no_grad()
    def measure(self, supernet: Supernet, inputs: Tensor) -> None:
        """Run each option alone, on what it is given when all options run."""
        decisions, engine = supernet.space.decisions, supernet._engine
        values = {name: decision.decode([0.5] * decision.width) for name, decision in decisions.items()}
        if supernet.space.where:
            values |= dict(supernet.space.sample(np.random.default_rng(0)))
        was_training = engine.training
        engine.training = False
        try:
            met = visits(supernet, values, (inputs,))
            for name in self._keys:
                self.of(name).zero_()
            for visit in met:
                if visit.branch.name in self._keys:
                    context = visit.context.drawing(Draw(values))
                    found = [
                        0.0 if node is None else KINDS[self.kind](supernet, node, visit, context)
                        for node in visit.branch.nodes
                    ]
                    self.of(visit.branch.name).add_(torch.tensor(found, device=self.total.device))
        finally:
            engine.training = was_training
        self.total.copy_(torch.stack([self.of(name).max() for name in self._keys]).sum() if self._keys else self.total)

    def expected(self, supernet: Supernet) -> Tensor:
        """Return () the expected cost as a share of the greatest, from 0 to 1."""
        parts = [supernet.logits[name].softmax(0) @ self.of(name).to(supernet.logits[name]) for name in self._keys]
        return torch.stack(parts).sum() / self.total.clamp_min(1e-30) if parts else self.total


def _parameters(supernet: Supernet, node: object, visit: Visit, context: Context) -> float:
    met, _ = observed(supernet, node, visit.inputs, context)
    slots = {
        slot.key: slot.shape.numel()
        for made in met
        if isinstance(made, SizedLayer)
        for slot in made.slots
        if slot.is_parameter
    }
    return float(sum(slots.values()))


def _flops(supernet: Supernet, node: object, visit: Visit, context: Context) -> float:
    with counting() as counter:
        observed(supernet, node, visit.inputs, context)
    return float(counter.get_total_flops())


def _latency(supernet: Supernet, node: object, visit: Visit, context: Context) -> float:
    """Return the median seconds of a forward pass."""
    seconds = []
    is_cuda = visit.inputs[0].is_cuda
    for _ in range(_WARM + _TIMED):
        start = time.perf_counter()
        observed(supernet, node, visit.inputs, context)
        if is_cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[_WARM:])


KINDS: dict[str, Callable[[Supernet, object, Visit, Context], float]] = {
    "latency": _latency,
    "flops": _flops,
    "parameters": _parameters,
}
