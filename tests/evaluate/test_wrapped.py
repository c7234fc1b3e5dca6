"""Evaluators over others: they offer all that the others do."""

from __future__ import annotations

from typing import Any

import pytest
from tests.evaluate.stubs import candidate, linear, table

from archwright.evaluate import Evaluator, Repeats, Training, Wrapped
from archwright.proxies import ProxyEvaluator
from archwright.supernet import SupernetEvaluator

OWN = {"evaluate", "to_json"}  # what an evaluator over another does for itself
OFFERED = {name for name in (*vars(Evaluator), *Evaluator.__annotations__) if not name.startswith("_")} - OWN


class Noting(Evaluator):
    """Answers with the name of what was asked for, and notes what it was given."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def evaluate(self, candidate: object) -> dict[str, float]:
        return {"value": 1.0}


def noting(name: str) -> Any:
    def method(self: Noting, *given: object) -> str:
        self.asked.append((name, *given))
        return name

    return method


for each in OFFERED:
    given = getattr(Evaluator, each)
    made = property(lambda self, each=each: each) if isinstance(given, property) else each
    setattr(Noting, each, noting(each) if callable(given) else made)


class Same(Wrapped):
    def evaluate(self, candidate: object) -> dict[str, float]:
        return {"value": 1.0}


@pytest.mark.parametrize("name", sorted(OFFERED))
def test_all_that_an_evaluator_offers_is_forwarded(name: str) -> None:
    for make in (Same, lambda inner: Same(Same(inner)), lambda inner: Repeats(inner, 2)):
        inner = Noting()
        outer, signature = make(inner), getattr(Evaluator, name)
        if not callable(signature):
            assert getattr(outer, name) == name
            continue
        given = tuple(range(signature.__code__.co_argcount - 1))
        returned = getattr(outer, name)(*given)
        assert inner.asked == [(name, *given)]
        assert returned == (None if signature.__annotations__["return"] == "None" else name)


def test_evaluators_that_train_in_the_end_test_a_trained_network_as_training_does() -> None:
    training = Training(table(), device="cpu")
    one = candidate(lambda: linear(5))
    wanted = training.held_out(one, one.model)
    assert "test_accuracy" in wanted
    for evaluator in (ProxyEvaluator(training), SupernetEvaluator(training), Repeats(training, 2)):
        assert evaluator.held_out(one, one.model) == wanted
