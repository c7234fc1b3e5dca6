"""Tabular benchmarks, and the comparison of strategies."""

from archwright.bench._compare import Entry, compare
from archwright.bench._comparison import Comparison, Result, Run
from archwright.bench._statistics import Ranking, rank
from archwright.bench._table import Benchmark, Table
from archwright.bench._tables import entries, load, tables

__all__ = [
    "Benchmark",
    "Comparison",
    "Entry",
    "Ranking",
    "Result",
    "Run",
    "Table",
    "compare",
    "entries",
    "load",
    "rank",
    "tables",
]
