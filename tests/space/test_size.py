"""How many architectures there are."""

from __future__ import annotations

import functools
import math
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import archwright as aw
from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Architecture
from archwright.testing import random_spaces


@settings(max_examples=50)
@given(random_spaces(networks=False, most=3000))
def test_the_size_is_the_number_of_architectures(space):
    listed = list(space.enumerate())
    assert len(listed) == len(set(listed)) == space.size == space.bound
    assert all(architecture in space for architecture in listed[:20])


def test_independent_decisions_multiply():
    assert aw.Space(a=aw.choice(1, 2), b=aw.ordinal(1, 2, 3), c=aw.integer(0, 4), d=aw.subset(1, 2, 3, k=2)).size == 90


def test_a_size_may_be_too_large_for_a_float():
    space = aw.Space(**{f"decision_{index}": aw.choice(0, 1) for index in range(1100)})
    assert space.size == 2**1100
    assert "about 10^331 architectures" in str(space)
    assert "about 10^331" in repr(space)
    many = aw.subset(*range(1200), k=600, name="many")
    assert aw.Space(a=many).size == math.comb(1200, 600)
    assert len(aw.Space(a=many).sample(np.random.default_rng(0))["many"]) == 600


def test_options_add_up():
    inner = aw.choice({"none": None, "one": aw.choice(1, 2, 3), "two": [aw.choice(1, 2), aw.choice(1, 2)]})
    assert aw.Space(a=inner).size == 1 + 3 + 4


def test_depths_add_up():
    made = aw.repeat(lambda i: nn.Linear(1, aw.choice(1, 2)), 0, 3)
    assert aw.Space(a=made).size == 1 + 2 + 4 + 8


def test_subsets_add_up():
    made = aw.subset({"a": aw.choice(1, 2), "b": aw.choice(1, 2, 3), "c": 0}, k=(0, 2))
    assert aw.Space(a=made).size == 1 + (2 + 3 + 1) + (6 + 2 + 3)


def test_the_cells_of_nasbench201():
    made = aw.cell(lambda i, j: aw.choice(*"abcde"), nodes=3)
    assert aw.Space(model=made).size == 15_625


def test_a_darts_cell():
    # Each of 4 nodes chooses 2 of its 2, 3, 4, 5 inputs, and one of 7 operations on both.
    made = aw.cell(lambda i, j: aw.choice(*"abcdefg"), nodes=4, inputs=2, fan_in=2, output="concat")
    assert aw.Space(model=made).size == math.prod(math.comb(n, 2) * 7**2 for n in (2, 3, 4, 5))


def test_ties_are_counted_once():
    width = aw.choice(1, 2, 3)
    assert aw.Space(a=width, b=[width, width + 1]).size == 3


def test_ties_across_branches():
    # width matters where either takes "wide": 3 of 4 cases times 3 widths, and one case without.
    width = aw.choice(1, 2, 3, name="width")
    first, second = (aw.choice({"wide": width, "none": None}) for _ in range(2))
    assert aw.Space(a=first, b=second).size == 3 * 3 + 1


def test_ties_across_branches_of_different_depth():
    # By hand: a = x: p decides 2 ways. a = y: q is x (p: 2 ways) or y (1 way). Then b is x (p, known) or z.
    p = aw.choice(1, 2, name="p")
    q = aw.choice({"x": p, "y": 0}, name="q")
    a = aw.choice({"x": p, "y": q}, name="a")
    b = aw.choice({"x": p, "z": 0}, name="b")
    # a = x: p; b any: 2 * 2 = 4. a = y, q = x: p; b any: 2 * 2 = 4. a = y, q = y: b = x: p: 2; b = z: 1.
    assert aw.Space(a=a, b=b).size == 4 + 4 + 3


def test_a_tie_inside_a_depth():
    width = aw.choice(1, 2, name="width")
    made = aw.repeat(lambda i: aw.choice({"wide": width, "none": None}), 0, 2)
    # depth 0: 1. depth 1: 2 + 1. depth 2: both, either or none take it: 3 * 2 + 1.
    assert aw.Space(a=made).size == 1 + 3 + 7


