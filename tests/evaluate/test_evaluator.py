"""Functions as evaluators, and what counts as metrics."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluate.stubs import candidate, linear

from archwright.errors import EvaluationError
from archwright.evaluate import Evaluator, FunctionEvaluator, as_evaluator, check_metrics


class Constant(Evaluator):
    def evaluate(self, candidate: object) -> dict[str, float]:
        return {"value": 1.0}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (0.5, 0.5),
        (3, 3.0),
        (True, 1.0),
        (np.float32(0.25), 0.25),
        (np.int64(7), 7.0),
        (np.bool_(False), 0.0),
        (np.array(1.5), 1.5),
        (torch.tensor(2.5), 2.5),
        (torch.tensor(4), 4.0),
        (torch.tensor(1.5, requires_grad=True), 1.5),
        (Fraction(1, 4), 0.25),
        (math.inf, math.inf),
    ],
)
def test_numbers_of_all_kinds_are_taken(given: Any, wanted: float) -> None:
    assert as_evaluator(lambda one: given).evaluate(candidate(linear)) == {"value": wanted}
    checked = check_metrics({"loss": given})
    assert checked == {"loss": wanted}
    assert type(checked["loss"]) is float


def test_nan_passes() -> None:
    assert math.isnan(check_metrics({"loss": float("nan")})["loss"])


@pytest.mark.parametrize(
    "given",
    [None, "0.9", 1j, [0.5], (0.5,), np.zeros(1), torch.zeros(2), object(), 10**400, np.array("x")],
)
def test_what_is_no_number_is_named(given: Any) -> None:
    def score(one: object) -> Any:
        return given

    with pytest.raises(EvaluationError, match="score returned ") as caught:
        as_evaluator(score).evaluate(candidate(linear))
    assert repr(given)[:50] in str(caught.value)
    with pytest.raises(EvaluationError, match="'loss' must be a number"):
        check_metrics({"accuracy": 0.5, "loss": given})


def test_a_mapping_is_taken_under_its_own_names() -> None:
    evaluator = as_evaluator(lambda one: {"accuracy": np.float64(0.5), "size": 10})
    assert evaluator.evaluate(candidate(linear)) == {"accuracy": 0.5, "size": 10.0}


@pytest.mark.parametrize("given", [{}, {1: 0.5}])
def test_mappings_without_named_numbers_are_refused(given: Any) -> None:
    with pytest.raises(EvaluationError):
        as_evaluator(lambda one: given).evaluate(candidate(linear))


@given(st.dictionaries(st.text(), st.floats(allow_nan=False), min_size=1))
def test_floats_pass_unchanged(metrics: dict[str, float]) -> None:
    assert check_metrics(metrics) == metrics
    assert list(check_metrics(metrics)) == list(metrics)


def test_a_bare_number_goes_by_the_name_asked_for() -> None:
    evaluator = as_evaluator(lambda one: 0.5, metric="accuracy")
    assert evaluator.evaluate(candidate(linear)) == {"accuracy": 0.5}
    assert evaluator.objective == "max accuracy"
    assert FunctionEvaluator(lambda one: 0.5).objective == "max value"


def test_a_function_trains_nothing_and_cannot_be_written_down() -> None:
    evaluator = as_evaluator(lambda one: 0.5)
    assert evaluator.retrain(candidate(linear)) is None
    assert evaluator.to_json() is None
    assert evaluator.settings is None


def test_an_evaluator_is_taken_as_it_stands() -> None:
    evaluator = Constant()
    assert as_evaluator(evaluator) is evaluator


@pytest.mark.parametrize("given", [Constant, 0.5, None, "training"])
def test_what_is_no_evaluator_is_refused(given: Any) -> None:
    with pytest.raises(EvaluationError, match="Constant" if given is Constant else "not "):
        as_evaluator(given)


def test_what_a_function_raises_is_left_as_it_is() -> None:
    def fail(one: object) -> float:
        raise ZeroDivisionError("by hand")

    with pytest.raises(ZeroDivisionError, match="by hand"):
        as_evaluator(fail).evaluate(candidate(linear))
