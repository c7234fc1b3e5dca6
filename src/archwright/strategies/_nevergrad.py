"""The optimisers of Nevergrad."""

from __future__ import annotations

import difflib
import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from archwright.errors import StrategyError, require
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, check_counts, register
from archwright.strategies._nearby import nearby
from archwright.strategies._parts import Part, join, parts, split
from archwright.trials import History, Trial

__all__ = ["Nevergrad"]

_LARGEST = 1e20  # losses beyond are not told apart; Nevergrad itself takes none above 5e20
_FEW = 32  # whole numbers of which there are no more than so many are places in a row rather than a scale


@register("nevergrad")
@dataclass(frozen=True)
class Nevergrad(Strategy):
    """An optimiser of Nevergrad: discrete and differential evolution, particle swarm, CMA-ES and others.

    Bennet et al., "Nevergrad: black-box optimization platform", SIGEVOlution 2021. Each decision is a parameter of its
    own: unordered choices and the options of subsets are unordered transition choices, ordered ones and depths ordered
    choices or whole scalars. Those that an architecture does not decide keep the values that they were asked with.

    The optimiser is asked and told anew from the history. Its seed is that of the first trial, which is a random one;
    trial k is told as its candidate k, with the trial's own decisions where these differ. They do where the candidate
    was proposed before or constraints refuse it, so that a mutation of it was proposed. A trial that ended without a
    value counts as much as the worst before it.

    Args:
        optimizer: A name of `nevergrad.optimizers.registry`, such as "DiscreteOnePlusOne", "TwoPointsDE", "PSO", "CMA".
        budget: How many trials the optimiser may plan for; `None` where it need not know.
        workers: How many trials run at one time: so many candidates are asked for before the first is told.

    Raises:
        MissingExtra: Nevergrad is not installed.
        StrategyError: A count is not 1 or more; there is no such optimiser, or it runs in a thread of its own, or does
            not serve so many workers.
    """

    optimizer: str = "DiscreteLenglerOnePlusOne"
    budget: int | None = None
    workers: int = 1
    _mirrors: WeakKeyDictionary[History, _Mirror] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check the settings."""
        check_counts("nevergrad", self, "workers", *["budget"] * (self.budget is not None))
        registry = _library().optimizers.registry
        if self.optimizer not in registry:
            near = ", ".join(map(repr, difflib.get_close_matches(str(self.optimizer), registry)))
            raise StrategyError(
                f"nevergrad: there is no optimiser {self.optimizer!r}{near and f'; near are {near}'}; "
                f"nevergrad.optimizers.registry has all {len(registry)}"
            )
        kind = registry[self.optimizer]
        if kind.recast:
            raise StrategyError(
                f"nevergrad: {self.optimizer} runs in a thread of its own, which no history can set up again; "
                f"'DiscreteOnePlusOne', 'TwoPointsDE', 'PSO' and 'CMA' are among those that do not"
            )
        if kind.no_parallelization and self.workers > 1:
            raise StrategyError(f"nevergrad: {self.optimizer} serves one worker, not {self.workers}")

    def check(self, space: Space) -> None:
        """Refuse a space in which the optimiser cannot begin, or not without a budget."""
        if space.bound > 1:
            try:
                _Mirror(self, space, 0)
            except Exception as error:  # each of Nevergrad's optimisers has its own way to fail
                raise StrategyError(
                    f"nevergrad: {self.optimizer} cannot begin here with budget={self.budget} ({error!r}); some "
                    f"optimisers need a budget, 'DiscreteLenglerOnePlusOne' and 'NGOpt' serve every space without"
                ) from error

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return what the optimiser asks for, or a mutation of it; a random architecture at the start."""
        if not history.trials or space.bound == 1:
            return space.sample(rng)
        if history not in self._mirrors:
            self._mirrors[history] = _Mirror(self, space, history.trials[0].seed)
        mirror = self._mirrors[history]
        mirror.tell(space, history)
        return nearby(space, history, mirror.asked(space, len(history.trials)), rng)


