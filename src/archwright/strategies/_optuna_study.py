"""A history as a study of Optuna. Importing this loads Optuna."""

from __future__ import annotations

import copy
from collections.abc import Callable, Container
from datetime import datetime
from typing import Any

from optuna import create_study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from archwright import trials
from archwright.space import Architecture, Space
from archwright.strategies._parts import Part, join, parts, split
from archwright.trials import History

_DAY = datetime(2000, 1, 1)  # Optuna wants times; no sampler looks at them
_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
_MOST = 64  # values of a decision that are looked through for what all of them open


class Mirror:
    """The trials of one history in an Optuna study.

    Some samplers note on each trial that they are asked for what they go on from, such as its generation. A history
    holds no such notes, so they are made again: each trial that ends is asked for once more, after those that ended
    before it and from its number as the seed. So the notes follow from the history alone. They are kept in memory and
    nowhere else: CMA-ES pickles its state into them.

    Args:
        space: Where the study searches.
        noting: Makes the sampler from a seed, if it notes something on trials.
    """

    def __init__(self, space: Space, noting: Callable[[int], BaseSampler] | None = None) -> None:
        self._noting = noting
        self._moved = moved(space)
        self._decisions = space.decisions
        self._distributions = {
            name: {part.name: _distribution(part) for part in parts(name, decision)}
            for name, decision in space.decisions.items()
        }
        self._storage = _Told()
        self._study = create_study(direction="maximize", storage=self._storage)
        self._ended = 0

    def tell(self, history: History) -> None:
        """Take in what has begun and what has ended since."""
        told = self._storage.told
        for trial in history.trials[len(told) :]:
            told.append(self._frozen(trial, TrialState.RUNNING, history))
        for trial in history.finished[self._ended :]:
            state = _STATES.get(trial.state, TrialState.FAIL)
            notes = {} if self._noting is None or state is TrialState.FAIL else self._notes(self._noting(trial.number))
            told[trial.number] = self._frozen(trial, state, history, notes)
        self._ended = len(history.finished)

    def ask(self, space: Space, sampler: BaseSampler) -> Architecture:
        """Return what a sampler suggests; constraints are not looked at."""
        held = dict(self._storage.noted)
        asked = self._ask(sampler)
        self._storage.noted = held  # what is noted here hangs on how often was asked
        return space.decide(
            lambda name, decision: join(
                decision, [_suggested(asked, *parameter) for parameter in self._distributions[name].items()]
            )
        )

    def _ask(self, sampler: BaseSampler) -> Trial:
        self._study.sampler = sampler
        if isinstance(sampler, CmaEsSampler):  # it would begin with what the trials so far have in common, and be stuck
            sampler.infer_relative_search_space = lambda study, trial: self._moved  # type: ignore[method-assign]  # of an object of our own
        return self._study.ask()

    def _notes(self, sampler: BaseSampler) -> dict[str, Any]:
        """Return what a sampler notes on the next trial."""
        asked = self._ask(sampler)
        _ = asked.relative_params  # drawn, and noted, when somebody looks
        return dict(self._storage.get_trial(asked._trial_id).system_attrs)

    def _frozen(
        self, trial: trials.Trial, state: TrialState, history: History, notes: dict[str, Any] | None = None
    ) -> FrozenTrial:
        params: dict[str, Any] = {}
        distributions: dict[str, BaseDistribution] = {}
        for name, value in trial.architecture.items():
            here = self._distributions[name]
            params.update(zip(here, split(self._decisions[name], value), strict=True))
            distributions.update(here)
        metric = history.objective.metric
        return _frozen(
            trial.number,
            state,
            value=history.score(trial) if state is TrialState.COMPLETE else None,
            params=params,
            distributions=distributions,
            intermediate_values={
                int(row["step"]): history.objective.score(row) for row in trial.curve if metric in row
            },
            system_attrs=notes or {},
        )


def moved(space: Space) -> dict[str, BaseDistribution]:
    """Return the numbers that every architecture of a space has: what CMA-ES can move."""
    program = space.program
    always = list(program.roots)
    for decision in always:
        if decision.size <= _MOST:
            opened = [program.opened(decision, value) for value in decision.values()]
            always += [inner for inner in opened[0] if inner not in always and all(inner in each for each in opened)]
    found = [part for decision in always for part in parts(program.names[decision], decision)]
    numbers = {part.name: part for part in found if part.kind != "category"}
    return {name: _distribution(numbers[name]) for name in sorted(numbers)}  # in the order that Optuna has them in


def _frozen(number: int, state: TrialState, **given: Any) -> FrozenTrial:
    """Return a trial as Optuna has it, with nothing in it but what is given."""
    ended = None if state is TrialState.RUNNING else _DAY
    empty = ("params", "distributions", "intermediate_values", "user_attrs", "system_attrs")
    held: dict[str, Any] = {"value": None, **{name: {} for name in empty}, **given}
    return FrozenTrial(
        number=number, trial_id=number, state=state, datetime_start=_DAY, datetime_complete=ended, **held
    )


def _distribution(part: Part) -> BaseDistribution:
    if part.kind == "category":
        return CategoricalDistribution(tuple(range(int(part.high) + 1)))
    if part.kind == "whole":
        return IntDistribution(int(part.low), int(part.high), log=part.log)
    return FloatDistribution(part.low, part.high, log=part.log)


def _suggested(asked: Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return asked.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return asked.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
    assert isinstance(distribution, FloatDistribution)
    return asked.suggest_float(name, distribution.low, distribution.high, log=distribution.log)


class _Told(InMemoryStorage):
    """Trials that were told, and one that is being asked for.

    Optuna's own storages keep each trial that was asked for, and what samplers note on it: what comes next would depend
    on how often they were asked, which a history does not hold. Here each ask begins as if there had been none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: list[FrozenTrial] = []  # by number
        self.noted: dict[str, Any] = {}  # on the study
        self._asked: list[FrozenTrial] = []  # at most one

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Begin the trial that is asked for, and forget the one before."""
        number = len(self.told)
        self._asked = [_frozen(number, TrialState.RUNNING)]
        return number

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial by number."""
        return self.told[trial_id] if trial_id < len(self.told) else self._asked[0]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials by number, the one that is asked for last."""
        chosen = [trial for trial in (*self.told, *self._asked) if states is None or trial.state in states]
        return copy.deepcopy(chosen) if deepcopy else chosen

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Note what was suggested."""
        trial = self.get_trial(trial_id)
        trial.params[param_name] = distribution.to_external_repr(param_value_internal)
        trial.distributions[param_name] = distribution

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Take a sampler's note on the trial that is asked for."""
        self.get_trial(trial_id).system_attrs[key] = value

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Take a sampler's note on the study."""
        self.noted[key] = value

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the notes on the study, among them how far a quasi-random sequence has come."""
        return _Drawn(self.noted, len(self.told))


class _Drawn(dict[str, Any]):
    """Notes, with the last point of `QMCSampler`, whatever key it looks for: each trial but the first took one."""

    def __init__(self, noted: dict[str, Any], trials: int) -> None:
        super().__init__(noted)
        self._last = trials - 2

    def get(self, key: str, default: Any = None) -> Any:
        return self._last if key.startswith("qmc:") else super().get(key, default)
