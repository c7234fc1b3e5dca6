"""Several processes that train one network do what one does."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
import torch
from tests.evaluate.stubs import candidate, images, mlp, table
from tests.processes import Started, start
from torch import nn

import archwright as aw
from archwright._python import start as start_cold
from archwright.errors import EvaluationError
from archwright.evaluate import Candidate, Saved, Stopped, Training, _distributed
from archwright.execute import report_of

SETTINGS: dict[str, Any] = {"epochs": 2, "batch_size": 16, "augment": "crop", "clip": 1.0, "device": "cpu"}
STAGES = ({"epochs": 1}, {"epochs": 3})


def network() -> nn.Module:
    """Without what depends on the others in a batch."""
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3))


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = network(), nn.Linear(2, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.used(inputs)


def alone() -> Training:
    return Training(images((99, 40, 44)), **SETTINGS)  # a last batch that is too small to be shared out


def start_warm(module: str, *arguments: object, files: Sequence[int], environment: Mapping[str, str]) -> Started:
    return start("-c", f"from {module} import main; main(*{arguments!r})", files=files, env=environment)


@pytest.fixture(scope="module")
def together() -> Iterator[Training]:
    training = Training(images((99, 40, 44)), **SETTINGS, processes=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_distributed, "start", start_warm)
        yield training
        training._team.close()


def curve_of(training: Training, make: Callable[[], nn.Module] = network, **options: Any) -> tuple[Candidate, Any]:
    one = candidate(make, **options)
    metrics = training.evaluate(one)
    return one, [{**row} for row in (*one.curve, metrics)]


def assert_same(first: tuple[Candidate, Any], second: tuple[Candidate, Any]) -> None:
    for row, other in zip(first[1], second[1], strict=True):
        assert row == pytest.approx(other, rel=1e-4)
    weights = zip(first[0].model.state_dict().items(), second[0].model.state_dict().items(), strict=True)
    for (name, value), (_, other) in weights:
        torch.testing.assert_close(value, other, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("make", [network, Unused])
def test_two_processes_learn_what_one_does(together: Training, make: Callable[[], nn.Module]) -> None:
    assert_same(curve_of(together, make), curve_of(alone(), make))


def test_a_final_training_is_the_same(together: Training) -> None:
    one, other = candidate(network), candidate(network)
    assert together.retrain(one) == pytest.approx(alone().retrain(other), rel=1e-3)
    assert [row["train_loss"] for row in one.curve] == pytest.approx([row["train_loss"] for row in other.curve])


def test_a_training_goes_on_from_its_checkpoint(together: Training) -> None:
    saved: list[dict[str, Any]] = []
    first, _ = curve_of(together, stages=STAGES[:1], save=lambda state: saved.append(pickle.loads(pickle.dumps(state))))
    second = curve_of(together, stages=STAGES, restore=lambda: Saved(saved[0], first.curve))
    assert_same(second, curve_of(together, stages=STAGES))
    assert_same(second, curve_of(alone(), stages=STAGES))


def test_a_training_that_is_stopped_leaves_the_processes_to_the_next(together: Training) -> None:
    def stop(curve: Any) -> Stopped:
        return Stopped("enough")

    with pytest.raises(Stopped, match="enough"):
        together.evaluate(candidate(network, stop=stop))
    late = candidate(network, deadline=time.monotonic())
    with pytest.raises(Stopped, match="out of time"):
        together.evaluate(late)
    assert [row["step"] for row in late.curve] == [pytest.approx(1 / 7)]  # one step in all processes
    assert_same(curve_of(together), curve_of(alone()))


def test_what_a_loss_becomes_is_told_as_ever(together: Training) -> None:
    with pytest.raises(EvaluationError, match=r"loss became (nan|inf) in epoch 1, step \d"):
        together.evaluate(candidate(network, settings={"lr": 1e30, "schedule": "constant"}))


def test_batch_normalisation_is_settled_on_whole_batches(together: Training) -> None:
    def normed() -> nn.Module:
        return nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(64, 3))

    (one, _), (other, _) = curve_of(together, normed), curve_of(alone(), normed)
    for name, value in one.model[0].named_buffers():
        torch.testing.assert_close(value, other.model[0].get_buffer(name))


def test_processes_end_with_the_one_that_started_them_and_are_replaced(together: Training) -> None:
    curve_of(together)
    process = together._team._ranks[0]._process
    process.stdin.close()  # as it is when that one has ended
    assert process.wait(20) == 1
    assert_same(curve_of(together), curve_of(alone()))


class Faulty(nn.Module):
    """Does something in the second process, in its third call there."""

    def __init__(self, fault: Callable[[], object]) -> None:
        super().__init__()
        self.network, self.fault, self.calls = network(), fault, 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if torch.distributed.is_initialized() and torch.distributed.get_rank() == 1:
            self.calls += 1
            if self.calls == 3:
                self.fault()
        return self.network(inputs)


def refuse() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 1 has")


def test_what_goes_wrong_in_one_process_ends_the_training_and_names_it(
    together: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(fault: Callable[[], object]) -> None:
        together.evaluate(candidate(lambda: Faulty(fault)))

    with pytest.raises(torch.OutOfMemoryError, match=r"Tried to allocate 2.00 GiB") as found:
        train(refuse)
    error = report_of(0, found.value, curve=(), seconds=1.0).error
    assert "in rank 1 of 2 processes" in error
    assert "the GPU has too little memory for the network and its batch, which want 2.00 GiB more" in error
    with pytest.raises(EvaluationError, match="rank 1 of 2 processes that train the network was ended by SIGKILL"):
        train(lambda: os.kill(os.getpid(), signal.SIGKILL))
    curve_of(together)
    monkeypatch.setattr(_distributed, "_PATIENCE", 1.0)
    with pytest.raises(EvaluationError, match=r"^rank 1 of 2 processes that train the network did not answer for 1 se"):
        train(lambda: time.sleep(60))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"processes": 0}, "processes must be an integer of 1 or more, not 0"),
        ({"processes": 9}, "batch_size=16 is too small for processes=9: give at least 18, two samples for each"),
    ],
)
def test_impossible_numbers_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        Training(images(), **SETTINGS | settings)


@pytest.mark.parametrize(
    ("device", "gpus", "message"),
    [
        ("cuda:0", 1, "processes=2 want a GPU each, and this process sees 1 GPU: take fewer, or give .* gpus=2"),
        ("cuda:1", 4, "processes=2 are for device='cuda', from the first GPU on, or 'cpu', not 'cuda:1'"),
        ("mps", 0, "processes=2 are for device='cuda', .* not 'mps'"),
    ],
)
def test_devices_without_room_are_refused(
    device: str, gpus: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(EvaluationError, match=message):
        _distributed.Team(2, device)


def test_the_number_is_on_record_and_goes_with_the_training() -> None:
    training = Training(table(), processes=2, device="cpu")
    assert training.describe()["processes"] == 2
    again = pickle.loads(pickle.dumps(training._team))
    assert (again.count, again._ranks) == (2, [])
    with pytest.raises(EvaluationError, match="batch_size=3 is too small for processes=2"):
        training.evaluate(candidate(mlp, settings={"batch_size": 3}))


@pytest.mark.slow
def test_a_search_trains_by_several_processes_in_its_workers_as_in_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_distributed, "start", start_cold)
    space = aw.spaces.create("mlp", input_shape=(4,), classes=3, depth=(1, 2), widths=(4, 8))

    def study(**options: Any) -> aw.Study:
        training = Training(aw.data("iris"), epochs=2, batch_size=16, processes=2, device="cpu")
        return aw.search(space, training, strategy="random", budget=aw.Budget(trials=1), seed=3, **options)

    first, second = study(), study(trial_memory=8)  # a worker of its own
    assert first.trials[0].state == second.trials[0].state == "complete"
    assert first.trials[0].metrics == second.trials[0].metrics
    assert first.test == second.test
