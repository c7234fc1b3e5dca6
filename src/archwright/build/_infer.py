"""Give every lazy layer its sizes: a twin of the network is run on the meta device, which computes shapes alone."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch.nn.modules.batchnorm import _LazyNormBase
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter
from torch.overrides import TorchFunctionMode

from archwright.build._make import headline, instantiate
from archwright.build._wiring import parts_of
from archwright.errors import BuildError, SpaceError
from archwright.space import Call, Graph, TensorSpec, mapped, with_modules
from archwright.space import find as find_callee

__all__ = [
    "Shaped",
    "ShapesAlone",
    "counting_channels",
    "drawn_for",
    "has_lazy_layers",
    "innermost",
    "is_unsized",
    "outline",
    "run_with_paths",
    "size_lazy_layers",
    "tensors_of",
    "without_lazy_layers",
    "zeros_for",
]

Shaped: TypeAlias = tuple[tuple[int, ...], torch.dtype]
"""The shape and the type of a tensor."""

_FILLING = frozenset(
    {torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.fill_, torch.Tensor.zero_, torch.Tensor.clamp_}
)
_ELEMENTWISE = frozenset({F.relu, F.gelu, F.silu, F.hardswish, F.elu, F.leaky_relu, F.selu, F.celu, F.mish, F.softplus})

_MOST = 2**28  # numbers that weights may hold, where a network is made on the CPU for its shapes alone
_SHORT = _ELEMENTWISE | {F.batch_norm, F.layer_norm, F.linear}
_GATES = {torch.lstm: 4, torch.gru: 3, torch.rnn_tanh: 1, torch.rnn_relu: 1}


class ShapesAlone(TorchFunctionMode):
    """Spares the meta device what it works out step by step in Python although only the shape is wanted.

    That is normalization and activations, which take most of the time of a pass there and have neither products nor a
    shape of their own, linear and recurrent layers, and what fills new weights. What does not fit its input is left to
    torch, which refuses it.

    Args:
        products: Whether somebody counts products, so that linear and recurrent layers are left to torch as well.
    """

    def __init__(self, *, products: bool = False) -> None:
        super().__init__()
        self._products = products

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function of torch."""
        kwargs = kwargs or {}
        if func in _FILLING and args[0].is_meta:
            return args[0]
        if func in _SHORT and args and args[0].is_meta and args[0].is_floating_point():
            given = _given(func, *args, *kwargs.values())
            if given is not None and not (func is F.linear and self._products):
                return given
        if func in _GATES and not kwargs and not self._products:
            found = _recurrent(_GATES[func], *args)
            if found is not None:
                return found
        return func(*args, **kwargs)


def _given(func: Any, x: torch.Tensor, *others: Any) -> torch.Tensor | None:
    """Return a tensor of the shape that a function gives, or None where something does not fit."""
    tensors = [other for other in others if isinstance(other, torch.Tensor)]
    if any(not tensor.is_meta or tensor.dtype != x.dtype for tensor in tensors):
        return None
    sizes = [tuple(tensor.shape) for tensor in tensors]
    if func is F.linear:
        weight, *bias = sizes
        fits = len(weight) == 2 and x.shape[-1:] == weight[1:] and bias in ([], [weight[:1]])
        return x.new_empty((*x.shape[:-1], weight[0])) if fits else None
    if func is F.batch_norm:
        fits = x.ndim > 1 and all(size == x.shape[1:2] for size in sizes)
    elif func is F.layer_norm:
        normalized = tuple(others[0])
        fits = normalized == x.shape[-len(normalized) :] and {*sizes} <= {normalized}
    else:
        fits = True
    return torch.empty_like(x) if fits else None


