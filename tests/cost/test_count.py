"""What is counted, against counts made by hand."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save
from tests.evaluate.stubs import OneSpace
from torch import nn as plain

import archwright as aw
from archwright import nn
from archwright.cost import COUNTED, Counted, measures
from archwright.errors import CostError, UnknownName
from archwright.space import TensorSpec

LENGTH, WIDTH, HEADS = 6, 8, 2


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
}  # fmt: skip


def counted(network, shape, metrics=COUNTED, dtype="float32", **options):
    return Counted(metrics, **options).of(OneSpace(network), None, TensorSpec(shape, dtype))


@pytest.mark.parametrize("name", NETWORKS)
def test_operations_and_parameters_are_those_worked_out_by_hand(name):
    network, shape, products, parameters = NETWORKS[name]
    found = counted(network, shape, ("parameters", "flops"))
    assert found == {"parameters": parameters, "flops": 2 * products}


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
