"""The suite of supernets, over every registered space and every registered relaxation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from tests.testing.ready import ready

import archwright as aw
from archwright import nn, optim
from archwright import supernet as room
from archwright.supernet import Draw, Supernet
from archwright.testing import SupernetSuite

QUICK = ["digits-cells", "natsbench-size"]  # each relaxation meets these: branches alone, and sizes alone


@pytest.fixture(scope="module", params=[name for name in aw.spaces.names() if name != "einspace"])  # it is recursive
def of_space(request) -> Supernet:
    return Supernet(ready(request.param), "softmax").double()


class TestSpaces(SupernetSuite):
    samples = 2

    @pytest.fixture
    def supernet(self, of_space) -> Supernet:
        return of_space


def _mixed() -> aw.Space:
    """Branches, sizes, depth, an edge that may be absent, and settings besides the model."""
    width = aw.ordinal(4, 8, name="width")
    cell = aw.cell(lambda i, j: aw.choice(nn.Identity(), nn.Tanh(), None), nodes=2, fan_in=1)
    layers = nn.Sequential(
        nn.LazyConv2d(width, aw.choice(1, 3, name="kernel"), padding="same"),
        nn.LazyBatchNorm2d(),
        aw.choice(nn.ReLU(), nn.SiLU()),
        cell,
        aw.repeat(lambda i: nn.LazyConv2d(width, 1), 0, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LazyLinear(3),
    )
    return aw.Space(model=layers, optimizer=optim.SGD(lr=aw.real(0.01, 0.1)), example_input=(3, 6, 6))


def _two_inputs() -> aw.Space:
    """Two rows of numbers, which meet in a cell."""
    cell = aw.cell(lambda i, j: aw.choice({"none": None, "skip": nn.Identity(), "tanh": nn.Tanh()}), nodes=2)

    def model(x, y):
        width = aw.ordinal(4, 8, name="width")
        return nn.LazyLinear(3)(cell(aw.merge(nn.LazyLinear(width)(x), nn.LazyLinear(width)(y), kind="sum")))

    return aw.Space(model=aw.graph(model), example_input=((5,), (6,)))


def _words() -> aw.Space:
    """Values that are multiplied, indexed, joined in an open way, and handed on in pairs; functions between them."""
    width = aw.ordinal(4, 8, name="width")

    def step(pair):
        gate = aw.choice({"none": None, "some": nn.Sequential(nn.LazyLinear(width), nn.Sigmoid())})
        y = nn.LazyLinear(width)(pair[0]) * gate(pair[0])
        smooth = aw.choice({"gelu": nn.functional.gelu(y), "half": y / 2})
        return smooth, aw.merge(y, smooth, kind=aw.choice("max", "concat"))

    def model(x):
        outputs, _ = nn.GRU(5, width, batch_first=True)(x)
        last, other = aw.repeat(lambda _: aw.graph(step), 1, 2, name="depth")((outputs[:, -1], x[:, 0]))
        return {"both": nn.LazyLinear(3)(last) - nn.LazyLinear(3)(other), "last": last[:, :2]}

    return aw.Space(model=aw.graph(model), example_input=(4, 5))


WRITTEN = {"mixed": _mixed, "two-inputs": _two_inputs, "words": _words}


@pytest.fixture(scope="module", params=itertools.product(room.names(), [*WRITTEN, *QUICK]), ids="-".join)
def of_relaxation(request) -> Supernet:
    relaxation, name = request.param
    return Supernet(WRITTEN[name]() if name in WRITTEN else ready(name), relaxation).double()


class TestRelaxations(SupernetSuite):
    samples = 2

    @pytest.fixture
    def supernet(self, of_relaxation) -> Supernet:
        return of_relaxation


def _unlearned(supernet: Supernet) -> Supernet:
    for each in supernet.arch_parameters():
        each.register_hook(torch.zeros_like)
    return supernet


class _Shifted(Supernet):
    """Runs something else than the network."""

    def run(self, draw, *inputs):
        return super().run(draw, *inputs) + 1e-6


class _Global(Supernet):
    """Draws from torch's generator."""

    def draw(self, progress=0.0):
        return Draw(dict(self.space.sample(np.random.default_rng(int(torch.randint(1000, ()))))))


@pytest.mark.parametrize(
    ("law", "make"),
    [
        ("test_a_path_is_the_network", lambda: _Shifted(_mixed()).double()),
        ("test_draws_are_copied_with_the_supernet", lambda: _Global(_mixed()).double()),
        ("test_a_draw_runs_and_can_be_learned_from", lambda: _unlearned(Supernet(_mixed()).double())),
    ],
    ids=["path", "draws", "learning"],
)
def test_the_suite_finds_what_is_wrong(law, make):
    with pytest.raises(AssertionError):
        getattr(SupernetSuite(), law)(make())
