"""The language, the space that is written in it, and architectures. No torch here."""

from archwright.space._architecture import Architecture
from archwright.space._decisions import Choice, Decision, Integer, Real, Repeat, Subset, Value
from archwright.space._encoding import CellEncoding
from archwright.space._json import find
from archwright.space._language import (
    cell,
    choice,
    graph,
    integer,
    lazy,
    merge,
    ordinal,
    parameter_names,
    real,
    repeat,
    subset,
)
from archwright.space._nodes import Apply, Call, Graph, Input, Merge, Node
from archwright.space._print import describe_size
from archwright.space._space import Predicate, Space
from archwright.space._spec import TensorSpec, as_specs

__all__ = [
    "Apply",
    "Architecture",
    "Call",
    "CellEncoding",
    "Choice",
    "Decision",
    "Graph",
    "Input",
    "Integer",
    "Merge",
    "Node",
    "Predicate",
    "Real",
    "Repeat",
    "Space",
    "Subset",
    "TensorSpec",
    "Value",
    "as_specs",
    "cell",
    "choice",
    "describe_size",
    "find",
    "graph",
    "integer",
    "lazy",
    "merge",
    "ordinal",
    "parameter_names",
    "real",
    "repeat",
    "subset",
]
