"""Inherited weights: what grows stays the same function, and what is new can learn."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from tests.supernet import test_initial, test_laws

import archwright as aw
from archwright import nn, spaces
from archwright.errors import ArchitectureError, BuildError, RelaxationError
from archwright.evaluate._device import seeded
from archwright.morphism import Inherited, inherit
from archwright.testing import random_spaces

VECTOR, IMAGE, SERIES = (6,), (3, 8, 8), (5, 6)
TOKENS = aw.TensorSpec((5,), "int64")


def trained(space: aw.Space, architecture: Mapping[str, Any], seed: int = 0) -> torch.nn.Module:
    """A network of which every weight and statistic has moved, without training."""
    generator = torch.Generator().manual_seed(seed)
    with seeded(seed, "cpu"):
        network = space.build(architecture)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
                tensor.add_(noise * 0.2 + 0.05 if "var" in name else (noise - 0.5) * 0.3)
    return network


def given_to(space: aw.Space, seed: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(32, *spec.shape, generator=generator, dtype=torch.float64)
        if getattr(torch, spec.dtype).is_floating_point
        else torch.randint(0, 5, (32, *spec.shape), generator=generator)
        for spec in space.example_input or ()
    ]


@torch.no_grad()
def distance(space: aw.Space, one: torch.nn.Module, other: torch.nn.Module) -> float:
    """How far the outputs of two networks are apart, in evaluation mode and double precision."""
    x = given_to(space)
    results = [network.double().eval()(*x) for network in (one, other)]
    return float((results[0] - results[1]).abs().max())


def moved(space: aw.Space, parent: Mapping[str, Any], child: Mapping[str, Any]) -> tuple[torch.nn.Module, Inherited]:
    """Inherit, and check what holds for every pair."""
    source, fresh = trained(space, parent), space.build(child)
    state = {name: tensor.clone() for name, tensor in source.state_dict().items()}
    network, inherited = inherit(space, child, parent, source.state_dict(), seed=7)
    after = source.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in state.items())
    sizes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    assert sizes == {name: tensor.shape for name, tensor in fresh.state_dict().items()}
    assert not {id(each) for each in network.parameters()} & {id(each) for each in source.parameters()}
    assert all(each.training for each in network.modules())
    counts = [sum(each.numel() for each in model.parameters()) for model in (network, source)]
    assert inherited.copied + inherited.grown + inherited.fresh == counts[0]
    assert inherited.copied + inherited.cut == counts[1]
    assert min(inherited.copied, inherited.grown, inherited.fresh, inherited.cut) >= 0
    if inherited.preserving:
        assert distance(space, network, source) < 1e-6
        network.float().train()
    return network, inherited


def ends(space: aw.Space, **decided: Any) -> aw.Architecture:
    """The architecture with the least of everything, besides what is decided."""
    least = {name: next(iter(decision.values())) for name, decision in space.decisions.items()}
    return space.canonical({**least, **{name.replace("__", "."): value for name, value in decided.items()}})


# ---------------------------------------------------------------------- ready-made spaces


@functools.cache
def made(name: str) -> aw.Space:
    """A small space of those ready-made."""
    options: dict[str, dict[str, Any]] = {
        "resnet": {"input_shape": IMAGE, "widths": (4, 6), "stages": (1, 2)},
        "convnet": {"input_shape": IMAGE, "filters": (4, 6, 8)},
        "nasbench101": {"input_shape": (3, 6, 6), "C": 8, "N": 1},
        "nasbench201": {"input_shape": (3, 6, 6), "C": 2, "N": 1},
        "darts": {"input_shape": (3, 6, 6), "C": 2, "layers": 3},
    }
    return spaces.create(name, **options.get(name, {}))


READY: dict[str, tuple[str, dict[str, Any], dict[str, Any], bool]] = {
    "resnet, wider stem": ("resnet", {}, {"stem__width": 6}, True),
    "resnet, wider stage": ("resnet", {"activation": "gelu"}, {"stage_0__width": 6}, True),
    "resnet, wider bottlenecks": ("resnet", {"stage_0__block": "bottleneck"}, {"stage_0__width": 6}, True),
    "resnet, larger kernel": ("resnet", {"activation": "silu"}, {"kernel": 5}, True),
    "resnet, all of it": ("resnet", {}, {"kernel": 5, "stage_0__width": 6, "stem__width": 6}, True),
    "resnet, one block more": ("resnet", {}, {"stage_0__blocks": 2}, True),
    "resnet, two bottlenecks more": (
        "resnet",
        {"stage_0__block": "bottleneck"},
        {"stage_0__blocks": 3, "stage_0__width": 6},
        True,
    ),
    "resnet, a block with GELU more": ("resnet", {"activation": "gelu"}, {"stage_0__blocks": 2}, False),
    "resnet, other activation": ("resnet", {}, {"activation": "gelu"}, False),
    "resnet, other dropout": ("resnet", {}, {"dropout": 0.3}, True),
    "resnet, narrower": ("resnet", {"stem__width": 6}, {"stem__width": 4}, False),
    "resnet, smaller kernel": ("resnet", {"kernel": 5}, {"kernel": 3}, False),
    "resnet, one block less": ("resnet", {"stage_0__blocks": 2}, {"stage_0__blocks": 1}, False),
    "resnet, one stage more": ("resnet", {"stages": 1}, {"stages": 2}, False),
    "convnet, more filters, averaged": ("convnet", {"head": "average"}, {"block_1__filters": 8}, True),
    "convnet, more filters, flattened": ("convnet", {"head": "flatten"}, {"block_1__filters": 8}, True),
    "convnet, larger kernel": ("convnet", {}, {"block_0__kernel": 5}, True),
    "convnet, wider dense layer": ("convnet", {"activation": "elu"}, {"dense__width": 64}, True),
    "convnet, begins otherwise": ("convnet", {}, {"initialisation": "orthogonal"}, True),
    "convnet, one block more": ("convnet", {"head": "average"}, {"blocks": 3}, True),
    "convnet, other pooling": ("convnet", {"pooling": "max"}, {"pooling": "average"}, False),
    "convnet, other head": ("convnet", {"head": "average"}, {"head": "flatten"}, False),
    "mlp, wider": ("mlp", {"activation": "tanh"}, {"layer_0__width": 128}, True),
    "mlp, wider with statistics": ("mlp", {"normalisation": "batch"}, {"layer_0__width": 128}, True),
    "mlp, wider with LayerNorm": ("mlp", {"normalisation": "layer"}, {"layer_0__width": 128}, False),
    "mlp, deeper": ("mlp", {}, {"depth": 2, "layer_1__width": 64}, True),
    "mlp, two layers deeper": ("mlp", {"normalisation": "batch"}, {"depth": 3}, True),
    "mlp, deeper and narrower": ("mlp", {"layer_0__width": 64}, {"depth": 2, "layer_1__width": 32}, False),
    "mlp, deeper with GELU": ("mlp", {"activation": "gelu"}, {"depth": 2}, False),
    "mlp, normalised": ("mlp", {"activation": "tanh"}, {"normalisation": "batch"}, True),
    "mlp, no longer normalised": ("mlp", {"normalisation": "batch"}, {"normalisation": "none"}, False),
}


@pytest.mark.parametrize("case", READY)
def test_ready_made_spaces(case: str) -> None:
    name, decided, changed, is_preserving = READY[case]
    space = made(name)
    parent = ends(space, **decided)
    child = ends(space, **{**decided, **changed})
    network, inherited = moved(space, parent, child)
    assert inherited.preserving == is_preserving
    assert inherited.copied > 0
    if not is_preserving:  # and by more than rounding
        assert distance(space, network, trained(space, parent)) > 1e-4


_SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("resnet", "convnet", "nasbench101", "darts")]


@pytest.mark.parametrize("name", ["mlp", "nasbench201", *_SLOW])
@settings(max_examples=3)
@given(seed=st.integers(0, 2**32 - 1))
def test_mutants_of_ready_made_spaces(name: str, seed: int) -> None:
    space, rng = made(name), np.random.default_rng(seed)
    parent = space.sample(rng)
    moved(space, parent, space.mutate(parent, rng))


@settings(max_examples=8)
@given(space=random_spaces(), seed=st.integers(0, 99))
def test_random_spaces(space: aw.Space, seed: int) -> None:
    """Any architecture may be the parent of any other."""
    rng = np.random.default_rng(seed)
    parent = space.sample(rng)
    assert moved(space, parent, parent)[1].preserving
    moved(space, parent, space.mutate(parent, rng))
    moved(space, parent, space.sample(rng))


@pytest.mark.parametrize("name", test_laws.MODELS)
def test_whatever_an_expression_can_hold(name: str) -> None:
    model, example = test_laws.MODELS[name]()
    space = aw.Space(model=model, example_input=example)
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(3)]
    assert moved(space, drawn[0], drawn[0])[1].preserving
    for parent, child in itertools.pairwise(drawn):
        moved(space, parent, child)


# ---------------------------------------------------------------------- layers and graphs

W = aw.ordinal(4, 8, name="w")


class Unclear(torch.nn.Module):
    """A forward pass that is no graph."""

    def __init__(self, channels: int, body: torch.nn.Module | None = None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(6, channels)
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(x if float(x.sum()) > 0 else -x)
        return result if self.body is None else self.body(result)


class Maybe(torch.nn.Module):
    """Two layers that may share a weight."""

    def __init__(self, *, tied: bool) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(6, 6)
        self.outer = torch.nn.Linear(6, 6)
        if tied:
            self.outer.weight = self.inner.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.outer(self.inner(x))
        return result


class Rectified(torch.nn.Module):
    """Changes what it is given, or not."""

    def __init__(self, *, inplace: bool) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.relu(x, self.inplace)


class Shifted(torch.nn.Module):
    """Takes a number away."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + (-0.5)


