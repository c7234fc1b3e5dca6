"""The table of NAS-Bench-NLP, and the space of its recurrent cells."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from archwright._files import Content
from archwright.bench._repeats import Repeats
from archwright.bench._table import Table
from archwright.space import Architecture, Space, TensorSpec, choice, lazy

Recipe = Mapping[str, Sequence[str]]
"""A cell: for each node its operation, and then what it takes."""

_EPOCHS = 50
_VOCABULARY = 33_278
_LENGTH = 2  # tokens of the example: a first step and one after another


def read(content: Content, dataset: str) -> Table:
    """Return the table of a file, with the mean of runs of the same cell; docs/tables.md describes its keys."""
    runs = content.json()
    recipes = [_recipe(run["recepie"]) for run in runs]
    repeats = Repeats([same_cell(recipe) for recipe in recipes])
    first = [int(np.argmax(repeats.rows == row)) for row in range(len(repeats.listed))]
    space, architectures = listed_cells({str(runs[line]["recepie_id"]): recipes[line] for line in first})

    def curves(name: str) -> list[Any]:
        """Return (epochs, cells) means; NaN where no run has come so far."""
        lines = np.full((len(runs), _EPOCHS), np.nan)
        for line, run in zip(lines, runs, strict=True):
            line[: len(run[name])] = run[name]
        return [repeats.mean(column) for column in lines.T]

    losses, times = curves("val_losses"), np.cumsum(curves("wall_times"), axis=0)
    return Table(
        space,
        architectures,
        dict(enumerate(losses, 1)),
        test=curves("test_losses")[-1],
        seconds=dict(enumerate(times, 1)),
        metrics={"parameters": repeats.mean(np.array([run["num_params"] for run in runs], dtype=np.float64))},
        objective="min loss",
        failed={int(row): "its loss became NaN" for row in np.flatnonzero(np.isnan(losses[-1]))},
    )


def listed_cells(recipes: Mapping[str, Recipe]) -> tuple[Space, list[Architecture]]:
    """Return the space of some recurrent cells, given by name, and the architecture of each.

    There is one decision, which of the cells it is. The networks are language models as NAS-Bench-NLP trained them,
    without dropout.
    """
    cells = {name: {node: list(parts) for node, parts in recipe.items()} for name, recipe in recipes.items()}
    model = lazy("archwright.spaces._recurrent:LanguageModel")(choice(cells, name="cell"), vocabulary=_VOCABULARY)
    space = Space(model=model, example_input=TensorSpec((_LENGTH,), "int64"), name="nasbench-nlp")
    return space, [Architecture({"cell": name}) for name in recipes]


def same_cell(recipe: Recipe) -> str:
    """Return a text that two recipes share exactly if they are the same cell, whatever its nodes are called.

    The nodes are told apart by what they are made from and by what is made from them, again and again, as far as the
    longest way through the cell. What a sum, a product or a linear layer takes has no order; what a blend takes has.
    """
    taken = [
        (source, name, place if operation == "blend" else 0)
        for name, (operation, *sources) in recipe.items()
        for place, source in enumerate(sources)
    ]
    labels = {source: source for source, _, _ in taken if source not in recipe}
    for name, (operation, *_) in recipe.items():
        labels[name] = f"{operation} {name if name.removeprefix('h_new_').isdigit() else ''}"
    for _ in range(len(recipe) + 1):
        around: dict[str, list[str]] = {name: [] for name in labels}
        for source, name, place in taken:
            around[name].append(f"from {place} {labels[source]}")
            around[source].append(f"to {place} {labels[name]}")
        labels = {name: _digest([labels[name], *sorted(around[name])]) for name in labels}
    return _digest(sorted(labels.values()))


def _recipe(text: str) -> Recipe:
    return {name: [node["op"], *node["input"]] for name, node in json.loads(text).items()}


def _digest(parts: Sequence[str]) -> str:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()