def test_large_products_are_exact():
    space = aw.Space(**{f"d{i}": aw.choice(*range(7)) for i in range(500)})
    assert space.size == 7**500
    assert isinstance(space.size, int)
    assert "about 10^422 architectures, 500 decisions" in str(space)
    assert len(list(islice(space.enumerate(), 5))) == 5


def test_spaces_too_large_for_text_still_print():
    space = aw.Space(a=[aw.choice(1, 2) for _ in range(20_000)])
    assert space.size == 2**20_000
    assert repr(space) == "<Space 20,000 decisions, about 10^6020>"


def test_many_ties_are_counted_quickly():
    shared = [aw.choice(1, 2, name=f"shared_{i}") for i in range(3)]
    parts = [
        aw.choice({"none": None, **{str(i): [s, aw.choice(1, 2)] for i, s in enumerate(shared)}}) for _ in range(9)
    ]
    size = aw.Space(a=parts).size
    # Each of 9 takes none or one of three; each that takes one decides 2 of its own; each shared that is taken, 2.
    by_used = {0: 1, 1: 3, 2: 3, 3: 1}
    surjections = [sum((-1) ** j * math.comb(n, j) * (1 + 2 * (n - j)) ** 9 for j in range(n + 1)) for n in range(4)]
    assert size == sum(by_used[n] * surjections[n] * 2**n for n in range(4))


def test_chains_of_ties_are_counted_quickly():
    """Each of ten nodes takes two of those before it, and whatever is taken decides once."""
    nodes: list[Any] = [0]
    for _ in range(10):
        before = {str(number): node for number, node in enumerate(nodes)}
        nodes.append([aw.choice("a", "b"), aw.choice(before), aw.choice(before)])

    @functools.cache
    def ways(left: frozenset[int]) -> int:
        last = max(left)
        return sum(2 * ways(left - {last} | {i, j}) for i in range(last) for j in range(last)) if last else 1

    assert aw.Space(a=nodes[-1]).size == ways(frozenset({10}))


def test_reals_make_a_space_infinite():
    assert aw.Space(a=aw.real(0, 1)).size == math.inf
    assert aw.Space(a=aw.choice({"none": None, "some": aw.real(0, 1)})).size == math.inf
    large = [aw.choice(*range(10)) for _ in range(400)]
    assert aw.Space(a=aw.choice({"none": large, "some": aw.real(0, 1)}), b=large).size == math.inf
    with pytest.raises(SpaceError, match=r"a space with real numbers cannot be enumerated: a$"):
        aw.Space(a=aw.real(0, 1)).enumerate()


def test_a_space_of_nothing_open():
    space = aw.Space(a=3, b=[1, 2])
    assert space.size == 1
    assert list(space.enumerate()) == [Architecture({})]


def test_constraints_are_counted_one_by_one():
    space = aw.Space(a=aw.integer(0, 9), b=aw.integer(0, 9), where=lambda arch: arch["a"] + arch["b"] < 5)
    assert space.bound == 100
    assert space.size == len(list(space.enumerate())) == 15


def test_large_constrained_spaces_have_a_bound_alone():
    space = aw.Space(**{f"d{i}": aw.integer(0, 9) for i in range(7)}, where=lambda arch: arch["d0"] < 5)
    assert space.bound == 10**7
    with pytest.raises(SpaceError, match=r"up to 1,000,000; this one has 10,000,000 architectures before them"):
        _ = space.size


def test_enumeration_is_in_a_fixed_order_and_lazy():
    space = aw.Space(a=aw.choice("x", "y"), b=aw.ordinal(1, 2))
    assert [dict(architecture) for architecture in space.enumerate()] == [
        {"a": "x", "b": 1},
        {"a": "x", "b": 2},
        {"a": "y", "b": 1},
        {"a": "y", "b": 2},
    ]


def test_long_spaces_are_enumerated_without_recursion():
    space = aw.Space(a=[aw.choice(1, 2) for _ in range(3000)])
    assert len(next(space.enumerate())) == 3000
