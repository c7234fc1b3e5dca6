"""Diagnostics of degenerate searches by weight sharing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from archwright.build import is_layer, is_row
from archwright.space import Apply, Call, Choice, Graph, Input, Space, body_of

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet

_FEWEST = 3  # operations that could be skipped, below which their share says nothing


def skips(space: Space, architecture: Mapping[str, Any]) -> int:
    """Return the number of identities among the operations that an architecture chooses.

    Liang et al., "DARTS+: Improved differentiable architecture search with early stopping", 2019, end a search at two
    in a cell, since parameter-free operations dominate a mixture once the weights fit the training data. A decision
    that is used in several places counts once.

    Args:
        space: The space.
        architecture: An architecture of it.

    Example:
        >>> space = aw.Space(model=nn.Sequential(aw.choice(nn.Identity(), nn.ReLU(), name="a"), nn.Linear(2, 2)))
        >>> aw.supernet.skips(space, {"a": "Identity()"}), aw.supernet.skips(space, {"a": "ReLU()"})
        (1, 0)
    """
    return sum(map(_is_skip, _operations(space, architecture)))


def nones(space: Space, architecture: Mapping[str, Any]) -> int:
    """Return the number of absent operations of an architecture; arguments are those of `skips`.

    Example:
        >>> cell = aw.cell(lambda source, node: aw.choice(None, nn.ReLU(), name="edge"), nodes=1)
        >>> aw.supernet.nones(aw.Space(model=cell), {"edge": None})
        1
    """
    return sum(option is None for option in _operations(space, architecture))


def operations(space: Space, architecture: Mapping[str, Any]) -> int:
    """Return how many operations of an architecture could be skips or absent; arguments are those of `skips`."""
    return len(list(_operations(space, architecture)))


def share_of_skips(space: Space, architecture: Mapping[str, Any]) -> float:
    """Return the share of identities and absent operations among the decisions that offer them; 0 if there are none.

    Args:
        space: The space.
        architecture: An architecture of it.

    Example:
        >>> layers = [aw.choice(nn.Identity(), nn.ReLU(), name=name) for name in "abcd"]
        >>> space = aw.Space(model=nn.Sequential(*layers))
        >>> aw.supernet.share_of_skips(space, dict.fromkeys("abc", "Identity()") | {"d": "ReLU()"})
        0.75
    """
    found = list(_operations(space, architecture))
    return (skips(space, architecture) + nones(space, architecture)) / len(found) if found else 0.0


def degeneracy(space: Space, architecture: Mapping[str, Any], *, most: float = 0.5) -> str:
    """Return a message if an architecture is degenerate, else an empty string.

    It is degenerate if its output does not depend on its input, or if more than a share of its three or more operations
    are identities or absent.

    Args:
        space: The space.
        architecture: An architecture of it.
        most: The maximum share, from 0 to 1.

    Example:
        >>> layers = [aw.choice(nn.Identity(), nn.ReLU(), name=name) for name in "abc"]
        >>> space = aw.Space(model=nn.Sequential(*layers))
        >>> aw.supernet.degeneracy(space, dict.fromkeys("abc", "Identity()"))
        '3 of its 3 operations are skips or nothing'
    """
    if not _passes(space.resolve(architecture)["model"]):
        return "its output does not depend on its input"
    count, share = len(list(_operations(space, architecture))), share_of_skips(space, architecture)
    if count >= _FEWEST and share > most:
        idle = skips(space, architecture) + nones(space, architecture)
        return f"{idle} of its {count} operations are skips or nothing"
    return ""


def entropy(supernet: Supernet) -> float:
    """Return the mean normalised entropy of the distributions over the decisions, from 0 (decided) to 1 (uniform).

    For n options it is -sum p_i log p_i / log n. 0 without logits.

    Args:
        supernet: The supernet.

    Example:
        >>> model = nn.Sequential(aw.choice(nn.ReLU(), nn.Tanh(), name="act"), nn.Linear(4, 3))
        >>> supernet = aw.Supernet(aw.Space(model=model, example_input=(4,)), aw.supernet.Softmax())
        >>> round(aw.supernet.entropy(supernet), 2)
        1.0
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
