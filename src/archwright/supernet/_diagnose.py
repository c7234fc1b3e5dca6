"""What is to be thought of what a supernet has learned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from archwright.space import Architecture, Call, Choice, Filled, Space, last_name

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet

__all__ = ["Diagnosis", "diagnose", "entropy", "operations"]

_TOO_MANY = 0.5  # of the operations: above this share of skips and nothing, a network can hardly compute


@dataclass(frozen=True)
class Diagnosis:
    """What a derived architecture is like.

    Args:
        derived: Its id.
        skips: The share of its operations that pass their input on as it is, in 0..1.
        nothing: The share that are no operation.
        entropy: How undecided the supernet is, in 0..1: the entropy of each decision over the greatest, on average.
        degenerate: Why it can hardly be of use; None where nothing speaks against it.
    """

    derived: str
    skips: float
    nothing: float
    entropy: float
    degenerate: str | None

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def diagnose(supernet: Supernet, architecture: Architecture) -> Diagnosis:
    """Return what there is to say about an architecture that a supernet prefers."""
    skips, nothing, count = operations(supernet.space, architecture)
    share, none = (skips / count, nothing / count) if count else (0.0, 0.0)
    reason = None
    if share + none > _TOO_MANY:
        reason = f"{skips} skips and {nothing} times nothing among its {count} operations"
    return Diagnosis(architecture.id, share, none, entropy(supernet), reason)


def entropy(supernet: Supernet) -> float:
    """Return how undecided a supernet is, in 0..1; 0 where it learns nothing."""
    shares = [each for each in supernet.probabilities().values() if len(each) > 1]
    if not shares:
        return 0.0
    found = [float(-(each * each.clamp_min(1e-12).log()).sum()) / math.log(len(each)) for each in shares]
    return sum(found) / len(found)


def operations(space: Space, architecture: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return how many of the operations that an architecture decides are skips, how many are nothing, and all.

    An operation is the option of a choice that has a skip (`nn.Identity`) or nothing among its options.
    """
    skips = nothing = count = 0
    for name, value in architecture.items():
        decision = space.decisions[name]
        if not isinstance(decision, Choice):
            continue
        kinds = [_kind(option) for option in decision.options]
        if not any(kinds):
            continue
        kind = kinds[decision.labels.index(value)]
        count += 1
        skips += kind == "skip"
        nothing += kind == "nothing"
    return skips, nothing, count


def _kind(option: Any) -> str:
    while isinstance(option, Filled):
        option = option.body
    if option is None:
        return "nothing"
    is_skip = isinstance(option, Call) and last_name(option.target) == "Identity"
    return "skip" if is_skip else ""
