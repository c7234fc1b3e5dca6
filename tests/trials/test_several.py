"""Several objectives: what they read as, fronts, order, hypervolume."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.errors import EvaluationError, StudyError
from archwright.space import Architecture
from archwright.trials import (
    Constraint,
    History,
    Objective,
    SoftReward,
    Trial,
    WeightedSum,
    crowding,
    dominates,
    hypervolume,
    is_on_front,
    parse_objectives,
    ranks,
)

ACCURACY, LATENCY = Objective("accuracy"), Objective("latency_ms", False)
points = st.lists(st.tuples(*[st.integers(0, 6)] * 2), min_size=1, max_size=25)
triples = st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=12)


def told(rows, objectives=(ACCURACY, LATENCY), shares=None, **options):
    history = History(objectives, **options)
    for number, row in enumerate(rows):
        trial = Trial(number, Architecture({"x": number}), share=1.0 if shares is None else shares[number])
        history.add(trial)
        metrics = {objective.metric: float(value) for objective, value in zip(objectives, row, strict=True)}
        history.add(Trial(number, trial.architecture, state="complete", metrics=metrics, share=trial.share))
    return history


# --------------------------------------------------------------------------- as text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max accuracy - 0.01*latency_ms", WeightedSum("accuracy", True, (("accuracy", 1.0), ("latency_ms", -0.01)))),
        ("max 2*f1 + .5*recall", WeightedSum("f1", True, (("f1", 2.0), ("recall", 0.5)))),
        ("max accuracy * (latency_ms / 5) ^ -0.07", SoftReward("accuracy", True, "latency_ms", 5.0, -0.07, -0.07)),
        ("max accuracy*(flops/1e6)^(0,-1)", SoftReward("accuracy", True, "flops", 1e6, 0.0, -1.0)),
    ],
)
def test_rewards_are_text_both_ways(text, expected):
    objective = Objective.parse(text)
    assert objective == expected
    assert Objective.parse(str(objective)) == objective


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(-9, 9).filter(bool)), min_size=2, max_size=4))
def test_every_weighted_sum_is_read_as_it_was_written(weights):
    objective = WeightedSum(weights[0][0], True, tuple(weights))
    again = Objective.parse(str(objective))
    assert again == objective
    metrics = {"a": 2.0, "b": -3.0, "c": 0.5}
    assert again.score(metrics) == pytest.approx(sum(weight * metrics[name] for name, weight in weights))


def test_the_reward_of_mnasnet():
    reward = Objective.parse("max accuracy * (latency_ms / 80) ^ -0.07")
    score = [reward.score({"accuracy": 0.75, "latency_ms": latency}) for latency in (40, 80, 160)]
    assert score[1] == 0.75
    # Tan et al., section 3: twice the latency for 5 % more accuracy is about the same.
    assert score[2] * 1.05 == pytest.approx(score[1], rel=1e-3)
    hard = Objective.parse("max accuracy * (latency_ms / 80) ^ (0, -1)")
    assert [hard.score({"accuracy": 0.8, "latency_ms": latency}) for latency in (1, 80, 160)] == [0.8, 0.8, 0.4]
    with pytest.raises(EvaluationError, match="cost above 0"):
        reward.score({"accuracy": 0.8, "latency_ms": 0.0})
    with pytest.raises(EvaluationError, match="metrics that came are: accuracy"):
        reward.score({"accuracy": 0.8})


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ((), "no objective"),
        (("max accuracy", "min accuracy"), "contradict"),
        (("max accuracy", "accuracy"), "twice"),
        (("min a + b",), "begin with max"),
        (("max a * b",), "an objective reads"),
        (("max a + ",), "an objective reads"),
        (("max a * (b / 0) ^ -1",), "above 0"),
    ],
)
def test_objectives_that_make_no_sense(given_, said):
    with pytest.raises(StudyError, match=said):
        parse_objectives(given_)


def test_one_objective_is_a_text():
    assert parse_objectives("max accuracy") == (ACCURACY,)
    assert parse_objectives(["accuracy", "min loss"]) == (ACCURACY, Objective("loss", False))


@pytest.mark.parametrize(
    "text",
    [
        "min {}",
        "max accuracy - 1e-06*{}",
        "max {} + accuracy",
        "max accuracy * ({} / 1000.0) ^ -0.07",
    ],
)
def test_the_short_name_of_a_metric_is_the_same_metric(text):
    short, full = Objective.parse(text.format("params")), Objective.parse(text.format("parameters"))
    assert short == full
    assert "parameters" in str(short)
    assert Constraint.parse("parameters <= 5") == Constraint.parse("parameters <= 5")


def test_a_metric_that_is_reported_by_its_short_name_is_told_its_own():
    with pytest.raises(EvaluationError, match="that came are: accuracy, params: report 'params' as 'parameters'"):
        Objective.parse("min params").score({"accuracy": 1.0, "params": 5.0})


def test_the_reference_may_use_the_short_name():
    objectives = parse_objectives(["accuracy", "min parameters"])
    for name in ("params", "parameters"):
        assert History(objectives, reference={"accuracy": 0.5, name: 100.0}).reference == (0.5, -100.0)


def test_an_infeasible_trial_of_which_nothing_is_measured_is_infinitely_far_off():
    history = History(ACCURACY, constraints=[Constraint("a", 1.0)])
    trial = Trial(0, Architecture({}), seed=0)
    assert history.violation(replace(trial, state="infeasible")) == math.inf
    assert history.violation(replace(trial, state="infeasible", metrics={"a": 3.0})) == 2.0
    assert history.violation(replace(trial, state="complete", metrics={"accuracy": 1.0})) == 0.0


# --------------------------------------------------------------------------- fronts


@given(points)
def test_the_front_is_what_nothing_dominates(rows):
    history = told(rows)
    expected = {
        number
        for number, point in enumerate(history.points)
        if not any(dominates(other, point) for other in history.points)
    }
    assert {trial.number for trial in history.front} == expected
    assert history.front[0].metrics["accuracy"] == max(row[0] for row in rows)
    assert history.best.number in expected


@given(points, st.data())
def test_the_front_is_of_those_that_were_given_most(rows, data):
    shares = data.draw(st.lists(st.sampled_from([1 / 9, 1 / 3, 1.0]), min_size=len(rows), max_size=len(rows)))
    history = told(rows, shares=shares)
    most = [number for number, share in enumerate(shares) if share == max(shares)]
    alone = told([rows[number] for number in most])
    assert {trial.number for trial in history.front} == {most[trial.number] for trial in alone.front}


@given(triples)
def test_ranks_peel_front_after_front(rows):
    values = np.array(rows, dtype=float)
    found = ranks(values)
    left = list(range(len(rows)))
    for front in itertools.count():
        if not left:
            break
        here = [i for i in left if not any(dominates(values[j], values[i]) for j in left)]
        assert sorted(here) == sorted(np.flatnonzero(found == front))
        left = [i for i in left if i not in here]
    assert (is_on_front(values) == (found == 0)).all()


@given(points)
def test_hypervolume_is_the_area_counted_in_unit_squares(rows):
    area = sum(any(x < a and y < b for a, b in rows) for x, y in itertools.product(range(6), repeat=2))
    assert hypervolume(np.array(rows, dtype=float), (0, 0)) == pytest.approx(area)


@given(triples)
def test_volume_in_three_dimensions(rows):
    cubes = sum(
        any(all(p < q for p, q in zip(corner, row, strict=True)) for row in rows)
        for corner in itertools.product(range(4), repeat=3)
    )
    assert hypervolume(np.array(rows, dtype=float), (0, 0, 0)) == pytest.approx(cubes)


def test_crowding_by_hand():
    found = crowding(np.array([[0.0, 4.0], [1.0, 3.0], [3.0, 1.0], [4.0, 0.0]]))
    assert found.tolist() == [math.inf, 3 / 4 + 3 / 4, 3 / 4 + 3 / 4, math.inf]
    assert crowding(np.array([[1.0, 1.0]])).tolist() == [math.inf]
    twice = crowding(np.array([[0.0, 4.0], [2.0, 2.0], [2.0, 2.0], [4.0, 0.0]]))
    assert sorted(twice.tolist())[0] == 0.0


@given(points)
def test_the_order_puts_fronts_first_and_agrees_with_rank_for_one_objective(rows):
    history = told(rows)
    order = [trial.number for trial in history.best_first(history.complete)]
    fronts = ranks(np.array(history.points))
    assert [fronts[number] for number in order] == sorted(fronts)
    single = told([(row[0],) for row in rows], (ACCURACY,))
    scores = [trial.metrics["accuracy"] for trial in single.best_first(single.complete)]
    assert scores == sorted(scores, reverse=True)


def test_the_reference_point_is_chosen_once_or_given():
    rows = [(number, 20 - number) for number in range(10)]
    history = told(rows[:9])
    assert history.reference is None
    assert history.hypervolume() == 0
    history = told([*rows, (-50, 500)])
    # The worst of the first ten, a tenth of their range beyond: accuracy 0 - 0.9, latency 20 + 0.9.
    assert history.reference == pytest.approx((-0.9, -20.9))
    given_ = told(rows, reference={"accuracy": 0.0, "latency_ms": 21.0})
    assert given_.reference == (0.0, -21.0)
    assert given_.hypervolume() > 0


@given(points)
def test_hypervolume_over_time_never_falls_and_ends_at_that_of_the_front(rows):
    history = told(rows, reference={"accuracy": -1.0, "latency_ms": 7.0})
    volumes = [volume for _, volume in history.hypervolumes()]
    assert volumes == sorted(volumes)
    assert volumes[-1] == pytest.approx(history.hypervolume())


# --------------------------------------------------------------------------- constraints


@given(st.floats(-10, 10), st.floats(-10, 10), st.booleans())
def test_a_violation_is_the_excess_as_a_share_of_the_bound(value, bound, at_most):
    constraint = Constraint("a", bound, at_most)
    violation = constraint.violation({"a": value})
    assert (violation == 0) == constraint.keeps({"a": value})
    if violation and bound:
        assert violation == pytest.approx(abs(value - bound) / abs(bound))


def test_nan_breaks_every_constraint_by_any_measure():
    assert Constraint("a", 1).violation({"a": math.nan}) == math.inf