def _recurrent(gates: int, x: torch.Tensor, state: Any, weights: Any, bias: Any, *options: Any) -> Any:
    """Return tensors of the shapes that a recurrent layer gives, or None where something does not fit."""
    if not isinstance(bias, bool):  # a packed sequence: its arguments are others
        return None
    layers, _, _, bidirectional, batch_first = options
    states = (state,) if isinstance(state, torch.Tensor) else tuple(state)
    if any(not each.is_meta or each.dtype != x.dtype for each in (x, *states, *weights)):
        return None
    if x.ndim != 3 or not x.numel() or not x.is_floating_point():
        return None
    length, batch, inputs = (x.transpose(0, 1) if batch_first else x).shape
    outputs, hidden, ways = states[0].shape[-1], states[-1].shape[-1], 1 + bidirectional
    expected: list[tuple[int, ...]] = []
    for layer in range(layers):
        one = [(gates * hidden, ways * outputs if layer else inputs), (gates * hidden, outputs)]
        expected += ways * [*one, *2 * bias * [(gates * hidden,)], *(outputs != hidden) * [(outputs, hidden)]]
    begin = [(layers * ways, batch, outputs), (layers * ways, batch, hidden)]
    if [each.shape for each in weights] != expected or [each.shape for each in states] != begin[: len(states)]:
        return None
    found = x.new_empty((length, batch, ways * outputs))
    return (found.transpose(0, 1) if batch_first else found, *map(torch.empty_like, states))


def outline(
    item: Any, specs: tuple[TensorSpec, ...], device: str = "meta", modules: dict[Call, Any] | None = None
) -> tuple[Any, dict[Call, Any]]:
    """Return the module that a closed expression makes, in evaluation mode, after zeros have given its layers a size.

    Args:
        item: A closed expression that makes a module.
        specs: What goes in.
        device: Where it is made: on "meta" nothing is computed, and weights have no values.
        modules: Takes what each call makes, also where a layer refuses its input.

    Returns:
        The module, and what each call made.

    Raises:
        BuildError: A layer refuses its arguments or its input; the message names the path.
    """
    modules = {} if modules is None else modules
    with torch.random.fork_rng(devices=[]), torch.device(device), ShapesAlone():
        module = instantiate(item, lambda call, result: modules.update({call: result}))
        paths = {id(made): f"{call.path}: {headline(call)}" for call, made in modules.items()}
        run_with_paths(module.eval(), zeros_for(specs, device), paths)
    return module, modules


def without_lazy_layers(item: Any, specs: tuple[TensorSpec, ...]) -> Any:
    """Return a closed expression in which no layer is lazy.

    Args:
        item: A closed expression that makes a module.
        specs: What goes in.

    Raises:
        BuildError: A layer refuses its input, or a lazy layer is never reached; the message names the path.
    """
    if not has_lazy_layers(item):
        return item
    modules: dict[Call, Any] = {}
    try:
        outline(item, specs, modules=modules)
    except (BuildError, NotImplementedError):  # a module that the meta device does not know: run it for real
        if _numbers(modules.values()) > _MOST:
            raise
        _, modules = outline(item, specs, "cpu")

    def sized(part: Any) -> Any:
        if isinstance(part, Graph):
            return with_modules(part, sized)
        if isinstance(part, Call) and part in modules and _is_lazy(part):
            return _eager(part, modules[part])
        return mapped(part, sized)

    return sized(item)


def _eager(call: Call, module: Any) -> Call:
    """Return the call that makes what a lazy layer has become."""
    if isinstance(module, LazyModuleMixin):
        raise BuildError(f"{call.path}: {call!r} is never reached, so its sizes are not known")
    eager = type(module)
    first = next(iter(inspect.signature(eager).parameters))
    args, names = (getattr(module, first), *call.args), (first, *call.names)
    kwargs = {**call.kwargs, **_other_defaults(call, eager)}
    return Call(f"torch.nn.{eager.__name__}", args, kwargs, names, None, call.path)


def _numbers(modules: Iterable[Any]) -> int:
    """Return how many numbers the weights of modules hold, those without a size left out."""
    made = [module for module in modules if isinstance(module, torch.nn.Module)]
    weights = [weight for module in made for weight in module.parameters()]
    return sum(weight.numel() for weight in weights if not isinstance(weight, UninitializedParameter))


def has_lazy_layers(item: Any) -> bool:
    """Tell whether a closed expression holds a lazy layer of torch."""
    return _is_lazy(item) or any(map(has_lazy_layers, parts_of(item)))


def is_unsized(module: torch.nn.Module) -> bool:
    """Tell whether a module holds a lazy layer that has not been run yet. Its parameters or its buffers may be lazy."""
    layers = [layer for layer in module.modules() if isinstance(layer, LazyModuleMixin)]
    return any(layer.cls_to_become is not None or layer.has_uninitialized_params() for layer in layers)


