"""What a search does that is not told how."""

from __future__ import annotations

import math
import time
from typing import ClassVar

import numpy as np
import pytest
from tests.evaluate.stubs import images, table
from tests.study.helpers import SPACE, function, record
from tests.study.killed import Growing

import archwright as aw
from archwright.errors import SchedulerError, StrategyError, StudyError, UnknownName
from archwright.evaluate import Fidelity, FunctionEvaluator, Repeats, Training
from archwright.schedulers import ASHA, Full, Ladder, Scheduler
from archwright.strategies import Strategy
from archwright.study._auto import choose
from archwright.study._speed import SpeedProfile


class Timed(Growing):
    """Knows seconds too."""

    fidelities: ClassVar = {"epochs": Fidelity(1, 9, whole=True), "seconds": Fidelity(1, 60)}


class Ready(Growing):
    """Gets ready before the first trial."""

    def prepare(self, preparation):
        return None


class Narrow(Growing):
    """Knows a fidelity that it cannot be given less of."""

    fidelities: ClassVar = {"epochs": Fidelity(1, 1, whole=True), "other": Fidelity(1, 9)}


FUNCTION = FunctionEvaluator(function)
TIME = aw.Budget(minutes=10)
DARTS = aw.strategies.create("darts")
REALS = aw.Space(x=aw.real(0, 1), y=aw.choice("a", "b"))


def chosen(evaluator, budget, *, space=SPACE, strategy="auto", scheduler="auto", fidelity=None):
    return choose(
        space,
        evaluator,
        budget,
        strategy=strategy,
        scheduler=scheduler,
        fidelity=fidelity,
        constraints=(),
    )


@pytest.mark.parametrize(
    ("evaluator", "budget", "options", "scheduler", "strategy", "rungs"),
    [
        (FUNCTION, aw.Budget(trials=400), {}, "full", "bo", "full evaluations"),
        (FUNCTION, aw.Budget(trials=401), {}, "full", "evolution", "full evaluations"),
        (FUNCTION, TIME, {}, "full", "bo", "full evaluations"),
        (FUNCTION, aw.Budget(target=1.0), {}, "full", "bo", "full evaluations"),
        (FUNCTION, aw.Budget(trials=9), {"fidelity": {"n": (1, 9)}}, "asha", "bo", "n 1, 3, 9"),
        (Growing(), aw.Budget(trials=3), {}, "full", "bo", "full evaluations"),
        (Growing(), aw.Budget(trials=4), {}, "asha", "bo", "epochs 1, 3, 9"),
        (Growing(), aw.Budget(trials=100), {}, "asha", "bo", "epochs 1, 3, 9"),
        (Growing(), aw.Budget(trials=101), {}, "asha", "evolution", "epochs 1, 3, 9"),
        (Growing(), TIME, {}, "asha", "bo", "epochs 1, 3, 9"),
        (Growing(), aw.Budget(trials=9), {"fidelity": {"epochs": (3, 9)}}, "asha", "bo", "epochs 3, 9"),
        (Growing(), aw.Budget(trials=9), {"scheduler": "full"}, "full", "bo", "full evaluations"),
        (Growing(), aw.Budget(trials=9), {"scheduler": "median"}, "median", "bo", "full evaluations"),
        (Growing(), aw.Budget(trials=9), {"scheduler": "dehb"}, "dehb", "random", "epochs 1, 3, 9"),
        (Growing(), aw.Budget(trials=9), {"scheduler": ASHA(eta=9)}, "asha", "bo", "epochs 1, 9"),
        (Growing(), aw.Budget(trials=9), {"strategy": "grid"}, "asha", "grid", "epochs 1, 3, 9"),
        (Growing(), aw.Budget(trials=9), {"space": REALS}, "asha", "bo", "epochs 1, 3, 9"),
        (Growing(), aw.Budget(trials=9), {"strategy": DARTS}, "full", "darts", "full evaluations"),
        (Ready(), aw.Budget(trials=9), {}, "full", "bo", "full evaluations"),
        (Repeats(Ready(), 2), aw.Budget(trials=9), {}, "full", "bo", "full evaluations"),
        (Repeats(Growing(), 2), aw.Budget(trials=9), {}, "asha", "bo", "epochs 1, 3, 9"),
        (Narrow(), aw.Budget(trials=9), {}, "full", "bo", "full evaluations"),
        (Narrow(), aw.Budget(trials=9), {"fidelity": {"other": (1, 3)}}, "asha", "bo", "other 1, 3"),
        (Timed(), aw.Budget(trials=9), {}, "asha", "bo", "epochs 1, 3, 9"),
        (Timed(), TIME, {}, "asha", "bo", "seconds 6, 21.2, 75"),
        (Timed(), TIME, {"fidelity": {"epochs": (1, 9)}}, "asha", "bo", "epochs 1, 3, 9"),
        (Timed(), TIME, {"scheduler": "full"}, "full", "bo", "full evaluations"),
        (Timed(), aw.Budget(minutes=10, trials=3), {}, "full", "bo", "full evaluations"),
    ],
)  # fmt: skip
def test_the_rules(evaluator, budget, options, scheduler, strategy, rungs):
    plan = chosen(evaluator, budget, **options)
    assert aw.schedulers.name_of(plan.scheduler) == scheduler
    assert aw.strategies.name_of(plan.strategy) == strategy
    if "seconds" in rungs:
        assert str(plan.ladder).startswith("seconds 6, ")
        assert (plan.ladder.rungs[0], plan.ladder.rungs[-1]) == ({"seconds": 6.0}, {"seconds": 75.0})
    else:
        assert str(plan.ladder) == rungs
    told = [line.split(":")[0] for line in plan.why]
    expected = [] if "scheduler" in options else [f"scheduler {scheduler}"]
    expected += ["fidelity seconds"] if "seconds" in rungs else []
    assert told == expected + ([] if "strategy" in options else [f"strategy {strategy}"])


