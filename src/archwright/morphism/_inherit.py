"""Initialisation of a network with the weights of another one."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from archwright.build import closed_model, drawn_for, instantiate, size_lazy_layers
from archwright.errors import BuildError, RelaxationError
from archwright.evaluate import seeded
from archwright.morphism._inserted import insert
from archwright.space import Space, TensorSpec
from archwright.supernet import Recorder, Slot, independent_of_seed, same_values
from archwright.supernet.elastic import cut, paste

_WEIGHTED = (nn.modules.conv._ConvNd, nn.Linear, nn.Bilinear, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


@dataclass(frozen=True)
class Inherited:
    """Statistics of inherited weights, in numbers of parameters; `copied + grown + fresh` is the size of the child.

    Attributes:
        copied: Parameters copied from the parent.
        grown: Parameters by which tensors are larger than the parent's.
        fresh: Parameters in new tensors.
        cut: Parameters of the parent that were dropped; `copied + cut` is the size of the parent.
        preserving: Whether child and parent have equal outputs in evaluation mode, for a random input.

    Example:
        >>> space = aw.Space(model=nn.LazyLinear(aw.ordinal(2, 3, name="width")), example_input=(4,))
        >>> weights = space.build({"width": 2}).state_dict()
        >>> network, inherited = aw.morphism.inherit(space, {"width": 3}, {"width": 2}, weights, seed=0)
        >>> inherited.copied, inherited.grown, inherited.cut
        (10, 5, 0)
    """

    copied: int
    grown: int
    fresh: int
    cut: int
    preserving: bool

    def __str__(self) -> str:
        total = self.copied + self.grown + self.fresh
        function = "is preserved" if self.preserving else "differs"
        return (
            f"{self.copied:,} of {total:,} parameters inherited, {self.grown:,} grown, {self.fresh:,} fresh, "
            f"{self.cut:,} of the parent's cut; the function {function}"
        )


@torch.no_grad()
def inherit(
    space: Space,
    child: Mapping[str, Any],
    parent: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    *,
    seed: int,
    example_input: Any = None,
) -> tuple[nn.Module, Inherited]:
    """Return the network of an architecture, initialised with the trained weights of another one.

    Chen, Goodfellow and Shlens, "Net2Net: Accelerating learning via knowledge transfer", ICLR 2016; Wei et al.,
    "Network morphism", ICML 2016. Layers correspond if their calls are at the same path of the space and make the same
    kind of layer. Tensors are copied as far as they overlap: the leading part along each axis, and the middle of a
    kernel; statistics of batch normalisation as well.

    In a layer that has grown, the weights from new to old channels are zeros, and so is the border of a larger kernel.
    Thus the old channels and the output are unchanged, whatever the new channels compute. Unlike the replication of
    units in Net2Net this needs no pairing of layers, and it holds across sums and skip connections. The zeros have
    gradients, since the new channels are initialised at random. (The weights into a new channel may get theirs a step
    later.)

    A new layer is initialised as the identity if that preserves the inputs of the next layers, and the last layer of a
    new residual branch with zeros. New batch normalisation is the identity in evaluation mode; in training mode it uses
    the statistics of the batch.

    Frozen layers, and layers that load their weights, are not changed if they are equal in the parent; otherwise they
    are initialised as built.

    The function is not preserved, and `Inherited.preserving` is false, if a layer is removed or shrinks; if an
    operation is changed; if `LayerNorm`, `GroupNorm` or attention mixes new channels with old ones; if channels grow in
    front of others in a concatenation; and if a new layer is followed by an activation that is not idempotent, such as
    GELU. New layers are then initialised as built, and so they are if `torch.fx` cannot trace the network.

    Args:
        space: The space.
        child: The architecture of the network; optimizer states are not inherited.
        parent: The architecture of the weights.
        weights: The parent's `state_dict()`, with the names of `space.build(parent)`; on any device.
        seed: The random seed of new weights, which are those of `space.build(child)` with the CPU's generator seeded by
            it.
        example_input: The input, as for `Space`; by default that of the space.

    Returns:
        The network, on the CPU, in training mode, and the statistics of the inherited weights.

    Raises:
        ArchitectureError: An architecture does not belong to the space.
        BuildError: A layer refuses its arguments or its input, or the weights are not those of the parent.
        RelaxationError: The input of the space is unknown, or a layer is never called.

    Example:
        >>> space = aw.Space(model=nn.LazyLinear(aw.ordinal(2, 3, name="width")), example_input=(4,))
        >>> parent = space.build({"width": 2})
        >>> child, inherited = aw.morphism.inherit(space, {"width": 3}, {"width": 2}, parent.state_dict(), seed=0)
        >>> torch.equal(child(torch.ones(1, 4))[:, :2], parent(torch.ones(1, 4)))
        True
    """
    with seeded(seed, "cpu"):
        new = _Network(space, child, example_input)
    with seeded(seed, "cpu"):  # nothing is drawn from outside
        old = _Network(space, parent, example_input)
        if any(slot.is_given for slot in new.slots):
            new.note_fixed(_Network(space, child, example_input))
            old.note_fixed(_Network(space, parent, example_input))
            new.part(_apart(new, old))
        old.load(weights)
    grown, fresh = _known(new, old)
    for slot in new.slots:
        former = old.by_key.get(slot.key)
        if former is not None:
            _hand_down(slot, former)
        elif new.names[id(slot.layer)] in grown and _is_bias(slot):
            slot.store[slot.name].zero_()  # the parent has none
    drawn = {name: tensor.clone() for name, tensor in new.module.state_dict().items()} if fresh else {}
    insert(new.module, fresh)
    is_same = _is_same(new, old)
    if drawn and not is_same:
        new.module.load_state_dict(drawn)
    return new.module, _counted(new, old, is_same)


class _Network:
    """A network, with the places of its layers in the space."""

    def __init__(self, space: Space, architecture: Mapping[str, Any], example_input: Any) -> None:
        closed, specs = closed_model(space, architecture, example_input)
        if specs is None:
            raise RelaxationError(
                f"weights cannot be inherited in {space.name or 'the space'}, whose input is not known: give "
                f"example_input"
            )
        record = Recorder()
        made = instantiate(closed, record)
        if not isinstance(made, nn.Module):
            raise BuildError(f"the part 'model' makes {type(made).__name__}, and not a torch.nn.Module")
        size_lazy_layers(made, specs)
        self.module = made  # the network, as `space.build` makes it
        self.specs: tuple[TensorSpec, ...] = specs  # what goes in
        # The names that its layers have in it, by the `id` of the layer.
        self.names = {id(layer): name for name, layer in made.named_modules()}
        self.slots = [slot for slot in record.slots() if id(slot.layer) in self.names]  # the tensors of its layers
        self.by_key = {slot.key: slot for slot in reversed(self.slots)}  # the first one at each place
        self.fixed: set[str] = set()  # the keys of those that do not hang on the seed, where that is known

    def note_fixed(self, twin: _Network) -> None:
        """Note which tensors are the same in a network of the architecture that was built from another seed."""
        self.fixed = independent_of_seed(self.by_key, twin.by_key)

    def is_kept(self, slot: Slot) -> bool:
        """Tell whether a parameter begins as it is built wherever it is new: it is frozen, or it is loaded."""
        is_loaded = slot.is_given and slot.key in self.fixed and bool((slot.tensor != slot.tensor.flatten()[:1]).any())
        return slot.is_parameter and (is_loaded or slot.is_frozen)

    def part(self, layers: set[int]) -> None:
        """Let layers be none of the parent's, whatever stands at their places there; by `id`."""
        for number, slot in enumerate(self.slots):
            if id(slot.layer) in layers:
                self.slots[number] = replace(slot, entry=f"{slot.entry} apart")
        self.by_key = {slot.key: slot for slot in reversed(self.slots)}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take weights in."""
        own = self.module.state_dict()
        for name in dict.fromkeys((*own, *weights)):
            wanted, given = (_size(state[name]) if name in state else "missing" for state in (own, weights))
            if given != wanted:
                raise BuildError(
                    f"the weights are not those of the parent: {name!r} is {wanted} in its network and {given} "
                    f"among the weights; give the state_dict() of space.build(parent), after its training"
                )
        self.module.load_state_dict(weights)


def _size(item: Any) -> Any:
    return tuple(item.shape) if isinstance(item, Tensor) else type(item).__name__


def _apart(new: _Network, old: _Network) -> set[int]:
    """Return the layers of a network that are not those of another one that stand at their places, by `id`."""
    pairs = [(slot, old.by_key[slot.key]) for slot in new.slots if slot.is_given and slot.key in old.by_key]
    return {
        id(slot.layer)
        for slot, former in pairs
        if (slot.key in new.fixed & old.fixed and not same_values(slot, former))
        or (slot.is_frozen and (slot.shape != former.shape or not former.is_frozen))
    }


def _known(new: _Network, old: _Network) -> tuple[set[str], set[str]]:
    """Return the names of layers that the parent has too, and of those whose weights are new and theirs alone."""
    times = Counter(slot.key for slot in new.slots)
    found = {new.names[id(slot.layer)] for slot in new.slots if slot.key in old.by_key}
    parted = {new.names[id(slot.layer)] for slot in new.slots if slot.key not in old.by_key and not _is_bias(slot)}
    kept = {new.names[id(slot.layer)] for slot in new.slots if times[slot.key] > 1 or new.is_kept(slot)}
    return found - parted, parted - found - kept


def _is_bias(slot: Slot) -> bool:
    """Tell whether a tensor is added to what a layer gives, so that it may be new and zero."""
    return slot.name == "bias" and isinstance(slot.layer, _WEIGHTED) and not slot.is_frozen


def _is_same(new: _Network, old: _Network) -> bool:
    """Tell whether two networks give the same for an input that is drawn, in evaluation mode."""
    inputs = drawn_for(new.specs)
    results = []
    for network in (new, old):
        try:
            with seeded(0, "cpu"):
                results.append(copy.deepcopy(network.module).eval()(*(each.clone() for each in inputs)))
        except Exception:  # whatever a forward pass of the user's does with such an input
            return False
    try:
        torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)
    except (AssertionError, TypeError):  # of another shape too, and what holds no tensors
        return False
    return True


def _hand_down(slot: Slot, former: Slot) -> None:
    """Let a tensor take over what it has room for; what is new to its old channels is zero."""
    tensor: Tensor = slot.store[slot.name].data
    value: Tensor = former.store[former.name].data
    shared = _overlap(slot, former)
    channels = _channels(slot)
    if channels is not None:
        reached = list(slot.shape)
        reached[channels] = shared[channels]
        paste(tensor, tensor.new_zeros(reached), slot.part)
    paste(tensor, cut(value, shared, former.part), slot.part)


def _overlap(slot: Slot, former: Slot) -> torch.Size:
    return torch.Size(map(min, slot.shape, former.shape))


def _channels(slot: Slot) -> int | None:
    """Return the axis of a layer's weights along which its own channels lie, if the others are what it sums over."""
    if len(slot.shape) < 2 or "weight" not in slot.name or not isinstance(slot.layer, _WEIGHTED):
        return None
    if isinstance(slot.layer, nn.modules.conv._ConvTransposeNd):
        return 1 if slot.layer.groups == 1 else None  # with groups each channel is made of its own
    return 0


def _counted(new: _Network, old: _Network, is_same: bool) -> Inherited:
    learned = [{key: slot for key, slot in each.by_key.items() if slot.is_parameter} for each in (new, old)]
    totals = [sum(slot.shape.numel() for slot in each.values()) for each in learned]
    common = [(slot, learned[1][key]) for key, slot in learned[0].items() if key in learned[1]]
    copied = sum(_overlap(*pair).numel() for pair in common)
    matched = sum(slot.shape.numel() for slot, _ in common)
    return Inherited(copied, matched - copied, totals[0] - matched, totals[1] - copied, is_same)
