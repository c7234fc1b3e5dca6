"""From the text of a reply to architectures of a space."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from archwright.errors import ArchwrightError
from archwright.space import Architecture, Space, examine

_LONGEST = 200_000  # characters of a reply that are looked at
_PLACES = 400  # in a reply, at which JSON may begin
_DEPTH = 8  # of objects within a proposal
_WRONG = 0.5  # the share of decisions of a proposal that may be wrong, with nothing near
COUNTS = ("valid", "repaired", "duplicate", "dropped")


@dataclass
class Taken:
    """What was taken from a reply.

    Attributes:
        architectures: The architectures, in order.
        counts: How many proposals were valid, repaired, duplicates of others, and dropped.
    """

    architectures: list[Architecture] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))


def take(
    text: str, space: Space, *, most: int, base: Architecture | None, seen: Callable[[Architecture], bool], seed: int
) -> Taken:
    """Return the architectures of a reply: validated, repaired to the nearest, and run on the meta device.

    Args:
        text: The reply.
        space: The space.
        most: How many proposals are looked at.
        base: The architecture from which decisions are taken that a proposal leaves out.
        seen: Tells whether an architecture was proposed before.
        seed: Of the mutations of what violates a constraint of the space.
    """
    taken, rng = Taken(), np.random.default_rng(seed)
    for proposal in _proposals(text, space)[:most]:
        architecture, is_valid = _repaired(proposal, space, base, rng)
        if architecture is None or not _runs(space, architecture):
            taken.counts["dropped"] += 1
        elif seen(architecture) or architecture in taken.architectures:
            taken.counts["duplicate"] += 1
        else:
            taken.counts["valid" if is_valid else "repaired"] += 1
            taken.architectures.append(architecture)
    return taken


def _repaired(
    proposal: Any, space: Space, base: Architecture | None, rng: np.random.Generator
) -> tuple[Architecture | None, bool]:
    """Return the architecture nearest to a proposal, and whether it is what was proposed."""
    if not isinstance(proposal, Mapping):
        return None, False
    given = dict(_flat(proposal))
    found = examine(space, given, base=base)
    architecture = found.architecture
    wrong = sum(problem.kind in ("unknown", "invalid") and problem.nearest is None for problem in found.problems)
    if not any(name in space.decisions for name in given) or wrong > _WRONG * len(given):
        return None, False
    if any(problem.kind == "constraint" for problem in found.problems):
        architecture = space.mutate(architecture, rng)
        if architecture not in space:
            return None, False
    return architecture, not found.problems


def _runs(space: Space, architecture: Architecture) -> bool:
    """Tell whether a network is built and runs, as far as its input is known."""
    if "model" not in space.parts or space.example_input is None:
        return True
    from archwright.build import check_architecture  # it loads torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_architecture(space, architecture)
    except ArchwrightError:
        return False
    return True


def _flat(proposal: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the decisions of a proposal, in which objects within objects stand for paths."""
    for name, value in proposal.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping) and depth < _DEPTH:
            is_wrapped = path in ("decisions", "architecture")
            yield from _flat(value, "" if is_wrapped else f"{path}.", depth + 1)
        else:
            yield path, value


def _proposals(text: str, space: Space) -> list[Any]:
    """Return what a reply proposes: the last list of objects, or object, in it that names decisions."""
    text = text.rpartition("</think>")[2][:_LONGEST]
    found: list[Any] = []
    for value in _values(text):
        listed = value.get("architectures", [value]) if isinstance(value, Mapping) else value
        named = [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
        if any(name in space.decisions for each in named for name, _ in _flat(each)):
            found = list(listed)
    return found


def _values(text: str) -> Iterator[Any]:
    """Yield the JSON objects and lists in a text, the outermost ones."""
    decoder, place, tried = json.JSONDecoder(), 0, 0
    while tried < _PLACES:
        starts = [start for start in (text.find("{", place), text.find("[", place)) if start >= 0]
        if not starts:
            return
        place, tried = min(starts), tried + 1
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            place += 1
        else:
            yield value
