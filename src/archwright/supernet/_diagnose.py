"""Signs that a search by weight sharing has gone wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from archwright.build import is_layer, is_row
from archwright.space import Apply, Call, Choice, Graph, Input, Space, body_of

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet

__all__ = ["degeneracy", "entropy", "nones", "operations", "share_of_skips", "skips"]

_FEWEST = 3  # operations that could be skipped, below which their share says nothing


def skips(space: Space, architecture: Mapping[str, Any]) -> int:
    """Return how many operations of an architecture are identities, among those that are chosen between modules.

    Liang et al., "DARTS+: Improved differentiable architecture search with early stopping", 2019, end a search when
    there are two in a cell: parameter-free operations win in a mixture once the weights fit the training data. A
    decision that is used in several places counts once.

    Args:
        space: The space.
        architecture: An architecture of it.
    """
    return sum(map(_is_skip, _operations(space, architecture)))


def nones(space: Space, architecture: Mapping[str, Any]) -> int:
    """Return how many operations of an architecture are absent; arguments are those of `skips`."""
    return sum(option is None for option in _operations(space, architecture))


def operations(space: Space, architecture: Mapping[str, Any]) -> int:
    """Return how many operations of an architecture could be skips or absent; arguments are those of `skips`."""
    return len(list(_operations(space, architecture)))


def share_of_skips(space: Space, architecture: Mapping[str, Any]) -> float:
    """Return the share of identities and absent operations among those that could be; 0 where there is none.

    Args:
        space: The space.
        architecture: An architecture of it.
    """
    found = list(_operations(space, architecture))
    return (skips(space, architecture) + nones(space, architecture)) / len(found) if found else 0.0


def degeneracy(space: Space, architecture: Mapping[str, Any], *, most: float = 0.5) -> str:
    """Return in words why an architecture is degenerate; an empty string where it is not.

    It is where its output does not depend on its input, or where more than a share of its operations are identities or
    absent; of fewer than three operations no share is taken.

    Args:
        space: The space.
        architecture: An architecture of it.
        most: The greatest share that is allowed, from 0 to 1.
    """
    if not _passes(space.resolve(architecture)["model"]):
        return "its output does not depend on its input"
    count, share = len(list(_operations(space, architecture))), share_of_skips(space, architecture)
    if count >= _FEWEST and share > most:
        idle = skips(space, architecture) + nones(space, architecture)
        return f"{idle} of its {count} operations are skips or nothing"
    return ""


def entropy(supernet: Supernet) -> float:
    """Return the mean entropy of what is learned about each decision, from 0 (decided) to 1 (no preference).

    Each is divided by its greatest value, the logarithm of the number of options. 0 where nothing is learned.

    Args:
        supernet: The supernet.
    """
    found = [shares.double() for shares in supernet.probabilities().values() if len(shares) > 1]
    parts = [float(-shares.xlogy(shares).sum()) / math.log(len(shares)) for shares in found]
    return sum(parts) / len(parts) if parts else 0.0


def _operations(space: Space, architecture: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what was chosen between modules, where an identity or nothing might have been."""
    for name, value in architecture.items():
        decision = space.decisions[name]
        is_operation = isinstance(decision, Choice) and (is_layer(decision) or None in decision.options)
        if is_operation and any(option is None or _is_skip(option) for option in decision.branches):
            yield decision.chosen(value)[0]


def _is_skip(option: Any) -> bool:
    option = body_of(option)
    if is_row(option):
        return all(map(_is_skip, option.args))
    return isinstance(option, Call) and option.target == "torch.nn.Identity"


def _passes(item: Any) -> bool:
    """Tell whether the output of a closed module depends on its input; a layer's does."""
    if isinstance(item, Graph):
        return _depends(item.output, {})
    if is_row(item):
        return all(map(_passes, item.args))
    return item is not None


def _depends(value: Any, memo: dict[Any, bool]) -> bool:
    if value not in memo:
        passes = _passes(value.module) if isinstance(value, Apply) else getattr(value, "kind", "") != "zeros"
        memo[value] = passes and (isinstance(value, Input) or any(_depends(each, memo) for each in value.sources))
    return memo[value]
