"""Published tables by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from archwright._files import Content, Source, read
from archwright._registry import Entry
from archwright.bench import _accel_nasbench, _digits_cells, _nasbench101, _nasbench201, _nasbench_nlp, _natsbench_size
from archwright.bench._table import Benchmark, Table
from archwright.errors import ArchitectureError, SpaceError, TableError, unknown


@dataclass(frozen=True)
class _Published:
    """A table: its file, the data sets it has results for, and how it is read."""

    source: Source
    datasets: tuple[str, ...]
    summary: str
    read: Callable[[Content, str], Table]
    scale: float = 100.0


def load(name: str, *, dataset: str | None = None, path: str | Path | None = None, verify: bool = True) -> Benchmark:
    """Load a table of measured networks.

    Args:
        name: One of `tables()`.
        dataset: The data set of the training; by default the table's first.
        path: The table's file or its folder. By default the folder that the environment variable ARCHWRIGHT_DATA names,
            then the user's data folder ($XDG_DATA_HOME/archwright, ~/.local/share/archwright).
        verify: Whether to check the file's checksum; turn it off for a file of your own.

    Raises:
        UnknownName: No table or data set has that name.
        TableError: The file is missing, damaged, or not the known one; the message names its source. Or columns are
            missing, such as those of the data set.
        MissingExtra: The file is a Parquet file, and PyArrow is not installed.

    Example:
        >>> benchmark = aw.bench.load("digits-cells")
        >>> round(benchmark.table.best, 3)
        0.978
    """
    if name not in _TABLES:
        raise unknown("table", name, _TABLES)
    published = _TABLES[name]
    dataset = dataset or published.datasets[0]
    if dataset not in published.datasets:
        raise unknown(f"data set of the table {name!r}:", dataset, published.datasets)
    content = read(published.source, path, verify=verify)
    try:
        return Benchmark(name, dataset, published.read(content, dataset), published.scale)
    except (ArchitectureError, SpaceError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise TableError(
            f"{content.where} cannot be read as the table {name!r}, data set {dataset!r} ({error!r}): docs/tables.md "
            f"says which columns it has"
        ) from error


def tables() -> list[str]:
    """Return the names of the tables, sorted.

    Example:
        >>> "nasbench201" in aw.bench.tables()
        True
    """
    return sorted(_TABLES)


def entries() -> list[Entry[Any]]:
    """Return the tables with their descriptions, sorted by name.

    Example:
        >>> next(entry.name for entry in aw.bench.entries())
        'accel-nasbench'
    """
    return [Entry(name, load, _TABLES[name].summary) for name in tables()]


_TABLES: Mapping[str, _Published] = MappingProxyType(
    {
        "digits-cells": _Published(
            Source(
                "digits_cells.csv.gz",
                "51376ac938c2fee89a74998117700ceb9e429c85eba9d15cad461a706cddf449",
                "the package itself (docs/digits-cells.md)",
                shipped=True,
            ),
            ("digits",),
            "1,458 small networks on digits, three seeds; comes with the package.",
            _digits_cells.read,
        ),
        "nasbench101": _Published(
            Source(
                "nasbench101_subset_30001.csv.gz",
                "5f735a849c7994873bb88c1ac5b4f98117e6482a981502e4d578aed53275037f",
                "https://github.com/google-research/nasbench",
            ),
            ("cifar10",),
            "30,001 of the 423,624 cells of NAS-Bench-101; the nearest stands in for others.",
            _nasbench101.read,
        ),
        "nasbench201": _Published(
            Source(
                "nasbench201.csv.gz",
                "7390ea582cb0951dc5c2b2f311708dd033d2801d86e4f041cc00c8b9513921f9",
                "https://github.com/D-X-Y/NATS-Bench",
            ),
            ("cifar10", "cifar100", "imagenet16-120"),
            "The 15,625 cells of NAS-Bench-201, the topology space of NATS-Bench.",
            _nasbench201.read,
        ),
        "natsbench-size": _Published(
            Source(
                "natsbench_sss.csv.gz",
                "32ed1e9bc7833a252a6d9e3aeb0a446a0acb524f557dcf0b8ebbd7aed6f7d25d",
                "https://github.com/D-X-Y/NATS-Bench",
            ),
            ("cifar10", "cifar100", "imagenet16-120"),
            "The 32,768 widths of NATS-Bench; test accuracies only, which the search sees.",
            _natsbench_size.read,
        ),
        "accel-nasbench": _Published(
            Source(
                "accel_nasbench.csv.gz",
                "ada9fcf741dcb2c2947f8a0efb9302a467f94af3dce49f7f7d08df49d23097ae",
                "https://github.com/afzalxo/Accel-NASBench",
            ),
            ("imagenet",),
            "5,125 mobile networks on ImageNet, measured on six accelerators; the nearest stands in for others.",
            _accel_nasbench.read,
        ),
        "nasbench-nlp": _Published(
            Source(
                "nasbench_nlp_wikitext2.json.gz",
                "67164ad48cb78c816ac5a8074ec02a49fcecba991d7c3721c57b459b1d6ed26e",
                "https://github.com/fmsnew/nas-bench-nlp-release",
            ),
            ("wikitext2",),
            "The recurrent cells of NAS-Bench-NLP that were trained on WikiText-2.",
            _nasbench_nlp.read,
            1.0,
        ),
    }
)
