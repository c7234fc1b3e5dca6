"""From the official programming interfaces of published tables to the files that `load` reads.

Each function takes the object that the official package makes, asks it for every network, and writes a table: a CSV
file, gzipped where its name ends in ".gz", or a Parquet file where it ends in ".parquet". Read it with
`bench.load(..., path=..., verify=False)`. docs/tables.md describes the columns.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import numpy as np

from archwright.errors import TableError, require
from archwright.spaces.nasbench101 import OPERATIONS, from_matrix, to_matrix

__all__ = ["NASBench", "NATSBench", "nasbench101", "nats_size", "nats_topology"]

Row = dict[str, Any]

_TASKS = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet": "ImageNet16-120"}


class NATSBench(Protocol):
    """What is used of `nats_bench.create(...)` (Dong et al., IEEE TPAMI 2021)."""

    def __len__(self) -> int:
        """Return the number of networks."""

    def arch(self, index: int) -> str:
        """Return the official string of a network."""

    def get_more_info(self, index: int, dataset: str, *, hp: str, is_random: bool) -> Mapping[str, Any]:
        """Return accuracies in percent and times in seconds; `hp` is the number of epochs."""

    def get_cost_info(self, index: int, dataset: str, hp: str = ...) -> Mapping[str, Any]:
        """Return "params" in millions and "latency" in seconds."""


class NASBench(Protocol):
    """What is used of `nasbench.api.NASBench(...)` (Ying et al., ICML 2019)."""

    def hash_iterator(self) -> Iterable[str]:
        """Iterate over the hashes of all cells."""

    def get_metrics_from_hash(self, module_hash: str) -> tuple[Mapping[str, Any], Mapping[int, Sequence[Any]]]:
        """Return what is fixed of a cell, and what was measured: by the number of epochs, a mapping for each run."""


def nats_topology(api: NATSBench, path: str | Path) -> Path:
    """Write the table "nasbench201" from the topology space of NATS-Bench, `nats_bench.create(file, "tss")`.

    Accuracies are means over the official seeds. As the benchmark's authors do, validation accuracy on CIFAR-10 is
    taken from training on half of the training data, and test accuracy from training on all of it.

    Args:
        api: The official object.
        path: The file to write.

    Raises:
        MissingExtra: It is a Parquet file, and PyArrow is not installed.
        TableError: There is no network.
    """
    return _write(path, (_nats_row(api, index, ("12", "200"), topology=True) for index in range(len(api))))


def nats_size(api: NATSBench, path: str | Path) -> Path:
    """Write the table "natsbench-size" from the size space of NATS-Bench, `nats_bench.create(file, "sss")`.

    Arguments, errors and the meaning of the accuracies are those of `nats_topology`.
    """
    return _write(path, (_nats_row(api, index, ("01", "12", "90"), topology=False) for index in range(len(api))))


def nasbench101(api: NASBench, path: str | Path) -> Path:
    """Write the table "nasbench101" from NAS-Bench-101, `nasbench.api.NASBench(file)`.

    Accuracies and seconds are means over the official runs; a file of the 108-epoch runs alone gives a table of those.

    Args:
        api: The official object.
        path: The file to write.

    Raises:
        MissingExtra: It is a Parquet file, and PyArrow is not installed.
        TableError: There is no cell.
        ArchitectureError: A cell is none of NAS-Bench-101.
    """
    return _write(path, (_nasbench101_row(api, name) for name in api.hash_iterator()))


def _nats_row(api: NATSBench, index: int, epochs: Sequence[str], *, topology: bool) -> Row:
    row: Row = {"index": index, "arch": api.arch(index)}
    last = epochs[-1]
    for prefix, dataset in _TASKS.items():
        searched = "cifar10-valid" if dataset == "cifar10" else dataset
        for hp in epochs:
            seen = api.get_more_info(index, searched, hp=hp, is_random=False)
            row[f"{prefix}_val{int(hp)}"] = seen.get("valid-accuracy")
            row[f"{prefix}_train_s_{int(hp)}ep"] = seen.get("train-all-time")
        final = api.get_more_info(index, dataset, hp=last, is_random=False)
        row[f"{prefix}_test{int(last)}"] = final.get("test-accuracy")
        cost = api.get_cost_info(index, dataset, hp=last)
        if topology:
            row[f"{prefix}_params_mb"] = cost.get("params")
            row[f"{prefix}_latency_s"] = _positive(cost.get("latency"))
        else:
            row[f"{prefix}_params"] = round(cost["params"] * 1e6)
    return row


def _positive(value: float | None) -> float | None:
    """Return a measurement; the official objects give -1 or none where there was none."""
    return value if value is not None and value > 0 else None


def _nasbench101_row(api: NASBench, name: str) -> Row:
    fixed, measured = api.get_metrics_from_hash(name)
    cell = from_matrix(np.asarray(fixed["module_adjacency"]), list(fixed["module_operations"]))
    matrix, operations = to_matrix(cell)
    n, last = len(operations), max(measured)
    upper = [matrix[early][late] for late in range(n) for early in range(late)]
    row: Row = {
        "hash": name,
        "n": n,
        "adj_bits": sum(bit << place for place, bit in enumerate(upper)),
        "ops": "".join(str(OPERATIONS.index(operation)) for operation in operations[1:-1]),
    }
    for epochs in sorted(measured):
        row[f"val{epochs}"] = fmean(run["final_validation_accuracy"] for run in measured[epochs])
    row[f"test{last}"] = fmean(run["final_test_accuracy"] for run in measured[last])
    row["train_s"] = fmean(run["final_training_time"] for run in measured[last])
    row["params"] = int(fixed["trainable_parameters"])
    return row


def _write(path: str | Path, rows: Iterable[Row]) -> Path:
    path = Path(path)
    held = list(rows)
    if not held:
        raise TableError("there is nothing to write: the official object lists no network")
    names = list(held[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        purpose = f"writing {path.name}"
        table = require("pyarrow", extra="parquet", purpose=purpose).Table.from_pylist(held)
        require("pyarrow.parquet", extra="parquet", purpose=purpose).write_table(table, path)
        return path
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(held)  # None is an empty cell
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path
