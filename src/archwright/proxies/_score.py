"""Scores of a network by several proxies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from archwright.errors import EvaluationError
from archwright.evaluate import seeded
from archwright.proxies import _base
from archwright.proxies._base import Proxy
from archwright.proxies._passes import Passes
from archwright.proxies._state import borrowed
from archwright.tasks import leaves


def score(
    model: nn.Module,
    inputs: Tensor | tuple[Tensor, ...],
    targets: Any,
    names: str | Proxy | Iterable[str | Proxy],
    *,
    seed: int = 0,
    undefined: float | None = None,
    loss: Callable[[Any, Any], Tensor] | None = None,
) -> dict[str, float]:
    """Return the scores of a network by several proxies, which share forward and backward passes.

    Parameters, gradients, buffers, modes and hooks of the network and the global generators are restored. It is scored
    with its own weights (except by "zen"), with batch statistics in batch normalisation, and without dropout.

    Args:
        model: The network; it maps `inputs` to (n, classes) scores.
        inputs: The batch, normalised, shape (n, ...), of the network's type, layout and device; n is 2 or more, and 4
            or more for "zico". A tuple for a network with several inputs.
        targets: The targets of the loss; for the cross-entropy int64 classes of shape (n,). Unused by proxies without a
            loss.
        names: Names of proxies, or `Proxy` objects. "az-nas" is replaced by its parts.
        seed: The random seed.
        undefined: The value of an undefined score, such as -math.inf; `None` to raise.
        loss: `f(outputs, targets)`, the mean loss of a batch, a scalar tensor; by default the cross-entropy.

    Returns:
        The scores by the proxies' names, in the given order; greater is better.

    Raises:
        EvaluationError: A proxy is undefined for this network, or inputs and targets do not match the network.
        UnknownName: No proxy has that name.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
        >>> aw.proxies.score(model, torch.eye(2), torch.tensor([0, 1]), ["parameters", "flops"])
        {'parameters': 17.0, 'flops': 24.0}
    """
    asked = as_proxies(names)
    for one, other in pairwise([*leaves(inputs), *leaves(targets)]):
        if one.ndim < 1 or one.shape[:1] != other.shape[:1] or len(one) < 2:
            raise EvaluationError(
                "inputs are (n, ...) and targets (n,) or (n, ...), with n of 2 or more; "
                f"{tuple(one.shape)} and {tuple(other.shape)} was given"
            )
    needs = frozenset[str]().union(*(proxy.needs for proxy in asked.values()))
    scores = {}
    with (
        seeded(seed, str(next(leaves(inputs)).device)),
        torch.inference_mode(False),
        torch.enable_grad(),
        borrowed(model),
    ):
        passes = Passes(model, inputs, targets, needs=needs, seed=seed, loss=loss)
        # Those with passes of their own come last, when the shared graph is let go of: some swap parameters.
        for name in sorted(asked, key=lambda name: not asked[name].needs):
            if not asked[name].needs:
                passes.release()
            scores[name] = _one(name, asked[name], passes, undefined)
    return {name: scores[name] for name in asked}


def as_proxies(names: str | Proxy | Iterable[str | Proxy]) -> dict[str, Proxy]:
    """Return proxies by name, in the order asked for; one that ranks sets gives way to its parts."""
    given = (names,) if isinstance(names, str | Proxy) else tuple(names)
    found: dict[str, Proxy] = {}
    for each in given:
        proxy = _base.create(each) if isinstance(each, str) else each
        name = each if isinstance(each, str) else _base.name_of(proxy)
        if name is None:
            raise EvaluationError(f"{proxy!r} has no name: file its class with archwright.proxies.register")
        for part, made in {part: _base.create(part) for part in proxy.parts}.items() or [(name, proxy)]:
            if found.setdefault(part, made) != made:
                raise EvaluationError(f"proxy {part!r} is asked for twice, with different settings")
    if not found:
        raise EvaluationError(f"no proxy is asked for; there are: {', '.join(_base.names())}")
    return found


def _one(name: str, proxy: Proxy, passes: Passes, undefined: float | None) -> float:
    try:
        value = proxy.score(passes)
        if not math.isfinite(value):
            raise EvaluationError(
                f"it came to {value}: the network's numbers grow too large or cancel out; normalise its layers"
            )
    except EvaluationError as error:
        if undefined is None:
            raise EvaluationError(f"proxy {name!r}: {error}") from error
        return undefined
    return value
