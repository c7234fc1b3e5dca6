"""Weight sharing: every architecture of a space in one network."""

from archwright.supernet import elastic
from archwright.supernet._base import Relaxation, create, entries, name_of, names, register
from archwright.supernet._evaluator import SupernetEvaluator
from archwright.supernet._frame import Draw, Mix
from archwright.supernet._path import UniformPath
from archwright.supernet._softmax import Softmax
from archwright.supernet._supernet import Path, Supernet

__all__ = [
    "Draw",
    "Mix",
    "Path",
    "Relaxation",
    "Softmax",
    "Supernet",
    "SupernetEvaluator",
    "UniformPath",
    "create",
    "elastic",
    "entries",
    "name_of",
    "names",
    "register",
]
