"""Kernels over architectures: sums of terms, each of which sees something else of an architecture."""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from archwright.errors import StrategyError, unknown
from archwright.space import Architecture, Choice, Space, Subset, Value
from archwright.surrogates._network import CostModel, cell_features
from archwright.surrogates._wl import cells_histogram

__all__ = [
    "KERNELS",
    "Costs",
    "Counts",
    "Decisions",
    "Network",
    "Paths",
    "Rows",
    "Term",
    "WeisfeilerLehman",
    "kernel_for",
    "terms_for",
]

Array: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = Any  # an array, or a sparse one: (n, features)

_HASHES = 2**18  # columns for things that are counted by their hash: collisions are rare
_SAMPLE = 512  # how many architectures of a large space say how far apart features are


class Term(ABC):
    """One summand of a kernel over the architectures of a space.

    What a term sees of an architecture is a row of numbers. Two rows are compared once; the value of the kernel follows
    from the comparison and the term's parameters, the logarithms of its variance and its lengthscales.

    Args:
        space: The space.

    Attributes:
        prior: Mean and standard deviation of the normal prior of each parameter, the variance's first. Scores are
            standardised and features scaled, so one prior does for all spaces.
    """

    prior: ClassVar[tuple[tuple[float, float], ...]]

    def __init__(self, space: Space) -> None:
        self.space = space

    @classmethod
    def serves(cls, space: Space) -> bool:
        """Tell whether there is something to see in a space."""
        return True

    @abstractmethod
    def inputs(self, architectures: Sequence[Architecture]) -> Array:
        """Return (n, features) what is seen of architectures."""

    @abstractmethod
    def compare(self, first: Array, second: Array) -> Array:
        """Return (..., n, m) how (n, features) and (m, features) rows differ, or agree."""

    @abstractmethod
    def value(self, compared: Array, parameters: Array) -> Array:
        """Return the (n, m) values of the kernel."""

    @abstractmethod
    def gradient(self, compared: Array, parameters: Array) -> list[Array]:
        """Return the (n, m) derivatives of the values by each of the parameters."""

    def diagonal(self, inputs: Array, parameters: Array) -> Array:
        """Return the (n,) values of rows with themselves: the variance, where a term does not say otherwise."""
        return np.full(len(inputs), math.exp(parameters[0]))


class _Matern(Term):
    """Matérn (smoothness 5/2) in the distance between scaled features."""

    prior = ((math.log(0.5), 1.0), (0.0, 0.7))

    def __init__(self, space: Space) -> None:
        super().__init__(space)
        self._scale = _Scale(self.features, space)

    @abstractmethod
    def features(self, architectures: Sequence[Architecture]) -> Array:
        """Return (n, features) numbers, in whatever unit."""

    def inputs(self, architectures: Sequence[Architecture]) -> Array:
        """Return the features, each with mean 0 and variance 1 over the space."""
        return self._scale(architectures)

    def compare(self, first: Array, second: Array) -> Array:
        """Return (n, m) mean squared differences."""
        return _squared(first, second)

    def value(self, compared: Array, parameters: Array) -> Array:
        """Return the (n, m) values of the kernel."""
        return math.exp(parameters[0]) * _matern(compared, parameters[1])[0]

    def gradient(self, compared: Array, parameters: Array) -> list[Array]:
        """Return the derivatives by variance and lengthscale."""
        value, slope = _matern(compared, parameters[1])
        return [math.exp(parameters[0]) * value, math.exp(parameters[0]) * slope]


class _Linear(Term):
    """Linear in features: the inner product of rows."""

    prior = ((math.log(0.3), 1.0),)

    def compare(self, first: Rows, second: Rows) -> Array:
        """Return (n, m) inner products."""
        return np.asarray(first @ second.T)

    def value(self, compared: Array, parameters: Array) -> Array:
        """Return the (n, m) values of the kernel."""
        return math.exp(parameters[0]) * compared

    def gradient(self, compared: Array, parameters: Array) -> list[Array]:
        """Return the derivative by the variance."""
        return [self.value(compared, parameters)]

    def diagonal(self, inputs: Array, parameters: Array) -> Array:
        """Return the (n,) values of rows with themselves."""
        return np.asarray(math.exp(parameters[0]) * np.einsum("ij,ij->i", inputs, inputs))


