"""One-shot strategies, which train a supernet before the first trial."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from archwright._checks import check_counts, check_options, check_positive, check_shares
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.trials import History, canonical


@dataclass(frozen=True)
class OneShot(Strategy):
    """Base class of one-shot strategies: propose what a trained supernet derives, then samples of its distribution.

    `search` trains the supernet before the first trial, with the relaxation that the strategy names, on the data of the
    search. The derived architectures are stored in `History.learned`. After the last of them, mutations of the best
    measured architecture are proposed. A study that is driven by `ask` and `tell` has no supernet; its first
    architecture is random.

    Args:
        epochs: Training epochs of the supernet; `None` to derive them from data and budget.
        early_stop: Number of skip connections in the derived architecture that ends the training (DARTS+, Liang et al.
            2019); 0 for never.
        selection: "strength" takes the option with the largest weight; "perturbation" the one whose removal costs the
            trained supernet most (DARTS-PT, Wang et al. 2021).
        warmup: The share of the training in which only the network's weights are updated.

    Raises:
        StrategyError: One is out of its range.

    Attributes:
        relaxation: The name of the relaxation.

    Example:
        >>> issubclass(aw.strategies.DARTS, aw.strategies.OneShot), aw.strategies.DARTS().relaxation
        (True, 'softmax')
    """

    recursive: ClassVar[bool] = False

    relaxation: ClassVar[str]

    epochs: int | None = None
    early_stop: int = 0
    selection: str = "strength"
    warmup: float = 0.2

    def __post_init__(self) -> None:
        if self.epochs is not None:
            check_counts(self, "epochs")
        check_counts(self, "early_stop", least=0)
        check_options(self, selection=("strength", "perturbation"))
        check_shares(self, "warmup")

    def relaxation_settings(self) -> dict[str, Any]:
        """Return the settings of the relaxation, by name: `warmup` and those that the subclass adds."""
        ours = {field.name for field in fields(OneShot)} - {"warmup"}
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in ours}

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the best architecture that was learned and not tried; after the last one, a mutation of the best."""
        learned = () if history.learned is None else history.learned.architectures
        for architecture in learned:
            if not history.seen(architecture):
                return architecture
        best = history.best
        if best is not None:
            return space.mutate(best.architecture, rng)
        return space.mutate(learned[0], rng) if learned else space.sample(rng)


@register("darts")
@dataclass(frozen=True)
class DARTS(OneShot):
    """DARTS: a supernet of mixed operations, sum softmax(alpha)_i op_i(x); alpha is trained by gradient descent.

    Liu, Simonyan and Yang, "DARTS: Differentiable architecture search", ICLR 2019. The other settings
    are those of `OneShot`.

    Args:
        order: 1 for the first-order approximation; 2 for the gradient through one step of the weights, at several times
            the cost.

    Example:
        >>> space = aw.Space(model=nn.Sequential(aw.choice(nn.Identity(), nn.Hardshrink(9), name="f"), nn.Linear(2, 2)))
        >>> task = aw.Training(aw.data((torch.eye(2).repeat(256, 1), torch.arange(512) % 2)), epochs=1, lr=0.1)
        >>> study = aw.search(space, task, strategy=aw.strategies.DARTS(epochs=2), budget=aw.Budget(trials=1))
        >>> study.best.trial.architecture["f"]
        'Identity()'
    """

    relaxation: ClassVar[str] = "softmax"

    order: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_options(self, order=(1, 2))


@register("pc-darts")
@dataclass(frozen=True)
class PCDARTS(OneShot):
    """PC-DARTS: DARTS on a fraction of the channels, with edge normalisation.

    Xu et al., "PC-DARTS: Partial channel connections for memory-efficient architecture search", ICLR 2020. The other
    settings are those of `OneShot`.

    Args:
        channels: The reciprocal of the fraction of channels that pass through the operations.

    Example:
        >>> space = aw.Space(model=nn.Sequential(aw.choice(nn.Identity(), nn.Hardshrink(9), name="f"), nn.Linear(2, 2)))
        >>> task = aw.Training(aw.data((torch.eye(2).repeat(256, 1), torch.arange(512) % 2)), epochs=1, lr=0.1)
        >>> study = aw.search(space, task, strategy=aw.strategies.PCDARTS(epochs=2), budget=aw.Budget(trials=1))
        >>> study.best.trial.architecture["f"]
        'Identity()'
    """

    relaxation: ClassVar[str] = "partial"

    channels: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "channels")


