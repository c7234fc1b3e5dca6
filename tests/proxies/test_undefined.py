"""Where a proxy is undefined, it says so: which proxy, which trait of the network, what to do."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from tests.proxies.networks import Skip, batch, convnet, mlp
from torch import Tensor, nn

from archwright import proxies
from archwright.errors import EvaluationError, UnknownName


def smooth(layer: Callable[[], nn.Module] = nn.GELU) -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), layer(), nn.Linear(8, 3))


class Tokens(nn.Module):
    """Reads whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.hidden = nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.ReLU())
        self.head = nn.Linear(16, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.hidden(self.embedding(inputs)).mean(1))


class Constant(nn.Module):
    """Gives the same for whatever comes in; without biases zeros, until the last layer."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(5, 4, bias=bias), nn.ReLU())
        self.second = nn.Linear(4, 4, bias=bias)
        self.head = nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.second(self.block(torch.zeros_like(inputs))))


class Detach(nn.Module):
    """A block that lets no gradient through."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.detach()


class Once(nn.Module):
    """Has a second derivative that torch does not know."""

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, inputs):
            ctx.save_for_backward(inputs)
            return inputs**2

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, gradient):
            return 2 * ctx.saved_tensors[0] * gradient

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.Square.apply(self.layer(inputs))


