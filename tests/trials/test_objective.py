from __future__ import annotations

import math

import pytest

from archwright.errors import EvaluationError, StudyError
from archwright.trials import Objective


@pytest.mark.parametrize(
    ("text", "metric", "maximise"),
    [
        ("max accuracy", "accuracy", True),
        ("min loss", "loss", False),
        ("maximise x", "x", True),
        ("maximize x", "x", True),
        ("minimise x", "x", False),
        ("minimize  val_loss ", "val_loss", False),
        ("Max f1", "f1", True),
        ("accuracy", "accuracy", True),
        ("precision", "precision", True),
        ("recall", "recall", True),
        ("f1", "f1", True),
        ("loss", "loss", False),
        ("parameters", "parameters", False),
        ("flops", "flops", False),
        ("latency_ms", "latency_ms", False),
    ],
)
def test_parse(text, metric, maximise):
    objective = Objective.parse(text)
    assert objective == Objective(metric, maximise)
    assert Objective.parse(str(objective)) == objective


def test_an_unknown_metric_alone_asks_for_a_direction():
    with pytest.raises(StudyError, match='"max wibble" or "min wibble"'):
        Objective.parse("wibble")


@pytest.mark.parametrize("text", ["", "upwards accuracy", "max", "max a b", None, 3])
def test_what_is_no_objective_is_named(text):
    with pytest.raises(StudyError, match="max"):
        Objective.parse(text)


def test_greater_scores_are_better_in_both_directions():
    assert Objective("a", True).score({"a": 2.0}) == 2.0
    assert Objective("a", False).score({"a": 2.0}) == -2.0
    assert Objective("a", True).reached({"a": 2.0}, 2.0)
    assert not Objective("a", True).reached({"a": 1.9}, 2.0)
    assert Objective("a", False).reached({"a": 1.9}, 2.0)
    assert not Objective("a", False).reached({"a": 2.1}, 2.0)
    assert not Objective("a", False).reached({"a": math.nan}, 2.0)


def test_a_missing_metric_names_those_that_came():
    with pytest.raises(EvaluationError, match=r"'max a'.*: b, c"):
        Objective("a").score({"b": 1.0, "c": 2.0})
