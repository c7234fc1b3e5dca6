"""ProxylessNAS: binary gates over two sampled paths, with an optional cost in the loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from archwright._checks import check_options, check_positive
from archwright.space import Choice, Subset
from archwright.supernet._base import Batch, Relaxation, register
from archwright.supernet._costs import KINDS, Costs
from archwright.supernet._execution import Draw, Mix
from archwright.trials import canonical

if TYPE_CHECKING:
    from archwright.supernet._supernet import Supernet
    from archwright.supernet._trainer import Trainer


@register("gates")
@dataclass(frozen=True)
class Gates(Relaxation):
    """One sampled path with binary gates; architecture logits learn from two options at a time (ProxylessNAS).

    Cai, Zhu and Han, "ProxylessNAS: Direct neural architecture search on target task and hardware", ICLR 2019. In a
    step of the logits two options of each branch are sampled and computed, and a binary gate, sampled from the two,
    selects one. The gradient of the gates updates the two logits, which are then shifted so that the probabilities of
    all other options stay. With `cost`, the expected cost is added to the loss: sum over the branches of sum p_i
    cost_i, relative to the most expensive option in each. The cost of an option is measured once, on a batch, with the
    middle value of all decisions that size layers, whose own cost is not covered. A branch inside an option is weighted
    as if the option were chosen.

    Args:
        cost: "latency" (median seconds of a forward pass, on the machine and device of the training), "flops",
            "parameters", or "" for none.
        cost_weight: The weight of the expected cost, which is between 0 and 1; above 0.
        rate: The learning rate of Adam, above 0; `None` to derive it from the number of steps.

    Example:
        >>> model = nn.Sequential(aw.choice(nn.ReLU(), nn.Tanh(), name="act"), nn.Linear(4, 3))
        >>> supernet = aw.Supernet(aw.Space(model=model, example_input=(4,)), aw.supernet.Gates())
        >>> len(supernet.draw().mixes["act"].active)
        1
    """

    absent: ClassVar[bool] = True

    cost: str = ""
    cost_weight: float = 0.1
    rate: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.cost, str):
            object.__setattr__(self, "cost", canonical(self.cost))
        check_options(self, cost=("", *KINDS))
        check_positive(self, "cost_weight", *(["rate"] if self.rate is not None else []))

    def prepare(self, supernet: Supernet) -> Costs | None:
        """Return where costs will be kept, if they count."""
        return Costs(supernet, self.cost) if self.cost else None

    def optimizer(self, parameters: list[nn.Parameter], steps: int, rate: float | None) -> torch.optim.Optimizer:
        """Return Adam without momentum, so that a logit moves only when its option was drawn."""
        made = super().optimizer(parameters, steps, rate or self.rate)
        return torch.optim.Adam(parameters, lr=made.defaults["lr"], betas=(0.0, 0.999))

    def branch(self, supernet: Supernet, name: str, decision: Choice | Subset, progress: float) -> Mix:
        """Return the options that were drawn of a branch: one, or as many as a subset takes."""
        if name not in supernet.logits:
            return Mix()
        count = max(decision.low, 1) if isinstance(decision, Subset) else 1
        return Mix(active=tuple(self._drawn(supernet, name, count)))

    def pairs(self, supernet: Supernet, progress: float) -> tuple[Draw, dict[str, list[int]]]:
        """Return the draw of a step of the logits, and the two competing options of each branch, by name."""
        draw = self.draw(supernet, progress)
        two = {name: self._drawn(supernet, name, 2) for name in draw.mixes if name in supernet.logits}
        mixes = {name: self._gate(supernet, name, options) for name, options in two.items()}
        return replace(draw, mixes={**draw.mixes, **mixes}).decided(supernet.decided), two

    def arch_step(self, trainer: Trainer, batch: Batch, weight_batch: Batch) -> Tensor:
        """Make one step of the logits."""
        supernet, plan = trainer.supernet, trainer.supernet.plan
        assert trainer.logits is not None
        if plan is not None and not plan.is_measured:
            plan.measure(supernet, batch[0])
        draw, two = self.pairs(supernet, trainer.progress)
        loss = trainer.loss(draw, batch)
        objective = trainer.surrogate(draw, loss) + self.penalty(supernet)
        trainer.logits.zero_grad(set_to_none=True)
        if objective.requires_grad:
            torch.autograd.backward(objective, inputs=supernet.arch_parameters())
        with torch.no_grad():
            mass = {}
            for name, options in two.items():
                logits = supernet.logits[name]
                mass[name] = logits[options].logsumexp(0)
                if logits.grad is not None:
                    logits.grad.mul_(torch.zeros_like(logits).index_fill_(0, _index(logits, options), 1.0))
            trainer.step_logits()
            for name, options in two.items():
                logits = supernet.logits[name]
                logits[options] += mass[name] - logits[options].logsumexp(0)
        return loss.detach()

    def penalty(self, supernet: Supernet) -> Tensor | float:
        """Return () the expected cost, from 0 to 1, times its weight."""
        plan = supernet.plan
        return 0.0 if plan is None else self.cost_weight * plan.expected(supernet)

    def _drawn(self, supernet: Supernet, name: str, count: int) -> list[int]:
        """Return different options, drawn one after the other."""
        shares = supernet.logits[name].detach().log_softmax(0).double().cpu().numpy()
        noisy = shares + supernet.rng.gumbel(size=len(shares))  # the largest k: without replacement
        return [int(index) for index in np.argsort(-noisy)[:count]]

    def _gate(self, supernet: Supernet, name: str, options: list[int]) -> Mix:
        """Return two options, of which one counts; gradients are those of their probabilities among the two."""
        logits = supernet.logits[name]
        shares = logits[options].softmax(0)
        taken = int(supernet.rng.random() >= float(shares[0].detach()))
        hard = torch.zeros_like(shares)
        hard[taken] = 1.0
        gates = hard + (shares - shares.detach())
        return Mix(torch.zeros_like(logits).index_add(0, _index(logits, options), gates), tuple(options))


def _index(logits: Tensor, options: list[int]) -> Tensor:
    return torch.tensor(options, device=logits.device)
