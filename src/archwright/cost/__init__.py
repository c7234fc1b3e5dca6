"""Costs of networks: parameters, FLOPs, memory, latency, energy, training time; counted, measured, or from tables.

`Costed` adds costs to the metrics of an evaluator; `with_costs` selects those that a search needs.

Importing this package does not load torch; the first use does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archwright._lazy import lazy
from archwright.cost._base import Cost, named_twice
from archwright.cost._costed import Costed
from archwright.cost._count import COUNTED, Counted, measures
from archwright.cost._energy import Energy
from archwright.cost._latency import Latency, time_files, time_networks
from archwright.cost._metrics import as_cost, check_metrics_known, cost_from_json, costs_of, pace_of, with_costs
from archwright.cost._microcontroller import Microcontroller
from archwright.cost._pace import TrainingPace
from archwright.cost._published import Published
from archwright.cost._rank import RankedOptions, rank_options
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
    "Costed",
    "Counted",
    "Energy",
    "Latency",
    "LatencyTable",
    "Microcontroller",
    "Published",
    "RankedOptions",
    "Target",
    "Timing",
    "TrainingPace",
    "as_cost",
    "check_metrics_known",
    "cost_from_json",
    "costs_of",
    "count_flops",
    "counting",
    "measures",
    "named_twice",
    "on_meta_or_cpu",
    "pace_of",
    "rank_options",
    "targets",
    "time_calls",
    "time_files",
    "time_networks",
    "with_costs",
]

__getattr__ = lazy(__name__, {"_flops": ["count_flops", "counting"], "_network": ["on_meta_or_cpu"]})
