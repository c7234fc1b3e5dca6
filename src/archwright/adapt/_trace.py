"""A trained network as an expression: its layers and functions in the order of execution, with coupled channels found.

Each layer is a call with its own weights; each size that can change is that of a group of channels.
"""

from __future__ import annotations

import builtins
import copy
import inspect
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from archwright.adapt._groups import Axis
from archwright.adapt._huggingface import BertTokens, without_forward
from archwright.adapt._plain import Attention, in_plain_layers, replaced
from archwright.errors import RelaxationError, ShapeError

METHODS = {"contiguous": None, "view": "reshape", "type_as": None}
INPLACE: dict[Any, Any] = {operator.iadd: operator.add, operator.isub: operator.sub, operator.imul: operator.mul}


@dataclass(eq=False)
class Value:
    """A value of the network: its shape, where its channels lie, and what makes it.

    Args:
        shape: The shape for the batch that was traced.
        axis: Where the units of a group lie; None if there is none whose size can change.
        make: Returns the value of a graph, from a function that gives the size of a group's units.
        parents: The values that it is made from.
    """

    shape: tuple[int, ...]
    axis: Axis | None
    make: Callable[[Emitter], Any]
    parents: tuple[Value, ...] = ()


@dataclass(eq=False)
class Emitter:
    """Makes the expression of values, each once.

    Args:
        size: Returns the number of units of a group, a decision or a number.
        layer: Returns the call that makes a layer: of the layer, its path, and arguments that differ.
        dropped: Returns the decision between a residual branch and nothing, or None.
    """

    size: Callable[[Axis], Any]
    layer: Callable[[nn.Module, str, dict[str, Any]], Any]
    dropped: Callable[[Value, Any], Any]
    made: dict[int, Any] = field(default_factory=dict)

    def __call__(self, item: Any) -> Any:
        """Return the value of the graph for a value, also inside tuples, lists and dictionaries."""
        if isinstance(item, Value):
            if id(item) not in self.made:
                self.made[id(item)] = item.make(self)
            return self.made[id(item)]
        if isinstance(item, list | tuple):
            return (list if isinstance(item, list) else tuple)(map(self, item))  # fx has lists of its own
        if isinstance(item, dict):
            return {key: self(part) for key, part in item.items()}
        if isinstance(item, slice):
            return slice(self(item.start), self(item.stop), self(item.step))
        return item


class Batch:
    """Stands for the number of samples, which is another one in each batch."""


BATCH = Batch()


