"""Searches for several objectives, under constraints that are counted, measured and learned."""

from __future__ import annotations

import math
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evaluate.stubs import images
from tests.study.helpers import SPACE, record, value
from tests.study.test_best import NETWORKS, MarksAgain

import archwright as aw
from archwright.cost import Cost, Costed
from archwright.errors import SchedulerError, StudyError
from archwright.evaluate import FunctionEvaluator, Infeasible, Training

AIMS = ["max value", "min cost"]
NET = aw.Space(
    model=aw.nn.Sequential(
        aw.nn.Flatten(), aw.nn.LazyLinear(aw.integer(2, 40, name="width")), aw.nn.ReLU(), aw.nn.LazyLinear(3)
    ),
    example_input=(1, 8, 8),
)


def both(candidate):
    architecture = candidate.architecture
    return {"value": value(architecture), "cost": float(sum("abcde".index(each) for each in architecture.values()))}


class Widths(Cost):
    """The width, as something that is measured; how often is noted."""

    metrics = ("width",)

    def __init__(self):
        self.asked = []

    def of(self, space, architecture, example_input=None):
        self.asked.append(architecture)
        return {"width": float(architecture["width"])}


# --------------------------------------------------------------------------- the front


def test_a_search_for_two_objectives(tmp_path):
    study = aw.search(SPACE, both, objective=AIMS, budget=aw.Budget(trials=20), path=tmp_path)
    points = [(trial.metrics["value"], -trial.metrics["cost"]) for trial in study.trials]
    expected = {i for i, p in enumerate(points) if not any(q != p and q[0] >= p[0] and q[1] >= p[1] for q in points)}
    assert {each.trial.number for each in study.front} == expected
    assert study.best.trial.number == max(range(20), key=lambda i: points[i])
    assert study.hypervolume > 0
    again = aw.load(tmp_path)
    assert [each.trial for each in again.front] == [each.trial for each in study.front]
    assert again.hypervolume == study.hypervolume
    summary = again.summary()
    assert summary["objectives"] == AIMS
    assert [row["trial"] for row in summary["front"]] == [each.trial.number for each in study.front]
    assert "max value, min cost" in (tmp_path / "log.txt").read_text()


def test_a_search_that_was_interrupted_is_the_search_that_was_not(tmp_path):
    options = {"objective": AIMS, "strategy": "nsga2", "constraints": ["cost <= 12"]}
    whole = aw.search(SPACE, both, budget=aw.Budget(trials=30), **options)
    aw.search(SPACE, both, budget=aw.Budget(trials=12), path=tmp_path, **options)
    study = aw.load(tmp_path, evaluator=both).resume(aw.Budget(trials=30))
    assert list(map(record, study.trials)) == list(map(record, whole.trials))
    assert any(trial.state == "infeasible" for trial in study.trials)


