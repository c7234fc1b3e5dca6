"""Architectures as rows of numbers, the input of predictors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from archwright.space import Architecture, Space
from archwright.surrogates._named_kernels import kernel_for

Encoding = Literal["path", "vector", "both", "network"]
ENCODINGS: tuple[str, ...] = get_args(Encoding)

T = TypeVar("T")

_SMALL = 50_000  # the largest space of which everything that was seen is kept
_SAMPLE = 2048  # architectures that say which paths are frequent
_PATHS = 512  # the most paths that have a column
_DIGITS = 5


def encode_rows(space: Space, architectures: Sequence[Architecture], encoding: Encoding) -> NDArray[np.float32]:
    """Return the input of a predictor for architectures.

    Args:
        space: Their space.
        architectures: At least one.
        encoding: "vector": the decisions (`Space.encode`). "path": for each path of operations through a cell whether
            it is present (White et al., "BANANAS", AAAI 2021), for the 512 that are most frequent among random
            architectures, which is the truncation of that paper; in a space without cells the same as "vector". "both":
            the two concatenated. "network": the decisions, features of the cells, parameters and FLOPs, as in the
            kernel "network"; the decisions alone if no network can be built. Of recursive spaces the tree encoding.

    Returns:
        (n, features) numbers.

    Example:
        >>> space = aw.Space(x=aw.choice("a", "b"), y=aw.integer(0, 4))
        >>> aw.surrogates.encode_rows(space, [aw.Architecture({"x": "b", "y": 3})], "vector")
        array([[0.  , 1.  , 0.75]], dtype=float32)
    """
    if space.is_recursive:
        return np.array([space.encode(one, "tree") for one in architectures], dtype=np.float32)
    if encoding == "network":
        return np.array(remembered(space, encoding, architectures, lambda new: _network(space, new)))
    kinds = [kind for kind in ("path", "vector") if encoding in (kind, "both")] if space.cells else ["vector"]
    see: dict[str, Callable[[Sequence[Architecture]], NDArray[np.float32]]] = {
        "path": lambda new: _paths(space, new),
        "vector": lambda new: np.array([space.encode(one) for one in new], dtype=np.float32),
    }
    return np.hstack([np.array(remembered(space, kind, architectures, see[kind])) for kind in kinds])


def remembered(
    space: Space, kind: str, architectures: Sequence[Architecture], see: Callable[[Sequence[Architecture]], Iterable[T]]
) -> list[T]:
    """Return what a function says of each architecture; in a small space it is asked once for each.

    What it says of one must not depend on the others.
    """
    if space.bound > _SMALL:
        return list(see(architectures))
    held: dict[Architecture, T] = space.memo.setdefault(("remembered", kind), {})
    if new := [architecture for architecture in architectures if architecture not in held]:
        held.update(zip(new, see(new), strict=True))
    return [held[architecture] for architecture in architectures]


def _network(space: Space, architectures: Sequence[Architecture]) -> NDArray[np.float32]:
    rows = np.hstack([term.inputs(architectures) for term in kernel_for(space, "network")])
    # Sums over few and over many rows differ in the last digit, and a search must not depend on what was seen together.
    return np.round(rows, _DIGITS).astype(np.float32)


def _paths(space: Space, architectures: Sequence[Architecture]) -> NDArray[np.float32]:
    if "columns of paths" not in space.memo:
        rng = np.random.default_rng(0)
        counts = Counter(path for _ in range(_SAMPLE) for path in _through(space, space.sample(rng)))
        frequent = sorted(counts, key=lambda path: (-counts[path], path))[:_PATHS]
        space.memo["columns of paths"] = {path: column for column, path in enumerate(frequent)}
    columns: dict[tuple[str, ...], int] = space.memo["columns of paths"]
    rows = np.zeros((len(architectures), len(columns)), dtype=np.float32)
    for row, architecture in zip(rows, architectures, strict=True):
        row[[columns[path] for path in _through(space, architecture) if path in columns]] = 1
    return rows


def _through(space: Space, architecture: Architecture) -> Iterator[tuple[str, ...]]:
    """Iterate over the paths through all cells, each with the name of its cell."""
    return ((name, *path) for name, paths in space.encode(architecture, "paths").items() for path in paths)
