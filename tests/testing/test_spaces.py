"""The suite of spaces, over every registered space, some written here, and random ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from tests.testing.ready import ready

import archwright as aw
from archwright import nn, optim
from archwright.space import Space
from archwright.testing import SpaceSuite, expressions, random_spaces
from archwright.testing._spaces import check_build_and_source


class TestRegistered(SpaceSuite):
    @pytest.fixture(params=aw.spaces.names())
    def space(self, request) -> Space:
        return ready(request.param)


def _joint() -> Space:
    width = aw.ordinal(4, 8, 12, name="width")
    block = nn.Sequential(nn.LazyLinear(width), aw.choice(nn.ReLU(), nn.Tanh()))
    return Space(
        model=nn.Sequential(block, aw.repeat(lambda _: block, 0, 2), nn.LazyLinear(3)),
        optimizer=aw.choice(optim.SGD(lr=aw.real(0.01, 1.0, log=True)), optim.AdamW(lr=0.001)),
        batch_size=aw.ordinal(16, 32),
        example_input=(5,),
    )


def _tight(architecture) -> bool:
    return architecture["a"] + architecture["b"] == 9


def _constrained() -> Space:
    return Space(a=aw.integer(0, 9), b=aw.integer(0, 9), c=aw.choice("x", "y"), where=_tight)


def _tokens() -> Space:
    heads = aw.choice(1, 2, name="heads")
    layer = nn.TransformerEncoderLayer(8, heads, dim_feedforward=aw.ordinal(8, 16), dropout=0.0, batch_first=True)
    return Space(
        model=nn.Sequential(nn.Embedding(11, 8), aw.repeat(lambda _: layer, 1, 2), nn.Flatten(), nn.LazyLinear(2)),
        example_input=aw.TensorSpec((6,), "int64"),
    )


def _two_inputs() -> Space:
    """A row of numbers and a token, through a cell."""
    cell = aw.cell(lambda i, j: aw.choice({"none": None, "skip": nn.Identity(), "tanh": nn.Tanh()}), nodes=2)

    def model(row, token):
        return nn.LazyLinear(2)(cell(nn.Linear(3, 4)(row) + nn.Embedding(5, 4)(token)))

    return Space(model=aw.graph(model), example_input=((3,), aw.TensorSpec((), "int64")))


def _single() -> Space:
    return Space(model=nn.Linear(2, 2), example_input=(2,))


class TestWritten(SpaceSuite):
    @pytest.fixture(params=[_joint, _constrained, _tokens, _two_inputs, _single], ids=lambda make: make.__name__[1:])
    def space(self, request) -> Space:
        return request.param()


@given(random_spaces(networks=False, most=400))
def test_random_settings_keep_the_laws(space):
    suite = SpaceSuite()
    suite.samples = 6
    suite.test_size_is_the_number_of_architectures(space)
    suite.test_samples_belong_to_the_space(space)
    suite.test_canonical_is_idempotent_and_drops_what_is_inactive(space)
    suite.test_canonical_refuses_what_does_not_belong(space)
    suite.test_mutants_are_others_in_the_space(space)
    suite.test_neighbours_differ_in_one_decision(space)
    suite.test_crossover_takes_from_its_parents(space)
    suite.test_vectors_lead_back(space)
    suite.test_architectures_survive_json(space)
    suite.test_the_space_survives_json(space)


@given(random_spaces(networks=False, reals=True))
def test_random_spaces_with_reals_keep_the_laws(space):
    suite = SpaceSuite()
    suite.samples = 6
    suite.test_infinite_spaces_say_so(space)
    suite.test_mutants_are_others_in_the_space(space)
    suite.test_vectors_lead_back(space)
    suite.test_the_space_survives_json(space)
    suite.test_settings_can_be_made(space)


@given(random_spaces(most=500))
def test_random_networks_keep_the_laws(space):
    suite = SpaceSuite()
    suite.samples = 4
    suite.test_size_is_the_number_of_architectures(space)
    suite.test_mutants_are_others_in_the_space(space)
    suite.test_vectors_lead_back(space)
    suite.test_the_space_survives_json(space)
    suite.test_build_and_source_are_one_network(space)
    suite.test_settings_can_be_made(space)


@given(expressions(depth=2))
def test_expressions_keep_the_shape(expression):
    space = Space(model=expression, example_input=(4, 5, 5))
    architecture = next(space.enumerate())
    x = torch.randn(2, 4, 5, 5)
    assert space.build(architecture).eval()(x).shape == x.shape
    check_build_and_source(space, architecture, [x])


class _Wrong(Space):
    """A space that breaks every law there is."""

    def sample(self, rng):
        return aw.Architecture({**super().sample(rng), "x": rng.integers(100).item()})

    def mutate(self, architecture, rng):
        return architecture

    def decode(self, vector):
        return next(self.enumerate())

    @property
    def size(self):
        return 4


@pytest.mark.parametrize(
    "law",
    [
        "test_size_is_the_number_of_architectures",
        "test_samples_belong_to_the_space",
        "test_mutants_are_others_in_the_space",
        "test_vectors_lead_back",
    ],
)
def test_the_suite_finds_what_is_wrong(law):
    with pytest.raises((AssertionError, aw.errors.ArchitectureError, KeyError)):
        getattr(SpaceSuite(), law)(_Wrong(x=aw.choice("a", "b", "c")))
