"""FairNAS: each step trains all options of a decision equally often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch import Tensor

from archwright._checks import check_counts
from archwright.space import Decision, Subset, Value
from archwright.supernet._base import Batch, Relaxation, option_count, register
from archwright.supernet._execution import Draw

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet
    from archwright.supernet._trainer import Trainer

_TRIES = 100  # sets of paths that are drawn until constraints hold in all


@register("fair")
@dataclass(frozen=True)
class Fair(Relaxation):
    """Several paths per step, in which each option of a decision occurs once (FairNAS).

    Chu, Zhang and Xu, "FairNAS: Rethinking evaluation fairness of weight sharing neural architecture search", ICCV
    2021. The values of each decision are permuted at random; path i takes the i-th value of each; a step uses the
    mean gradient of all paths. The number of paths is that of the values of the largest decision; a smaller
    decision starts a new permutation, so its counts differ by one at most. A node that keeps k of its n edges keeps
    each k times in n paths. A decision inside an option counts only in paths that take the option. With
    constraints, sets of paths are rejected until all paths are feasible; after a hundred rejections the best set is
    used, with its infeasible paths replaced.

    Args:
        most: The maximum number of paths, 1 or more. A decision with more values uses each at most once in a step.

    Example:
        >>> model = nn.Sequential(aw.choice(nn.ReLU(), nn.Tanh(), name="act"), nn.Linear(4, 3))
        >>> supernet = aw.Supernet(aw.Space(model=model, example_input=(4,)), aw.supernet.Fair())
        >>> sorted(path["act"] for path in supernet.relaxation.paths(supernet))
        ['ReLU()', 'Tanh()']
    """

    learns: ClassVar[bool] = False

    most: int = 12

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "most")

    def draw(self, supernet: Supernet, progress: float) -> Draw:
        """Return one architecture."""
        return Draw(dict(supernet.space.sample(supernet.rng)))

    def paths(self, supernet: Supernet) -> list[dict[str, Value]]:
        """Return the paths of one step: a value for each decision that is not of the model's others."""
        space, rng = supernet.space, supernet.rng
        ours = {**supernet.branches, **supernet.sizes}
        count = min(max((option_count(decision) for decision in ours.values()), default=1), self.most)
        best: list[dict[str, Value]] = []
        broken = count + 1
        for _ in range(_TRIES if space.where else 1):
            columns = {
                name: _column(decision, count, rng) if name in ours else [decision.sample(rng) for _ in range(count)]
                for name, decision in space.decisions.items()
            }
            rows = [{name: column[row] for name, column in columns.items()} for row in range(count)]
            kept = [not space.where or space.canonical(row) in space for row in rows]
            if kept.count(False) < broken:
                broken = kept.count(False)
                best = [row if good else dict(space.sample(rng)) for row, good in zip(rows, kept, strict=True)]
            if not broken:
                break
        return best

    def weight_step(self, trainer: Trainer, batch: Batch) -> Tensor:
        """Make one step of the weights with the mean gradient of all paths."""
        paths = self.paths(trainer.supernet)
        total: Tensor | None = None
        for number, values in enumerate(paths):
            loss = trainer.loss(Draw(values).decided(trainer.supernet.decided), batch) / len(paths)
            trainer.accumulate(loss, first=number == 0)
            total = loss.detach() if total is None else total + loss.detach()
        trainer.step_weights()
        assert total is not None
        return total


def _column(decision: Decision, count: int, rng: np.random.Generator) -> list[Value]:
    if not isinstance(decision, Subset):
        values = list(decision.values())
        orders = _rounds(len(values), -(-count // len(values)), rng)
        return [values[index] for order in orders for index in order][:count]
    size = len(decision.options)
    kept = len(decision.sample(rng))  # type: ignore[arg-type]  # a subset's value is a tuple
    rounds = -(-count // size)
    windows = [np.roll(order, -start)[:kept] for order in _rounds(size, rounds, rng) for start in range(size)]
    return [decision.pick(window) for window in windows[:count]]


def _rounds(size: int, rounds: int, rng: np.random.Generator) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    return [rng.permutation(size) for _ in range(rounds)]
