"""The published tables by name."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from archwright import spaces
from archwright._registry import Entry
from archwright.bench._files import Source, read_text
from archwright.bench._table import Benchmark, Table
from archwright.errors import TableError, unknown
from archwright.space import Architecture

__all__ = ["entries", "load", "tables"]

_PERCENT = 0.01


@dataclass(frozen=True)
class _Published:
    """A table: its file, the data sets it has results for, and how it is read."""

    source: Source
    datasets: tuple[str, ...]
    summary: str
    read: Callable[[IO[str], str], Table]


def load(name: str, *, dataset: str | None = None, path: str | Path | None = None, verify: bool = True) -> Benchmark:
    """Load a table of measured networks.

    Args:
        name: One of `tables()`.
        dataset: What the networks were trained on; the table's first when not given.
        path: The table's file, or the folder it is in. When not given: the folder that the environment variable
            ARCHWRIGHT_DATA names, then the user's data folder ($XDG_DATA_HOME/archwright, ~/.local/share/archwright).
        verify: Whether to refuse a file whose checksum is not the known one; turn it off for one you made yourself.

    Raises:
        UnknownName: There is no such table, or it has no such data set.
        TableError: The file is missing, damaged, or not the known one; the message says where it is published.
    """
    if name not in _TABLES:
        raise unknown("table", name, _TABLES)
    published = _TABLES[name]
    dataset = dataset or published.datasets[0]
    if dataset not in published.datasets:
        raise unknown(f"data set of the table {name!r}:", dataset, published.datasets)
    text = read_text(published.source, path, verify=verify)
    try:
        return Benchmark(name, dataset, published.read(text, dataset))
    except (KeyError, IndexError, ValueError) as error:
        raise TableError(
            f"{path or published.source.file} has not the columns of {name!r} ({error!r}): see docs/tables.md"
        ) from error


def tables() -> list[str]:
    """Return the names of the tables, sorted."""
    return sorted(_TABLES)


def entries() -> list[Entry[Any]]:
    """Return the tables with the line that describes each, sorted by name."""
    return [Entry(name, load, _TABLES[name].summary) for name in tables()]


def _columns(file: IO[str], wanted: Sequence[str]) -> dict[str, list[str]]:
    """Return the wanted columns of a CSV file."""
    reader = csv.reader(file)
    header = next(reader)
    places = [header.index(name) for name in wanted]
    rows = [[row[place] for place in places] for row in reader]
    return dict(zip(wanted, map(list, zip(*rows, strict=True)), strict=True))


def _numbers(column: Sequence[str]) -> NDArray[np.float64]:
    """Return a column as numbers; an empty cell is NaN, which a table refuses to answer with."""
    return np.array([float(cell or "nan") for cell in column])


def _nasbench201(file: IO[str], dataset: str) -> Table:
    cells = importlib.import_module("archwright.spaces.nasbench201")
    names = [f"{dataset}_{part}" for part in ("val12", "val200", "test200", "train_s_200ep", "params_mb", "latency_s")]
    columns = _columns(file, ["arch", *names])
    val12, val200, test, seconds, parameters, latency = (_numbers(columns[name]) for name in names)
    return Table(
        spaces.create("nasbench201", classes=10 if dataset == "cifar10" else 100),
        [cells.from_string(text) for text in columns["arch"]],
        {12: val12 * _PERCENT, 200: val200 * _PERCENT},
        test=test * _PERCENT,
        seconds=seconds,
        metrics={"parameters": parameters * 1e6, "latency_ms": latency * 1e3},
    )


def _natsbench_size(file: IO[str], dataset: str) -> Table:
    prefix, classes = {"cifar10": ("cifar10", 10), "cifar100": ("cifar100", 100), "imagenet16-120": ("imagenet", 120)}[
        dataset
    ]
    columns = _columns(file, ["arch", f"{prefix}_test90", f"{prefix}_params"])
    accuracy = _numbers(columns[f"{prefix}_test90"]) * _PERCENT
    size = 16 if dataset == "imagenet16-120" else 32
    return Table(
        spaces.create("natsbench-size", classes=classes, input_shape=(3, size, size)),
        [
            Architecture({f"width_{place}": int(width) for place, width in enumerate(text.split(":"))})
            for text in columns["arch"]
        ],
        {90: accuracy},
        test=accuracy,
        metrics={"parameters": _numbers(columns[f"{prefix}_params"])},
    )


def _digits_cells(file: IO[str], dataset: str) -> Table:
    space = spaces.create("digits-cells")
    header = file.readline().strip().split(",")
    file.seek(0)
    epochs = [int(name.rpartition("_")[2]) for name in header if name.startswith("val_accuracy_")]
    curve = [f"val_accuracy_{epoch}" for epoch in epochs]
    measured = ["test_accuracy", "seconds", "parameters", "flops", "latency_ms_1"]
    columns = _columns(file, [*space.decisions, *curve, *measured])
    keys = [
        space.canonical(
            {name: int(text) if name == "width" else text for name, text in zip(space.decisions, row, strict=True)}
        )
        for row in zip(*(columns[name] for name in space.decisions), strict=True)
    ]
    listed = list(dict.fromkeys(keys))
    place = {architecture: row for row, architecture in enumerate(listed)}
    rows = np.array([place[key] for key in keys])

    def mean(name: str) -> NDArray[np.float64]:
        """Return the mean over the seeds."""
        return np.bincount(rows, _numbers(columns[name])) / np.bincount(rows)

    return Table(
        space,
        listed,
        {epoch: mean(name) for epoch, name in zip(epochs, curve, strict=True)},
        test=mean("test_accuracy"),
        seconds=mean("seconds"),
        metrics={"parameters": mean("parameters"), "flops": mean("flops"), "latency_ms": mean("latency_ms_1")},
    )


_TABLES: Mapping[str, _Published] = MappingProxyType(
    {
        "digits-cells": _Published(
            Source(
                "digits_cells.csv.gz",
                "4ee1dba1d1813155bad6dd03186c4230c2ed1724a6de42eabaff6f98dea6843b",
                "the package itself (docs/digits-cells.md)",
                shipped=True,
            ),
            ("digits",),
            "1,458 small networks on digits, three seeds; comes with the package.",
            _digits_cells,
        ),
        "nasbench201": _Published(
            Source(
                "nasbench201.csv.gz",
                "7390ea582cb0951dc5c2b2f311708dd033d2801d86e4f041cc00c8b9513921f9",
                "https://github.com/D-X-Y/NATS-Bench",
            ),
            ("cifar10", "cifar100"),
            "The 15,625 cells of NAS-Bench-201, the topology space of NATS-Bench.",
            _nasbench201,
        ),
        "natsbench-size": _Published(
            Source(
                "natsbench_sss.csv.gz",
                "32ed1e9bc7833a252a6d9e3aeb0a446a0acb524f557dcf0b8ebbd7aed6f7d25d",
                "https://github.com/D-X-Y/NATS-Bench",
            ),
            ("cifar10", "cifar100", "imagenet16-120"),
            "The 32,768 widths of NATS-Bench; test accuracies only, which the search sees.",
            _natsbench_size,
        ),
    }
)