def test_several_objectives_have_strategies_that_go_by_all_of_them():
    aims = [aw.Objective("value"), aw.Objective("cost", False)]
    plans = [
        choose(
            SPACE,
            Growing(),
            aw.Budget(trials=trials),
            strategy="auto",
            scheduler="auto",
            fidelity=None,
            constraints=(),
            objectives=aims,
        )
        for trials in (400, 401)
    ]
    assert [aw.strategies.name_of(plan.strategy) for plan in plans] == ["mo-bo", "nsga2"]
    assert all(plan.scheduler == Full() for plan in plans)


NETWORKS = aw.Space(
    model=aw.nn.Sequential(
        aw.nn.Linear(4, aw.ordinal(*range(8, 136, 8), name="width")),
        aw.choice({"relu": aw.nn.ReLU(), "gelu": aw.nn.GELU()}, name="activation"),
        aw.nn.LazyLinear(2),
    ),
    example_input=(4,),
)


def pace(architecture):
    """The seconds of an epoch: a third of the networks of the same FLOPs are three times as slow."""
    return architecture["width"] * (3 if architecture["activation"] == "gelu" else 1)


class Paced(Timed):
    """Says how long an epoch takes."""

    fidelities: ClassVar = {"seconds": Fidelity(1, 60), "epochs": Fidelity(0.2, 10)}
    timed: ClassVar = []

    def evaluate(self, candidate):
        return {"value": float(candidate.architecture["width"])}

    def seconds_per_epoch(self, candidate):
        self.timed.append(candidate.architecture)
        return float(pace(candidate.architecture))

    def retrain(self, candidate):
        return {"test_value": 1.0}


def test_networks_are_as_large_as_the_final_training_can_use():
    Paced.timed.clear()
    study = aw.search(NETWORKS, Paced(), budget=aw.Budget(minutes=10))
    assert len(Paced.timed) == 3  # what one FLOP takes is known after a few networks
    bounds = {str(each).split()[1]: each.bound for each in study.history.constraints}
    # Ten epochs for a trial, thirty for a full training; the slowest is to get 70 % of them.
    points = sorted((12.0 * each["width"], float(pace(each))) for each in Paced.timed)
    flops, seconds = zip(*points, strict=True)
    assert np.interp(bounds["<="], flops, np.maximum.accumulate(seconds)) == pytest.approx(360 / 21, rel=0.02)
    fitting = {each for each in NETWORKS.enumerate() if bounds.get(">=", 0) <= 12 * each["width"] <= bounds["<="]}
    assert {trial.architecture for trial in study.trials} == fitting
    assert study.why[1].startswith("size ")
    assert study.strategy.population == 7


