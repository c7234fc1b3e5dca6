"""The space of the sub-networks of a trained network: which channels are coupled, and that weights are those of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archwright as aw
from archwright.adapt._elastic import largest
from archwright.errors import RelaxationError, SpaceError

SHARES = (0.25, 0.5, 0.75)


class Residual(nn.Module):
    """A block whose sum ties channels; its shortcut changes their number where it has to."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        is_same = before == after and stride == 1
        self.shortcut = nn.Sequential() if is_same else nn.Conv2d(before, after, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += self.shortcut(x)
        return F.relu(out)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.stages = nn.Sequential(Residual(8, 8), Residual(8, 16, 2), Residual(16, 16))
        self.head = nn.Linear(16 * 3 * 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.stages(self.stem(x)), 2)
        return self.head(x.view(x.size(0), -1))


class Mobile(nn.Module):
    """Depthwise convolution, a gate of channels, a concatenation, and a grouped convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.expand, self.depth, self.project = (
            nn.Conv2d(2, 16, 1),
            nn.Conv2d(16, 16, 3, padding=1, groups=16),
            nn.Conv2d(16, 8, 1),
        )
        self.squeeze, self.excite = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)
        self.left, self.right = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1)
        self.grouped, self.head = nn.Conv2d(16, 16, 1, groups=2), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depth(F.hardswish(self.expand(x)))
        x = x * torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))
        x = self.project(x)
        x = self.grouped(torch.cat([self.left(x), self.right(x)], dim=1))
        return self.head(x.mean(dim=(2, 3)))


class Text(nn.Module):
    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, 0.1, "gelu", batch_first=True, norm_first=norm_first)
        self.embed, self.places = nn.Embedding(30, 16), nn.Parameter(torch.randn(1, 6, 16))
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(16), enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.encoder(self.embed(tokens) + self.places, src_key_padding_mask=tokens == 0)
        return self.head(x[:, 0])


class Attending(nn.Module):
    """Attention by torch's layer, with a mask that is added."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.norm, self.head = (
            nn.MultiheadAttention(8, 2, batch_first=True),
            nn.LayerNorm(8),
            nn.Linear(8, 2),
        )
        self.register_buffer("mask", torch.triu(torch.full((5, 5), -1e4), 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x + self.attention(x, x, x, attn_mask=self.mask)[0])
        return self.head(x).mean(dim=1)


NETWORKS: dict[str, tuple[Any, Any]] = {
    "resnet": (ResNet, aw.TensorSpec((1, 12, 12))),
    "mobile": (Mobile, aw.TensorSpec((2, 6, 6))),
    "pre-norm": (lambda: Text(True), aw.TensorSpec((6,), "int64")),
    "post-norm": (lambda: Text(False), aw.TensorSpec((6,), "int64")),
    "attention": (Attending, aw.TensorSpec((5, 8))),
}


def trained(name: str) -> tuple[nn.Module, aw.TensorSpec, Tensor]:
    """Return a network with statistics that are not those of the beginning, and an input."""
    make, spec = NETWORKS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = make()
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.uniform_(layer.weight, 0.5, 2)
                nn.init.normal_(layer.running_mean)
                nn.init.uniform_(layer.running_var, 0.5, 2)
        x = torch.randint(1, 30, (3, 6)) if spec.dtype == "int64" else torch.randn(3, *spec.shape)
        if spec.dtype == "int64":
            x[:, 4:] = 0
    return network.eval(), spec, x


def of(name: str, **settings: Any) -> tuple[nn.Module, aw.Space, Tensor]:
    network, spec, x = trained(name)
    asked = {"width": SHARES, "heads": SHARES, "feed_forward": SHARES, "depth": True, **settings}
    return network, aw.elastic(network, spec, **asked), x


@pytest.mark.parametrize("name", NETWORKS)
def test_every_sub_network_is_one_network_and_the_largest_is_the_original(name: str) -> None:
    before, space, x = of(name)
    assert space.size > 1
    supernet = aw.Supernet(space, "path").eval()
    drawn = [space.sample(np.random.default_rng(seed)) for seed in range(3)]
    for architecture in (largest(space), *drawn):
        built = space.build(architecture).eval()
        wanted = built(x)
        torch.testing.assert_close(supernet.select(architecture)(x), wanted, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(supernet.extract(architecture)(x), wanted, rtol=1e-4, atol=1e-5)
        scope: dict[str, Any] = {}
        exec(space.source(architecture), scope)
        again = scope["build"]()
        again.load_state_dict(built.state_dict())
        torch.testing.assert_close(again.eval()(x), wanted)
    torch.testing.assert_close(space.build(largest(space)).eval()(x), before(x), rtol=1e-4, atol=1e-5)


def test_a_sum_ties_channels_and_branches_may_be_left_out() -> None:
    _, space, _ = of("resnet")
    assert {name: list(decision.values()) for name, decision in space.decisions.items()} == {
        "stem.width": [2, 4, 6, 8],
        "stages.0.branch": ["drop", "keep"],
        "stages.0.conv1.width": [2, 4, 6, 8],
        "stages.1.conv1.width": [4, 8, 12, 16],
        "stages.1.conv2.width": [4, 8, 12, 16],
        "stages.2.branch": ["drop", "keep"],
        "stages.2.conv1.width": [4, 8, 12, 16],
    }


def test_what_cannot_be_sliced_keeps_its_channels() -> None:
    """A depthwise convolution and a gate go with their channels; a concatenation fixes what it joins."""
    _, space, _ = of("mobile")
    assert set(space.decisions) == {"expand.width", "squeeze.width", "project.width"}


def test_heads_and_hidden_units_are_decisions_of_their_own() -> None:
    _, space, _ = of("pre-norm", depth=False)
    values = {name.rpartition(".")[2]: list(decision.values()) for name, decision in space.decisions.items()}
    assert values == {"heads": [1, 2, 3, 4], "feed_forward": [8, 16, 24, 32]}
    assert len(space.decisions) == 4


def test_a_smaller_layer_has_the_units_of_the_largest_weights() -> None:
    """Units 2 and 0 weigh most, so the half of them computes what the whole does without the other two."""
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[2.0], [0.1], [3.0], [0.2]]).expand(4, 3))
        network[2].weight.fill_(1.0)
    half = aw.elastic(network, (3,), width=(0.5,)).build({"0.width": 2})
    torch.testing.assert_close(next(half.parameters()), network[0].weight[[2, 0]])


