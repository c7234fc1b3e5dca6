"""Calls that make layers with weights that are there already: whole copies, or slices of a larger layer."""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from archwright._scalars import is_number, scalar
from archwright.errors import BuildError, SpaceError
from archwright.space import Call, Node
from archwright.supernet.elastic import Slicing, cut, rule_of

MARK = "pretrained:"
"""What the targets of copies begin with: they have no name by which another program finds them."""


def pretrained(module: nn.Module, *, lr: Any = 1.0) -> Call:
    """Let a trained module join the language: every network begins with a copy of it, weights and buffers included.

    The copy is a part like any other: `nn.Sequential(aw.pretrained(backbone), head)` with a searched head. A supernet
    starts from its weights, `extract` and inherited weights keep them, and parameters with `requires_grad=False` are
    not trained. Batch normalisation whose parameters are frozen keeps its statistics in training.

    The weights cannot be written as source code or JSON. The networks of a search are saved without `model.py`, and
    the space has to be given again to resume. Where this matters, load the weights in a function of your own,
    `aw.lazy(load_backbone)()`.

    Args:
        module: The module. It is copied at once: later changes of it have no effect.
        lr: A factor on the learning rate of `Training` for these parameters, 0 or more, such as 0.1 (discriminative
            fine-tuning: Howard and Ruder, "Universal language model fine-tuning for text classification", ACL 2018);
            0 freezes them. It may be a decision.

    Raises:
        SpaceError: `module` is no module, has lazy layers without sizes, or `lr` is negative.

    Example:
        >>> backbone = torch.nn.Linear(4, 8)
        >>> model = nn.Sequential(aw.pretrained(backbone, lr=0), nn.LazyLinear(aw.ordinal(2, 3, name="width")))
        >>> network = aw.Space(model=model, example_input=(4,)).build({"width": 3})
        >>> torch.equal(network[0].weight, backbone.weight), network[0].weight.requires_grad
        (True, False)
    """
    if not isinstance(module, nn.Module):
        raise SpaceError(f"pretrained takes an instantiated torch.nn.Module; {type(module).__name__} was given")
    if any(is_lazy(each) for each in (*module.parameters(), *module.buffers())):
        raise SpaceError(f"pretrained takes trained weights; {type(module).__name__} has lazy layers that never ran")
    lr = scalar(lr)
    if not isinstance(lr, Node) and not (is_number(lr) and lr >= 0):
        raise SpaceError(f"lr is a factor on the learning rate, a number of 0 or more; {lr!r} was given")
    copies = _Copies(copy.deepcopy(module))
    return Call(
        f"{MARK}{type(module).__name__}", (), {"lr": lr} if isinstance(lr, Node) or lr != 1.0 else {}, (), copies
    )


class _Held:
    """What makes layers with weights that it holds."""

    state: Mapping[str, Tensor]

    @cached_property
    def digest(self) -> str:
        """A text that tells weights apart, and is the same in every process."""
        found = hashlib.blake2b(digest_size=8)
        for name, tensor in sorted(self.state.items()):
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return found.hexdigest()


class _Copies(_Held):
    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.state = module.state_dict()

    def __call__(self, lr: float = 1.0) -> nn.Module:
        made = copy.deepcopy(self.module)
        place = torch.get_default_device()
        if place.type != "cpu":
            made = made.to(place)
        if lr == 0:
            made.requires_grad_(False)
        elif lr != 1.0:
            made.lr_scale = lr  # type: ignore[assignment]  # a number, which the optimizer looks for
        return made

    def __repr__(self) -> str:
        return f"pretrained {type(self.module).__name__} {self.digest}"


class Slices(_Held):
    """A class of layers whose objects begin with a slice of the weights of a larger one.

    Args:
        kind: The class.
        state: The parameters and buffers of the largest layer, by name, in the order of importance.
        frozen: The names of parameters that are not trained.
    """

    def __init__(self, kind: Callable[..., nn.Module], state: Mapping[str, Tensor], frozen: frozenset[str]) -> None:
        self.source_class, self.state, self.frozen = kind, dict(state), frozen
        self.__signature__ = inspect.signature(kind)

    def __call__(self, *args: Any, **kwargs: Any) -> nn.Module:
        made = self.source_class(*args, **kwargs)
        rule = rule_of(made)
        parts = rule.parts(made) if rule is not None else {}
        for name, full in self.state.items():
            held: Tensor | None = made._parameters.get(name)
            if held is None:
                held = made._buffers.get(name)
            if (
                held is None
                or held.ndim != full.ndim
                or any(a > b for a, b in zip(held.shape, full.shape, strict=True))
            ):
                size = "nothing" if held is None else str(tuple(held.shape))
                raise BuildError(f"{name} is {size} here, and no part of the trained {tuple(full.shape)}")
            if name in self.frozen:
                held.requires_grad_(False)
            if held.device.type != "meta":
                with torch.no_grad():
                    held.copy_(cut(full, held.shape, parts.get(name, Slicing())))
        return made

    def __repr__(self) -> str:
        return f"slices of {self.source_class.__name__} {self.digest}"
