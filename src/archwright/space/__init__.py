"""The search space language, spaces, and architectures; without torch."""

from archwright.space._architecture import Architecture
from archwright.space._code import load_code
from archwright.space._constraints import Predicate
from archwright.space._decisions import Choice, Decision, Integer, Real, Repeat, Subset, Value, choice_of, place_of
from archwright.space._encoding import CellEncoding
from archwright.space._examine import Examination, Problem, examine
from archwright.space._fold import below, children, decisions_in, mapped, walk, with_modules
from archwright.space._functions import tensor_function, write_function
from archwright.space._grammar import Grammar, Recursive, Symbol
from archwright.space._graph import Graph
from archwright.space._language import (
    cell,
    choice,
    graph,
    integer,
    lazy,
    merge,
    ordinal,
    real,
    repeat,
    subset,
    template,
)
from archwright.space._limits import MAX_PARTS
from archwright.space._moves import Crossover
from archwright.space._names import (
    find,
    name_in_torch,
    package_names,
    parameter_names,
    plain,
    restore,
    write_callable,
)
from archwright.space._nodes import (
    STRUCTURE,
    Apply,
    Blank,
    Call,
    Filled,
    Function,
    Input,
    Merge,
    Node,
    applied,
    body_of,
    is_value,
)
from archwright.space._print import describe_size
from archwright.space._program import Program
from archwright.space._resolve import Absent, Resolver
from archwright.space._rules import expansion, recursive, rules
from archwright.space._schema import grammar, json_schema
from archwright.space._space import Space
from archwright.space._spec import InputSpec, TensorSpec, as_specs
from archwright.space._text import last_name, written
from archwright.space._tree import tree_counts

__all__ = [
    "MAX_PARTS",
    "STRUCTURE",
    "Absent",
    "Apply",
    "Architecture",
    "Blank",
    "Call",
    "CellEncoding",
    "Choice",
    "Crossover",
    "Decision",
    "Examination",
    "Filled",
    "Function",
    "Grammar",
    "Graph",
    "Input",
    "InputSpec",
    "Integer",
    "Merge",
    "Node",
    "Predicate",
    "Problem",
    "Program",
    "Real",
    "Recursive",
    "Repeat",
    "Resolver",
    "Space",
    "Subset",
    "Symbol",
    "TensorSpec",
    "Value",
    "applied",
    "as_specs",
    "below",
    "body_of",
    "cell",
    "children",
    "choice",
    "choice_of",
    "decisions_in",
    "describe_size",
    "examine",
    "expansion",
    "find",
    "grammar",
    "graph",
    "integer",
    "is_value",
    "json_schema",
    "last_name",
    "lazy",
    "load_code",
    "mapped",
    "merge",
    "name_in_torch",
    "ordinal",
    "package_names",
    "parameter_names",
    "place_of",
    "plain",
    "real",
    "recursive",
    "repeat",
    "restore",
    "rules",
    "subset",
    "template",
    "tensor_function",
    "tree_counts",
    "walk",
    "with_modules",
    "write_callable",
    "write_function",
    "written",
]
