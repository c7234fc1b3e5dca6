"""Recurrent language models. The text of these classes is copied into written source."""

from __future__ import annotations

import torch
from torch import nn


class RecurrentLayer(nn.Module):
    """A recurrent cell, run over a sequence.

    Args:
        recipe: The cell: for each node its operation and then what it takes. What comes
            in is "x"; the states are "h_prev_0", ... and become "h_new_0", ....
        inputs: Features that come in.
        hidden: Features of each state, and of what goes out, which is state 0.
    """

    def __init__(self, recipe: dict[str, list[str]], inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.states = sum(name.removeprefix("h_new_").isdigit() for name in recipe)
        self.linear = nn.ModuleDict()
        for name, (operation, *taken) in recipe.items():
            if operation == "linear":
                width = sum(inputs if each == "x" else hidden for each in taken)
                self.linear[name] = nn.Linear(width, hidden)
        self.steps: list[tuple[str, str, list[str]]] = []
        known = {"x", *(f"h_prev_{state}" for state in range(self.states))}
        left = dict(recipe)
        while left:
            ready = [name for name in left if known.issuperset(left[name][1:])]
            if not ready:
                raise ValueError(f"these nodes wait for each other: {left}")
            for name in ready:
                operation, *taken = left.pop(name)
                self.steps.append((name, operation, taken))
            known.update(ready)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (batch, time, hidden) for an input of (batch, time, inputs)."""
        state = [x.new_zeros(len(x), self.hidden) for _ in range(self.states)]
        outputs = []
        for step in x.unbind(1):
            values = {f"h_prev_{index}": value for index, value in enumerate(state)}
            values["x"] = step
            for name, operation, taken in self.steps:
                parts = [values[each] for each in taken]
                values[name] = self.apply_operation(name, operation, parts)
            state = [values[f"h_new_{index}"] for index in range(self.states)]
            outputs.append(state[0])
        return torch.stack(outputs, 1)

    def apply_operation(
        self,
        name: str,
        operation: str,
        parts: list[torch.Tensor],
    ) -> torch.Tensor:
        """Return the value of a node."""
        if operation == "linear":
            y: torch.Tensor = self.linear[name](torch.cat(parts, 1))
            return y
        if operation == "blend":
            gate, first, second = parts
            return gate * first + (1 - gate) * second
        if operation == "activation_tanh":
            return torch.tanh(parts[0])
        if operation == "activation_sigm":
            return torch.sigmoid(parts[0])
        if operation == "activation_leaky_relu":
            return nn.functional.leaky_relu(parts[0])
        result = parts[0]
        for part in parts[1:]:
            result = result + part if operation == "elementwise_sum" else result * part
        return result


class LanguageModel(nn.Module):
    """Embedding, three recurrent layers, and the embedding's weights once more.

    Args:
        recipe: The recurrent cell, see RecurrentLayer.
        vocabulary: How many tokens there are.
        width: Features of a token.
        hidden: Features of the states between the layers.
    """

    def __init__(
        self,
        recipe: dict[str, list[str]],
        vocabulary: int,
        width: int = 400,
        hidden: int = 600,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.layers = nn.Sequential(
            RecurrentLayer(recipe, width, hidden),
            RecurrentLayer(recipe, hidden, hidden),
            RecurrentLayer(recipe, hidden, width),
        )
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return (batch, time, vocabulary) scores for tokens of (batch, time)."""
        y = self.layers(self.embedding(tokens))
        return nn.functional.linear(y, self.embedding.weight, self.bias)
