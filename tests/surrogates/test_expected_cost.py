"""Costs that are expected from a few that were measured."""

from __future__ import annotations

import numpy as np
import pytest

import archwright as aw
from archwright.cost import Cost, Counted
from archwright.errors import CostError, UnknownName
from archwright.surrogates import PredictedCost

SPACE = aw.spaces.create("mlp", input_shape=(8,), classes=3)


class Noted(Cost):
    """Counts parameters, and whom it was asked about."""

    metrics = ("parameters",)

    def __init__(self):
        self.asked = []

    def of(self, space, architecture, example_input=None):
        self.asked.append(architecture)
        return Counted(("parameters",)).of(space, architecture, example_input)


@pytest.mark.parametrize("by", ["ridge", "boosted-trees", "gaussian-process"])
def test_what_was_held_out_is_predicted_in_order(by):
    cost = Noted()
    predicted = PredictedCost(SPACE, cost, measured=60, held_out=20, by=by)
    assert len(set(cost.asked)) == len(cost.asked) == 80
    agreement = predicted.agreement["parameters"]
    assert agreement.count == 20
    assert agreement.spearman > 0.85
    assert 0.5 < agreement.bias < 2
    assert predicted.of(SPACE, SPACE.sample(np.random.default_rng(77)))["parameters"] > 0
    assert len(cost.asked) == 80  # nothing is measured to predict


def test_agreement_is_that_of_the_held_out_alone():
    predicted = PredictedCost(SPACE, Noted(), measured=10, held_out=12, seed=3)
    again = PredictedCost(SPACE, Noted(), measured=10, held_out=12, seed=3)
    assert predicted.agreement == again.agreement
    assert predicted.is_counted


def test_it_serves_as_a_bound_that_costs_no_training():
    predicted = PredictedCost(SPACE, Noted(), measured=30, held_out=5)
    trained = []

    def train(candidate):
        trained.append(candidate.architecture)
        return 0.5

    study = aw.search(
        SPACE,
        train,
        strategy="random",
        constraints=["parameters <= 3000"],
        costs=[predicted],
        budget=aw.Budget(trials=8),
    )
    assert len(trained) == len(study.history.complete) == 8
    assert all(predicted.of(SPACE, architecture)["parameters"] <= 3000 for architecture in trained)


def test_bad_use():
    with pytest.raises(UnknownName, match="ridge"):
        PredictedCost(SPACE, Noted(), by="rigde")
    with pytest.raises(CostError, match="at least 4"):
        PredictedCost(SPACE, Noted(), measured=2)
    small = aw.Space(model=aw.nn.Linear(4, aw.choice(1, 2)), example_input=(4,))
    with pytest.raises(CostError, match="hardly has as many"):
        PredictedCost(small, Noted())
    predicted = PredictedCost(SPACE, Noted(), measured=5, held_out=3)
    with pytest.raises(CostError, match="another space"):
        predicted.of(small, next(iter(small.enumerate())))
