"""Conformance tests of spaces."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest

from archwright.errors import ArchitectureError, SpaceError
from archwright.space import Architecture, Space
from archwright.testing._process import elsewhere


class SpaceSuite:
    """Conformance tests of a space: counting, mutations, encodings, JSON, build and source.

    Attributes:
        samples: Number of sampled architectures.
        built: Number of them that are built, and written as source.
        countable: Maximum size of a space that is enumerated.

    Example:
        >>> class TestMine(aw.testing.SpaceSuite):
        ...     @pytest.fixture
        ...     def space(self):
        ...         return aw.Space(model=nn.LazyLinear(aw.ordinal(8, 16)), example_input=(4,))
    """

    samples = 20
    built = 2
    countable = 20_000

    @pytest.fixture
    def space(self) -> Space:
        """The space under test; a subclass gives it."""
        raise NotImplementedError(f"{type(self).__name__} gives no fixture named 'space'")

    def inputs(self, space: Space) -> list[Any]:
        """Return a batch for the network; to be overridden for integer inputs."""
        from archwright.build import drawn_for

        return [*drawn_for(space.example_input or ())]

    def drawn(self, space: Space) -> list[Architecture]:
        """Return architectures of the space."""
        rng = np.random.default_rng(0)
        return [space.sample(rng) for _ in range(self.samples)]

    # ------------------------------------------------------------------ counting and moving

    def test_size_is_the_number_of_architectures(self, space: Space) -> None:
        """Enumeration yields every architecture once, as many as the size says."""
        if space.bound > self.countable:
            assert space.where or space.size == space.bound
            return
        listed = list(space.enumerate())
        assert len(listed) == len(set(listed)) == space.size
        assert all(drawn in set(listed) for drawn in self.drawn(space))

    def test_infinite_spaces_say_so(self, space: Space) -> None:
        """A space is infinite exactly if a real number is decided, and then is not enumerated."""
        if not space.program.has_reals:
            assert isinstance(space.bound, int)
            assert all(architecture in space for architecture in islice(space.enumerate(), 3))
            return
        assert space.bound == math.inf
        with pytest.raises(SpaceError, match="cannot be enumerated"):
            space.enumerate()

    def test_samples_belong_to_the_space(self, space: Space) -> None:
        """What is drawn is in the space, and the same generator draws the same."""
        drawn = self.drawn(space)
        assert all(architecture in space for architecture in drawn)
        assert drawn == self.drawn(space)

    def test_canonical_is_idempotent_and_drops_what_is_inactive(self, space: Space) -> None:
        """Canonical form depends on the active decisions alone."""
        rng = np.random.default_rng(0)
        if space.is_recursive:  # whose decisions are not listed
            everything = {name: value for architecture in self.drawn(space) for name, value in architecture.items()}
        else:
            everything = {name: decision.sample(rng) for name, decision in space.decisions.items()}
        for architecture in self.drawn(space):
            assert space.canonical(architecture) == architecture
            assert space.canonical({**everything, **architecture}) == architecture

    def test_canonical_refuses_what_does_not_belong(self, space: Space) -> None:
        """A missing, an unknown and an impossible decision are refused by name."""
        architecture = self.drawn(space)[0]
        with pytest.raises(ArchitectureError, match="no such decision"):
            space.canonical({**architecture, "no such decision": 1})
        for name in architecture:
            with pytest.raises(ArchitectureError) as refused:
                space.canonical({**architecture, name: object()})
            assert repr(name) in str(refused.value)
            with pytest.raises(ArchitectureError) as refused:
                space.canonical({other: value for other, value in architecture.items() if other != name})
            assert repr(name) in str(refused.value)

    def test_mutants_are_others_in_the_space(self, space: Space) -> None:
        """A mutant is in the space, and differs from its parent if possible."""
        rng = np.random.default_rng(1)
        is_alone = space.bound == 1 or (space.bound <= self.countable and space.size == 1)
        for parent in self.drawn(space):
            mutant = space.mutate(parent, rng)
            assert mutant in space
            assert (mutant == parent) == is_alone

    def test_neighbours_differ_in_one_decision(self, space: Space) -> None:
        """Of the decisions that two neighbours share, exactly one differs."""
        for architecture in self.drawn(space)[:5]:
            for rng in (None, np.random.default_rng(0)):
                near = space.neighbours(architecture, rng)
                assert len(near) == len(set(near))
                for other in near:
                    assert other in space
                    shared = architecture.keys() & other.keys()
                    assert sum(architecture[name] != other[name] for name in shared) == 1

    def test_crossover_takes_from_its_parents(self, space: Space) -> None:
        """A child is in the space; without constraints it has values of its parents where they have decided."""
        rng = np.random.default_rng(2)
        drawn = self.drawn(space)
        for first, second in pairwise(drawn):
            child = space.crossover(first, second, rng)
            assert child in space
            for name in child.keys() & (first.keys() | second.keys()):
                given = [parent[name] for parent in (first, second) if name in parent]
                assert child[name] in given or space.where

    # ------------------------------------------------------------------ writing and reading

    def test_vectors_lead_back(self, space: Space) -> None:
        """Encoding is reversible, and its numbers lie between 0 and 1; recursive spaces refuse it by name."""
        if space.is_recursive:
            with pytest.raises(SpaceError, match="encode them as 'tree'"):
                space.encode(self.drawn(space)[0])
            return
        for architecture in self.drawn(space):
            vector = space.encode(architecture)
            assert vector.shape == (sum(decision.width for decision in space.decisions.values()),)
            assert ((vector >= 0) & (vector <= 1)).all()
            assert space.decode(vector) == architecture

    def test_trees_are_of_one_length(self, space: Space) -> None:
        """The tree encoding has one length, and depends on the decisions alone."""
        for architecture in self.drawn(space)[:5]:
            vector = space.encode(architecture, "tree")
            again = Architecture.from_json(json.loads(json.dumps(architecture.to_json(), sort_keys=True)))
            assert vector.shape == (512,)
            assert (vector == space.encode(again, "tree")).all()

    def test_architectures_survive_json(self, space: Space) -> None:
        """An architecture is the same after a way through text."""
        for architecture in self.drawn(space):
            again = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
            assert again == architecture
            assert again.id == architecture.id
            assert hash(again) == hash(architecture)

    def test_the_space_survives_json(self, space: Space) -> None:
        """A space that can be serialised is equal after a round trip through text."""
        again = _again(space)
        assert again.fingerprint == space.fingerprint
        assert str(again) == str(space)
        assert again.bound == space.bound
        assert again.differences(space) == []
        rng, other = np.random.default_rng(3), np.random.default_rng(3)
        assert [again.sample(rng) for _ in range(5)] == [space.sample(other) for _ in range(5)]

    def test_another_process_moves_alike(self, space: Space) -> None:
        """The same seed gives the same samples and mutations in processes with different hash seeds."""
        try:
            there = elsewhere(_read_and_moved, json.dumps(_written(space)))
        except SpaceError as error:
            if "is not imported" in str(error) or "a file may name" in str(error):
                pytest.skip("the space uses code that another process has not imported")
            raise
        assert there == _moved(space)

    # ------------------------------------------------------------------ building

    def test_shapes_agree(self, space: Space) -> None:
        """If the input is known, the shape check succeeds."""
        if space.example_input is not None:
            space.check(space.example_input)

    def test_build_and_source_are_one_network(self, space: Space) -> None:
        """The network, and the one that its source defines, have the same weights by name and compute the same."""
        if "model" not in space.parts or space.example_input is None:
            pytest.skip("nothing to build: the space has no model, or no example_input")
        for architecture in self.drawn(space)[: self.built]:
            check_build_and_source(space, architecture, self.inputs(space))

    def test_settings_can_be_made(self, space: Space) -> None:
        """The parts besides the model can be made; optimizers wait for their parameters."""
        import torch

        from archwright.build import instantiate_settings

        for architecture in self.drawn(space)[: self.built]:
            made = instantiate_settings(space.resolve(architecture))
            assert set(made) == set(space.parts) - {"model"}
            if "optimizer" in made:
                assert isinstance(made["optimizer"]([torch.nn.Parameter(torch.zeros(1))]), torch.optim.Optimizer)


def check_build_and_source(space: Space, architecture: Mapping[str, Any], inputs: list[Any]) -> None:
    """Check that the network of an architecture and the one that its source defines are the same."""
    import torch

    from archwright.build import is_unsized

    built = space.build(architecture).eval()
    assert not [module for module in built.modules() if type(module).__module__.startswith("archwright.build")]
    assert not is_unsized(built)
    text = space.source(architecture)
    assert "archwright" not in text
    assert "Lazy" not in text
    namespace: dict[str, Any] = {"__name__": "written"}
    exec(compile(text, "<source>", "exec", dont_inherit=True), namespace)
    written = namespace["build"]().eval()
    assert list(written.state_dict()) == list(built.state_dict())
    for to, weights in ((written, built.state_dict()), (built, written.state_dict())):
        to.load_state_dict(weights)
        with torch.no_grad():
            torch.testing.assert_close(written(*inputs), built(*inputs), rtol=0, atol=0)


def _again(space: Space) -> Space:
    return Space.from_json(json.loads(json.dumps(_written(space))))


def _written(space: Space) -> Any:
    try:
        return space.to_json()
    except SpaceError as error:
        pytest.skip(f"the space cannot be written down: {error}")


def _read_and_moved(text: str) -> str:
    return _moved(Space.from_json(json.loads(text)))


def _moved(space: Space) -> str:
    """Return the fingerprint of a space, and the results of one move of each kind, as JSON."""
    rng = np.random.default_rng(7)
    first, second = space.sample(rng), space.sample(rng)
    made = [first, second, space.mutate(first, rng), space.crossover(first, second, rng), *space.neighbours(first, rng)]
    return json.dumps([space.fingerprint, *([each.id, list(each.items())] for each in made)])