class Difference(torch.nn.Module):
    """Adds up with a factor."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.add(x, y, alpha=-1)


def differing(x: Any, y: Any) -> Any:
    first, second = nn.Linear(6, 3)(x), nn.Tanh()(y)
    options = {"one": aw.lazy(Difference)()(first, second), "other": aw.lazy(Difference)()(second, first)}
    return nn.Linear(3, 3)(aw.choice(options, name="w"))


def doubled(layer: torch.nn.Module, factor: float = 2.0) -> torch.nn.Module:
    layer.register_forward_hook(lambda module, inputs, result: factor * result)
    return layer


def normalised(layer: torch.nn.Module) -> torch.nn.Module:
    return torch.nn.utils.parametrizations.weight_norm(layer)


class Overwriting(torch.nn.Module):
    """Changes what it is given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mul_(2.0)


def row(*layers: Any) -> Any:
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(3))


def residual(*layers: Any, on: str = "on") -> Any:
    """A branch that may be there."""
    branch = aw.choice({"off": None, "on": nn.Sequential(*layers)}, name=on)
    return aw.graph(lambda x: aw.merge(x, branch(x)))


def joined(first: Any, second: Any) -> Any:
    return aw.graph(lambda x: nn.Tanh()(aw.merge(first(x), second(x), kind="concat")))


