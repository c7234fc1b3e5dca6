"""Check the shapes of a whole space at once: an open expression is run on the meta device, every option of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from archwright.build._infer import inputs_for
from archwright.build._make import make
from archwright.errors import ArchwrightError, ShapeError
from archwright.space import (
    Apply,
    Call,
    Choice,
    Decision,
    Graph,
    Input,
    Merge,
    Node,
    Repeat,
    Space,
    Subset,
    TensorSpec,
    Value,
    as_specs,
)

__all__ = ["check"]

_ROUNDS = 8
"""How many settings of the decisions that are numbers are tried at most."""


def check(space: Space, example_input: Any) -> None:
    """Check that the options of each choice agree in shape and that the layers fit.

    Each round settles the decisions that are numbers and depths, and runs every option of every choice between modules.
    Rounds go through the values of each decision, so that each is met once where it has no more than eight.

    Args:
        space: The space.
        example_input: What goes into the model.

    Raises:
        ShapeError: The message names the path.
    """
    specs = as_specs(example_input)
    if specs is None or "model" not in space.parts:
        return
    rng = np.random.default_rng(0)
    sizes = [decision.size for decision in space.decisions.values() if not _is_module(decision)]
    rounds = int(min(_ROUNDS, max(sizes, default=1)))
    for index in range(2 * rounds if space.where else rounds):
        settled = _settle(space, index, rng)
        try:
            _run(space, settled, specs, "meta")
        except ArchwrightError:
            _run(space, settled, specs, "cpu")  # raises again, unless the meta device was at fault


def _settle(space: Space, index: int, rng: np.random.Generator) -> dict[str, Value]:
    """Return a value for every decision, active or not; constraints hold for the active ones."""
    settled: dict[str, Value] = {}
    for place, (name, decision) in enumerate(space.decisions.items()):
        if decision.size <= _ROUNDS:
            values = list(decision.values())
            settled[name] = values[(index + (place if index else 0)) % len(values)]
        else:
            settled[name] = decision.sample(rng)
    return settled | dict(space.sample(rng)) if space.where else settled


def _run(space: Space, settled: dict[str, Value], specs: tuple[TensorSpec, ...], device: str) -> None:
    with torch.random.fork_rng(devices=[]), torch.device(device), torch.no_grad():
        probe = _Probe(space, settled)
        probe.apply(space.parts["model"], inputs_for(specs, device), "model")


class _Probe:
    """One round: an interpreter of open expressions over tensors of which only the shape counts."""

    def __init__(self, space: Space, settled: dict[str, Value]) -> None:
        self.space = space
        self.settled = settled
        self.names = {decision: name for name, decision in space.decisions.items()}
        self.memo: dict[Any, Any] = {}

    def apply(self, item: Any, inputs: list[Any], path: str) -> Any:
        """Return what a module of the expression gives for some inputs; None where there is no operation."""
        if item is None:
            return None
        key = (item, str(_shape(inputs)))
        if key not in self.memo:
            self.memo[key] = self._apply(item, inputs, path)
        return self.memo[key]

    def _apply(self, item: Any, inputs: list[Any], path: str) -> Any:
        if isinstance(item, Choice):
            return self._agree(item, lambda part, at: self.apply(part, inputs, at))
        if isinstance(item, Repeat):
            return self._chain(item.chosen(self.settled[self.names[item]]), inputs, self.names[item])
        if isinstance(item, Graph):
            return self._graph(item, inputs, path)
        if isinstance(item, Call) and item.target == "torch.nn.Sequential" and not _is_mapping(item.args):
            return self._chain(item.args, inputs, path)
        if not isinstance(item, Call):
            raise ShapeError(f"{path}: {item!r} stands where a layer is needed")
        try:
            module = make(self._settled_call(item, path))
            if isinstance(module, torch.nn.Module):
                module.eval()
            return module(*inputs)
        except ShapeError:
            raise
        except Exception as error:  # whatever a layer raises, the path must be known
            shapes = ", ".join(map(str, map(_shape, inputs)))
            raise ShapeError(f"{path}: {item!r} on an input of shape {shapes}: {error}") from error

    def _chain(self, items: tuple[Any, ...], inputs: list[Any], path: str) -> Any:
        for index, item in enumerate(items):
            if item is None:
                raise ShapeError(f"{path}.{index}: None stands in a row of layers; write nn.Identity() there")
            inputs = [self.apply(item, inputs, f"{path}.{index}")]
        return inputs[0]

    def _graph(self, graph: Graph, inputs: list[Any], path: str) -> Any:
        path = graph.name or path
        if len(inputs) != len(graph.inputs):
            raise ShapeError(f"{path}: the graph takes {len(graph.inputs)} values and was given {len(inputs)}")
        memo: dict[Node, Any] = dict(zip(graph.inputs, inputs, strict=True))

        def value(item: Any) -> Any:
            if item is None or isinstance(item, Input):
                return None if item is None else memo[item]
            if item not in memo:
                memo[item] = fresh(item)
            return memo[item]

        def fresh(item: Any) -> Any:
            at = f"{path}.{graph.labels.get(item, '')}".rstrip(".")
            if isinstance(item, Choice):
                return self._agree(item, lambda part, _: value(part))
            if isinstance(item, Apply):
                return self.apply(item.module, [value(part) for part in item.inputs], at)
            assert isinstance(item, Merge)
            operands = []
            for part in item.operands:
                if isinstance(part, Subset):
                    every = [value(option) for option in part.options]
                    self._same(every, [f"{at} option {label}" for label in part.labels])
                    operands += every[: max(1, part.low)]
                else:
                    operands.append(value(part))
            present = [operand for operand in operands if operand is not None]
            if not present:
                return memo[graph.inputs[0]]
            if item.kind == "concat":
                return torch.cat(present, dim=1)
            self._same(present, [f"{at} operand {index}" for index in range(len(present))])
            return present[0]

        return value(graph.output)

    def _agree(self, choice: Choice, run: Any) -> Any:
        """Run every option that constraints allow, and compare."""
        name = self.names[choice]
        results, paths = [], []
        for label, option in zip(choice.labels, choice.options, strict=True):
            if label != self.settled[name] and not self._allowed(name, label):
                continue
            at = f"{name}.{label}"
            before = self.settled[name]
            self.settled[name] = label
            results.append(run(option, at))
            self.settled[name] = before
            paths.append(at)
        self._same(results, paths)
        return next((result for result in results if result is not None), None)

    def _same(self, results: list[Any], paths: list[str]) -> None:
        pairs = [(str(_shape(r)), p) for r, p in zip(results, paths, strict=True) if r is not None]
        for shape, path in pairs[1:]:
            if shape != pairs[0][0]:
                raise ShapeError(
                    f"options disagree in shape (the batch is 2): {pairs[0][1]} gives {pairs[0][0]}, {path} gives {shape}"
                )

    def _allowed(self, name: str, label: Value) -> bool:
        if not self.space.where:
            return True
        return self.space.canonical({**self.settled, name: label}) in self.space

    def _settled_call(self, call: Call, path: str) -> Call:
        args = tuple(self._closed(value, f"{path}.{index}") for index, value in enumerate(call.args))
        kwargs = {key: self._closed(value, f"{path}.{key}") for key, value in call.kwargs.items()}
        return Call(call.target, args, kwargs, call.names, call.callee, path)

    def _closed(self, item: Any, path: str) -> Any:
        """Settle the numbers of an argument; modules inside it become probes."""
        if _is_module(item):
            return Call("archwright.build:Probed", (self, item, path), callee=_Probed)
        if isinstance(item, Call):
            return make(self._settled_call(item, path))
        if isinstance(item, Subset):
            return [self._closed(part, path) for part in item.chosen(self.settled[self.names[item]])]
        if isinstance(item, Choice):
            return self._closed(item.chosen(self.settled[self.names[item]])[0], path)
        if isinstance(item, Decision):
            return self.settled[self.names[item]]
        if isinstance(item, list | tuple):
            return type(item)(self._closed(value, f"{path}.{index}") for index, value in enumerate(item))
        if isinstance(item, Mapping):
            return {key: self._closed(value, f"{path}.{key}") for key, value in item.items()}
        return item


class _Probed(torch.nn.Module):
    """Stands for a part of the expression inside a class of the user's own."""

    def __init__(self, probe: _Probe, item: Any, path: str) -> None:
        super().__init__()
        self.run = lambda inputs: probe.apply(item, inputs, path)

    def forward(self, *inputs: Any) -> Any:
        return self.run(list(inputs))


def _is_module(item: Any) -> bool:
    """Tell whether an item stands for modules, rather than for numbers or settings."""
    if isinstance(item, Graph | Repeat):
        return True
    if isinstance(item, Choice):
        return any(_is_module(option) for option in item.options)
    return isinstance(item, Call) and not item.target.startswith(("operator.", "torch.optim."))


def _is_mapping(args: tuple[Any, ...]) -> bool:
    return len(args) == 1 and isinstance(args[0], Mapping)


def _shape(item: Any) -> Any:
    if isinstance(item, torch.Tensor):
        return tuple(item.shape)
    if isinstance(item, list | tuple):
        return [_shape(part) for part in item]
    if isinstance(item, Mapping):
        return {key: _shape(part) for key, part in item.items()}
    return type(item).__name__
