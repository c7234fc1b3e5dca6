"""The training loop."""

from __future__ import annotations

import functools

import pytest
import torch
import torch.nn.functional as F
from tests.evaluate.stubs import Clock, Recorder, linear, mlp, table
from torch import nn

from archwright.errors import EvaluationError
from archwright.evaluate import _loop
from archwright.evaluate._device import Setup
from archwright.evaluate._feed import Feed
from archwright.evaluate._loop import TrainingLoop, TrainingProgress
from archwright.evaluate._optimizers import SCHEDULES
from archwright.evaluate._recipe import Recipe
from archwright.tasks import as_task

SETUP = Setup("cpu")
SEEN = list[tuple[float, float]]


def trainer(
    recipe: Recipe, *, pace: TrainingProgress | None = None, network: torch.nn.Module | None = None
) -> TrainingLoop:
    data = table((33, 9, 9))
    feed = Feed(as_task(data), data.train, SETUP)
    return TrainingLoop(
        network or mlp(),
        feed,
        SETUP,
        recipe,
        batch_size=8,
        seed=0,
        pace=pace or TrainingProgress((recipe.epochs or 1) * feed.steps(8)),
    )


def recipe(seen: SEEN, *, rate: float = 0.3, **options: object) -> Recipe:
    return Recipe(optimizer=functools.partial(Recorder, lr=rate, seen=seen), **options)


@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_each_step_has_the_schedules_rate(schedule: str) -> None:
    seen: SEEN = []
    training = trainer(recipe(seen, epochs=3, schedule=schedule))
    for _ in range(3):
        training.epoch()
    assert training.step == len(seen) == 12
    wanted = [0.3 * SCHEDULES[schedule](step / 12) for step in range(12)]
    assert [rate for rate, _ in seen] == pytest.approx(wanted)


def test_gradients_are_clipped() -> None:
    free: SEEN = []
    clipped: SEEN = []
    torch.manual_seed(0)
    network = mlp()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    trainer(recipe(free, rate=1e-6), network=network).epoch()
    network.load_state_dict(state)
    trainer(recipe(clipped, rate=1e-6, clip=0.1), network=network).epoch()
    assert min(norm for _, norm in free) > 0.11
    assert [norm for _, norm in clipped] == pytest.approx([0.1] * 4, rel=1e-3)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_epochs_loss_is_the_mean_over_the_samples(smoothing: float) -> None:
    torch.manual_seed(0)
    network = linear(5)
    data = table((33, 9, 9))
    scores = network(data.normalise(data.train.inputs))
    wanted = F.cross_entropy(scores, data.train.targets, label_smoothing=smoothing).item()
    # At a rate of almost nothing, every batch is seen with the same weights.
    training = trainer(recipe([], rate=1e-12, label_smoothing=smoothing), network=network)
    assert training.epoch() == pytest.approx(wanted, rel=1e-5)


def test_a_loss_that_is_lost_ends_the_training_at_once() -> None:
    network = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    training = trainer(recipe([], rate=1e30, schedule="constant"), network=network)
    with pytest.raises(EvaluationError, match=r"loss became (nan|inf) in epoch 1, step [23] \(learning rate 1e\+30\)"):
        training.epoch()


def test_losses_that_are_looked_at_late_are_told_by_their_step() -> None:
    losses = _loop._Losses(epoch=4)
    losses.add([(1.0, 8, 0.1), (4.0, 4, 0.2)])
    assert losses.mean() == 2.0
    with pytest.raises(EvaluationError, match=r"loss became nan in epoch 4, step 4 \(learning rate 0.4\)"):
        losses.add([(1.0, 8, 0.3), (float("nan"), 8, 0.4), (float("inf"), 8, 0.5)])


def test_an_epoch_is_cut_short_when_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_loop, "time", Clock())
    seen: SEEN = []
    training = trainer(recipe(seen), pace=TrainingProgress(40, deadline=6))  # two looks at the clock a step
    training.epoch()
    assert 1 <= training.step == len(seen) <= 3


def test_time_that_is_up_from_the_start_allows_one_step() -> None:
    training = trainer(recipe([]), pace=TrainingProgress(40, deadline=0.0))
    assert training.epoch() > 0
    assert training.step == 1


def test_progress_by_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_loop, "time", Clock())
    pace = TrainingProgress(10, deadline=20)
    assert [pace.progress(step) for step in (0, 5, 10, 11)] == [0.0, 0.5, 1.0, 1.0]
    assert [pace.done(step) for step in (9, 10)] == [False, True]


def test_progress_by_time_where_time_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(_loop, "time", clock)
    pace = TrainingProgress(10, deadline=101, by_time=True)  # from 1 to 101
    clock.now = 25
    assert pace.progress(0) == 0.25
    clock.now = 25
    assert pace.progress(5) == 0.5
    assert not pace.late()
    clock.now = 100
    assert pace.progress(5) == 1.0
    assert pace.late()
