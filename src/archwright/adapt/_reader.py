"""Reading a traced network: the value of each step, and the groups of channels that layers and functions couple."""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from archwright.adapt._groups import Axis, Group, Ref, fix, join, moved
from archwright.adapt._trace import BATCH, Batch, Emitter, Value, function_of, is_shape, where
from archwright.errors import RelaxationError
from archwright.space import Input, Merge, applied, name_in_torch

_ACTIVATIONS = tuple(
    getattr(nn, name)
    for name in (
        *("ReLU", "ReLU6", "LeakyReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Sigmoid", "Tanh", "Softplus"),
        *("Hardswish", "Hardsigmoid", "Hardtanh", "Identity", "LogSigmoid", "Softsign", "Dropout", "AlphaDropout"),
    )
)
_POOLS = ("MaxPool", "AvgPool", "AdaptiveAvgPool", "AdaptiveMaxPool", "Dropout")
_SPATIAL = (*(getattr(nn, f"{name}{dims}d") for name in _POOLS for dims in (1, 2, 3)), nn.Upsample, nn.ZeroPad2d)
_ELEMENTWISE = frozenset(
    (
        *("relu", "relu6", "gelu", "silu", "sigmoid", "tanh", "elu", "leaky_relu", "mish", "hardswish", "hardsigmoid"),
        *("softplus", "neg", "abs", "exp", "sqrt", "rsqrt", "log", "square", "clamp", "erf"),
        *("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "interpolate", "max_pool1d"),
    )
)
_COMPARED = {
    **{getattr(operator, name): getattr(torch, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    operator.invert: torch.bitwise_not,
    operator.and_: torch.bitwise_and,
    operator.or_: torch.bitwise_or,
}
_BINARY = frozenset(("add", "sub", "mul", "truediv", "div", "masked_fill"))


class Reader:
    """Reads a traced network.

    Args:
        module: The traced network.
        results: What each step gave.
        heads: The number of heads that a linear layer makes queries, keys or values for, by its path.

    Attributes:
        groups: All groups that were met, some of them joined.
        inputs: The inputs of the graph.
        output: The values that the network returns.
        branches: The residual branches, with the paths of the modules that add them.

    Raises:
        RelaxationError: A step cannot be written as an expression; the message names its layer.
    """

    def __init__(self, module: fx.GraphModule, results: dict[fx.Node, Any], heads: Mapping[str, int]) -> None:
        self.module, self.results, self.heads = module, results, heads
        self.groups: list[Group] = []
        self.inputs: list[Input] = []
        self.branches: list[tuple[str, Value]] = []
        self.output: Any = None
        self._env: dict[fx.Node, Any] = {}
        self._used: dict[int, str] = {}
        for node in module.graph.nodes:
            self._env[node] = self._read(node)

    # ------------------------------------------------------------------ steps

    def _read(self, node: fx.Node) -> Any:
        args, kwargs = fx.map_arg((node.args, node.kwargs), self._env.__getitem__)
        if node.op == "placeholder":
            if node.args or not isinstance(self.results[node], torch.Tensor):
                return None if not isinstance(self.results[node], torch.Tensor) else self._input(node)
            return self._input(node)
        if node.op == "get_attr":
            return self._constant(node)
        if node.op == "output":
            self.output = args[0]
            for value in _values(args):
                fix(value)
            return None
        if node.op == "call_module":
            return self._layer(node, self.module.get_submodule(str(node.target)), str(node.target), args, kwargs)
        return self._function(node, args, kwargs)

    def _input(self, node: fx.Node) -> Value:
        given = Input(len(self.inputs))
        self.inputs.append(given)
        return Value(tuple(self.results[node].shape), None, lambda emit: given)

    def _constant(self, node: fx.Node) -> Value:
        tensor = self.results[node]
        if not isinstance(tensor, torch.Tensor):
            raise RelaxationError(f"{where(node)}: the attribute {node.target} is no tensor and no number")
        learns = isinstance(tensor, nn.Parameter)
        holder = Constant(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), learns)
        with torch.no_grad():
            holder.value.copy_(tensor)
        holder.value.requires_grad_(learns and tensor.requires_grad)
        first, path = next(each for each in self._env.values() if isinstance(each, Value)), str(node.target)
        return Value(
            tuple(tensor.shape), None, lambda emit: emit.layer(holder, path, {})(emit(first), name=label(path))
        )

    def _layer(self, node: fx.Node, layer: nn.Module, path: str, args: Any, kwargs: Any) -> Value:
        given = [*args, *kwargs.values()]
        if not all(isinstance(each, Value) for each in given):
            raise RelaxationError(f"{path}: {type(layer).__name__} takes more than values, which is not supported")
        if next(iter(layer.parameters()), None) is not None:
            if id(layer) in self._used:
                raise RelaxationError(
                    f"{path}: {type(layer).__name__} is used twice with the same weights, first as "
                    f"{self._used[id(layer)]}, which an expression cannot hold; keep the part around it: whole=[...]"
                )
            self._used[id(layer)] = path
        x = given[0]
        axis, changes = self._sized(layer, path, given)
        result = self.results[node]
        if not isinstance(result, torch.Tensor):
            raise RelaxationError(f"{path}: {type(layer).__name__} returns {type(result).__name__}, and not one tensor")
        name = label(path if self._used.get(id(layer)) else node.name)

        def make(emit: Emitter) -> Any:
            sizes = {key: emit.size(each) for key, each in changes.items()}
            return emit.layer(layer, path, sizes)(*(emit(each) for each in given), name=name)

        del x
        return Value(tuple(result.shape), axis, make, tuple(given))

    def _group(self, units: int, kind: str, path: str) -> Group:
        group = Group(units, kind, path, len(self.groups))
        self.groups.append(group)
        return group

    def _sized(self, layer: Any, path: str, given: Sequence[Value]) -> tuple[Axis | None, dict[str, Axis]]:
        """Return where the units of the result of a layer lie, and the arguments that are sizes of groups."""
        x = given[0]
        axis = x.axis
        if isinstance(layer, _ACTIVATIONS):
            return axis, {}
        if isinstance(layer, _SPATIAL):
            if axis is not None and axis.dim != 1:
                fix(x)
                return None, {}
            return axis, {}
        if isinstance(layer, _ConvNd) and not isinstance(layer, _ConvTransposeNd):
            return self._conv(layer, path, x)
        if isinstance(layer, _NormBase) and axis is not None and axis.dim == 1:
            self._refer(layer, ("weight", "bias", "running_mean", "running_var"), 0, axis)
            return axis, {"num_features": axis}
        if isinstance(layer, nn.LayerNorm | nn.RMSNorm) and axis is not None and len(layer.normalized_shape) == 1:
            if axis.dim == len(x.shape) - 1:
                self._refer(layer, ("weight", "bias"), 0, axis)
                return axis, {"normalized_shape": axis}
            return axis, {}
        if isinstance(layer, nn.Linear):
            return self._linear(layer, path, x)
        if isinstance(layer, nn.Flatten):
            return _flattened(x, layer.start_dim, layer.end_dim), {}
        is_softmax = isinstance(layer, nn.Softmax | nn.LogSoftmax) and layer.dim is not None
        if is_softmax and axis is not None and layer.dim % len(x.shape) != axis.dim:
            return axis, {}
        fix(*given)
        return None, {}

    def _refer(self, layer: nn.Module, names: Sequence[str], dim: int, axis: Axis) -> None:
        for name in names:
            held = layer._parameters.get(name)
            if held is None:
                held = layer._buffers.get(name)  # type: ignore[assignment]  # a tensor all the same
            if held is not None and held.ndim > dim:
                axis.group.root.refs.append(Ref(layer, name, dim, axis.block))

    def _conv(self, layer: Any, path: str, x: Value) -> tuple[Axis | None, dict[str, Axis]]:
        axis = x.axis if x.axis is not None and x.axis.dim == 1 else None
        if axis is None:
            fix(x)
        if layer.groups == 1:
            out = Axis(1, self._group(layer.out_channels, "width", path))
            self._refer(layer, ("weight", "bias"), 0, out)
            if axis is None:
                return out, {"out_channels": out}
            self._refer(layer, ("weight",), 1, axis)
            return out, {"in_channels": axis, "out_channels": out}
        if axis is not None and axis.block == 1 and layer.groups == layer.in_channels == layer.out_channels:
            self._refer(layer, ("weight", "bias"), 0, axis)
            return axis, dict.fromkeys(("in_channels", "out_channels", "groups"), axis)
        fix(x)
        return None, {}

    def _linear(self, layer: Any, path: str, x: Value) -> tuple[Axis | None, dict[str, Axis]]:
        axis = x.axis if x.axis is not None and x.axis.dim == len(x.shape) - 1 else None
        if axis is None:
            fix(x)
        heads = self.heads.get(path, 0)
        kind = "heads" if heads else "feed_forward" if len(x.shape) > 2 else "width"
        units = heads or layer.out_features
        out = Axis(len(x.shape) - 1, self._group(units, kind, path), layer.out_features // units)
        self._refer(layer, ("weight", "bias"), 0, out)
        if axis is None:
            return out, {"out_features": out}
        self._refer(layer, ("weight",), 1, axis)
        return out, {"in_features": axis, "out_features": out}

    # ------------------------------------------------------------------ functions

    def _function(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        if is_shape(node):
            return self._shape(args)
        function = function_of(node)
        if not _values((args, kwargs)):
            return self._plain(node, function, args, kwargs)
        if node.target is builtins.getattr:
            raise RelaxationError(f"{where(node)}: the attribute {args[1]!r} of a tensor is not supported")
        name = str(getattr(function, "__name__", function))
        if function == "contiguous" or name == "contiguous":
            return args[0]
        if name == "dropout":
            rate = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
            layer = nn.Dropout(rate)
            x = args[0]
            path = node.name
            return Value(x.shape, x.axis, lambda emit: emit.layer(layer, path, {})(emit(x), name=label(path)), (x,))
        if name == "reshape":
            return self._reshaped(node, args[0], args[1:])
        if name in ("permute", "transpose", "flatten", "mean", "unsqueeze"):
            args = (args[0], *_as_list(name, args[1:]))
        if _holds(args, kwargs, Batch):
            raise RelaxationError(f"{where(node)}: the number of samples is an argument, which is not supported")
        result = self.results[node]
        if not isinstance(result, torch.Tensor):
            raise RelaxationError(f"{where(node)}: {name} returns {type(result).__name__}, and not one tensor")
        shape = tuple(result.shape)
        axis = self._axis(name, args, kwargs, shape)
        parents = tuple(_values((args, kwargs)))
        if name == "add" and len(args) == 2 and not kwargs and len(parents) == 2:
            return self._sum(node, args, axis, shape)
        target = _target(function, node)
        return Value(shape, axis, lambda emit: applied(target, emit(tuple(args)), emit(dict(kwargs))), parents)

    def _plain(self, node: fx.Node, function: Any, args: Any, kwargs: Any) -> Any:
        """Return what arithmetic and indices of shapes give."""
        if _holds(args, kwargs, Batch) and function is not operator.getitem:
            raise RelaxationError(f"{where(node)}: arithmetic with the number of samples is not supported")
        if not callable(function):
            raise RelaxationError(f"{where(node)}: {function} is not supported")
        found = function(*args, **kwargs)
        if isinstance(found, torch.Tensor):
            return self._constant(node)
        return found

    def _shape(self, args: Any) -> Any:
        shape = _Shape(args[0])
        return shape[args[1]] if len(args) > 1 and isinstance(args[1], int) else shape

    def _sum(self, node: fx.Node, args: Any, axis: Axis | None, shape: tuple[int, ...]) -> Value:
        first, second = args
        if first.shape != second.shape:  # torch spreads one over the other
            add = "operator:add"
            return Value(shape, axis, lambda emit: applied(add, (emit(first), emit(second))), (first, second))
        for one, other in ((first, second), (second, first)):
            if one.shape == other.shape == shape and _comes_from(other, one):
                path = where(node).rpartition(":")[0]
                taken = [each for each, _ in self.branches if each == path or each.startswith(f"{path}#")]
                name = f"{path}#{len(taken) + 1}" if taken else path
                self.branches.append((name, other))

                def make(emit: Emitter, kept: Value = one, branch: Value = other, name: str = name) -> Any:
                    decided = emit.dropped(branch, name)
                    if decided is None:
                        return emit(kept) + emit(branch)
                    return Merge("sum", (emit(kept), decided(emit(branch))), node.name)

                return Value(shape, axis, make, (first, second))
        return Value(shape, axis, lambda emit: emit(first) + emit(second), (first, second))

    def _reshaped(self, node: fx.Node, x: Value, sizes: Any) -> Value:
        wanted = list(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], list | tuple) else list(sizes)
        rest = wanted[1:]
        count = math.prod(x.shape[1:])
        keeps = isinstance(wanted[0], Batch) or (wanted[0] == -1 and -1 not in rest and math.prod(rest) == count)
        if not keeps or not all(isinstance(each, int) for each in rest):
            raise RelaxationError(f"{where(node)}: this reshape mixes samples, or its sizes are not known: {wanted}")
        shape = tuple(self.results[node].shape)
        if len(rest) == 1:
            axis = _flattened(x, 1, -1)
            return Value(shape, axis, lambda emit: applied("torch:flatten", (emit(x), 1)), (x,))
        fix(x)
        flat = Value((), None, lambda emit: applied("torch:flatten", (emit(x), 1)))
        return Value(shape, None, lambda emit: applied("torch:unflatten", (emit(flat), 1, tuple(rest))), (x,))

    def _axis(self, name: str, args: Any, kwargs: Any, shape: tuple[int, ...]) -> Axis | None:
        """Return where the units lie in what a function gives; groups that it does not leave as they are are fixed."""
        x = args[0]
        if name in _BINARY or name == "matmul":
            operands = _values((args, kwargs))
            return _paired(operands, shape, is_product=name == "matmul")
        axis = x.axis if isinstance(x, Value) else None
        if axis is None or len(_values((args, kwargs))) > 1:
            if name in ("cat", "concat") and _joined(args, kwargs):
                return x[0].axis if isinstance(x, list | tuple) else None
            fix(*_values((args, kwargs)))
            return None
        dims = len(x.shape)
        if name in _ELEMENTWISE:
            return axis
        if name == "flatten":
            return _flattened(x, kwargs.get("start_dim", _at(args, 1, 0)), kwargs.get("end_dim", _at(args, 2, -1)))
        if name == "transpose":
            one, two = (each % dims for each in args[1:3])
            return moved(axis, {one: two, two: one}.get(axis.dim, axis.dim))
        if name == "permute":
            return moved(axis, [each % dims for each in args[1]].index(axis.dim))
        if name == "softmax" and kwargs.get("dim", _at(args, 1, axis.dim)) % dims != axis.dim:
            return axis
        if name in ("mean", "sum", "amax"):
            given = kwargs.get("dim", _at(args, 1, None))
            gone = [each % dims for each in ([given] if isinstance(given, int) else given or range(dims))]
            if axis.dim not in gone:
                keep = kwargs.get("keepdim", _at(args, 2, False))
                return axis if keep else moved(axis, axis.dim - sum(each < axis.dim for each in gone))
        if name == "unsqueeze":
            at = args[1] % (dims + 1)
            return moved(axis, axis.dim + (at <= axis.dim))
        if name == "unflatten" and args[1] % dims == axis.dim and tuple(args[2]) == (-1, axis.block):
            return moved(axis, axis.dim, 1)
        if name == "getitem":
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            whole = [each == slice(None) for each in index]
            if all(isinstance(each, int | slice) for each in index) and all(whole[axis.dim : axis.dim + 1]):
                return moved(axis, axis.dim - sum(isinstance(each, int) for each in index[: axis.dim]))
        fix(x)
        return None


class Constant(nn.Module):
    """A tensor of the network itself, such as the embedding of positions."""

    def __init__(self, shape: tuple[int, ...], dtype: str, learns: bool) -> None:
        super().__init__()
        value = torch.zeros(shape, dtype=getattr(torch, dtype))
        if learns:
            self.value = nn.Parameter(value)
        else:
            self.register_buffer("value", value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the tensor, whatever goes in."""
        return self.value


class _Shape:
    """The shape of a value; who asks for more than the number of samples gets a number, which stays what it is."""

    def __init__(self, value: Value) -> None:
        self._value = value

    def __getitem__(self, index: Any) -> Any:
        if index == 0:
            return BATCH
        fix(self._value)
        sizes: list[Any] = [BATCH, *self._value.shape[1:]]
        return sizes[index]

    def __len__(self) -> int:
        return len(self._value.shape)


def label(path: str) -> str:
    """Return a path as the name of an attribute."""
    name = path.replace(".", "_").strip("_")
    return f"layer_{name}" if name[:1].isdigit() else name


def _values(item: Any) -> list[Value]:
    if isinstance(item, Value):
        return [item]
    parts = item.values() if isinstance(item, dict) else item if isinstance(item, list | tuple) else ()
    return [value for part in parts for value in _values(part)]


def _holds(args: Any, kwargs: Any, kind: type) -> bool:
    stack = [args, kwargs]
    while stack:
        part = stack.pop()
        if isinstance(part, kind):
            return True
        stack += part.values() if isinstance(part, dict) else part if isinstance(part, list | tuple) else ()
    return False


def _at(args: Any, index: int, default: Any) -> Any:
    return args[index] if len(args) > index else default


def _as_list(name: str, args: Any) -> tuple[Any, ...]:
    """Return sizes that a method takes one by one as a function takes them."""
    return (tuple(args),) if name == "permute" and args and isinstance(args[0], int) else tuple(args)


def _target(function: Any, node: fx.Node) -> str:
    function = _COMPARED.get(function, function)
    known = name_in_torch(function)
    if known is None and getattr(function, "__module__", "") == "_operator":
        known = f"operator:{function.__name__}"
    if known is None:
        raise RelaxationError(f"{where(node)}: {function} is no function of torch that a space can hold")
    return known


def _comes_from(value: Value, origin: Value) -> bool:
    stack, visited = list(value.parents), set[int]()
    while stack:
        part = stack.pop()
        if part is origin:
            return True
        if id(part) not in visited:
            visited.add(id(part))
            stack += part.parents
    return False


def _flattened(x: Value, start: int, end: int) -> Axis | None:
    axis, dims = x.axis, len(x.shape)
    if axis is None:
        return None
    start, end = start % dims, end % dims
    if axis.dim < start:
        return axis
    if axis.dim > end:
        return moved(axis, axis.dim - (end - start))
    if axis.dim == start:
        return moved(axis, start, axis.block * math.prod(x.shape[start + 1 : end + 1]))
    fix(x)
    return None


def _paired(operands: list[Value], shape: tuple[int, ...], *, is_product: bool) -> Axis | None:
    """Return where the units lie in what an operation of two values gives, after their groups have become one."""
    placed = [(each, _aligned(each, shape)) for each in operands]
    axes = [(axis.dim, axis.block) for _, axis in placed if axis is not None]
    if not axes:
        return None
    is_whole = len(set(axes)) == 1 and not (is_product and axes[0][0] >= len(shape) - 2)
    dim = axes[0][0]
    for each, axis in placed:
        at = dim - (len(shape) - len(each.shape))
        if axis is None and at >= 0 and each.shape[at] != 1:
            is_whole = False
    found = [axis for _, axis in placed if axis is not None]
    if is_whole and all(join(found[0].group, axis.group) for axis in found[1:]):
        return found[0]
    fix(*operands)
    return None


def _aligned(value: Value, shape: tuple[int, ...]) -> Axis | None:
    return None if value.axis is None else moved(value.axis, value.axis.dim + len(shape) - len(value.shape))


def _joined(args: Any, kwargs: Any) -> bool:
    """Tell whether values are concatenated along another dimension than that of their units, which become one."""
    parts = args[0]
    dim = kwargs.get("dim", _at(args, 1, 0))
    if not parts or any(each.axis is None for each in parts):
        return False
    first = parts[0].axis
    if dim % len(parts[0].shape) == first.dim or any(
        (each.axis.dim, each.axis.block) != (first.dim, first.block) for each in parts
    ):
        return False
    return all(join(first.group, each.axis.group) for each in parts[1:])