def conv(width: Any = 4, kernel: Any = 3, **options: Any) -> Any:
    return nn.LazyConv2d(width, kernel, padding=options.pop("padding", "same"), **options)


def norm() -> Any:
    return nn.LazyBatchNorm2d()


K = aw.ordinal(3, 5, name="w")
GRAPHS: dict[str, tuple[Any, Any, bool]] = {
    "kernel, padding by hand": (row(conv(4, K, padding=(K // 2)), nn.Tanh()), IMAGE, True),
    "kernel, dilated": (row(conv(4, K, padding=(K - 1), dilation=2), nn.Tanh()), IMAGE, True),
    "kernel, reflected": (row(conv(4, K, padding=(K // 2), padding_mode="reflect"), nn.Tanh()), IMAGE, True),
    "kernel, without padding": (row(nn.Conv2d(3, 4, K), nn.Tanh()), IMAGE, False),
    "kernel, even": (row(conv(4, aw.ordinal(2, 3, name="w"), padding=1), nn.Tanh()), IMAGE, False),
    "transposed": (row(nn.ConvTranspose2d(3, W, 3, stride=2), nn.ELU(), nn.ConvTranspose2d(W, 4, 2)), IMAGE, True),
    "transposed kernel": (row(nn.ConvTranspose2d(3, 4, K, padding=K // 2), nn.ELU()), IMAGE, True),
    "transposed by channel": (
        row(conv(W), nn.ELU(), nn.ConvTranspose2d(W, W, 3, groups=W), nn.ELU(), conv()),
        IMAGE,
        True,
    ),
    "by channel": (row(conv(W), nn.ELU(), nn.Conv2d(W, 2 * W, 3, groups=W), norm(), nn.ELU(), conv()), IMAGE, True),
    "by group": (row(conv(W), nn.Conv2d(W, W, 3, groups=2), nn.ELU(), conv()), IMAGE, False),
    "instances": (row(conv(W), nn.InstanceNorm2d(W, affine=True), nn.ELU(), conv()), IMAGE, True),
    "PReLU": (row(conv(W), nn.PReLU(W), conv()), IMAGE, True),
    "GroupNorm": (row(conv(W), nn.GroupNorm(2, W), conv()), IMAGE, False),
    "softmax": (nn.Sequential(nn.Linear(6, W), nn.Softmax(dim=1), nn.LazyLinear(3)), VECTOR, False),
    "bias": (row(conv(8, bias=aw.choice(False, True, name="w")), nn.Tanh()), IMAGE, True),
    "along a series": (nn.Sequential(nn.Linear(6, W), nn.GELU(), nn.LazyLinear(3)), SERIES, True),
    "channels last in the middle": (nn.Sequential(nn.Conv1d(5, W, 3), nn.ReLU(), nn.Linear(4, 3)), SERIES, False),
    "joined, last grows": (row(joined(conv(), conv(W)), conv()), IMAGE, True),
    "joined, first grows": (row(joined(conv(W), conv()), conv()), IMAGE, False),
    "all the stream grows": (row(conv(W), residual(conv(W), norm(), nn.ReLU(), conv(W), on="x"), norm()), IMAGE, True),
    "branch that ends in a norm": (row(conv(), residual(conv(), norm(), nn.ReLU(), conv(), norm())), IMAGE, True),
    "branch that ends in a layer": (row(conv(), residual(norm(), nn.ReLU(), conv())), IMAGE, True),
    "branch that ends in GELU": (row(conv(), residual(conv(), norm(), nn.GELU())), IMAGE, True),
    "branch that ends in ReLU": (row(conv(), residual(conv(), norm(), nn.ReLU())), IMAGE, False),
    "branch of LayerNorm and a perceptron": (
        nn.Sequential(
            nn.Linear(6, 4), residual(nn.LayerNorm(4), nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4)), nn.Linear(4, 3)
        ),
        SERIES,
        True,
    ),
    "branch without weights": (row(conv(), residual(nn.AvgPool2d(3, stride=1, padding=1))), IMAGE, False),
    "branch that overwrites": (row(conv(), residual(nn.ReLU(inplace=True), conv())), IMAGE, False),
    "branch that overwrites by hand": (row(conv(), residual(aw.lazy(Overwriting)(), conv())), IMAGE, False),
    "branch that overwrites by a function": (
        row(conv(), residual(aw.lazy(Rectified)(inplace=True), conv())),
        IMAGE,
        False,
    ),
    "branch that rectifies by a function": (
        row(conv(), residual(aw.lazy(Rectified)(inplace=False), conv())),
        IMAGE,
        True,
    ),
    "hook": (
        nn.Sequential(aw.lazy(doubled)(nn.Linear(6, 4), aw.ordinal(2.0, 3.0, name="w")), nn.Linear(4, 3)),
        VECTOR,
        False,
    ),
    "branch with a hook": (row(conv(), residual(aw.lazy(doubled)(nn.Conv2d(4, 4, 1)))), IMAGE, True),
    "branch with a weight made of others": (
        row(conv(), residual(aw.lazy(normalised)(nn.Conv2d(4, 4, 1)))),
        IMAGE,
        False,
    ),
    "weights that part": (aw.lazy(Maybe)(tied=aw.choice(True, False, name="w")), VECTOR, False),
    "weights that join": (aw.lazy(Maybe)(tied=aw.choice(False, True, name="w")), VECTOR, False),
    "in place in a row": (row(conv(W), nn.ReLU(inplace=True), conv()), IMAGE, True),
    "row that gets longer": (
        row(conv(), nn.ReLU(), aw.repeat(lambda _: nn.Sequential(conv(6), norm(), nn.ReLU()), 0, 2, name="w")),
        IMAGE,
        True,
    ),
    "row of layers by channel": (
        row(
            conv(),
            nn.ReLU(),
            aw.repeat(lambda _: nn.Sequential(conv(4, groups=4), conv(), norm(), nn.ReLU()), 0, 2, name="w"),
        ),
        IMAGE,
        True,
    ),
    "row that halves": (row(conv(), nn.ReLU(), aw.repeat(lambda _: conv(4, stride=2, padding=1), 0, 1)), IMAGE, False),
    "two inputs": (
        aw.graph(lambda x, y: nn.LazyLinear(3)(nn.Tanh()(nn.LazyLinear(W)(x) + nn.LazyLinear(W)(y)))),
        (VECTOR, VECTOR),
        True,
    ),
    "inputs that change places": (
        aw.graph(lambda x, y: nn.Linear(6, 3)(aw.choice({"x": x, "y": y}, name="w"))),
        (VECTOR, VECTOR),
        False,
    ),
    "a difference that is turned": (aw.graph(differing), (VECTOR, (3,)), False),
    "below zero after all": (
        row(conv(), nn.ReLU(), aw.lazy(Shifted)(), aw.choice(nn.Identity(), nn.ReLU(), name="w"), conv()),
        IMAGE,
        False,
    ),
    "above zero anyway": (
        row(conv(), nn.ReLU(), nn.MaxPool2d(2), aw.choice(nn.Identity(), nn.ReLU(), name="w"), conv()),
        IMAGE,
        True,
    ),
    "tokens": (
        nn.Sequential(nn.Embedding(5, aw.ordinal(4, 6, name="w")), nn.LazyLinear(3)),
        TOKENS,
        True,
    ),
    "no graph": (nn.Sequential(aw.lazy(Unclear)(W), nn.LazyLinear(3)), VECTOR, True),
    "no graph, but the same": (nn.Sequential(aw.lazy(Unclear)(4), nn.Linear(4, W), nn.LazyLinear(3)), VECTOR, True),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_layers_and_graphs(case: str) -> None:
    """From the least of everything to the most."""
    model, example, is_preserving = GRAPHS[case]
    space = aw.Space(model=model, example_input=example)
    most = space.canonical({name: list(decision.values())[-1] for name, decision in space.decisions.items()})
    assert most != ends(space)
    network, inherited = moved(space, ends(space), most)
    assert inherited.preserving == is_preserving
    learns(space, network)


def learns(space: aw.Space, network: torch.nn.Module) -> None:
    """Check that after some steps every row of every weight has moved; biases in front of norms never do."""
    before = {name: each.detach().clone() for name, each in network.double().named_parameters() if "weight" in name}
    train(space, network, 3)
    for name, new in network.named_parameters():
        if name in before:
            assert bool((before[name] != new).reshape(len(new), -1).any(1).all()), name


def train(space: aw.Space, network: torch.nn.Module, steps: int) -> None:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        optimizer.zero_grad()
        result = network(*given_to(space))
        (result - torch.randn(result.shape, generator=generator, dtype=torch.float64)).square().mean().backward()
        optimizer.step()


def test_a_larger_vocabulary_keeps_its_words() -> None:
    model = nn.Sequential(nn.Embedding(aw.ordinal(5, 9, name="words"), aw.ordinal(2, 3, name="size")), nn.LazyLinear(3))
    space = aw.Space(model=model, example_input=TOKENS)
    _, inherited = moved(space, ends(space), ends(space, words=9, size=3))
    assert inherited.preserving
    assert inherited.copied == 5 * 2 + 3 * 2 + 3


# ---------------------------------------------------------------------- what is new


def wide_then_norm() -> aw.Space:
    kernel, wide = aw.ordinal(3, 5, name="kernel"), aw.ordinal(4, 6, name="width")
    later = aw.choice({"no": nn.Identity(), "yes": nn.Sequential(nn.GELU(), conv(wide, 1))}, name="later")
    model = row(nn.Conv2d(3, wide, kernel, padding="same"), nn.BatchNorm2d(wide), nn.Tanh(), later)
    return aw.Space(model=model, example_input=IMAGE)


def test_what_is_new_begins_as_without_a_parent() -> None:
    space = wide_then_norm()
    parent, child = ends(space), ends(space, width=6, kernel=5, later="yes")
    old = trained(space, parent)
    network, inherited = inherit(space, child, parent, old.state_dict(), seed=3)
    with seeded(3, "cpu"):
        fresh = space.build(child)
    # New channels are fresh, with all that they see.
    assert torch.equal(network[0].weight[4:], fresh[0].weight[4:])
    assert torch.equal(network[0].bias[4:], fresh[0].bias[4:])
    assert torch.equal(network[1].running_var[4:], torch.ones(2))
    # Old ones are old, in the middle of zeros.
    assert torch.equal(network[0].weight[:4, :, 1:4, 1:4], old[0].weight)
    assert torch.equal(network[0].weight[:4].count_nonzero(), old[0].weight.count_nonzero())
    assert torch.equal(network[1].running_mean[:4], old[1].running_mean)
    assert torch.equal(network[-1].weight[:, :4], old[-1].weight)
    assert not network[-1].weight[:, 4:].any()
    # A new layer in front of which the function is another one anyway begins as it would.
    assert torch.equal(network[3][1].weight, fresh[3][1].weight)
    assert torch.equal(network[3][1].bias, fresh[3][1].bias)
    assert not inherited.preserving
    assert inherited == Inherited(
        copied=4 * 3 * 9 + 4 + 2 * 4 + 4 * 3 + 3,
        grown=6 * 3 * 25 - 4 * 3 * 9 + 2 + 2 * 2 + 2 * 3,
        fresh=6 * 6 + 6,
        cut=0,
        preserving=False,
    )
    assert (
        str(inherited)
        == "135 of 531 parameters inherited, 354 grown, 42 fresh, 0 of the parent's cut; the function differs"
    )


def test_what_is_smaller_takes_the_leading_part_and_the_middle() -> None:
    space = wide_then_norm()
    parent, child = ends(space, width=6, kernel=5), ends(space)
    old = trained(space, parent)
    network, inherited = inherit(space, child, parent, old.state_dict(), seed=3)
    assert torch.equal(network[0].weight, old[0].weight[:4, :, 1:4, 1:4])
    assert torch.equal(network[1].running_var, old[1].running_var[:4])
    assert torch.equal(network[-1].weight, old[-1].weight[:, :4])
    assert (inherited.grown, inherited.fresh, inherited.preserving) == (0, 0, False)
    assert inherited.cut == sum(each.numel() for each in old.parameters()) - inherited.copied


def test_gates_keep_to_their_blocks() -> None:
    """An LSTM has four gates one after the other; each keeps its beginning."""
    model = nn.Sequential(
        nn.LSTM(6, aw.ordinal(2, 3, name="width"), batch_first=True), aw.lazy(_Last)(), nn.LazyLinear(3)
    )
    space = aw.Space(model=model, example_input=SERIES)
    network, inherited = moved(space, ends(space), ends(space, width=3))
    old, new = trained(space, ends(space))[0], network[0]
    for gate in range(4):
        assert torch.equal(new.weight_ih_l0[3 * gate : 3 * gate + 2], old.weight_ih_l0[2 * gate : 2 * gate + 2])
        assert torch.equal(new.weight_hh_l0[3 * gate : 3 * gate + 2, :2], old.weight_hh_l0[2 * gate : 2 * gate + 2])
        assert not new.weight_hh_l0[3 * gate : 3 * gate + 2, 2].any()
        assert new.weight_hh_l0[3 * gate + 2].all()
    assert inherited.preserving
    assert distance(space, network, trained(space, ends(space))) < 1e-6


class _Last(torch.nn.Module):
    def forward(self, given: Any) -> torch.Tensor:
        last: torch.Tensor = given[0][:, -1]
        return last


def test_zeros_move_in_the_first_step_and_what_feeds_them_in_the_second() -> None:
    space = aw.Space(
        model=nn.Sequential(nn.Linear(6, aw.ordinal(4, 8, name="width")), nn.Tanh(), nn.LazyLinear(3)),
        example_input=VECTOR,
    )
    network = moved(space, ends(space), ends(space, width=8))[0].double()
    assert not network[2].weight[:, 4:].any()
    first = network[0].weight[4:].clone()
    train(space, network, 1)
    assert network[2].weight[:, 4:].all()
    assert torch.equal(network[0].weight[4:], first)
    train(space, network, 1)
    assert (network[0].weight[4:] != first).all()


def test_a_new_block_begins_as_nothing_and_learns() -> None:
    space = made("resnet")
    network = moved(space, ends(space), ends(space, stage_0__blocks=2))[0].double()
    block = network[1][0][1][1]
    norm_before_the_sum = block.branch[-1]
    assert not norm_before_the_sum.weight.any()
    train(space, network, 1)
    assert norm_before_the_sum.weight.all()
    inner = block.branch[0].weight.clone()
    train(space, network, 1)
    assert (block.branch[0].weight != inner).any()


def test_a_tied_weight_is_taken_over_once() -> None:
    space = aw.Space(model=aw.lazy(test_laws.Tied)(aw.ordinal(4, 8, name="width")), example_input=VECTOR)
    network, inherited = moved(space, ends(space), ends(space, width=8))
    assert network.inner.weight is network.outer.weight
    assert (inherited.copied, inherited.grown, inherited.fresh) == (4 * 6 + 4, 4 * 6 + 4, 0)


def test_statistics_are_taken_over_where_nothing_else_is_learned_by_a_norm() -> None:
    wide = aw.ordinal(4, 8, name="width")
    layers = (nn.LazyConv2d(wide, 3), nn.LazyBatchNorm2d(affine=False), aw.lazy(test_laws.Standardised)(5))
    space = aw.Space(model=nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(2)), example_input=IMAGE)
    network, inherited = moved(space, ends(space), ends(space, width=8))
    old = trained(space, ends(space))
    assert torch.equal(network[1].running_mean[:4], old[1].running_mean)
    assert torch.equal(network[2].norm.running_var, old[2].norm.running_var)
    assert inherited.grown > 0


# ---------------------------------------------------------------------- around


def test_nothing_is_drawn_from_outside() -> None:
    space = wide_then_norm()
    parent, child = ends(space), ends(space, width=6, later="yes")
    weights = trained(space, parent).state_dict()
    held, numpy_held = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    first, _ = inherit(space, child, parent, weights, seed=3)
    assert torch.equal(torch.random.get_rng_state(), held)
    assert (np.random.get_state()[1] == numpy_held).all()
    torch.manual_seed(5)
    again, _ = inherit(space, child, parent, weights, seed=3)
    other, _ = inherit(space, child, parent, weights, seed=4)
    assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))
    assert not torch.equal(first[0].weight, other[0].weight)


def test_weights_of_another_type_are_converted() -> None:
    space = wide_then_norm()
    parent = trained(space, ends(space)).double()
    network, _ = inherit(space, ends(space), ends(space), parent.state_dict(), seed=0)
    assert network[0].weight.dtype == torch.float32
    assert torch.equal(network[0].weight, parent[0].weight.float())


def test_weights_of_something_else_are_refused() -> None:
    space = wide_then_norm()
    parent, child = ends(space), ends(space, width=6)
    weights = dict(trained(space, parent).state_dict())
    with pytest.raises(BuildError, match=r"'0.weight' is \(4, 3, 3, 3\) in its network and \(6, 3, 3, 3\) among"):
        inherit(space, child, parent, trained(space, child).state_dict(), seed=0)
    with pytest.raises(BuildError, match=r"'9.weight' is missing in its network and \(1,\) among"):
        inherit(space, child, parent, {**weights, "9.weight": torch.zeros(1)}, seed=0)
    del weights["1.running_mean"]
    with pytest.raises(BuildError, match=r"'1.running_mean' is \(4,\) in its network and missing among.*state_dict"):
        inherit(space, child, parent, weights, seed=0)
    with pytest.raises(ArchitectureError, match="width"):
        inherit(space, {**child, "width": 5}, parent, weights, seed=0)


def test_the_input_has_to_be_known() -> None:
    model = nn.Sequential(nn.Linear(6, aw.ordinal(4, 8, name="width")), nn.Tanh())
    space = aw.Space(model=model)
    weights = space.build({"width": 4}).state_dict()
    with pytest.raises(RelaxationError, match="give example_input"):
        inherit(space, {"width": 8}, {"width": 4}, weights, seed=0)
    network, inherited = inherit(space, {"width": 8}, {"width": 4}, weights, seed=0, example_input=VECTOR)
    assert torch.equal(network[0].weight[:4], weights["0.weight"])
    assert not inherited.preserving  # there are more results than before


# ---------------------------------------------------------------------- what is loaded or frozen


def test_a_frozen_layer_of_another_size_begins_as_it_is_built() -> None:
    wide = aw.ordinal(4, 8, name="width")
    space = aw.Space(model=nn.Sequential(aw.lazy(test_initial.Loaded)(wide), nn.LazyLinear(3)), example_input=VECTOR)
    for parent, child in ((4, 8), (8, 4)):
        network, inherited = moved(space, ends(space, width=parent), ends(space, width=child))
        test_initial.same(network[0], test_initial.Loaded(child))
        assert network[1].weight.requires_grad
        assert not inherited.preserving


@pytest.mark.parametrize("is_frozen", [True, False])
def test_a_layer_that_loads_other_weights_has_those(is_frozen: bool) -> None:
    scale = aw.choice(1.0, 2.0, name="scale")
    loaded = aw.lazy(test_initial.Loaded)(scale=scale, frozen=is_frozen)
    space = aw.Space(model=nn.Sequential(loaded, nn.LazyLinear(3)), example_input=VECTOR)
    network, inherited = moved(space, ends(space), ends(space, scale=2.0))
    test_initial.same(network[0], test_initial.Loaded(scale=2.0, frozen=is_frozen))
    assert torch.equal(network[1].weight, trained(space, ends(space))[1].weight)
    assert not inherited.preserving
    network, inherited = moved(space, ends(space), ends(space))  # the same weights: what they have become since
    assert torch.equal(network[0].layer.weight, trained(space, ends(space))[0].layer.weight)
    assert inherited.preserving


def test_a_layer_that_is_frozen_from_now_on_begins_as_it_is_built() -> None:
    loaded = aw.lazy(test_initial.Loaded)(frozen=aw.choice(False, True, name="frozen"))
    space = aw.Space(model=nn.Sequential(loaded, nn.LazyLinear(3)), example_input=VECTOR)
    network, _ = moved(space, ends(space), ends(space, frozen=True))
    test_initial.same(network[0].layer, test_initial.Loaded().layer)


class _Identity(torch.nn.Module):
    """A layer that is loaded; as a new one of torch it would begin as the identity or as zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = test_initial.Loaded(frozen=False).layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def test_a_new_layer_that_is_loaded_begins_as_it_is_loaded() -> None:
    body = aw.repeat(lambda i: aw.lazy(_Identity)(), 0, 1, name="depth")
    space = aw.Space(model=nn.Sequential(nn.Linear(6, 6), body, nn.LazyLinear(3)), example_input=VECTOR)
    network, inherited = moved(space, ends(space), ends(space, depth=1))
    assert torch.equal(network[1][0].layer.weight, test_initial.Loaded().layer.weight)
    assert not inherited.preserving


def test_a_network_that_cannot_be_traced_takes_over_what_it_can() -> None:
    """Whether a new layer can begin as the identity is known only where the forward pass is a graph."""
    body = aw.repeat(lambda i: nn.Linear(4, 4), 0, 1, name="depth")
    space = aw.Space(model=nn.Sequential(aw.lazy(Unclear)(4), body, nn.LazyLinear(3)), example_input=VECTOR)
    network, inherited = moved(space, ends(space), ends(space, depth=1))
    with seeded(7, "cpu"):
        drawn = space.build(ends(space, depth=1))
    assert torch.equal(network[0].layer.weight, trained(space, ends(space))[0].layer.weight)
    assert torch.equal(network[1][0].weight, drawn[1][0].weight)
    assert not inherited.preserving
