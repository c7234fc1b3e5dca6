"""Run an open expression with every option of its choices, to see which shapes come out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch

from archwright.build._infer import innermost
from archwright.build._make import headline, make
from archwright.errors import ArchwrightError, ShapeError
from archwright.space import (
    Apply,
    Blank,
    Call,
    Choice,
    Decision,
    Filled,
    Graph,
    Merge,
    Node,
    Repeat,
    Space,
    Subset,
    Value,
    children,
    compute,
    find,
    is_value,
    plain,
    written,
)

__all__ = ["Probe", "is_layer", "is_row", "is_run_whole"]


class Probe:
    """An interpreter of open expressions over tensors of which only the shape counts.

    Args:
        space: The space of the expression.
        settled: A value for each decision, active or not. Those of numbers and depths are taken as they are; of choices
            between modules or values every option is run that constraints allow.
    """

    def __init__(self, space: Space, settled: Mapping[str, Value]) -> None:
        self._space = space
        self._settled = dict(settled)
        self._names = {decision: name for name, decision in space.decisions.items()}
        self._memo: dict[Any, Any] = {}
        self._absent: dict[int, tuple[Any, dict[str, Value] | None]] = {}
        self._filled: Mapping[Blank, Any] = {}

    def apply(self, item: Any, inputs: list[Any], path: str) -> Any:
        """Return what a module of the expression gives for some inputs; None where there is no operation.

        Raises:
            ShapeError: Something does not fit; the message names the path.
        """
        filled = tuple((blank, repr(value)) for blank, value in self._filled.items())
        key = (id(item), str(_shape(inputs)), filled)
        if key not in self._memo:
            self._memo[key] = item, self._apply(item, inputs, path)  # with the item, so that no other gets its id
        return self._memo[key][1]

    def _apply(self, item: Any, inputs: list[Any], path: str) -> Any:
        if item is None:
            return None
        if isinstance(item, Choice):
            return self._agree(item, lambda option, at: self.apply(option, inputs, at))
        if isinstance(item, Repeat):
            return self._row(item.chosen(self._settled[self._names[item]]), inputs, self._names[item])
        if isinstance(item, Graph):
            return self._graph(item, inputs, item.name or path)
        if isinstance(item, Filled):
            return self._within(self._fill(item, path), lambda: self.apply(item.body, inputs, path))
        if is_row(item):
            return self._row(item.args, inputs, path)
        if isinstance(item, Call):
            return self._layer(item, inputs, path)
        raise ShapeError(f"{path}: {written(item)} stands where a layer is needed")

    # ------------------------------------------------------------------ layers

    def _row(self, items: tuple[Any, ...], inputs: list[Any], path: str) -> Any:
        if len(inputs) != 1:
            raise ShapeError(f"{path}: a row of layers takes one value and was given {len(inputs)}")
        for index, item in enumerate(items):
            nothing = self._nothing(item)
            if nothing is not None and self._is_allowed(nothing):
                raise ShapeError(f"{path}.{index}: None stands in a row of layers; write nn.Identity() there")
            inputs = [self.apply(item, inputs, f"{path}.{index}")]
        return inputs[0]

    def _layer(self, call: Call, inputs: list[Any], path: str) -> Any:
        """Make a layer and run it.

        Choices between modules among what it takes are run whole inside it. A layer that looks into what it takes, and
        does more than call it, is given real modules instead, one option after the other.
        """
        choices = _choices(call)
        made: dict[int, tuple[Any, str]] = {}
        try:
            return self._once(call, inputs, path, made, whole=True)
        except ShapeError:
            raise
        except Exception as error:  # whatever a layer raises, the path must be known
            if not choices:
                raise _failure(error, call, inputs, path, made) from error

        def run(_: Any, at: str) -> Any:
            made: dict[int, tuple[Any, str]] = {}
            try:
                return self._once(call, inputs, path, made, whole=False)
            except ShapeError:
                raise
            except Exception as error:
                raise _failure(error, call, inputs, f"{path}, with {at}", made) from error

        results = [self._agree(choice, run) for choice in choices]
        return results[0]

    def _once(self, call: Call, inputs: list[Any], path: str, made: dict[int, tuple[Any, str]], *, whole: bool) -> Any:
        def note(call: Call, result: Any) -> None:
            made[id(result)] = (result, f"{call.path}: {headline(call)}")

        layer = make(self._close(call, path, whole), note)
        if isinstance(layer, torch.nn.Module):
            layer.eval()
        return layer(*inputs)

    def _close(self, item: Any, path: str, whole: bool = True) -> Any:
        """Return an item with the numbers in it settled, and with its modules to be run whole, or settled too."""
        if isinstance(item, Graph) or (whole and _is_open(item)):
            return Call("", callee=self._stand_in(item, path))
        if isinstance(item, Call):
            places = list(children(item))
            closed = [self._close(part, f"{path}.{place}", whole) for place, part in places]
            if item.target.startswith("operator."):
                return compute(item, closed, path)
            n = len(item.args)
            kwargs = {place: value for (place, _), value in zip(places[n:], closed[n:], strict=True)}
            return Call(item.target, tuple(closed[:n]), kwargs, item.names, item.callee, path)
        if isinstance(item, Filled):
            return self._within(self._fill(item, path), lambda: self._close(item.body, path, whole))
        if isinstance(item, Blank):
            if item not in self._filled:
                raise ShapeError(f"{path}: the blank {item.name!r} stands outside of its template")
            return self._filled[item]
        if isinstance(item, Choice):
            return self._close(item.chosen(self._settled[self._names[item]])[0], path, whole)
        if isinstance(item, Subset):
            return self._close(list(item.chosen(self._settled[self._names[item]])), path, whole)
        if isinstance(item, Repeat):
            row = Call("torch.nn.Sequential", item.chosen(self._settled[self._names[item]]))
            return self._close(row, path, whole)
        if isinstance(item, Decision):
            return self._settled[self._names[item]]
        if isinstance(item, list | tuple):
            return type(item)(self._close(part, f"{path}.{index}", whole) for index, part in enumerate(item))
        if isinstance(item, Mapping):
            return {key: self._close(part, f"{path}.{key}", whole) for key, part in item.items()}
        return plain(item)

    def _stand_in(self, item: Any, path: str) -> Callable[[], torch.nn.Module]:
        filled = self._filled
        return lambda: _StandIn(lambda inputs: self._within(filled, lambda: self.apply(item, inputs, path)))

    def _fill(self, item: Filled, path: str) -> Mapping[Blank, Any]:
        values = [self._close(value, f"{path}.{blank}") for blank, value in zip(item.blanks, item.values, strict=True)]
        return {**self._filled, **dict(zip(item.blanks, values, strict=True))}

    def _within(self, filled: Mapping[Blank, Any], run: Callable[[], Any]) -> Any:
        """Run something with the blanks of templates filled in."""
        outside, self._filled = self._filled, filled
        try:
            return run()
        finally:
            self._filled = outside

    # ------------------------------------------------------------------ graphs

    def _graph(self, graph: Graph, inputs: list[Any], path: str) -> Any:
        if len(inputs) != len(graph.inputs):
            raise ShapeError(f"{path}: the graph takes {len(graph.inputs)} values and was given {len(inputs)}")
        memo: dict[Node, Any] = dict(zip(graph.inputs, inputs, strict=True))

        def value(item: Any) -> Any:
            if item is not None and item not in memo:
                memo[item] = fresh(item)
            return None if item is None else memo[item]

        def values(item: Any, at: str, kind: str) -> list[tuple[str, Any]]:
            """Return what an operand stands for: as many options of a subset as it takes at least, else one value."""
            if not isinstance(item, Subset):
                return [(f"{path}.{graph.labels[item]}" if item in graph.labels else at, value(item))]
            every = [found for option in item.options for found in values(option, at, kind)]
            if kind != "concat":
                _same(every)
            return every[: max(1, item.low)]

        def fresh(item: Any) -> Any:
            at = f"{path}.{graph.labels.get(item, '')}".rstrip(".")
            if isinstance(item, Choice):
                return self._agree(item, lambda option, _: value(option))
            if isinstance(item, Apply):
                return self.apply(item.module, [value(part) for part in item.inputs], at)
            operands = [
                found
                for index, part in enumerate(item.operands)
                for found in values(part, f"{at} operand {index}", item.kind)
            ]
            result = _merged(item.kind, operands, at)
            zeros = self._zeros_like(item, graph)
            if zeros is not None and result is not None and item.kind != "concat":
                shapes = _shape(value(zeros)), _shape(result)
                if shapes[0] != shapes[1]:
                    raise ShapeError(
                        f"{at}: where every operation is None the result is zeros in the shape of what went in, "
                        f"{shapes[0]}, and otherwise it is {shapes[1]}; write an operation that gives zeros instead"
                    )
            return value(graph.inputs[0]) if result is None else result

        for item in graph.always():
            value(item)
        return value(graph.output)

    def _zeros_like(self, merge: Merge, graph: Graph) -> Any:
        """Return the value whose shape a merge has where all its operands are absent; None where they never are."""
        together: dict[str, Value] = {}
        for operand in merge.operands:
            absent = self._nothing(operand)
            if absent is None or any(together.get(name, value) != value for name, value in absent.items()):
                return None
            together |= absent
        if not self._is_allowed(together):
            return None
        first = merge.operands[0]
        while isinstance(first, Choice | Subset):
            chosen = first.chosen(together[self._names[first]])
            first = chosen[0] if chosen else None
        return first.inputs[0] if isinstance(first, Apply) else graph.inputs[0]

    def _nothing(self, item: Any) -> dict[str, Value] | None:
        """Return decisions under which there is no operation or no value; None where there is always one."""
        if id(item) not in self._absent:
            self._absent[id(item)] = item, self._without(item)
        return self._absent[id(item)][1]

    def _without(self, item: Any) -> dict[str, Value] | None:
        if item is None:
            return {}
        if isinstance(item, Apply):
            return self._nothing(item.module)
        if isinstance(item, Filled):
            return self._nothing(item.body)
        if isinstance(item, Choice):
            for label, option in zip(item.labels, item.options, strict=True):
                absent = self._nothing(option)
                if absent is not None:
                    return {self._names[item]: label, **absent}
        if isinstance(item, Subset) and any(map(is_value, item.options)):
            chosen = [self._nothing(option) for option in item.options[: item.low]]
            if all(absent is not None for absent in chosen):
                decided: dict[str, Value] = {self._names[item]: item.labels[: item.low]}
                return decided | {name: value for absent in chosen for name, value in (absent or {}).items()}
        return None

    # ------------------------------------------------------------------ choices

    def _agree(self, choice: Choice, run: Callable[[Any, str], Any]) -> Any:
        """Run every option that constraints allow, and compare."""
        name = self._names[choice]
        results = []
        for label, option in zip(choice.labels, choice.options, strict=True):
            before = self._settled[name]
            if label != before and not self._is_allowed({name: label}):
                continue
            self._settled[name] = label
            results.append((f"{name}.{label}", run(option, f"{name}.{label}")))
            self._settled[name] = before
        _same(results)
        return next((result for _, result in results if result is not None), None)

    def _is_allowed(self, changed: Mapping[str, Value]) -> bool:
        return not self._space.where or self._space.canonical({**self._settled, **changed}) in self._space


class _StandIn(torch.nn.Module):
    """Stands for a part of the expression inside a layer that takes it."""

    def __init__(self, run: Callable[[list[Any]], Any]) -> None:
        super().__init__()
        self.run = run

    def forward(self, *inputs: Any) -> Any:
        return self.run(list(inputs))


def is_run_whole(decision: Decision) -> bool:
    """Tell whether every option of a decision is run in each round; otherwise the rounds go through its values."""
    options = decision.options if isinstance(decision, Choice | Subset) else ()
    return any(map(is_value, options)) or (isinstance(decision, Choice) and any(map(is_layer, options)))


def is_layer(item: Any) -> bool:
    """Tell whether an item stands for a module, rather than for a number or a setting."""
    stack, visited = [item], set[int]()
    while stack:
        part = stack.pop()
        if isinstance(part, Graph | Repeat) or (isinstance(part, Call) and _makes_layer(part)):
            return True
        if isinstance(part, Choice | Filled) and id(part) not in visited:
            visited.add(id(part))
            stack += part.options if isinstance(part, Choice) else (part.body,)
    return False


def _makes_layer(call: Call) -> bool:
    if ":" not in call.target:
        return call.target.startswith("torch.nn.")
    callee = find(call.target, call.callee)
    return not inspect.isclass(callee) or issubclass(callee, torch.nn.Module)


def _is_open(item: Any) -> bool:
    """Tell whether an item stands for a module and holds choices between some."""
    if isinstance(item, Filled):
        return _is_open(item.body)
    is_one = isinstance(item, Choice) and is_layer(item)
    return is_one or ((is_row(item) or isinstance(item, Repeat)) and bool(_choices(item)))


def is_row(item: Any) -> bool:
    """Tell whether an item is a plain row of layers."""
    is_call = isinstance(item, Call) and item.target == "torch.nn.Sequential"
    return is_call and not (len(item.args) == 1 and isinstance(item.args[0], Mapping))


def _choices(item: Any) -> list[Choice]:
    """Return the choices between modules inside an item."""
    found: list[Choice] = []
    visited: set[int] = set()
    stack = [item]
    while stack:
        part = stack.pop()
        if id(part) in visited:
            continue
        visited.add(id(part))
        if isinstance(part, Choice) and is_layer(part):
            found.append(part)
        stack += [*(each for _, each in children(part)), *getattr(part, "branches", ())]
    return found


def _merged(kind: str, operands: list[tuple[str, Any]], path: str) -> Any:
    """Return what values give when they are merged; None where there is none."""
    present = [operand for _, operand in operands if operand is not None]
    if kind != "concat" or not present:
        _same(operands)
        return present[0] if present else None
    try:
        return torch.cat(present, dim=1)
    except (IndexError, RuntimeError, TypeError) as error:
        shapes = ", ".join(str(_shape(operand)) for operand in present)
        raise ShapeError(f"{path}: values of shape {shapes} cannot be joined along axis 1: {error}") from error


def _same(results: list[tuple[str, Any]]) -> None:
    """Check that results, each with its path, have one shape; absent ones have any."""
    present = [(path, str(_shape(result))) for path, result in results if result is not None]
    for path, shape in present[1:]:
        if shape != present[0][1]:
            raise ShapeError(
                f"{present[0][0]} and {path} disagree in shape: {present[0][1]} and {shape} (the batch is 2)"
            )


def _failure(
    error: Exception, call: Call, inputs: list[Any], path: str, made: Mapping[int, tuple[Any, str]]
) -> ShapeError:
    if isinstance(error, ArchwrightError):  # it names the path already
        return ShapeError(str(error))
    shapes = ", ".join(map(str, map(_shape, inputs)))
    at = innermost(error, {place: text for place, (_, text) in made.items()}) or f"{path}: {headline(call)}"
    return ShapeError(f"{at}, where {path} is given shape {shapes}: {error}")


def _shape(item: Any) -> Any:
    if isinstance(item, torch.Tensor):
        return tuple(item.shape)
    if isinstance(item, list | tuple):
        return [_shape(part) for part in item]
    if isinstance(item, Mapping):
        return {key: _shape(part) for key, part in item.items()}
    return type(item).__name__
