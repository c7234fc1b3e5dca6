"""The table digits-cells, which is part of the package."""

from __future__ import annotations

from archwright import spaces
from archwright._files import Content
from archwright.bench._repeats import Repeats
from archwright.bench._table import Column, Table

_CURVE = "val_accuracy_"


def read(content: Content, dataset: str) -> Table:
    """Return the table of a file, with the mean over the seeds; docs/tables.md describes its columns."""
    space = spaces.create("digits-cells")
    columns = content.columns()
    epochs = sorted(int(name.removeprefix(_CURVE)) for name in columns.names if name.startswith(_CURVE))
    repeats = Repeats(
        [
            space.canonical(
                {name: int(text) if name == "width" else text for name, text in zip(space.decisions, row, strict=True)}
            )
            for row in zip(*map(columns.texts, space.decisions), strict=True)
        ]
    )

    def mean(name: str) -> Column:
        return repeats.mean(columns.numbers(name))

    return Table(
        space,
        repeats.listed,
        {epoch: mean(f"{_CURVE}{epoch}") for epoch in epochs},
        test=mean("test_accuracy"),
        seconds=mean("seconds"),
        metrics={"parameters": mean("parameters"), "flops": mean("flops"), "latency_ms": mean("latency_ms_1")},
    )
