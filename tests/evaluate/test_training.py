"""The evaluator that trains, while a search goes on."""

from __future__ import annotations

import functools
import json
import math
import pickle
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from tests.evaluate.stubs import Clock, Recorder, candidate, convnet, images, linear, mlp, table
from torch import nn

import archwright as aw
from archwright.datasets import Data
from archwright.errors import EvaluationError, UnknownName
from archwright.evaluate import Candidate, Stopped, Training, _loop

METRICS = {"accuracy", "precision", "recall", "f1", "loss", "train_loss"}
STILL = functools.partial(torch.optim.SGD, lr=0.0)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "muon"])
@pytest.mark.parametrize(("data", "network"), [(images(), convnet), (table(), mlp)], ids=["images", "table"])
def test_it_learns(data: Data, network: Callable[[], nn.Module], optimizer: str) -> None:
    one = candidate(network)
    metrics = Training(data, epochs=20, optimizer=optimizer, batch_size=12).evaluate(one)
    assert metrics["accuracy"] > 0.85
    assert metrics["loss"] < 0.5 < one.curve[0]["train_loss"]
    assert set(metrics) == METRICS | {"epochs", "parameters"}
    assert 15 <= metrics["epochs"] <= 20  # without a better epoch it may end in its last quarter
    assert metrics["parameters"] == sum(weight.numel() for weight in network().parameters())


@pytest.mark.parametrize(
    "options",
    [{"augment": ("flip", "crop", "cutout")}, {"label_smoothing": 0.1}, {"clip": 1.0, "schedule": "cosine"}],
    ids=str,
)
def test_it_learns_with_each_aid(options: dict[str, Any]) -> None:
    data = images((300, 60, 60), side=16)
    one = candidate(lambda: convnet())
    assert Training(data, epochs=12, batch_size=20, **options).evaluate(one)["accuracy"] > 0.7


def test_metrics_are_those_of_the_network_that_is_left() -> None:
    data = images(classes=4)
    one = candidate(lambda: convnet(classes=4))
    metrics = Training(data, epochs=2).evaluate(one)
    assert not one.model.training
    with torch.no_grad():
        scores = one.model(data.normalise(data.validation.inputs))
    true, predicted = data.validation.targets, scores.argmax(1)
    precision, recall, f1, _ = precision_recall_fscore_support(true, predicted, average="macro", zero_division=0)
    assert metrics["accuracy"] == pytest.approx(accuracy_score(true, predicted))
    assert [metrics["precision"], metrics["recall"], metrics["f1"]] == pytest.approx([precision, recall, f1])
    assert metrics["loss"] == pytest.approx(F.cross_entropy(scores, true).item(), rel=1e-4)


def test_each_epoch_is_a_point_of_the_curve() -> None:
    one = candidate(convnet)
    metrics = Training(images(), epochs=3).evaluate(one)
    assert [row["step"] for row in one.curve] == [1, 2, 3]
    assert all(set(row) == METRICS | {"step"} for row in one.curve)
    assert {name: one.curve[-1][name] for name in METRICS} == {name: metrics[name] for name in METRICS}


def test_the_same_seed_gives_the_same_to_the_last_bit() -> None:
    training = Training(images(), epochs=2, augment=("flip", "crop", "cutout"), label_smoothing=0.1)

    def curve(seed: int) -> list[dict[str, float]]:
        one = candidate(convnet, seed=seed)
        training.evaluate(one)
        return one.curve

    torch.manual_seed(1)
    first = curve(7)
    torch.manual_seed(2)
    assert curve(7) == first
    assert curve(8) != first


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    Training(images(), epochs=1, augment="flip").evaluate(candidate(convnet))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_label_smoothing_of_the_training_is_not_in_the_loss_that_is_judged() -> None:
    data = images()
    plain = Training(data, epochs=1, optimizer=STILL).evaluate(candidate(linear))
    smooth = Training(data, epochs=1, optimizer=STILL, label_smoothing=0.3).evaluate(candidate(linear))
    assert smooth["loss"] == plain["loss"]
    assert smooth["train_loss"] != pytest.approx(plain["train_loss"], rel=1e-3)


