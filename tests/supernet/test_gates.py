from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.supernet import relaxing

from archwright import nn, strategies
from archwright.space import Space, choice, lazy, template
from archwright.supernet import Supernet, create
from archwright.supernet._costs import Costs
from archwright.supernet._unrolled import _cut_off

GIVEN = relaxing.batch((3,), 2)


def test_the_gradient_is_that_of_the_two_gates() -> None:
    supernet = relaxing.made(relaxing.smooth(), "gates")
    draw, two = supernet.relaxation.pairs(supernet, 0.0)  # type: ignore[attr-defined]  # ProxylessNAS
    for name, options in two.items():
        weights = draw.mixes[name].weights
        assert sorted(weights.tolist()) == [0.0, 0.0, 1.0]  # one of them is let through, and whole
        assert int(weights.argmax()) in options
        assert sorted(draw.mixes[name].active) == sorted(options)
    mixed, still, leaves = _cut_off(draw)
    by_gate = dict(zip(draw.mixes, torch.autograd.grad(relaxing.loss_of(supernet, still, GIVEN), leaves), strict=True))
    logits = [supernet.logits[name] for name in two]
    found = torch.autograd.grad(relaxing.loss_of(supernet, draw, GIVEN), logits)
    for (name, options), got in zip(two.items(), found, strict=True):

        def gated(name: str = name, options: list[int] = options) -> torch.Tensor:
            return (torch.softmax(supernet.logits[name][options], 0) * by_gate[name][options]).sum()

        torch.testing.assert_close(got, relaxing.slope(gated, supernet.logits[name]), rtol=1e-5, atol=1e-10)
    assert len(mixed) == len(by_gate)


def test_other_probabilities_keep_their_values() -> None:
    options = {str(number): nn.Sequential(nn.Linear(3, 3), nn.Tanh()) for number in range(5)}
    space = Space(model=nn.Sequential(choice(options, name="op"), nn.Linear(3, 2)), example_input=(3,))
    supernet = Supernet(space, create("gates", cost="parameters"), seed=1)
    training = relaxing.trainer(supernet, relaxing.table())
    given = (GIVEN[0].float(), GIVEN[1])
    for _ in range(5):
        before = supernet.probabilities()["op"]
        supernet.relaxation.arch_step(training, given, given)
        moved = (supernet.probabilities()["op"] - before).abs() > 1e-7
        assert moved.sum() == 2


def test_pairs_are_drawn_by_probability() -> None:
    supernet = relaxing.made(relaxing.smooth(), "gates")
    shares = torch.softmax(supernet.logits["one"].detach(), 0).numpy()
    first, pair = np.zeros(3), np.zeros(3)
    for _ in range(2000):
        two = supernet.relaxation.pairs(supernet, 0.0)[1]  # type: ignore[attr-defined]  # ProxylessNAS
        first[two["one"][0]] += 1
        pair[two["one"]] += 1
    expected = shares + [
        sum(shares[j] * shares[i] / (1 - shares[j]) for j in range(3) if j != i) for i in range(3)
    ]  # first, or second after another
    assert np.abs(first / 2000 - shares).max() < 4 * np.sqrt(0.25 / 2000)
    assert np.abs(pair / 2000 - expected).max() < 4 * np.sqrt(0.25 / 2000)


# ---------------------------------------------------------------------- costs


def costly() -> Space:
    block = template(lambda width: choice({"skip": nn.Identity(), "conv": nn.Conv2d(width, width, 3, padding=1)}))
    big = nn.Sequential(nn.Conv2d(8, 32, 1), nn.Conv2d(32, 8, 1))
    return Space(
        model=nn.Sequential(
            nn.Conv2d(1, 4, 1),
            block(4),
            nn.Conv2d(4, 8, 1),
            block(8),
            choice({"none": nn.Identity(), "big": big}, name="last"),
            nn.Flatten(),
            nn.Linear(128, 3),
        ),
        example_input=(1, 4, 4),
    )


