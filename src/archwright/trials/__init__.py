"""Trials, their history, objectives and constraints."""

from archwright.trials._constraint import Constraint, parse_constraints
from archwright.trials._history import History, Stateful
from archwright.trials._objective import Objective, SoftReward, WeightedSum, canonical, parse_objectives
from archwright.trials._outside import Outside
from archwright.trials._pareto import crowding, dominates, hypervolume, is_on_front, ranks
from archwright.trials._trial import STATES, State, Trial, last_line, metrics_from_json, metrics_to_json

__all__ = [
    "STATES",
    "Constraint",
    "History",
    "Objective",
    "Outside",
    "SoftReward",
    "State",
    "Stateful",
    "Trial",
    "WeightedSum",
    "canonical",
    "crowding",
    "dominates",
    "hypervolume",
    "is_on_front",
    "last_line",
    "metrics_from_json",
    "metrics_to_json",
    "parse_constraints",
    "parse_objectives",
    "ranks",
]
