"""Constraints on what networks cost, checked before any is trained."""

from __future__ import annotations

import pytest
import torch

import archwright as aw
from archwright.errors import CostError, StudyError

WIDTHS = range(1, 21)
SPACE = aw.Space(model=aw.nn.LazyLinear(aw.ordinal(*WIDTHS, name="width")), example_input=aw.TensorSpec((4,)))


def width(candidate):
    return float(candidate.architecture["width"])


def parameters(width):
    return 5 * width


@pytest.mark.parametrize("strategy", ["random", "evolution", "grid"])
def test_what_breaks_a_bound_is_never_evaluated_and_the_rest_is(strategy):
    options = {"strategy": strategy, "budget": aw.Budget(trials=100)}
    study = aw.search(SPACE, width, constraints=["parameters <= 60", "flops >= 16"], **options)
    seen = sorted(trial.architecture["width"] for trial in study.trials)
    assert all(parameters(each) <= 60 for each in seen)
    assert seen[-1] == 12  # the largest that keeps to it
    assert study.stopped_by == "exhausted"  # and not an error, when all of them have been tried
    assert len(set(seen)) == len(seen) > 5


def test_bounds_that_nothing_keeps_to_are_told_with_what_comes_closest():
    with pytest.raises(StudyError, match=r"parameters <= 4: 5 is the closest of \d+ networks\); relax the constraints"):
        aw.search(SPACE, width, constraints=["parameters <= 4"], budget=aw.Budget(trials=100))


def test_they_are_on_record_and_a_resumed_search_keeps_to_them(tmp_path):
    options = {"strategy": "random", "path": tmp_path}
    first = aw.search(SPACE, width, constraints=["parameters <= 60"], budget=aw.Budget(trials=3), **options)
    for study in (
        aw.load(tmp_path, evaluator=width).resume(aw.Budget(trials=5)),
        aw.search(SPACE, width, resume=True, budget=aw.Budget(trials=8), **options),
    ):
        assert study.constraints == first.constraints
        assert all(parameters(trial.architecture["width"]) <= 60 for trial in study.trials)
    with pytest.raises(StudyError, match=r"constraints=\['parameters <= 60'\] is on record.*<= 50'\] was given"):
        aw.search(SPACE, width, constraints=["parameters <= 50"], resume=True, budget=aw.Budget(trials=9), **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("parameters < 5", "write"),
        ("parameters <= many", "write"),
    ],
)
def test_what_is_no_bound_of_a_cost_is_refused(text, message):
    with pytest.raises(StudyError, match=message):
        aw.search(SPACE, width, constraints=[text], budget=aw.Budget(trials=2))


class Odd(torch.nn.Module):
    """Cannot be run on a single sample, which is what is counted, where its width is even."""

    def __init__(self, width):
        super().__init__()
        self.width = width

    def forward(self, x):
        if self.width % 2 == 0 and len(x) == 1:
            raise ValueError("two samples are wanted")
        return x


ODD = aw.Space(
    model=aw.nn.Sequential(aw.nn.Linear(4, 4), aw.lazy(Odd)(aw.ordinal(*range(1, 7), name="width"))),
    example_input=(4,),
)


def test_where_a_constraint_cannot_be_told_the_trial_fails_without_an_evaluation():
    evaluated = []

    def measure(candidate):
        evaluated.append(candidate.architecture["width"])
        return 1.0

    study = aw.search(ODD, measure, constraints=["flops <= 100"], strategy="grid", budget=aw.Budget(trials=6))
    assert sorted(evaluated) == [1, 3, 5]
    for trial in study.trials:
        assert trial.state == ("complete" if trial.architecture["width"] % 2 else "failed")
    errors = [trial.error for trial in study.trials if trial.state == "failed"]
    assert all("the constraints cannot be checked" in error for error in errors)
    assert all("1 (Odd): two samples are wanted" in error for error in errors)


def test_the_same_holds_of_trials_that_are_told_also_by_another_process(tmp_path):
    options = {"strategy": "grid", "objective": "max value", "constraints": ["flops <= 100"], "path": tmp_path}
    study = aw.Study(ODD, **options)
    asked = [study.ask() for _ in range(6)]
    told = [study.tell(trial, 1.0) for trial in asked[:3]]
    study.close()
    with aw.Study(ODD, **options, resume=True) as study:
        told += [study.tell(trial, 1.0) for trial in asked[3:5]]
        told.append(study.tell(asked[5], {"value": 1.0, "flops": 32.0}))  # whoever knows it better may tell it
    assert [trial.state for trial in told] == [
        "complete" if trial.architecture["width"] % 2 or trial is told[5] else "failed" for trial in told
    ]
    assert "'flops <= 100' cannot be checked: what the network costs cannot be counted: 1 (Odd)" in told[1].error


