"""Schedulers compared by simulated time, on tables whose every number is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import archwright as aw
from archwright import bench, schedulers
from archwright.errors import BudgetError, EvaluationError, SchedulerError, StrategyError, UnknownName
from archwright.evaluate import Fidelity, FunctionEvaluator, Stopped
from archwright.schedulers import Assignment, Scheduler
from archwright.space import Architecture
from archwright.strategies import Strategy

NAN = math.nan
SPACE = aw.Space(x=aw.integer(0, 2))
VALIDATION = {1: [0.3, 0.2, 0.4], 3: [0.5, 0.6, 0.7], 9: [0.9, 0.7, 0.8]}
TEST = [0.6, 0.5, 0.9]
SECONDS = {1: [1.0, 2.0, 3.0], 3: [4.0, 5.0, 6.0], 9: [10.0, 20.0, 30.0]}


def columns(numbers):
    return {epochs: np.array(column) for epochs, column in numbers.items()}


def table(validation=VALIDATION, **options):
    return bench.Table(
        SPACE,
        [Architecture({"x": x}) for x in range(3)],
        columns(validation),
        **{"test": np.array(TEST), "seconds": columns(SECONDS), **options},
    )


def wide(count=14, epochs=(1, 3, 9, 27)):
    """More networks, with seconds and values that cross."""
    rng = np.random.default_rng(5)
    space = aw.Space(x=aw.integer(0, count - 1))
    values = {epoch: rng.random(count) for epoch in epochs}
    seconds = dict(zip(values, np.cumsum(rng.uniform(1, 5, (len(values), count)), axis=0), strict=True))
    return Logged(space, list(space.enumerate()), values, test=rng.random(count), seconds=seconds)


class Logged(bench.Table):
    """A table that notes what is evaluated: the architecture, and after how many epochs it ends."""

    def evaluate(self, candidate):
        try:
            return super().evaluate(candidate)
        finally:
            self.log = [*getattr(self, "log", []), (candidate.architecture, candidate.fidelity, candidate.curve)]


@dataclass(frozen=True)
class InOrder(Strategy):
    """Proposes 0, 1, 2."""

    def propose(self, space, history, rng):
        return Architecture({"x": min(history.count_seen, space.size - 1)})


@dataclass(frozen=True)
class Plan(Scheduler):
    """Does what it is told: for each trial the rung, and the number of the one it goes on from."""

    jobs: tuple[tuple[int, int | None], ...]

    def assign(self, ladder, history, rng, *, more=True):
        if len(history.trials) == len(self.jobs):
            return Assignment(0) if more else None
        level, origin = self.jobs[len(history.trials)]
        return Assignment(level, None if origin is None else history.trials[origin])


@dataclass(frozen=True)
class StopAt(Scheduler):
    """Stops every trial at an epoch."""

    partial: ClassVar[bool] = False
    step: int = 3
    complete: bool = False

    def assign(self, ladder, history, rng, *, more=True):
        return Assignment() if more else None

    def stop(self, history, trial, curve):
        return Stopped("enough", complete=self.complete) if curve[-1]["step"] == self.step else None


def run(scheduler, held=None, strategy=None, **options):
    held = held or table()
    comparison = bench.compare(
        held.space, held, {"one": (strategy or InOrder(), scheduler)}, **{"seeds": 1, "seconds": 1e6, **options}
    )
    return comparison.results["one"]


PLAN = Plan(((0, None), (0, None), (1, 0), (2, 2), (0, None), (2, 1), (2, 4)))
"""0 and 1 begin; 0 goes on, and on to the end; 2 begins; 1 skips a rung; so does 2."""


def test_going_on_costs_the_difference():
    found = run(PLAN, trials=3, seconds=60.0)
    assert found.clock.tolist() == [np.cumsum([1.0, 2.0, 4.0 - 1.0, 10.0 - 4.0, 3.0, 20.0 - 2.0, 30.0 - 3.0]).tolist()]
    assert found.evaluations == 7


def test_the_best_is_that_of_the_highest_fidelity_and_is_judged_by_its_full_training():
    # 0 is better than 1 after an epoch; later 2 and 1 are less than it after as much training.
    found = run(PLAN, trials=3, seconds=60.0, scale=100)
    assert np.allclose(found.regret, 100 * (0.9 - np.full((1, 7), 0.9)))
    assert np.allclose(found.test_regret, 100 * (0.9 - np.full((1, 7), 0.6)))
    # 2 is better than 1 after an epoch; after three 1 stands alone there; after all 2 is better again.
    swapped = Plan(((0, None), (0, None), (0, None), (1, 1), (2, 3), (2, 2)))
    found = run(swapped, trials=3, seconds=60.0)
    assert np.allclose(found.test_regret, [[0.9 - test for test in (0.6, 0.6, 0.9, 0.5, 0.5, 0.9)]])
    assert np.allclose(found.regret, [[0.9 - value for value in (0.9, 0.9, 0.8, 0.7, 0.7, 0.8)]])


def test_an_evaluation_that_ends_after_the_time_is_not_seen():
    exactly, short = (run(PLAN, trials=3, seconds=seconds) for seconds in (15.0, 14.9))
    assert exactly.clock.tolist() == [[1, 3, 6, 12, 15]]
    assert short.clock.tolist() == [[1, 3, 6, 12]]


def test_the_time_is_that_of_so_many_full_trainings_of_the_mean_network():
    comparison = bench.compare(SPACE, table(), {"one": (InOrder(), PLAN)}, trials=2, seeds=1)
    assert comparison.seconds == 2 * 20.0
    assert comparison.results["one"].clock.tolist() == [[1, 3, 6, 12, 15, 33]]
    with_a_gap = table(seconds=columns({**SECONDS, 9: [10.0, 20.0, NAN]}))
    assert with_a_gap.mean_seconds == 15.0
    assert table(seconds=None).mean_seconds is None


def test_all_are_given_the_same_time_with_a_scheduler_or_without():
    comparison = bench.compare(SPACE, table(), {"plan": (InOrder(), PLAN), "full": InOrder()}, trials=2, seeds=1)
    full = comparison.results["full"]
    assert full.clock[0, :2].tolist() == [10, 30]  # the third would end at 60, after the 40 seconds
    assert np.isnan(full.clock[0, 2:]).all()
    assert full.evaluations == 2
    assert full.at(np.array([9.0, 10.0, 40.0])).tolist() == [
        [pytest.approx(each, nan_ok=True) for each in (NAN, 0.3, 0.3)]
    ]
    # found the best by validation: at 10 seconds in full, at 1 second with an epoch; a full training takes 20.
    assert full.found.tolist() == [0.5]
    assert comparison.results["plan"].found.tolist() == [0.05]


@pytest.mark.parametrize("complete", [False, True])
def test_a_trial_that_is_stopped_costs_what_it_took_until_then(complete):
    found = run(StopAt(complete=complete), seconds=100.0)
    assert found.clock.tolist() == [np.cumsum([4.0, 5.0, 6.0]).tolist()]
    # 2 is best after three epochs. What counts is how good it is after nine.
    assert np.allclose(found.regret, [[0.0, 0.9 - 0.7, 0.9 - 0.8]])
    assert np.allclose(found.test_regret, [[0.3, 0.4, 0.0]])


def test_nothing_is_stopped_at_its_end():
    assert run(StopAt(9), seconds=100.0).clock.tolist() == [[10, 30, 60]]


def test_a_training_that_fails_costs_what_it_took_until_then_and_is_worth_nothing():
    # 1 fails between 3 and 9 epochs; nothing is known of 0 at all.
    broken = {1: [NAN, 0.2, 0.1], 3: [NAN, 0.6, 0.3], 9: [NAN, NAN, 0.4]}
    held = table(broken, failed={0: "no", 1: "no"})
    found = run(schedulers.create("full"), held, trials=10, seconds=100.0)
    assert found.clock.tolist() == [[10.0, 15.0, 45.0]]  # a mean one; until 3 epochs; in full
    assert np.allclose(found.regret, [[NAN, NAN, 0]], equal_nan=True)
    found = run(Plan(((0, None), (0, None), (1, 1), (0, None), (1, 3), (2, 2), (2, 4))), held, trials=5, seconds=100.0)
    # 0 costs a ninth of a mean one, which are 20 seconds; 1 fails where it was gone on with from three epochs.
    assert np.allclose(found.clock, [np.cumsum([20 / 9, 2, 3, 3, 3, 0, 24])])
    assert np.allclose(found.test_regret, [[NAN, NAN, NAN, NAN, NAN, NAN, 0]], equal_nan=True)


@pytest.mark.parametrize("name", [name for name in schedulers.names() if schedulers.create(name).partial])
def test_every_network_is_paid_for_once_as_far_as_it_came(name):
    held = wide()
    strategy = aw.strategies.create("evolution" if name == "bohb" else "random")
    found = run(schedulers.create(name), held, strategy, trials=100)
    reached: dict[Architecture, float] = {}
    begun = 0
    for architecture, fidelity, _ in held.log:
        if fidelity is not None:  # a look at the full training of the best so far is free
            begun += 1
            reached[architecture] = max(reached.get(architecture, 0), fidelity["epochs"])
    paid = sum(held._seconds[int(epochs)][held.row(architecture)] for architecture, epochs in reached.items())
    assert len(reached) == 14
    assert found.evaluations == begun > 14
    assert found.clock[0, -1] == pytest.approx(paid)
    assert (np.diff(found.clock[0]) >= 0).all()


@pytest.mark.parametrize("name", [name for name in schedulers.names() if schedulers.create(name).needs_curve])
def test_schedulers_that_stop_save_time_and_keep_within_the_curves(name):
    held = wide(40, range(1, 11))
    found = run(schedulers.create(name), held, aw.strategies.create("random"), trials=100)
    ends = {
        architecture: curve[-1]["step"] for architecture, fidelity, curve in reversed(held.log)
    }  # the first of each: what is looked up again is looked up in full
    paid = sum(held._seconds[int(step)][held.row(architecture)] for architecture, step in ends.items())
    assert found.clock[0, -1] == pytest.approx(paid)
    assert found.evaluations == 40
    assert paid < held._seconds[10].sum()


def test_full_trainings_by_time_are_those_by_number_until_the_time_is_up():
    held = wide()
    counted = bench.compare(held.space, held, ["random", "evolution"], trials=14, seeds=3)
    timed = bench.compare(held.space, held, ["random", "evolution"], trials=14, seeds=3, seconds=40.0)
    assert counted.seconds is None
    for label, result in timed.results.items():
        for row in range(3):
            ended = int((counted.results[label].clock[row] <= 40).sum())
            assert 1 < ended < 14
            for name in ("clock", "regret", "test_regret"):
                assert np.array_equal(
                    getattr(result, name)[row, :ended], getattr(counted.results[label], name)[row, :ended]
                )
            assert np.isnan(result.clock[row, ended:]).all()
            assert (result.regret[row, ended:] == result.regret[row, ended - 1]).all()


def test_without_schedulers_curves_change_nothing():
    held = wide()
    last = bench.Table(
        held.space, held.architectures, {27: held._validation[27]}, test=held._test, seconds={27: held._seconds[27]}
    )
    names = ["random", "evolution", "local-search", "tpe"]
    with_curves, without = (bench.compare(held.space, of, names, trials=12, seeds=2, workers=2) for of in (held, last))
    for label, result in with_curves.results.items():
        for name in ("clock", "regret", "test_regret"):
            assert np.array_equal(getattr(result, name), getattr(without.results[label], name))
        assert result.duplicates == without.results[label].duplicates


def test_by_number_what_an_evaluation_reports_does_not_count():
    def measure(candidate):
        candidate.report(1, value=100.0, seconds=3.0)
        raise Stopped("of its own accord")

    by_number, by_time = (
        bench.compare(SPACE, measure, {"one": InOrder()}, trials=3, seeds=1, seconds=seconds).results["one"]
        for seconds in (None, 10.0)
    )
    assert by_number.clock.tolist() == [[1, 2, 3]]
    assert by_time.clock.tolist() == [[3, 6, 9]]
    assert np.isnan(by_number.regret).all()


def test_two_workers_share_the_clock_and_what_runs_last_may_still_go_on():
    held = bench.Table(
        aw.Space(x=aw.integer(0, 1)),
        [Architecture({"x": 0}), Architecture({"x": 1})],
        columns({1: [0.1, 0.2], 2: [0.3, 0.4]}),
        seconds=columns({1: [5.0, 2.0], 2: [6.0, 9.0]}),
    )
    found = run(schedulers.create("successive-halving", trials=2, eta=2), held, workers=2)
    assert found.clock[0].tolist() == [2, 5, 5 + 9 - 2]  # at 2 seconds there is nothing left to begin


def test_a_table_without_seconds_counts_shares_of_full_trainings():
    found = bench.compare(SPACE, table(seconds=None), {"one": (InOrder(), PLAN)}, trials=2, seeds=1)
    assert found.seconds == 2
    assert np.allclose(found.results["one"].clock, [np.cumsum([1 / 9, 1 / 9, 2 / 9, 6 / 9, 1 / 9])])


def test_the_same_seeds_give_the_same():
    first, second = (
        bench.compare(of.space, of, [("random", "asha"), ("evolution", "hyperband")], trials=5, seeds=[2, 7])
        for of in (wide(), wide())
    )
    assert list(first.results) == ["random+asha", "evolution+hyperband"]
    for label, result in first.results.items():
        assert np.array_equal(result.clock, second.results[label].clock, equal_nan=True)
        assert np.array_equal(result.test_regret, second.results[label].test_regret, equal_nan=True)
    assert not np.array_equal(*first.results["random+asha"].test_regret)


def test_pairs_have_labels_of_their_own():
    slow = schedulers.create("asha", eta=4)
    entries = ["random", ("random", "full"), ("random", "asha"), ("random", slow), ("evolution", "asha")]
    labels = list(bench.compare(SPACE, table(), entries, trials=1, seeds=1).results)
    assert labels[:2] == ["random", "random+full"]
    assert labels[2:4] == [f"Random()+{schedulers.create('asha')!r}", f"Random()+{slow!r}"]
    assert labels[4] == "evolution+asha"
    with pytest.raises(StrategyError, match=r"more than once: Random\(\)\+ASHA"):
        bench.compare(SPACE, table(), [("random", "asha"), ("random", "asha")], trials=1, seeds=1)


def test_what_cannot_work_is_refused_before_anything_runs():
    def never(candidate):
        raise AssertionError

    function = FunctionEvaluator(never)
    with pytest.raises(UnknownName, match="'asha'"):
        bench.compare(SPACE, table(), [("random", "asah")], trials=1, seeds=1)
    with pytest.raises(SchedulerError, match="learns nothing"):
        bench.compare(SPACE, function, [InOrder(), ("random", "bohb")], trials=1, seeds=1, seconds=1.0)
    with pytest.raises(SchedulerError, match="no lower fidelity"):
        bench.compare(SPACE, function, [InOrder(), ("random", "asha")], trials=1, seeds=1, seconds=1.0)
    with pytest.raises(SchedulerError, match="a scheduler is a name or a Scheduler, not 3"):
        bench.compare(SPACE, function, [InOrder(), ("random", 3)], trials=1, seeds=1, seconds=1.0)
    with pytest.raises(BudgetError, match="give seconds, the simulated time of a run"):
        bench.compare(SPACE, function, [("random", "median")], trials=1, seeds=1)
    for seconds in (0.0, -1.0, NAN, math.inf):
        with pytest.raises(BudgetError, match="a number above 0"):
            bench.compare(SPACE, function, ["random"], trials=1, seeds=1, seconds=seconds)


def test_what_goes_by_curves_needs_reports():
    alone = table({9: VALIDATION[9]}, seconds=None)
    with pytest.raises(SchedulerError, match="'accuracy' was not reported"):
        bench.compare(SPACE, alone, [("random", "median")], trials=1, seeds=1)


def test_a_function_that_reports_is_compared_too():
    def measure(candidate):
        for step in range(1, 5):
            candidate.report(step, value=candidate.architecture["x"] * step, seconds=2.0 * step)
        return {"value": candidate.architecture["x"] * 4, "seconds": 8.0}

    found = run(StopAt(2), FunctionWithSpace(measure), seconds=10.0)
    assert found.clock.tolist() == [[4, 8]]
    assert found.regret.tolist() == [[4, 0]]


class FunctionWithSpace(FunctionEvaluator):
    space = SPACE
    fidelities: ClassVar = {"epochs": Fidelity(1, 9, values=(1, 3, 9))}


def test_what_does_not_say_how_long_it_took_costs_its_share_of_a_mean_training():
    def measure(candidate):
        epochs = candidate.fidelity["epochs"]
        if epochs == 3:
            raise RuntimeError("no")
        return {"value": 1.0, "seconds": 50.0}

    found = run(Plan(((0, None), (1, 0), (1, None))), FunctionWithSpace(measure), trials=10, seconds=90.0, best=1.0)
    assert np.allclose(found.clock, [np.cumsum([50, 9 * 2 / 9, 9 * 3 / 9])])


def test_an_evaluation_that_takes_no_time_would_never_end_a_comparison():
    with pytest.raises(EvaluationError, match="took no time"):
        run("full", FunctionWithSpace(lambda candidate: {"value": 1.0, "seconds": 0.0}), seconds=1.0)


def test_a_run_whose_first_evaluation_takes_too_long_has_found_nothing():
    comparison = bench.compare(
        SPACE, table(), {"full": InOrder(), "plan": (InOrder(), PLAN)}, trials=1, seeds=2, seconds=5.0
    )
    full, plan = comparison.results["full"], comparison.results["plan"]
    assert full.evaluations == 0
    assert np.isnan(full.final).all()
    assert full.found.tolist() == [math.inf] * 2
    assert plan.clock.tolist() == [[1, 3]] * 2
    assert comparison.ranking.best == "plan"
