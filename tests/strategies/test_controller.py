"""The policy of REINFORCE and PPO, and what their losses teach it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings

import archwright as aw
from archwright.errors import StrategyError
from archwright.strategies import PPO, Reinforce
from archwright.strategies._controller import Batch, Controller, Learner, drawn, standing
from archwright.testing import random_spaces
from archwright.trials import History, Objective, Trial

TWO = aw.Space(first=aw.choice("a", "b", "c"), second=aw.integer(1, 4))
NESTED = aw.Space(
    kind=aw.choice({"plain": 0, "wide": aw.integer(1, 3, name="width"), "deep": aw.ordinal(1, 2, name="depth")}),
    last=aw.choice("x", "y"),
)
LARGE = aw.Space(parts=aw.subset(*"abcdefg", k=(1, 6)), last=aw.choice("x", "y"))
SPACES = {"two": TWO, "nested": NESTED, "large": LARGE}


def controller(space, *, scale=1.0, **options):
    """A policy in double precision that is far from uniform."""
    policy = Controller(space, hidden=8, dtype=torch.float64, **options)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weights in policy.parameters():
            weights.copy_(scale * torch.randn(weights.shape, generator=generator, dtype=torch.float64))
    return policy


def rewards_of(space, seed=0):
    architectures = list(space.enumerate())
    return architectures, torch.tensor(np.random.default_rng(seed).normal(size=len(architectures)))


def gradient(policy, value):
    policy.zero_grad()
    value.backward()
    return torch.cat(
        [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in policy.parameters()]
    )


def expected_update(policy, loss, architectures, rewards, shift=0.0):
    """What one architecture, drawn from the policy, adds to the gradient of a loss on the average."""
    with torch.no_grad():
        before, _ = policy.evaluate(architectures)
    total = 0.0
    for one, architecture in enumerate(architectures):
        batch = Batch([architecture], rewards[one : one + 1] - shift, before[one : one + 1])
        total = total + before[one].exp() * gradient(policy, loss(policy, batch))
    return total


# ---------------------------------------------------------------------- a distribution


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_probabilities_sum_to_one_and_entropy_is_that_of_the_distribution(space):
    log_probabilities, on_the_way = controller(space).evaluate(list(space.enumerate()))
    probabilities = log_probabilities.exp()
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-12)
    assert probabilities.max() > 3 / len(probabilities)  # the policy is not the uniform one
    entropy = -(probabilities * log_probabilities).sum()
    assert (probabilities * on_the_way).sum().item() == pytest.approx(entropy.item())


@settings(max_examples=20)
@given(random_spaces(networks=False, most=150))
def test_probabilities_sum_to_one_on_any_finite_space(space):
    policy = controller(space)
    log_probabilities, on_the_way = policy.evaluate(list(space.enumerate()))
    probabilities = log_probabilities.exp()
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-9)
    assert (probabilities * on_the_way).sum().item() == pytest.approx(-(probabilities * log_probabilities).sum().item())


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_architectures_are_drawn_as_often_as_they_are_likely(space):
    policy, count = controller(space), 4000
    architectures = list(space.enumerate())
    place = {architecture: index for index, architecture in enumerate(architectures)}
    found = policy.sample(np.random.default_rng(0), (1.0,) * count)
    seen = np.bincount([place[architecture] for architecture in found], minlength=len(place)) / count
    with torch.no_grad():
        expected = policy.evaluate(architectures)[0].exp().numpy()
    assert (np.abs(seen - expected) <= 5 * np.sqrt(expected * (1 - expected) / count) + 1 / count).all()


def test_without_weights_it_draws_uniformly_a_large_subset_too():
    space = aw.Space(parts=LARGE.decisions["parts"])
    log_probabilities, _ = controller(space, scale=0.0).evaluate(list(space.enumerate()))
    assert log_probabilities.exp().tolist() == pytest.approx([1 / space.size] * space.size)


def test_heat_makes_it_more_random():
    policy = controller(TWO)
    rng = np.random.default_rng(0)
    assert len(set(policy.sample(rng, (1e-6,) * 50))) == 1
    assert len(set(policy.sample(rng, (1000.0,) * 400))) == TWO.size


def test_logits_stay_within_the_tanh_constant():
    policy = controller(aw.Space(one=aw.choice("a", "b")), scale=100.0, tanh_constant=1.5)
    log_probabilities, _ = policy.evaluate([aw.Architecture({"one": label}) for label in "ab"])
    assert abs(log_probabilities[0] - log_probabilities[1]).item() == pytest.approx(3.0, rel=1e-4)


def test_it_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    Controller(TWO).sample(np.random.default_rng(0), (1.0, 1.0))
    assert (torch.random.get_rng_state() == before).all()


# ---------------------------------------------------------------------- REINFORCE


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_the_mean_update_of_reinforce_is_the_gradient_of_the_expected_reward(space):
    policy, strategy = controller(space), Reinforce(entropy=0.0)
    architectures, rewards = rewards_of(space)
    exact = gradient(policy, (policy.evaluate(architectures)[0].exp() * rewards).sum())
    assert exact.norm() > 0.01
    mean = expected_update(policy, strategy._loss, architectures, rewards)
    torch.testing.assert_close(-mean, exact, rtol=1e-9, atol=1e-12)


def test_the_gradient_of_one_softmax_is_the_textbook_one():
    """With p a softmax of b, the expected reward J has dJ/db_k = p_k (R_k - J)."""
    space = aw.Space(one=aw.choice("a", "b", "c", "d"))
    policy = controller(space, tanh_constant=0.0)
    architectures, rewards = rewards_of(space)
    probabilities = policy.evaluate(architectures)[0].exp().detach()
    total = torch.zeros(4, dtype=torch.float64)
    for one, architecture in enumerate(architectures):
        batch = Batch([architecture], rewards[one : one + 1], torch.zeros(1))
        gradient(policy, Reinforce(entropy=0.0)._loss(policy, batch))
        total -= probabilities[one] * policy.bias.weight.grad[0]
    torch.testing.assert_close(total, probabilities * (rewards - (probabilities * rewards).sum()))


@pytest.mark.parametrize("baseline", [-3.0, 0.5, 100.0])
def test_a_baseline_leaves_the_expected_update_as_it_is(baseline):
    policy, loss = controller(NESTED), Reinforce(entropy=0.0)._loss
    architectures, rewards = rewards_of(NESTED)
    without = expected_update(policy, loss, architectures, rewards)
    torch.testing.assert_close(expected_update(policy, loss, architectures, rewards, baseline), without)


def test_the_entropy_bonus_makes_the_policy_more_random():
    policy = controller(TWO, scale=0.5)
    architectures = list(TWO.enumerate())
    batch = Batch(architectures, torch.zeros(len(architectures), dtype=torch.float64), torch.zeros(1))
    optimizer = torch.optim.SGD(policy.parameters(), lr=1.0)

    def entropy():
        log_probabilities = policy.evaluate(architectures)[0]
        return -(log_probabilities.exp() * log_probabilities).sum().item()

    first = entropy()
    for _ in range(20):
        optimizer.zero_grad()
        Reinforce(entropy=0.1)._loss(policy, batch).backward()
        optimizer.step()
    assert entropy() > first + 0.05


# ---------------------------------------------------------------------- PPO


def test_before_it_has_moved_ppo_is_reinforce():
    policy = controller(NESTED)
    architectures, rewards = rewards_of(NESTED)
    before = policy.evaluate(architectures)[0].detach()
    batch = Batch(architectures, rewards, before)
    one = gradient(policy, PPO(entropy=0.03)._loss(policy, batch))
    two = gradient(policy, Reinforce(entropy=0.03)._loss(policy, batch))
    torch.testing.assert_close(one, two)


@pytest.mark.parametrize(
    ("ratio", "advantage", "clipped"),
    [(1.3, 1.0, True), (1.3, -1.0, False), (0.7, 1.0, False), (0.7, -1.0, True), (1.1, 1.0, False), (0.9, -1.0, False)],
)
def test_ppo_moves_no_further_than_its_clip_in_the_direction_of_the_gain(ratio, advantage, clipped):
    policy = controller(TWO)
    architecture = next(TWO.enumerate())
    now = policy.evaluate([architecture])[0]
    likely = gradient(policy, now.sum())
    batch = Batch([architecture], torch.tensor([advantage]), now.detach() - np.log(ratio))
    loss = PPO(entropy=0.0, clip=0.2)._loss(policy, batch)
    assert loss.item() == pytest.approx(-advantage * (np.clip(ratio, 0.8, 1.2) if clipped else ratio))
    expected = 0 * likely if clipped else -advantage * ratio * likely
    torch.testing.assert_close(gradient(policy, loss), expected)


# ---------------------------------------------------------------------- learning from a history


def history_of(architectures, scores):
    history = History(Objective("a"))
    for number, (architecture, score) in enumerate(zip(architectures, scores, strict=True)):
        history.add(Trial(number, architecture))
        history.add(Trial(number, architecture, "complete", {"a": score}))
    return history


class _Recording:
    def __init__(self):
        self.advantages = []

    def __call__(self, policy, batch):
        self.advantages.append(batch.advantages.tolist())
        return -(policy.evaluate(batch.architectures)[0]).mean()


def test_standing_is_the_share_that_is_beaten():
    assert standing(np.array([]), 3.0) == 0.5
    assert standing(np.array([1.0, 2.0, 2.0, 5.0]), 2.0) == (1 + 2 / 2) / 4
    assert standing(np.array([1.0, 2.0, 2.0, 5.0]), 9.0) == 1.0


@pytest.mark.parametrize("unit", [1.0, 1e300, 1e-300])
def test_rewards_are_standings_above_a_moving_mean_and_know_no_scale(unit):
    scores = [unit * score for score in (1.0, 2.0, 0.5, 2.0, 1.5)]
    history = history_of(list(TWO.enumerate())[:5], scores)
    loss = _Recording()
    Learner(Controller(TWO), loss, batch=2, epochs=1, rate=0.01, decay=0.9).replay(history)
    rewards = [0.5, 1.0, 0.0, (2 + 0.5) / 3]
    baseline, advantages = 0.5, []
    for reward in rewards:
        advantages.append(reward - baseline)
        baseline = 0.9 * baseline + 0.1 * reward
    assert np.ravel(loss.advantages) == pytest.approx(advantages)  # the fifth waits for a sixth


def test_advantages_of_ppo_are_scaled_unless_all_are_as_good_as_equal():
    for scores, spread in (([1.0, 2.0, 0.0, 3.0], 1.0), ([1.0, 1.0, 1.0, 1.0], 0.0)):
        loss = _Recording()
        history = history_of(list(TWO.enumerate())[:4], scores)
        Learner(Controller(TWO), loss, batch=4, epochs=1, rate=0.01, decay=0.9, scaled=True).replay(history)
        assert np.std(loss.advantages[0]) == pytest.approx(spread)


def test_each_batch_is_learnt_from_once_and_epochs_times():
    loss = _Recording()
    learner = Learner(Controller(TWO), loss, batch=2, epochs=3, rate=0.01, decay=0.9)
    architectures, scores = list(TWO.enumerate())[:7], range(7)
    for count in (3, 3, 7):
        learner.replay(history_of(architectures[:count], scores[:count]))
    assert len(loss.advantages) == 9
    assert learner.replayed == 6


def test_a_policy_that_has_collapsed_goes_on_to_what_is_new():
    policy = controller(TWO, scale=0.0)
    with torch.no_grad():
        policy.bias.weight[0, 0] = policy.bias.weight[1, 0] = 1e3  # all but certain of one architecture
    history, rng = History(Objective("a")), np.random.default_rng(0)
    for number in range(int(TWO.size)):
        architecture = drawn(policy, TWO, history, rng)
        assert not history.seen(architecture)
        history.add(Trial(number, architecture))


@pytest.mark.parametrize("name", ["reinforce", "ppo"])
def test_it_learns_to_propose_what_is_good(name):
    space = aw.Space(**{f"e{place}": aw.choice(*range(5)) for place in range(8)})
    gains = []
    for seed in range(2):
        study = aw.Study(space, strategy=name, seed=seed)
        for _ in range(90):
            trial = study.ask()
            study.tell(trial, sum(trial.architecture.values()))
        gains.append(np.mean(study.history.scores[-20:]) - np.mean(study.history.scores[:20]))
    assert min(gains) > 4  # a random architecture has 16 of 32, with a deviation of 4


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (Reinforce, {"batch": 0}, "batch must be an integer of 1 or more, not 0"),
        (Reinforce, {"temperature": 0}, "temperature must be a number above 0"),
        (Reinforce, {"entropy": 1.5}, "entropy must be a number from 0 to 1"),
        (PPO, {"clip": -0.1}, "clip must be a number from 0 to 1"),
        (PPO, {"rate": 0.0}, "rate must be a number above 0"),
    ],
)
def test_settings_are_checked_at_once(make, options, message):
    with pytest.raises(StrategyError, match=message):
        make(**options)
