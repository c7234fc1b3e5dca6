"""What networks cost: parameters, operations, memory, latency, energy; counted, looked up, or measured.

Importing this room loads no torch; the first use does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from archwright.cost._base import Cost, named_twice
from archwright.cost._count import COUNTED, Counted, measures
from archwright.cost._energy import Energy
from archwright.cost._json import cost_from_json
from archwright.cost._latency import Latency, time_files, time_networks
from archwright.cost._published import Published
from archwright.cost._table import Agreement, LatencyTable
from archwright.cost._target import RUNTIMES, Target
from archwright.cost._targets import targets
from archwright.cost._timing import Timing, time_calls

if TYPE_CHECKING:
    from archwright.cost._flops import count_flops, counting
    from archwright.cost._network import on_meta_or_cpu

__all__ = [
    "COUNTED",
    "RUNTIMES",
    "Agreement",
    "Cost",
    "Counted",
    "Energy",
    "Latency",
    "LatencyTable",
    "Published",
    "Target",
    "Timing",
    "cost_from_json",
    "count_flops",
    "counting",
    "measures",
    "named_twice",
    "on_meta_or_cpu",
    "targets",
    "time_calls",
    "time_files",
    "time_networks",
]


_ROOMS = {"count_flops": "_flops", "counting": "_flops", "on_meta_or_cpu": "_network"}


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is asked for."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)
