"""Kernels over architectures: sums of terms on different features."""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar, TypeAlias

import numpy as np
import scipy
from numpy.typing import NDArray

from archwright.space import Architecture, Choice, Space, Subset, Value
from archwright.surrogates._network import CostModel, cell_features
from archwright.surrogates._proxies import ProxyModel, scorable
from archwright.surrogates._wl import cells_histogram

Array: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = Any  # an array, or a sparse one: (n, features)

_HASHES = 2**18  # columns for things that are counted by their hash: collisions are rare
_WEIGHED = 32  # the most decisions that have a weight each
_SAMPLE = 512  # how many architectures of a large space say how far apart features are


class Term(ABC):
    """Base class of the summands of a kernel over the architectures of a space.

    A term maps an architecture to a row of features. Two rows are compared once; the kernel's value is a function of
    that and of the term's parameters, the logarithms of its variance and its lengthscales.

    Args:
        space: The space.

    Attributes:
        prior: Mean and standard deviation of the normal prior of each parameter, the variance's first. Scores and
            features are standardised, so the prior is the same for all spaces.
        lacking: Why a kernel is refused in a space without features for this term; empty if the term is left out
            instead.

    Example:
        >>> space = aw.Space(x=aw.choice("a", "b"))
        >>> term = aw.surrogates.Decisions(space)
        >>> rows = term.inputs(list(space.enumerate()))
        >>> term.kernel(rows, rows, np.zeros(2)).round(3)
        array([[1.   , 0.368],
               [0.368, 1.   ]])
    """

    prior: tuple[tuple[float, float], ...]
    lacking: ClassVar[str] = ""

    def __init__(self, space: Space) -> None:
        self.space = space

    @classmethod
    def serves(cls, space: Space) -> bool:
        """Tell whether the term is defined in a space."""
        return True

    @abstractmethod
    def inputs(self, architectures: Sequence[Architecture]) -> Array:
        """Return the (n, features) features of architectures."""

    @abstractmethod
    def compare(self, first: Array, second: Array) -> Array:
        """Return the (..., n, m) comparisons (distances or products) of (n, features) and (m, features) rows."""

    @abstractmethod
    def value(self, compared: Array, parameters: Array) -> Array:
        """Return the (n, m) values of the kernel."""

    @abstractmethod
    def gradient(self, compared: Array, parameters: Array) -> list[Array]:
        """Return the (n, m) derivatives by each parameter; the first, by the log variance, is the kernel itself."""

    def kernel(self, first: Array, second: Array, parameters: Array) -> Array:
        """Return the (n, m) values for rows."""
        return self.value(self.compare(first, second), parameters)

    def diagonal(self, inputs: Array, parameters: Array) -> Array:
        """Return the (n,) values of rows with themselves; by default the variance."""
        return np.full(len(inputs), math.exp(parameters[0]))


class Matern(Term):
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
        return np.asarray(_squared(first, second) / max(1, first.shape[1]))

    def value(self, compared: Array, parameters: Array) -> Array:
        return math.exp(parameters[0]) * _matern(compared * math.exp(-2 * parameters[1]))[0]

    def gradient(self, compared: Array, parameters: Array) -> list[Array]:
        scaled = compared * math.exp(-2 * parameters[1])
        value, slope = _matern(scaled)
        return [math.exp(parameters[0]) * value, -2 * math.exp(parameters[0]) * slope * scaled]


class _Linear(Term):
    """Linear in features: the inner product of rows."""

    prior = ((math.log(0.3), 1.0),)

    def compare(self, first: Rows, second: Rows) -> Array:
        return np.asarray(first @ second.T)

    def value(self, compared: Array, parameters: Array) -> Array:
        return math.exp(parameters[0]) * compared

    def gradient(self, compared: Array, parameters: Array) -> list[Array]:
        return [self.value(compared, parameters)]

    def diagonal(self, inputs: Array, parameters: Array) -> Array:
        return np.asarray(math.exp(parameters[0]) * np.einsum("ij,ij->i", inputs, inputs))


