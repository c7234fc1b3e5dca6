"""Conformance tests of schedulers."""

from __future__ import annotations

import copy
import gc
import json
import random
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from archwright import schedulers, strategies
from archwright.errors import Exhausted, SchedulerError
from archwright.evaluate import Candidate, Spent, Stopped
from archwright.schedulers import Scheduler
from archwright.space import Architecture, Space, choice, integer, real
from archwright.strategies import Strategy
from archwright.study import Budget, Planner, Study
from archwright.testing._strategies import Overtime, _again
from archwright.trials import Trial

_FULL = 27
_EPOCHS = {"epochs": (1, _FULL)}
_STEPS = (1, 3, 9, 18, 27)  # when a made-up training reports

Curve = list[dict[str, float]]
Outcomes = Callable[[Trial], float | Exception]


class SchedulerSuite:
    """Conformance tests of a scheduler: it is a function of the history, and handles all states of trials.

    Attributes:
        trials: Length of the histories.
        kept: Maximum number of checkpoints, with one running trial.
        reaches: Number of trials within which there is a full evaluation.
        to_the_top: Whether there is one when all architectures were proposed.

    Example:
        >>> class TestMine(aw.testing.SchedulerSuite):
        ...     @pytest.fixture
        ...     def scheduler(self):
        ...         return aw.schedulers.ASHA(eta=4)
    """

    trials = 80
    kept = 64
    reaches = 200
    to_the_top = True

    @pytest.fixture
    def scheduler(self) -> Scheduler:
        """The scheduler under test; a subclass gives it."""
        raise NotImplementedError(f"{type(self).__name__} gives no fixture named 'scheduler'")

    # ------------------------------------------------------------------ what it follows from

    def test_the_same_seed_gives_the_same_trials(self, scheduler: Scheduler) -> None:
        """Two schedulers of the same settings say the same, and another seed gives other trials."""
        first = _told(_search(_study(scheduler), self.trials))
        assert _told(_search(_study(_fresh(scheduler)), self.trials)) == first
        assert _told(_search(_study(_fresh(scheduler), seed=1), self.trials)) != first

    def test_a_study_resumed_is_the_study_that_was_not_interrupted(self, scheduler: Scheduler, tmp_path: Any) -> None:
        """A study that is closed and opened again has the same further trials."""
        if schedulers.name_of(scheduler) is None:
            pytest.skip("the scheduler is not registered, so a record cannot make it")
        whole = _search(_study(_fresh(scheduler)), 40)
        with _study(scheduler, path=tmp_path / "run") as study:
            _search(study, 20)
        with Study.open(tmp_path / "run") as again:
            assert _told(_search(again, 40)) == _told(whole)

    def test_a_history_is_all_it_needs(self, scheduler: Scheduler) -> None:
        """One that is given a history at once says the same as the one that saw it grow, trials side by side."""
        study = _study(scheduler)

        def same(trial: Trial) -> None:
            if trial.number % 5 == 0:
                fresh, known = _fresh(scheduler), _again(study.history)
                following = Planner(study.space, study.strategy, scheduler, study.ladder, study.seed).next(
                    study.history
                )
                planner = Planner(study.space, study.strategy, fresh, study.ladder, study.seed)
                assert planner.next(known) == following
                if scheduler.partial:
                    assert fresh.checkpoints(study.ladder, known) == scheduler.checkpoints(study.ladder, study.history)

        _search(study, self.trials, workers=5, outcome=_mixed, asked=same, ended=same)

    def test_one_scheduler_serves_several_studies(self, scheduler: Scheduler) -> None:
        """What it saw in one history has no part in another."""
        alone = _told(_search(_study(_fresh(scheduler)), self.trials))
        study, other = _study(scheduler), _study(scheduler, seed=5)
        for count in (*range(10, self.trials, 10), self.trials):
            _search(study, count)
            _search(other, count)
        assert _told(study) == alone

    def test_it_draws_from_its_generator_alone(self, scheduler: Scheduler) -> None:
        """The global random state has no influence, and is left as it was."""
        np.random.seed(0)
        random.seed(0)
        first = _told(_search(_study(_fresh(scheduler)), self.trials // 2))
        after = (random.random(), np.random.random())
        np.random.seed(1)
        assert _told(_search(_study(_fresh(scheduler)), self.trials // 2)) == first
        np.random.seed(0)
        random.seed(0)
        assert (random.random(), np.random.random()) == after

    def test_it_takes_both_directions(self, scheduler: Scheduler) -> None:
        """To minimise a value is to maximise its negative."""
        up = _search(_study(scheduler), self.trials)
        down = _study(_fresh(scheduler), objective="min value")
        assert _told(_search(down, self.trials, sign=-1.0)) == _told(up)

    def test_it_serves_several_objectives(self, scheduler: Scheduler) -> None:
        """With two objectives and a constraint, trials follow from the history alone, and some are full evaluations."""
        if not scheduler.multi_objective:
            pytest.skip("it serves one objective")
        objectives = ["max value", "min cost"]
        other = _study(_fresh(scheduler), objective=objectives, constraints="cost <= 0.5")
        _search(other, self.trials, workers=3, outcome=_mixed)
        study = _study(scheduler, objective=objectives, constraints="cost <= 0.5")
        _search(study, self.trials, workers=3, outcome=_mixed)
        assert _told(study) == _told(other)
        if all(trial.share < 1 for trial in study.history.complete):
            _search(study, self.reaches, workers=3, outcome=_mixed)
        assert any(trial.share == 1 for trial in study.history.complete)
        assert all(trial.metrics["cost"] <= 0.5 for trial in study.history.front)

    def test_it_lets_go_of_a_history(self, scheduler: Scheduler) -> None:
        """What it keeps of a study ends with the study."""
        study = _search(_study(scheduler), 10)
        history = weakref.ref(study.history)
        del study
        gc.collect()
        assert history() is None

    # ------------------------------------------------------------------ what it says

    @pytest.mark.parametrize("workers", [1, 4])
    def test_a_trial_goes_on_once_and_as_it_began(self, scheduler: Scheduler, workers: int) -> None:
        """Only complete trials are promoted, once, with the same architecture and seed, to a higher rung."""
        study = _search(_study(scheduler), self.trials, workers=workers, outcome=_mixed)
        going = [trial for trial in study.trials if trial.origin is not None]
        assert bool(going) == scheduler.partial
        for trial in going:
            origin = study.trials[trial.origin or 0]
            assert (origin.architecture, origin.seed) == (trial.architecture, trial.seed)
            assert origin.share < trial.share
            assert origin.number < trial.number
            assert origin.state == "complete"
        assert len({trial.origin for trial in going}) == len(going)

    def test_trials_are_on_the_ladder(self, scheduler: Scheduler) -> None:
        """Fidelity and share of a trial are those of a rung; without rungs all are full evaluations."""
        study = _search(_study(scheduler), self.trials)
        rungs = [(rung, cost) for rung, cost in zip(study.ladder.rungs, study.ladder.costs, strict=True)]
        allowed = rungs if scheduler.partial else [(None, 1.0)]
        assert all((trial.fidelity, trial.share) in allowed for trial in study.trials)

    @pytest.mark.parametrize("workers", [1, 4])
    def test_checkpoints_are_kept_of_what_goes_on_and_of_little_else(self, scheduler: Scheduler, workers: int) -> None:
        """Few checkpoints are kept at a time, none of promoted trials; of ten promotions nine have one."""
        if not scheduler.partial:
            pytest.skip("nothing goes on")
        study, most, lost, going = _study(scheduler), 0, 0, 0
        held: set[int] = set()

        def look(trial: Trial) -> None:
            nonlocal lost, going
            if trial.origin is not None:
                going += 1
                lost += trial.origin not in held

        def note(trial: Trial) -> None:
            nonlocal held, most
            wanted = scheduler.checkpoints(study.ladder, study.history)
            assert all(study.trials[number].state == "complete" for number in wanted)
            assert not wanted & {each.origin for each in study.trials}
            held = (held | {trial.number}) & wanted
            most = max(most, len(wanted))

        _search(study, 3 * self.trials, workers=workers, asked=look, ended=note)
        assert most <= self.kept * workers
        assert lost <= going / 10

    def test_full_evaluations_come(self, scheduler: Scheduler) -> None:
        """Some of what begins with less is given all in the end."""
        study = _search(_study(scheduler), self.reaches)
        assert any(trial.share == 1 and trial.state == "complete" for trial in study.trials)

    # ------------------------------------------------------------------ what it lives through

    @pytest.mark.parametrize("end", ["failed", "pruned", "infinite"])
    def test_it_goes_on_where_nothing_is_complete(self, scheduler: Scheduler, end: str) -> None:
        """A history without complete trials is handled, and nothing is promoted."""
        study = _search(_study(scheduler), self.trials, outcome=lambda _: _ENDS[end])
        assert len(study.history.finished) == self.trials
        assert all(trial.origin is None for trial in study.trials)

    def test_it_goes_on_after_a_bad_beginning(self, scheduler: Scheduler) -> None:
        """If all trials of the first round fail, later ones still reach full evaluations."""
        bad = self.trials // 2
        study = _search(
            _study(scheduler),
            bad + self.reaches,
            workers=4,
            outcome=lambda trial: _ENDS["failed"] if trial.number < bad else 0.0,
        )
        assert any(trial.share == 1 for trial in study.history.complete)

    def test_it_goes_on_whatever_becomes_of_trials(self, scheduler: Scheduler) -> None:
        """Failed and pruned trials and infinite values between complete ones are no obstacle."""
        study = _search(_study(scheduler), 2 * self.reaches, workers=4, outcome=_mixed)
        assert any(trial.share == 1 for trial in study.history.complete)

    def test_it_goes_on_where_all_are_equal(self, scheduler: Scheduler) -> None:
        """Trials of one and the same value are no obstacle."""
        study = _search(_study(scheduler), self.trials, sign=0.0)
        assert len(study.history.finished) == self.trials

    @pytest.mark.parametrize("size", [1, 5, 30])
    def test_a_finite_space_is_searched_to_the_end(self, scheduler: Scheduler, size: int) -> None:
        """When all architectures were proposed, good ones are still promoted; then the search ends."""
        study = _search(_study(scheduler, space=Space(number=integer(1, size))), 1000)
        assert len({trial.architecture for trial in study.trials}) == size
        assert not self.to_the_top or any(trial.share == 1 for trial in study.history.complete)
        with pytest.raises(Exhausted):
            study.ask()

    def test_a_finite_space_is_searched_to_the_end_whatever_becomes_of_trials(self, scheduler: Scheduler) -> None:
        """Nor do trials that fail keep the search from its end."""
        study = _search(_study(scheduler, space=Space(number=integer(1, 30))), 1000, outcome=_mixed, workers=3)
        assert len({trial.architecture for trial in study.trials}) == 30
        with pytest.raises(Exhausted):
            study.ask()

    def test_a_budget_ends_the_search(self, scheduler: Scheduler) -> None:
        """A trial counts by its share of a full evaluation, and a promotion by the difference to the rung below."""
        study = _study(scheduler).run(_evaluate, Budget(trials=6))
        assert 6 <= study.history.spent + 1e-9 < 7
        assert study.stopped_by == "trials"
        overtime = Overtime()
        study.run(_evaluate, Budget(seconds=study.elapsed + 0.01), callbacks=[overtime])
        assert overtime.trials <= 1
        assert study.stopped_by == "seconds"

    def test_settings_can_be_written_down(self, scheduler: Scheduler) -> None:
        """A registered scheduler is made again from its settings."""
        name = schedulers.name_of(scheduler)
        if name is None:
            pytest.skip("the scheduler is not registered")
        options = json.loads(json.dumps(schedulers.options(scheduler)))
        assert schedulers.create(name, **options) == scheduler


# ---------------------------------------------------------------------- what becomes of trials

_ENDS: dict[str, float | Exception] = {
    "failed": RuntimeError("broken"),
    "pruned": Stopped("poor"),
    "infinite": float("inf"),
}


def _mixed(trial: Trial) -> float | Exception:
    """Let every third trial end in another way."""
    ends: Sequence[float | Exception] = [*_ENDS.values(), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    return ends[int(trial.architecture.id, 16) * (1 + 5 * trial.number) % len(ends)]


def _curve(architecture: Architecture, spent: Spent | None) -> Curve:
    """Return a made-up learning curve: a power law, as the architecture's id says."""
    epochs = (spent or {}).get("epochs", _FULL)
    code = int(architecture.id, 16)
    end, fall, rate = 0.5 + code % 1009 / 2018, 0.3 + code // 1009 % 97 / 194, 0.2 + code // 97873 % 101 / 101
    return [{"step": float(step), "value": end * (1 - fall * step**-rate)} for step in _STEPS if step <= epochs]


def _evaluate(candidate: Candidate) -> float:
    for row in _curve(candidate.architecture, candidate.fidelity):
        candidate.report(row["step"], value=row["value"])
    return row["value"]


# ---------------------------------------------------------------------- studies


def _study(scheduler: Scheduler, *, space: Space | None = None, **more: Any) -> Study:
    infinite = Space(rate=real(1e-4, 1e-1, log=True), kind=choice("a", "b", "c"), depth=integer(0, 5))
    strategy = _strategy(scheduler)
    return Study(space or infinite, strategy=strategy, scheduler=scheduler, fidelity=_EPOCHS, **more)


def _search(
    study: Study,
    count: int,
    *,
    workers: int = 1,
    outcome: Outcomes = lambda trial: 0.0,  # what its curve says
    sign: float = 1.0,
    asked: Callable[[Trial], None] = lambda trial: None,
    ended: Callable[[Trial], None] = lambda trial: None,
) -> Study:
    """Let a study go on until it has so many trials, or everything has been tried; and return it.

    Workers end out of order. What becomes of a trial is an exception, or a number that is added to the value of its
    curve, times a sign. Two functions are told each trial that begins and each that has ended.
    """
    running: list[Trial] = []
    coin = np.random.default_rng(len(study.trials))
    while len(study.trials) < count or running:
        if len(study.trials) < count and len(running) < workers:
            try:
                trial = study.ask()
            except Exhausted:
                if not running:
                    return study
            else:
                asked(trial)
                running.append(trial)
                continue
        trial = running.pop(int(coin.integers(len(running))))
        ended(_tell(study, trial, outcome(trial), sign))
    return study


def _tell(study: Study, trial: Trial, came: float | Exception, sign: float) -> Trial:
    told: Curve = []
    for row in _curve(trial.architecture, trial.fidelity):
        cost = int(trial.architecture.id[:4], 16) % 101 / 101
        told.append({**row, "value": sign * row["value"], "cost": cost})
        why = study.scheduler.stop(study.history, trial, tuple(told))
        if why is not None:
            return study.tell(trial, why, curve=told, seconds=0.0)
    if not isinstance(came, Exception):
        return study.tell(trial, {"value": came + told[-1]["value"], "cost": cost}, curve=told, seconds=0.0)
    return study.tell(trial, came, curve=told, seconds=0.0)


def _key(trial: Trial) -> Trial:
    """Return what is settled of a trial when it begins."""
    return Trial(
        trial.number,
        trial.architecture,
        seed=trial.seed,
        fidelity=trial.fidelity,
        share=trial.share,
        origin=trial.origin,
    )


def _told(study: Study) -> list[Trial]:
    return [_key(trial) for trial in study.trials]


def _fresh(scheduler: Scheduler) -> Scheduler:
    """Return a scheduler of the same settings that has seen nothing."""
    name = schedulers.name_of(scheduler)
    return copy.deepcopy(scheduler) if name is None else schedulers.create(name, **schedulers.options(scheduler))


def _strategy(scheduler: Scheduler) -> Strategy:
    """Return a strategy that the scheduler works with."""
    for strategy in (strategies.create("random"), strategies.create("evolution", population=8, sample=3)):
        try:
            scheduler.check(strategy)
        except SchedulerError:
            continue
        return strategy
    pytest.skip("the scheduler works with neither 'random' nor 'evolution'")
