"""Weight sharing: all architectures of a space in one network."""

from archwright._lazy import lazy
from archwright.supernet import elastic
from archwright.supernet._base import Relaxation, create, entries, name_of, names, register
from archwright.supernet._controller import Controller
from archwright.supernet._diagnose import degeneracy, entropy, nones, share_of_skips, skips
from archwright.supernet._dirichlet import Dirichlet
from archwright.supernet._evaluator import SupernetEvaluator
from archwright.supernet._execution import Draw, Mix
from archwright.supernet._fair import Fair
from archwright.supernet._gates import Gates
from archwright.supernet._gumbel import Gumbel
from archwright.supernet._partial import Partial
from archwright.supernet._path import UniformPath
from archwright.supernet._perturb import perturb
from archwright.supernet._sandwich import Sandwich
from archwright.supernet._softmax import Softmax
from archwright.supernet._supernet import Path, Supernet
from archwright.supernet._trainer import Trainer
from archwright.supernet._weights import Recorder, Slot, independent_of_seed, same_values

__all__ = [
    "Controller",
    "Dirichlet",
    "Draw",
    "Fair",
    "Gates",
    "Gumbel",
    "Mix",
    "Partial",
    "Path",
    "Recorder",
    "Relaxation",
    "Sandwich",
    "Slot",
    "Softmax",
    "Supernet",
    "SupernetEvaluator",
    "Trainer",
    "UniformPath",
    "create",
    "degeneracy",
    "elastic",
    "entries",
    "entropy",
    "independent_of_seed",
    "name_of",
    "names",
    "nones",
    "perturb",
    "register",
    "same_values",
    "share_of_skips",
    "skips",
]

__getattr__ = lazy(__name__, moved=dict.fromkeys(("Inherited", "inherit"), "archwright.morphism"))
