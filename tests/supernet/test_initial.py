"""How shared weights begin: as in built networks; what is loaded stays, and what is frozen is not learned."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from tests.supernet.helpers import check, inputs, made, weight

import archwright as aw
from archwright import nn, spaces
from archwright.errors import RelaxationError
from archwright.supernet import Supernet

VECTOR, IMAGE = (6,), (3, 6, 6)


def width(*sizes: int) -> Any:
    return aw.ordinal(*(sizes or (4, 8)), name="width")


def supernet_of(model: Any, example: tuple[int, ...] = VECTOR, seed: int = 0, **parts: Any) -> Supernet:
    return Supernet(aw.Space(model=model, example_input=example, **parts), "path", seed=seed)


def first(supernet: Supernet) -> aw.Architecture:
    return next(supernet.space.enumerate())


def learned(supernet: Supernet) -> set[int]:
    return {id(parameter) for parameter in supernet.weight_parameters()}


def ones_(layer: torch.nn.Module) -> torch.nn.Module:
    for tensor in layer.parameters():
        torch.nn.init.constant_(tensor, 1.0)
    return layer


class Loaded(torch.nn.Module):
    """A linear layer with weights of its own that do not look drawn, statistics, and a constant."""

    def __init__(self, channels: int = 6, *, scale: float = 1.0, frozen: bool = True) -> None:
        super().__init__()
        self.layer, self.norm = torch.nn.Linear(6, channels), torch.nn.BatchNorm1d(channels)
        with torch.no_grad():
            self.layer.weight.copy_(scale * torch.linspace(-1, 1, 6 * channels).view(channels, 6))
            self.layer.bias.fill_(scale)
            self.norm.running_mean.fill_(0.5 * scale)
            self.norm.running_var.fill_(2.0)
        self.register_buffer("offset", torch.linspace(0, scale, channels))
        self.requires_grad_(not frozen)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.layer(x)) + self.offset


class Small(torch.nn.Module):
    """Weights that are drawn, in another way than torch's."""

    def __init__(self, channels: int, *, scheme: str = "normal") -> None:
        super().__init__()
        self.layer = torch.nn.Linear(6, channels)
        fill = {"normal": torch.nn.init.normal_, "uniform": torch.nn.init.uniform_}[scheme]
        fill(self.layer.weight, 1000.0, {"normal": 1.0, "uniform": 2000.0}[scheme])
        torch.nn.init.zeros_(self.layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def frozen(network: torch.nn.Module) -> torch.nn.Module:
    """A function that is applied to a network."""
    return network.requires_grad_(False)


def filled(network: torch.nn.Module, value: float = 3.0) -> torch.nn.Module:
    """A function that fills a network's linear layers once they have their sizes."""
    for layer in network.modules():
        if isinstance(layer, torch.nn.Linear) and not torch.nn.parameter.is_lazy(layer.weight):
            torch.nn.init.constant_(layer.weight, value)
    return network


class Body(torch.nn.Module):
    """Takes a network, freezes it, and has a head."""

    def __init__(self, body: torch.nn.Module) -> None:
        super().__init__()
        self.body = frozen(body)
        self.head = torch.nn.LazyLinear(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


def same(network: torch.nn.Module, other: torch.nn.Module) -> None:
    assert {name: tensor.requires_grad for name, tensor in network.named_parameters()} == {
        name: tensor.requires_grad for name, tensor in other.named_parameters()
    }
    for name, tensor in other.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], tensor, rtol=0, atol=0, msg=name)


# ---------------------------------------------------------------------- weights that are loaded


@pytest.mark.parametrize("is_frozen", [True, False])
def test_what_is_loaded_is_kept_with_its_buffers(is_frozen: bool) -> None:
    supernet = supernet_of(nn.Sequential(aw.lazy(Loaded)(frozen=is_frozen), aw.choice(nn.ReLU(), nn.Tanh())))
    same(supernet.extract(first(supernet))[0], Loaded(frozen=is_frozen))
    assert len(supernet.weight_parameters()) == (0 if is_frozen else 4)
    x = torch.randn(3, 6)
    path = supernet.eval().select(first(supernet))
    torch.testing.assert_close(path(x), torch.nn.Sequential(Loaded(), torch.nn.ReLU()).eval()(x))


