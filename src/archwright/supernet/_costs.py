"""What each option of each branch costs, measured once."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from archwright.build._infer import inputs_for
from archwright.supernet._frame import Draw, Frame, Mix

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet

__all__ = ["COSTS", "option_costs"]

COSTS = ("latency", "flops", "params")
"""What can be measured."""

_REPEATS = 7  # timings of an option, after one that warms up


def option_costs(supernet: Supernet, kind: str) -> dict[str, Tensor]:
    """Return what each option of each branch costs, all the places of the branch together.

    Every option is run where it stands, on what arrives there: a batch of two for the latency, which is the median of
    some forward passes on this machine; on the meta device for the others. Sizes are the largest.

    Args:
        supernet: The supernet.
        kind: "latency" in seconds, "flops" (twice the multiply-adds of two samples) or "params".

    Returns:
        (n,) for each branch with logits, by name.
    """
    found = {name: [0.0] * len(logits) for name, logits in supernet.logits.items() if name in supernet.branches}

    def meter(name: str, number: int, run: Callable[[], Any]) -> Any:
        value = run()
        if name in found:
            found[name][number] += _MEASURES[kind](supernet, run)
        return value

    decisions = supernet.space.decisions
    values = {name: decision.decode([1.0] * decision.width) for name, decision in decisions.items()}
    draw = Draw(values, {name: Mix() for name in supernet.branches})
    was_training = supernet.training
    supernet.eval()
    with torch.no_grad(), supernet.metered(meter, discovering=kind != "latency") as root:
        device = "meta" if kind != "latency" else str(next(supernet.bank.parameters(), torch.empty(0)).device)
        root.run(tuple(inputs_for(supernet.example_input, device)), Frame(draw))
    supernet.train(was_training)
    return {name: torch.tensor(costs) for name, costs in found.items()}


def _latency(supernet: Supernet, run: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _flops(supernet: Supernet, run: Callable[[], Any]) -> float:
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def _params(supernet: Supernet, run: Callable[[], Any]) -> float:
    with supernet.tallied() as slots:
        run()
    return float(sum(slot.shape.numel() for slot in slots if slot.is_parameter))


_MEASURES = {"latency": _latency, "flops": _flops, "params": _params}
