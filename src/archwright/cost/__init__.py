"""What networks cost: parameters, operations, memory, latency, energy; counted, looked up, or measured."""

from archwright.cost._base import Cost, named_twice
from archwright.cost._count import COUNTED, Counted, count_flops, measures
from archwright.cost._energy import Energy
from archwright.cost._json import cost_from_json
from archwright.cost._latency import Latency, time_files, time_networks
from archwright.cost._published import Published
from archwright.cost._table import Agreement, LatencyTable
from archwright.cost._target import RUNTIMES, Target
from archwright.cost._targets import targets
from archwright.cost._timing import Timing, time_calls

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
    "measures",
    "named_twice",
    "targets",
    "time_calls",
    "time_files",
    "time_networks",
]
