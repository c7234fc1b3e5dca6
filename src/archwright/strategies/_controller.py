"""The LSTM policy of the controllers. Importing this loads torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from archwright.evaluate import seeded
from archwright.space import Architecture, Space
from archwright.strategies._earlier import earlier_histories
from archwright.strategies._episode import Episode, episode_layout, first_new, moves
from archwright.trials import History

_HEAT = ((1.0,), (1.0, 1.0, 1.0, 1.5, 2.0, 3.0, 5.0))  # of the episodes drawn for a proposal, until one is new
_LEAST = 1e-3  # advantages of a smaller standard deviation are as good as equal, and stay as they are
_NEVER = -1e9  # the log-probability of what is not allowed; finite, so that nothing becomes NaN


@dataclass(frozen=True)
class Paths:
    """The episodes that make some architectures, one after the other in each row, padded."""

    before: Tensor  # (n, length) the action taken just before each step, numbered over all steps from 1; 0 at the start
    steps: Tensor  # (n, length) the numbers of the steps
    taken: Tensor  # (n, length) the actions
    prior: Tensor  # (n, length, most) log-probabilities of the actions in a uniform draw
    real: Tensor  # (n, length) whether there is a step; the rest is padding


class Controller(nn.Module):
    """LSTM controller: an autoregressive distribution over the architectures of a space.

    Zoph and Le, "Neural architecture search with reinforcement learning", ICLR 2017; Pham et al., "Efficient neural
    architecture search via parameter sharing", ICML 2018, for temperature and tanh constant. The probability of an
    architecture is the product over its decisions of p(decision | decisions before it), each a softmax over its
    actions. A large subset is decided option by option; reals and long ranges are divided into parts, which are the
    actions.

    Args:
        space: The space.
        hidden: Units of the LSTM and of the embedding of an action.
        temperature: The divisor of the logits, above 0.
        tanh_constant: The bound c of the logits, c tanh(logit); 0 for no bound.
        dtype: The type of the weights.

    Example:
        >>> space = aw.Space(x=aw.choice(1, 2), y=aw.choice(1, 2))
        >>> controller = aw.strategies.Controller(space)
        >>> log_probabilities, entropies = controller.evaluate(list(space.enumerate()))
        >>> round(log_probabilities.exp().sum().item(), 3)
        1.0
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
        layout = episode_layout(space)
        self.most = layout.most
        count = max(1, len(layout.steps))
        with seeded(0, "cpu"):  # weights of their own seed, and the global generator as it was
            self.embed = nn.Embedding(1 + layout.total, hidden, dtype=dtype)
            self.lstm = nn.LSTM(hidden, hidden, batch_first=True, dtype=dtype)
            self.heads = nn.Embedding(count, layout.most * hidden, dtype=dtype)  # a linear layer for each step
            self.bias = nn.Embedding(count, layout.most, dtype=dtype)
            self.cell = nn.LSTMCell(hidden, hidden, dtype=dtype)  # the same LSTM, quicker for one step
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                setattr(self.cell, name, getattr(self.lstm, f"{name}_l0"))
            for weights in self.parameters():
                nn.init.uniform_(weights, -0.1, 0.1)

    def logits(self, hidden: Tensor, steps: Tensor) -> Tensor:
        """Return the (..., most) logits of the actions.

        Args:
            hidden: (..., hidden) the outputs of the LSTM.
            steps: (...) the numbers of the steps.
        """
        heads = self.heads(steps).unflatten(-1, (self.most, -1))
        logits: Tensor = ((heads @ hidden[..., None])[..., 0] + self.bias(steps)) / self.temperature
        return self.tanh_constant * torch.tanh(logits) if self.tanh_constant else logits

    def evaluate(self, architectures: Sequence[Architecture] | Paths) -> tuple[Tensor, Tensor]:
        """Return the (n,) log-probabilities of architectures, and the (n,) sums of the entropies of their decisions."""
        paths = architectures if isinstance(architectures, Paths) else self.read(architectures)
        if not paths.real.any():
            zeros = self.embed.weight.new_zeros(len(paths.real))
            return zeros, zeros
        hidden, _ = self.lstm(self.embed(paths.before))
        chances = torch.log_softmax(self.logits(hidden, paths.steps) + paths.prior, dim=-1)
        taken = chances.gather(-1, paths.taken[..., None])[..., 0]
        entropy = -(chances.exp() * chances).sum(-1)
        return (taken * paths.real).sum(1), (entropy * paths.real).sum(1)

    def read(self, architectures: Sequence[Architecture]) -> Paths:
        """Return the episodes that make some architectures."""
        rows = [moves(self.space, architecture) for architecture in architectures]
        shape = (len(rows), max(map(len, rows), default=0))
        before, steps, taken = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        weights, real = np.zeros((*shape, self.most)), np.zeros(shape, dtype=bool)
        weights[:, :, :1] = 1.0  # padding has an action, and nothing is NaN
        for row, row_moves in enumerate(rows):
            for place, move in enumerate(row_moves):
                steps[row, place], taken[row, place], real[row, place] = move.step.number, move.action, True
                weights[row, place, : move.step.count] = move.weights
                if place + 1 < len(row_moves):
                    before[row, place + 1] = 1 + move.step.first + move.action
        logarithms = np.where(weights > 0, np.log(np.where(weights > 0, weights, 1.0)), _NEVER)
        prior = torch.from_numpy(logarithms).to(self.embed.weight.dtype)
        made = torch.from_numpy
        return Paths(made(before), made(steps), made(taken), prior, made(real))

    @torch.inference_mode()
    def sample(self, rng: np.random.Generator, heat: Sequence[float] = (1.0,)) -> list[Architecture]:
        """Return a batch of sampled architectures; constraints are not checked.

        Args:
            rng: The source of randomness.
            heat: For each of them a further divisor of the logits.
        """
        episodes = [Episode(self.space) for _ in heat]
        rows = [row for row, episode in enumerate(episodes) if episode.due is not None]
        before = np.zeros(len(rows), dtype=np.int64)
        state: tuple[Tensor, Tensor] | None = None
        while rows:
            open_ = [episodes[row] for row in rows]
            state = self.cell(self.embed(torch.from_numpy(before)), state)
            numbers = torch.tensor([episode.due.number for episode in open_ if episode.due is not None])
            logits = self.logits(state[0], numbers).double().numpy()
            chances = np.zeros((len(rows), self.most))
            for row, episode in enumerate(open_):
                chances[row, : len(episode.weights)] = episode.weights
            logits /= np.array([heat[row] for row in rows])[:, None]
            logits -= np.where(chances > 0, logits, -np.inf).max(1, keepdims=True)
            chances *= np.exp(np.minimum(logits, 0.0))  # the greatest is 1, so nothing overflows or is lost
            edges = chances.cumsum(1)
            drawn_at = np.minimum(rng.random((len(rows), 1)) * edges[:, -1:], np.nextafter(edges[:, -1:], 0.0))
            actions = (edges <= drawn_at).sum(1)
            for episode, action in zip(open_, actions.tolist(), strict=True):
                episode.take(action, rng)
            kept = [place for place, episode in enumerate(open_) if episode.due is not None]
            rows = [rows[place] for place in kept]
            last = [open_[place].moves[-1] for place in kept]
            before = np.array([1 + move.step.first + move.action for move in last], dtype=np.int64)
            state = (state[0][kept], state[1][kept])
        return [episode.architecture for episode in episodes]


