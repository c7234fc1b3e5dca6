from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from archwright import nn
from archwright.space import Space, choice
from archwright.supernet import Supernet
from archwright.supernet._unrolled import unrolled

RATE = 0.05


def smooth_space() -> Space:
    def hidden(size: int) -> Any:
        return choice({"tanh": nn.Sequential(nn.Linear(size, size), nn.Tanh()), "skip": nn.Identity()})

    return Space(model=nn.Sequential(nn.Linear(3, 4), hidden(4), hidden(4), nn.Linear(4, 2)), example_input=(3,))


class Reference(torch.nn.Module):
    """The same mixture by hand."""

    def __init__(self, supernet: Supernet) -> None:
        super().__init__()
        path = supernet.select(dict.fromkeys(supernet.branches, "tanh"))
        network = supernet.extract(path.architecture)
        layers = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)]
        self.first, self.one, self.two, self.last = layers

    def forward(self, x: torch.Tensor, shares: list[torch.Tensor]) -> Any:
        x = self.first(x)
        for layer, share in zip((self.one, self.two), shares, strict=True):
            x = share[0] * torch.tanh(layer(x)) + share[1] * x
        return self.last(x)


def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(16, 3, generator=generator, dtype=torch.float64), torch.randint(2, (16,), generator=generator))
        for _ in range(2)
    ]


def made() -> Supernet:
    supernet = Supernet(smooth_space(), "softmax", seed=3).double()
    with torch.no_grad():
        for number, logits in enumerate(supernet.logits.values()):
            logits.copy_(torch.tensor([0.3, -0.2]) * (number + 1))
    return supernet


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize(("reach", "tolerance"), [(1e-5, 1e-3), (None, 0.1)])
def test_it_is_the_gradient_through_a_step(
    momentum: float, nesterov: bool, reach: float | None, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reach is not None:  # in float64 the finite difference may be as good as exact
        monkeypatch.setattr("archwright.supernet._unrolled._REACH", reach)
    supernet = made()
    (x, y), (held_x, held_y) = batches()
    nesterov = nesterov and momentum > 0
    optimizer = torch.optim.SGD(
        supernet.weight_parameters(), lr=RATE, momentum=momentum, nesterov=nesterov, weight_decay=0.01
    )
    F.cross_entropy(supernet(x), y).backward()
    optimizer.step()  # so that there is a velocity

    reference = Reference(supernet).double()
    logits = [each.detach().clone().requires_grad_() for each in supernet.logits.values()]
    shares = [torch.softmax(each, dim=0) for each in logits]
    weights = {name: each.detach().clone().requires_grad_() for name, each in reference.named_parameters()}
    loss = F.cross_entropy(functional_call(reference, weights, (x, shares)), y)
    slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
    stepped = {}
    for (name, weight), slope in zip(weights.items(), slopes, strict=True):
        velocity = next(
            optimizer.state[each]["momentum_buffer"] if momentum else 0.0
            for each in supernet.weight_parameters()
            if each.shape == weight.shape and torch.equal(each, weight)
        )
        step = slope + 0.01 * weight.detach()
        moved = momentum * velocity + step
        stepped[name] = weight.detach() - RATE * (step + momentum * moved if nesterov else moved)
    expected = torch.autograd.grad(
        F.cross_entropy(functional_call(reference, stepped, (held_x, shares)), held_y), logits
    )
    plain = torch.autograd.grad(
        F.cross_entropy(
            functional_call(reference, weights, (held_x, [torch.softmax(each, 0) for each in logits])), held_y
        ),
        logits,
    )

    loss, pairs = unrolled(
        supernet,
        supernet.draw(),
        learn=lambda draw: F.cross_entropy(supernet.run(draw, x), y),
        held_out_loss=lambda draw: F.cross_entropy(supernet.run(draw, held_x), held_y),
        optimizer=optimizer,
    )
    mixed, by_mixed = zip(*pairs, strict=True)
    found = torch.autograd.grad(mixed, list(supernet.logits.values()), by_mixed)
    for got, wanted, first in zip(found, expected, plain, strict=True):
        assert (got - wanted).norm() < tolerance * (wanted - first).norm()  # of what the second order adds


def norms() -> Space:
    def conv() -> Any:
        return choice({"conv": nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)), "skip": nn.Identity()})

    stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.5))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    return Space(model=nn.Sequential(stem, conv(), conv(), head), example_input=(1, 4, 4))


def test_weights_are_untouched_and_statistics_see_one_pass() -> None:
    supernet = Supernet(norms(), "softmax", seed=3)
    generator = torch.Generator().manual_seed(1)
    x, held = (torch.randn(8, 1, 4, 4, generator=generator) for _ in range(2))
    y = torch.arange(8) % 3
    optimizer = torch.optim.SGD(supernet.weight_parameters(), lr=0.1)
    weights = [weight.clone() for weight in supernet.weight_parameters()]
    torch.manual_seed(0)
    unrolled(
        supernet,
        supernet.draw(),
        learn=lambda draw: F.cross_entropy(supernet.run(draw, x), y),
        held_out_loss=lambda draw: F.cross_entropy(supernet.run(draw, held), y),
        optimizer=optimizer,
    )
    assert all(torch.equal(old, new) for old, new in zip(weights, supernet.weight_parameters(), strict=True))
    once = Supernet(norms(), "softmax", seed=3)
    torch.manual_seed(0)
    once.run(once.draw(), x)
    for name, buffer in once.bank.named_buffers():
        assert torch.equal(buffer, dict(supernet.bank.named_buffers())[name]), name


def test_both_passes_on_the_training_batch_see_the_same_noise() -> None:
    supernet = Supernet(norms(), "softmax", seed=3)
    x = torch.ones(8, 1, 4, 4)
    y = torch.arange(8) % 3
    noise: list[torch.Tensor] = []

    def learn(draw: Any) -> torch.Tensor:
        noise.append(torch.get_rng_state())
        return F.cross_entropy(supernet.run(draw, x), y)

    def held_out_loss(draw: Any) -> torch.Tensor:
        noise.append(torch.get_rng_state())
        return F.cross_entropy(supernet.run(draw, x), y)

    optimizer = torch.optim.AdamW(supernet.weight_parameters(), lr=0.1)
    unrolled(supernet, supernet.draw(), learn=learn, held_out_loss=held_out_loss, optimizer=optimizer)
    first, held, second = noise
    assert torch.equal(first, second)
    assert not torch.equal(first, held)
    after = torch.get_rng_state()  # as after two passes, so that the next is new
    assert not torch.equal(after, held)
    assert not torch.equal(after, first)
