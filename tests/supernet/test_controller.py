from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.supernet import relaxing

from archwright.space import Architecture
from archwright.supernet import Draw, Supernet, create


def test_it_learns_a_planted_best() -> None:
    supernet = Supernet(relaxing.smooth(), create("controller", rate=0.02, samples=4))
    relaxation = supernet.relaxation
    optimizer = relaxation.optimizer(supernet.arch_parameters(), 1, None)
    best = Architecture({"width": 4, "one": "skip", "two": "tanh"})

    def reward(architecture: Architecture) -> float:
        return sum(architecture[name] == best[name] for name in best) / len(best)

    for _ in range(150):
        optimizer.zero_grad()
        relaxation.objective(supernet, reward).backward()  # type: ignore[attr-defined]  # ENAS
        optimizer.step()
    assert supernet.derive() == best
    rng = np.random.default_rng(1)
    assert np.mean([relaxation.sample(supernet, rng)[1] == best for _ in range(50)]) > 0.7


def test_the_gradient_is_that_of_the_expected_reward() -> None:
    supernet = Supernet(relaxing.smooth(), create("controller", samples=1, entropy=0.0, hidden=8))
    policy = supernet.plan.policy.double()
    everything = list(supernet.space.enumerate())
    rewards = torch.tensor([float(number % 5) for number in range(len(everything))], dtype=torch.float64)
    policy_bias = policy.bias.weight

    def expected() -> torch.Tensor:
        return policy.evaluate(everything)[0].exp() @ rewards

    log_probs, _ = policy.evaluate(everything)
    assert log_probs.exp().sum().item() == pytest.approx(1.0)
    advantages = rewards - 0.7  # any baseline
    mean = torch.autograd.grad((log_probs.exp().detach() * advantages * log_probs).sum(), policy_bias)[0]
    wanted = torch.autograd.grad(expected(), policy_bias)[0]
    torch.testing.assert_close(mean, wanted)
    row = policy_bias.data[0]
    torch.testing.assert_close(wanted[0], relaxing.slope(expected, row), rtol=1e-5, atol=1e-9)


def test_the_baseline_is_a_moving_mean_and_of_the_state() -> None:
    supernet = Supernet(relaxing.smooth(), create("controller", decay=0.5, samples=1))
    rewards = iter([1.0, 0.0, 0.0])
    for _ in range(3):
        supernet.relaxation.objective(supernet, lambda _: next(rewards))  # type: ignore[attr-defined]  # ENAS
    total, weight = supernet.plan.baseline.tolist()
    assert (total, weight) == (0.125, 0.875)
    other = Supernet(relaxing.smooth(), create("controller", decay=0.5, samples=1))
    other.load_state_dict(supernet.state_dict())
    assert torch.equal(other.plan.baseline, supernet.plan.baseline)
    assert {"plan.baseline", "plan.policy.lstm.weight_ih_l0"} <= set(supernet.state_dict())


def test_the_best_on_held_out_data_comes_first() -> None:
    supernet = Supernet(relaxing.image(), create("controller", warmup=0.0))
    training = relaxing.trainer(supernet, relaxing.pictures())
    training.epoch()
    found = training.preferred(4)
    assert len(set(found)) == 4
    batch = training.held_out(256)
    accuracies = [training.evaluate(Draw(dict(each)), batch)[0] for each in found]
    assert accuracies == sorted(accuracies, reverse=True)


def test_judging_changes_nothing() -> None:
    supernet = Supernet(relaxing.image(), "controller")
    training = relaxing.trainer(supernet, relaxing.pictures())
    training.epoch()
    before = {name: tensor.clone() for name, tensor in supernet.bank.state_dict().items()}
    draw = Draw(dict(supernet.space.sample(np.random.default_rng(0))))
    batch = training.held_out(32)
    assert training.evaluate(draw, batch) == training.evaluate(draw, batch)
    assert supernet.training
    for name, tensor in supernet.bank.state_dict().items():
        assert torch.equal(tensor, before[name]) or "num_batches" in name


def test_the_policy_stays_in_single_precision() -> None:
    supernet = Supernet(relaxing.smooth(), "controller").double()
    assert supernet.weight_parameters()[0].dtype == torch.float64
    assert {each.dtype for each in supernet.plan.parameters()} == {torch.float32}
    assert supernet.draw().values