def test_a_loss_orders_units_by_what_their_removal_changes() -> None:
    """The third unit has the largest weights, and no influence: what follows it does not count in the loss."""
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[2.0], [1.0], [9.0], [1.5]]).expand(4, 3))
        network[0].bias.zero_()
        network[2].weight.copy_(torch.tensor([[1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 5.0, 0.0]]))
    space = aw.elastic(network, (3,), width=(0.5,), loss=lambda model: model(torch.ones(2, 3))[:, 0].sum())
    torch.testing.assert_close(next(space.build({"0.width": 2}).parameters()), network[0].weight[[0, 3]])
    assert all(each.grad is None for each in network.parameters())


def test_what_is_frozen_stays_so() -> None:
    network, spec, _ = trained("resnet")
    network.stem.requires_grad_(False)
    space = aw.elastic(network, spec, width=(0.5,))
    small = space.build(next(space.enumerate()))
    frozen = {name for name, each in small.named_parameters() if not each.requires_grad}
    assert frozen == {"stem.weight", "stem.bias"}
    bank = aw.Supernet(space, "path").bank
    assert {name for name, each in bank.named_parameters() if not each.requires_grad} == {
        "model/stem/Conv2d/weight",
        "model/stem/Conv2d/bias",
    }


class Deciding(nn.Module):
    """Its forward pass depends on the values."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if x.sum() > 0 else x


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x))


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (nn.Sequential(nn.Linear(3, 3), Deciding()), r"1 \(Deciding\) cannot be traced"),
        (nn.Sequential(Twice()), r"0\.layer: Linear is used twice"),
        (nn.Sequential(nn.Linear(3, 4), nn.GRU(4, 2)), r"1: GRU returns tuple"),
        (nn.Sequential(nn.Linear(3, 4)), r"nothing of Sequential can change its size.*width of 0"),
        (nn.Sequential(nn.Unflatten(1, (3, 1)), nn.MultiheadAttention(1, 1)), r"1: MultiheadAttention has batch_first"),
    ],
)
def test_what_cannot_be_made_elastic_is_named(network: nn.Module, told: str) -> None:
    with pytest.raises(RelaxationError, match=told):
        aw.elastic(network, (3,), width=True)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), (5,)), r"^0 cannot be run on shape \(2, 5\).*example_input"),
        ((Twice(), (5,)), r"^layer cannot be run on shape \(2, 5\)"),
        ((nn.Linear, (3,)), "takes a trained torch.nn.Module"),
    ],
)
def test_a_wrong_example_or_model_is_told(given: Any, told: str) -> None:
    with pytest.raises(SpaceError, match=told):
        aw.elastic(*given, width=True)


def test_a_network_that_cannot_be_traced_is_not_to_be_kept_whole_itself() -> None:
    with pytest.raises(RelaxationError, match="a module of its own, and name that in whole="):
        aw.elastic(Deciding(), (3,), width=True)


def test_a_part_that_cannot_be_traced_is_kept_whole() -> None:
    network = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 3), Deciding()).eval()
    space = aw.elastic(network, (3,), width=(0.5,), whole=["3"])
    x = torch.randn(5, 3)
    torch.testing.assert_close(space.build({"0.width": 8})(x), network(x))
    with pytest.raises(RelaxationError, match="no such module"):
        aw.elastic(network, (3,), width=(0.5,), whole=["7"])


def test_a_folder_of_hugging_face(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=20,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=32,
        max_position_embeddings=12,
        num_labels=3,
    )
    torch.manual_seed(0)
    network = transformers.BertForSequenceClassification(config).eval()
    network.save_pretrained(tmp_path)
    tokens, mask = torch.randint(0, 20, (3, 6)), torch.ones(3, 6, dtype=torch.int64)
    mask[:, 4:] = 0
    spec = aw.TensorSpec((6,), "int64")
    space = aw.elastic(tmp_path, [spec, spec], heads=(0.5,), feed_forward=(0.5,), depth=True)
    assert space.size == 3**4  # of each branch: none, half of it, or all
    found = space.build(largest(space)).eval()(tokens, mask)
    torch.testing.assert_close(found, network(tokens, attention_mask=mask).logits, rtol=1e-4, atol=1e-5)
    alone = aw.elastic(str(tmp_path), spec, heads=(0.5,))
    torch.testing.assert_close(alone.build(largest(alone)).eval()(tokens), network(tokens).logits, rtol=1e-4, atol=1e-5)
    with pytest.raises(RelaxationError, match="there is no folder"):
        aw.elastic(tmp_path / "nothing", spec, heads=True)


def test_shares_are_checked() -> None:
    with pytest.raises(SpaceError, match="width takes shares above 0"):
        aw.elastic(nn.Sequential(nn.Linear(3, 3)), (3,), width=(0.5, 2))
    for given in (0.5, "half"):
        with pytest.raises(SpaceError, match=f"width takes True, False, or several shares.*{given}"):
            aw.elastic(nn.Sequential(nn.Linear(3, 3)), (3,), width=given)  # type: ignore[arg-type]


def test_any_strategy_searches_it_under_a_constraint() -> None:
    network, spec, _ = trained("resnet")
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(96, *spec.shape, generator=generator), torch.arange(96) % 3
    training = aw.Training(aw.data((images, labels)), epochs=1, batch_size=32, device="cpu")
    space = aw.elastic(network, spec, width=True, depth=True)
    whole = sum(each.numel() for each in network.parameters())
    study = aw.search(
        space,
        aw.SupernetEvaluator(training, "sandwich", epochs=1),
        strategy="evolution",
        constraints=f"parameters <= {whole // 2}",
        budget=aw.Budget(trials=3),
        final=False,
    )
    assert study.best.metrics["parameters"] <= whole // 2