@pytest.mark.parametrize(
    ("epochs", "splits", "scheduler", "ladder"),
    [(1, False, "full", "full evaluations"), (1, True, "asha", "splits 1, 5"), (10, True, "asha", "seconds ")],
)
def test_with_time_for_a_dozen_evaluations_all_are_full(epochs, splits, scheduler, ladder):
    """A network takes 8 to 384 seconds for an epoch; 7,000 of 10,000 are for the search."""

    class Known(Paced):
        fidelities: ClassVar = {"epochs": Fidelity(1, epochs, whole=True), "seconds": Fidelity(1, 60)}

    if splits:
        Known.fidelities["splits"] = Fidelity(1, 5, whole=True)
    plan = chosen(Known(), aw.Budget(seconds=10_000), space=NETWORKS)
    assert aw.schedulers.name_of(plan.scheduler) == scheduler
    assert str(plan.ladder).startswith(ladder)
    assert any(line.startswith("plan: about") for line in plan.why) == (ladder != "seconds ")
    assert plan.forecast.networks > 5


def test_a_budget_in_which_no_network_sees_the_data_once_is_told():
    plan = chosen(Paced(), aw.Budget(seconds=10), space=NETWORKS)
    assert any("budget too short: the fastest of 12 sampled networks takes" in line for line in plan.why)


def test_a_budget_that_has_passed_before_the_search_is_told():
    """And still one network is planned."""
    plan = choose(
        NETWORKS,
        Paced(),
        aw.Budget(seconds=100),
        strategy="auto",
        scheduler="auto",
        fidelity=None,
        constraints=(),
        began=time.monotonic() - 90,
    )
    assert any(line.startswith("budget too short: 90 of 100 seconds have passed") for line in plan.why)
    assert any("about 1 network gets 1 second" in line for line in plan.why)
    assert plan.forecast.networks == 1


def test_after_a_limit_of_time_the_speeds_of_larger_networks_are_extrapolated():
    Paced.timed.clear()
    profile = SpeedProfile.of(NETWORKS, Paced(), limit=-1.0)
    assert len(Paced.timed) == 1
    (small, quick), *_, (large, slow) = profile.timed
    assert slow / quick == pytest.approx(large / small)


def test_a_network_that_cannot_be_timed_is_a_trial_that_fails():
    class Broken(Paced):
        def evaluate(self, candidate):
            self.seconds_per_epoch(candidate)
            return super().evaluate(candidate)

        def seconds_per_epoch(self, candidate):
            if candidate.architecture["activation"] == "gelu":
                raise RuntimeError("no gelu here")
            return super().seconds_per_epoch(candidate)

    study = aw.search(NETWORKS, Broken(), budget=aw.Budget(minutes=10), seed=1)
    assert {trial.architecture["activation"] for trial in study.history.complete} == {"relu"}
    failed = [trial for trial in study.trials if trial.state == "failed"]
    assert failed
    assert all("no gelu here" in trial.error for trial in failed)
    assert study.stopped_by == "exhausted"


def test_a_bound_that_few_keep_to_does_not_end_the_search_early():
    """Of 4,096 networks 86 keep to it, and each of the first ten proposals has to be one of them."""
    space = aw.Space(
        model=aw.nn.Sequential(*(aw.nn.LazyLinear(aw.ordinal(*range(1, 65), name=f"w{i}")) for i in range(2))),
        example_input=(8,),
    )
    for seed in range(3):
        study = aw.search(
            space,
            lambda candidate: 1.0,
            strategy="random",
            constraints=["parameters <= 80"],
            budget=aw.Budget(trials=10),
            seed=seed,
        )
        assert study.stopped_by == "trials"


def test_a_bound_of_the_pace_is_a_constraint_like_others():
    Paced.timed.clear()
    study = aw.search(NETWORKS, Paced(), budget=aw.Budget(trials=20), constraints=["seconds_per_epoch <= 40"])
    assert {trial.architecture for trial in study.trials} == {a for a in NETWORKS.enumerate() if pace(a) <= 40}
    assert len(set(Paced.timed)) == len(Paced.timed)


