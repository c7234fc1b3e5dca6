"""Recursive parts: rules whose uses are expanded when they become active."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import archwright as aw
from archwright import nn
from archwright.errors import ArchitectureError, SpaceError
from archwright.space import Recursive


def both(first, second):
    return aw.graph(lambda x: first(x) + second(x))


def convolutions(depth: int, **given) -> Recursive:
    """A layer, two blocks in sequence, or two side by side."""

    def block(block):
        layer = nn.Conv2d(4, 4, kernel_size=aw.choice(1, 3, name="kernel"), padding="same")
        return aw.choice({"layer": layer, "pair": nn.Sequential(block, block), "sum": both(block, block)})

    return aw.recursive(block, depth=depth, **given)


# ---------------------------------------------------------------------- known answers


def test_the_size_follows_the_recurrence():
    """s(1) = 2 kernels, s(d) = 2 + 2 s(d - 1)^2; d(1) = 2 decisions, d(d) = 2 + 4 d(d - 1)."""
    size, count = 2, 2
    for depth in range(1, 9):
        space = aw.Space(model=convolutions(depth))
        assert (space.size, len(space.decisions)) == (size, count)
        size, count = 2 + 2 * size**2, 2 + 4 * count


def test_binary_trees_are_counted_by_catalan_numbers():
    """With one layer the architectures with n layers are the binary trees with n leaves."""
    space = aw.Space(model=aw.recursive(lambda b: aw.choice({"leaf": nn.ReLU(), "pair": nn.Sequential(b, b)}), depth=5))
    leaves = [sum(value == "leaf" for value in each.values()) for each in space.enumerate()]
    assert [leaves.count(n) for n in range(1, 6)] == [1, 1, 2, 5, 14]


def test_names_are_paths():
    space = aw.Space(model=nn.Sequential(nn.Conv2d(3, 4, 1), convolutions(3)))
    architecture = space.canonical(
        {"model.1": "pair", "model.1.pair.0": "layer", "model.1.pair.0.kernel": 3, "model.1.pair.1": "layer"}
        | {"model.1.pair.1.kernel": 1, "model.1.sum.block.kernel": 1}
    )
    assert list(architecture) == [
        *("model.1", "model.1.pair.0", "model.1.pair.0.kernel", "model.1.pair.1", "model.1.pair.1.kernel")
    ]
    assert space.decisions["model.1.sum.block_2.sum.block.kernel"].labels == (1, 3)
    assert "model.1.sum.block_3" not in space.decisions
    with pytest.raises(ArchitectureError, match=re.escape("'model.1.pair.0' is not decided: choice")):
        space.canonical({"model.1": "pair"})


def test_at_the_limit_only_options_that_end_are_left():
    space = aw.Space(model=convolutions(2))
    assert space.decisions["model.pair.1"].labels == ("layer",)
    with pytest.raises(ArchitectureError, match="'pair' is none of 'layer'"):
        space.canonical({"model": "sum", "model.sum.block": "pair"})


def test_nothing_is_expanded_before_it_is_active():
    space = aw.Space(model=convolutions(20))
    assert len(space.program.names) < 10
    architecture = space.sample(np.random.default_rng(0))
    assert architecture in space
    assert len(space.program.names) < 1000
    assert len(space.decisions) == 2 * (4**20 - 1) // 3


def test_decisions_from_outside_are_shared_by_all_uses():
    width = aw.choice(1, 3, 5, name="kernel")
    layer = lambda: nn.Conv2d(4, 4, kernel_size=width, padding="same")  # noqa: E731
    block = aw.recursive(lambda b: aw.choice({"none": nn.Identity(), "one": layer(), "two": both(b, b)}), depth=2)
    space = aw.Space(model=block)
    assert space.size == len(list(space.enumerate())) == 1 + 3 + (1 + 3 * 3)
    assert {name for each in space.enumerate() for name in each if "kernel" in name} == {"kernel"}
    assert len(space.decisions) == 4
    free = aw.choice(1, 3)
    with pytest.raises(SpaceError, match="needs a name"):
        aw.recursive(lambda b: aw.choice(nn.Linear(2, free), nn.Sequential(b, b)), depth=2)


def test_one_use_in_two_places_is_tied():
    block = convolutions(2)
    assert aw.Space(model=nn.Sequential(block, nn.ReLU(), block)).size == aw.Space(model=block).size == 10
    with pytest.raises(SpaceError, match="10,000 are allowed"):
        aw.Space(model=convolutions(9)).expand()


def test_the_number_of_uses_does_not_grow_with_depth_in_samples():
    """A critical process has one use at each depth on average: 1 + (depth - 1) uses, with an option of 2 layers."""
    rng = np.random.default_rng(0)
    space = aw.Space(model=convolutions(6))
    uses = [sum(isinstance(value, str) for value in space.sample(rng).values()) for _ in range(3000)]
    assert np.mean(uses) == pytest.approx(6, abs=0.6)
    many = aw.Space(model=convolutions(6, growth=10))  # no option is made less likely: 4/3 uses open by each
    uses = [sum(isinstance(value, str) for value in many.sample(rng).values()) for _ in range(3000)]
    assert np.mean(uses) == pytest.approx(sum((4 / 3) ** level for level in range(6)), rel=0.1)


# ---------------------------------------------------------------------- what is refused


def test_what_cannot_be_a_rule_is_refused():
    for wrong, message in [
        (lambda: aw.recursive(lambda b: nn.Sequential(b, nn.ReLU()), depth=3), "never ends"),
        (lambda: aw.recursive(nn.ReLU(), depth=3), "takes a function"),
        (lambda: aw.recursive(lambda: nn.ReLU(), depth=3), "one parameter"),
        (lambda: aw.recursive(lambda b: aw.choice(None, nn.Sequential(b)), depth=3), "gives a layer"),
        (lambda: aw.recursive(lambda b: nn.ReLU(), depth=0), "whole number from 1; 0"),
        (lambda: aw.recursive(lambda b: nn.ReLU(), depth=2, growth=0), "above 0; 0"),
        (lambda: aw.rules(depth=2), "one rule or more"),
        (lambda: aw.rules(a=lambda b: nn.ReLU(), depth=2), "uses 'b', which is no rule"),
        (lambda: aw.rules(a=lambda b: b, b=lambda c: nn.Sequential(c), c=lambda: nn.ReLU(), depth=2), "depth of 3"),
        (lambda: aw.Space(model=convolutions(2).grammar.bodies[0]), "outside of its grammar"),
        (lambda: aw.Space(model=convolutions(60)), "nested more than"),
    ]:
        with pytest.raises(SpaceError, match=message):
            wrong()


def test_what_needs_all_decisions_is_refused():
    space = aw.Space(model=convolutions(3))
    for use in (lambda: list(space.decisions), lambda: space.encode(space.sample(np.random.default_rng(0)))):
        with pytest.raises(SpaceError, match=r"Space\.expand"):
            use()


# ---------------------------------------------------------------------- laws


def random_grammar(seed: int) -> Recursive:
    """A small random grammar: two rules, nested choices, subsets of branches, repeats, a decision that is shared."""
    shared = aw.choice(1, 2, name="shared")

    def body(number: int):
        def rule(a, b):
            rng = np.random.default_rng([seed, number])  # so that each call gives the same

            def item(level: int):
                kinds = ["symbol", "symbol", "symbol", "layer", "number", "shared", "choice", "pair", "graph", "repeat"]
                kind = kinds[rng.integers(10 if level < 2 else 6)]
                parts = [item(level + 1) for _ in range(rng.integers(1, 3))] if level < 2 else []
                match kind:
                    case "symbol":
                        return (a, b)[rng.integers(2)]
                    case "number":
                        return nn.Linear(1, aw.choice(1, 2))
                    case "shared":
                        return nn.Linear(1, shared)
                    case "choice":
                        return aw.choice({f"o{index}": part for index, part in enumerate([nn.Tanh(), *parts])})
                    case "repeat":
                        return aw.repeat(lambda _: nn.Sequential(parts[0]), 0, 2)
                    case "graph":
                        values = lambda x: [part(x) for part in (*parts, nn.ReLU())]  # noqa: E731
                        return aw.graph(lambda x: aw.merge(aw.subset(*values(x), k=(1, 2))))
                    case "pair":
                        return nn.Sequential(*parts)
                return nn.ReLU()

            return aw.choice({"end": nn.Identity(), "on": item(0)})

        return rule

    return aw.rules(a=body(0), b=body(1), depth=1 + seed % 3)


@given(st.integers(0, 10**6))
def test_rules_mean_what_they_are_written_out_to(seed: int):
    """The same architectures, counted exactly, with the same networks; moves stay inside; JSON keeps all."""
    space = aw.Space(model=nn.Sequential(nn.Linear(1, 1), random_grammar(seed)))
    if space.program.number > 400:
        return
    plain = space.expand()
    assert (space.size, len(space.decisions)) == (plain.size, len(plain.decisions))
    rng = np.random.default_rng(seed)
    drawn = [space.sample(rng) for _ in range(6)]
    if space.size < 3_000:
        listed = list(space.enumerate())
        assert len(listed) == len(set(listed)) == space.size
        assert set(listed) == set(plain.enumerate())
    again = aw.Space.from_json(json.loads(json.dumps(space.to_json())))
    assert (again.fingerprint, str(again), again.size) == (space.fingerprint, str(space), space.size)
    for first, second in pairwise(drawn):
        assert list(again.canonical(first).items()) == list(plain.canonical(first).items()) == list(first.items())
        assert repr(again.resolve(first)) == repr(plain.resolve(first)) == repr(space.resolve(first))
        moved = [space.mutate(first, rng), *space.neighbours(first), *space.neighbours(first, rng)]
        moved += [space.crossover(first, second, rng, kind) for kind in ("uniform", "one-point", "subtree")]
        assert all(each in again and each in plain for each in moved)
        assert moved[0] != first or space.size == 1


# ---------------------------------------------------------------------- moves


def test_crossover_of_subtrees_keeps_a_use_of_the_second():
    """A child is the first parent with one block in place of another; the block is one of the second parent's."""
    space = aw.Space(model=convolutions(4))
    rng = np.random.default_rng(0)

    def blocks(architecture) -> dict[str, dict]:
        names = [name for name, value in architecture.items() if isinstance(value, str)]
        return {
            name: {key[len(name) :]: value for key, value in architecture.items() if f"{key}.".startswith(f"{name}.")}
            for name in names
        }

    compared = 0
    for _ in range(200):
        first, second = space.sample(rng), space.sample(rng)
        child = space.crossover(first, second, rng, "subtree")
        given = list(blocks(second).values())
        shallow = [each for each in given if max(key.count("pair") + key.count("sum") for key in each) == 0]
        placed = [name for name, block in blocks(child).items() if block in given]
        if len(blocks(first)) > 1 and len(given) == len(shallow):
            assert placed
            compared += 1
    assert compared > 10


