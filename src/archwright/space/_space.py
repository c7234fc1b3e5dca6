"""The search space: an open expression and the moves in it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from archwright._scalars import scalars
from archwright._words import counted
from archwright.errors import ArchitectureError, SpaceError
from archwright.space import _encoding as encoding
from archwright.space._architecture import Architecture
from archwright.space._constraints import Constraints, Feasible, Predicate
from archwright.space._decisions import Decision, Value
from archwright.space._graph import Graph
from archwright.space._json import dump_space
from archwright.space._moves import Crossover, Moves, inherit
from archwright.space._names import check_part_names, declare, digest, package_names, restore
from archwright.space._print import describe_decision, describe_size, differences, outline
from archwright.space._program import Program
from archwright.space._read import Reader
from archwright.space._resolve import Resolver
from archwright.space._rules import expanded
from archwright.space._spec import TensorSpec, as_specs
from archwright.space._tree import tree_vector

if TYPE_CHECKING:
    import torch

_TRIES = 2_000  # how often a constraint may refuse before the space looks for an architecture in another way
_COUNTABLE = 1_000_000  # the largest space that is counted or searched one by one


class Space:
    """A search space: an expression that builds a network, with some choices left open.

    Args:
        where: A constraint on architectures, or several: functions of an architecture that return a bool. They see the
            active decisions only.
        example_input: The input of the model: the shape of one sample without the batch, such as `(3, 32, 32)`; a
            `TensorSpec`; a batch; or a sequence of these. If given, shapes are checked when the space is created.
        name: The name of the space.
        imports: Packages that generated source code may import besides torch, such as `["torchvision"]`.
        **parts: Expressions by name. `model` is the network; others, such as `optimizer` or `batch_size`, are settings
            of the evaluator.

    Raises:
        SpaceError: There is no part, the name of a part is a misspelt argument, two decisions share a name, or no
            architecture satisfies `where`.
        ShapeError: Layers of some architecture do not fit; the message names the layer and the options.

    Example:
        >>> import archwright as aw
        >>> from archwright import nn
        >>> space = aw.Space(model=nn.Sequential(nn.LazyLinear(aw.ordinal(8, 16, name="width")), nn.LazyLinear(3)))
        >>> space.size, list(space.decisions)
        (2, ['width'])
    """

    def __init__(
        self,
        *,
        where: Predicate | Sequence[Predicate] = (),
        example_input: Any = None,
        name: str | None = None,
        imports: Sequence[str] = (),
        **parts: Any,
    ) -> None:
        if not parts:
            raise SpaceError("a space has at least one part: aw.Space(model=...)")
        self.name = name
        self.imports = package_names(imports)
        check_part_names(parts)
        self.parts: Mapping[str, Any] = MappingProxyType(scalars(parts))
        self.where: tuple[Predicate, ...] = (where,) if callable(where) else tuple(where)
        for predicate in self.where:
            if not callable(predicate):
                raise SpaceError(f"where takes functions of an architecture; {predicate!r} is none")
        self.example_input = as_specs(example_input)
        self.program = Program(self.parts)
        self.decisions: Mapping[str, Decision] = MappingProxyType(self.program.decisions)
        for each in (*self.where, *self.program.code):
            declare(each)
        if self.where:
            self.sample(np.random.default_rng(0))  # raises where nothing can be found
        if self.example_input is not None and "model" in self.parts:
            self.check(self.example_input)

    # ------------------------------------------------------------------ size and identity

    @cached_property
    def bound(self) -> int | float:
        """The exact number of architectures without constraints; `math.inf` with real decisions."""
        return self.program.count()

    @cached_property
    def size(self) -> int | float:
        """The exact number of architectures; `math.inf` with real decisions.

        Raises:
            SpaceError: The space has constraints and is too large for enumeration.
        """
        if not self.where or self.bound == math.inf:
            return self.bound
        if self.bound > _COUNTABLE:
            many = counted(describe_size(self.bound), "architecture")
            told = f"a space with constraints is counted one by one, up to {_COUNTABLE:,}"
            raise SpaceError(f"{told}; this one has {many} before them (Space.bound)")
        return sum(1 for _ in self.enumerate())

    @property
    def is_recursive(self) -> bool:
        """Whether it has rules (`aw.recursive`), whose decisions are named when they become active."""
        return self.program.is_recursive

    @cached_property
    def cells(self) -> Mapping[str, Graph]:
        """The cells of the expression by name."""
        return MappingProxyType(encoding.cells(self.parts))

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the space, 16 hexadecimal digits."""
        return digest(self.to_json())

    @cached_property
    def memo(self) -> dict[Any, Any]:
        """A cache of derived data by key, with the lifetime of the space."""
        return {}

    def __contains__(self, architecture: object) -> bool:
        """Tell whether an architecture belongs to the space and satisfies its constraints."""
        if not isinstance(architecture, Mapping):
            return False
        try:
            canonical = self.canonical(architecture)
        except ArchitectureError:
            return False
        return dict(canonical) == dict(architecture) and self._constraints.hold(canonical)

    def __repr__(self) -> str:
        size = describe_size(self.bound)
        many = counted(describe_size(self.program.number), "decision")
        return f"<Space {self.name or ''} {many}, {size}>".replace("  ", " ")

    def __str__(self) -> str:
        return outline(self)

    def _repr_html_(self) -> str:
        from archwright.draw import svg

        return str(svg(self))

    def to_json(self) -> dict[str, Any]:
        """Return the space as a JSON object with shared decisions; `from_json` reads it if all parts have names."""
        return dump_space(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Space:
        """Return the space written by `to_json`.

        A file may name layers and optimizers, of torch and of modules that the program has imported; other classes and
        functions only if the program itself has used them in a space. Nothing else is executed.

        Raises:
            SpaceError: The object is not a space, a part could not be written, or a name is not allowed in a file.
        """
        return cls._read(data, restore)

    @classmethod
    def _read(cls, data: Mapping[str, Any], code: Callable[[Mapping[str, Any]], Any]) -> Space:
        return cls._of(**Reader(code).space(data))

    @classmethod
    def _of(
        cls,
        parts: Mapping[str, Any],
        where: tuple[Predicate, ...],
        example_input: tuple[TensorSpec, ...] | None,
        name: str | None,
        imports: tuple[str, ...] = (),
    ) -> Space:
        """Return a space of what was checked before."""
        space = cls.__new__(cls)
        space.name = name
        space.imports = imports
        space.parts = MappingProxyType(dict(parts))
        space.where = where
        space.example_input = example_input
        space.program = Program(space.parts)
        space.decisions = MappingProxyType(space.program.decisions)
        return space

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle by what the space is made of."""
        # With the fingerprint: of code that was typed at a prompt, another process cannot read the text.
        known = {name: value for name, value in vars(self).items() if name == "fingerprint"}
        return type(self)._of, (dict(self.parts), self.where, self.example_input, self.name, self.imports), known

    def differences(self, other: Space | Mapping[str, Any]) -> list[str]:
        """Return the differences to another space as lines of a diff; empty if they are equal.

        Args:
            other: A space, or its JSON object.
        """
        return differences(self, other)

    def expand(self) -> Space:
        """Return the same space without rules: all uses of rules are written out, with the same architectures.

        Raises:
            SpaceError: There are more than 10,000 decisions.
        """
        return Space._of(expanded(self.program, self.parts), self.where, self.example_input, self.name, self.imports)

    # ------------------------------------------------------------------ moves

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Return a random architecture, with each active decision drawn uniformly; rules as `aw.rules` says.

        If rejection sampling finds no feasible architecture, it comes from a backtracking search, or from a random walk
        from a known one.

        Raises:
            SpaceError: No feasible architecture was found; the message names the strictest constraint.
        """
        is_large = self.bound > _COUNTABLE
        for _ in range(0 if self.where and is_large and self._feasible.are_rare else _TRIES):
            drawn = self._moves.complete({}, rng)
            if self._constraints.hold(drawn):
                return drawn
        if self._listed:
            return self._listed[int(rng.integers(len(self._listed)))]
        found = self._feasible.draw(rng) if is_large else None
        if found is None:
            after = "a longer search found none either" if is_large else "none of all satisfies them"
            raise SpaceError(self._feasible.refusal(after))
        return found

    def enumerate(self) -> Iterator[Architecture]:
        """Iterate over all architectures, each once, in a fixed order.

        Raises:
            SpaceError: The space has real decisions.
        """
        if self.program.has_reals:
            reals = [name for name, decision in self.program.met.items() if decision.size == math.inf]
            raise SpaceError(f"a space with real numbers cannot be enumerated: {', '.join(reals)}")
        return (each for each in self.walk() if each is not None)

    def walk(self) -> Iterator[Architecture | None]:
        """Iterate as `enumerate` does, and yield `None` for infeasible architectures, so that a caller may stop.

        Architectures with the same values of the decisions that a violated constraint has read are skipped.
        """
        if not self.where:
            return map(Architecture, self.program.enumerate())
        return (None if each is None else Architecture(each) for each in self._constraints.walk())

    def canonical(self, decisions: Mapping[str, Any]) -> Architecture:
        """Return the architecture of decisions, validated and without inactive ones.

        Args:
            decisions: Values of all active decisions by name; inactive ones are ignored.

        Raises:
            ArchitectureError: A decision is missing or unknown, or its value is not allowed.
        """

        def rule(name: str, decision: Decision) -> Value:
            if name not in decisions:
                raise ArchitectureError(f"{name!r} is not decided: {describe_decision(decision)}")
            try:
                return decision.check(decisions[name])
            except ArchitectureError as error:
                raise ArchitectureError(f"{name!r}: {error}") from None

        for name in decisions:
            if name not in self.decisions:
                near = difflib.get_close_matches(str(name), self.program.met, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ArchitectureError(f"the space decides nothing named {name!r}{hint}")
        return Architecture(self.program.decide(rule))

    def decide(self, rule: Callable[[str, Decision], Value]) -> Architecture:
        """Return the architecture whose decisions are made by a rule.

        Args:
            rule: A function of the name and the decision that returns its value; called for each active decision in
                order. Constraints are not checked.

        Raises:
            ArchitectureError: A value is not allowed.
        """
        return Architecture(self.program.decide(lambda name, decision: decision.check(rule(name, decision))))

    def neighbours(self, architecture: Mapping[str, Any], rng: np.random.Generator | None = None) -> list[Architecture]:
        """Return the architectures with one changed decision, by 1, 2, 4, ... steps if its values are ordered.

        Args:
            architecture: An architecture of this space.
            rng: The generator for decisions that become active; without it they take their first value.
        """
        near: dict[Architecture, None] = {}
        for name, value in architecture.items():
            for other in self.decisions[name].neighbours(value):
                changed = self._moves.changed(architecture, name, other, rng)
                if self._constraints.hold(changed):
                    near[changed] = None
        return list(near)

    def mutate(self, architecture: Mapping[str, Any], rng: np.random.Generator) -> Architecture:
        """Return another architecture with one changed decision; the same one only if no other is found.

        If no such architecture satisfies the constraints, several decisions are changed, as few as can be found.
        Another one is always found without constraints, and in spaces that are small enough to be enumerated.
        """
        names = self._moves.open(architecture)
        if not names:
            return Architecture(dict(architecture))
        for steps in (1, 2, 4, 8, 16):  # one change; where constraints are tight, the fewest that are found
            for _ in range(_TRIES // 20):
                name = names[int(rng.integers(len(names)))]
                mutant = self._moves.mutated(architecture, name, rng)
                for _ in range(steps - 1):
                    again = self._moves.open(mutant)
                    mutant = self._moves.mutated(mutant, again[int(rng.integers(len(again)))], rng)
                if mutant != architecture and self._constraints.hold(mutant):
                    return mutant
        if self.where and self.bound > _COUNTABLE:
            return self._feasible.near(architecture, rng) or Architecture(dict(architecture))
        others = [other for other in self._listed if other != architecture]
        return others[int(rng.integers(len(others)))] if others else Architecture(dict(architecture))

    def crossover(
        self, first: Mapping[str, Any], second: Mapping[str, Any], rng: np.random.Generator, kind: Crossover = "uniform"
    ) -> Architecture:
        """Return a child that takes each decision from one of two parents.

        A decision that is active in one parent only is taken from that one; one that is active in neither is random.
        After 50 infeasible children it is a mutation of the first parent.

        Args:
            first: The first parent.
            second: The second parent.
            rng: The source of randomness.
            kind: "uniform": each decision from a random parent; "one-point": decisions after a random cut from the
                second; "subtree": those of one part of the expression from the second.

        Raises:
            SpaceError: The kind is unknown.
        """
        for _ in range(50):
            child = Architecture(inherit(self.program, first, second, kind, rng))
            if self._constraints.hold(child):
                return child
        return self.mutate(first, rng)

    # ------------------------------------------------------------------ interpretations

    @overload
    def encode(self, architecture: Mapping[str, Any], kind: Literal["vector", "tree"] = ...) -> NDArray[np.float64]: ...
    @overload
    def encode(self, architecture: Mapping[str, Any], kind: Literal["cells"]) -> dict[str, encoding.CellEncoding]: ...
    @overload
    def encode(
        self, architecture: Mapping[str, Any], kind: Literal["paths"]
    ) -> dict[str, tuple[tuple[str, ...], ...]]: ...
    def encode(self, architecture: Mapping[str, Any], kind: str = "vector") -> Any:
        """Return an encoding of an architecture for models.

        Args:
            architecture: An architecture of this space.
            kind: "vector": (slots,) in [0, 1], one-hot for choices, numeric for ordered decisions. "cells": adjacency
                and operation matrices of every cell, by name. "paths": the sequences of operations through every cell
                (White et al. 2021, BANANAS). "tree": (512,) hashed counts of subtrees of the tree of its decisions.

        Raises:
            SpaceError: The kind is unknown, or not defined in this space.
        """
        if kind == "tree":
            return tree_vector(self.program, architecture)
        self._need_vectors()
        if kind == "vector":
            return encoding.encode_vector(self.program, self._slots, architecture)
        if kind not in ("cells", "paths"):
            raise SpaceError(f"an encoding is 'vector', 'cells', 'paths' or 'tree', not {kind!r}")
        if not self.cells:
            raise SpaceError(f"the {kind} encoding needs a cell (aw.cell), and this space has none; use 'vector'")
        matrices = encoding.encode_cells(self.program, self.cells, architecture)
        return matrices if kind == "cells" else encoding.encode_paths(matrices)

    def decode(self, vector: Any) -> Architecture:
        """Return the architecture nearest to a vector of `encode`.

        Args:
            vector: (slots,) numbers.

        Raises:
            SpaceError: The vector has another length.
        """
        self._need_vectors()
        length = sum(decision.width for decision in self.decisions.values())
        if np.shape(vector) != (length,):
            raise SpaceError(f"a vector of this space has shape ({length},), not {np.shape(vector)}")
        return Architecture(encoding.decode_vector(self.program, self._slots, vector))

    def resolve(self, architecture: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parts with all decisions replaced by their values: constants, calls and graphs, by part name.

        Raises:
            ArchitectureError: The architecture does not belong to the space.
            SpaceError: Arithmetic on decisions fails; the message names the path.
        """
        resolver = Resolver(self.program, self.canonical(architecture), {})
        return {name: resolver.close(part, name) for name, part in self.parts.items()}

    def build(self, architecture: Mapping[str, Any], example_input: Any = None) -> torch.nn.Module:
        """Return the network, in plain PyTorch, initialised with torch's global generator.

        Args:
            architecture: An architecture of this space.
            example_input: The input, as for `Space`; by default that of the space. Without one, lazy layers stay lazy.

        Raises:
            BuildError: A layer refuses its arguments or its input; the message names the path.
        """
        from archwright.build import build

        return build(self, architecture, example_input)

    def source(
        self, architecture: Mapping[str, Any], example_input: Any = None, *, imports: Sequence[str] | None = None
    ) -> str:
        """Return the source of a Python module that needs only torch and whose `build()` returns the network.

        Args:
            architecture: An architecture of this space.
            example_input: The input, as for `build`; required for lazy layers.
            imports: Packages that it may import as well; by default those of the space.

        Raises:
            BuildError: As in `build`; or something cannot be written as source, such as a class with other
                dependencies.
        """
        from archwright.build import source

        return source(self, architecture, example_input, imports=imports)

    def check(self, example_input: Any) -> None:
        """Check on the meta device that every architecture runs and that the model's output has one shape.

        Options of a choice may differ in shape if the next layers accept all of them. The check is exact for any number
        of architectures, except for long ranges, of which eight values are checked, and for large spaces with
        constraints or with very many combinations of numbers: there a sample of architectures is checked in which each
        option occurs; if another one does not run, its trial fails.

        Raises:
            ShapeError: An architecture does not run; the message names the layer, and the two options whose shapes
                differ.
        """
        from archwright.build import check

        check(self, example_input)

    # ------------------------------------------------------------------ inside

    def _need_vectors(self) -> None:
        if self.is_recursive:
            told = f"write the rules out (Space.expand), which gives {self.program.number:,} decisions here"
            raise SpaceError(f"architectures of a recursive space have no vectors: encode them as 'tree', or {told}")

    @cached_property
    def _slots(self) -> dict[str, slice]:
        return encoding.slots(self.program)

    @cached_property
    def _moves(self) -> Moves:
        return Moves(self.program)

    @cached_property
    def _constraints(self) -> Constraints:
        return Constraints(self.where, self.program)

    @cached_property
    def _feasible(self) -> Feasible:
        return Feasible(self.program, self._moves, self._constraints)

    @cached_property
    def _listed(self) -> list[Architecture]:
        """Up to 10,000 architectures, for constraints that few satisfy; none where the space is too large to look."""
        return [] if self.bound > _COUNTABLE else list(islice(self.enumerate(), 10_000))
