"""The shared weights: how they grow, move, are copied and kept; seeds; statistics measured anew."""

from __future__ import annotations

import copy
import io
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from tests.supernet.helpers import check, inputs, made, weight

import archwright as aw
from archwright import nn
from archwright.supernet import Supernet

VECTOR, IMAGE = (6,), (3, 6, 6)


def space(**options):
    """A range of widths of which finding out about sizes sees some; a constraint keeps it from trying the ends."""
    wide = aw.integer(2, 99, name="width")
    model = nn.Sequential(
        nn.LazyLinear(wide),
        nn.Tanh(),
        aw.repeat(lambda i: nn.LazyLinear(wide, bias=aw.choice(True, False)), 0, 2, name="depth"),
        nn.LazyLinear(3),
    )
    return aw.Space(model=model, example_input=VECTOR, **options)


def small(seed=0):
    """A supernet that has met small sizes only."""
    return Supernet(space(where=_small), "path", seed=seed)


def _small(architecture):
    return architecture["width"] <= 40


def full(supernet):
    return weight(supernet, "model/0/Linear/weight")


@pytest.fixture
def grown():
    """A supernet in which one width is larger than all that were met."""
    supernet = small().double()
    met = full(supernet).shape[0]
    assert met <= 40
    object.__setattr__(supernet.space, "where", ())  # from here on every width may come
    return supernet, met


def at(supernet, width, depth=1):
    decisions = {name: next(iter(each.values())) for name, each in supernet.space.decisions.items()}
    return supernet.space.canonical({**decisions, "width": width, "depth": depth})


def test_a_size_met_later_makes_room_and_values_stay(grown):
    supernet, met = grown
    (x,) = inputs(supernet)
    path = supernet.select(at(supernet, met))
    before, held, version = path(x), full(supernet).detach().clone(), supernet.bank.version
    supernet.select(at(supernet, 90))(x)
    assert full(supernet).shape == (90, 6)
    assert full(supernet).dtype == torch.float64
    assert torch.equal(full(supernet)[:met], held)
    assert supernet.bank.version > version
    assert torch.equal(path(x), before)
    check(supernet)


def test_gradients_are_added_up_while_weights_grow(grown):
    supernet, met = grown
    (x,) = inputs(supernet)
    first, second = at(supernet, met, 2), at(supernet, 90, 2)
    network = supernet.extract(first)
    network(x).square().sum().backward()
    expected = network[0].weight.grad
    parameter = full(supernet)
    supernet.select(first)(x).square().sum().backward()
    supernet.select(second)(x).square().sum().backward()
    assert parameter is full(supernet)
    assert parameter.grad.shape == parameter.shape == (90, 6)
    network = supernet.extract(second)
    network(x).square().sum().backward()
    total = network[0].weight.grad.clone()
    total[:met] += expected
    torch.testing.assert_close(parameter.grad, total, rtol=1e-9, atol=1e-12)


def test_growth_after_a_backward_pass_whose_graph_is_alive(grown):
    supernet, met = grown
    (x,) = inputs(supernet)
    loss = supernet.select(at(supernet, met - 1))(x).square().sum()
    loss.backward(retain_graph=True)
    supernet.zero_grad()
    supernet.select(at(supernet, 90))(x).square().sum().backward()
    assert full(supernet).grad.shape == (90, 6)
    assert loss.requires_grad


def test_a_grown_state_is_taken_into_a_fresh_supernet(grown):
    supernet, met = grown
    (x,) = inputs(supernet)
    architecture = at(supernet, 90, 2)
    expected = supernet.select(architecture)(x)
    fresh = small(seed=5).double()
    object.__setattr__(fresh.space, "where", ())
    fresh.select(at(fresh, met))(x)
    fresh.load_state_dict(supernet.state_dict())
    assert full(fresh).shape == (90, 6)
    assert torch.equal(fresh.select(architecture)(x), expected)
    check(fresh)


def test_a_smaller_state_is_taken_and_grows_again(grown):
    supernet, met = grown
    (x,) = inputs(supernet)
    state = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    large, little = at(supernet, 90), at(supernet, met)
    expected = supernet.select(little)(x)
    supernet.select(large)(x)
    supernet.load_state_dict(state, strict=False)
    assert torch.equal(supernet.select(little)(x), expected)
    assert supernet.select(large)(x).shape == (2, 3)
    check(supernet)


def test_layers_of_which_some_have_no_bias_fill_one_entry():
    bias = aw.choice(False, True, name="bias")
    supernet = made(nn.Sequential(nn.Linear(6, aw.ordinal(4, 8, name="width"), bias=bias), nn.LazyLinear(2)), VECTOR)
    assert weight(supernet, "0/Linear/bias").shape == (8,)
    check(supernet)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_weights_are_converted_together(dtype):
    supernet = made(nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2)), IMAGE)
    supernet.to(dtype)
    (x,) = inputs(supernet)
    (architecture,) = supernet.space.enumerate()
    assert supernet.select(architecture)(x.to(dtype)).dtype == dtype
    network = supernet.extract(architecture)
    assert network(x.to(dtype)).dtype == dtype
    assert network[1].num_batches_tracked.dtype == torch.int64


# ---------------------------------------------------------------------- copies


def mixed():
    """Branches, sizes, a class that takes modules, batch normalisation."""
    wide = aw.ordinal(4, 8, name="width")
    body = nn.Sequential(nn.LazyConv2d(wide, 3, padding="same"), aw.choice(nn.ReLU(), nn.Tanh(), name="act"))
    return nn.Sequential(
        aw.lazy(_Wrapped)(body),
        nn.LazyBatchNorm2d(),
        aw.graph(lambda x: aw.choice(nn.Identity(), nn.LazyConv2d(wide, 1), None, name="edge")(x) + x),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LazyLinear(3),
    )


