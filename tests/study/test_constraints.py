"""Bounds of what networks cost, kept to before any is trained."""

from __future__ import annotations

import pytest

import archwright as aw
from archwright.errors import StudyError

WIDTHS = range(1, 21)
SPACE = aw.Space(model=aw.nn.LazyLinear(aw.ordinal(*WIDTHS, name="width")), example_input=aw.TensorSpec((4,)))


def width(candidate):
    return float(candidate.architecture["width"])


def parameters(width):
    return 5 * width


@pytest.mark.parametrize("strategy", ["random", "evolution", "grid"])
def test_what_breaks_a_bound_is_never_evaluated_and_the_rest_is(strategy):
    options = {"strategy": strategy, "budget": aw.Budget(trials=100)}
    study = aw.search(SPACE, width, constraints=["params <= 60", "flops >= 16"], **options)
    seen = sorted(trial.architecture["width"] for trial in study.trials)
    assert all(parameters(each) <= 60 for each in seen)
    assert seen[-1] == 12  # the largest that keeps to it
    assert study.stopped_by == "exhausted"  # and not an error, when all of them have been tried
    assert len(set(seen)) == len(seen) > 5


def test_bounds_that_nothing_keeps_to_are_told_with_what_comes_closest():
    with pytest.raises(StudyError, match=r"parameters <= 4: 5 is the closest of \d+ networks\); loosen them"):
        aw.search(SPACE, width, constraints=["params <= 4"], budget=aw.Budget(trials=100))


def test_they_are_on_record_and_a_resumed_search_keeps_to_them(tmp_path):
    options = {"strategy": "random", "path": tmp_path}
    first = aw.search(SPACE, width, constraints=["params <= 60"], budget=aw.Budget(trials=3), **options)
    for study in (
        aw.load(tmp_path, evaluator=width).resume(aw.Budget(trials=5)),
        aw.search(SPACE, width, resume=True, budget=aw.Budget(trials=8), **options),
    ):
        assert study.constraints == first.constraints
        assert all(parameters(trial.architecture["width"]) <= 60 for trial in study.trials)
    with pytest.raises(StudyError, match=r"constraints=\['parameters <= 60'\] is on record.*<= 50'\] was given"):
        aw.search(SPACE, width, constraints=["params <= 50"], resume=True, budget=aw.Budget(trials=9), **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("params < 5", "reads"),
        ("params <= many", "reads"),
    ],
)
def test_what_is_no_bound_of_a_cost_is_refused(text, message):
    with pytest.raises(StudyError, match=message):
        aw.search(SPACE, width, constraints=[text], budget=aw.Budget(trials=2))