@register("gdas")
@dataclass(frozen=True)
class GDAS(OneShot):
    """GDAS: a supernet that samples one operation per choice by straight-through Gumbel-softmax.

    Dong and Yang, "Searching for a robust neural architecture in four GPU hours", CVPR 2019. The other settings
    are those of `OneShot`.

    Args:
        start: The first temperature.
        end: The last temperature.

    Example:
        >>> space = aw.Space(model=nn.Sequential(aw.choice(nn.Identity(), nn.Hardshrink(9), name="f"), nn.Linear(2, 2)))
        >>> task = aw.Training(aw.data((torch.eye(2).repeat(256, 1), torch.arange(512) % 2)), epochs=1, lr=0.1)
        >>> study = aw.search(space, task, strategy=aw.strategies.GDAS(epochs=2), budget=aw.Budget(trials=1))
        >>> study.best.trial.architecture["f"]
        'Identity()'
    """

    relaxation: ClassVar[str] = "gumbel"

    start: float = 10.0
    end: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "start", "end")


@register("drnas")
@dataclass(frozen=True)
class DrNAS(OneShot):
    """DrNAS: a supernet whose mixture weights are sampled from trained Dirichlet distributions.

    Chen et al., "DrNAS: Dirichlet neural architecture search", ICLR 2021.

    Example:
        >>> space = aw.Space(model=nn.Sequential(aw.choice(nn.Identity(), nn.Hardshrink(9), name="f"), nn.Linear(2, 2)))
        >>> task = aw.Training(aw.data((torch.eye(2).repeat(256, 1), torch.arange(512) % 2)), epochs=1, lr=0.1)
        >>> study = aw.search(space, task, strategy=aw.strategies.DrNAS(epochs=2), budget=aw.Budget(trials=1))
        >>> study.best.trial.architecture["f"]
        'Identity()'
    """

    relaxation: ClassVar[str] = "dirichlet"


@register("proxyless")
@dataclass(frozen=True)
class ProxylessNAS(OneShot):
    """ProxylessNAS: a single-path supernet with binary gates; latency can be part of the loss.

    Cai, Zhu and Han, "ProxylessNAS: Direct neural architecture search on target task and hardware", ICLR 2019. The
    other settings are those of `OneShot`.

    Args:
        cost: The cost that is added to the loss: "latency" (measured on this machine), "flops", "parameters", or "" for
            none.
        cost_weight: The weight of the cost relative to that of the most expensive network, in units of the loss.

    Example:
        >>> space = aw.Space(model=nn.Sequential(aw.choice(nn.Identity(), nn.Hardshrink(9), name="f"), nn.Linear(2, 2)))
        >>> task = aw.Training(aw.data((torch.eye(2).repeat(256, 1), torch.arange(512) % 2)), epochs=1, lr=0.1)
        >>> study = aw.search(space, task, strategy=aw.strategies.ProxylessNAS(epochs=2), budget=aw.Budget(trials=1))
        >>> study.best.trial.architecture["f"]
        'Identity()'
    """

    relaxation: ClassVar[str] = "gates"

    cost: str = ""
    cost_weight: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.cost, str):
            object.__setattr__(self, "cost", canonical(self.cost))
        check_options(self, cost=("", "latency", "flops", "parameters"))
        check_positive(self, "cost_weight")


@register("enas")
@dataclass(frozen=True)
class ENAS(OneShot):
    """ENAS: an LSTM controller trained by REINFORCE on the accuracy with shared weights.

    Pham et al., "Efficient neural architecture search via parameter sharing", ICML 2018. The other settings
    are those of `OneShot`.

    Args:
        entropy: The weight of the entropy bonus of the policy.

    Example:
        >>> space = aw.Space(model=nn.Sequential(aw.choice(nn.Identity(), nn.Hardshrink(9), name="f"), nn.Linear(2, 2)))
        >>> task = aw.Training(aw.data((torch.eye(2).repeat(256, 1), torch.arange(512) % 2)), epochs=1, lr=0.1)
        >>> study = aw.search(space, task, strategy=aw.strategies.ENAS(epochs=2), budget=aw.Budget(trials=1))
        >>> study.best.trial.architecture["f"]
        'Identity()'
    """

    relaxation: ClassVar[str] = "controller"

    entropy: float = 1e-3
