"""The Q-network, and its training from replay memory. Importing this loads torch."""

from __future__ import annotations

import copy
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from archwright.evaluate import seeded
from archwright.space import Architecture, Space
from archwright.strategies._earlier import earlier_histories
from archwright.strategies._episode import Episode, episode_layout, retrace
from archwright.strategies._qlearning import standing
from archwright.trials import History

if TYPE_CHECKING:
    from archwright.strategies._deepq import DeepQ


class QNetwork(nn.Module):
    """What each action is worth, given what has been decided and what is due.

    Two layers see the vector of `Episode.observe`; each step has a linear layer of its own on top of them.
    """

    missing: Tensor

    def __init__(self, space: Space, *, hidden: int = 64, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        layout = episode_layout(space)
        count = max(1, len(layout.steps))
        self.most = layout.most
        with seeded(0, "cpu"):  # weights of their own seed, and the global generator as it was
            self.body = nn.Sequential(
                nn.Linear(layout.length, hidden, dtype=dtype),
                nn.ReLU(),
                nn.Linear(hidden, hidden, dtype=dtype),
                nn.ReLU(),
            )
            self.heads = nn.Embedding(count, layout.most * hidden, dtype=dtype)
            nn.init.uniform_(self.heads.weight, -0.1, 0.1)
        missing = torch.zeros(count, layout.most, dtype=dtype)
        for step in layout.steps:
            missing[step.number, step.count :] = -torch.inf
        self.register_buffer("missing", missing)

    def forward(self, seen: Tensor, steps: Tensor) -> Tensor:
        """Return the (n, most) values of the actions, minus infinity for those that a step lacks.

        Args:
            seen: (n, length) what `Episode.observe` returns.
            steps: (n,) the numbers of the steps that are due.
        """
        heads = self.heads(steps).unflatten(-1, (self.most, -1))
        values: Tensor = (heads @ self.body(seen)[..., None])[..., 0] + self.missing[steps]
        return values


@dataclass(frozen=True)
class Record:
    """An episode in memory, or several in a row."""

    seen: Tensor  # (n, length) what was observed before each step
    steps: Tensor  # (n,) the numbers of the steps
    taken: Tensor  # (n,) the actions
    last: Tensor  # (n,) whether the episode ended with it

    @classmethod
    def of(cls, space: Space, architecture: Architecture) -> Record:
        """Return the episode that makes an architecture."""
        rows = [
            (episode.observe(), episode.due.number, action)
            for episode, action in retrace(space, architecture)
            if episode.due is not None
        ]
        seen, steps, taken = zip(*rows, strict=True) if rows else ((), (), ())
        last = torch.zeros(len(rows), dtype=torch.bool)
        last[-1:] = True
        made = torch.from_numpy(np.array(seen, dtype=np.float32).reshape(len(rows), episode_layout(space).length))
        return cls(made, torch.tensor(steps, dtype=torch.long), torch.tensor(taken, dtype=torch.long), last)

    @classmethod
    def joined(cls, records: Sequence[Record]) -> Record:
        """Return several episodes one after the other."""
        fields = ([getattr(record, name) for record in records] for name in ("seen", "steps", "taken", "last"))
        return cls(*(torch.cat(parts) for parts in fields))


def temporal_difference(
    online: QNetwork, target: QNetwork, record: Record, rewards: Tensor, discount: float
) -> tuple[Tensor, Tensor]:
    """Return the (n,) values of the actions taken, and the (n,) values that they should have.

    That is the reward, and what the target network gives for the action that the online network finds best in the step
    that follows: double Q-learning, van Hasselt, Guez and Silver, AAAI 2016.
    """
    values = online(record.seen, record.steps)
    with torch.no_grad():
        best = values.argmax(1, keepdim=True)
        ahead = target(record.seen, record.steps).gather(1, best)[:, 0].roll(-1)  # of the step that follows
        goals = rewards + discount * torch.where(record.last, 0.0, ahead)
    return values.gather(1, record.taken[:, None])[:, 0], goals


class DeepAgent:
    """A network that learns from a history, trial by trial, as the strategy's settings say."""

    def __init__(self, space: Space, settings: DeepQ) -> None:
        self.space = space
        self.settings = settings
        self.online = QNetwork(space, hidden=settings.hidden)
        self.target = copy.deepcopy(self.online)
        self.optimizer = torch.optim.Adam(self.online.parameters(), lr=settings.rate, fused=True)
        self.memory: list[tuple[Record, float]] = []  # episodes with their scores
        self.ladder: list[float] = []  # all scores in order
        self.replayed = 0
        self.is_ready = False  # whether it has learnt from earlier runs

    def learn(self, history: History) -> None:
        """Learn from every complete trial that has come since; before the first from those of earlier runs."""
        if not self.is_ready:
            self.is_ready = True
            for earlier in earlier_histories(history):
                self.learn(earlier)
                self.memory, self.ladder, self.replayed = [], [], 0
        settings = self.settings
        for trial in history.complete[self.replayed :]:
            entry = Record.of(self.space, trial.architecture), history.score(trial)
            place = self.replayed % settings.memory
            self.memory[place : place + 1] = [entry]
            insort(self.ladder, entry[1])
            self.replayed += 1
            rng = np.random.default_rng([trial.seed, 2])
            for number in range(settings.updates):
                drawn = [place, *rng.integers(len(self.memory), size=settings.replay - 1).tolist()]
                self._update([self.memory[index] for index in drawn])
                if ((self.replayed - 1) * settings.updates + number + 1) % settings.renewal == 0:
                    self.target.load_state_dict(self.online.state_dict())

    def rewards(self, episodes: Sequence[tuple[Record, float]]) -> list[float]:
        """Return what each step of some episodes, given with their scores, brings at the time."""
        rewards: list[float] = []
        for one, score in episodes:
            total, length = standing(self.ladder, score), len(one.steps)
            rewards += [total / length] * length if self.settings.shaped else ([0.0] * (length - 1) + [total])[:length]
        return rewards

    def _update(self, episodes: Sequence[tuple[Record, float]]) -> None:
        record = Record.joined([record for record, _ in episodes])
        if not len(record.steps):
            return
        rewards = torch.tensor(self.rewards(episodes))
        values, goals = temporal_difference(self.online, self.target, record, rewards, self.settings.discount)
        self.optimizer.zero_grad()
        nn.functional.smooth_l1_loss(values, goals).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()

    @torch.inference_mode()
    def sample(self, shares: Sequence[float], rng: np.random.Generator) -> list[Architecture]:
        """Return the architectures of epsilon-greedy episodes, drawn side by side; constraints are not looked at.

        Each has a share of random actions of its own.
        """
        episodes = [Episode(self.space) for _ in shares]
        while True:
            open_ = [
                (episode, episode.due.number, share)
                for episode, share in zip(episodes, shares, strict=True)
                if episode.due is not None
            ]
            if not open_:
                return [episode.architecture for episode in episodes]
            seen = torch.from_numpy(np.stack([episode.observe() for episode, _, _ in open_]))
            best = self.online(seen, torch.tensor([number for _, number, _ in open_])).argmax(1).tolist()
            for (episode, _, share), action in zip(open_, best, strict=True):
                episode.take(episode.draw(rng) if rng.random() < share else action, rng)
