"""Whether a network that took over weights computes what the network before it did: a proof, value by value.

A value of the child extends one of the parent if its leading part, along every axis, is that value: what was added
stands behind. A layer keeps that up where nothing that was added reaches what was there. So the child's graph is walked
once, and each of its values is found to extend this or that value of the parent, or none.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import fx, nn

from archwright.supernet._growth import (
    PASSING,
    POOLS,
    POSITIVE,
    SLOPED,
    alike,
    can_be_zero,
    differences,
    fits,
    handed,
    is_equal,
    is_local,
    is_of_torch,
    keeps,
)
from archwright.supernet._traced import ADDITIONS, Traced
from archwright.supernet.elastic import own_tensors

__all__ = ["Matched", "Morphism"]

_Starts: TypeAlias = frozenset[tuple[str, int]]
_Claims: TypeAlias = dict["fx.Node | None", _Starts]  # what a value extends, and what that hangs on; None: it is zero

_ON_NOTHING: _Starts = frozenset()
_MOST = 64  # combinations of what the operands of one value extend

_FUNCTIONS = (
    *ADDITIONS,
    *(operator.sub, operator.mul, operator.truediv, torch.sub, torch.mul, torch.div, torch.zeros_like),
    *(torch.relu, torch.tanh, torch.sigmoid, F.relu, F.gelu, F.silu, F.elu),
)
_ZERO_AT_ZERO = (*SLOPED, *POOLS, nn.Flatten)


@dataclass(frozen=True)
class Matched:
    """Which layers of a child are layers of its parent.

    Args:
        layers: The child's layers that took over weights, and the parent's that they are of, by name.
        same: Those of them whose tensors are the parent's, all of them and in the same shapes.
        fresh: The child's layers whose weights are new, and in no other layer, by name.
    """

    layers: Mapping[str, str]
    same: frozenset[str]
    fresh: frozenset[str]


class Morphism:
    """What the values of a child have in common with those of its parent.

    Args:
        child: The network that took over weights, so that what was added to a layer does not reach what was there.
        parent: The network that they are of.
        matched: The layers that they have in common.

    Attributes:
        starts: How new layers have to begin, by name: the number of channels that they hand through, or 0 for zeros.
        is_proved: Whether the child then gives what the parent gives.
    """

    def __init__(self, child: Traced, parent: Traced, matched: Matched) -> None:
        self.child = child
        self.parent = parent
        self.matched = matched
        self.starts: dict[str, int] = {}
        self.is_proved = False
        self._same: dict[fx.Node, fx.Node] = {}  # for each of the parent's values the first one that is equal
        self._users: dict[tuple[fx.Node, ...], list[fx.Node]] = {}
        self._positive: set[fx.Node] = set()
        if child.is_pure() and parent.is_pure():
            for node in parent.graph.nodes:
                self._file(node)
            claims: dict[fx.Node, _Claims] = {}
            for node in child.graph.nodes:
                claims[node] = self._claims(node, [claims[each] for each in child.operands(node)])

    # ------------------------------------------------------------------ the parent

    def _file(self, node: fx.Node) -> None:
        """Put a value of the parent where it is found by what it is computed from."""
        sources = [self._same[each] for each in self.parent.operands(node)]
        layer = self.parent.layer(node)
        if self._passes(layer, sources):
            self._same[node] = sources[0]
            return
        self._same[node] = node
        self._users.setdefault(tuple(sources), []).append(node)
        is_joined = self.parent.is_sum(node) or node.target is torch.cat or isinstance(layer, (*POOLS, nn.Flatten))
        is_rectified = isinstance(layer, POSITIVE) or node.target in (torch.relu, F.relu, torch.sigmoid)
        if is_rectified or (is_joined and all(each in self._positive for each in sources)):
            self._positive.add(node)

    def _passes(self, layer: nn.Module | None, sources: Sequence[fx.Node | None]) -> bool:
        """Tell whether a layer gives values as they are."""
        is_rectified = isinstance(layer, nn.ReLU) and all(each in self._positive for each in sources)
        return isinstance(layer, PASSING) or is_rectified

    # ------------------------------------------------------------------ the child

    def _claims(self, node: fx.Node, given: list[_Claims]) -> _Claims:
        """Return the values of the parent that a value of the child extends."""
        found: _Claims = {}
        for sources, starts in _combined(given):
            for other in self._candidates(node, sources):
                if self._follows(node, other, sources) and self._begin(starts):
                    found[other] = _ON_NOTHING
                    self.is_proved |= node.op == "output"
        layer = self.child.layer(node)
        if self.child.is_sum(node):
            return self._sums(node, *given) | found
        if layer is None or len(given) != 1:
            return found
        for source, starts in given[0].items():
            if self._passes(layer, [source]) or (source is None and isinstance(layer, _ZERO_AT_ZERO)):
                found.setdefault(source, starts)
        if str(node.target) in self.matched.fresh and is_of_torch(layer):
            return self._beginnings(node, layer, given[0]) | found
        return found

    def _candidates(self, node: fx.Node, sources: tuple[fx.Node, ...]) -> list[fx.Node]:
        """Return the values of the parent that are computed from the values extended here."""
        found, turned = self._users.get(sources, []), sources[::-1]
        return found + self._users.get(turned, []) if self.child.is_sum(node) and turned != sources else found

    def _begin(self, starts: _Starts) -> bool:
        """Let layers begin as a claim needs it that is made use of; return whether they can."""
        if len(dict(starts)) < len(starts) or any(self.starts.get(name, start) != start for name, start in starts):
            return False
        self.starts.update(starts)
        return True

    def _sums(self, node: fx.Node, first: _Claims, second: _Claims) -> _Claims:
        """Return what a sum extends of which one operand is zero."""
        shapes = _shapes(self.child, self.child.operands(node))
        if shapes[0] != shapes[1]:
            return {}
        found: _Claims = {}
        for zeros, others in ((first, second), (second, first)):
            if None in zeros:
                found |= {source: starts | zeros[None] for source, starts in others.items()}
        return found

    def _beginnings(self, node: fx.Node, layer: nn.Module, given: _Claims) -> _Claims:
        """Return what a new layer can extend: it can begin by handing through what it is given, or by giving zeros."""
        name = str(node.target)
        found: _Claims = {}
        for source, starts in given.items():
            if source is not None:
                inner, result = _shapes(self.child, [*self.child.operands(node), node])
                count = handed(layer, inner, result, self.parent.shapes[source])
                if count:
                    found[source] = starts | {(name, count)}
        if can_be_zero(layer):
            found[None] = frozenset({(name, 0)})
        return found

    # ------------------------------------------------------------------ both

    def _follows(self, node: fx.Node, other: fx.Node, sources: tuple[fx.Node, ...]) -> bool:
        """Tell whether a value of the child extends one of the parent, if what it is computed from does."""
        if node.op != other.op or self.child.arguments(node) != self.parent.arguments(other):
            return False
        if node.op == "placeholder":
            return _number(self.child, node) == _number(self.parent, other)
        if node.op == "get_attr":
            return self._is_the_same(str(node.target), str(other.target))
        inner, outer = _shapes(self.child, self.child.operands(node)), _shapes(self.parent, sources)
        is_whole = inner == outer
        layer, former_layer = self.child.layer(node), self.parent.layer(other)
        if layer is not None and former_layer is not None:
            return (is_whole and self._is_taken_over(node, other)) or (
                len(inner) == 1 and self._is_kept(node, other, inner[0], outer[0])
            )
        if node.op == "output" or (is_whole and node.target == other.target):
            return is_whole
        if node.target is torch.cat and other.target is torch.cat:
            # What was added stands behind in the last one alone.
            return _axis(node) == 1 and inner[:-1] == outer[:-1] and fits(inner[-1], outer[-1])
        return node.target == other.target and node.target in _FUNCTIONS and len(set(inner)) == len(set(outer)) == 1

    def _is_the_same(self, path: str, other: str) -> bool:
        """Tell whether a tensor that the graph looks at is one of the parent's."""
        (name, _, tensor), (former, _, same) = path.rpartition("."), other.rpartition(".")
        layer, former_layer = self.child.root.get_submodule(name), self.parent.root.get_submodule(former)
        if any(tensor == own for own, _, _ in own_tensors(layer)):
            return tensor == same and self.matched.layers.get(name) == former and name in self.matched.same
        return is_equal(getattr(layer, tensor), getattr(former_layer, same))

    def _is_taken_over(self, node: fx.Node, other: fx.Node) -> bool:
        """Tell whether a module is one of the parent's, with all that is in it."""
        layer, former = self.child.layer(node), self.parent.layer(other)
        assert layer is not None
        assert former is not None
        name, names = str(node.target), self.child.inside(str(node.target))
        return (
            alike(layer, former)
            and len(names) == len(self.parent.inside(str(other.target)))
            and names <= self.matched.same
            and all(self.matched.layers[each] == f"{other.target}{each.removeprefix(name)}" for each in names)
        )

    def _is_kept(self, node: fx.Node, other: fx.Node, inner: Any, outer: Any) -> bool:
        """Tell whether a layer that is given more of the same still gives what it gave, and may give more."""
        layer, former = self.child.layer(node), self.parent.layer(other)
        assert layer is not None
        assert former is not None
        if type(layer) is not type(former) or not is_of_torch(layer) or not isinstance(inner, torch.Size):
            return False
        if self.child.inside(str(node.target)):
            return self.matched.layers.get(str(node.target)) == other.target and keeps(layer, former, inner, outer)
        return not differences(layer, former) and is_local(layer, inner, outer)


def _combined(given: list[_Claims]) -> Iterator[tuple[tuple[fx.Node, ...], _Starts]]:
    """Iterate over what operands may extend together, and what that hangs on."""
    if math.prod(map(len, given)) > _MOST:
        given = [dict(itertools.islice(each.items(), 1)) for each in given]
    for pairs in itertools.product(*(each.items() for each in given)):
        sources = tuple(source for source, _ in pairs if source is not None)
        if len(sources) == len(pairs):
            yield sources, _ON_NOTHING.union(*(starts for _, starts in pairs))


def _shapes(network: Traced, nodes: Iterable[fx.Node]) -> list[Any]:
    return [network.shapes[each] for each in nodes]


def _number(network: Traced, node: fx.Node) -> int:
    return [each for each in network.graph.nodes if each.op == "placeholder"].index(node)


def _axis(node: fx.Node) -> Any:
    """Return the axis along which values are joined."""
    return node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