class Decisions(Term):
    """The decisions themselves: exponential in the share of unordered ones that differ, Matérn in the ordered ones.

    Where all are unordered this is the exponential Hamming kernel. A decision that only one of two architectures
    made differs by half. It knows nothing of networks.
    """

    prior = ((math.log(0.5), 1.0), (math.log(0.6), 0.7), (math.log(0.6), 0.7))

    def __init__(self, space: Space) -> None:
        super().__init__(space)
        decisions = space.decisions.values()
        unordered = [isinstance(d, Subset) or (isinstance(d, Choice) and not d.ordered) for d in decisions]
        self._unordered = np.repeat(unordered, [decision.width for decision in decisions]).astype(bool)
        self._counts = (max(1, sum(unordered)), max(1, len(unordered) - sum(unordered)))

    def inputs(self, architectures: Sequence[Architecture]) -> Array:
        """Return the vectors of `Space.encode`."""
        vectors = [self.space.encode(architecture) for architecture in architectures]
        return np.array(vectors).reshape(len(vectors), -1)

    def compare(self, first: Array, second: Array) -> Array:
        """Return (2, n, m): the share of unordered decisions that differ, the mean square of ordered differences."""
        one, other = self._unordered, ~self._unordered
        differ = _squared(first[:, one], second[:, one], divisor=2 * self._counts[0])
        return np.stack([differ, _squared(first[:, other], second[:, other], divisor=self._counts[1])])

    def value(self, compared: Array, parameters: Array) -> Array:
        """Return the (n, m) values of the kernel."""
        differ, apart = compared
        matern, _ = _matern(apart, parameters[2])
        return np.asarray(math.exp(parameters[0]) * np.exp(-differ * math.exp(-parameters[1])) * matern)

    def gradient(self, compared: Array, parameters: Array) -> list[Array]:
        """Return the derivatives by variance and the two lengthscales."""
        differ, apart = compared
        scaled = differ * math.exp(-parameters[1])
        hamming = math.exp(parameters[0]) * np.exp(-scaled)
        matern, slope = _matern(apart, parameters[2])
        value = hamming * matern
        return [value, value * scaled, hamming * slope]


class Counts(_Matern):
    """How often each option was taken by the unordered decisions that have the same options.

    It lets what was learnt of an option in one place speak for other places, and knows nothing of networks.
    """

    def __init__(self, space: Space) -> None:
        self._groups = _alike(space)
        super().__init__(space)

    @classmethod
    def serves(cls, space: Space) -> bool:
        """Tell whether several decisions have the same options."""
        return bool(_alike(space))

    def features(self, architectures: Sequence[Architecture]) -> Array:
        """Return (n, options) counts."""
        return np.array(
            [
                [
                    sum(name in architecture and architecture[name] == label for name in names)
                    for labels, names in self._groups.items()
                    for label in labels
                ]
                for architecture in architectures
            ],
            dtype=np.float64,
        ).reshape(len(architectures), -1)


class Network(_Matern):
    """What the cells compute, whatever their nodes are called: see `cell_features`."""

    @classmethod
    def serves(cls, space: Space) -> bool:
        """Tell whether the space has cells in networks that can be built."""
        return bool(space.cells) and _buildable(space)

    def features(self, architectures: Sequence[Architecture]) -> Array:
        """Return (n, features) counts and depths."""
        return cell_features(self.space, architectures)


class Costs(_Linear):
    """Linear in the parameters and in the FLOPs of the network, as `CostModel` knows them without building it."""

    def __init__(self, space: Space) -> None:
        super().__init__(space)
        self._scale = _Scale(CostModel(space).predict, space)

    @classmethod
    def serves(cls, space: Space) -> bool:
        """Tell whether networks of the space can be built."""
        return _buildable(space)

    def inputs(self, architectures: Sequence[Architecture]) -> Array:
        """Return (n, 2) parameters and FLOPs, each with mean 0 and variance 1 over the space."""
        return self._scale(architectures)


class _Cosine(_Linear):
    """The cosine of the counts of things that the cells hold."""

    prior = ((0.0, 1.0),)

    @classmethod
    def serves(cls, space: Space) -> bool:
        """Tell whether the space has cells."""
        return bool(space.cells)

    @abstractmethod
    def counts(self, architecture: Architecture) -> Mapping[str, int]:
        """Return how often each thing occurs."""

    def inputs(self, architectures: Sequence[Architecture]) -> Rows:
        """Return (n, hashes) sparse rows of length 1."""
        counted = [self.counts(architecture) for architecture in architectures]
        starts = np.cumsum([0, *map(len, counted)])
        columns = [zlib.crc32(thing.encode()) % _HASHES for counts in counted for thing in counts]
        values = [
            count / math.sqrt(sum(other * other for other in counts.values()))
            for counts in counted
            for count in counts.values()
        ]
        return csr_array((values, columns, starts), shape=(len(counted), _HASHES))

    def compare(self, first: Rows, second: Rows) -> Array:
        """Return (n, m) cosines."""
        return np.asarray((first @ second.T).toarray())

    def diagonal(self, inputs: Rows, parameters: Array) -> Array:
        """Return the variance, n times; 0 for a network of empty cells."""
        return np.asarray(math.exp(parameters[0]) * (inputs * inputs).sum(1))


