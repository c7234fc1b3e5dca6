"""Each proxy against a value worked out by hand, or by plain autograd or numpy."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.proxies.networks import Recurrent, Skip, batch, convnet, mlp
from torch import Tensor, nn

from archwright import proxies


def score(name: str, model: nn.Module, inputs: Tensor, targets: Tensor, **options: int) -> float:
    return proxies.score(model, inputs, targets, name, **options)[name]


def linear(weight: list[list[float]], bias: list[float] | None = None) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight), bias=bias is not None)
    layer.weight.data = torch.tensor(weight)
    if bias is not None:
        layer.bias.data = torch.tensor(bias)
    return layer


class Softmax:
    """A linear classifier without bias: its loss's derivatives, by hand."""

    def __init__(self) -> None:
        self.inputs, self.targets = batch(4, count=6)
        self.model = nn.Linear(4, 3, bias=False)
        nn.init.normal_(self.model.weight, generator=torch.Generator().manual_seed(2))
        self.weight = self.model.weight.detach().double().numpy()

    def gradient(self, part: slice = slice(None)) -> np.ndarray:
        x, y = self.inputs[part].double().numpy(), self.targets[part].numpy()
        return self.error(x, y).T @ x / len(x)

    def error(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        scores = np.exp(x @ self.weight.T)
        return scores / scores.sum(1, keepdims=True) - np.eye(3)[y]


# ------------------------------------------------------------------ naswot


def test_naswot_by_hand() -> None:
    # Of three units, samples are above zero in (yes, yes, no) and (no, yes, yes): they agree in one.
    model = nn.Sequential(linear([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]), nn.ReLU(), nn.Linear(3, 2))
    inputs = torch.tensor([[2.0, -1.0], [-1.0, 2.0]])
    assert score("naswot", model, inputs, torch.tensor([0, 1])) == pytest.approx(math.log(3 * 3 - 1 * 1))


def test_naswot_counts_the_units_of_all_layers() -> None:
    inputs, targets = batch(3, 8, 8, count=5)
    model = convnet().train()
    model[2] = nn.Identity()  # no dropout
    codes = []
    for layer in model[:-1]:
        inputs = layer(inputs)
        if isinstance(layer, nn.Sequential):
            codes.append((inputs > 0).flatten(1).numpy())
    code = np.concatenate(codes, axis=1)
    kernel = [[(one == other).sum() for other in code] for one in code]
    inputs, targets = batch(3, 8, 8, count=5)
    assert score("naswot", convnet(), inputs, targets) == pytest.approx(np.linalg.slogdet(kernel)[1], rel=1e-9)


@pytest.mark.parametrize(
    ("unit", "kinks"),
    [
        (nn.ReLU6(), (0, 6)),
        (nn.ReLU(inplace=True), (0,)),
        (nn.ReLU6(inplace=True), (0, 6)),
        (nn.LeakyReLU(0.1), (0,)),
        (nn.PReLU(), (0,)),
        (nn.Hardtanh(-2, 0.5), (-2, 0.5)),
        (nn.Threshold(1.5, 0.0), (1.5,)),
        (nn.Hardsigmoid(), (-3, 3)),
        (nn.RReLU(), (0,)),
    ],
    ids=str,
)
def test_naswot_knows_the_pieces_of_a_unit(unit: nn.Module, kinks: tuple[float, ...]) -> None:
    inputs, targets = 5 * batch(40)[0], batch(40)[1]
    model = nn.Sequential(nn.Identity(), unit, nn.Linear(40, 3))
    piece = np.searchsorted(kinks, inputs.numpy())
    kernel = [[(one == other).sum() for other in piece] for one in piece]
    wanted = np.linalg.slogdet(kernel)[1]
    # Units are on the network's own input here, which a unit in place would change.
    assert score("naswot", model, inputs.clone(), targets) == pytest.approx(wanted, rel=1e-9)


def test_naswot_sees_activations_that_are_no_layers() -> None:
    class Called(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = mlp()

        def forward(self, inputs: Tensor) -> Tensor:
            first, norm, _, second, _, head = self.layers
            return head(F.leaky_relu(second(norm(first(inputs)).relu())))

    assert score("naswot", Called(), *batch(5)) == score("naswot", mlp(), *batch(5))


# ------------------------------------------------------------------ jacov


def test_jacov_by_numpy() -> None:
    model = nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 3))
    inputs, targets = batch(5)
    rows = torch.func.vmap(torch.func.jacrev(lambda x: model(x).sum()))(inputs).detach().double().numpy()
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(rows)) + 1e-5
    wanted = -np.sum(np.log(eigenvalues) + 1 / eigenvalues)
    assert score("jacov", model, inputs, targets) == pytest.approx(wanted, rel=1e-3)


