"""A network as a graph of values: its forward pass in evaluation mode, with the shape of each value."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from archwright.supernet._growth import is_hooked

__all__ = ["ADDITIONS", "Traced", "trace"]

ADDITIONS = (operator.add, torch.add)
"""The functions that add up two values."""

_HOLE = "·"  # stands for a value among the arguments of an operation
_IN_PLACE = ("iadd", "isub", "imul", "itruediv", "ifloordiv", "ipow", "setitem")


@dataclass(frozen=True)
class Traced:
    """A network as a graph of values.

    Args:
        root: The network.
        graph: What it computes.
        shapes: The shape of each value, for a batch of two.
        weighted: The names of the layers that hold tensors.
    """

    root: nn.Module
    graph: fx.Graph
    shapes: Mapping[fx.Node, Any]
    weighted: frozenset[str]

    def layer(self, node: fx.Node) -> nn.Module | None:
        """Return the layer that a value is the result of; None where it is of something else."""
        return self.root.get_submodule(str(node.target)) if node.op == "call_module" else None

    def inside(self, name: str) -> set[str]:
        """Return the names of the layers with tensors in a module, which may be one itself."""
        return {each for each in self.weighted if each == name or each.startswith(f"{name}.")}

    def operands(self, node: fx.Node) -> list[fx.Node]:
        """Return the values that a value is computed from, in order; one that is taken twice stands there twice."""
        found: list[fx.Node] = []

        def note(each: fx.Node) -> fx.Node:
            found.append(each)
            return each

        map_arg((node.args, node.kwargs), note)
        return found

    def arguments(self, node: fx.Node) -> Any:
        """Return what a value is computed with besides other values."""
        return map_arg((node.args, node.kwargs), lambda each: _HOLE)

    def is_sum(self, node: fx.Node) -> bool:
        """Tell whether a value is the sum of two others, and nothing else."""
        return node.target in ADDITIONS and self.arguments(node) == ((_HOLE, _HOLE), {})

    def is_pure(self) -> bool:
        """Tell whether the graph says all: no layer has hooks, and no value is overwritten that others look at."""
        if any(map(is_hooked, self.root.modules())):
            return False
        for node in self.graph.nodes:
            name = str(getattr(node.target, "__name__", node.target))
            if node.op in ("call_method", "call_function") and (name in _IN_PLACE or name.endswith("_")):
                return False
            if getattr(node.target, "__module__", "") == "torch.nn.functional" and _is_set(node, "inplace"):
                return False
            if getattr(self.layer(node), "inplace", False):
                source = self.operands(node)[0]
                is_new = str(source.target) in self.weighted or source.target in ADDITIONS
                if not is_new or len(source.users) > 1:
                    return False
        return True


class _Tracer(fx.Tracer):
    """Looks into each module of the user's own whose forward pass is a graph; the others are layers to it."""

    def __init__(self, known: dict[nn.Module, bool]) -> None:
        super().__init__()
        self.known = known

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return not isinstance(m, nn.Sequential) and (
            super().is_leaf_module(m, module_qualified_name) or not self._is_graph(m)
        )

    def _is_graph(self, module: nn.Module) -> bool:
        if module not in self.known:
            try:
                _Tracer(self.known).trace(module)
                self.known[module] = True
            except Exception:  # whatever a forward pass does with what stands for its input
                self.known[module] = False
        return self.known[module]


def _graph_of(root: nn.Module) -> fx.Graph:
    try:
        return fx.Tracer().trace(root)
    except Exception:  # whatever a forward pass does with what stands for its input
        return _Tracer({}).trace(root)  # takes the time to find out which modules are to blame


class _Shapes(fx.Interpreter):
    """Notes the shape of every value."""

    def __init__(self, root: nn.Module, graph: fx.Graph) -> None:
        super().__init__(root, graph=graph)
        self.shapes: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        self.shapes[n] = _shape(result)
        return result


def trace(root: nn.Module, inputs: list[Tensor], weighted: frozenset[str]) -> Traced | None:
    """Return the graph of a network in evaluation mode; None where its forward pass is not one.

    Args:
        root: The network; it is put into evaluation mode.
        inputs: What goes in, a batch for each input.
        weighted: The names of its layers that hold tensors.
    """
    try:
        graph = _graph_of(root.eval())
        shapes = _Shapes(root, graph)
        with torch.no_grad():
            shapes.run(*inputs)
    except Exception:  # whatever a forward pass does with what stands for its input
        return None
    return Traced(root, graph, shapes.shapes, weighted)


def _is_set(node: fx.Node, flag: str) -> bool:
    """Tell whether a function is given a flag by its name, or any flag by its place."""
    return bool(node.kwargs.get(flag)) or any(each is True for each in node.args)


def _shape(item: Any) -> Any:
    if isinstance(item, Tensor):
        return item.shape
    return tuple(map(_shape, item)) if isinstance(item, list | tuple) else item