def test_the_networks_optimizer_comes_from_the_space() -> None:
    seen: list[tuple[float, float]] = []
    optimizer = functools.partial(Recorder, lr=0.2, seen=seen)
    one = candidate(convnet, settings={"optimizer": optimizer, "batch_size": 32, "epochs": 2, "schedule": "constant"})
    assert Training(images(), epochs=5, lr=0.1).evaluate(one)["epochs"] == 2
    assert [rate for rate, _ in seen] == [0.2] * 6
    assert len(one.curve) == 2


def test_settings_of_a_real_space_are_obeyed() -> None:
    data = table()
    space = aw.Space(
        model=aw.nn.Sequential(aw.nn.LazyLinear(aw.ordinal(4, 8)), aw.nn.ReLU(), aw.nn.LazyLinear(3)),
        optimizer=aw.optim.SGD(lr=0.0),
        epochs=aw.integer(2, 2),
    )
    training = Training(data)
    one = Candidate(space, space.sample(np.random.default_rng(0)), seed=3, example_input=training.example_input)
    before = [weight.clone() for weight in one.model.parameters()]
    assert training.evaluate(one)["epochs"] == 2
    assert all(torch.equal(old, new) for old, new in zip(before, one.model.parameters(), strict=True))


def test_fidelity_is_the_number_of_epochs() -> None:
    one = candidate(convnet, fidelity={"epochs": 2}, settings={"epochs": 7})
    assert Training(images(), epochs=5).evaluate(one)["epochs"] == 2
    assert len(one.curve) == 2


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"batch_size": 97}, EvaluationError, "batch_size=97 is larger"),
        ({"lr": 0.0}, EvaluationError, "lr must be a number above 0"),
        ({"augment": ("flip", "spin")}, UnknownName, "unknown augmentation 'spin'"),
        ({"optimizer": STILL, "lr": 0.1}, EvaluationError, "lr=0.1 is given next to"),
        ({"momentum": 0.9}, UnknownName, "'momentum'"),
    ],
)
def test_bad_settings_of_a_space_fail_the_candidate(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Training(images()).evaluate(candidate(convnet, settings=settings))


def test_what_a_space_may_decide_is_named() -> None:
    assert Training.settings == {
        "optimizer",
        "lr",
        "weight_decay",
        "batch_size",
        "schedule",
        "label_smoothing",
        "augment",
        "clip",
        "epochs",
    }
    assert Training(images()).objective == "max accuracy"
    assert Training(table()).settings == Training.settings - {"augment"}
    assert Training(images()).example_input == images().example_input


class Odd(nn.Module):
    """Gives what it is told to, whatever comes in."""

    def __init__(self, output: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.output = output

    def forward(self, inputs: torch.Tensor) -> Any:
        return self.output(inputs * self.weight)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda x: x, r"shape \(16, 1, 8, 8\); expected is shape \(16, 3\)"),
        (lambda x: x.flatten(1)[:, :7], r"shape \(16, 7\); expected is shape \(16, 3\)"),
        (lambda x: x.sum(), r"shape \(\); expected"),
        (lambda x: (x, x), "is of tuple; expected"),
    ],
)
def test_an_output_that_does_not_fit_is_told(output: Callable[[torch.Tensor], Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        Training(images(), epochs=1).evaluate(candidate(lambda: Odd(output)))


def test_divergence_is_an_error_with_its_place() -> None:
    training = Training(images(), optimizer="sgd", lr=1e30)
    with pytest.raises(EvaluationError, match=r"loss became (nan|inf) in epoch 1, step \d+ \(learning rate "):
        training.evaluate(candidate(linear))


def test_divergence_in_the_last_step_is_found_when_judged() -> None:
    with pytest.raises(EvaluationError, match=r"loss became (nan|inf) on held-out data"):
        Training(images(), epochs=1, batch_size=96, optimizer="sgd", lr=1e38, schedule="constant").evaluate(
            candidate(linear)
        )


def test_what_the_network_raises_is_left_as_it_is() -> None:
    def fail(inputs: torch.Tensor) -> torch.Tensor:
        raise MemoryError("too large")

    with pytest.raises(MemoryError, match="too large"):
        Training(images()).evaluate(candidate(lambda: Odd(fail)))


@pytest.mark.parametrize(("count", "size"), [(17, 8), (9, 8), (3, 2)])
def test_batch_normalisation_never_meets_a_single_sample(count: int, size: int) -> None:
    metrics = Training(table((count, 5, 5)), batch_size=size, epochs=1).evaluate(candidate(mlp))
    assert math.isfinite(metrics["train_loss"])


def test_a_deadline_that_has_passed_leaves_one_judged_step() -> None:
    one = candidate(convnet, deadline=time.monotonic() - 1)
    with pytest.raises(Stopped, match="out of time"):
        Training(images()).evaluate(one)
    assert [row["step"] for row in one.curve] == pytest.approx([1 / 6])  # one step of the epoch's six
    assert set(one.curve[0]) == METRICS | {"step"}
    assert not one.model.training


def test_a_deadline_cuts_an_epoch_short(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[float, float]] = []
    optimizer = functools.partial(Recorder, lr=0.1, seen=seen)
    clock = Clock()
    monkeypatch.setattr(_loop, "time", clock)
    monkeypatch.setattr("archwright.evaluate._candidate.time", clock)
    one = candidate(convnet, deadline=18.0)
    with pytest.raises(Stopped):
        Training(images(), batch_size=16, optimizer=optimizer).evaluate(one)  # six steps an epoch
    assert 6 < len(seen) < 12
    assert [row["step"] for row in one.curve] == pytest.approx([1, 1 + 2 / 6])


def test_what_is_complete_at_the_deadline_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    one = candidate(convnet, deadline=0.0)
    metrics = Training(images(), epochs=1, batch_size=96).evaluate(one)  # its one step
    assert metrics["accuracy"] == one.curve[0]["accuracy"]


def test_a_listener_that_stops_ends_the_training_there() -> None:
    def stop(step: int, metrics: object) -> None:
        if step == 2:
            raise Stopped("pruned")

    one = candidate(convnet, listener=stop)
    with pytest.raises(Stopped, match="pruned"):
        Training(images()).evaluate(one)
    assert len(one.curve) == 2
    assert not one.model.training


class Layout(nn.Module):
    """Remembers how the images that came in, and the weights, lay in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = convnet(channels=3)
        self.seen: set[tuple[bool, bool]] = set()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        last = torch.channels_last
        weight = self.inner[0].weight
        self.seen.add((inputs.is_contiguous(memory_format=last), weight.is_contiguous(memory_format=last)))
        return self.inner(inputs)


@pytest.mark.parametrize(("channels_last", "wanted"), [(None, True), (True, True), (False, False)])
def test_images_are_channels_last_unless_told_otherwise(channels_last: bool | None, wanted: bool) -> None:
    one = candidate(Layout)
    Training(images(channels=3), epochs=1, channels_last=channels_last, device="cpu").evaluate(one)
    assert one.model.seen == {(wanted, wanted)}
    assert all(value.is_contiguous() for value in one.model.state_dict().values())


def test_the_layout_changes_nothing_else() -> None:
    def loss(channels_last: bool) -> float:
        training = Training(images(channels=3), epochs=1, channels_last=channels_last)
        network = candidate(lambda: nn.Sequential(*(layer for layer in convnet(3) if type(layer) is not nn.Dropout)))
        return training.evaluate(network)["train_loss"]

    assert loss(True) == pytest.approx(loss(False), rel=1e-4)


def test_bf16_computes_in_bf16_and_keeps_float32_weights() -> None:
    kinds = set()

    def scores(inputs: torch.Tensor) -> torch.Tensor:
        product = inputs.flatten(1) @ torch.ones(64, 3)
        kinds.add(product.dtype)
        return product

    one = candidate(lambda: Odd(scores))
    Training(images(), epochs=1, precision="bf16", lr=1e-6).evaluate(one)
    assert kinds == {torch.bfloat16}
    assert one.model.weight.dtype == torch.float32
    kinds.clear()
    Training(images(), epochs=1, lr=1e-6).evaluate(candidate(lambda: Odd(scores)))
    assert kinds == {torch.float32}


def test_bf16_is_tested_in_float32_as_it_is_shipped() -> None:
    training = Training(images(), epochs=1, precision="bf16", lr=0.03)
    one = candidate(convnet)
    found = training.retrain(one)
    assert {value.dtype for value in one.model.parameters()} == {torch.float32}
    task = training.task
    outputs = one.model(task.prepare(task.test.inputs))
    assert found["test_loss"] == pytest.approx(task.loss(outputs, task.test.targets).item(), rel=1e-5)


def test_the_precision_that_a_machine_has_chosen_is_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    from archwright.evaluate import _training

    monkeypatch.setattr(_training, "has_bf16", lambda device: True)
    trainings = [Training(images(), precision="auto", device="cpu"), Training(aw.data("digits"), precision="auto")]
    table = Training(aw.data("iris"), precision="auto", device="cpu")
    monkeypatch.setattr(_training, "has_bf16", lambda device: False)
    assert not Training(images(), precision="auto", device="cpu").setup("cpu").bf16
    assert not table.setup("cpu").bf16
    for training in (
        trainings[0],
        pickle.loads(pickle.dumps(trainings[0])),
        Training.from_json(trainings[1].to_json()),
    ):
        assert training.setup("cpu").bf16
        assert training.describe()["precision"] == "bf16"


def test_a_device_that_is_absent_is_refused_with_those_present() -> None:
    with pytest.raises(EvaluationError, match=r"device 'cuda:77' is not available; available are: .*cpu"):
        Training(images(), device="cuda:77")
    assert Training(images(), device="cpu").device == "cpu"


@pytest.mark.parametrize(
    ("present", "name", "wanted"),
    [
        (["cuda:0", "cuda:1", "cpu"], "auto", "cuda:0"),
        (["cuda:0", "cuda:1", "cpu"], "cuda", "cuda:0"),
        (["cuda:0", "cuda:1", "cpu"], "cuda:1", "cuda:1"),
        (["mps", "cpu"], "auto", "mps"),
        (["mps", "cpu"], "cpu", "cpu"),
        (["cpu"], "auto", "cpu"),
    ],
)
def test_devices(monkeypatch: pytest.MonkeyPatch, present: list[str], name: str, wanted: str) -> None:
    from archwright.evaluate import _device

    monkeypatch.setattr(_device, "available_devices", lambda: present)
    assert _device.choose_device(name) == wanted


def test_it_is_written_down_and_read_again() -> None:
    data = aw.data("digits")
    training = Training(
        data,
        epochs=3,
        batch_size=32,
        optimizer="sgd",
        lr=0.05,
        schedule="cosine",
        augment=("crop", "flip"),
        clip=2.0,
        precision="bf16",
        channels_last=False,
        device="auto",
        final_epochs=9,
    )
    written = json.loads(json.dumps(training.to_json()))
    again = Training.from_json(written)
    assert again.to_json() == training.to_json()
    assert again.recipe == training.recipe
    assert (again.precision, again.channels_last, again.final_epochs) == ("bf16", False, 9)
    assert torch.equal(again.task.train.inputs, data.train.inputs)
    assert written["type"] == "training"
    assert written["device"] == "auto"


def test_what_cannot_be_written_down_is_none() -> None:
    assert Training(images()).to_json() is None
    assert Training(aw.data("digits"), optimizer=STILL).to_json() is None
    with pytest.raises(EvaluationError, match="not a training"):
        Training.from_json({"type": "table"})