@pytest.mark.parametrize("scheduler", ["asha", "successive-halving", "hyperband"])
def test_promotions_among_equals_do_not_depend_on_interrupts(tmp_path, scheduler):
    def coarse(candidate):
        found = both(candidate)
        return {"value": round(found["value"], 1), "cost": found["cost"] // 5}

    options = {"objective": AIMS, "strategy": "random", "scheduler": scheduler, "fidelity": {"epochs": (1, 9)}}
    whole = aw.search(SPACE, coarse, budget=aw.Budget(trials=20), **options)
    for trials in (7, 11, 13, 16, 20):
        study = aw.search(SPACE, coarse, budget=aw.Budget(trials=trials), path=tmp_path, resume=True, **options)
    assert [(*record(t), t.origin) for t in study.trials] == [(*record(t), t.origin) for t in whole.trials]


def test_each_network_of_the_front_is_kept_and_no_other(tmp_path):
    training = Training(images(), epochs=1)
    study = aw.search(
        NET,
        training,
        objective=["max accuracy", "min parameters"],
        strategy="random",
        budget=aw.Budget(trials=12),
        path=tmp_path,
    )
    numbers = {each.trial.number for each in study.front}
    assert {int(place.name) for place in (tmp_path / "front").iterdir()} == numbers
    for each in (*study.front, *aw.load(tmp_path).front):
        model = each.load()
        assert sum(weight.numel() for weight in model.parameters()) == each.metrics["parameters"]
    assert study.test["test_accuracy"] > 0
    in_memory = aw.search(
        NET,
        training,
        objective=["max accuracy", "min parameters"],
        strategy="random",
        budget=aw.Budget(trials=12),
        final=False,
    )
    assert [each.trial.number for each in in_memory.front] == [each.trial.number for each in study.front]
    assert all(each.load() is not None for each in in_memory.front)


class Traded(MarksAgain):
    """What has a higher value costs more, so that all are on the front."""

    def evaluate(self, candidate):
        return {"cost": 2.0 ** self.values[self.count], **super().evaluate(candidate)}


def test_a_network_of_the_front_that_is_lost_is_trained_again_where_asked_for(tmp_path):
    study = aw.search(NETWORKS, Traded(), objective=AIMS, budget=aw.Budget(trials=4), path=tmp_path)
    lost = next(each for each in study.front if each.trial != study.best.trial)
    shutil.rmtree(tmp_path / "front" / str(lost.trial.number))
    with pytest.raises(StudyError, match="lost, as on a full disk, resume with a final= that includes its trial"):
        lost.load()
    study = aw.load(tmp_path, evaluator=Traded()).resume(final=4)
    assert [each.load()[-1].bias[0].item() for each in study.front] == [100.0] * 4


def test_several_are_trained_in_the_end_where_asked_for():
    training = Training(images(), epochs=1)
    study = aw.search(
        NET,
        training,
        objective=["max accuracy", "min parameters"],
        strategy="random",
        budget=aw.Budget(trials=12),
        final=3,
    )
    assert len(study.finals) == min(3, len(study.trials))
    assert study.best.trial.number in study.finals
    assert sum(number in {each.trial.number for each in study.front} for number in study.finals) == min(
        3, len(study.front)
    )


@pytest.mark.parametrize("scheduler", ["asha", "successive-halving", "hyperband"])
def test_schedulers_promote_by_all_objectives(scheduler):
    def growing(candidate):
        part = (candidate.fidelity or {}).get("epochs", 9)
        return {**both(candidate), "value": value(candidate.architecture) * part / 9}

    study = aw.search(
        SPACE,
        growing,
        objective=AIMS,
        strategy="random",
        scheduler=scheduler,
        fidelity={"epochs": (1, 9)},
        budget=aw.Budget(trials=12),
    )
    assert all(each.trial.share == 1 for each in study.front)
    if scheduler == "asha":  # it promotes at once, before it knows the rest of the rung
        return
    lowest = [trial for trial in study.trials if trial.fidelity == {"epochs": 1}]
    gone_on = {trial.origin for trial in study.trials if trial.origin is not None}
    unbeaten = {each.number for each in study.history.best_first(lowest)[: len(lowest) // 2]}
    assert gone_on & {trial.number for trial in lowest} <= unbeaten


@pytest.mark.parametrize("scheduler", ["dehb", "pasha", "median"])
def test_schedulers_that_go_by_one_curve_say_so(scheduler):
    fidelity = {"epochs": (1, 9)} if aw.schedulers.create(scheduler).partial else None
    with pytest.raises(SchedulerError, match="supports one objective, not 2"):
        aw.Study(SPACE, objective=AIMS, strategy="random", scheduler=scheduler, fidelity=fidelity)


# --------------------------------------------------------------------------- constraints


@given(st.lists(st.tuples(*[st.sampled_from([0.0, 0.5, 1.0, 2.0, math.nan, math.inf])] * 2), min_size=1, max_size=20))
@settings(max_examples=25)
def test_everything_on_the_front_keeps_the_constraints(rows):
    study = aw.Study(SPACE, objective=AIMS, constraints=["cost <= 1", "value >= 0.5"], strategy="random")
    for one, other in rows:
        study.tell(study.ask(), {"value": one, "cost": other})
    for each in study.front:
        assert each.metrics["cost"] <= 1
        assert each.metrics["value"] >= 0.5
    for trial in study.trials:
        keeps = trial.metrics["cost"] <= 1 and trial.metrics["value"] >= 0.5
        assert (trial.state == "complete") == (keeps and math.isfinite(trial.metrics["value"]))
        assert trial.state == "complete" or trial.error


def test_what_is_measured_before_training_spares_the_training():
    trained = []

    def train(candidate):
        trained.append(candidate.architecture)
        return {"value": 1.0 - 1 / candidate.architecture["width"]}

    cost = Widths()
    study = aw.Study(NET, constraints=["width <= 10"], objective=["max value", "min width"], strategy="random")
    study.run(Costed(FunctionEvaluator(train), [cost]), aw.Budget(trials=20))
    states = {trial.architecture: trial.state for trial in study.trials}
    assert set(states.values()) == {"complete", "infeasible"}
    assert trained == [architecture for architecture, state in states.items() if state == "complete"]
    assert all(architecture["width"] <= 10 for architecture in trained)
    broken = next(trial for trial in study.trials if trial.state == "infeasible")
    assert broken.error == f"width is {broken.architecture['width']}, and the constraint is width <= 10"
    assert len(cost.asked) == len(set(cost.asked))  # each was measured once


def test_what_is_counted_is_never_proposed():
    study = aw.search(
        NET,
        Training(images(), epochs=1),
        constraints=["parameters <= 1000", "flops >= 600"],
        budget=aw.Budget(trials=6),
        final=False,
    )
    assert len(study.history.complete) == 6
    for trial in study.trials:
        parameters, flops = aw.cost.measures(NET, trial.architecture)
        assert parameters <= 1000
        assert flops >= 600


def test_a_search_learns_where_constraints_are_broken():
    def run(constraint):
        study = aw.Study(SPACE, strategy="random", constraints=[constraint], seed=1)
        for _ in range(120):
            trial = study.ask()
            study.tell(trial, {"value": value(trial.architecture), "firsts": float(trial.architecture["e0"] == "a")})
        return [trial.state == "complete" for trial in study.trials]

    kept = run("firsts >= 1")
    assert sum(kept[:5]) <= 3  # a fifth by chance
    assert sum(kept[-60:]) > 50


def test_a_bound_that_nothing_meets_is_told_with_what_comes_closest():
    with pytest.raises(StudyError, match=r"params|parameters <= 10: \d+ is the closest of \d+ networks\); relax"):
        aw.search(NET, Training(images(), epochs=1), constraints=["parameters <= 10"], budget=aw.Budget(trials=3))


def test_an_evaluation_may_say_that_it_is_infeasible():
    study = aw.Study(SPACE, strategy="random")
    told = study.tell(study.ask(), Infeasible("does not fit", {"memory": 3.0}))
    assert (told.state, told.error, told.metrics) == ("infeasible", "does not fit", {"memory": 3.0})


def test_a_constraint_that_nothing_says_fails_the_trial():
    study = aw.Study(SPACE, strategy="random", constraints=["memory <= 3"])
    told = study.tell(study.ask(), 0.5)
    assert told.state == "failed"
    assert "the constraint 'memory <= 3' cannot be checked" in told.error


# --------------------------------------------------------------------------- bad use


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"objective": ["max accuracy", "min latency"]}, "unknown metric 'latency'.*Did you mean 'latency_ms'"),
        ({"constraints": ["acuracy >= 0.5"]}, "Did you mean 'accuracy'"),
        ({"objective": ["max accuracy", "min accuracy"]}, "contradict"),
    ],
)
def test_what_makes_no_sense_is_told_before_the_search(tmp_path, options, said):
    with pytest.raises(StudyError, match=said):
        aw.search(NET, Training(images(), epochs=1), budget=aw.Budget(trials=2), path=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists() or not any((tmp_path / "run").iterdir())


def test_a_reference_point_has_a_number_for_each_objective():
    with pytest.raises(StudyError, match="none for 'loss'"):
        aw.Study(SPACE, objective=["max accuracy", "min loss"], reference={"accuracy": 0.1})


def test_a_nan_objective_is_a_failed_trial():
    study = aw.Study(SPACE, strategy="random", objective=AIMS)
    told = study.tell(study.ask(), {"value": 1.0, "cost": math.nan})
    assert told.state == "failed"
    assert "the objective 'cost' is nan" in told.error


def test_the_picture_of_a_front(tmp_path):
    pytest.importorskip("matplotlib")
    study = aw.search(
        SPACE, both, objective=AIMS, constraints=["cost <= 14"], strategy="random", budget=aw.Budget(trials=30)
    )
    study.draw_front(tmp_path / "front.png")
    assert (tmp_path / "front.png").stat().st_size > 5000
    with pytest.raises(StudyError, match="png"):
        study.draw_front(tmp_path / "front.docx")
    with pytest.raises(StudyError, match="two objectives"):
        aw.search(SPACE, both, objective="max value", budget=aw.Budget(trials=3)).draw_front(tmp_path / "one.png")