class Decisions(Term):
    """Kernel on the decisions: exponential in the unordered ones, Matérn 5/2 in the ordered ones.

    k(a, b) = v exp(-sum w_i [a_i ≠ b_i]) × Matérn(sum w_j (a_j - b_j)^2), averaged over the decisions of each kind.
    Each decision has a weight that is fitted (automatic relevance determination: MacKay, "Bayesian methods for
    backpropagation networks", 1996); if there are many decisions, the unordered ones share a weight, and so do the
    ordered ones. With equal weights and unordered decisions this is the exponential Hamming kernel. A decision that is
    active in only one of two architectures counts half.

    Example:
        >>> space = aw.Space(x=aw.choice("a", "b"), y=aw.choice("c", "d"))
        >>> term = aw.surrogates.Decisions(space)
        >>> rows = term.inputs(list(space.enumerate()))
        >>> term.kernel(rows[:1], rows, np.zeros(3)).round(2)
        array([[1.  , 0.61, 0.61, 0.37]])
    """

    def __init__(self, space: Space) -> None:
        super().__init__(space)
        decisions = list(space.decisions.values())
        unordered = np.array([isinstance(d, Subset) or (isinstance(d, Choice) and not d.ordered) for d in decisions])
        unordered = unordered.astype(bool)
        groups = np.arange(len(decisions)) if len(decisions) <= _WEIGHED else np.where(unordered, 0, 1)
        kinds, groups = np.unique(groups, return_inverse=True)
        self._group = np.repeat(groups, [decision.width for decision in decisions]).astype(int)  # of each slot
        self._unordered = np.array([unordered[groups == kind].all() for kind in range(len(kinds))], dtype=bool)
        # Of one-hot vectors that differ the squared distance is 2; each kind of decision is averaged over.
        self._share = np.where(self._unordered, 0.5 / max(1, unordered.sum()), 1 / max(1, (~unordered).sum()))
        self.prior = ((math.log(0.5), 1.0), *((0.0, 0.3),) * len(kinds))

    def inputs(self, architectures: Sequence[Architecture]) -> Array:
        """Return the vectors of `Space.encode`."""
        vectors = [self.space.encode(architecture) for architecture in architectures]
        return np.array(vectors).reshape(len(vectors), -1)

    def kernel(self, first: Array, second: Array, parameters: Array) -> Array:
        """Return the (n, m) values for rows, by two matrix products."""
        weights = np.sqrt(self._share * np.exp(parameters[1:]))[self._group]
        one = self._unordered[self._group]
        values = np.full((len(first), len(second)), math.exp(parameters[0]))
        if one.any():
            values *= np.exp(-_squared(first * (weights * one), second * (weights * one)))
        if not one.all():
            values *= _matern(_squared(first * (weights * ~one), second * (weights * ~one)))[0]
        return values

    def compare(self, first: Array, second: Array) -> Array:
        """Return (groups, n, m) mean squared differences of the decisions in each group."""
        groups = [self._group == group for group in range(len(self._unordered))]
        apart = [_squared(first[:, group], second[:, group]) for group in groups]
        return np.asarray(np.reshape(apart, (len(groups), len(first), len(second))) * self._share[:, None, None])

    def value(self, compared: Array, parameters: Array) -> Array:
        """Return the (n, m) values of the kernel."""
        return self._parts(compared, parameters)[0]

    def gradient(self, compared: Array, parameters: Array) -> list[Array]:
        """Return the derivatives by the variance and the weights."""
        value, along = self._parts(compared, parameters)
        scaled = zip(self._unordered, compared, np.exp(parameters[1:]), strict=True)
        return [value, *((-value if unordered else along) * part * weight for unordered, part, weight in scaled)]

    def _parts(self, compared: Array, parameters: Array) -> tuple[Array, Array]:
        """Return the (n, m) values, and their derivatives by the weighted differences of the ordered decisions."""
        one, weights = self._unordered, np.exp(parameters[1:])
        value = np.full(compared.shape[1:], math.exp(parameters[0]))
        if one.any():
            value *= np.exp(-np.tensordot(weights[one], compared[one], 1))
        if one.all():
            return value, np.zeros_like(value)
        matern, slope = _matern(np.tensordot(weights[~one], compared[~one], 1))
        return value * matern, value * slope


