"""Schedulers: fidelities, promotions and early stopping of trials."""

from archwright.schedulers._asha import ASHA
from archwright.schedulers._base import (
    Assignment,
    Curve,
    Scheduler,
    create,
    entries,
    name_of,
    names,
    options,
    register,
    scores,
)
from archwright.schedulers._bohb import BOHB
from archwright.schedulers._dehb import DEHB
from archwright.schedulers._full import Full
from archwright.schedulers._halving import SuccessiveHalving
from archwright.schedulers._hyperband import Hyperband
from archwright.schedulers._ladder import Ladder, Range, narrowed
from archwright.schedulers._median import Median
from archwright.schedulers._pasha import PASHA
from archwright.schedulers._patience import Patience

__all__ = [
    "ASHA",
    "BOHB",
    "DEHB",
    "PASHA",
    "Assignment",
    "Curve",
    "Full",
    "Hyperband",
    "Ladder",
    "Median",
    "Patience",
    "Range",
    "Scheduler",
    "SuccessiveHalving",
    "create",
    "entries",
    "name_of",
    "names",
    "narrowed",
    "options",
    "register",
    "scores",
]
