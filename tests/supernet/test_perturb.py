from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.supernet import relaxing

from archwright import nn
from archwright.errors import RelaxationError
from archwright.space import Space, choice
from archwright.supernet import Supernet, perturb


def test_it_finds_the_option_that_carries_the_signal() -> None:
    """Logits that prefer the useless option mislead `derive`, and not the perturbation."""
    options = {"signal": nn.Identity(), "noise": nn.Sequential(nn.Linear(3, 3), nn.Hardshrink(1e6))}
    space = Space(model=nn.Sequential(choice(options, name="op"), nn.Linear(3, 2)), example_input=(3,))
    supernet = Supernet(space, "softmax")
    training = relaxing.trainer(supernet, relaxing.table(200), epochs=8)
    for _ in range(8):
        training.epoch()
    with torch.no_grad():
        supernet.logits["op"].copy_(torch.tensor([0.0, 1.0]))
    assert supernet.derive()["op"] == "noise"
    assert perturb(training, steps=0)["op"] == "signal"
    assert supernet.decided == {}
    assert training.tuning is None


@pytest.mark.parametrize("relaxation", ["softmax", "dirichlet", "gumbel"])
def test_it_decides_edges_as_well(relaxation: str) -> None:
    def search() -> object:
        torch.manual_seed(0)
        supernet = Supernet(relaxing.image(), relaxation, seed=1)
        training = relaxing.trainer(supernet, relaxing.pictures(), epochs=1)
        training.epoch()
        before = [weight.clone() for weight in supernet.weight_parameters()]
        found = perturb(training, steps=2, batches=2)
        assert found in supernet.space
        moved = zip(before, supernet.weight_parameters(), strict=True)
        assert any(not torch.equal(old, new) for old, new in moved)
        return found

    assert search() == search()


def test_sizes_are_those_preferred() -> None:
    supernet = Supernet(relaxing.smooth(), "softmax")
    training = relaxing.trainer(supernet, relaxing.table(), epochs=1)
    training.epoch()
    for index, width in enumerate((2, 4)):
        with torch.no_grad():
            supernet.logits["width"].copy_(torch.from_numpy(5.0 * np.eye(2)[index]))
        assert perturb(training, steps=0)["width"] == width


@pytest.mark.parametrize("relaxation", ["path", "controller"])
def test_what_makes_no_mixtures_is_refused(relaxation: str) -> None:
    training = relaxing.trainer(Supernet(relaxing.smooth(), relaxation), relaxing.table())
    with pytest.raises(RelaxationError, match="no mixtures"):
        perturb(training)