def measured(kind: str) -> tuple[Supernet, Costs, str]:
    supernet = Supernet(costly(), create("gates", cost=kind))
    plan = supernet.plan
    assert not plan.is_measured
    plan.measure(supernet, torch.zeros(2, 1, 4, 4))
    assert plan.is_measured
    (shared,) = (name for name in supernet.branches if name != "last")
    return supernet, plan, shared


def test_parameters_are_counted_in_all_places() -> None:
    _, plan, shared = measured("parameters")
    small, large = 4 * 4 * 9 + 4, 8 * 8 * 9 + 8
    assert plan.of(shared).tolist() == [0, small + large]
    assert plan.of("last").tolist() == [0, 8 * 32 + 32 + 32 * 8 + 8]
    assert plan.total == plan.of(shared)[1] + plan.of("last")[1]


def test_the_short_name_is_the_same_cost() -> None:
    assert create("gates", cost="params") == create("gates", cost="parameters")
    assert strategies.create("proxyless", cost="params") == strategies.create("proxyless", cost="parameters")


def test_products_of_matrices_and_vectors_count_too() -> None:
    class Weighted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.outer(x @ self.weight, self.weight)

    options = {"weighted": lazy(Weighted)(), "none": nn.Identity()}
    space = Space(model=nn.Sequential(choice(options, name="op"), nn.Linear(3, 2)), example_input=(3,))
    supernet = Supernet(space, create("gates", cost="flops"))
    supernet.plan.measure(supernet, torch.zeros(5, 3))
    assert supernet.plan.of("op").tolist() == [2 * 5 * 3, 0]


def test_operations_are_those_of_the_batch() -> None:
    _, plan, shared = measured("flops")
    assert plan.of(shared).tolist() == [0, 2 * 2 * 16 * 9 * (4 * 4 + 8 * 8)]
    assert plan.of("last").tolist() == [0, 2 * 2 * 16 * (8 * 32 + 32 * 8)]


def test_latencies_are_positive_and_weights_stay() -> None:
    supernet, plan, shared = measured("latency")
    assert (plan.of(shared) > 0).all()
    fresh = Supernet(costly(), create("gates", cost="latency"))
    for name, tensor in fresh.bank.state_dict().items():
        assert torch.equal(tensor, supernet.bank.state_dict()[name])
    assert supernet.training
    assert supernet._engine.training == fresh._engine.training


def test_the_expected_cost_has_its_slope() -> None:
    supernet, plan, shared = measured("parameters")
    supernet.double()
    with torch.no_grad():
        supernet.logits[shared].copy_(torch.tensor([0.4, -0.3]))
    logits = supernet.logits[shared]

    def penalty() -> torch.Tensor:
        found = supernet.relaxation.penalty(supernet)
        assert isinstance(found, torch.Tensor)
        return found

    expected = sum(
        torch.softmax(supernet.logits[name], 0)[1].item() * plan.of(name)[1].item() for name in (shared, "last")
    )
    assert float(penalty().detach()) == pytest.approx(0.1 * expected / float(plan.total))
    (found,) = torch.autograd.grad(penalty(), logits)
    torch.testing.assert_close(found, relaxing.slope(penalty, logits), rtol=1e-5, atol=1e-10)


@pytest.mark.parametrize("cost", ["parameters", "flops"])
def test_cost_leads_to_the_cheap_option(cost: str) -> None:
    def shares(**settings: Any) -> dict[str, torch.Tensor]:
        supernet = Supernet(costly(), create("gates", warmup=0.0, rate=0.1, **settings))
        training = relaxing.trainer(supernet, relaxing.pictures(), epochs=4)
        for _ in range(4):
            training.epoch()
        return supernet.probabilities()

    dear, plain = shares(cost=cost, cost_weight=100.0), shares()
    for name, each in dear.items():
        assert each[0] > 0.8, name
        assert each[0] > plain[name][0]
