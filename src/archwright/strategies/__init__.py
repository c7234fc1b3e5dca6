"""Strategies: what to try next, given all that has been tried."""

from archwright.strategies._base import (
    Strategy,
    create,
    entries,
    name_of,
    names,
    options,
    register,
)
from archwright.strategies._evolution import Evolution
from archwright.strategies._grid import Grid
from archwright.strategies._local import LocalSearch
from archwright.strategies._random import Random

__all__ = [
    "Evolution",
    "Grid",
    "LocalSearch",
    "Random",
    "Strategy",
    "create",
    "entries",
    "name_of",
    "names",
    "options",
    "register",
]
