"""The settings of a training: their ranges, and what a space may decide of them."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.evaluate.stubs import images, mlp, table
from torch import nn

from archwright.errors import EvaluationError, UnknownName
from archwright.evaluate import Training
from archwright.evaluate._optimizers import OPTIMIZERS, make_optimizer
from archwright.evaluate._recipe import Recipe

ADAM = functools.partial(torch.optim.Adam, lr=0.01)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.0),
        ("epochs", True),
        ("batch_size", 0),
        ("batch_size", "64"),
        ("lr", 0),
        ("lr", float("nan")),
        ("lr", float("inf")),
        ("weight_decay", -0.1),
        ("label_smoothing", 1.0),
        ("clip", 0.0),
        ("clip", "norm"),
        ("schedule", 3),
        ("optimizer", None),
        ("final_epochs", 0),
    ],
)
def test_values_out_of_range_are_named(name: str, value: Any) -> None:
    with pytest.raises(EvaluationError, match=f"{name} must be .*not {value!r}"):
        Training(table(), **{name: value})


@pytest.mark.parametrize(
    ("name", "value", "near"),
    [
        ("optimizer", "sdg", "sgd"),
        ("schedule", "onecycle", "one-cycle"),
        ("augment", "cut-out", "cutout"),
        ("augment", ("flip", "crops"), "crop"),
        ("precision", "bf61", "bf16"),
    ],
)
def test_unknown_names_get_the_nearest(name: str, value: Any, near: str) -> None:
    with pytest.raises(UnknownName, match=f"Did you mean '{near}'"):
        Training(images(), **{name: value})


def test_extremes_of_the_ranges_are_taken() -> None:
    recipe = Recipe(epochs=1, batch_size=1, lr=1e-9, weight_decay=0, label_smoothing=0, clip=1)
    assert recipe.weight_decay == 0


def test_a_candidates_settings_go_first() -> None:
    recipe = Recipe(epochs=3, lr=0.1, schedule="cosine")
    changed = recipe.with_settings({"lr": 0.2, "augment": "flip", "batch_size": 16})
    assert changed == Recipe(epochs=3, lr=0.2, schedule="cosine", augment=("flip",), batch_size=16)
    assert recipe.with_settings({"augment": None}).augment == ()
    assert recipe.with_settings({}) == recipe


def test_a_candidates_settings_are_checked() -> None:
    with pytest.raises(EvaluationError, match="lr must be a number above 0, not -1"):
        Recipe().with_settings({"lr": -1})
    with pytest.raises(UnknownName, match=r"'batchsize'.*Did you mean 'batch_size'"):
        Recipe().with_settings({"batchsize": 3})


def test_a_whole_optimizer_replaces_the_evaluators_rate() -> None:
    recipe = Recipe(lr=0.1, weight_decay=0.2).with_settings({"optimizer": ADAM})
    assert recipe.optimizer is ADAM
    assert recipe.lr is None
    assert recipe.weight_decay is None


@pytest.mark.parametrize("name", ["lr", "weight_decay"])
def test_a_rate_next_to_a_whole_optimizer_is_a_conflict(name: str) -> None:
    with pytest.raises(EvaluationError, match=f"{name}=0.1 is given next to optimizer"):
        Recipe(optimizer=ADAM, **{name: 0.1})
    with pytest.raises(EvaluationError, match=f"{name}=0.1 is given next to optimizer"):
        Recipe(optimizer=ADAM).with_settings({name: 0.1})
    with pytest.raises(EvaluationError, match=f"{name}=0.1 is given next to optimizer"):
        Recipe().with_settings({"optimizer": ADAM, name: 0.1})


@pytest.mark.parametrize(("samples", "wanted"), [(2, 2), (5, 5), (40, 16), (1258, 32), (4096, 128), (60_000, 128)])
def test_the_batch_size_follows_the_data_when_not_given(samples: int, wanted: int) -> None:
    assert Recipe().batch_for(sized(samples)) == wanted
    assert Recipe(batch_size=2).batch_for(sized(samples)) == 2


def sized(samples: int, least_steps: int = 0) -> Any:
    return SimpleNamespace(train=range(samples), batch_size=128, least_steps=least_steps)


def test_a_task_may_ask_for_more_steps() -> None:
    assert Recipe().enough_epochs(sized(100)) == 90
    assert Recipe(batch_size=10).enough_epochs(sized(100, least_steps=2_000)) == 200


@pytest.mark.parametrize(
    ("samples", "wanted"), [(100, 30), (2_500, 16), (10_000, 8), (25_000, 5), (54_000, 3), (10**7, 3)]
)
def test_the_epochs_follow_the_data_when_not_given(samples: int, wanted: int) -> None:
    assert Recipe().epochs_for(sized(samples)) == wanted
    assert Recipe(epochs=7).epochs_for(sized(samples)) == 7


def test_what_does_not_suit_the_data_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"batch_size=61 is larger .* 60 samples"):
        Training(table(), batch_size=61)
    with pytest.raises(EvaluationError, match="no augmentations for Data"):
        Training(table(), augment="flip")
    with pytest.raises(EvaluationError, match="0 validation"):
        Training(table((60, 0, 30)))
    assert Training(table(), batch_size=60).recipe.batch_size == 60


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_named_optimizers_spare_biases_and_scales_from_decay(name: str) -> None:
    network = mlp()
    optimizer = make_optimizer(network, name, lr=0.5, weight_decay=0.25)
    decay = {id(weight): group["weight_decay"] for group in optimizer.param_groups for weight in group["params"]}
    assert {label: decay[id(weight)] for label, weight in network.named_parameters()} == {
        "0.weight": 0.25,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
        "3.weight": 0.25,
        "3.bias": 0.0,
    }
    rates = {id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]}
    # What is orthogonal is the first layer; Muon has half the rate for all others.
    other = 0.25 if name == "muon" else 0.5
    assert {rates[id(weight)] for weight in list(network.parameters())[1:]} == {other}
    assert rates[id(network[0].weight)] == 0.5


@pytest.mark.parametrize("name", sorted(OPTIMIZERS.keys() - {"muon"}))
def test_named_optimizers_learn_as_those_of_torch(name: str) -> None:
    one, other = (mlp() for _ in range(2))
    other.load_state_dict(one.state_dict())
    ours = make_optimizer(one, name, lr=0.01, weight_decay=0.1)
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]
    assert isinstance(ours, kind)
    groups = [{"params": [p for p in other.parameters() if (p.ndim > 1) == decays]} for decays in (True, False)]
    options = {each: value for each, value in ours.defaults.items() if each != "decoupled_weight_decay"}
    theirs = kind(groups, **options)
    for group, given in zip(theirs.param_groups, ours.param_groups, strict=True):
        group["weight_decay"] = given["weight_decay"]
    inputs = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    for step in range(4):
        for network, optimizer in ((one, ours), (other, theirs)):
            optimizer.zero_grad()
            network(inputs).square().sum().backward()
            optimizer.step()
        if step == 1:  # what is saved of one is restored by the other
            states = ours.state_dict(), theirs.state_dict()
            ours.load_state_dict(states[1])
            theirs.load_state_dict(states[0])
    for mine, its in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, its)
    assert repr(ours) == repr(theirs)


def test_sgd_has_nesterov_momentum() -> None:
    group = make_optimizer(mlp(), "sgd").param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0.9, True)


def test_frozen_weights_are_left_out() -> None:
    network = mlp()
    network[0].requires_grad_(False)
    groups = make_optimizer(network, "adam").param_groups
    assert sum(len(group["params"]) for group in groups) == 4


@pytest.mark.parametrize("network", [nn.Flatten(), nn.Linear(2, 2).requires_grad_(False)])
def test_a_network_with_nothing_to_learn_is_refused(network: nn.Module) -> None:
    with pytest.raises(EvaluationError, match="no parameters to train"):
        make_optimizer(network, "adamw")


def test_an_optimizer_that_is_none_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"made a list, not a torch.optim.Optimizer"):
        make_optimizer(mlp(), list)