@dataclass(frozen=True)
class Batch:
    """Architectures that the policy proposed, with what they brought."""

    architectures: Sequence[Architecture] | Paths  # (n,) of them, or the episodes that make them
    advantages: Tensor  # (n,) rewards above the baseline
    before: Tensor  # (n,) their log-probabilities before the update


Loss = Callable[[Controller, Batch], Tensor]


@dataclass(eq=False)
class Learner:
    """A controller that learns from a history, batch by batch.

    The reward of a trial is the share of the trials before it that it beats, and half of those it equals: so it
    means the same for every metric and every scale. The baseline is a moving mean of the rewards before it, so it
    leaves the expected gradient as it is.
    """

    controller: Controller  # the policy
    loss: Loss  # what a step of the optimizer makes smaller
    _: KW_ONLY
    batch: int  # trials of an update
    epochs: int  # steps of the optimizer for each batch
    rate: float  # the learning rate of Adam
    decay: float  # how much of the baseline is kept with each trial
    scaled: bool = False  # whether the advantages of a batch are divided by their standard deviation
    baseline: float = field(default=0.5, init=False)
    replayed: int = field(default=0, init=False)
    is_ready: bool = field(default=False, init=False)  # whether it has learnt from earlier runs

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.Adam(self.controller.parameters(), lr=self.rate, fused=True)

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Learn what there is to learn, and return a draw of the policy."""
        if not self.is_ready:
            for earlier in earlier_histories(history):
                self.replay(earlier)
                self.replayed = 0
            self.is_ready = True
        self.replay(history)
        return drawn(self.controller, space, history, rng)

    def replay(self, history: History) -> None:
        """Learn from every whole batch of complete trials that has come since."""
        if self.controller.most < 2:
            return  # there is nothing to decide
        while self.replayed + self.batch <= len(history.complete):
            first, last = self.replayed, self.replayed + self.batch
            scores = np.asarray(history.scores[:last])
            advantages = []
            for index in range(first, last):
                reward = standing(scores[:index], scores[index])
                advantages.append(reward - self.baseline)
                self.baseline = self.decay * self.baseline + (1 - self.decay) * reward
            if self.scaled:
                spread = float(np.std(advantages))
                advantages = [advantage / spread if spread > _LEAST else advantage for advantage in advantages]
            paths = self.controller.read([trial.architecture for trial in history.complete[first:last]])
            with torch.no_grad():
                before, _ = self.controller.evaluate(paths)
            batch = Batch(paths, before.new_tensor(advantages), before)
            for _ in range(self.epochs):
                self.optimizer.zero_grad()
                self.loss(self.controller, batch).backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self.controller.parameters(), 5.0)
                self.optimizer.step()
            self.replayed = last


def standing(past: NDArray[np.float64], score: float) -> float:
    """Return the share of past scores that a score beats, and half of those it equals; a half where there is none."""
    return float((past < score).mean() + 0.5 * (past == score).mean()) if len(past) else 0.5


def drawn(controller: Controller, space: Space, history: History, rng: np.random.Generator) -> Architecture:
    """Return a draw of the policy that is in the space and new; of a policy that is more random where it has none."""

    def draws() -> Iterator[Architecture]:
        for heat in _HEAT:
            yield from controller.sample(rng, heat)

    return first_new(draws(), space, history, rng)
