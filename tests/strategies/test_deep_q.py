"""Deep Q-learning."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import archwright as aw
from archwright.errors import StrategyError
from archwright.strategies import DeepQ
from archwright.strategies._episode import Episode, episode_layout
from archwright.strategies._qnetwork import DeepAgent, QNetwork, Record, temporal_difference
from archwright.trials import History, Objective, Trial

TWO = aw.Space(first=aw.choice(*range(3)), second=aw.choice(*range(4)))
NESTED = aw.Space(
    kind=aw.choice({"plain": 0, "wide": aw.integer(1, 3, name="width"), "deep": aw.ordinal(1, 2, name="depth")}),
    last=aw.choice("x", "y"),
)
EIGHT = aw.Space(**{f"e{place}": aw.choice(*range(5)) for place in range(8)})
SETTINGS = {"hidden": 16, "rate": 0.01, "discount": 1.0, "memory": 100, "replay": 4, "updates": 2, "renewal": 3}


def history_of(space, count, score=float):
    history, rng = History(Objective("a")), np.random.default_rng(0)
    for number in range(count):
        architecture = space.sample(rng)
        history.add(Trial(number, architecture, seed=number))
        history.add(Trial(number, architecture, "complete", {"a": score(number)}, seed=number))
    return history


# ---------------------------------------------------------------------- the network and its memory


def test_actions_that_a_step_lacks_are_worth_minus_infinity():
    network, layout = QNetwork(NESTED), episode_layout(NESTED)
    values = network(torch.zeros(len(layout.steps), layout.length), torch.arange(len(layout.steps)))
    for step in layout.steps:
        assert torch.isfinite(values[step.number]).tolist() == [True] * step.count + [False] * (3 - step.count)


def test_a_record_holds_what_was_seen_before_each_step():
    architecture = NESTED.canonical({"kind": "wide", "width": 2, "last": "y"})
    record = Record.of(NESTED, architecture)
    assert record.taken.tolist() == [1, 1, 1]
    assert record.last.tolist() == [False, False, True]
    episode = Episode(NESTED)
    for place in range(3):
        assert record.steps[place] == episode.due.number
        assert (record.seen[place].numpy() == episode.observe()).all()
        episode.take(1)
    both = Record.joined([record, record])
    assert both.seen.shape == (6, episode_layout(NESTED).length)
    assert both.last.tolist() == [False, False, True] * 2
    assert len(Record.of(aw.Space(only=aw.choice(1)), aw.Architecture({"only": 1})).steps) == 0


def test_goals_are_those_of_double_q_learning():
    """The online network says which action is best, the target network what it is worth; the end is worth nothing."""
    space, rng = NESTED, np.random.default_rng(1)
    online, target = QNetwork(space, hidden=8), QNetwork(space, hidden=8)
    with torch.no_grad():
        for network, seed in ((online, 0), (target, 1)):
            generator = torch.Generator().manual_seed(seed)
            for weights in network.parameters():
                weights.copy_(torch.randn(weights.shape, generator=generator))
    record = Record.joined([Record.of(space, space.sample(rng)) for _ in range(12)])
    rewards = torch.tensor(rng.random(len(record.steps)), dtype=torch.float32)
    values, goals = temporal_difference(online, target, record, rewards, 0.9)
    disagreed = False
    for place in range(len(record.steps)):
        row = slice(place, place + 1)
        assert values[place].item() == pytest.approx(
            online(record.seen[row], record.steps[row])[0, record.taken[place]].item(), rel=1e-4
        )
        goal = rewards[place].item()
        if not record.last[place]:
            after = slice(place + 1, place + 2)
            best = online(record.seen[after], record.steps[after])[0].argmax()
            ahead = target(record.seen[after], record.steps[after])[0]
            disagreed |= bool(ahead.argmax() != best)
            goal += 0.9 * ahead[best].item()
        assert goals[place].item() == pytest.approx(goal, rel=1e-4)
    assert disagreed  # else this would not tell double Q-learning from the plain one
    assert values.requires_grad
    assert not goals.requires_grad


def test_it_converges_to_the_exact_values_of_a_small_problem():
    rewards = np.random.default_rng(3).random((3, 4))
    record = Record.joined([Record.of(TWO, architecture) for architecture in TWO.enumerate()])
    brought = torch.tensor([[0.0, reward] for reward in rewards.ravel()], dtype=torch.float32).ravel()
    online = QNetwork(TWO, hidden=32)
    target = copy.deepcopy(online)
    optimizer = torch.optim.Adam(online.parameters(), lr=0.01)
    for number in range(400):
        values, goals = temporal_difference(online, target, record, brought, 1.0)
        optimizer.zero_grad()
        torch.nn.functional.smooth_l1_loss(values, goals).backward()
        optimizer.step()
        if number % 20 == 19:
            target.load_state_dict(online.state_dict())
    exact = np.stack([np.repeat(rewards.max(1), 4), rewards.ravel()], axis=1).ravel()
    with torch.no_grad():
        found, _ = temporal_difference(online, target, record, brought, 1.0)
    assert found.numpy() == pytest.approx(exact, abs=0.03)


def test_with_all_nine_measured_it_is_near_the_values_of_value_iteration():
    space = aw.Space(first=aw.choice(*range(3)), second=aw.choice(*range(3)))
    worth = dict(zip(space.enumerate(), (6.0, 9.0, 1.0, 8.0, 2.0, 3.0, 5.0, 4.0, 0.0), strict=True))
    history = History(Objective("a"))
    for number, (architecture, score) in enumerate(worth.items()):
        history.add(Trial(number, architecture, seed=number))
        history.add(Trial(number, architecture, "complete", {"a": score}, seed=number))
    agent = DeepAgent(space, DeepQ(**SETTINGS | {"hidden": 32, "replay": 9, "updates": 100, "renewal": 20}))
    agent.learn(history)
    for _ in range(20):
        agent._update(agent.memory)
    episode = Episode(space)
    with torch.no_grad():
        seen, step = torch.from_numpy(episode.observe())[None], torch.tensor([episode.due.number])
        found = agent.online(seen, step)[0, :3]
    assert found.numpy() == pytest.approx([8.5 / 9, 7.5 / 9, 5.5 / 9], abs=0.08)


def test_rewards_come_with_the_last_step_or_are_shaped():
    architecture = NESTED.canonical({"kind": "wide", "width": 2, "last": "y"})
    for shaped, expected in ((False, [0.0, 0.0, 0.5]), (True, [0.5 / 3] * 3)):
        agent = DeepAgent(NESTED, DeepQ(**SETTINGS, shaped=shaped))
        agent.ladder = [1.0]
        assert agent.rewards([(Record.of(NESTED, architecture), 1.0)]) == pytest.approx(expected)


# ---------------------------------------------------------------------- the agent


def test_the_target_network_is_renewed_after_so_many_updates():
    agent = DeepAgent(TWO, DeepQ(**SETTINGS))
    history = history_of(TWO, 3)
    before = agent.target.heads.weight.clone()
    for count, renewed in ((1, False), (2, True)):
        part = History(Objective("a"))
        for trial in history.trials[:count]:
            part.add(Trial(trial.number, trial.architecture, seed=trial.seed))
            part.add(trial)
        agent.learn(part)  # two updates each, renewed after three
        assert bool((agent.target.heads.weight != before).any()) is renewed
        assert (agent.online.heads.weight != agent.target.heads.weight).any()


def test_the_memory_keeps_the_latest_episodes():
    agent = DeepAgent(TWO, DeepQ(**SETTINGS | {"memory": 5}))
    agent.learn(history_of(TWO, 12))
    assert [score for _, score in agent.memory] == [10, 11, 7, 8, 9]
    assert agent.ladder == list(range(12))  # rewards are standings among all


def test_greedy_episodes_take_what_is_worth_most_and_random_ones_anything():
    agent = DeepAgent(TWO, DeepQ(**SETTINGS))
    with torch.no_grad():
        agent.online.heads.weight.zero_()
        agent.online.body[2].weight.zero_()
        agent.online.body[2].bias.fill_(1.0)
        agent.online.heads.weight[0, 16:32] = 1.0  # the second action of the first step, the last of the second
        agent.online.heads.weight[1, 48:64] = 1.0
    found = agent.sample([0.0] * 5 + [1.0] * 200, np.random.default_rng(0))
    assert set(found[:5]) == {TWO.canonical({"first": 1, "second": 3})}
    assert len(set(found[5:])) == TWO.size


@pytest.mark.parametrize("unit", [1.0, 1e300])
def test_it_learns_the_same_on_every_scale(unit):
    weights = []
    for scale in (1.0, unit):
        agent = DeepAgent(TWO, DeepQ(**SETTINGS))
        agent.learn(history_of(TWO, 10, lambda number, scale=scale: scale * (number % 4)))
        weights.append(agent.online.heads.weight)
    assert (weights[0] == weights[1]).all()


def test_it_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    DeepAgent(TWO, DeepQ(**SETTINGS)).learn(history_of(TWO, 5))
    assert (torch.random.get_rng_state() == before).all()


def test_it_learns_to_propose_what_is_good():
    for seed in range(2):
        study = aw.Study(EIGHT, strategy="deep-q", seed=seed)
        for _ in range(100):
            trial = study.ask()
            study.tell(trial, sum(trial.architecture.values()))
        scores = study.history.scores
        assert np.mean(scores[-20:]) > np.mean(scores[:20]) + 6  # random: 16 of 32, with a deviation of 4


def test_it_learns_what_no_single_decision_tells():
    """Only pairs of decisions are worth something: each value of one alone is worth the same on the average."""
    space = aw.Space(**{f"e{place}": aw.choice(*range(4)) for place in range(6)})
    late = {"deep-q": [], "random": []}
    for name, found in late.items():
        for seed in range(2):
            study = aw.Study(space, strategy=name, seed=seed)
            for _ in range(120):
                trial = study.ask()
                made = list(trial.architecture.values())
                study.tell(trial, sum((made[place] + made[place + 1]) % 4 == place % 4 for place in (0, 2, 4)))
            found.append(np.mean(study.history.scores[-40:]))
    assert min(late["deep-q"]) > max(late["random"]) + 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory": 0}, "memory must be an integer of 1 or more, not 0"),
        ({"epsilon": 1.1}, "epsilon must be a number from 0 to 1"),
        ({"rate": 0.0}, "rate must be a number above 0"),
    ],
)
def test_settings_are_checked_at_once(options, message):
    with pytest.raises(StrategyError, match=message):
        DeepQ(**options)
