"""Tensors of which only the shape counts, and what spares the meta device work that gives no shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from archwright.build._rules import CONVOLUTIONS, OTHERS, like
from archwright.errors import SpaceError
from archwright.space import TensorSpec

Shaped: TypeAlias = tuple[tuple[int, ...], torch.dtype]
"""The shape and the type of a tensor."""
_FILLING = frozenset(
    {torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.fill_, torch.Tensor.zero_, torch.Tensor.clamp_}
)
_ELEMENTWISE = frozenset({F.relu, F.gelu, F.silu, F.hardswish, F.elu, F.leaky_relu, F.selu, F.celu, F.mish, F.softplus})
_SHORT = _ELEMENTWISE | {F.batch_norm, F.layer_norm, F.linear}
_GATES = {torch.lstm: 4, torch.gru: 3, torch.rnn_tanh: 1, torch.rnn_relu: 1}


class ShapesAlone(TorchFunctionMode):
    """Torch function mode that speeds up passes on the meta device of which only the shapes are needed.

    It skips initialisation, and works out the shapes of common layers without torch: normalisation, activations,
    convolutions, pooling, linear and recurrent layers, sums and concatenations. Calls whose inputs do not match are
    left to torch, which raises the error.

    Args:
        products: Whether products are counted, so that convolutions, linear and recurrent layers are left to torch.

    Example:
        >>> from archwright.build import ShapesAlone
        >>> layer = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU()).to("meta")
        >>> with ShapesAlone():
        ...     print(layer(torch.zeros(2, 4, device="meta")).shape)
        torch.Size([2, 3])
    """

    def __init__(self, *, products: bool = False) -> None:
        super().__init__()
        self._products = products

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = self.by_rule(func, args, kwargs or {})
        return func(*args, **(kwargs or {})) if found is None else found

    def by_rule(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return what a function gives, worked out without torch; `None` where there is no rule for it."""
        if func in _FILLING and args[0].is_meta:
            return args[0]
        if func in _SHORT and args and args[0].is_meta and args[0].is_floating_point():
            given = _given(func, *args, *kwargs.values())
            if given is not None and not (func is F.linear and self._products):
                return given
        rule = OTHERS.get(func) or (None if self._products else CONVOLUTIONS.get(func))
        if rule is not None and args:
            with suppress(TypeError):  # arguments that the function does not take, or the rule does not know
                return rule(*args, **kwargs)
        if func in _GATES and not kwargs and not self._products:
            return _recurrent(_GATES[func], *args)
        return None


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
    return like(x) if fits else None


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
    return (found.transpose(0, 1) if batch_first else found, *map(like, states))


def zeros_for(specs: tuple[TensorSpec, ...], device: str) -> list[torch.Tensor]:
    """Return a batch of two samples of zeros for each input.

    Raises:
        SpaceError: The dtype is not one of torch.

    Example:
        >>> from archwright.build import zeros_for
        >>> [tuple(batch.shape) for batch in zeros_for((aw.TensorSpec((3, 8, 8)),), "cpu")]
        [(2, 3, 8, 8)]
    """
    dtypes = [getattr(torch, spec.dtype, None) for spec in specs]
    for spec, dtype in zip(specs, dtypes, strict=True):
        if not isinstance(dtype, torch.dtype):
            raise SpaceError(f"torch has no dtype {spec.dtype!r}, which {spec} asks for")
    return [torch.zeros((2, *s.shape), dtype=dtype, device=device) for s, dtype in zip(specs, dtypes, strict=True)]


def tensors_of(shapes: Sequence[Shaped], device: str) -> list[torch.Tensor]:
    """Return tensors of given shapes and types, with fixed values.

    Floating-point values are normally distributed; integers are 0 or 1, which are valid in every vocabulary.

    Example:
        >>> from archwright.build import tensors_of
        >>> (tensor,) = tensors_of([((2, 3), torch.float32)], "cpu")
        >>> tensor.shape
        torch.Size([2, 3])
    """
    generator = torch.Generator().manual_seed(0)
    made = []
    for shape, dtype in shapes:
        real = dtype.is_floating_point
        drawn = torch.randn(shape, generator=generator) if real else torch.randint(2, shape, generator=generator)
        made.append(drawn.to(device, dtype))
    return made


def drawn_for(specs: Sequence[TensorSpec], *, size: int = 2, device: str = "cpu") -> list[torch.Tensor]:
    """Return a batch for each input of a network, with the values of `tensors_of`.

    Example:
        >>> from archwright.build import drawn_for
        >>> [tuple(batch.shape) for batch in drawn_for([aw.TensorSpec((4,))], size=8)]
        [(8, 4)]
    """
    return tensors_of([((size, *spec.shape), getattr(torch, spec.dtype)) for spec in specs], device)