def test_loaded_weights_of_several_sizes_are_all_kept() -> None:
    """The smaller ones are no part of the larger ones, so each size has weights of its own."""
    supernet = supernet_of(nn.Sequential(aw.lazy(Loaded)(width()), nn.LazyLinear(2)))
    for size in (8, 4):
        same(supernet.extract({"width": size})[0], Loaded(size))
    check(made(nn.Sequential(aw.lazy(Loaded)(width()), nn.LazyLinear(2)), VECTOR))


@pytest.mark.parametrize("option", [{"scale": (1.0, 2.0)}, {"frozen": (True, False)}])
def test_two_that_are_loaded_at_one_place_are_both_kept(option: dict[str, tuple[Any, Any]]) -> None:
    ((name, values),) = option.items()
    model = nn.Sequential(aw.lazy(Loaded)(**{name: aw.choice(*values, name=name)}), nn.LazyLinear(2))
    supernet = supernet_of(model)
    for value in values:
        same(supernet.extract({name: value})[0], Loaded(**{name: value}))
    check(made(model, VECTOR))


def test_training_moves_what_learns_and_leaves_what_is_frozen() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(96, 6)).astype(np.float32)
    data = aw.data((table, (table[:, 0] > 0).astype(np.int64)), test=0.1)
    options = {"frozen": aw.lazy(Loaded)(), "free": aw.lazy(Loaded)(frozen=False), "head": nn.Linear(6, 6)}
    model = nn.Sequential(aw.choice(options, name="body"), nn.LazyLinear(2))
    for relaxation in ("path", "softmax", "sandwich", aw.supernet.Softmax(order=2)):
        evaluator = aw.SupernetEvaluator(aw.Training(data, batch_size=32), relaxation, epochs=1)
        aw.search(aw.Space(model=model), evaluator, budget=aw.Budget(trials=1), strategy="random", final=False)
        supernet = evaluator.supernet
        assert supernet is not None
        parts = {name: supernet.extract({"body": name})[0].cpu() for name in options}
        for name in ("layer.weight", "layer.bias", "norm.weight", "offset"):
            assert torch.equal(parts["frozen"].state_dict()[name], Loaded().state_dict()[name])
        assert not torch.equal(parts["free"].layer.weight, Loaded().layer.weight)


def test_a_path_on_which_nothing_learns_is_no_obstacle() -> None:
    table = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
    data = aw.data((table, (table[:, 0] > 0).astype(np.int64)), test=0.1)
    model = aw.choice({"frozen": aw.lazy(Loaded)(2), "free": nn.Linear(6, 2)}, name="all")
    evaluator = aw.SupernetEvaluator(aw.Training(data, batch_size=8), "path", epochs=2)
    study = aw.search(aw.Space(model=model), evaluator, budget=aw.Budget(trials=2), strategy="grid", final=False)
    assert [trial.state for trial in study.trials] == ["complete", "complete"]


