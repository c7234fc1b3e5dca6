"""Costs that were written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archwright.cost._base import Cost
from archwright.cost._count import Counted
from archwright.cost._energy import Energy
from archwright.cost._latency import Latency
from archwright.cost._published import Published
from archwright.cost._table import LatencyTable
from archwright.errors import CostError

__all__ = ["cost_from_json"]


def cost_from_json(written: Mapping[str, Any]) -> Cost:
    """Return the cost that `Cost.to_json` wrote.

    Raises:
        CostError: It is none of those of this room.
    """
    kind = written.get("type")
    if kind == "counted":
        return Counted(tuple(written["metrics"]), written["batch_size"])
    if kind == "latency":
        return Latency(written["target"], written["limit"])
    if kind == "energy":
        return Energy(written["target"], written["seconds"])
    if kind == "latency-table":
        return LatencyTable(written["target"], written["milliseconds"])
    if kind == "published":
        return Published(written["device"])
    raise CostError(f"this is no cost written down: {dict(written)!r}")
