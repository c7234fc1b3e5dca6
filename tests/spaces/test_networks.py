"""What each space leaves open, what its networks cost, and whether they learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from archwright import spaces
from archwright.space import Architecture, Space


def largest(space: Space) -> Architecture:
    """Return the architecture that takes the last value of every decision."""
    return space.canonical({name: list(decision.values())[-1] for name, decision in space.decisions.items()})


def multiply_adds(space: Space, architecture: Mapping[str, Any]) -> float:
    """Return the millions of multiply-adds for one sample."""
    with torch.device("meta"):
        model, sample = space.build(architecture).eval(), torch.zeros(1, *space.example_input[0].shape)
    with FlopCounterMode(display=False) as counter:
        model(sample)
    return counter.get_total_flops() / 2e6


def test_convnet_decides_what_a_block_is_only_where_there_is_one() -> None:
    space = spaces.create("convnet")
    for seed in range(20):
        architecture = space.sample(np.random.default_rng(seed))
        blocks = {name.partition(".")[0] for name in architecture if name.startswith("block_")}
        assert blocks == {f"block_{index}" for index in range(architecture["blocks"])}


def test_convnet_leaves_the_classic_decisions_open() -> None:
    values = {name: list(decision.values()) for name, decision in spaces.create("convnet").decisions.items()}
    assert values["blocks"] == [3, 4, 5, 6]
    assert values["block_2.kernel"] == [3, 5, 7]
    assert values["block_3.filters"] == [16, 24, 32, 48, 64, 96, 128, 192, 256]
    assert values["pooling"] == ["max", "average"]
    assert values["pooling.window"] == [2, 3]
    assert values["head"] == ["average", "flatten"]
    assert {"activation", "dense.width", "dropout", "initialisation"} <= values.keys()


@pytest.mark.parametrize("size", [4, 5, 8, 28, 32, 100])
@pytest.mark.parametrize("window", [2, 3])
def test_convnet_never_pools_an_image_away(size: int, window: int) -> None:
    space = spaces.create("convnet", input_shape=(1, size, size))
    architecture = space.canonical({**largest(space), "pooling.window": window})
    with torch.device("meta"):
        features = space.build(architecture)[0](torch.zeros(1, 1, size, size))
    assert 2 <= features.shape[-1] <= 4


@pytest.mark.parametrize(
    ("name", "shape", "most"),
    [("convnet", (1, 8, 8), 4), ("convnet", (1, 28, 28), 70), ("convnet", (3, 32, 32), 90), ("resnet", (1, 8, 8), 10)],
)
def test_the_most_expensive_network_can_still_be_afforded(name: str, shape: tuple[int, ...], most: float) -> None:
    space = spaces.create(name, input_shape=shape)
    assert most / 5 < multiply_adds(space, largest(space)) < most


def test_resnet_holds_a_compact_network() -> None:
    space = spaces.create("resnet", input_shape=(1, 28, 28))
    compact = space.canonical(
        {
            "stem.width": 32,
            "stages": 3,
            **{f"stage_{index}.width": 32 << index for index in range(3)},
            **{f"stage_{index}.blocks": blocks for index, blocks in enumerate((3, 3, 2))},
            **{f"stage_{index}.block": "basic" for index in range(3)},
            "kernel": 3,
            "activation": "relu",
            "dropout": 0.0,
        }
    )
    assert 33 < multiply_adds(space, compact) < 39


def test_resnet_bottlenecks_are_cheaper() -> None:
    space = spaces.create("resnet", stages=(1, 1))
    basic = {**largest(space), "stage_0.block": "basic"}
    assert multiply_adds(space, {**basic, "stage_0.block": "bottleneck"}) < 0.5 * multiply_adds(space, basic)


@pytest.mark.parametrize("scheme", ["kaiming_normal", "xavier_uniform", "orthogonal"])
def test_weights_begin_as_decided(scheme: str) -> None:
    space = spaces.create("mlp", widths=(256,), depth=(1, 1))
    decided = {**largest(space), "initialisation": scheme, "normalisation": "none"}
    torch.manual_seed(0)
    weight, *_ = (p for name, p in space.build(decided).named_parameters() if name.endswith("weight"))
    assert weight.shape == (256, 64)
    if scheme == "kaiming_normal":
        assert float(weight.detach().std()) == pytest.approx((2 / 64) ** 0.5, rel=0.05)
    elif scheme == "xavier_uniform":
        assert float(weight.detach().abs().max()) == pytest.approx((6 / (64 + 256)) ** 0.5, rel=0.01)
    else:
        assert torch.allclose(weight.T @ weight, torch.eye(64), atol=1e-5)


def test_biases_begin_at_zero_and_normalisation_is_left_alone() -> None:
    space = spaces.create("mlp", depth=(1, 1))
    model = space.build({**largest(space), "normalisation": "batch"})
    assert all(not p.any() for name, p in model.named_parameters() if name.endswith("bias"))
    (norm,) = (part for part in model.modules() if isinstance(part, torch.nn.BatchNorm1d))
    assert torch.equal(norm.weight, torch.ones_like(norm.weight))


@pytest.mark.parametrize(
    ("name", "options", "least"),
    [
        ("convnet", {"filters": (16, 24)}, 0.85),
        ("resnet", {"widths": (16,), "blocks": (1, 1), "stages": (2, 2)}, 0.85),
        ("convnext", {"widths": (24,), "blocks": (1, 1), "kernels": (5,), "expansions": (2,)}, 0.85),
        ("vit", {"widths": (48,), "layers": (2, 2)}, 0.7),
        ("mlp", {"widths": (32, 64)}, 0.7),
    ],
)
def test_random_networks_learn_digits_in_a_few_epochs(name: str, options: dict[str, Any], least: float) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    images, labels = datasets.load_digits(return_X_y=True)
    inputs = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 8 - 1
    targets = torch.tensor(labels)
    shuffled = torch.randperm(len(targets), generator=torch.Generator().manual_seed(0))
    train, held_out = shuffled[:800], shuffled[800:1200]
    space = spaces.create(name, input_shape=(1, 8, 8), classes=10, **options)
    accuracies = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = space.build(space.sample(np.random.default_rng(seed)))
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(4):
            for batch in train[torch.randperm(len(train))].split(50):
                optimizer.zero_grad()
                F.cross_entropy(model(inputs[batch]), targets[batch]).backward()
                optimizer.step()
        with torch.no_grad():
            right = model.eval()(inputs[held_out]).argmax(1) == targets[held_out]
        accuracies.append(float(right.float().mean()))
    assert min(accuracies) > least, accuracies
