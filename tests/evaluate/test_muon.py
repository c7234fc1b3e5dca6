"""Muon, against its definition by singular values and against AdamW."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from archwright.evaluate import make_optimizer
from archwright.evaluate._muon import matrices, orthogonal


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10**6))
def test_the_update_has_the_singular_vectors_of_the_momentum_and_equal_singular_values(
    rows: int, columns: int, seed: int
) -> None:
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonal(matrix)
    assert found.shape == matrix.shape
    inside = u.T @ found @ vh.T  # diagonal, where the singular vectors are the same
    values = inside.diagonal()[s > 0.05 * s[0]]
    assert ((values > 0.5) & (values < 1.4)).all()
    assert inside.sub(inside.diagonal().diag()).abs().max() < 1e-3


def network() -> nn.Sequential:
    torch.manual_seed(0)
    depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), depthwise, nn.Flatten(), nn.Linear(64, 8), nn.Linear(8, 2)
    )


def test_hidden_layers_are_orthogonal_and_all_else_is_left_to_adamw() -> None:
    """A kernel of one input channel has no directions to make orthogonal; the last layer maps to scores."""
    model = network()
    assert [id(weight) for weight in matrices(model)] == [id(model[4].weight)]
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    assert len(matrices(tied)) == 1


def test_what_is_not_orthogonal_is_stepped_as_by_adamw() -> None:
    ours, theirs = network(), network()
    muon = make_optimizer(ours, "muon", lr=0.02, weight_decay=0.1)
    adamw = make_optimizer(theirs, "adamw", lr=0.01, weight_decay=0.1)
    inputs, targets = torch.randn(8, 1, 6, 6), torch.arange(8) % 2
    for model, optimizer in ((ours, muon), (theirs, adamw)):
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    for (name, first), second in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(first, second, atol=1e-6) == (name != "4.weight")


def test_a_step_has_the_size_of_the_rate_whatever_the_gradient() -> None:
    for scale in (1e-3, 1e3):
        model = nn.Sequential(nn.Linear(6, 6, bias=False), nn.Linear(6, 2))
        before = model[0].weight.detach().clone()
        optimizer = make_optimizer(model, "muon", lr=0.1, weight_decay=0.0)
        (scale * model[0](torch.eye(6)).square().sum() + model(torch.eye(6)).sum() * 0).backward()
        optimizer.step()
        values = torch.linalg.svdvals(model[0].weight.detach() - before)
        assert values.max() == pytest.approx(0.1, rel=0.4)


def test_it_goes_on_from_what_was_saved() -> None:
    def steps(model: nn.Module, optimizer: torch.optim.Optimizer, numbers: range) -> None:
        for number in numbers:
            inputs = torch.randn(8, 1, 6, 6, generator=torch.Generator().manual_seed(number))
            optimizer.zero_grad()
            model(inputs).square().sum().backward()
            optimizer.step()

    whole, first, second = network(), network(), network()
    steps(whole, make_optimizer(whole, "muon"), range(4))
    optimizer = make_optimizer(first, "muon")
    steps(first, optimizer, range(2))
    second.load_state_dict(first.state_dict())
    restored = make_optimizer(second, "muon")
    restored.load_state_dict(optimizer.state_dict())
    steps(second, restored, range(2, 4))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))