class Paths(_Cosine):
    """The paths through the cells that two architectures share (White et al., "BANANAS", AAAI 2021)."""

    def counts(self, architecture: Architecture) -> Mapping[str, int]:
        """Return the paths, each once."""
        paths = self.space.encode(architecture, "paths")
        return {f"{name} {'>'.join(path)}": 1 for name, found in paths.items() for path in found}


class WeisfeilerLehman(_Cosine):
    """The neighbourhoods that the graphs of two architectures share, two steps deep.

    Ru, Wan, Dong and Osborne, "Interpretable neural architecture search via Bayesian optimisation with
    Weisfeiler-Lehman kernels" (NAS-BOWL), ICLR 2021.
    """

    def counts(self, architecture: Architecture) -> Mapping[str, int]:
        """Return the histogram of labels."""
        return cells_histogram(self.space.encode(architecture, "cells"), depth=2)


KERNELS: Mapping[str, tuple[type[Term], ...]] = MappingProxyType(
    {
        "network": (Decisions, Network, Costs),
        "decisions": (Decisions, Counts),
        "hamming": (Decisions,),
        "path": (Decisions, Paths),
        "wl": (WeisfeilerLehman,),
    }
)
"""The kernels by name: the terms of each; one that has nothing to see in a space is left out there."""

_kernels: WeakKeyDictionary[Space, dict[str, tuple[Term, ...]]] = WeakKeyDictionary()


def terms_for(space: Space, name: str) -> list[type[Term]]:
    """Return the terms of a kernel that have something to see in a space.

    Args:
        space: The space.
        name: One of `KERNELS`.

    Raises:
        UnknownName: There is no such kernel.
        StrategyError: Nothing of what it sees is in this space.
    """
    if name not in KERNELS:
        raise unknown("kernel", name, KERNELS)
    serving = {other: [term for term in terms if term.serves(space)] for other, terms in KERNELS.items()}
    if not serving[name]:
        allowed = ", ".join(other for other, terms in serving.items() if terms)
        raise StrategyError(f"the kernel {name!r} compares cells (aw.cell), and this space has none; use {allowed}")
    return serving[name]


def kernel_for(space: Space, name: str) -> tuple[Term, ...]:
    """Return the terms of a kernel over a space, made once for each space; arguments are those of `terms_for`."""
    made = _kernels.setdefault(space, {})
    if name not in made:
        made[name] = tuple(term(space) for term in terms_for(space, name))
    return made[name]


class _Scale:
    """Brings features to mean 0 and variance 1 over a space: all of a small one, else a sample."""

    def __init__(self, features: Callable[[Sequence[Architecture]], Array], space: Space) -> None:
        self.features = features
        rng = np.random.default_rng(0)
        some = list(islice(space.enumerate(), _SAMPLE)) if space.bound <= _SAMPLE else []
        values = features(some or [space.sample(rng) for _ in range(_SAMPLE)])
        self.mean = values.mean(0)
        spread = values.std(0)
        self.varies = spread > 1e-9 * np.abs(self.mean)
        self.spread = np.where(self.varies, spread, 1.0)

    def __call__(self, architectures: Sequence[Architecture]) -> Array:
        """Return (n, features that vary) scaled features."""
        return np.asarray(((self.features(architectures) - self.mean) / self.spread)[:, self.varies])


def _alike(space: Space) -> dict[tuple[Value, ...], list[str]]:
    """Return the unordered decisions that share their options with another, by those options."""
    groups: dict[tuple[Value, ...], list[str]] = {}
    for name, decision in space.decisions.items():
        if isinstance(decision, Choice) and not decision.ordered and decision.size > 1:
            groups.setdefault(decision.labels, []).append(name)
    return {labels: names for labels, names in groups.items() if len(names) > 1}


def _buildable(space: Space) -> bool:
    return "model" in space.parts and space.example_input is not None


def _squared(first: Array, second: Array, divisor: int | None = None) -> Array:
    """Return (n, m) squared distances of rows, divided by the number of columns where nothing else is said."""
    norms = np.einsum("ij,ij->i", first, first)[:, None] + np.einsum("ij,ij->i", second, second)[None]
    distance = np.maximum(norms - 2 * first @ second.T, 0.0)
    return np.asarray(distance / (divisor or max(1, first.shape[1])))


def _matern(squared: Array, log_scale: float) -> tuple[Array, Array]:
    """Return Matérn (smoothness 5/2) of squared distances, and its derivative by the log of the lengthscale."""
    r = np.sqrt(5 * squared) * math.exp(-log_scale)
    decay = np.exp(-r)
    return decay * (1 + r + r * r / 3), decay * (r * r / 3) * (1 + r)