class Still(torch.nn.Module):
    """Normalization that keeps to the statistics that it was given, whatever the mode."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(6)
        torch.nn.init.constant_(self.norm.running_mean, 7.0)
        self.eval()

    def train(self, mode: bool = True) -> Still:
        return super().train(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x)


def test_statistics_that_a_class_keeps_are_not_measured_anew() -> None:
    supernet = supernet_of(nn.Sequential(aw.lazy(Still)(), nn.BatchNorm1d(6), nn.Linear(6, 2)))
    path = supernet.select({})
    supernet.train()(torch.randn(8, 6))
    supernet.calibrate(path, [torch.randn(8, 6)])
    network = supernet.extract({})
    assert (network[0].norm.running_mean == 7).all()
    assert network[1].running_mean.abs().sum() > 1


# ---------------------------------------------------------------------- weights that are drawn


def test_the_largest_layer_s_own_weights_are_shared_by_all_its_sizes() -> None:
    supernet = supernet_of(nn.Sequential(aw.lazy(Small)(width(2, 4, 8)), nn.LazyLinear(2)))
    full = weight(supernet, "layer/Linear/weight")
    assert full.shape == (8, 6)
    assert full.mean() > 900
    for size in (2, 4, 8):
        layer = supernet.extract({"width": size})[0].layer
        assert torch.equal(layer.weight, full[:size])
        assert not layer.bias.any()


def test_a_size_met_later_begins_as_the_class_says() -> None:
    def small(architecture: Any) -> bool:
        return bool(architecture["width"] <= 20)

    wide = aw.integer(2, 60, name="width")
    body = nn.Sequential(nn.LazyLinear(wide), aw.choice(nn.ReLU(), nn.Tanh()))
    for model in (aw.lazy(Small)(wide), aw.lazy(filled)(body)):
        supernet = supernet_of(nn.Sequential(model, nn.LazyLinear(2)), where=small)
        object.__setattr__(supernet.space, "where", ())  # from here on every width may come
        largest = supernet.space.canonical({**first(supernet), "width": 60})
        supernet.select(largest)(torch.zeros(2, 6))
        tensors = supernet.extract(largest)[0].state_dict()
        assert max(tensor.shape[0] for tensor in tensors.values()) == 60
        for name, tensor in tensors.items():
            assert name.endswith("bias") or tensor.mean() > 900 or (tensor == 3).all()


def test_schemes_of_initialization_have_weights_of_their_own() -> None:
    supernet = supernet_of(aw.lazy(Small)(width(), scheme=aw.choice("normal", "uniform", name="scheme")))
    extracted = [supernet.extract({"width": 8, "scheme": scheme}).layer.weight for scheme in ("normal", "uniform")]
    assert 990 < extracted[0].min() < extracted[0].max() < 1010
    assert 1000 <= extracted[1].min() < 1100
    assert 1900 < extracted[1].max() <= 2000
    assert torch.equal(supernet.extract({"width": 4, "scheme": "normal"}).layer.weight, extracted[0][:4])


def test_the_seed_decides_and_nothing_else() -> None:
    def state(seed: int, outside: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(outside)
        return dict(supernet_of(nn.Sequential(aw.lazy(Small)(width()), nn.LazyLinear(2)), seed=seed).state_dict())

    one, again, other = state(0, 1), state(0, 2), state(1, 1)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_layers_inside_of_layers_of_torch_begin_as_those_say() -> None:
    model = nn.Sequential(nn.TransformerEncoderLayer(6, 2, aw.ordinal(8, 16), batch_first=True), nn.Flatten())
    supernet = supernet_of(model, (4, 6))
    attention = supernet.extract(first(supernet))[0].self_attn
    assert not attention.out_proj.bias.any()  # a linear layer would draw it
    assert attention.in_proj_weight.any()


# ---------------------------------------------------------------------- functions that are applied to networks


def opened() -> Any:
    """Two options and two sizes."""
    wide = width()
    inner = aw.choice({"one": nn.Linear(wide, 6), "two": nn.Sequential(nn.Tanh(), nn.Linear(wide, 6))}, name="inner")
    return nn.Sequential(nn.Linear(6, wide), nn.ReLU(), inner)


@pytest.mark.parametrize("relaxation", ["path", "softmax"])
def test_a_network_in_which_something_is_open_is_frozen(relaxation: str) -> None:
    space = aw.Space(model=aw.lazy(Body)(opened()), example_input=VECTOR)
    supernet = Supernet(space, relaxation)
    assert "inner" in supernet.branches
    for architecture in space.enumerate():
        network = supernet.extract(architecture)
        assert [name for name, each in network.named_parameters() if each.requires_grad] == ["head.weight", "head.bias"]
    assert sorted(tuple(each.shape) for each in supernet.weight_parameters()) == [(2,), (2, 6)]
    check(made(aw.lazy(Body)(opened()), VECTOR, relaxation))


def test_a_function_that_fills_a_network_has_filled_every_option() -> None:
    supernet = supernet_of(nn.Sequential(aw.lazy(filled)(opened()), nn.LazyLinear(2)))
    for architecture in supernet.space.enumerate():
        network = supernet.extract(architecture)
        for name, tensor in network.named_parameters():
            assert (tensor == 3).all() == (name.startswith("0.") and name.endswith("weight")), name


def test_the_outermost_function_has_the_last_word() -> None:
    inside = aw.lazy(filled)(opened(), value=1.0)
    last = aw.choice(2.0, 4.0, name="last")
    supernet = supernet_of(aw.lazy(filled)(nn.Sequential(inside, nn.Linear(6, 2)), value=last))
    for architecture in supernet.space.enumerate():
        network = supernet.extract(architecture)
        for name, tensor in network.named_parameters():
            assert name.endswith("bias") or (tensor == architecture["last"]).all()
    check(made(aw.lazy(filled)(opened(), value=aw.choice(2.0, 4.0, name="last")), VECTOR, "softmax"))


def test_a_lazy_layer_is_filled_when_it_has_its_size() -> None:
    supernet = supernet_of(aw.lazy(filled)(nn.LazyLinear(2)))
    assert (supernet.extract({}).weight == 3).all()


def test_what_is_loaded_into_a_network_by_size_is_kept() -> None:
    supernet = supernet_of(nn.Sequential(aw.lazy(ramped)(opened()), nn.LazyLinear(2)))
    for architecture in supernet.space.enumerate():
        for tensor in supernet.extract(architecture)[0].parameters():
            assert torch.equal(tensor.flatten(), torch.linspace(0, 1, tensor.numel()))


def ramped(network: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.copy_(torch.linspace(0, 1, tensor.numel()).view(tensor.shape))
    return network


SCHEMES = {"kaiming_normal": 2.0, "xavier_uniform": 1.0, "orthogonal": None}


@pytest.mark.parametrize("name", ["mlp", "convnet"])
def test_ready_made_spaces_begin_as_their_decision_says(name: str) -> None:
    options: dict[str, Any] = {
        "mlp": {"depth": (1, 2), "widths": (64, 128)},
        "convnet": {"filters": (32, 64), "kernels": (3,)},
    }
    space = spaces.create(name, input_shape=(1, 8, 8), classes=10, **options[name])
    supernet = Supernet(space, "path")
    rng = np.random.default_rng(0)
    for scheme in SCHEMES:
        for _ in range(3):
            architecture = space.canonical({**_largest(space), **space.sample(rng), "initialisation": scheme})
            network = supernet.extract(architecture)
            for layer in network.modules():
                if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
                    assert layer.bias is None or not layer.bias.any()
        network = supernet.extract(space.canonical({**_largest(space), "initialisation": scheme}))
        for layer in network.modules():
            if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
                rows = layer.weight.detach().flatten(1)
                outer, inner = rows.shape
                if scheme == "orthogonal":
                    products = rows @ rows.T if outer <= inner else rows.T @ rows
                    torch.testing.assert_close(products, torch.eye(len(products)), rtol=0, atol=1e-4)
                else:
                    field = layer.weight[0, 0].numel()
                    variance = 2 / inner if scheme == "kaiming_normal" else 2 / (inner + outer * field)
                    assert rows.var().item() == pytest.approx(variance, rel=0.3)


def _largest(space: aw.Space) -> dict[str, Any]:
    return {name: decision.decode([1.0] * decision.width) for name, decision in space.decisions.items()}


# ---------------------------------------------------------------------- around


def test_too_many_values_to_begin_by_are_said() -> None:
    body = aw.lazy(filled)(opened(), value=aw.real(0.0, 5.0, name="start"))
    with pytest.warns(UserWarning, match=r"model\.0: the first weights hang on start, of too many values"):
        supernet = supernet_of(nn.Sequential(body, nn.Linear(6, 2)))
    assert (supernet.extract({"start": 1.0, "width": 4, "inner": "one"})[0][0].weight == 5).all()


def test_too_many_sets_of_weights_are_refused() -> None:
    scales = [aw.ordinal(*map(float, range(1, 10)), name=name) for name in ("one", "two")]
    model = aw.lazy(Loaded)(scale=scales[0] * scales[1])
    with pytest.raises(RelaxationError, match=r"model: its first weights hang on (two, one|one, two), .* 81 values"):
        supernet_of(model)


def test_a_copy_and_a_state_know_what_is_frozen() -> None:
    model = nn.Sequential(aw.lazy(Body)(opened()), nn.Tanh())
    supernet = supernet_of(model)
    (x,) = inputs(supernet)
    other = supernet_of(model, seed=5)
    other.load_state_dict(supernet.state_dict())
    for twin in (copy.deepcopy(supernet), other):
        assert len(twin.weight_parameters()) == 2
        for architecture in supernet.space.enumerate():
            one, two = (each.eval().select(architecture)(x.float()) for each in (supernet, twin))
            torch.testing.assert_close(one, two, rtol=0, atol=0)


class Gain(torch.nn.Module):
    """Weights without a rule, which are not learned."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.rand(channels), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gain


