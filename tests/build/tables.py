"""Blocks of a user's own that take what they are made of from tables, partials and enumerations of their module."""

from __future__ import annotations

import enum
import math
import types
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from math import pi
from types import FunctionType
from types import SimpleNamespace as Bag
from typing import Optional, TypeVar, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Kind = FunctionType
Method = types.MethodType
integer = int
Activation = Union[str, Callable[[Tensor], Tensor]]  # noqa: UP007
Layer = TypeVar("Layer", bound=nn.Module)
Shape = namedtuple("Shape", "height width")


class Mode(enum.Enum):
    FAST = 1
    SLOW = 2


norm = partial(nn.BatchNorm2d, eps=1e-3)
square = lambda x: x * x  # noqa: E731
DEFAULT = Shape(3, 4)
ACTIVATIONS = {"relu": F.relu, "sin": torch.sin, "silu": F.silu, "square": square}
LAYERS = {"relu": nn.ReLU, "none": None}
OPERATIONS = {
    "none": lambda channels, stride: Zero(stride),
    "conv": lambda channels, stride: ConvNorm(channels, channels, stride=stride),
    "pool": lambda channels, stride: nn.MaxPool2d(3, stride, 1),
}
NAMES = list(OPERATIONS)


class Zero(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return x[:, :, :: self.stride, :: self.stride] * 0.0


class ConvNorm(nn.Module):
    def __init__(self, inputs, outputs, stride=1, mode=Mode.FAST, bag: Optional[Bag] = None):  # noqa: UP045
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.norm = norm(outputs)
        self.is_fast = mode is Mode.FAST

    def forward(self, x):
        return self.norm(self.conv(x)) * pi + math.pi


class ByTable(nn.Module):
    """Takes its layers from tables."""

    def __init__(self, channels: integer, operation: str = "conv", activation: Activation = "sin"):
        super().__init__()
        assert operation in NAMES
        assert DEFAULT.width == 4
        self.operation = OPERATIONS[operation](channels, 1)
        self.activation = ACTIVATIONS[activation]
        assert isinstance(self.forward, Method | Kind)
        self.layer = LAYERS["relu"]()

    def apply_to(self, layer: Layer) -> Layer:
        return layer

    def forward(self, x):
        return self.apply_to(self.layer)(self.activation(self.operation(x)))


class Base(nn.Module):
    """Knows those that are derived from it by a table that stands below them."""

    def forward(self, x):
        return x + len(TREE[type(self).__name__])


class Leaf(Base):
    pass


TREE = {"Base": [Leaf], "Leaf": [Base, Leaf]}

REGISTERED = {}


def register(function):
    REGISTERED[function.__name__] = function
    return function


@register
def conv(channels):
    return nn.Conv2d(channels, channels, 1)


@register
def nothing(channels):
    return nn.Identity()


class ByRegistry(nn.Module):
    def __init__(self, channels: int, name: str = "conv"):
        super().__init__()
        self.layer = REGISTERED[name](channels)

    def forward(self, x):
        return self.layer(x)


CHANGED = {"a": lambda x: x}
CHANGED["b"] = lambda x: -x


class ByChanged(nn.Module):
    def forward(self, x):
        return CHANGED["b"](x)


KINDS = []


class Noted(nn.Module):
    def __init_subclass__(cls) -> None:
        KINDS.append(cls)


class ByNoted(Noted):
    def forward(self, x):
        return x + len(KINDS)
