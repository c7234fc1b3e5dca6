"""Parts of recommenders. The text of these classes is copied into written source."""

from __future__ import annotations

import torch
from torch import nn


class Fields(nn.Module):
    """Embeddings of a user and an item.

    Args:
        users: The number of users.
        items: The number of items.
        width: The width of an embedding.
    """

    def __init__(self, users: int, items: int, width: int) -> None:
        super().__init__()
        self.user = nn.Embedding(users + 1, width, padding_idx=0)
        self.item = nn.Embedding(items + 1, width, padding_idx=0)
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=0.1)
            with torch.no_grad():
                table.weight[0] = 0

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        """Return (n, 2, width) for numbers of users and items (n, 2); 0 is unknown."""
        return torch.stack([self.user(pairs[:, 0]), self.item(pairs[:, 1])], 1)


class Wide(nn.Module):
    """A number for each user and one for each item, added.

    Args:
        users: The number of users.
        items: The number of items.
    """

    def __init__(self, users: int, items: int) -> None:
        super().__init__()
        self.biases = Fields(users, items, 1)

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        """Return (n, 1) for numbers of users and items (n, 2)."""
        total: torch.Tensor = self.biases(pairs).sum(1)
        return total


class Product(nn.Module):
    """The product of two embeddings, number by number."""

    def forward(self, fields: torch.Tensor) -> torch.Tensor:
        """Return (n, width) for embeddings (n, 2, width)."""
        return fields[:, 0] * fields[:, 1]


class Total(nn.Module):
    """The sum of numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, 1) for numbers (n, width)."""
        return x.sum(1, keepdim=True)


class Joined(nn.Module):
    """Two embeddings and their product."""

    def forward(self, fields: torch.Tensor) -> torch.Tensor:
        """Return (n, 3 * width) for embeddings (n, 2, width)."""
        product = fields[:, 0] * fields[:, 1]
        return torch.cat([fields.flatten(1), product], 1)


class Field(nn.Module):
    """One of two embeddings.

    Args:
        place: 0 for that of the user, 1 for that of the item.
    """

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place

    def forward(self, fields: torch.Tensor) -> torch.Tensor:
        """Return (n, width) for embeddings (n, 2, width)."""
        return fields[:, self.place]


class Plus(nn.Module):
    """The sum of two inputs."""

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Return (n, width) for two inputs of that shape."""
        return left + right


class Times(nn.Module):
    """The product of two inputs, number by number."""

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Return (n, width) for two inputs of that shape."""
        return left * right


class Mapped(nn.Module):
    """A linear map of two inputs.

    Args:
        width: Their width.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * width, width)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Return (n, width) for two inputs of that shape."""
        y: torch.Tensor = self.linear(torch.cat([left, right], 1))
        return y


class Gate(nn.Module):
    """An input with a share of each number that follows from another one.

    Args:
        width: Their width.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Return (n, width) for two inputs of that shape."""
        gated: torch.Tensor = left * torch.sigmoid(self.linear(right))
        return gated


class Cross(nn.Module):
    """An input, and its product with a linear map of another one.

    Args:
        width: Their width.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Return (n, width) for two inputs of that shape."""
        crossed: torch.Tensor = left + left * self.linear(right)
        return crossed