def test_what_a_state_brings_along_stays_frozen() -> None:
    wide = aw.integer(2, 40, name="width")
    model = nn.Sequential(nn.LazyLinear(wide), aw.lazy(Gain)(wide), nn.LazyLinear(2))
    supernet, fresh = supernet_of(model), supernet_of(model, seed=1)
    supernet.select({"width": 17})(torch.zeros(2, 6))
    count = len(supernet.weight_parameters())
    fresh.load_state_dict(supernet.state_dict())
    fresh.select({"width": 17})(torch.zeros(2, 6))
    assert len(fresh.weight_parameters()) == count
    assert torch.equal(fresh.extract({"width": 17})[1].gain, supernet.extract({"width": 17})[1].gain)


def test_decisions_that_are_not_always_made_part_weights_where_they_are() -> None:
    nested = aw.choice({"one": 1.0, "more": aw.ordinal(2.0, 3.0, name="more")}, name="scale")
    model = nn.Sequential(
        aw.lazy(Loaded)(scale=nested, frozen=False), aw.choice(nn.ReLU(), nn.Tanh()), nn.LazyLinear(2)
    )
    supernet = supernet_of(model)
    for architecture in supernet.space.enumerate():
        scale = architecture.get("more", 1.0)
        same(supernet.extract(architecture)[0], Loaded(scale=scale, frozen=False))
    held = len(supernet.bank.state_dict())
    for architecture in supernet.space.enumerate():  # a path looks where the network does
        supernet.select(architecture)(torch.zeros(2, 6))
    assert len(supernet.bank.state_dict()) == held
    check(made(model, VECTOR, "softmax"))


