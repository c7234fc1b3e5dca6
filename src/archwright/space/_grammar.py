"""The nodes of recursive parts: the rules of a grammar, and their uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from archwright.space._nodes import Node


@dataclass(frozen=True, eq=False)
class Symbol(Node):
    """A rule's name in the body of a rule: each place where it stands is a new use of the rule.

    Example:
        >>> block = aw.recursive(lambda block: aw.choice(nn.ReLU(), nn.Sequential(block, block)), depth=2)
        >>> block.grammar.symbols
        (block,)
    """

    name: str

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, eq=False)
class Grammar(Node):
    """Rules that use each other.

    Args:
        symbols: The name of each rule.
        bodies: The expression of each rule, with symbols in place of its uses.
        shared: The decisions that are made outside of the rules: all uses have them in common.
        growth: How many uses another use opens on average in a sample.

    Example:
        >>> aw.recursive(lambda block: aw.choice(nn.ReLU(), nn.Sequential(block, block)), depth=2).grammar.bodies
        (choice(ReLU(), Sequential(block, block)),)
    """

    symbols: tuple[Symbol, ...]
    bodies: tuple[Any, ...]
    shared: tuple[Any, ...] = ()
    growth: float = 1.0
    memo: dict[str, Any] = field(default_factory=dict, repr=False)  # what was derived from it

    def __repr__(self) -> str:
        return f"grammar({', '.join(symbol.name for symbol in self.symbols)})"


@dataclass(frozen=True, eq=False)
class Recursive(Node):
    """A use of a rule; it is expanded when it becomes active, and has decisions of its own.

    Args:
        grammar: The rules.
        rule: The name of the rule.
        depth: How many uses may be nested, this one included.

    Example:
        >>> aw.recursive(lambda block: aw.choice(nn.ReLU(), nn.Sequential(block, block)), depth=2)
        recursive(block, depth=2)
    """

    grammar: Grammar
    rule: str
    depth: int
    memo: dict[str, Any] = field(default_factory=dict, repr=False)  # its expansion

    def __repr__(self) -> str:
        return f"recursive({self.rule}, depth={self.depth})"