class _Tracer(fx.Tracer):
    def __init__(self, whole: Sequence[str]) -> None:
        super().__init__()
        self.whole = whole
        self.within: list[str] = []

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        """Tell whether a module is a layer of torch, or kept whole."""
        if name in self.whole:
            return True
        containers = nn.Sequential | nn.ModuleList | nn.ModuleDict
        return type(module).__module__.startswith("torch.nn.") and not isinstance(module, containers)

    def call_module(self, module: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        """Trace a module; where it fails, its path is that of the innermost one."""
        self.within.append(self.path_of_module(module))
        result = super().call_module(module, forward, args, kwargs)
        self.within.pop()
        return result


class _Real(fx.Interpreter):
    """Runs a traced network, and notes what each step gives."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.results: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run a step."""
        try:
            self.results[n] = super().run_node(n)
        except Exception as error:  # of any layer, for any reason
            what = str(n.target) if n.op == "call_module" else getattr(n.target, "__name__", str(n.target))
            sizes = ", ".join(
                str(tuple(each.shape)) for each in map(self.results.get, n.all_input_nodes) if each is not None
            )
            raise ShapeError(
                f"{what} cannot be run on shape {sizes}, the first number of which is the samples: "
                f"{str(error).splitlines()[0]}. Check example_input, the shape of one input without the batch"
            ) from error
        return self.results[n]


def traced(
    model: nn.Module, inputs: Sequence[torch.Tensor], whole: Sequence[str] = ()
) -> tuple[fx.GraphModule, dict[fx.Node, Any], dict[str, int]]:
    """Return a copy of a network as a graph of layers of torch and functions, and what each step gives for inputs.

    The third item says for how many heads a linear layer makes queries, keys or values, by its path.

    Raises:
        RelaxationError: A module cannot be traced; the message names it and the reason.
    """
    for name in whole:
        try:
            model.get_submodule(name)
        except AttributeError:
            raise RelaxationError(f"whole={name!r}: {type(model).__name__} has no such module") from None
    plain = without_forward(copy.deepcopy(model), len(inputs))
    if isinstance(plain, BertTokens):
        plain.length = inputs[0].shape[1]
        plain.places = nn.Parameter(plain.places[:, : plain.length].detach().clone())
    module = in_plain_layers(replaced(plain)).eval()
    tracer = _Tracer(whole)
    try:
        graph = tracer.trace(module)
    except RelaxationError:
        raise
    except Exception as error:  # whatever code of the user's does with what it is given
        path = tracer.within[-1] if tracer.within else ""
        kind = type(module.get_submodule(path)).__name__
        whole_of = f"whole=[{path!r}]" if path else "move it into a module of its own, and name that in whole="
        raise RelaxationError(
            f"{path or 'the network'} ({kind}) cannot be traced: {error}. A forward pass that depends on values, or on "
            f"the number of samples, is no expression; a part of the network can be kept as it is: {whole_of}"
        ) from error
    made = fx.GraphModule(module, graph)
    runner = _Real(made)
    with torch.no_grad():
        runner.run(*inputs)
    attentions = {name: each.heads for name, each in module.named_modules() if isinstance(each, Attention)}
    heads = {f"{name}.{each}": count for name, count in attentions.items() for each in ("query", "key", "value")}
    return made, runner.results, heads


def arguments(layer: nn.Module, path: str) -> dict[str, Any]:
    """Return the arguments of the call that makes a layer of torch like one that there is.

    Raises:
        RelaxationError: An argument cannot be read from the layer.
    """
    found: dict[str, Any] = {}
    for name, parameter in inspect.signature(type(layer)).parameters.items():
        if name in ("device", "dtype", "inplace"):
            continue
        if parameter.kind is parameter.VAR_POSITIONAL or parameter.kind is parameter.VAR_KEYWORD:
            continue
        if name == "bias" and "bias" in layer._parameters:
            value: Any = layer._parameters["bias"] is not None
        elif name.startswith("_") or not hasattr(layer, name):
            if parameter.default is parameter.empty:
                raise RelaxationError(f"{path}: the argument {name!r} of {type(layer).__name__} cannot be read from it")
            continue
        else:
            value = getattr(layer, name)
        if isinstance(value, torch.Size):
            value = tuple(value)
        if isinstance(value, nn.Module | torch.Tensor):
            raise RelaxationError(f"{path}: {type(layer).__name__} is given {name!r}, which cannot be written down")
        if parameter.default is parameter.empty or value != parameter.default:
            found[name] = value
    return found


def function_of(node: fx.Node) -> Any:
    """Return the function that a step of a graph calls; of a method of tensors the one with its name.

    Raises:
        RelaxationError: There is no function with the name of a method.
    """
    if node.op == "call_function":
        return INPLACE.get(node.target, node.target)
    name = str(node.target)
    name = METHODS.get(name, name) or name
    name = name.removesuffix("_") if hasattr(torch, name.removesuffix("_")) else name
    found = getattr(torch, name, None) or getattr(F, name, None)
    if found is None and name not in METHODS and name not in ("size", "expand", "float"):
        raise RelaxationError(
            f"{where(node)}: the method {name!r} of a tensor has no function of torch that does the same"
        )
    return found if found is not None else name


def where(node: fx.Node) -> str:
    """Return the module that a step of a graph is in, and the step."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = str(stack[-1][0]) if stack else ""
    return f"{path or 'the network'}: {node.name}"


def is_shape(node: fx.Node) -> bool:
    """Tell whether a step asks for a shape."""
    asks = node.op == "call_function" and node.target is builtins.getattr and node.args[1] == "shape"
    return asks or (node.op == "call_method" and node.target == "size")