def test_another_option_keeps_the_blocks_of_the_old():
    space = aw.Space(model=convolutions(3))
    parent = space.canonical(
        {"model": "pair", "model.pair.0": "layer", "model.pair.0.kernel": 3, "model.pair.1": "layer"}
        | {"model.pair.1.kernel": 1}
    )
    changed = next(each for each in space.neighbours(parent) if each["model"] == "sum")
    assert (changed["model.sum.block.kernel"], changed["model.sum.block_2.kernel"]) == (3, 1)
    grown = next(each for each in space.neighbours(parent) if each.get("model.pair.0") == "pair")
    assert grown["model.pair.0.pair.0"] == grown["model.pair.0.pair.1"] == "layer"  # the option that ends soonest


def test_equal_blocks_are_alike_wherever_they_stand():
    space = aw.Space(model=convolutions(3))
    layer = {"": "layer", ".kernel": 3}
    make = lambda *blocks: space.canonical(  # noqa: E731
        {"model": "pair"}
        | {f"model.pair.{i}{key}": value for i, each in enumerate(blocks) for key, value in each.items()}
    )
    other = {"": "layer", ".kernel": 1}
    one, swapped, third = make(layer, other), make(other, layer), make(other, other)
    counts = [space.encode(each, "tree") for each in (one, swapped, third)]
    assert np.abs(counts[0] - counts[1]).sum() < np.abs(counts[0] - counts[2]).sum()
    assert (counts[0] != counts[1]).any()


class TestConvolutions(aw.testing.SpaceSuite):
    """The suite over a recursive space with a head and a setting."""

    @pytest.fixture
    def space(self):
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(3))
        model = nn.Sequential(nn.Conv2d(3, 4, 3), convolutions(4), head)
        return aw.Space(model=model, rate=aw.ordinal(0.1, 0.2), example_input=(3, 8, 8))


class TestSmall(aw.testing.SpaceSuite):
    """The suite over a small space of two rules, with a constraint."""

    @pytest.fixture
    def space(self):
        rules = {
            "chain": lambda chain, op: aw.choice({"one": op, "more": nn.Sequential(op, chain)}),
            "op": lambda: aw.choice({"relu": nn.ReLU(), "linear": nn.Linear(4, 4)}),
        }
        return aw.Space(model=aw.rules(**rules, depth=4), example_input=(4,), where=holds_linear)


def holds_linear(architecture):
    return "linear" in architecture.values()