def test_a_space_that_a_model_cannot_serve_has_evolution_and_the_reason_is_told(monkeypatch):
    bo = type(aw.strategies.create("bo"))

    def refuse(self, space):
        raise StrategyError("too strange")

    monkeypatch.setattr(bo, "check", refuse)
    plan = chosen(FUNCTION, aw.Budget(trials=9))
    assert aw.strategies.name_of(plan.strategy) == "evolution"
    assert plan.why[-1] == "strategy evolution: the surrogate model does not support the space: too strange"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"scheduler": "ash"}, UnknownName, "asha"),
        ({"strategy": "evolutoin"}, UnknownName, "evolution"),
        ({"fidelity": {"epoch": (1, 9)}}, UnknownName, "epochs"),
        ({"fidelity": {"epochs": (9, 1)}}, SchedulerError, "reversed"),
        ({"fidelity": {"epochs": 9}}, SchedulerError, "pair"),
        ({"scheduler": "dehb", "strategy": "evolution"}, SchedulerError, "dehb"),
        (
            {"scheduler": "hyperband", "fidelity": {"epochs": (1, 729)}},
            SchedulerError,
            "costs as much as .* budget is 4",
        ),
    ],
)
def test_what_does_not_go_together_is_told_before_anything_is_written(tmp_path, options, error, message):
    folder = tmp_path / "run"
    with pytest.raises(error, match=message):
        aw.search(SPACE, Growing(), budget=aw.Budget(trials=4), path=folder, **options)
    assert not folder.exists()


def test_every_trial_of_one_epoch_is_a_full_one():
    space = aw.Space(model=aw.nn.LazyLinear(3), lr=aw.real(0.01, 0.1))
    study = aw.search(space, Training(table(), epochs=1), strategy="random", budget=aw.Budget(trials=4), final=False)
    assert study.scheduler == Full()
    assert len(study.trials) == 4


def test_what_was_chosen_is_kept_and_told(tmp_path, capsys):
    study = aw.search(SPACE, Growing(), budget=aw.Budget(trials=5), path=tmp_path)
    assert [line.split(":")[0] for line in study.why] == ["scheduler asha", "strategy bo"]
    assert aw.load(tmp_path).why == study.why
    log = (tmp_path / "log.txt").read_text()
    assert all(line in log for line in study.why)
    assert "epochs 1, 3, 9" in log
    from archwright.cli._render import Display

    aw.search(SPACE, Growing(), budget=aw.Budget(trials=5), callbacks=Display(quiet=False).callbacks)
    out = capsys.readouterr().out
    assert all(line in out for line in study.why)
    assert aw.search(SPACE, function, strategy="random", scheduler="full", budget=aw.Budget(trials=1)).why == ()


@pytest.mark.parametrize(("evaluator", "trials"), [(Growing(), (3, 6)), (function, (4, 12))])
def test_a_resumed_search_goes_on_with_what_is_on_record(tmp_path, monkeypatch, evaluator, trials):
    monkeypatch.setattr("archwright.study._auto._MODELLED", 6)
    budget = aw.Budget(trials=trials[1])
    first = aw.search(SPACE, evaluator, budget=aw.Budget(trials=trials[0]), path=tmp_path)
    other = aw.search(SPACE, evaluator, budget=budget)
    assert (first.strategy, first.scheduler) != (other.strategy, other.scheduler)
    study = aw.search(SPACE, evaluator, budget=budget, path=tmp_path, resume=True)
    assert (study.strategy, study.scheduler, study.ladder) == (first.strategy, first.scheduler, first.ladder)
    whole = aw.search(SPACE, evaluator, strategy=first.strategy, scheduler=first.scheduler, budget=budget)
    assert [record(trial) for trial in study.trials] == [record(trial) for trial in whole.trials]
    assert study.why[:-1] == first.why
    kept = "kept: scheduler, strategy, as chosen for the first budget; a new search would choose for"
    assert study.why[-1] == f"{kept} {trials[1]} trials"
    again = aw.load(tmp_path, evaluator=evaluator)
    assert again.resume().why == study.why
    assert again.resume(aw.Budget(trials=15)).why == (*first.why, f"{kept} 15 trials")