def test_a_constraint_that_needs_the_input_is_refused_before_the_search_where_nobody_says_it():
    space = aw.Space(model=aw.nn.Linear(4, aw.ordinal(*WIDTHS, name="width")))
    with pytest.raises(CostError, match="give the space an example_input"):
        aw.search(space, width, constraints=["flops <= 60"], budget=aw.Budget(trials=3))
    study = aw.search(space, width, constraints=["parameters <= 60"], budget=aw.Budget(trials=3))
    assert {trial.state for trial in study.trials} == {"complete"}


@pytest.mark.filterwarnings("ignore:no trial")
def test_what_is_near_a_trial_that_broke_a_measured_bound_keeps_to_the_counted_ones():
    def measure(candidate):
        return {"value": 1.0, "noise": 1000.0 - width(candidate)}  # the wider the better, but never good enough

    study = aw.search(
        SPACE,
        measure,
        constraints=["parameters <= 60", "noise <= 1"],
        budget=aw.Budget(trials=10),
        objective="max value",
    )
    assert len(study.trials) == 10
    assert all(parameters(trial.architecture["width"]) <= 60 for trial in study.trials)


RARE = [f"width_{place}" for place in range(8)]


def all_but_equal(architecture):
    """Holds for eight of 43 million architectures, one step from one another."""
    return sum(architecture[name] for name in RARE) <= 1 and architecture["width_0"] == 0


@pytest.mark.parametrize("strategy", ["random", "evolution", "tpe"])
def test_a_search_in_a_space_that_constraints_leave_little_of_ends_as_exhausted(strategy, tmp_path, monkeypatch):
    monkeypatch.setattr("archwright.trials._history._REFUSED", 1000)

    def space():
        return aw.Space(where=all_but_equal, **{name: aw.integer(0, 8, name=name) for name in RARE})

    def evaluate(candidate):
        return float(sum(candidate.architecture.values()))

    whole = aw.Study(space(), strategy=strategy, seed=1).run(evaluate, aw.Budget(trials=20))
    assert whole.stopped_by == "exhausted"
    assert len(whole.trials) == len({trial.architecture for trial in whole.trials}) == 8
    aw.Study(space(), strategy=strategy, seed=1, path=tmp_path).run(evaluate, aw.Budget(trials=3))
    again = aw.Study(space(), strategy=strategy, seed=1, path=tmp_path, resume=True).run(evaluate, aw.Budget(trials=20))
    assert [trial.architecture for trial in again.trials] == [trial.architecture for trial in whole.trials]


def test_one_constraint_or_cost_is_given_as_several_are_and_costs_by_their_names():
    options = {"strategy": "random", "budget": aw.Budget(trials=1)}
    one = aw.search(SPACE, width, constraints="parameters <= 60", costs="flops", **options)
    several = aw.search(
        SPACE, width, constraints=["parameters <= 60"], costs=["flops", "params", "throughput"], **options
    )
    assert one.constraints == several.constraints == aw.Study(SPACE, constraints="parameters <= 60").constraints
    assert set(one.trials[0].metrics) == {"value", "flops"}
    assert set(several.trials[0].metrics) == {"value", "parameters", "flops", "latency_ms", "throughput"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"objective": max}, 'an objective reads "max accuracy" or "min loss"; <built-in function max> was given'),
        ({"objective": ["max value", 3]}, "an objective reads .* 3 was given"),
        ({"constraints": 3}, 'constraint 3: write "parameters <= 1e6"'),
    ],
)
def test_what_is_no_objective_or_constraint_is_told(given, message):
    with pytest.raises(StudyError, match=message):
        aw.search(SPACE, width, strategy="random", budget=aw.Budget(trials=1), **given)


def test_the_evaluator_is_named_as_the_user_has_it():
    data = aw.data("iris")
    with pytest.raises(StudyError, match=r"unknown metric 'memory_mb'.* Training reports accuracy, activation_mb"):
        aw.search(
            "mlp", aw.Training(data), constraints=["activation_mb <= 1", "memory_mb <= 1"], budget=aw.Budget(trials=1)
        )
