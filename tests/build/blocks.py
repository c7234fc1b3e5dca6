"""Classes and functions of a user's own: plain PyTorch, as it lies in a project that uses archwright."""

import dataclasses
import enum
import math
import os
from collections import OrderedDict as Ordered
from typing import Any

import numpy as np
import torch
import torch.nn as tnn
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import Module as Base
from torch.nn.init import zeros_ as fill_with_zeros

SLOPE = 0.1
NAMES = ["first", "it's", 'a "b"']
SIZES = {"small": (1, 2), "large": 3}
DTYPE = torch.float32
LIMIT = np.array([3.0])
HALF = np.float64(0.5)


def scaled(x, factor=SLOPE):
    return x * factor


def even(n):
    return True if n == 0 else odd(n - 1)


def odd(n):
    return False if n == 0 else even(n - 1)


class Scaled(Base):
    """A base class with a helper and a constant."""

    def forward(self, x: Tensor) -> Tensor:
        return scaled(F.relu(x))


def decorated(kind):
    kind.is_decorated = True
    return kind


@decorated
class Block(Scaled):
    """Uses about everything that a class may use."""

    names = tuple(NAMES)

    def __init__(
        self,
        channels: int,
        kernel: Any = 3,
        inner: "tnn.Module | None" = None,
    ):
        super().__init__()
        layers = Ordered(conv=nn.Conv2d(channels, channels, kernel, padding="same"))
        self.layers = tnn.Sequential(layers)
        self.inner = inner
        size = torch.tensor(math.prod(SIZES["small"]), dtype=DTYPE)
        self.register_buffer("size", size)
        fill_with_zeros(self.layers.conv.bias)
        self.is_even = even(channels)

    @classmethod
    def wide(cls, channels):
        return cls(2 * channels)

    def forward(self, x):
        x = super().forward(self.layers(x)) + self.size
        return x if self.inner is None else self.inner(x)


class Residual(nn.Module):
    """Takes modules; adds its input to what they give."""

    def __init__(self, *bodies: nn.Module, shortcut: nn.Module | None = None):
        super().__init__()
        self.bodies = nn.ModuleList(bodies)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for body in self.bodies:
            y = body(y)
        return y + (x if self.shortcut is None else self.shortcut(x))


class Inspecting(nn.Module):
    """Looks into the module that it takes."""

    def __init__(self, body: nn.Module):
        super().__init__()
        self.body = body
        self.head = nn.Linear(body.out_features, 2)

    def forward(self, x):
        return self.head(self.body(x))


class Iterating(nn.Module):
    """Goes through a sequence layer by layer."""

    def __init__(self, layers: nn.Sequential):
        super().__init__()
        self.layers = layers

    def forward(self, x):
        for index in range(len(self.layers)):
            x = self.layers[index](x)
        return x


class Last(nn.Module):
    """A recurrent layer with a tuple inside, of which the last output counts."""

    def __init__(self, cell: nn.Module):
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        outputs, _ = self.cell(x)
        return outputs[:, -1]


class Two(nn.Module):
    """Two inputs, each with a module of its own."""

    def __init__(self, first: nn.Module, second: nn.Module):
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.cat([self.first(x), self.second(y)], dim=1)


class Hidden(nn.Module):
    """Holds a lazy layer that no space knows of."""

    def __init__(self, width: int):
        super().__init__()
        self.layer = nn.LazyLinear(width)

    def forward(self, x):
        return self.layer(x)


@dataclasses.dataclass
class Settings:
    """What a layer wants to know, in one object."""

    width: int
    bias: bool = True


class Configured(nn.Module):
    def __init__(self, settings: Settings):
        super().__init__()
        self.layer = nn.Linear(settings.width, settings.width, bias=settings.bias)

    def forward(self, x):
        return self.layer(x)


class WithNumpy(nn.Module):
    def forward(self, x):
        return x * float(np.sqrt(4))


class WithArray(nn.Module):
    def forward(self, x):
        return x * LIMIT


class ReLU(nn.Module):
    """Called like a layer of torch."""

    def forward(self, x):
        return torch.relu(x) + 1


class Outer:
    class Inner(nn.Module):
        def forward(self, x):
            return x


def build(width):
    """Called like the function of written source."""
    return nn.Linear(width, width)


def make_block(channels):
    return Block(channels)


def make_rarely():
    return nn.Identity()


def make_unseen(width):
    return nn.Linear(width, width)


def holds_rarely(architecture):
    return True


def dangerous(*_):
    os._exit(3)


class Keeping(nn.Module):
    """Keeps a function that it is given."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Applied(nn.Module):
    """Applies a function that it is given."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def less_one(x):
    return x - 1


def less(x, y):
    return x - y


class Plain(enum.Enum):
    A = 1
    B = 2


class Whole(enum.IntEnum):
    A = 1
    B = 2


class Text(enum.StrEnum):
    A = "a"
    B = "b"


class TextToo(str, enum.Enum):  # noqa: UP042  # prints otherwise
    A = "a"
    B = "b"


class Signed(nn.Module):
    """Goes by a member of an enumeration itself, not by its value."""

    def __init__(self, kind, table):
        super().__init__()
        self.signs = [1 if each is type(each).A else -1 for each in (kind, *table)]

    def forward(self, x):
        return sum(sign * factor * x for sign, factor in zip(self.signs, (1, 10, 100), strict=True))
