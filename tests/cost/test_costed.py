"""Costs beside what an evaluator measures."""

from __future__ import annotations

from typing import Any

import pytest
from tests.evaluate.stubs import candidate, linear

from archwright.cost import Cost, Costed
from archwright.errors import Unsteady
from archwright.evaluate import Evaluator, Stopped


class Priced(Cost):
    metrics = ("price",)

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)

    def of(self, space: object, architecture: object, example_input: object = None) -> dict[str, float]:
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return {"price": found}


class Reports(Evaluator):
    def __init__(self, end: Exception | None = None) -> None:
        self.end = end
        self.evaluated = 0

    def evaluate(self, candidate: Any) -> dict[str, float]:
        self.evaluated += 1
        candidate.report(1, value=0.5)
        if self.end is not None:
            raise self.end
        return {"value": 1.0}

    def retrain(self, candidate: Any) -> dict[str, float]:
        return self.evaluate(candidate)


def test_times_that_waver_are_measured_again_when_the_network_has_been_trained() -> None:
    inner = Reports()
    assert Costed(inner, [Priced(Unsteady("busy"), 3.0)]).evaluate(candidate(linear)) == {"value": 1.0, "price": 3.0}
    with pytest.raises(Unsteady):
        Costed(inner, [Priced(Unsteady("busy"), Unsteady("busy"))]).evaluate(candidate(linear))
    assert inner.evaluated == 2


def test_a_final_training_is_not_thrown_away_for_a_cost() -> None:
    inner = Reports()
    with pytest.raises(Unsteady):
        Costed(inner, [Priced(Unsteady("busy"))]).retrain(candidate(linear))
    assert inner.evaluated == 0


def test_costs_belong_to_the_last_report_where_that_is_the_result() -> None:
    costed = Costed(Reports(Stopped("converged", complete=True)), [Priced(3.0)])
    assert costed.evaluate(candidate(linear)) == {"value": 0.5, "price": 3.0}
    with pytest.raises(Stopped):
        Costed(Reports(Stopped("poor")), [Priced(3.0)]).evaluate(candidate(linear))