class Counts(Matern):
    """Matérn 5/2 kernel on the number of times each option is chosen by unordered decisions with equal options.

    k = v (1 + sqrt(5) r + 5 r^2 / 3) exp(-sqrt(5) r), with r the root mean squared difference of the standardised
    features over the lengthscale (Rasmussen and Williams 2006). It generalises the effect of an option from one
    position to others.

    Example:
        >>> space = aw.Space(x=aw.choice("a", "b"), y=aw.choice("a", "b"))
        >>> term = aw.surrogates.Counts(space)
        >>> term.features([aw.Architecture({"x": "a", "y": "a"}), aw.Architecture({"x": "a", "y": "b"})])
        array([[2., 0.],
               [1., 1.]])
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


class Network(Matern):
    """Matérn 5/2 kernel, as in `Counts`, on features of the cells' graphs: see `cell_features`.

    Example:
        >>> cell = aw.cell(lambda source, node: aw.choice(nn.Identity(), nn.Linear(2, 2)), nodes=2)
        >>> term = aw.surrogates.Network(aw.Space(model=cell, example_input=(2,)))
        >>> len(term.inputs(list(term.space.enumerate())))
        8
    """

    @classmethod
    def serves(cls, space: Space) -> bool:
        """Tell whether the space has cells in networks that can be built."""
        return bool(space.cells) and _buildable(space)

    def features(self, architectures: Sequence[Architecture]) -> Array:
        """Return (n, features) counts and depths."""
        return cell_features(self.space, architectures)


class _Trend(_Linear):
    """Linear in features of networks, each with mean 0 and variance 1 over the space."""

    model: ClassVar[type[CostModel | ProxyModel]]

    def __init__(self, space: Space) -> None:
        super().__init__(space)
        self._model = self.model(space)
        self._scale = _Scale(self.features, space)

    def features(self, architectures: Sequence[Architecture]) -> Array:
        """Return (n, features) numbers, in whatever unit: what the model predicts."""
        return self._model.predict(architectures)

    def inputs(self, architectures: Sequence[Architecture]) -> Array:
        return self._scale(architectures)


class Costs(_Trend):
    """Linear kernel, k = v <x, y>, on parameters and FLOPs, as predicted by `CostModel`, and on `cell_features`.

    It makes the prior mean a weighted sum of these features with fitted weights.

    Example:
        >>> space = aw.Space(model=nn.Sequential(nn.LazyLinear(aw.integer(1, 8, name="n"))), example_input=(3,))
        >>> term = aw.surrogates.Costs(space)
        >>> term.inputs([aw.Architecture({"n": 1}), aw.Architecture({"n": 8})]).round(1)
        array([[-1.5, -1.5],
               [ 1.5,  1.5]])
    """

    model = CostModel

    @classmethod
    def serves(cls, space: Space) -> bool:
        """Tell whether networks of the space can be built."""
        return _buildable(space)

    def features(self, architectures: Sequence[Architecture]) -> Array:
        """Return the two costs, and the features of the cells."""
        return np.hstack([self._model.predict(architectures), cell_features(self.space, architectures)])


class Proxies(_Trend):
    """Linear kernel, k = v <x, y>, on zero-cost proxies of the network, as predicted by `ProxyModel`.

    They are a part of the prior mean, as the features of `Costs` are.

    Example:
        >>> aw.surrogates.Proxies.serves(aw.Space(x=aw.integer(0, 9)))
        False
    """

    model = ProxyModel
    lacking = (
        "scores networks that take one tensor of real numbers (model= and example_input=), and this space has none"
    )

    @classmethod
    def serves(cls, space: Space) -> bool:
        """Tell whether the space has networks of one input of real numbers."""
        return scorable(space)


class Cosine(_Linear):
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
        return scipy.sparse.csr_array((values, columns, starts), shape=(len(counted), _HASHES))

    def compare(self, first: Rows, second: Rows) -> Array:
        return np.asarray((first @ second.T).toarray())

    def diagonal(self, inputs: Rows, parameters: Array) -> Array:
        """Return the variance, n times; 0 for a network of empty cells."""
        return np.asarray(math.exp(parameters[0]) * (inputs * inputs).sum(1))


class Paths(Cosine):
    """Cosine kernel, `k = v <x, y> / (|x| |y|)`, on paths of the cells (White et al., "BANANAS", AAAI 2021).

    Example:
        >>> space = aw.Space(model=aw.cell(lambda i, j: aw.choice(nn.Identity(), nn.ReLU()), nodes=1))
        >>> term = aw.surrogates.Paths(space)
        >>> list(term.counts(next(space.enumerate())))
        ['cell Identity()']
    """

    def counts(self, architecture: Architecture) -> Mapping[str, int]:
        """Return the paths, each once."""
        paths = self.space.encode(architecture, "paths")
        return {f"{name} {'>'.join(path)}": 1 for name, found in paths.items() for path in found}


class WeisfeilerLehman(Cosine):
    """Cosine kernel, as in `Paths`, on Weisfeiler-Lehman histograms of the cells' graphs, depth 2: see `wl_histogram`.

    Ru, Wan, Dong and Osborne, "Interpretable neural architecture search via Bayesian optimisation with
    Weisfeiler-Lehman kernels" (NAS-BOWL), ICLR 2021.

    Example:
        >>> space = aw.Space(model=aw.cell(lambda i, j: aw.choice(nn.Identity(), nn.ReLU()), nodes=1))
        >>> sum(aw.surrogates.WeisfeilerLehman(space).counts(next(space.enumerate())).values())
        9
    """

    lacking = "compares cells (aw.cell), and this space has none"

    def counts(self, architecture: Architecture) -> Mapping[str, int]:
        """Return the histogram of labels."""
        return cells_histogram(self.space.encode(architecture, "cells"), depth=2)


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


def _squared(first: Array, second: Array) -> Array:
    """Return the (n, m) squared distances of (n, features) and (m, features) rows."""
    norms = np.einsum("ij,ij->i", first, first)[:, None] + np.einsum("ij,ij->i", second, second)[None]
    return np.asarray(np.maximum(norms - 2 * first @ second.T, 0.0))


def _matern(squared: Array) -> tuple[Array, Array]:
    """Return Matérn (smoothness 5/2) of squared distances, and its derivative by them."""
    r = np.sqrt(5 * squared)
    decay = np.exp(-r)
    near = decay * (1 + r)
    return near + decay * r * r / 3, near * (-5 / 6)