def test_loaded_weights_that_hang_on_what_is_inside_of_an_option_are_refused() -> None:
    wide = aw.ordinal(4, 8, name="width")
    part = nn.Sequential(nn.Linear(6, wide), nn.Linear(wide, 6))
    body = nn.Sequential(nn.Linear(6, 6), aw.choice({"plain": nn.Identity(), "wide": part}, name="inner"))
    with pytest.raises(RelaxationError, match=r"model: ramped.* loads weights that hang on width, .* settle width"):
        supernet_of(aw.lazy(ramped)(body))


@aw.template
def _loaded(channels: Any) -> Any:
    return nn.Sequential(aw.lazy(Loaded)(channels, frozen=False), nn.Linear(channels, 6))


def test_what_a_template_is_filled_with_parts_weights_too() -> None:
    widths = [aw.ordinal(4, 8, name=name) for name in ("one", "two")]
    model = nn.Sequential(*map(_loaded, widths), aw.choice(nn.ReLU(), nn.Tanh()))
    supernet = supernet_of(model)
    for architecture in supernet.space.enumerate():
        network = supernet.extract(architecture)
        for place, name in enumerate(("one", "two")):
            same(network[place][0], Loaded(architecture[name], frozen=False))
    check(made(model, VECTOR, "softmax"))
