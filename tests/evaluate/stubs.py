"""Small stand-ins: spaces that build one network, and data that a network learns in no time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from archwright.datasets import Data, Part
from archwright.evaluate import Candidate
from archwright.space import TensorSpec


class OneSpace:
    """A space of one network. Settings are handed over as they are."""

    def __init__(self, network: Callable[[], nn.Module], settings: Mapping[str, Any] = {}) -> None:
        self.network = network
        self.parts = dict(settings)
        self.memo: dict[Any, Any] = {}

    def resolve(self, architecture: object) -> dict[str, Any]:
        return {"model": None, **self.parts}

    def build(self, architecture: object, example_input: object = None) -> nn.Module:
        return self.network()


def candidate(network: Callable[[], nn.Module], *, seed: int = 0, **options: Any) -> Candidate:
    settings = options.pop("settings", {})
    return Candidate(OneSpace(network, settings), None, seed=seed, **options)


def images(sizes: tuple[int, int, int] = (96, 40, 44), *, channels: int = 1, side: int = 8, classes: int = 3) -> Data:
    """Images whose class shows as a bright row, in noise."""
    generator = torch.Generator().manual_seed(1)

    def part(count: int) -> Part:
        targets = torch.randint(classes, (count,), generator=generator)
        pixels = torch.randint(120, (count, channels, side, side), generator=generator)
        pixels[torch.arange(count), :, 2 * targets] += 100
        return Part(pixels.to(torch.uint8), targets)

    train, validation, test = (part(count) for count in sizes)
    return _data("bars", "image", classes, train, validation, test, (0, 2, 3))


def table(sizes: tuple[int, int, int] = (60, 30, 30), *, features: int = 5, classes: int = 3) -> Data:
    """Rows around one centre for each class."""
    generator = torch.Generator().manual_seed(2)
    centres = 2 * torch.randn(classes, features, generator=generator)

    def part(count: int) -> Part:
        targets = torch.randint(classes, (count,), generator=generator)
        return Part(centres[targets] + torch.randn(count, features, generator=generator), targets)

    train, validation, test = (part(count) for count in sizes)
    return _data("blobs", "table", classes, train, validation, test, (0,))


def _data(name: str, kind: str, classes: int, train: Part, validation: Part, test: Part, axes: tuple[int, ...]) -> Data:
    values = train.inputs.float()
    return Data(
        name=name,
        kind=kind,
        classes=tuple(str(number) for number in range(classes)),
        train=train,
        validation=validation,
        test=test,
        example_input=TensorSpec(tuple(train.inputs.shape[1:])),
        mean=values.mean(axes),
        std=values.std(axes),
    )


def convnet(channels: int = 1, classes: int = 3) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.AdaptiveMaxPool2d(4),
        nn.Flatten(),
        nn.Linear(128, classes),
    )


def linear(features: int = 64, classes: int = 3) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(features, classes))


def mlp(features: int = 5, classes: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(features, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, classes))


class Recorder(torch.optim.SGD):
    """Plain SGD that keeps the rate and the gradients' norm of each step."""

    def __init__(self, parameters: Any, *, lr: float, seen: list[tuple[float, float]]) -> None:
        super().__init__(parameters, lr=lr)
        self.seen = seen

    def step(self, closure: Any = None) -> None:
        group = self.param_groups[0]
        norm = torch.cat([weight.grad.flatten() for weight in group["params"]]).norm()
        self.seen.append((group["lr"], norm.item()))
        super().step()


class Clock:
    """A clock that goes on by one second each time someone looks at it."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now
