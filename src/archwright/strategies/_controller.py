"""An LSTM that makes one decision after the other: the policy of the controllers. Importing this loads torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from archwright.space import Architecture, Decision, Space, Value
from archwright.strategies._actions import action_of, count_actions, value_of
from archwright.trials import History

__all__ = ["Batch", "Controller", "Learner", "Loss"]


class Controller(nn.Module):
    """A distribution over the architectures of a space, decision by decision.

    Zoph and Le, "Neural architecture search with reinforcement learning", ICLR 2017; Pham et al., "Efficient neural
    architecture search via parameter sharing", ICML 2018, for temperature and tanh constant. Each decision has a
    softmax of its own over its actions and sees, through the LSTM, all that was decided before it.

    Args:
        space: The space.
        hidden: Units of the LSTM and of the embedding of an action.
        temperature: What logits are divided by, above 0.
        tanh_constant: Logits lie between minus and plus this; 0 leaves them as they are.
        dtype: Of the weights.
    """

    def __init__(
        self,
        space: Space,
        *,
        hidden: int = 64,
        temperature: float = 1.0,
        tanh_constant: float = 2.5,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.space = space
        self.temperature = temperature
        self.tanh_constant = tanh_constant
        counts = {name: count_actions(decision) for name, decision in space.decisions.items()}
        self.start = dict(zip(counts, np.cumsum([1, *counts.values()]).tolist(), strict=False))
        with torch.random.fork_rng(devices=()):  # weights of their own seed, and the global generator as it was
            torch.manual_seed(0)
            self.embed = nn.Embedding(1 + sum(counts.values()), hidden, dtype=dtype)
            self.cell = nn.LSTMCell(hidden, hidden, dtype=dtype)
            self.heads = nn.ModuleList(nn.Linear(hidden, count, dtype=dtype) for count in counts.values())
            for weights in self.parameters():
                nn.init.uniform_(weights, -0.1, 0.1)
        self.place = {name: index for index, name in enumerate(counts)}

    def step(self, name: str, before: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the (batch, actions) log-probabilities of a decision, and the LSTM's state after it.

        Args:
            name: The decision.
            before: (batch,) the actions taken just before, numbered over all decisions; 0 at the start.
            state: The LSTM's state before.
        """
        state = self.cell(self.embed(before), state)
        logits = self.heads[self.place[name]](state[0]) / self.temperature
        if self.tanh_constant:
            logits = self.tanh_constant * torch.tanh(logits)
        return torch.log_softmax(logits, dim=1), state

    def zero_state(self, batch: int) -> tuple[Tensor, Tensor]:
        """Return the LSTM's state before the first decision."""
        zeros = self.embed.weight.new_zeros(batch, self.cell.hidden_size)
        return zeros, zeros

    @torch.no_grad()
    def sample(self, rng: np.random.Generator) -> Architecture:
        """Return an architecture drawn from the distribution; constraints are not looked at."""
        state, before = self.zero_state(1), torch.zeros(1, dtype=torch.long)

        def rule(name: str, decision: Decision) -> Value:
            nonlocal state, before
            log_probabilities, state = self.step(name, before, state)
            edges = log_probabilities[0].double().exp().cumsum(0).numpy()
            action = min(int(np.searchsorted(edges, rng.random() * edges[-1], side="right")), len(edges) - 1)
            before = torch.tensor([self.start[name] + action])
            return value_of(decision, action, rng)

        return self.space.decide(rule)

    def judge(self, architectures: Sequence[Architecture]) -> tuple[Tensor, Tensor]:
        """Return the (n,) log-probabilities of architectures, and the (n,) entropies of the decisions on the way."""
        alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for index, architecture in enumerate(architectures):
            alike[tuple(architecture)].append(index)
        where: list[int] = []
        found: list[tuple[Tensor, Tensor]] = []
        for names, indices in alike.items():
            state, before = self.zero_state(len(indices)), torch.zeros(len(indices), dtype=torch.long)
            total = entropy = self.embed.weight.new_zeros(len(indices))
            for name in names:
                decision = self.space.decisions[name]
                taken = torch.tensor([action_of(decision, architectures[index][name]) for index in indices])
                log_probabilities, state = self.step(name, before, state)
                total = total + log_probabilities.gather(1, taken[:, None])[:, 0]
                entropy = entropy - (log_probabilities.exp() * log_probabilities).sum(1)
                before = self.start[name] + taken
            where += indices
            found.append((total, entropy))
        order = torch.tensor(where).argsort()
        return torch.cat([total for total, _ in found])[order], torch.cat([entropy for _, entropy in found])[order]


@dataclass(frozen=True)
class Batch:
    """Architectures that the policy proposed, with what they brought.

    Args:
        architectures: (n,) of them.
        advantages: (n,) rewards above the baseline.
        before: (n,) their log-probabilities when they were proposed.
    """

    architectures: Sequence[Architecture]
    advantages: Tensor
    before: Tensor


Loss = Callable[[Controller, Batch], Tensor]


class Learner:
    """A controller that learns from a history, batch by batch.

    The reward of a trial is the share of the trials before it that it beats, and half of those it equals: so it
    means the same for every metric and every scale. The baseline is a moving mean of the rewards.

    Args:
        controller: The policy.
        loss: What a step of the optimizer makes smaller.
        batch: Trials of an update.
        epochs: Steps of the optimizer for each batch.
        rate: The learning rate of Adam.
        decay: How much of the baseline is kept with each trial.
    """

    def __init__(
        self, controller: Controller, loss: Loss, *, batch: int, epochs: int, rate: float, decay: float
    ) -> None:
        self.controller = controller
        self.loss = loss
        self.batch = batch
        self.epochs = epochs
        self.decay = decay
        self.baseline = 0.5
        self.replayed = 0
        self.optimizer = torch.optim.Adam(controller.parameters(), lr=rate)

    def replay(self, history: History) -> None:
        """Learn from every whole batch of complete trials that has come since."""
        while self.replayed + self.batch <= len(history.complete):
            first, last = self.replayed, self.replayed + self.batch
            scores = np.asarray(history.scores[:last])
            advantages = []
            for index in range(first, last):
                past = scores[:index]
                reward = ((past < scores[index]).sum() + 0.5 * (past == scores[index]).sum()) / index if index else 0.5
                advantages.append(float(reward) - self.baseline)
                self.baseline = self.decay * self.baseline + (1 - self.decay) * float(reward)
            architectures = [trial.architecture for trial in history.complete[first:last]]
            with torch.no_grad():
                before, _ = self.controller.judge(architectures)
            batch = Batch(architectures, before.new_tensor(advantages), before)
            for _ in range(self.epochs):
                self.optimizer.zero_grad()
                self.loss(self.controller, batch).backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self.controller.parameters(), 5.0)
                self.optimizer.step()
            self.replayed = last