class _Wrapped(torch.nn.Module):
    def __init__(self, body: torch.nn.Module):
        super().__init__()
        self.body = body
        self.gain = torch.nn.Parameter(torch.tensor(1.5))

    def forward(self, x):
        return self.gain * self.body(x)


def _pickled(supernet):
    return pickle.loads(pickle.dumps(supernet))


def _saved(supernet):
    stream = io.BytesIO()
    torch.save(supernet.state_dict(), stream)
    stream.seek(0)
    other = Supernet(supernet.space, "softmax", seed=9).double()
    other.load_state_dict(torch.load(stream, weights_only=True))
    return other.train(supernet.training)


@pytest.mark.parametrize("twin_of", [copy.deepcopy, _pickled, _saved], ids=["copy", "pickle", "state"])
def test_a_copy_computes_the_same_and_has_weights_of_its_own(twin_of):
    supernet = made(mixed(), IMAGE, "softmax")
    (x,) = inputs(supernet)
    architectures = list(supernet.space.enumerate())
    supernet.eval()
    before = [supernet.select(each)(x).detach() for each in architectures]
    twin = twin_of(supernet)
    after = [twin.select(each)(x).detach() for each in architectures]
    assert all(map(torch.equal, before, after))
    mix = supernet.draw()
    assert torch.equal(supernet.run(mix, x), twin.run(mix, x))
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.zero_()
    assert all(torch.equal(twin.select(each)(x), old) for each, old in zip(architectures, before, strict=True))
    check(twin)


def test_parameters_assigned_by_a_state_are_in_use():
    supernet = made(mixed(), IMAGE)
    (x,) = inputs(supernet)
    architecture = next(supernet.space.enumerate())
    supernet.eval().select(architecture)(x)
    state = {name: torch.zeros_like(tensor) for name, tensor in supernet.state_dict().items()}
    supernet.load_state_dict(state, assign=True)
    assert not supernet.select(architecture)(x).any()


# ---------------------------------------------------------------------- seeds


def test_first_weights_follow_from_the_seed_alone():
    def weights(seed, state):
        torch.manual_seed(state)
        return Supernet(aw.Space(model=mixed(), example_input=IMAGE), seed=seed).state_dict()

    first, again, other = weights(0, 1), weights(0, 2), weights(1, 1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_the_first_weights_of_a_place_do_not_depend_on_what_was_met_before():
    def last(widths):
        supernet = small()
        object.__setattr__(supernet.space, "where", ())
        for width in widths:
            supernet.select(at(supernet, width))(torch.zeros(2, 6))
        return supernet.state_dict()

    one, two = last([90, 50]), last([50, 90])
    assert one.keys() == two.keys()
    met = full(small()).shape[0]
    name = next(name for name in one if name.endswith("model/0/Linear/weight"))
    assert torch.equal(one[name][:met], two[name][:met])


def test_two_layers_do_not_begin_alike():
    supernet = made(nn.Sequential(nn.Linear(6, 6), aw.choice(nn.Linear(6, 6), nn.Identity())), VECTOR)
    first, second = (tensor for name, tensor in supernet.bank.named_parameters() if name.endswith("weight"))
    assert not torch.equal(first, second)


def test_nothing_is_drawn_from_outside():
    held, numpy_held = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    supernet = Supernet(aw.Space(model=mixed(), example_input=IMAGE))
    (x,) = (torch.zeros(2, *IMAGE),)
    for architecture in supernet.space.enumerate():
        supernet.select(architecture)(x)
        supernet.extract(architecture)
    supernet(x)
    assert torch.equal(torch.random.get_rng_state(), held)
    assert (np.random.get_state()[1] == numpy_held).all()


def test_first_weights_have_the_spread_of_a_network_of_that_size():
    wide = nn.Sequential(nn.Linear(400, aw.ordinal(10, 300, name="width")), nn.LazyLinear(2))
    supernet = Supernet(aw.Space(model=wide, example_input=(400,)), "path")
    alone = torch.nn.Linear(400, 300).weight
    assert full(supernet).std().item() == pytest.approx(alone.std().item(), rel=0.05)
    assert weight(supernet, "model/0/Linear/bias").abs().max() <= 1 / 20


# ---------------------------------------------------------------------- statistics


def test_statistics_measured_anew_are_those_of_a_network_alone():
    supernet = made(mixed(), IMAGE)
    batches = [
        torch.randn(4, *IMAGE, dtype=torch.float64, generator=torch.Generator().manual_seed(n)) for n in range(3)
    ]
    for architecture in supernet.space.enumerate():
        network = supernet.extract(architecture)
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.reset_running_stats()
                layer.momentum = None
                layer.train()
        with torch.no_grad():
            for batch in batches:
                network(batch)
        path = supernet.select(architecture)
        supernet.train()
        supernet.calibrate(path, batches)
        assert supernet.training
        norm = network[1]
        size = len(norm.running_mean)
        torch.testing.assert_close(weight(supernet, "running_mean")[:size], norm.running_mean, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(weight(supernet, "running_var")[:size], norm.running_var, rtol=1e-12, atol=1e-14)
        assert torch.allclose(supernet.eval().select(architecture)(batches[0]), network.eval()(batches[0]))


def test_measuring_statistics_leaves_dropout_out():
    model = nn.Sequential(OrderedDict(drop=nn.Dropout(0.9), norm=nn.BatchNorm1d(6)))
    supernet = made(model, VECTOR)
    x = torch.ones(8, 6, dtype=torch.float64)
    supernet.calibrate(supernet.select({}), [x])
    assert torch.equal(weight(supernet, "running_mean"), torch.ones(6, dtype=torch.float64))
