"""Conformance tests of strategies."""

from __future__ import annotations

import copy
import importlib
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from archwright import nn, strategies
from archwright.errors import Exhausted, StrategyError
from archwright.evaluate import Candidate
from archwright.space import Architecture, Space, cell, choice, integer, ordinal, real, subset
from archwright.strategies import Strategy, for_objectives
from archwright.study import Budget, Callback, Study
from archwright.testing._process import elsewhere
from archwright.trials import History, Objective, Outside, State, Trial, parse_objectives


def _nested() -> Space:
    width = ordinal(1, 2, name="width")
    kinds = {"none": None, "one": [width, integer(1, 2)], "two": {"width": width, "parts": subset(*"abc", k=(0, 1))}}
    return Space(first=choice(kinds), second=choice({"plain": 0, "wide": width}), third=choice(kinds, name="kind"))


def _constrained() -> Space:
    return Space(a=integer(0, 4), b=integer(0, 4), c=integer(0, 4), where=_adds_up)


def _adds_up(architecture: Architecture) -> bool:
    return sum(int(value) for value in architecture.values() if isinstance(value, int)) == 6


def _cells() -> Space:
    options = {"none": None, "skip": nn.Identity(), "linear": nn.Linear(4, 4), "tanh": nn.Tanh()}
    return Space(model=cell(lambda i, j: choice(options), nodes=2, keep_unused=True), example_input=(4,))


def _few_nested() -> Space:
    width = ordinal(1, 2, name="width")
    kinds = {"none": None, "one": [width, integer(1, 2)], "two": {"width": width, "parts": subset(*"ab", k=1)}}
    return Space(first=choice(kinds), second=choice({"plain": 0, "wide": width}))


_SPACES: dict[str, Callable[[], Space]] = {
    "flat": lambda: Space(shape=choice("a", "b", "c", "d"), width=ordinal(1, 2, 4, 8), depth=integer(0, 5)),
    "nested": _nested,
    "cells": _cells,
    "real": lambda: Space(rate=real(1e-4, 1e-1, log=True), share=real(0.0, 1.0), kind=choice("a", "b")),
    "constrained": _constrained,
    "single": lambda: Space(only=choice("this"), number=3),
}
_FINITE: dict[str, Callable[[], Space]] = {
    "flat": lambda: Space(shape=choice("a", "b", "c"), width=ordinal(1, 2, 4), depth=integer(0, 2)),
    "nested": _few_nested,
    "constrained": _constrained,
}
_MIXED: Sequence[State] = ("complete", "failed", "pruned", "running", "infeasible")

_known: dict[tuple[object, ...], tuple[list[Architecture], Outside]] = {}  # by name, settings, space, number, states


class Overtime(Callback):
    """Counts the trials that begin after the time of the budget is over, and ends a search that goes on regardless.

    One is within the law: the clock may pass the end between the last look at it and the beginning of the trial.

    Attributes:
        trials: How many.
    """

    def __init__(self) -> None:
        self.trials = 0

    def on_trial_start(self, study: Study, trial: Trial) -> None:
        """Count the trial if it is late."""
        if study.budget is not None and study.elapsed > study.budget.time:
            self.trials += 1
            if self.trials > 1:
                study.stop()


