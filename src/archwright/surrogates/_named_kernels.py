"""The kernels by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from archwright.errors import StrategyError, unknown
from archwright.space import Space
from archwright.surrogates._kernels import Costs, Counts, Decisions, Network, Paths, Proxies, Term, WeisfeilerLehman
from archwright.surrogates._trees_of_decisions import Tree, TreeCounts

_RECURSIVE = ("network", "decisions", "tree")  # the kernels of recursive spaces

KERNELS: Mapping[str, tuple[type[Term], ...]] = MappingProxyType(
    {
        "network": (Decisions, Counts, Network, Costs),
        "decisions": (Decisions, Counts),
        "hamming": (Decisions,),
        "path": (Decisions, Paths),
        "wl": (WeisfeilerLehman,),
        "tree": (Tree, TreeCounts),
        "proxies": (Decisions, Counts, Network, Costs, Proxies),
    }
)
"""The kernels by name: the terms of each; one that has nothing to see in a space is left out there, or refused."""


def terms_for(space: Space, name: str) -> list[type[Term]]:
    """Return the terms of a kernel that are defined in a space.

    Args:
        space: The space.
        name: One of `KERNELS`.

    Raises:
        UnknownName: No kernel has that name.
        StrategyError: A required term is undefined in this space.

    Example:
        >>> [term.__name__ for term in aw.surrogates.terms_for(aw.Space(x=aw.integer(0, 9)), "network")]
        ['Decisions']
    """
    if name not in KERNELS:
        raise unknown("kernel", name, KERNELS)
    if space.is_recursive:
        if name not in _RECURSIVE:
            told = ", ".join(_RECURSIVE)
            raise StrategyError(f"the kernel {name!r} compares vectors, which a recursive space has not; use {told}")
        return [Tree, TreeCounts]
    for term in KERNELS[name]:
        if term.lacking and not term.serves(space):
            serving = (other for other in KERNELS if all(t.serves(space) or not t.lacking for t in KERNELS[other]))
            raise StrategyError(f"the kernel {name!r} {term.lacking}; use {', '.join(serving)}")
    return [term for term in KERNELS[name] if term.serves(space)]


def kernel_for(space: Space, name: str) -> tuple[Term, ...]:
    """Return the terms of a kernel over a space, cached by space; arguments are those of `terms_for`.

    Example:
        >>> space = aw.Space(x=aw.choice("a", "b"), y=aw.choice("a", "b"))
        >>> [type(term).__name__ for term in aw.surrogates.kernel_for(space, "decisions")]
        ['Decisions', 'Counts']
    """
    made: dict[str, tuple[Term, ...]] = space.memo.setdefault("kernels", {})
    if name not in made:
        made[name] = tuple(term(space) for term in terms_for(space, name))
    return made[name]
