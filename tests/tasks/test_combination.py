"""How outputs become one: probabilities, values, and structures of them."""

from __future__ import annotations

from collections import namedtuple

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import archwright as aw
from archwright.errors import EvaluationError
from archwright.tasks import Classification, MeanOutputs, MeanProbabilities

Two = namedtuple("Two", ("first", "second"))


@given(seed=st.integers(0, 10**6), weights=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_probabilities_are_averaged_and_act_as_scores(seed: int, weights: list[int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = [30 * torch.randn(5, 4, generator=generator, dtype=torch.float64) for _ in weights]
    shares = [weight / sum(weights) for weight in weights]
    wanted = sum(share * each.softmax(1) for share, each in zip(shares, scores, strict=True))
    found = MeanProbabilities(shares)(*scores)
    assert torch.allclose(found.exp(), wanted)
    assert torch.allclose(found.softmax(1), wanted)  # as predict.py has it
    targets = torch.tensor([0, 1, 2, 3, 0])
    assert torch.allclose(F.cross_entropy(found, targets), F.nll_loss(wanted.log(), targets))


def test_a_class_that_no_network_thinks_possible_does_not_spoil_the_others() -> None:
    scores = torch.tensor([[0.0, 1e4, 0.0]])
    found = MeanProbabilities([0.5, 0.5])(scores, scores)
    assert torch.isfinite(found).all()
    assert found.argmax(1).tolist() == [1]


def test_structures_keep_their_form() -> None:
    mean, one = MeanOutputs([0.75, 0.25]), torch.ones(2)
    first, second = ({"a": (one * value, [one * value]), "b": Two(one, one * value)} for value in (1.0, 5.0))
    found = mean(first, second)
    assert torch.equal(found["a"][0], 2 * one)
    assert torch.equal(found["a"][1][0], 2 * one)
    assert isinstance(found["b"], Two)
    assert torch.equal(found["b"].second, 2 * one)


def test_outputs_of_different_shapes_are_an_error_and_not_broadcast() -> None:
    with pytest.raises(RuntimeError, match="equal size"):
        MeanOutputs([0.5, 0.5])(torch.zeros(3), torch.zeros(3, 1))


def test_the_task_says_how() -> None:
    class Largest(torch.nn.Module):
        def __init__(self, weights):
            super().__init__()

        def forward(self, *outputs):
            return torch.stack(outputs).amax(0)

    parts = (torch.rand(8, 3), torch.rand(8, 1))
    given = {"train": parts, "validation": parts, "loss": F.mse_loss}
    assert aw.Task(**given).combination is MeanOutputs
    assert aw.Task(**given, combination=Largest).combination is Largest
    assert Classification.combination is MeanProbabilities
    for wrong in (Largest([1.0]), "mean", int):
        with pytest.raises(EvaluationError, match=r"combination must be a class of torch\.nn\.Module, not"):
            aw.Task(**given, combination=wrong)