class StrategySuite:
    """Conformance tests of a strategy: it is a function of seed and history, and handles all states of trials.

    Spaces that the strategy does not support (`check` raises StrategyError) are skipped.

    Attributes:
        trials: Length of the histories.

    Example:
        >>> class TestMine(aw.testing.StrategySuite):
        ...     @pytest.fixture
        ...     def strategy(self):
        ...         return aw.strategies.Evolution(population=5)
    """

    trials = 60

    @pytest.fixture
    def strategy(self) -> Strategy:
        """The strategy under test; a subclass gives it."""
        raise NotImplementedError(f"{type(self).__name__} gives no fixture named 'strategy'")

    @pytest.fixture(params=sorted(_SPACES))
    def any_space(self, request: pytest.FixtureRequest, strategy: Strategy) -> Space:
        """Spaces of every kind that the strategy serves."""
        return _served(strategy, _SPACES[request.param]())

    @pytest.fixture(params=sorted(_FINITE))
    def finite_space(self, request: pytest.FixtureRequest, strategy: Strategy) -> Space:
        """Small spaces of more than one architecture that the strategy serves."""
        return _served(strategy, _FINITE[request.param]())

    # ------------------------------------------------------------------ what it proposes

    def test_proposals_belong_to_the_space(self, strategy: Strategy, any_space: Space) -> None:
        """Every proposal is in the space, constraints and all."""
        assert all(architecture in any_space for architecture in _expected(strategy, any_space, self.trials)[0])

    def test_the_same_seed_proposes_the_same(self, strategy: Strategy, any_space: Space) -> None:
        """Proposals do not depend on other histories or the global random state, which is not changed.

        Neither what a strategy has seen in another history nor the global random state has a part in it, and that state
        is left as it was.
        """
        half = self.trials // 2
        np.random.seed(0)
        random.seed(0)
        first, outside = _expected(strategy, any_space, self.trials)
        other = proposals(strategy, any_space, half, seed=1)
        np.random.seed(1)
        random.seed(1)
        again = proposals(strategy, any_space, half, outside=outside)
        after = (random.random(), np.random.random())
        np.random.seed(1)
        random.seed(1)
        assert (random.random(), np.random.random()) == after, "it draws from the global random state"
        assert again == first[:half], "what it saw in another history, or the global random state, has a part in it"
        if any_space.bound > 1 and strategies.name_of(strategy) != "grid":
            assert other != first[:half], "another seed proposes the same"

    def test_a_history_is_all_it_needs(self, strategy: Strategy, any_space: Space) -> None:
        """Proposals for a history given at once equal those for one that has grown."""
        half = self.trials // 2
        grown, outside = _expected(strategy, any_space, self.trials, _MIXED)
        after = _told(grown[:half], _MIXED)
        following = proposals(
            _fresh(strategy), any_space, self.trials - half, states=_MIXED, after=after, outside=outside
        )
        assert following == grown[half:]

    def test_workers_side_by_side_leave_no_trace(self, strategy: Strategy, any_space: Space) -> None:
        """Nor does it matter that trials ran side by side and ended out of order: the history is all it needs."""
        history, running, coin = History(Objective("value")), [], np.random.default_rng(0)
        for number in range(self.trials // 2):
            if number == any_space.bound:
                break
            proposed = strategy.propose(any_space, history, np.random.default_rng(number))
            if number % 5 == 4:
                again = _fresh(strategy).propose(any_space, _again(history), np.random.default_rng(number))
                assert again == proposed
            history.add(Trial(number, proposed, seed=number))
            running.append(history.trials[number])
            while len(running) > coin.integers(5):
                ended = running.pop(int(coin.integers(len(running))))
                history.add(
                    _ended(ended, "failed" if ended.number % 7 == 0 else "complete", _value(ended.architecture))
                )

    def test_another_process_proposes_the_same(self, strategy: Strategy) -> None:
        """The same seed gives the same proposals in processes with different hash seeds."""
        name, options = strategies.name_of(strategy), strategies.options(strategy)
        if name is None:
            pytest.skip("the strategy is not registered, so another process cannot make it")
        here, _ = _expected(strategy, _served(strategy, _nested()), self.trials)
        there = elsewhere(_proposed, type(strategy).__module__, name, options, self.trials)
        assert there == [architecture.id for architecture in here]

    # ------------------------------------------------------------------ what it lives through

    def test_it_goes_on_where_nothing_is_complete(self, strategy: Strategy, any_space: Space) -> None:
        """A history without one complete trial is no obstacle: all have failed, are infeasible, were pruned or run."""
        for state in _MIXED[1:]:
            try:
                proposed = proposals(strategy, any_space, min(20, self.trials // 2), states=(state,))
            except Exception as error:
                error.add_note(f"where every trial is {state}")
                raise
            assert all(architecture in any_space for architecture in proposed), state

    def test_it_goes_on_whatever_becomes_of_trials(self, strategy: Strategy, any_space: Space) -> None:
        """Failed, pruned, infeasible and running trials between complete ones are no obstacle."""
        proposed, _ = _expected(strategy, any_space, self.trials, _MIXED)
        assert all(architecture in any_space for architecture in proposed)

    def test_it_goes_on_where_all_are_equal(self, strategy: Strategy, any_space: Space) -> None:
        """Trials of one and the same value are no obstacle."""
        proposed = proposals(strategy, any_space, self.trials // 2, value=lambda _: 0.5)
        assert all(architecture in any_space for architecture in proposed)

    def test_it_takes_both_directions(self, strategy: Strategy, any_space: Space) -> None:
        """To minimise a value is to maximise its negative."""
        up, outside = _expected(strategy, any_space, self.trials)
        down = proposals(
            strategy,
            any_space,
            self.trials,
            value=lambda a: -_value(a),
            objective=Objective("value", False),
            outside=outside,
        )
        assert up == down

    def test_it_serves_several_objectives(self, strategy: Strategy) -> None:
        """With two objectives and a constraint, the proposals still follow from the seed and the history alone."""
        space, half = _served(strategy, _nested()), self.trials // 2
        objectives = parse_objectives(["max value", "min cost"])

        def made() -> Strategy:
            return for_objectives(_fresh(strategy), objectives)

        outside = Outside(())
        try:
            grown = proposals(made(), space, self.trials, states=_MIXED, objective=objectives, learns=outside)
        except StrategyError as error:
            pytest.skip(str(error))
        assert all(architecture in space for architecture in grown)
        after = _told(grown[:half], _MIXED)
        following = proposals(
            made(), space, self.trials - half, states=_MIXED, objective=objectives, after=after, outside=outside
        )
        assert following == grown[half:]

    # ------------------------------------------------------------------ in a study

    def test_a_finite_space_is_searched_to_the_end(self, strategy: Strategy, finite_space: Space) -> None:
        """Nothing is proposed twice while something is unseen, and then the search ends."""
        study = Study(finite_space, strategy=strategy)
        for _ in range(int(finite_space.size)):
            trial = study.ask()
            study.tell(trial, RuntimeError("broken") if trial.number % 7 == 0 else _value(trial.architecture))
        assert len({trial.architecture for trial in study.trials}) == finite_space.size
        with pytest.raises(Exhausted):
            study.ask()

    def test_every_budget_ends_the_search(self, strategy: Strategy, any_space: Space) -> None:
        """Trials, seconds and a target value each end it, and so does a space in which all has been tried."""
        study = Study(any_space, strategy=strategy)
        study.run(_evaluate, Budget(trials=5))
        assert len(study.history.finished) == min(5, any_space.bound)
        overtime = Overtime()
        study.run(_evaluate, Budget(seconds=study.elapsed + 1e-3), callbacks=[overtime])
        assert overtime.trials <= 1
        assert study.stopped_by in ("seconds", "exhausted")
        study.run(_evaluate, Budget(target=0.5))
        best = max(trial.metrics["value"] for trial in study.history.complete)
        assert study.stopped_by == "exhausted" or best >= 0.5

    @pytest.mark.parametrize("any_space", ["nested", "real"], indirect=True)  # all kinds of values that are kept
    def test_a_study_resumed_is_the_study_that_was_not_interrupted(
        self, strategy: Strategy, any_space: Space, tmp_path: Any
    ) -> None:
        """A study that is closed and opened again has the same further trials."""
        whole = Study(any_space, strategy=_fresh(strategy), seed=4).run(_evaluate, Budget(trials=12))
        with Study(any_space, strategy=strategy, seed=4, path=tmp_path / "run") as study:
            study.run(_evaluate, Budget(trials=6))
        with Study.open(tmp_path / "run", space=any_space, strategy=_fresh(strategy)) as again:
            again.run(_evaluate, Budget(trials=12))
            assert [t.architecture for t in again.trials] == [t.architecture for t in whole.trials]

    def test_settings_can_be_written_down(self, strategy: Strategy) -> None:
        """A registered strategy is made again from its settings."""
        name = strategies.name_of(strategy)
        if name is None:
            pytest.skip("the strategy is not registered")
        options = json.loads(json.dumps(strategies.options(strategy)))
        assert strategies.create(name, **options) == strategy


def proposals(
    strategy: Strategy,
    space: Space,
    count: int,
    *,
    seed: int = 0,
    states: Sequence[State] = ("complete",),
    value: Callable[[Architecture], float] | None = None,
    objective: Objective | Sequence[Objective] | None = None,
    after: Sequence[Trial] = (),
    outside: Outside | None = None,
    learns: Outside | None = None,
) -> list[Architecture]:
    """Return what a strategy proposes, one trial after the other; fewer where it has proposed everything.

    The trials end in these states by turns, and follow on those that went before. What reaches the strategy from
    outside is replayed from `outside`, if given, and put into `learns`.
    """
    history = History(objective or Objective("value"))
    for trial in after:
        history.add(replace(trial, state="running", metrics={}, error=None))
        if trial.state != "running":
            history.add(trial)
    if outside is not None:
        history.outside.is_replay = True
        for number in range(len(after)):
            history.outside.put(number, outside.of(number))
    proposed: list[Architecture] = []
    for number in range(len(after), len(after) + count):
        if outside is not None:
            history.outside.put(number, outside.of(number))
        try:
            architecture = strategy.propose(space, history, np.random.default_rng([seed, number]))
        except Exhausted:
            break
        proposed.append(architecture)
        if learns is not None:
            learns.put(number, history.outside.of(number))
        trial = Trial(number, architecture, seed=number)
        history.add(trial)
        ended = _outcome(trial, states, value)
        if ended.state != "running":
            history.add(ended)
    return proposed


def _expected(
    strategy: Strategy, space: Space, count: int, states: Sequence[State] = ("complete",)
) -> tuple[list[Architecture], Outside]:
    """Return what a strategy of these settings proposes, and what reached it from outside.

    It is worked out once for all laws that compare with it.
    """
    name, outside = strategies.name_of(strategy), Outside(())
    if name is None:
        return proposals(_fresh(strategy), space, count, states=states, learns=outside), outside
    key = (name, json.dumps(strategies.options(strategy), sort_keys=True), space.fingerprint, count, states)
    if key not in _known:
        _known[key] = proposals(_fresh(strategy), space, count, states=states, learns=outside), outside
    return _known[key]


def _told(proposed: Sequence[Architecture], states: Sequence[State] = ("complete",)) -> list[Trial]:
    """Return the trials of what was proposed, as they have become."""
    return [_outcome(Trial(number, each, seed=number), states) for number, each in enumerate(proposed)]


def _outcome(trial: Trial, states: Sequence[State], value: Callable[[Architecture], float] | None = None) -> Trial:
    """Return what becomes of a trial where these states take turns."""
    return _ended(trial, states[trial.number % len(states)], (value or _value)(trial.architecture))


def _again(history: History) -> History:
    """Return a history of the same trials that ended in the same order."""
    copied = History(history.objective)
    copied.outside.is_replay = True
    for trial in history.trials:
        copied.outside.put(trial.number, history.outside.of(trial.number))
        copied.add(replace(trial, state="running", metrics={}, error=None))
    copied.outside.put(len(history.trials), history.outside.of(len(history.trials)))
    for trial in history.finished:
        copied.add(trial)
    return copied


def _ended(trial: Trial, state: State, value: float) -> Trial:
    if state == "failed":
        return replace(trial, state=state, error="RuntimeError: broken")
    if state == "pruned" and trial.number % 3 == 0:
        value = math.nan
    if state not in ("complete", "pruned"):
        return replace(trial, state=state)
    return replace(trial, state=state, metrics={"value": value, "cost": float(len(trial.architecture))})


def _value(architecture: Architecture) -> float:
    """Return a number between 0 and 1 that depends on the architecture alone."""
    return int(architecture.id, 16) % 1009 / 1009


def _evaluate(candidate: Candidate) -> float:
    return _value(candidate.architecture)


def _fresh(strategy: Strategy) -> Strategy:
    """Return a strategy of the same settings that has seen nothing."""
    name = strategies.name_of(strategy)
    return copy.deepcopy(strategy) if name is None else strategies.create(name, **strategies.options(strategy))


def _served(strategy: Strategy, space: Space) -> Space:
    try:
        strategy.check(space)
    except StrategyError as error:
        pytest.skip(str(error))
    return space


def _proposed(module: str, name: str, options: Mapping[str, Any], count: int) -> list[str]:
    """Return the ids of what a strategy proposes."""
    importlib.import_module(module)  # registers a strategy that is not one of ours
    return [architecture.id for architecture in proposals(strategies.create(name, **options), _nested(), count)]
