"""A trained network as the space of its sub-networks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archwright._scalars import is_number
from archwright.adapt._groups import Axis, Group
from archwright.adapt._huggingface import load_folder
from archwright.adapt._reader import Constant, Reader
from archwright.adapt._trace import Emitter, Value, arguments, traced
from archwright.adapt._trained import Slices, pretrained
from archwright.build import drawn_for
from archwright.errors import RelaxationError, SpaceError
from archwright.space import Call, Graph, Space, applied, as_specs, ordinal

_SHARES = (0.25, 0.5, 0.75)
_STRUCTURE = "graph:structure"
Sizes = bool | Sequence[float]


def elastic(
    model: nn.Module | str | Path,
    example_input: Any,
    *,
    depth: bool = False,
    width: Sizes = False,
    heads: Sizes = False,
    feed_forward: Sizes = False,
    loss: Callable[[nn.Module], Tensor] | None = None,
    whole: Sequence[str] = (),
    name: str | None = None,
) -> Space:
    """Return the space of the sub-networks of a trained network; the largest one is the network itself.

    The network is traced by `torch.fx`, and written as an expression: a graph of its layers, each with its weights.
    Channels that a sum, a normalisation or a depthwise convolution couples share one decision. Units are sorted by
    importance, and a smaller layer has the first of them, so that small networks are nested in large ones. What the
    network computes is not changed by this.

    The space is like any other: every strategy, constraint and relaxation works on it, `build` and `aw.Supernet` begin
    with the weights of the network, and the source of its networks is plain PyTorch.

    Coupled channels are found through convolution (also depthwise), linear layers, batch and layer normalisation,
    activations, pooling, flattening, sums and products, `nn.MultiheadAttention` and `nn.TransformerEncoder`. Channels
    that meet anything else, such as a concatenation along them or a grouped convolution, keep their number.

    Args:
        model: A trained network, which is not changed; or a local folder of Hugging Face with a
            BertForSequenceClassification, whose inputs are the tokens, or the tokens and the attention mask, of the
            length of the example.
        example_input: The input, as for `Space`: a shape without the batch, a tensor, or several of them.
        depth: Whether each residual branch that keeps its shape may be left out.
        width: Shares of the channels of convolutions and of the hidden units of linear layers, such as `(0.25, 0.5)`;
            all of them (1.0) always is an option. True for a quarter, a half and three quarters.
        heads: Likewise for the heads of attention.
        feed_forward: Likewise for the hidden units of linear layers in a sequence.
        loss: A function of the model that returns () a loss on some data. Units are then sorted by the first-order
            estimate of what their removal changes (Molchanov et al., "Importance estimation for neural network
            pruning", CVPR 2019), else by the sum of absolute weights (Li et al., "Pruning filters for efficient
            ConvNets", ICLR 2017).
        whole: The names of modules that are kept as they are, such as those that cannot be traced.
        name: The name of the space.

    Raises:
        RelaxationError: A module cannot be traced, or does something that an expression cannot hold; the message names
            it and the reason. Or nothing of what was asked for can change.
        SpaceError: A share is not above 0 and at most 1, or `model` is no module.
        ShapeError: The example does not fit the network; the message names the layer.

    Example:
        >>> network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
        >>> space = aw.elastic(network, (4,), width=(0.5,))
        >>> {name: list(decision.values()) for name, decision in space.decisions.items()}
        {'0.width': [4, 8]}
        >>> x = torch.randn(2, 4)
        >>> torch.allclose(space.build({"0.width": 8})(x), network(x))
        True
    """
    shares = {kind: _shares(kind, given) for kind, given in _given(width, heads, feed_forward).items()}
    if isinstance(example_input, Tensor):
        example_input = [example_input]
    if isinstance(example_input, list | tuple) and example_input and isinstance(example_input[0], Tensor):
        example_input = [(tuple(each.shape[1:]), str(each.dtype).removeprefix("torch.")) for each in example_input]
        from archwright.space import TensorSpec

        example_input = [TensorSpec(*each) for each in example_input]
    specs = as_specs(example_input)
    if specs is None:
        raise SpaceError("elastic traces the network with an input: give example_input, a shape without the batch")
    if isinstance(model, str | Path):
        model = load_folder(model)
    if not isinstance(model, nn.Module):
        raise SpaceError(f"elastic takes a trained torch.nn.Module or a folder of Hugging Face; {model!r} was given")
    device = next((each.device for each in model.parameters()), torch.device("cpu"))
    module = copy.deepcopy(model).cpu()
    inputs = drawn_for(specs)
    traced_module, results, counts = traced(module, inputs, whole)
    reader = Reader(traced_module, results, counts)
    space = Space(model=_expression(reader, traced_module, shares, depth, loss, device), example_input=specs, name=name)
    if not space.decisions:
        found = sorted({f"{group.kind} of {group.path}" for group in reader.groups if group.root is group})
        raise RelaxationError(
            f"nothing of {type(model).__name__} can change its size with these settings; sizes that were found, all of "
            f"them fixed by what follows them or not asked for: {', '.join(found[:8]) or 'none'}"
        )
    _check_same(space, module, inputs)
    return space


def _given(width: Sizes, heads: Sizes, feed_forward: Sizes) -> dict[str, Sizes]:
    return {"width": width, "heads": heads, "feed_forward": feed_forward}


def _shares(name: str, given: Any) -> tuple[float, ...]:
    if given is False:
        return ()
    if given is True:
        return _SHARES
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise SpaceError(f"{name} takes True, False, or several shares such as {_SHARES}; {given!r} was given")
    for each in given:
        if not is_number(each) or not 0 < each <= 1:
            raise SpaceError(f"{name} takes shares above 0 and at most 1, such as {_SHARES}; {each!r} was given")
    return tuple(given)


def _sizes(group: Group, shares: tuple[float, ...]) -> list[int]:
    """Return the numbers of units that a group may have: multiples of 8, 4 or 1, and all of them."""
    multiple = next(each for each in (8, 4, 1) if group.units >= 8 * each or each == 1)
    found = {max(multiple, round(share * group.units / multiple) * multiple) for share in shares}
    return sorted({each for each in found if each < group.units} | {group.units})


def _expression(
    reader: Reader,
    module: nn.Module,
    shares: dict[str, tuple[float, ...]],
    depth: bool,
    loss: Callable[[nn.Module], Tensor] | None,
    device: torch.device,
) -> Graph:
    roots = [group for group in reader.groups if group.root is group]
    gradients = _gradients(module, loss, device) if loss is not None else {}
    decisions: dict[int, Any] = {}
    orders: dict[tuple[int, str, int], Tensor] = {}
    for group in roots:
        sizes = [] if group.fixed else _sizes(group, shares[group.kind])
        if len(sizes) > 1:
            decisions[id(group)] = ordinal(*sizes, name=f"{group.path}.{group.kind}")
            order = group.order(gradients)
            for ref in group.refs:
                inside = order[:, None] * ref.block + torch.arange(ref.block)
                orders[id(ref.layer), ref.name, ref.axis] = inside.flatten()

    def size(axis: Axis) -> Any:
        units = decisions.get(id(axis.group.root), axis.group.root.units)
        return units * axis.block if axis.block > 1 else units

    def layer(held: nn.Module, path: str, changes: dict[str, Any]) -> Call:
        state = {}
        for name, tensor in (*held._parameters.items(), *held._buffers.items()):
            if tensor is not None:
                value = tensor.detach().clone()
                for axis in range(value.ndim):
                    if (id(held), name, axis) in orders:
                        value = value.index_select(axis, orders[id(held), name, axis])
                state[name] = value
        if not isinstance(held, Constant) and not type(held).__module__.startswith("torch.nn."):
            return pretrained(held)
        frozen = frozenset(
            name for name, each in held._parameters.items() if each is not None and not each.requires_grad
        )
        if isinstance(held, Constant):
            kwargs = {
                "shape": tuple(held.value.shape),
                "dtype": str(held.value.dtype)[6:],
                "learns": "value" not in held._buffers,
            }
            return Call(f"{Constant.__module__}:Constant", (), kwargs, (), Slices(Constant, state, frozen))
        kwargs = {**arguments(held, path), **changes}
        target = f"torch.nn.{type(held).__name__}"
        return Call(target, (), kwargs, (), Slices(type(held), state, frozen) if state else None)

    left_out = [] if not depth else reader.branches

    def dropped(branch: Value, name: str) -> Any:
        if not any(each is branch for _, each in left_out):
            return None
        return lambda value: ordinal({"drop": None, "keep": value}, name=f"{name}.branch")

    emit = Emitter(size, layer, dropped)
    output = emit(reader.output)
    if isinstance(reader.output, list | tuple | dict):
        output = applied(_STRUCTURE, (output,))
    return Graph(tuple(reader.inputs), output)


def _gradients(module: nn.Module, loss: Callable[[nn.Module], Tensor], device: torch.device) -> dict[int, Tensor]:
    """Return the gradients of a loss by the `id` of the parameter."""
    module.to(device)
    module.zero_grad()
    frozen = [each for each in module.parameters() if not each.requires_grad]
    for each in frozen:
        each.requires_grad_(True)
    loss(module.eval()).backward()  # type: ignore[no-untyped-call]  # torch has no types there
    for each in frozen:
        each.requires_grad_(False)
    module.to("cpu")
    found = {id(each): each.grad.cpu() for each in module.parameters() if each.grad is not None}
    module.zero_grad()
    return found


@torch.no_grad()
def _check_same(space: Space, module: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Refuse an expression that does not compute what the network does."""
    network = space.build(largest(space)).eval()
    wanted, found = module.eval()(*inputs), network(*inputs)
    wanted = getattr(wanted, "logits", wanted)  # of Hugging Face
    try:
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)
    except (AssertionError, TypeError) as error:
        raise RelaxationError(
            f"the expression of {type(module).__name__} does not compute what the network does, perhaps because its "
            f"forward pass changes its values in place or depends on its mode: {error}"
        ) from error


def largest(space: Space) -> Any:
    """Return the architecture of the whole network: the last value of each decision."""
    return space.canonical({name: list(decision.values())[-1] for name, decision in space.decisions.items()})