def test_rungs_in_seconds_are_those_of_the_first_budget(tmp_path):
    class Steady(Timed):
        fidelities: ClassVar = {"seconds": Fidelity(1, 60)}

        def evaluate(self, candidate):
            return {"value": function(candidate)}

    first = aw.search(SPACE, Steady(), strategy="random", budget=aw.Budget(minutes=2, trials=4), path=tmp_path)
    assert first.ladder.rungs[0] == {"seconds": 1.0}
    for options in ({}, {"scheduler": "asha"}, {"strategy": "random", "scheduler": ASHA()}):
        budget = aw.Budget(minutes=60, trials=5)
        study = aw.search(SPACE, Steady(), budget=budget, path=tmp_path, resume=True, **options)
        assert study.ladder == first.ladder
    with pytest.raises(
        StudyError, match=r"scheduler: asha\(eta=3.0\) over seconds 1, .* is on record, asha\(eta=3.0\) over epochs"
    ):
        aw.search(
            SPACE, Timed(), budget=budget, path=tmp_path, resume=True, strategy="random", fidelity={"epochs": (1, 9)}
        )


class Mine(Strategy):
    def propose(self, space, history, rng):
        return space.sample(rng)


def test_a_resumed_search_takes_a_strategy_of_its_own(tmp_path):
    whole = aw.search(SPACE, Growing(), strategy=Mine(), budget=aw.Budget(trials=8))
    aw.search(SPACE, Growing(), strategy=Mine(), budget=aw.Budget(trials=4), path=tmp_path)
    study = aw.search(SPACE, Growing(), strategy=Mine(), budget=aw.Budget(trials=8), path=tmp_path, resume=True)
    assert [record(trial) for trial in study.trials] == [record(trial) for trial in whole.trials]
    assert study.scheduler == ASHA()
    with pytest.raises(StudyError, match="Mine, cannot be restored"):
        aw.search(SPACE, Growing(), budget=aw.Budget(trials=9), path=tmp_path, resume=True)


@pytest.mark.parametrize("first", ["full", "asha"])
def test_another_scheduler_than_the_one_on_record_is_refused(tmp_path, first):
    other = {"full": "asha", "asha": "full"}[first]
    options = {"strategy": "random", "budget": aw.Budget(trials=4), "path": tmp_path}
    aw.search(SPACE, Growing(), scheduler=first, **options)
    with pytest.raises(StudyError, match=rf"scheduler: {first}\(.* is on record, {other}\(.* was given"):
        aw.search(SPACE, Growing(), scheduler=other, resume=True, **options)
    with pytest.raises(StudyError, match=r"inherit=True was given"):
        aw.search(SPACE, Growing(), scheduler=first, inherit=True, resume=True, **options)


# --------------------------------------------------------------------------- bad use


def test_a_scheduler_whose_round_costs_more_than_the_budget(tmp_path):
    study = aw.Study(SPACE, scheduler="hyperband", strategy="random", fidelity={"epochs": (1, 9)}, path=tmp_path)
    needed = study.scheduler.bracket(study.ladder)
    too_few = math.ceil(needed) - 1
    with pytest.raises(SchedulerError, match=rf"budget is {too_few}: give at least {math.ceil(needed)} trials.*'asha'"):
        study.run(Growing(), aw.Budget(trials=too_few))
    assert study.trials == []
    study.run(Growing(), aw.Budget(trials=math.ceil(needed)))
    assert study.stopped_by == "trials"


def test_an_evaluator_without_fidelities_has_nothing_to_be_given_less_of(tmp_path):
    with pytest.raises(SchedulerError, match=r"no lower fidelity.*fidelity=\{'epochs'"):
        aw.search(SPACE, function, scheduler="asha", budget=aw.Budget(trials=9))
    study = aw.Study(SPACE, scheduler="asha", fidelity={"steps": (1, 9)})
    with pytest.raises(SchedulerError, match="Growing does not support the fidelity 'steps'; it supports epochs"):
        study.run(Growing(), aw.Budget(trials=9))
    assert study.trials == []


@pytest.mark.parametrize("scheduler", ["median", "patience"])
def test_a_scheduler_that_goes_by_curves_and_an_evaluator_without_them(tmp_path, scheduler):
    calls = []

    def silent(candidate):
        calls.append(candidate)
        return function(candidate)

    with pytest.raises(SchedulerError, match=r"trial 0 ended without a report of 'value': call candidate.report\(step"):
        aw.search(SPACE, silent, strategy="random", scheduler=scheduler, budget=aw.Budget(trials=9), path=tmp_path)
    assert len(calls) == 1
    (trial,) = aw.load(tmp_path).trials
    assert (trial.state, trial.metrics) == ("complete", {"value": function(calls[0])})


