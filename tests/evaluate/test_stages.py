"""Trainings that go on: by stages in one go, and from one checkpoint to the next."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluate.stubs import candidate, convnet, images, mlp, table
from torch import nn

from archwright.errors import EvaluationError
from archwright.evaluate import Candidate, Fidelity, Saved, Spent, Training
from archwright.evaluate._stages import Cuts, Stage, fidelities, stages
from archwright.execute import Checkpoints
from archwright.tasks import as_task

WAYS: dict[str, Sequence[Spent]] = {
    "epochs": ({"epochs": 1}, {"epochs": 2}, {"epochs": 4}),
    "fractions": ({"epochs": 0.3}, {"epochs": 1.5}, {"epochs": 2.2}),
    "data": ({"data": 0.2}, {"data": 0.5}, {"data": 1.0}),
    "resolution": ({"resolution": 5}, {"resolution": 6}, {"resolution": 8}),
    "joint": ({"epochs": 1, "data": 0.3}, {"epochs": 1, "data": 0.6}, {"epochs": 2, "data": 1.0}),
}
OPTIMIZERS: dict[str, Any] = {
    "adamw": "adamw",
    "sgd": "sgd",
    "own": functools.partial(torch.optim.RMSprop, lr=0.01, momentum=0.8),
}


def trained(training: Training, network: Callable[[], nn.Module], way: Sequence[Spent]) -> tuple[Any, Candidate]:
    """Train by all stages in one go."""
    one = candidate(network, seed=7, fidelity=way[-1], stages=way)
    return training.evaluate(one), one


def gone_on(
    training: Callable[[], Training], network: Callable[[], nn.Module], way: Sequence[Spent], folder: Path | None
) -> tuple[Any, Candidate]:
    """Train stage by stage, each in a candidate of its own with what the one before left."""
    checkpoints = Checkpoints(folder)
    curve: list[dict[str, float]] = []
    for number in range(len(way)):
        one = candidate(
            network,
            seed=7,
            fidelity=way[number],
            stages=way[: number + 1],
            restore=lambda number=number, curve=curve: Saved(checkpoints.load(number - 1), curve) if number else None,
            save=lambda state, number=number: checkpoints.keep(number, state),
        )
        torch.manual_seed(number)  # whatever happened in between
        metrics = training().evaluate(one)
        curve = one.curve
    return metrics, one


def is_same(one: tuple[Any, Candidate], other: tuple[Any, Candidate]) -> bool:
    states = [each[1].model.state_dict() for each in (one, other)]
    return (
        one[0] == other[0]
        and one[1].curve == other[1].curve
        and all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("way", WAYS)
def test_going_on_is_not_having_stopped(way: str, optimizer: str, tmp_path: Path) -> None:
    def training() -> Training:
        augment = ("flip", "crop", "cutout")
        return Training(images(), epochs=2, batch_size=16, optimizer=OPTIMIZERS[optimizer], augment=augment, clip=1.0)

    whole = trained(training(), convnet, WAYS[way])
    folder = tmp_path if optimizer == "adamw" else None
    assert is_same(gone_on(training, convnet, WAYS[way], folder), whole)
    assert not is_same(trained(training(), convnet, WAYS[way][-1:]), whole)


def test_going_on_in_a_table_on_disk_and_in_memory(tmp_path: Path) -> None:
    def training() -> Training:
        return Training(table(), epochs=4)

    whole = trained(training(), mlp, WAYS["epochs"])
    assert is_same(gone_on(training, mlp, WAYS["epochs"], tmp_path), whole)
    assert is_same(gone_on(training, mlp, WAYS["epochs"], None), whole)


def test_what_is_saved_is_a_copy() -> None:
    checkpoints = Checkpoints(None)
    state = {"weights": torch.zeros(2), "stages": 1}
    checkpoints.keep(0, state)
    state["weights"] += 1
    assert checkpoints.load(0)["weights"].tolist() == [0, 0]


def test_a_training_that_diverges_later_names_the_epoch_counted_from_the_start() -> None:
    saved: list[Any] = []
    way = WAYS["epochs"][:2]
    first = candidate(convnet, fidelity=way[0], stages=way[:1], save=saved.append)
    Training(images(), optimizer="sgd", lr=0.01).evaluate(first)
    broken = {**saved[0], "model": {name: value * math.nan for name, value in saved[0]["model"].items()}}
    second = candidate(convnet, fidelity=way[1], stages=way, restore=lambda: Saved(broken))
    with pytest.raises(EvaluationError, match="loss became nan in epoch 2, step 1"):
        Training(images(), optimizer="sgd", lr=0.01).evaluate(second)


# --------------------------------------------------------------------------- without stages


def by_hand(network: Callable[[], nn.Module], data: Any, *, seed: int, epochs: int, size: int) -> tuple[Any, nn.Module]:
    """A training as a book has it: AdamW, one cycle, batches in a random order."""
    torch.manual_seed(seed)
    model = network().to(memory_format=torch.channels_last)
    torch.manual_seed(seed)
    parameters = list(model.parameters())
    groups = [
        {"params": [each for each in parameters if each.ndim > 1], "weight_decay": 0.05},
        {"params": [each for each in parameters if each.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.01, fused=True)
    order = torch.Generator().manual_seed(seed)
    steps, step, losses = epochs * math.ceil(len(data.train) / size), 0, []
    for _ in range(epochs):
        model.train()
        losses.append(0.0)
        for chosen in torch.split(torch.randperm(len(data.train), generator=order), size):
            done = step / steps
            share = (0.04, 1.0, done / 0.25) if done < 0.25 else (1.0, 0.04 / 1e4, (done - 0.25) / 0.75)
            for group in optimizer.param_groups:
                group["lr"] = 0.01 * (share[1] + (share[0] - share[1]) * (1 + math.cos(math.pi * share[2])) / 2)
            inputs = data.train.inputs[chosen].contiguous(memory_format=torch.channels_last)
            loss = F.cross_entropy(model(data.normalise(inputs)), data.train.targets[chosen], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[-1] += loss.item() * len(chosen)
            step += 1
    return losses[-1] / len(data.train), model.eval()


def test_an_evaluation_without_stages_is_a_plain_training_to_the_last_bit() -> None:
    for samples, size in ((104, 2), (96, 16)):
        data = images((samples, 40, 44))
        one = candidate(convnet, seed=5)
        metrics = Training(data, epochs=1, batch_size=size, optimizer="adamw", augment=()).evaluate(one)
        with torch.random.fork_rng():
            train_loss, model = by_hand(convnet, data, seed=5, epochs=1, size=size)
        assert metrics["train_loss"] == train_loss
        states = one.model.state_dict(), model.state_dict()
        # After fewer than 50 steps the statistics of batch normalisation are measured anew, and they alone.
        measured = {"1.running_mean", "1.running_var", "1.num_batches_tracked"} if size == 16 else set()
        differ = {name for name in states[0] if not torch.equal(states[0][name], states[1][name])}
        assert differ == measured


def test_a_candidate_that_nobody_goes_on_from_saves_nothing() -> None:
    one = candidate(convnet, fidelity={"epochs": 1})
    assert one.restore() is None
    Training(images(), epochs=2).evaluate(one)
    one.save({"anything": object()})


# --------------------------------------------------------------------------- what a stage is


def test_epochs_and_seconds_go_on_and_the_rest_is_had_anew() -> None:
    assert stages([{"epochs": 1}, {"epochs": 3}], 9) == [Stage(1), Stage(2)]
    assert stages([{"seconds": 2.0}, {"seconds": 5.0}], 9) == [Stage(None, 2.0), Stage(None, 3.0)]
    assert stages([{"data": 0.1}, {"data": 1.0}], 9) == [Stage(9, share=0.1), Stage(9)]
    assert stages([{"resolution": 8.0, "epochs": 2}, {"epochs": 5}], 9) == [Stage(2, side=8), Stage(3)]
    assert stages([{}], 9) == [Stage(9)]
    assert stages([{"*.width": 0.5}, {"*.width": 1.0}], 9) == [Stage(9), Stage(9)]


def test_where_the_epochs_do_not_grow_the_new_data_are_seen_as_often_all_the_same() -> None:
    way = [{"epochs": 2, "data": 0.1}, {"epochs": 2, "data": 0.3}, {"epochs": 3, "data": 1.0}]
    assert stages(way, 9) == [Stage(2, share=0.1), Stage(2, share=0.3), Stage(1)]
    one = candidate(convnet, fidelity=way[1], stages=way[:2])
    assert Training(images(), batch_size=8).evaluate(one)["epochs"] == 4


@given(st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_a_smaller_share_of_the_data_is_a_part_of_a_larger_one(one: float, other: float) -> None:
    data = images((50, 10, 10))
    cuts = Cuts(data)
    small, large = (cuts.of(Stage(1, share=share))[0] for share in sorted((one, other)))
    assert max(2, round(min(one, other) * 50)) == len(small)
    kept = {image.numpy().tobytes() for image in large.inputs}
    assert {image.numpy().tobytes() for image in small.inputs} <= kept
    assert cuts.of(Stage(1, share=one))[1] is data.validation


def test_a_lower_resolution_is_that_of_the_images_that_the_network_sees() -> None:
    data = images((20, 10, 10), side=12)
    for part, whole in zip(Cuts(data).of(Stage(1, side=6)), (data.train, data.validation), strict=True):
        assert part.inputs.shape == (len(whole), 1, 6, 6)
        assert part.inputs.dtype == torch.uint8
        means = part.inputs.float().mean((1, 2, 3)) - whole.inputs.float().mean((1, 2, 3))
        assert means.abs().max() < 3  # grey levels of 255: what was bright stays bright
    assert Cuts(data).of(Stage(1, side=12))[0].inputs is data.train.inputs


@pytest.mark.parametrize("samples", [10, 300, 60_000])
@pytest.mark.parametrize("epochs", [1, 2, 30])
def test_what_there_can_be_less_of_has_a_range(samples: int, epochs: int) -> None:
    data = images((samples, 5, 5), side=9)
    for name, fidelity in fidelities(as_task(data), epochs, 32).items():
        assert fidelity.full == {"epochs": epochs, "seconds": 60, "data": 1, "resolution": 9, "splits": 5}[name]
        assert 0 < fidelity.least <= fidelity.full
        assert Fidelity.at(fidelity, 0) <= Fidelity.at(fidelity, 1) == fidelity.full
    assert "resolution" not in fidelities(as_task(table()), epochs, 32)
