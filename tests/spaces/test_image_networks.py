"""The networks of mobile, convnext and vit: their published numbers of parameters, and what follows from the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archwright import spaces
from archwright.build import write_onnx
from archwright.errors import SpaceError
from archwright.space import Space
from archwright.spaces._vision import PatchTokens


def parameters(space: Space, decided: dict[str, Any]) -> int:
    with torch.device("meta"):
        return sum(each.numel() for each in space.build(space.canonical(decided)).parameters())


def values(space: Space) -> dict[str, list[Any]]:
    return {name: list(decision.values()) for name, decision in space.decisions.items()}


# ---------------------------------------------------------------------- mobile

Row = tuple[int, int, int, bool]  # kernel, channels inside, channels that go out, whether channels are weighed

LARGE: list[Row] = [  # MobileNetV3-Large, table 1 of the paper
    (3, 16, 16, False),
    (3, 64, 24, False),
    (3, 72, 24, False),
    (5, 72, 40, True),
    (5, 120, 40, True),
    (5, 120, 40, True),
    (3, 240, 80, False),
    (3, 200, 80, False),
    (3, 184, 80, False),
    (3, 184, 80, False),
    (3, 480, 112, True),
    (3, 672, 112, True),
    (5, 672, 160, True),
    (5, 960, 160, True),
    (5, 960, 160, True),
]


def counted(rows: Sequence[Row], channels: int, classes: int) -> int:
    """Return the number of parameters of a MobileNetV3 with a stem of 16 channels."""
    total, before = channels * 9 * 16 + 32, 16
    for kernel, inner, after, excited in rows:
        if inner != before:
            total += before * inner + 2 * inner
        total += inner * kernel**2 + 2 * inner
        if excited:
            rounded = max(8, int(inner / 4 + 4) // 8 * 8)
            rounded += 8 * (rounded < 0.9 * inner / 4)
            total += 2 * inner * rounded + rounded + inner
        total += inner * after + 2 * after
        before = after
    return total + before * 960 + 2 * 960 + 960 * 1280 + 1280 + 1280 * classes + classes


def test_the_referee_counts_the_published_network() -> None:
    assert counted(LARGE, 3, 1000) == 5_483_032  # of torchvision


def test_mobile_networks_have_the_parameters_of_the_formula() -> None:
    space = spaces.create("mobile", widths=(16,))
    outputs = (24, 40, 80, 112, 160)
    for seed in range(8):
        found = space.sample(np.random.default_rng(seed))
        rows, before = [LARGE[0]], 16
        for stage, after in enumerate(outputs):
            for block in range(found[f"stage_{stage}.blocks"]):
                own = f"stage_{stage}.block_{block}"
                inner = before * found[f"{own}.expansion"]
                rows.append((found[f"{own}.kernel"], inner, after, found[f"stage_{stage}.squeeze"] == "excite"))
                before = after
        assert parameters(space, dict(found)) == counted(rows, 3, 1000)


def test_mobile_holds_the_networks_of_once_for_all() -> None:
    """5 stages of 2 to 4 blocks, each of 3 kernels and 3 expansions; besides, what they have in common."""
    space = spaces.create("mobile", input_shape=(1, 28, 28))
    assert space.size == (9**2 + 9**3 + 9**4) ** 5 * 4**5 * 4 * 4


@pytest.mark.parametrize(("size", "left"), [(4, 4), (28, 4), (96, 3), (224, 7)])
def test_mobile_leaves_a_few_pixels(size: int, left: int) -> None:
    space = spaces.create("mobile", input_shape=(1, size, size), blocks=(1, 1), kernels=(3,), expansions=(3,))
    with torch.device("meta"):
        features = space.build(spaces.starts(space)[0])[:7](torch.zeros(1, 1, size, size))
    assert features.shape[2:] == (left, left)


# ---------------------------------------------------------------------- convnext


def test_convnext_holds_the_published_networks() -> None:
    space = spaces.create("convnext", widths=(40, 96), blocks=(2, 3), kernels=(7,), expansions=(4,))
    for place, blocks, expected in ((1, (3, 3, 9, 3), 28_589_128), (0, (2, 2, 6, 2), 3_695_520)):
        widths = {name: each[place] for name, each in values(space).items() if name.endswith("width")}
        depths = {f"stage_{stage}.blocks": count for stage, count in enumerate(blocks)}
        fixed = {
            f"stage_{stage}.{kind}": each for stage in range(4) for kind, each in (("kernel", 7), ("expansion", 4))
        }
        assert parameters(space, {**widths, **depths, **fixed, "dropout": 0.0}) == expected


def test_a_block_of_convnext_is_as_published() -> None:
    """Beside the formula of the paper, written with functions on (n, channels, height, width)."""
    space = spaces.create("convnext", input_shape=(4, 8, 8), widths=(4,), blocks=(1, 1), expansions=(3,), patches=(4,))
    torch.manual_seed(0)
    stem, norm, stage, *_ = space.build(spaces.starts(space)[0])
    branch = stage[0].branch
    depthwise, _, inner_norm, widen, _, narrow, scale, _ = branch
    with torch.no_grad():
        scale.weight.copy_(torch.linspace(0.5, 2, 4))
        x = norm(stem(torch.randn(2, 4, 8, 8)))
        y = depthwise(x)
        centred = y - y.mean(1, keepdim=True)
        y = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
        y = y * inner_norm.weight.view(-1, 1, 1) + inner_norm.bias.view(-1, 1, 1)
        y = torch.einsum("oc,nchw->nohw", widen.weight, y) + widen.bias.view(-1, 1, 1)
        y = y * 0.5 * (1 + torch.erf(y / math.sqrt(2)))
        y = torch.einsum("oc,nchw->nohw", narrow.weight, y) + narrow.bias.view(-1, 1, 1)
        assert torch.allclose(stage(x), x + y * scale.weight.view(-1, 1, 1), atol=1e-5)


@pytest.mark.parametrize(("size", "patches", "stages"), [(8, [1], 3), (28, [2, 4], 3), (32, [2, 4], 3), (224, [4], 4)])
def test_convnext_follows_the_size_of_the_image(size: int, patches: list[int], stages: int) -> None:
    space = spaces.create("convnext", input_shape=(3, size, size))
    assert values(space).get("patch", patches) == patches
    assert sum(name.endswith(".width") for name in space.decisions) == stages


# ---------------------------------------------------------------------- vit


def test_vit_holds_the_published_network() -> None:
    space = spaces.create(
        "vit", widths=(192,), layers=(12, 12), heads=(3,), head_size=64, expansions=(4,), patches=(16,)
    )
    shared = {name: each[0] for name, each in values(space).items()}
    assert parameters(space, {**shared, "pooling": "token"}) == 5_717_416  # ViT-Tiny, DeiT-Tiny
    assert parameters(space, {**shared, "pooling": "mean"}) == 5_717_416 - 2 * 192  # no class token, nor its position


def test_positions_follow_the_resolution() -> None:
    """Those of a slope stay those of the slope, but for the border."""
    for pooling in ("token", "mean"):
        tokens = PatchTokens(3, 4, 4, pooling)
        ahead = int(pooling == "token")
        with torch.no_grad():
            rows = torch.arange(4.0).repeat_interleave(4)[:, None].expand(-1, 3)
            tokens.positions.weight[ahead:] = rows
            assert torch.equal(tokens(torch.zeros(2, 3, 4, 4))[1, ahead:], rows)
            found = tokens(torch.zeros(2, 3, 2, 2))[1, ahead:, 0]
        assert found.tolist() == [0.5, 0.5, 2.5, 2.5]


def test_a_layer_of_vit_is_that_of_torch() -> None:
    space = spaces.create(
        "vit", input_shape=(3, 8, 8), widths=(12,), layers=(1, 1), heads=(3,), head_size=4, expansions=(2,)
    )
    torch.manual_seed(0)
    layer = space.build(spaces.starts(space)[0])[2][0].eval()
    referee = torch.nn.TransformerEncoderLayer(
        12, 3, 24, 0.0, "gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    ).eval()
    norm, attention, _ = layer.attention
    second, widen, _, narrow, _ = layer.feed_forward
    taken = [attention.query, attention.key, attention.value]
    with torch.no_grad():
        referee.self_attn.in_proj_weight.copy_(torch.cat([each.weight for each in taken]))
        referee.self_attn.in_proj_bias.copy_(torch.cat([each.bias for each in taken]))
        referee.self_attn.out_proj.load_state_dict(attention.given.state_dict())
        for ours, theirs in ((norm, "norm1"), (second, "norm2"), (widen, "linear1"), (narrow, "linear2")):
            getattr(referee, theirs).load_state_dict(ours.state_dict())
        x = torch.randn(2, 5, 12)
        assert torch.allclose(layer(x), referee(x), atol=1e-5)


def test_the_size_of_every_decision_of_vit_shows_in_the_parameters() -> None:
    space = spaces.create("vit", input_shape=(1, 28, 28))
    start = dict(spaces.starts(space)[0])
    for name in ("width", "pooling", "layers", "layer_0.heads", "layer_0.expansion"):
        others = [each for each in values(space)[name] if each != start[name]]
        low = {key: each[0] for key, each in values(space).items()}
        assert all(parameters(space, {**low, **start, name: each}) != parameters(space, start) for each in others), name


@pytest.mark.parametrize(
    ("size", "patches"), [(16, ["2", "4"]), (28, ["4", "7"]), (32, ["4", "8"]), (224, ["14", "16", "32"])]
)
def test_vit_cuts_small_images_finely(size: int, patches: list[str]) -> None:
    assert values(spaces.create("vit", input_shape=(3, size, size), layers=(1, 1)))["patch"] == patches


# ---------------------------------------------------------------------- all


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("mobile", {"widths": (7,)}, r"widths are even.*\(7,\)"),
        ("mobile", {"kernels": (4,)}, r"kernels are odd.*\(4,\)"),
        ("mobile", {"blocks": (3, 2)}, r"blocks=\(3, 2\)"),
        ("mobile", {"expansions": ()}, r"expansions are 1 or more; \(\)"),
        ("mcunet", {"widths": (6,)}, r"multiples of 4; \(6,\)"),
        ("mcunet", {"resolutions": (300,)}, r"resolutions are from 1 to 160, .*; \(300,\)"),
        ("convnext", {"widths": ()}, r"widths=\(\)"),
        ("convnext", {"kernels": (6,)}, r"kernels are odd.*\(6,\)"),
        ("convnext", {"blocks": (0, 2)}, r"blocks=\(0, 2\)"),
        ("convnext", {"patches": (300,)}, r"patches of \(300,\) pixels do not fit 224x224"),
        ("vit", {"layers": (0, 2)}, r"layers=\(0, 2\)"),
        ("vit", {"heads": (0,)}, r"heads are 1 or more; \(0,\)"),
        ("vit", {"patches": (225,)}, r"patches of \(225,\) pixels do not fit"),
    ],
)
def test_bad_options_are_named(name: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(SpaceError, match=told):
        spaces.create(name, **options)


@pytest.mark.parametrize("name", ["mcunet", "mobile", "convnext", "vit"])
def test_starts_are_known_designs_of_several_sizes(name: str) -> None:
    space = spaces.create(name, input_shape=(1, 28, 28), classes=10)
    found = spaces.starts(space)
    assert len({parameters(space, dict(each)) for each in found}) == len(found) >= 3


SMALL: dict[str, dict[str, Any]] = {
    "mcunet": {"widths": (4,), "blocks": (1, 1), "kernels": (3, 5)},
    "mobile": {"widths": (4,), "blocks": (1, 1), "kernels": (3, 5)},
    "convnext": {"widths": (8,), "blocks": (1, 1)},
    "vit": {"widths": (16,), "layers": (1, 1), "head_size": 8},
}


@pytest.mark.parametrize("name", SMALL)
def test_networks_run_in_half_the_resolution(name: str) -> None:
    space = spaces.create(name, input_shape=(3, 28, 36), classes=5, **SMALL[name])
    for architecture in spaces.starts(space):
        assert space.build(architecture)(torch.zeros(2, 3, 14, 18)).shape == (2, 5)


@pytest.mark.parametrize("name", SMALL)
def test_networks_become_onnx_files_for_batches_of_any_size(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    space = spaces.create(name, input_shape=(1, 16, 16), classes=3, **SMALL[name])
    decided = {**spaces.starts(space)[0], **({"pooling": "token"} if name == "vit" else {})}
    network = space.build(decided).eval()
    write_onnx(network, space.example_input, tmp_path / "model.onnx")  # which compares outputs, for three batches
