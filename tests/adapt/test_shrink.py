"""From a trained network to a smaller one: the integer program, and what the whole way leads to."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import archwright as aw
from archwright.adapt import BlockProgram
from archwright.errors import StudyError

VALUES = (1, 2, 3)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=6, max_size=6), st.integers(8, 40))
def test_the_program_finds_what_trying_everything_finds(losses: list[int], bound: int) -> None:
    """The cost of two neighbours is the product of their widths, as for layers between them."""
    space = aw.Space(**{name: aw.ordinal(*VALUES, name=name) for name in "abc"})
    whole = aw.Architecture(dict.fromkeys("abc", 3))

    def costs(architecture: aw.Architecture) -> dict[str, float]:
        a, b, c = (int(architecture[name]) for name in "abc")
        return {"area": float(2 * a * b + 2 * b * c + c)}

    program = BlockProgram(space, whole, costs, {"area": float(bound)})
    given = dict(zip(program.others(), map(float, losses), strict=True))

    def total(architecture: aw.Architecture) -> float:
        return sum(given.get((name, architecture[name]), 0.0) for name in "abc")

    every = (aw.Architecture(dict(zip("abc", each, strict=True))) for each in itertools.product(VALUES, repeat=3))
    best = min(total(each) for each in every if costs(each)["area"] <= bound)
    found = program.solve(given)
    assert costs(found)["area"] <= bound
    assert total(found) == best


def test_a_bound_that_nothing_keeps_is_said() -> None:
    space = aw.Space(a=aw.ordinal(2, 4, name="a"))
    program = BlockProgram(space, aw.Architecture({"a": 4}), lambda each: {"n": float(each["a"])}, {"n": 1.0})
    with pytest.raises(StudyError, match="no sub-network was found within n 1"):
        program.solve({("a", 2): 1.0})


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.norm, self.down = (
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.Conv2d(width, width, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(torch.relu(self.norm(self.up(x))))


@pytest.fixture
def training() -> aw.Training:
    """Two classes that the mean of an image tells apart."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(240) % 2
    images = torch.randn(240, 1, 8, 8, generator=generator) + (labels * 2.0 - 1.0)[:, None, None, None]
    return aw.Training(aw.data((images, labels)), epochs=1, batch_size=40, lr=1e-3, optimizer="adamw", device="cpu")


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            Block(16),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(16, 2),
        )


def test_a_network_is_halved_tuned_and_exported(training: aw.Training, tmp_path: Path) -> None:
    trained = network()
    space = aw.Space(model=aw.pretrained(trained))
    candidate = aw.Candidate(space, space.sample(np.random.default_rng(0)), seed=0)
    training.evaluate(candidate)
    before = {name: tensor.clone() for name, tensor in candidate.model.state_dict().items()}
    shrunk = aw.shrink(candidate.model, training, ["flops <= 0.5x", "parameters <= 3000"], samples=80)
    assert shrunk.costs["after"]["flops"] <= 0.5 * shrunk.costs["before"]["flops"]
    assert sum(each.numel() for each in shrunk.model.parameters()) == shrunk.costs["after"]["parameters"] <= 3000
    assert shrunk.metrics["accuracy"] >= shrunk.original["accuracy"] - 0.1
    assert min(shrunk.losses.values()) >= 0
    for name, tensor in candidate.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    saved = shrunk.save(tmp_path / "run")
    scope: dict[str, object] = {}
    exec((saved / "model.py").read_text(), scope)
    again = scope["build"]()  # type: ignore[operator]  # what the file defines
    from safetensors.torch import load_file

    again.load_state_dict(load_file(saved / "weights.safetensors"))
    x = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(again.eval()(x), shrunk.model(x))


def test_the_same_seed_gives_the_same_network(training: aw.Training) -> None:
    one, two = (aw.shrink(network(), training, "flops <= 0.6x", width=(0.5,), samples=40, seed=3) for _ in range(2))
    assert one.architecture == two.architecture
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(tensor, two.model.state_dict()[name]), name


@pytest.mark.parametrize(
    ("constraint", "told"),
    [
        ("flops <= 0.001x", r"flops <= [\d.]+ cannot be kept: the smallest sub-network has"),
        ("accuracy >= 0.9", "upper bounds of costs"),
        ("accuracy <= 0.9", "'accuracy' is no cost of a network; there are flops, parameters"),
        ("nonsense", "constraint"),
        ([], "needs a constraint"),
    ],
)
def test_what_cannot_be_kept_is_said_before_anything_is_judged(
    constraint: str, told: str, training: aw.Training
) -> None:
    with pytest.raises(StudyError, match=told):
        aw.shrink(network(), training, constraint)


def test_a_teacher_is_half_of_the_loss(training: aw.Training) -> None:
    """With a teacher that is sure of the wrong class, the mean of both losses leads to neither."""
    from archwright.evaluate import Feed, TrainingLoop, TrainingProgress

    class Wrong(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sure = 20.0 * torch.sign(x.mean((1, 2, 3)))
            return torch.stack((sure, -sure), 1)

    task, setup = training.task, training.setup("cpu")
    feed = Feed(task, task.train, setup)
    outputs = []
    for teacher in (None, Wrong()):
        torch.manual_seed(0)
        model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2))
        recipe = training.recipe.with_settings({"lr": 0.1})
        pace = TrainingProgress(30 * feed.steps(40))
        loop = TrainingLoop(model, feed, setup, recipe, batch_size=40, seed=0, pace=pace, teacher=teacher)
        for _ in range(30):
            loop.epoch()
        outputs.append(torch.softmax(model(torch.ones(1, 1, 8, 8)), 1)[0, 1].item())
    assert outputs[0] > 0.8
    assert outputs[1] == pytest.approx(0.5, abs=0.1)