def size_lazy_layers(module: torch.nn.Module, specs: tuple[TensorSpec, ...]) -> None:
    """Give the lazy layers of a module their sizes, by a pass over zeros on the CPU; without such layers do nothing.

    Args:
        module: A module on the CPU; its mode stays as it is.
        specs: What goes in.

    Raises:
        BuildError: A layer refuses its input.
    """
    if is_unsized(module):
        was_training = module.training
        run_with_paths(module.eval(), zeros_for(specs, "cpu"), {})
        module.train(was_training)


def zeros_for(specs: tuple[TensorSpec, ...], device: str) -> list[torch.Tensor]:
    """Return a batch of two zeros for each input.

    Raises:
        SpaceError: torch has no such dtype.
    """
    dtypes = [getattr(torch, spec.dtype, None) for spec in specs]
    for spec, dtype in zip(specs, dtypes, strict=True):
        if not isinstance(dtype, torch.dtype):
            raise SpaceError(f"torch has no dtype {spec.dtype!r}, which {spec} asks for")
    return [torch.zeros((2, *s.shape), dtype=dtype, device=device) for s, dtype in zip(specs, dtypes, strict=True)]


def tensors_of(shapes: Sequence[Shaped], device: str) -> list[torch.Tensor]:
    """Return tensors of shapes and types; the same each time.

    Real numbers are normal, whole numbers are 0 or 1, of which every vocabulary has both.
    """
    generator = torch.Generator().manual_seed(0)
    made = []
    for shape, dtype in shapes:
        real = dtype.is_floating_point
        drawn = torch.randn(shape, generator=generator) if real else torch.randint(2, shape, generator=generator)
        made.append(drawn.to(device, dtype))
    return made


def drawn_for(specs: Sequence[TensorSpec], *, size: int = 2, device: str = "cpu") -> list[torch.Tensor]:
    """Return a batch for each input of a network, as `tensors_of` draws it."""
    return tensors_of([((size, *spec.shape), getattr(torch, spec.dtype)) for spec in specs], device)


def run_with_paths(module: torch.nn.Module, inputs: list[torch.Tensor], paths: dict[int, str]) -> Any:
    """Run a module; where it fails, say in which layer.

    Args:
        module: What is run, in the mode that it is in.
        inputs: What goes in.
        paths: Paths of layers by the `id` of the module.

    Raises:
        BuildError: The innermost layer with a path, and its error.
    """
    try:
        with torch.no_grad(), counting_channels(module):
            return module(*inputs)
    except Exception as error:  # whatever a layer raises, the path must be known
        raise BuildError(f"{innermost(error, paths) or 'model'}: {error}") from error


def innermost(error: Exception, paths: Mapping[int, str]) -> str | None:
    """Return the path of the innermost layer that an error has passed through, if any.

    Args:
        error: What was raised.
        paths: Paths of layers by the `id` of the module.
    """
    at, seen = None, error.__traceback__
    while seen is not None:
        at = paths.get(id(seen.tb_frame.f_locals.get("self")), at)
        seen = seen.tb_next
    return at


@contextmanager
def counting_channels(module: torch.nn.Module) -> Iterator[None]:
    """Have lazy normalization count its channels, which it leaves at 0 where it holds no tensors."""
    norms = [layer for layer in module.modules() if isinstance(layer, _LazyNormBase)]
    hooks = [norm.register_forward_pre_hook(_count_channels) for norm in norms]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _count_channels(norm: Any, inputs: tuple[torch.Tensor, ...]) -> None:
    norm.num_features = inputs[0].shape[1]


def _other_defaults(call: Call, eager: type) -> dict[str, Any]:
    """Return the defaults of a lazy layer's arguments, where they are not those of the layer that it becomes."""
    lazy = inspect.signature(find_callee(call.target, call.callee)).parameters
    own = inspect.signature(eager).parameters
    given = {*call.kwargs, *list(lazy)[: len(call.args)]}
    return {
        name: parameter.default
        for name, parameter in lazy.items()
        if name not in given and name in own and parameter.default != own[name].default
    }


def _is_lazy(item: Any) -> bool:
    if not isinstance(item, Call) or not item.target.startswith("torch.nn.Lazy"):
        return False
    return issubclass(find_callee(item.target, item.callee), LazyModuleMixin)