def test_networks_that_run_in_one_resolution_alone():
    fixed = aw.Space(
        model=aw.nn.Sequential(aw.nn.Flatten(), aw.nn.LazyLinear(aw.ordinal(4, 8)), aw.nn.LazyLinear(3)),
        example_input=aw.TensorSpec((1, 8, 8)),
    )
    training = Training(images(side=16), epochs=1)
    fixed = aw.Space(model=fixed.parts["model"], example_input=training.example_input)
    with pytest.raises(aw.errors.EvaluationError, match=r"do not run on images of 8 instead of 16 pixels"):
        aw.search(fixed, training, scheduler="asha", fidelity={"resolution": (8, 16)}, budget=aw.Budget(trials=4))


# --------------------------------------------------------------------------- tables


def test_a_table_knows_the_fidelities_it_has_results_for():
    import numpy as np

    from archwright.bench import Table

    space = aw.Space(x=aw.integer(0, 30))
    rows = list(space.enumerate())
    last = np.array([row["x"] / 31 for row in rows])
    measured = Table(space, rows, {4: last / 2, 12: last / 1.5, 36: last}, seconds=np.full(31, 360.0))
    study = aw.search(space, measured, budget=aw.Budget(trials=10))
    assert study.scheduler == ASHA()
    assert study.ladder == Ladder(({"epochs": 4}, {"epochs": 12}, {"epochs": 36}), study.ladder.costs)
    assert study.ladder.costs == pytest.approx((1 / 9, 1 / 3, 1))
    for trial in study.trials:
        divisor = {4: 2, 12: 1.5, 36: 1}[trial.fidelity["epochs"]]
        assert trial.metrics["accuracy"] == trial.architecture["x"] / 31 / divisor
        assert trial.metrics["seconds"] == 10 * trial.fidelity["epochs"]
    assert study.best.trial.fidelity == {"epochs": 36}
    two = aw.search(space, measured, fidelity={"epochs": (12, 36)}, budget=aw.Budget(trials=10))
    assert len(two.ladder.rungs) == 2
    with pytest.raises(SchedulerError, match="not two of the values"):
        aw.search(space, measured, fidelity={"epochs": (5, 11)}, budget=aw.Budget(trials=10))


def test_a_scheduler_of_ones_own():
    from dataclasses import dataclass

    from archwright.schedulers import Assignment

    @dataclass(frozen=True)
    class Upwards(Scheduler):
        def assign(self, ladder, history, rng, *, more=True):
            last = history.trials[-1] if history.trials else None
            if last is not None and ladder.level(last.share) < ladder.top:
                return Assignment(ladder.level(last.share) + 1, last)
            return Assignment(0) if more else None

    study = aw.search(SPACE, Growing(), scheduler=Upwards(), budget=aw.Budget(trials=4))
    assert [trial.fidelity["epochs"] for trial in study.trials] == [1, 3, 9] * 4
    assert study.history.spent == pytest.approx(4)


def test_a_fidelity_that_was_asked_for_is_used_or_refused():
    study = aw.search(
        SPACE, function, budget=aw.Budget(trials=2), scheduler="auto", fidelity={"epochs": (1, 9)}, strategy="random"
    )
    assert (type(study.scheduler), str(study.ladder)) == (aw.schedulers.ASHA, "epochs 1, 3, 9")
    with pytest.raises(
        SchedulerError, match="whose trials are full evaluations: omit it, or use a scheduler such as 'asha'"
    ):
        aw.search(SPACE, function, budget=aw.Budget(trials=9), scheduler="median", fidelity={"epochs": (1, 9)})


def test_a_round_that_takes_longer_than_there_is_time_is_refused_at_the_start():
    # Nine begin with 10 seconds, three go on for 20 more, and one for 60 more.
    with pytest.raises(SchedulerError, match=r"takes 210 seconds, and the budget is 60 seconds: give more time"):
        aw.search(
            SPACE,
            function,
            budget=aw.Budget(seconds=60),
            scheduler="successive-halving",
            fidelity={"seconds": (10, 90)},
        )


@pytest.mark.parametrize(("name", "range_"), [("data", (0.5, 2)), ("resolution", (8, 32))])
def test_more_than_there_is_cannot_be_given(name, range_):
    training = Training(images(side=16), epochs=2)
    with pytest.raises(SchedulerError, match=r"goes beyond .*, which is all there is"):
        aw.search("convnet", training, budget=aw.Budget(trials=9), fidelity={name: range_})
