"""What is counted, against counts made by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import save
from tests.evaluate.stubs import OneSpace
from torch import nn as plain
from torch.utils.flop_counter import register_flop_formula

import archwright as aw
from archwright import nn, spaces
from archwright.build import drawn_for
from archwright.cost import COUNTED, Counted, counting, measures
from archwright.cost._flops import _by_rules
from archwright.cost._network import fresh
from archwright.errors import CostError, UnknownName
from archwright.space import TensorSpec

LENGTH, WIDTH, HEADS = 6, 8, 2
WIDE = aw.Architecture({"w": 3})


class Recurrent(plain.Module):
    def __init__(self, kind, layers=1, bidirectional=False):
        super().__init__()
        self.layer = getattr(plain, kind)(5, 7, layers, batch_first=True, bidirectional=bidirectional)

    def forward(self, x):
        return self.layer(x)[0]


class Attention(plain.Module):
    def __init__(self):
        super().__init__()
        self.layer = plain.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, x):
        return self.layer(x, x, x, need_weights=False)[0]


class Scaled(plain.Module):
    def forward(self, x):
        return plain.functional.scaled_dot_product_attention(x, x, x)


ATTENTION = 4 * LENGTH * WIDTH * WIDTH + 2 * LENGTH * LENGTH * WIDTH  # projections, and products of queries and values
NETWORKS = {
    "convolution": (lambda: plain.Conv2d(3, 4, 3, padding=1), (3, 8, 8), 8 * 8 * 4 * 3 * 9, 4 * 3 * 9 + 4),
    "strided": (lambda: plain.Conv2d(3, 4, 3, stride=2, padding=1), (3, 8, 8), 4 * 4 * 4 * 3 * 9, 4 * 3 * 9 + 4),
    "depthwise": (lambda: plain.Conv2d(6, 6, 3, padding=1, groups=6), (6, 8, 8), 8 * 8 * 6 * 9, 6 * 9 + 6),
    "transposed": (lambda: plain.ConvTranspose2d(3, 4, 2, stride=2), (3, 8, 8), 8 * 8 * 3 * 4 * 4, 3 * 4 * 4 + 4),
    "linear": (lambda: plain.Linear(5, 7), (5,), 5 * 7, 5 * 7 + 7),
    "normalised": (lambda: plain.Sequential(plain.Conv2d(3, 4, 1), plain.BatchNorm2d(4)), (3, 8, 8), 768, 24),
    "gru": (lambda: Recurrent("GRU"), (LENGTH, 5), LENGTH * 3 * 7 * (5 + 7), 3 * 7 * (5 + 7 + 2)),
    "lstm": (lambda: Recurrent("LSTM"), (LENGTH, 5), LENGTH * 4 * 7 * (5 + 7), 4 * 7 * (5 + 7 + 2)),
    "lstm, two ways": (lambda: Recurrent("LSTM", 1, True), (LENGTH, 5), 2 * LENGTH * 4 * 7 * (5 + 7), 2 * 4 * 7 * 14),
    "attention": (Attention, (LENGTH, WIDTH), ATTENTION, 4 * WIDTH * WIDTH + 4 * WIDTH),
    "scaled dot product": (Scaled, (HEADS, LENGTH, 4), 2 * HEADS * LENGTH * LENGTH * 4, 0),
    "bilinear": (lambda: Twice(plain.Bilinear(5, 5, 7)), (5,), 7 * 5 * 5, 7 * 5 * 5 + 7),
}  # fmt: skip


class Twice(plain.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x, x)


class Calls(plain.Module):
    """Calls a function with a sample, and a weight of ones."""

    def __init__(self, function, *shape):
        super().__init__()
        self.function = function
        self.register_buffer("weight", torch.ones(shape))

    def forward(self, x):
        return self.function(x, self.weight)


def zeros(like, *shape):
    return torch.zeros(shape, device=like.device)


PRODUCTS = {  # a batch of one 4 x 5, and what it is multiplied with
    "matrix by matrix": (lambda x, w: x[0] @ w, (5, 3), 4 * 5 * 3),
    "matrix by vector": (lambda x, w: x[0] @ w, (5,), 4 * 5),
    "vector by matrix": (lambda x, w: x[0, 0] @ w, (5, 3), 5 * 3),
    "vector by vector": (lambda x, w: x[0, 0] @ w, (5,), 5),
    "batch by matrix": (lambda x, w: x @ w, (5, 3), 4 * 5 * 3),
    "batch by vector": (lambda x, w: x @ w, (5,), 4 * 5),
    "batch by batch": (lambda x, w: x @ w, (2, 5, 3), 2 * 4 * 5 * 3),
    "dot": (lambda x, w: torch.dot(x[0, 0], w), (5,), 5),
    "vdot": (lambda x, w: torch.vdot(x[0, 0], w), (5,), 5),
    "inner": (lambda x, w: torch.inner(x, w), (3, 5), 4 * 5 * 3),
    "tensordot": (lambda x, w: torch.tensordot(x, w, dims=2), (4, 5, 3), 4 * 5 * 3),
    "chain": (lambda x, w: torch.linalg.multi_dot([x[0], w, x[0, 0]]), (5, 5), 5 * 5 + 4 * 5),
    "einsum of two": (lambda x, w: torch.einsum("bij,jk->bik", x, w), (5, 3), 4 * 5 * 3),
    "einsum to a number": (lambda x, w: torch.einsum("bij,j->", x, w), (5,), 5),  # the sum over i comes first
    "mv": (lambda x, w: torch.mv(x[0], w), (5,), 4 * 5),
    "addmv": (lambda x, w: torch.addmv(zeros(x, 4), x[0], w), (5,), 4 * 5),
    "addmv in place": (lambda x, w: zeros(x, 4).addmv_(x[0], w), (5,), 4 * 5),
    "addmm": (lambda x, w: torch.addmm(zeros(x, 4, 3), x[0], w), (5, 3), 4 * 5 * 3),
    "addmm in place": (lambda x, w: zeros(x, 4, 3).addmm_(x[0], w), (5, 3), 4 * 5 * 3),
    "addbmm": (lambda x, w: torch.addbmm(zeros(x, 4, 3), x, w), (1, 5, 3), 4 * 5 * 3),
    "addbmm in place": (lambda x, w: zeros(x, 4, 3).addbmm_(x, w), (1, 5, 3), 4 * 5 * 3),
    "baddbmm": (lambda x, w: torch.baddbmm(zeros(x, 1, 4, 3), x, w), (1, 5, 3), 4 * 5 * 3),
    "baddbmm in place": (lambda x, w: zeros(x, 1, 4, 3).baddbmm_(x, w), (1, 5, 3), 4 * 5 * 3),
    "addr": (lambda x, w: torch.addr(zeros(x, 5, 3), x[0, 0], w), (3,), 5 * 3),
    "cdist": (lambda x, w: torch.cdist(x, w), (1, 3, 5), 4 * 3 * 5),
    "cdist by city blocks": (lambda x, w: torch.cdist(x, w, p=1.0), (1, 3, 5), 0),
    "conv_tbc": (lambda x, w: torch.conv_tbc(x.transpose(0, 1), w, zeros(x, 3)), (2, 5, 3), (4 - 1) * 2 * 5 * 3),
    "element by element": (lambda x, w: (x * w).sum(), (5,), 0),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_whatever_they_are_called_with(name):
    function, shape, products = PRODUCTS[name]
    assert counted(lambda: Calls(function, *shape), (4, 5), ("flops",)) == {"flops": 2 * products}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_cpu_counts_as_the_meta_device_does(name):
    class OnCpu(plain.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, x):
            x.flatten()[0].item()  # no value on the meta device
            return self.network(x)

    network, shape, *_ = NETWORKS[name]
    found = counted(lambda: OnCpu(network()), shape, batch_size=2)
    wanted = counted(network, shape, batch_size=2)
    if name not in ("gru", "lstm", "lstm, two ways"):  # of which the devices keep other parts
        assert found == pytest.approx(wanted, rel=0.05)  # what is taken to ask for the value
    assert all(found[each] == wanted[each] for each in ("parameters", "trainable_parameters", "flops", "size_mb"))


def counted(network, shape, metrics=COUNTED, dtype="float32", **options):
    return Counted(metrics, **options).of(OneSpace(network), None, TensorSpec(shape, dtype))


@pytest.mark.parametrize("name", NETWORKS)
def test_operations_and_parameters_are_those_worked_out_by_hand(name):
    network, shape, products, parameters = NETWORKS[name]
    found = counted(network, shape, ("parameters", "flops"))
    assert found == {"parameters": parameters, "flops": 2 * products}


WITHOUT_RULES = {"convnext", "einspace", "mcunet", "tabular", "vit"}  # permuted sums, einsum, resizing, attention


@pytest.mark.parametrize("name", sorted({*spaces.suiting(1), *spaces.suiting(3)} - WITHOUT_RULES))
def test_what_rules_count_is_what_the_counter_of_torch_counts(name):
    space = spaces.create(name)
    inputs = drawn_for(space.example_input, size=1, device="meta")
    network = fresh(space, space.sample(np.random.default_rng(len(name))), space.example_input, "meta")
    with counting() as counter, torch.no_grad():
        network(*inputs)
    assert _by_rules(network, inputs) == counter.get_total_flops()


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (lambda: plain.LSTM(5, 7), (LENGTH, 5)),
        (lambda: plain.MultiheadAttention(WIDTH, HEADS, batch_first=True), (LENGTH, WIDTH)),
        (lambda: plain.Sequential(plain.Linear(5, 5), Scaled()), (LENGTH, 5)),
        (lambda: plain.Sequential(plain.Linear(5, 4), plain.Linear(5, 4)), (5,)),
    ],
)
def test_rules_count_nothing_where_a_layer_or_a_function_is_unknown_or_fails(network, shape):
    with torch.device("meta"):
        assert _by_rules(network().eval(), [torch.zeros(1, *shape)]) is None
    assert _by_rules(plain.Linear(5, 4), [torch.zeros(1, 5)]) is None  # on the CPU it runs


def test_an_embedding_looks_up_and_multiplies_nothing():
    network = lambda: plain.Sequential(plain.Embedding(11, 6), plain.Linear(6, 2))  # noqa: E731
    found = counted(network, (LENGTH,), ("parameters", "flops"), dtype="int64")
    assert found == {"parameters": 11 * 6 + 6 * 2 + 2, "flops": 2 * LENGTH * 6 * 2}


def test_counting_neither_draws_nor_takes_memory():
    state = torch.get_rng_state()
    wide = counted(lambda: plain.Linear(200_000, 200_000), (200_000,))
    assert wide["size_mb"] == pytest.approx((200_000 * 200_000 + 200_000) * 4 / 1e6)  # 160 GB
    assert torch.equal(torch.get_rng_state(), state)


def test_size_is_that_of_the_file_but_for_its_header():
    network = lambda: plain.Sequential(plain.Conv2d(3, 40, 3), plain.BatchNorm2d(40), plain.Linear(8, 60))  # noqa: E731
    file = save(dict(network().state_dict()))
    header = 8 + int.from_bytes(file[:8], "little")
    found = Counted(("size_mb",)).of(OneSpace(network), None, TensorSpec((3, 10, 8)))
    assert found["size_mb"] * 1e6 == pytest.approx(len(file) - header)


def test_the_memory_of_a_pass_is_what_is_alive_at_one_time():
    network = lambda: plain.Sequential(plain.Linear(4, 8), plain.ReLU(), plain.Linear(8, 2))  # noqa: E731
    # While the activation runs: the input (the caller's), what goes into it and what comes out.
    found = counted(network, (4,), ("activation_mb",))
    assert found["activation_mb"] * 1e6 == pytest.approx(4 * (4 + 8 + 8))
    batch = counted(network, (4,), ("activation_mb",), batch_size=16)
    assert batch["activation_mb"] == pytest.approx(16 * found["activation_mb"])


def test_in_place_activations_and_branches_that_end_take_no_more():
    def network(inplace):
        return lambda: plain.Sequential(plain.Linear(4, 1000), plain.ReLU(inplace), plain.Linear(1000, 2))

    fresh, inplace = (counted(network(each), (4,), ("activation_mb",))["activation_mb"] * 1e6 for each in (False, True))
    assert fresh == pytest.approx(4 * (4 + 1000 + 1000))
    assert inplace == pytest.approx(4 * (4 + 1000 + 2))


def test_training_holds_weights_four_times_and_what_the_way_back_needs():
    network = lambda: plain.Linear(50, 60)  # noqa: E731
    weights = 4 * (50 * 60 + 60)
    found = counted(network, (50,), ("training_mb",))["training_mb"] * 1e6
    assert 4 * weights <= found <= 4 * weights + 4 * (50 + 3 * 60) + 4 * 60
    deep = lambda: plain.Sequential(*(layer for _ in range(20) for layer in (plain.Linear(64, 64), plain.ReLU())))  # noqa: E731
    passing = counted(deep, (64,), ("activation_mb",), batch_size=512)["activation_mb"]
    training = counted(deep, (64,), ("training_mb",), batch_size=512)["training_mb"]
    assert passing * 1e6 == pytest.approx(3 * 4 * 512 * 64)  # the input, and what goes into a layer and comes out
    assert training * 1e6 > 20 * 4 * 512 * 64  # each activation waits for its gradient


class Ramp(plain.Module):
    def __init__(self):
        super().__init__()
        widths = [int(width.item()) for width in torch.linspace(4, 8, 3)]
        self.layers = plain.Sequential(*(plain.Linear(a, b) for a, b in pairwise(widths)))

    def forward(self, x):
        return self.layers(x)


class Picks(plain.Module):
    def forward(self, x):
        return x[:, x[0].abs().nonzero().flatten()] @ torch.ones(4, 2)


def test_networks_that_the_meta_device_does_not_serve():
    state = torch.get_rng_state()
    assert counted(Ramp, (4,), ("parameters", "flops")) == {"parameters": 4 * 6 + 6 + 6 * 8 + 8, "flops": 2 * (24 + 48)}
    assert counted(Picks, (4,), ("flops",)) == {"flops": 2 * 4 * 2}
    assert torch.equal(torch.get_rng_state(), state)


def test_what_does_not_run_is_an_error_that_names_the_layer():
    class Broken(plain.Module):
        def forward(self, x):
            raise ValueError("out of order")

    network = lambda: plain.Sequential(plain.Linear(4, 4), plain.Sequential(plain.ReLU(), Broken()))  # noqa: E731
    for metric in ("flops", "activation_mb", "training_mb"):
        with pytest.raises(CostError, match=r"cannot be counted: 1\.1 \(Broken\): out of order"):
            counted(network, (4,), (metric,))
    assert counted(network, (4,), ("parameters",)) == {"parameters": 20}


def test_an_operation_that_nobody_knows_is_an_error_until_it_is_told():
    @torch.library.custom_op("archwright_tests::scaled", mutates_args=())
    def scaled(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return x @ w

    scaled.register_fake(lambda x, w: x @ w)
    network = lambda: plain.Sequential(Calls(scaled, 5, 3))  # noqa: E731
    with pytest.raises(CostError, match=r"0 \(Calls\): nobody knows how many multiply-adds archwright_tests.scaled"):
        counted(network, (4, 5), ("flops",))

    @register_flop_formula(torch.ops.archwright_tests.scaled)
    def of_scaled(x, w, **options):
        return 2 * x[1] * x[2] * w[1]

    assert counted(network, (4, 5), ("flops",)) == {"flops": 2 * 4 * 5 * 3}


def test_what_learns_and_what_is_frozen():
    def network(frozen):
        model = plain.Sequential(plain.Linear(50, 60), plain.Linear(60, 2))
        return model[0].requires_grad_(not frozen) and model

    first, last = 50 * 60 + 60, 60 * 2 + 2
    names = ("parameters", "trainable_parameters", "training_mb")
    every, some = (counted(lambda frozen=frozen: network(frozen), (50,), names) for frozen in (False, True))
    assert (every["parameters"], every["trainable_parameters"]) == (first + last, first + last)
    assert (some["parameters"], some["trainable_parameters"]) == (first + last, last)
    assert (every["training_mb"] - some["training_mb"]) * 1e6 == pytest.approx(3 * 4 * first, rel=0.05)


@pytest.mark.parametrize("network", [plain.ReLU, lambda: plain.Linear(50, 60).requires_grad_(False)])
def test_networks_of_which_nothing_learns(network):
    found = counted(network, (50,))
    assert found["trainable_parameters"] == 0
    assert found["training_mb"] == pytest.approx(found["activation_mb"] + found["size_mb"])


def test_the_memory_of_training_is_told_where_a_single_sample_cannot_be_normalised():
    network = lambda: plain.Sequential(plain.Linear(4, 1000), plain.BatchNorm1d(1000))  # noqa: E731
    one, two, three = (counted(network, (4,), ("training_mb",), batch_size=size)["training_mb"] for size in (1, 2, 3))
    assert three - two == pytest.approx(two - one)


def test_parameters_need_no_input_unless_layers_are_lazy():
    fixed = aw.Space(model=nn.Linear(2, aw.choice(1, 3, name="w")))
    assert Counted(("parameters",)).of(fixed, WIDE) == {"parameters": 9}
    lazy = aw.Space(model=nn.LazyLinear(aw.choice(1, 3, name="w")))
    with pytest.raises(CostError, match="example_input"):
        Counted(("parameters",)).of(lazy, WIDE)


def test_a_space_is_counted_by_its_own_input_or_the_one_given():
    space = aw.Space(model=nn.Sequential(nn.Flatten(), nn.LazyLinear(aw.choice(3, 5))), example_input=(2, 4))
    architecture = space.canonical(dict.fromkeys(space.decisions, 3))
    assert measures(space, architecture) == (8 * 3 + 3, 2 * 8 * 3)
    assert Counted().of(space, architecture) == {"parameters": 27, "flops": 48}
    assert Counted().of(space, architecture, TensorSpec((2, 8))) == {"parameters": 51, "flops": 96}


def test_bad_use():
    with pytest.raises(UnknownName, match="parameters"):
        Counted(("parameter",))
    with pytest.raises(CostError, match="batch_size"):
        Counted(batch_size=0)
    with pytest.raises(CostError, match="example_input"):
        Counted().of(aw.Space(model=nn.Linear(2, aw.choice(1, 2))), aw.Architecture({"model.args.1": 1}))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: aw.cost.Counted(batch_size=0), "Counted: batch_size must be an integer of 1 or more, not 0"),
        (lambda: aw.cost.Energy(seconds="long"), "Energy: seconds must be a number above 0, not 'long'"),
        (lambda: aw.cost.Target(threads=1.5), "Target: threads must be an integer of 1 or more, not 1.5"),
    ],
)
def test_settings_are_checked_at_once(make, message):
    with pytest.raises(CostError, match=message):
        make()