class _Mirror:
    """An optimiser, and the candidates that it was asked for and not told."""

    def __init__(self, settings: Nevergrad, space: Space, seed: int) -> None:
        library = _library()
        self._parts = {name: parts(name, decision) for name, decision in space.decisions.items()}
        self._groups = _groups([part for several in self._parts.values() for part in several])
        self._seed = seed
        self._workers = settings.workers
        self._candidates: dict[int, Any] = {}  # by the number of the trial
        self._ended = 0
        self._worst = -np.inf
        with _seeded(seed):
            parametrization = library.p.Tuple(*(_parameter(library, group) for group in self._groups))
            parametrization.random_state.seed(seed)
            make = library.optimizers.registry[settings.optimizer]
            self._optimizer = make(parametrization, budget=settings.budget, num_workers=settings.workers)
        for number in range(self._workers):
            self._ask(number)

    def tell(self, space: Space, history: History) -> None:
        """Take in what has ended since, and ask for as many more."""
        for trial in history.finished[self._ended :]:
            complete = trial.state == "complete"
            loss = -history.score(trial) if complete else self._worst if np.isfinite(self._worst) else _LARGEST
            loss = min(max(loss, -_LARGEST), _LARGEST)
            if complete:
                self._worst = max(self._worst, loss)
            with _seeded(self._seed, trial.number, 1):
                self._optimizer.tell(self._candidate(space, trial), loss)
            self._ended += 1
            self._ask(self._ended + self._workers - 1)

    def asked(self, space: Space, number: int) -> Architecture:
        """Return the candidate for a trial; where more trials run than there are workers, the newest candidate."""
        return self._read(space, self._candidates.get(number, self._candidates[max(self._candidates)]))

    def _ask(self, number: int) -> None:
        with _seeded(self._seed, number, 0):
            self._candidates[number] = self._optimizer.ask()

    def _candidate(self, space: Space, trial: Trial) -> Any:
        """Return the trial's candidate; where a mutation stood in for it, or decisions were not its own, a copy."""
        asked = self._candidates.pop(trial.number if trial.number in self._candidates else min(self._candidates))
        if self._read(space, asked) == trial.architecture:
            return asked
        values = self._values(asked)
        for name, value in trial.architecture.items():
            values.update(zip(self._parts[name], split(space.decisions[name], value), strict=True))
        told = asked.copy()
        told.value = tuple(
            tuple(values[part] for part in group) if _few(group[0]) else values[group[0]] for group in self._groups
        )
        told.uid = asked.uid  # so the optimiser takes it for the one that it asked for
        notes = {key: note for key, note in asked._meta.items() if key != "x_probe"}  # which is the point asked for
        told._meta.update(notes)
        return told

    def _read(self, space: Space, candidate: Any) -> Architecture:
        values = self._values(candidate)
        return space.decide(lambda name, decision: join(decision, [values[part] for part in self._parts[name]]))

    def _values(self, candidate: Any) -> dict[Part, Any]:
        return {
            part: value
            for group, held in zip(self._groups, candidate.value, strict=True)
            for part, value in zip(group, held if _few(group[0]) else (held,), strict=True)
        }


def _library() -> Any:
    return require("nevergrad", extra="nevergrad", purpose="the strategy 'nevergrad'")


def _few(part: Part) -> bool:
    """Tell whether a part is a choice for Nevergrad; it is a scale otherwise."""
    return part.kind == "category" or (part.kind == "whole" and not part.log and part.high - part.low < _FEW)


def _groups(every: Sequence[Part]) -> list[list[Part]]:
    """Put choices between the same numbers together, for Nevergrad copies one parameter far quicker than many."""
    found: dict[Any, list[Part]] = {}
    for part in every:
        found.setdefault((part.kind, part.low, part.high) if _few(part) else part, []).append(part)
    return list(found.values())


def _parameter(library: Any, group: Sequence[Part]) -> Any:
    part = group[0]
    if _few(part):
        numbers = range(int(part.low), int(part.high) + 1)
        return library.p.TransitionChoice(numbers, ordered=part.kind == "whole", repetitions=len(group))
    scale = library.p.Log if part.log else library.p.Scalar
    made = scale(lower=part.low, upper=part.high)
    return made.set_integer_casting() if part.kind == "whole" else made


@contextmanager
def _seeded(*seed: int) -> Iterator[None]:
    """Seed the global generators, from which some optimisers draw; afterwards they are as they were."""
    before, before_numpy = random.getstate(), np.random.get_state()
    drawn = int(np.random.SeedSequence(seed).generate_state(1)[0])
    random.seed(drawn)
    np.random.seed(drawn)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)
