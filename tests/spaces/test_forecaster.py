"""The networks of the space `forecaster`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archwright import spaces
from archwright.build import write_onnx
from archwright.errors import SpaceError
from archwright.space import Space
from archwright.spaces._forecast import CausalConvolution, Decomposition, Patches, Recent, ResidualBlock, Restored

FAMILIES = ("linear", "dlinear", "patchtst", "tsmixer", "tcn", "nbeats")


@pytest.fixture(scope="module")
def space() -> Space:
    return spaces.create("forecaster", input_shape=(48, 5), classes=2, horizon=12)


def of_family(space: Space, family: str, **decisions: Any) -> torch.nn.Module:
    """Return a network of a family, else of the first value of each decision."""
    first = {name: next(iter(decision.values())) for name, decision in space.decisions.items()}
    torch.manual_seed(0)
    return space.build(space.canonical({**first, "family": family, **decisions})).eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_sees_its_lookback_alone(space: Space, family: str) -> None:
    network = of_family(space, family, lookback=24, levels=6, kernel=7)
    x = torch.randn(3, 48, 5)
    y = network(x)
    assert y.shape == (3, 12, 2)
    other = x.clone()
    other[:, :24] += 1
    assert torch.equal(network(other), y)
    other[:, 24] += 1
    assert not torch.equal(network(other), y)


@pytest.mark.parametrize("family", FAMILIES)
def test_columns_are_independent_in_all_but_the_mixer(space: Space, family: str) -> None:
    network = of_family(space, family)
    x = torch.randn(3, 48, 5)
    other = x.clone()
    other[:, :, 1:] += torch.randn(4)
    same = torch.allclose(network(other)[:, :, 0], network(x)[:, :, 0], atol=1e-5)
    assert same == (family != "tsmixer")
    swapped = network(x[:, :, [1, 0, 2, 3, 4]])
    assert torch.allclose(swapped, network(x)[:, :, [1, 0]], atol=1e-5) == (family != "tsmixer")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("normalisation", ["last", "instance"])
def test_a_normalised_network_follows_shifts(space: Space, family: str, normalisation: str) -> None:
    network = of_family(space, family, normalisation=normalisation)
    x = torch.randn(3, 48, 5)
    shift = torch.tensor([100.0, -7.0, 3.0, 0.0, 1.0])
    assert torch.allclose(network(x + shift), network(x) + shift[:2], atol=1e-3)
    if normalisation == "instance":
        assert torch.allclose(network(x * 8), network(x) * 8, atol=1e-2)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_batches_do_not_matter(space: Space, family: str, batch: int) -> None:
    network = of_family(space, family)
    x = torch.randn(batch, 48, 5)
    alone = torch.cat([network(each[None]) for each in x])
    assert torch.allclose(network(x), alone, atol=1e-5)


def test_the_linear_family_is_one_linear_map(space: Space) -> None:
    network = of_family(space, "linear", normalisation="none", lookback=48)
    (weight, bias) = network.parameters()
    x = torch.randn(2, 48, 5)
    assert torch.allclose(network(x), torch.einsum("hl,nlc->nhc", weight, x[..., :2]) + bias[:, None], atol=1e-5)


def test_the_parts_of_a_decomposition_add_up() -> None:
    layer = Decomposition(20, 20, 5)
    with torch.no_grad():
        for part in (layer.trend, layer.rest):
            part.weight.copy_(torch.eye(20))
            part.bias.zero_()
    x = torch.randn(2, 3, 20)
    assert torch.allclose(layer(x), x, atol=1e-6)
    with torch.no_grad():
        layer.rest.weight.zero_()
    means = x.unfold(2, 5, 1).mean(3)
    assert torch.allclose(layer(x)[:, :, 2:-2], means, atol=1e-6)


def test_patches_are_pieces_that_overlap_by_half() -> None:
    layer = Patches(24, 8, 8)
    with torch.no_grad():
        layer.embedding.weight.copy_(torch.eye(8))
        layer.embedding.bias.zero_()
        layer.position.zero_()
    x = torch.arange(24.0).expand(2, 3, 24)
    tokens = layer(x)
    assert tokens.shape == (2, 3, 6, 8)
    assert tokens[0, 0, 1].tolist() == list(range(4, 12))
    assert tokens[0, 0, -1].tolist() == [20.0, 21.0, 22.0, *[23.0] * 5]


def test_a_stack_forecasts_from_what_is_left() -> None:
    blocks = [ResidualBlock(6, 2, 1, 8) for _ in range(2)]
    x = torch.randn(1, 1, 6)
    explained, first = blocks[0].layers(x).split((6, 2), 2)
    more, second = blocks[1].layers(x - explained).split((6, 2), 2)
    state = blocks[1](blocks[0](torch.cat([x, torch.zeros(1, 1, 2)], 2)))
    assert torch.allclose(state, torch.cat([x - explained - more, first + second], 2))


def test_causal_convolutions_look_back_alone() -> None:
    layer = CausalConvolution(2, 3, 4)
    x = torch.zeros(1, 2, 1, 20)
    x[..., 7] = 1
    changed = (layer(x) - layer(torch.zeros_like(x))).abs().amax((0, 1, 2)) > 0
    assert changed.nonzero().flatten().tolist() == [7, 11, 15]


def test_instance_normalisation_gives_the_network_standardised_series() -> None:
    x = torch.randn(4, 30, 2) * 7 + 3
    seen = Recent(30, 2, "instance")(x)
    assert torch.allclose(seen.mean(2), torch.zeros(4, 2), atol=1e-5)
    assert torch.allclose(seen.std(2, unbiased=False), torch.ones(4, 2), atol=1e-3)
    assert torch.allclose(Restored(30, 2, "instance")(seen, x), x, atol=1e-4)


@pytest.mark.parametrize("family", ["patchtst", "tcn", "nbeats"])
def test_networks_are_written_as_onnx(space: Space, family: str, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    network = of_family(space, family, normalisation="instance", lookback=48)
    write_onnx(network, space.example_input, tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    x = torch.randn(3, 48, 5)
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, network(x).numpy(), atol=1e-4)


def test_known_designs_come_first(space: Space) -> None:
    families = [each["family"] for each in spaces.starts(space)]
    assert families == ["linear", "linear", "linear", "patchtst"]


@pytest.mark.parametrize(("shape", "horizon"), [((1, 1), 1), ((5, 1), 5), ((7, 2), 1), ((96, 1), 96), ((30, 3), 100)])
def test_short_series_are_served(shape: tuple[int, int], horizon: int) -> None:
    space = spaces.create("forecaster", input_shape=shape, classes=1, horizon=horizon)
    for seed in range(6):
        network = space.build(space.sample(np.random.default_rng(seed))).eval()
        assert network(torch.zeros(2, *shape)).shape == (2, horizon, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 9}, "classes=9"),
        ({"horizon": 0}, "horizon is 1 or more"),
        ({"lookbacks": (10, 1000)}, "lookbacks are 1 to 480"),
        ({"input_shape": (10,)}, "rank 2"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        spaces.create("forecaster", **options)