def test_jacov_prefers_samples_that_differ() -> None:
    inputs, targets = batch(40)
    model = nn.Sequential(nn.Linear(40, 400), nn.ReLU(), nn.Linear(400, 3))
    alike = inputs[:1] + 1e-3 * inputs
    assert score("jacov", model, inputs, targets) > score("jacov", model, alike, targets)


# ------------------------------------------------------------------ of gradients


def test_snip_and_grad_norm_by_hand() -> None:
    one = Softmax()
    gradient = one.gradient()
    assert score("snip", one.model, one.inputs, one.targets) == pytest.approx(np.abs(one.weight * gradient).sum())
    assert score("grad-norm", one.model, one.inputs, one.targets) == pytest.approx(np.linalg.norm(gradient))


def test_the_gradients_of_a_deep_network_are_those_of_autograd() -> None:
    inputs, targets = batch(3, 8, 8)
    model = convnet().train()
    model[2].p = 0.0
    F.cross_entropy(model(inputs), targets).backward()
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    assert len(matrices) == 4
    snip = sum((weight * weight.grad).abs().sum().item() for weight in matrices)
    norm = sum(weight.grad.norm().item() for weight in matrices)
    assert score("snip", convnet(), inputs, targets) == pytest.approx(snip, rel=1e-4)
    assert score("grad-norm", convnet(), inputs, targets) == pytest.approx(norm, rel=1e-4)


def test_frozen_parameters_have_no_saliency_and_are_counted_all_the_same() -> None:
    inputs, targets = batch(5)
    model = mlp()
    whole = proxies.score(model, inputs, targets, ["snip", "grad-norm", "parameters", "synflow", "fisher"])
    model[0].requires_grad_(False)
    part = proxies.score(model, inputs, targets, list(whole))
    assert all(part[name] < whole[name] for name in ("snip", "grad-norm", "synflow"))
    assert whole["parameters"] == part["parameters"]
    assert part["fisher"] > 0


def test_fisher_by_hand() -> None:
    one = Softmax()
    x, y = one.inputs.double().numpy(), one.targets.numpy()
    product = (x @ one.weight.T) * one.error(x, y) / len(x)
    wanted = 0.5 * (product**2).mean(0).sum()
    assert score("fisher", one.model, one.inputs, one.targets) == pytest.approx(wanted)