@pytest.mark.parametrize(
    ("name", "network", "message"),
    [
        ("naswot", smooth, "no piecewise linear unit .*take another proxy"),
        ("naswot", Constant, "kernel .* is singular.*take a smaller batch"),
        ("naswot", lambda: nn.Sequential(nn.Linear(5, 2), nn.ReLU(), nn.Linear(2, 3)), "too few units"),
        ("jacov", Constant, "do not depend on a sample"),
        ("jacov", lambda: nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (8, 5)), Constant()), "do not depend"),
        ("zen", smooth, "no batch normalisation, .*take a proxy that needs none"),
        ("zen", lambda: nn.Sequential(nn.BatchNorm1d(5), Constant()), "do not depend on the input"),
        ("zico", lambda: Constant(bias=False), "^proxy 'zico': "),
        ("synflow", lambda: Constant(bias=False), "no weight leads from"),
        ("grasp", Once, "cannot be differentiated again .*first order"),
        ("fisher", lambda: nn.Sequential(nn.Flatten(), Matrix()), "no convolution or linear layer"),
        ("flops", lambda: nn.BatchNorm1d(5), "no convolution and no product"),
        ("snip", lambda: nn.BatchNorm1d(5), "no weight of two axes or more that is learnt"),
        ("zico", lambda: mlp().requires_grad_(False), "no weight of two axes or more that is learnt"),
        ("expressivity", Constant, "block 0 of the network gives the same"),
        ("expressivity", lambda: nn.Linear(5, 3), "no block before its head"),
        ("progressivity", smooth, "has one block"),
        ("trainability", smooth, "has one block"),
        ("trainability", lambda: nn.Sequential(nn.Linear(5, 5), Skip(), nn.Linear(5, 3)), "hands on what it"),
        ("trainability", lambda: nn.Sequential(nn.Linear(5, 5), Detach(), nn.Linear(5, 3)), "gets no gradient"),
        ("trainability", lambda: nn.Linear(5, 3), "^proxy 'trainability': "),
        ("snip", lambda: nn.Linear(5, 2), "targets are from 0 to 1, .*0 to 2 was given"),
        ("grad-norm", lambda: nn.Unflatten(1, (5, 1)), "no weight"),
        ("fisher", lambda: nn.Sequential(nn.Linear(5, 6), nn.Unflatten(1, (3, 2))), r"shape \(8, 3, 2\); wanted"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_undefined_is_told(name: str, network: Callable[[], nn.Module], message: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(EvaluationError, match=message) as told:
        proxies.score(network(), *batch(5), name)
    assert str(told.value).startswith(f"proxy {name!r}: ")
    assert proxies.score(network(), *batch(5), name, undefined=-math.inf) == {name: -math.inf}


class Matrix(nn.Module):
    """A product that is no layer of torch's."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(5, 3))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs @ self.weight


@pytest.mark.parametrize("name", ["jacov", "synflow", "zen"])
def test_whole_numbers_have_no_neighbours(name: str) -> None:
    inputs = torch.randint(11, (8, 7), generator=torch.Generator().manual_seed(0))
    targets = torch.arange(8) % 3
    with pytest.raises(EvaluationError, match=f"proxy '{name}': the network's inputs are int64"):
        proxies.score(Tokens(), inputs, targets, name)
    others = [each for each in proxies.names() if each not in ("jacov", "synflow", "zen", "az-nas")]
    assert all(math.isfinite(value) for value in proxies.score(Tokens(), inputs, targets, others).values())


@pytest.mark.parametrize("name", ["snip", "grad-norm", "fisher", "grasp", "zico"])
def test_a_loss_that_is_not_finite(name: str) -> None:
    inputs, targets = batch(5)
    with pytest.raises(EvaluationError, match=rf"proxy '{name}': the loss .* is (nan|inf): normalise the inputs"):
        proxies.score(mlp(), inputs.fill_(1e38), targets, name)


def test_a_score_that_is_not_finite() -> None:
    model = nn.Sequential(nn.Linear(5, 3, bias=False))
    nn.init.constant_(model[0].weight, 1e38)
    inputs, targets = batch(5)
    with pytest.raises(EvaluationError, match=r"proxy 'grasp': (it came to|the loss)"):
        proxies.score(model, inputs, targets, "grasp")


def test_what_is_defined_is_scored_beside_what_is_not() -> None:
    found = proxies.score(smooth(), *batch(5), ["naswot", "snip", "zen", "parameters"], undefined=math.nan)
    assert math.isnan(found["naswot"])
    assert math.isnan(found["zen"])
    assert found["snip"] > 0
    assert found["parameters"] == 5 * 8 + 8 + 8 * 3 + 3


def test_arguments_are_checked() -> None:
    inputs, targets = batch(5)
    with pytest.raises(UnknownName, match=r"unknown proxy 'naswat'\. Did you mean 'naswot'"):
        proxies.score(mlp(), inputs, targets, "naswat")
    with pytest.raises(EvaluationError, match="no proxy is asked for; there are: az-nas, "):
        proxies.score(mlp(), inputs, targets, [])
    with pytest.raises(EvaluationError, match=r"with n of 2 or more; \(8, 5\) and \(7,\) was given"):
        proxies.score(mlp(), inputs, targets[:7], "snip")
    with pytest.raises(EvaluationError, match=r"\(1, 5\) and \(1,\) was given"):
        proxies.score(mlp(), inputs[:1], targets[:1], "snip")
    with pytest.raises(EvaluationError, match="proxy 'zico': two halves of two samples or more"):
        proxies.score(mlp(), inputs[:3], targets[:3], "zico")
    with pytest.raises(EvaluationError, match="strength must be a number above 0, not 0"):
        proxies.create("zen", strength=0)
    with pytest.raises(EvaluationError, match="proxy 'naswot' has no option 'size'"):
        proxies.create("naswot", size=3)
    with pytest.raises(EvaluationError, match="'zen' is asked for twice, with different settings"):
        proxies.score(mlp(), inputs, targets, ["zen", proxies.Zen(strength=0.1)])


def test_an_output_that_is_no_tensor() -> None:
    with pytest.raises(EvaluationError, match="proxy 'snip': the network gives a tuple, and a tensor is wanted"):
        proxies.score(nn.LSTM(5, 3), *batch(5), "snip")


def test_a_block_that_raises_the_resolution() -> None:
    up = nn.ConvTranspose2d(4, 4, 2, stride=2)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), up, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)))
    with pytest.raises(EvaluationError, match="block 1 of the network raises the resolution from 8 to 16"):
        proxies.score(model, *batch(3, 8, 8), "trainability")


def test_a_score_of_az_nas_is_that_of_its_parts() -> None:
    found = proxies.score(convnet(), *batch(3, 8, 8), ["flops", "az-nas"])
    assert list(found) == ["flops", "expressivity", "progressivity", "trainability"]
    with pytest.raises(EvaluationError, match="it ranks the networks of a set: score its parts"):
        proxies.create("az-nas").score(None)