def test_fisher_sums_over_positions_before_it_squares() -> None:
    torch.manual_seed(3)
    conv, head = nn.Conv2d(2, 3, 3), nn.Linear(3, 3)
    inputs, targets = batch(2, 6, 6)
    middle = conv(inputs)
    outputs = head(F.silu(middle).mean((2, 3)))
    by_middle, by_outputs = torch.autograd.grad(F.cross_entropy(outputs, targets), (middle, outputs))
    wanted = sum(
        float(0.5 * (value.detach() * gradient).flatten(2).sum(2).square().mean(0).sum())
        for value, gradient in ((middle, by_middle), (outputs[..., None], by_outputs[..., None]))
    )
    model = nn.Sequential(conv, nn.SiLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    assert score("fisher", model, inputs, targets) == pytest.approx(wanted, rel=1e-5)


def test_grasp_by_the_whole_hessian() -> None:
    torch.manual_seed(4)
    inputs, targets = batch(4)
    model = nn.Sequential(nn.Linear(4, 5, bias=False), nn.Tanh(), nn.Linear(5, 3, bias=False)).double()
    sizes = [weight.numel() for weight in model.parameters()]

    def loss(flat: Tensor) -> Tensor:
        first, second = flat.split(sizes)
        return F.cross_entropy(torch.tanh(inputs.double() @ first.view(5, 4).T) @ second.view(3, 5).T, targets)

    flat = torch.cat([weight.detach().flatten() for weight in model.parameters()])
    gradient = torch.autograd.functional.jacobian(loss, flat)
    hessian = torch.autograd.functional.hessian(loss, flat)
    wanted = -float(flat @ (hessian @ gradient).detach())
    assert score("grasp", model, inputs.double(), targets) == pytest.approx(wanted, rel=1e-5)


def test_zico_by_hand() -> None:
    one = Softmax()
    gradients = np.stack([one.gradient(slice(0, 3)), one.gradient(slice(3, 6))])
    wanted = np.log((np.abs(gradients).mean(0) / gradients.std(0)).sum())
    assert score("zico", one.model, one.inputs, one.targets) == pytest.approx(wanted, rel=1e-4)


def test_zico_adds_up_over_tensors_and_passes_over_what_never_varies() -> None:
    inputs, targets = batch(5)
    model = mlp().train()
    halves = []
    for part in (slice(0, 4), slice(4, 8)):
        matrices = [weight for weight in model.parameters() if weight.ndim > 1]
        halves.append(torch.autograd.grad(F.cross_entropy(model(inputs[part]), targets[part]), matrices))
    wanted = 0.0
    for pair in zip(*halves, strict=True):
        values = torch.stack(pair).double()
        deviation = values.std(0, correction=0)
        ratio = values.abs().mean(0) / deviation
        wanted += math.log(float(ratio[deviation > 0].sum()))
    dead = nn.Linear(2, 2)
    model = nn.ModuleDict({"live": mlp(), "dead": dead})
    model.forward = lambda x: model["live"](x)  # type: ignore[method-assign]
    assert score("zico", model, inputs, targets) == pytest.approx(wanted, rel=1e-4)


# ------------------------------------------------------------------ with passes of their own


def test_synflow_of_linear_layers_is_the_product_of_their_absolute_weights() -> None:
    first, second = [[1.0, -2.0], [0.5, 3.0], [-1.0, 1.0]], [[2.0, -1.0, 0.5]]
    # Each weight's flow adds up to the whole for each of the two layers.
    flow = np.abs(second) @ np.abs(first) @ np.ones(2)
    model = nn.Sequential(linear(first), nn.BatchNorm1d(3), nn.GELU(), nn.LayerNorm(3), nn.ReLU6(), linear(second))
    wanted = math.log(2 * float(flow[0]))
    inputs, targets = batch(2, classes=1)
    assert score("synflow", model, inputs, targets) == pytest.approx(wanted, rel=1e-9)
    assert score("synflow", model, 100 * inputs, targets) == score("synflow", model, inputs, targets)


def test_synflow_does_not_overflow() -> None:
    layers = [nn.Linear(8, 8, bias=False) for _ in range(60)]
    for layer in layers:
        nn.init.constant_(layer.weight, 100.0)
    inputs, targets = batch(8)
    # 8 inputs; each layer multiplies by 800; the sum of 8 outputs; 60 layers.
    wanted = math.log(8 * 60) + 60 * math.log(800)
    assert score("synflow", nn.Sequential(*layers), inputs, targets) == pytest.approx(wanted)


def test_zen_of_one_normalised_layer() -> None:
    features, units = 64, 256
    model = nn.Sequential(nn.Linear(features, units), nn.BatchNorm1d(units))
    inputs, targets = batch(features, count=512)
    # A step of 0.01 moves each normalised unit by 0.01 deviations, and the layer had scaled by the root of its inputs.
    wanted = math.log(0.01 * math.sqrt(units)) + math.log(features) / 2
    assert score("zen", model, inputs, targets) == pytest.approx(wanted, abs=0.05)
    stronger = proxies.score(model, inputs, targets, proxies.Zen(strength=0.02))["zen"]
    assert stronger == pytest.approx(wanted + math.log(2), abs=0.05)


def test_zen_looks_at_the_features_before_the_global_pooling() -> None:
    def network(*head: nn.Module) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), *head)

    inputs, targets = batch(3, 10, 10, count=64)
    wanted = math.log(0.01 * math.sqrt(16 * 8 * 8)) + math.log(3 * 9) / 2
    pooled = network(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3))
    assert score("zen", pooled, inputs, targets) == pytest.approx(wanted, abs=0.1)
    assert score("zen", network(), inputs, targets) == pytest.approx(wanted, abs=0.1)


def test_zen_leaves_out_a_normalisation_that_nothing_comes_to() -> None:
    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.live = mlp()
            self.edge = nn.Sequential(nn.Linear(5, 3, bias=False), nn.BatchNorm1d(3))

        def forward(self, inputs: Tensor) -> Tensor:
            return self.live(inputs) + self.edge(torch.zeros_like(inputs))

    inputs, targets = batch(5)
    assert score("zen", Dead(), inputs, targets) == pytest.approx(score("zen", mlp(), inputs, targets), rel=1e-6)


def test_zen_draws_weights_of_its_own() -> None:
    inputs, targets = batch(5)
    other = mlp()
    for weight in other.parameters():
        weight.data += 1.0
    assert score("zen", other, 7 * inputs, targets) == score("zen", mlp(), inputs, targets)


def test_parameters_and_flops_by_hand() -> None:
    inputs, targets = batch(3, 8, 8)
    found = proxies.score(convnet(), inputs, targets, ["parameters", "flops"])
    matrices = 6 * 27, 8 * 54, 8 * 72, 3 * 8
    assert found["parameters"] == sum(matrices) + 2 * (6 + 8 + 8) + 3
    positions = 64, 16, 16, 1
    assert found["flops"] == 2 * sum(size * count for size, count in zip(matrices, positions, strict=True))


def test_flops_of_a_recurrent_network() -> None:
    inputs, targets = batch(6, 4)
    steps = 6 * (4 * 7 * (4 + 7) + 4 * 6 * (7 + 6))
    assert score("flops", Recurrent(), inputs, targets) == 2 * (steps + 6 * 3)


# ------------------------------------------------------------------ az-nas


def entropy(features: Tensor) -> float:
    eigenvalues = np.linalg.eigvalsh(np.cov(features.detach().double().numpy(), rowvar=False))
    shares = eigenvalues.clip(0) / eigenvalues.clip(0).sum()
    return float(-sum(share * np.log(share) for share in shares if share > 1e-12))


def test_expressivity_and_progressivity_by_numpy() -> None:
    inputs, targets = batch(3, 8, 8)
    model = convnet().train()
    model[2].p = 0.0
    entropies, features = [], inputs
    for layer in model[:-1]:
        features = layer(features)
        if layer is not model[2]:
            entropies.append(entropy(features.movedim(1, -1).flatten(0, 2)))
    found = proxies.score(convnet(), inputs, targets, ["expressivity", "progressivity"])
    assert found["expressivity"] == pytest.approx(sum(entropies), rel=1e-4)
    assert found["progressivity"] == pytest.approx(min(b - a for a, b in pairwise(entropies)), rel=1e-3)


def test_expressivity_of_known_variances() -> None:
    # Three directions vary, by 1, 1 and 2: shares of a quarter, a quarter and a half.
    rows = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 2**0.5], [0, 0, -(2**0.5)]])
    model = nn.Sequential(linear(torch.eye(3).tolist()), nn.Linear(3, 2))
    wanted = 2 * 0.25 * math.log(4) + 0.5 * math.log(2)
    assert score("expressivity", model, rows, torch.arange(6) % 2) == pytest.approx(wanted, abs=1e-6)


def single(kernel: list[list[float]], stride: int) -> nn.Conv2d:
    conv = nn.Conv2d(1, 1, len(kernel), stride=stride, bias=False)
    conv.weight.data = torch.tensor([[kernel]])
    return conv


def head(size: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(size, 3))


@pytest.mark.parametrize(
    ("block", "side", "norm"),
    [
        (single([[-1.5]], 1), 8, 1.5),
        # The four positions that become one are channels: the norm is that of the kernel.
        (single([[1.0, 2.0], [3.0, 4.0]], 2), 4, math.sqrt(30)),
        # Where sizes do not divide, what is missing at the edge is zero.
        (single([[0.5]], 3), 3, 0.5),
    ],
    ids=str,
)
def test_trainability_of_one_channel_is_exact(block: nn.Module, side: int, norm: float) -> None:
    model = nn.Sequential(single([[1.0]], 1), block, head(side * side))
    wanted = 2 - norm - 1 / norm
    assert score("trainability", model, *batch(1, 8, 8)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("gain", [1.0, 2.0, 0.5])
def test_trainability_of_a_rotation_is_by_its_gain_alone(gain: float) -> None:
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))[0]
    model = nn.Sequential(nn.Linear(4, 4), linear((gain * rotation).tolist()), nn.Linear(4, 3))
    wanted = 2 - gain - 1 / gain
    assert score("trainability", model, *batch(4, count=5000)) == pytest.approx(wanted, abs=0.1)


def test_the_parts_of_a_network_are_its_blocks() -> None:
    cell = nn.Sequential(nn.Conv2d(6, 6, 1), nn.ReLU(inplace=True), nn.BatchNorm2d(6))
    features = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(inplace=True), cell, nn.MaxPool2d(2), Skip())
    model = nn.Sequential(features, nn.Sequential(nn.Flatten(), nn.Linear(96, 9), nn.ReLU(), nn.Linear(9, 3)))
    found: list[Tensor] = []
    for block in (features[0], cell, features[4]):
        block.register_forward_hook(lambda _, __, output: found.append(output.detach().clone()))
    inputs, targets = batch(3, 8, 8)
    total = score("expressivity", model, inputs, targets)
    assert len(found) == 3
    assert total == pytest.approx(sum(entropy(each.movedim(1, -1).flatten(0, 2)) for each in found), rel=1e-4)
