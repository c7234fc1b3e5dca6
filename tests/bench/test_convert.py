"""Converters, on objects that follow the documented interfaces of the official packages."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archwright import bench, spaces
from archwright.bench import convert
from archwright.errors import ArchitectureError, TableError
from archwright.evaluate import Candidate
from archwright.space import Architecture
from archwright.spaces.nasbench101 import OPERATIONS, from_matrix
from archwright.spaces.nasbench201 import from_string, to_string

DATASETS = ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120")


class NATSBench:
    """Answers as `nats_bench.create(...)` does: accuracies in percent, parameters in millions, latency in seconds."""

    def __init__(self, archs: list[str], hps: tuple[str, ...]) -> None:
        self.archs, self.hps = archs, hps
        self.lacking: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        return len(self.archs)

    def arch(self, index: int) -> str:
        return self.archs[index]

    def get_more_info(self, index, dataset, iepoch=None, hp="12", is_random=True) -> dict[str, Any]:
        assert isinstance(index, int)
        assert dataset in DATASETS
        assert hp in self.hps
        assert is_random is False
        base = index + 10.0 * DATASETS.index(dataset) + int(hp) / 1000
        info = {"train-loss": 1.0, "train-accuracy": 99.0, "train-all-time": 7.0 * int(hp), "train-per-time": 7.0}
        if dataset != "cifar10":
            info |= {"valid-accuracy": base, "valid-loss": 0.5}
        if dataset != "cifar10-valid":
            info |= {"test-accuracy": base + 0.5, "test-loss": 0.5}
        for name in [name for given, name in self.lacking if given == dataset]:
            info[name] = None
        return info

    def get_cost_info(self, index, dataset, hp="12") -> dict[str, Any]:
        assert dataset in DATASETS
        latency = -1 if ("latency", dataset) in self.lacking else 0.0125
        return {"flops": 100.0, "params": 0.25 + index / 1000, "latency": latency, "T-train@epoch": 7.0}


def ask(found: bench.Benchmark, architecture: Architecture, fidelity: int | None = None) -> dict[str, float]:
    return found.table.evaluate(
        Candidate(found.space, architecture, seed=0, fidelity=None if fidelity is None else {"epochs": fidelity})
    )


@pytest.fixture
def cells() -> list[str]:
    space, rng = spaces.create("nasbench201"), np.random.default_rng(1)
    return [to_string(space.sample(rng)) for _ in range(4)]


@pytest.mark.parametrize("file", ["table.csv.gz", "deep/table.csv"])
def test_a_topology_table_is_written_and_read(cells: list[str], tmp_path: Path, file: str) -> None:
    path = convert.nats_topology(NATSBench(cells, ("12", "200")), tmp_path / file)
    assert path == tmp_path / file
    found = bench.load("nasbench201", path=path, verify=False)
    second = from_string(cells[1])
    assert ask(found, second) == pytest.approx(
        {"accuracy": 0.012, "seconds": 1400, "parameters": 251_000, "latency_ms": 12.5}
    )
    assert ask(found, second, 12)["accuracy"] == pytest.approx(0.01012)
    assert found.table.test(second) == pytest.approx(0.117)  # from training on all of the training data
    other = bench.load("nasbench201", dataset="imagenet16-120", path=path, verify=False)
    assert ask(other, second)["accuracy"] == pytest.approx(0.312)
    assert other.table.test(second) == pytest.approx(0.317)
    assert other.space.example_input[0].shape == (3, 16, 16)


def test_the_same_object_gives_the_same_bytes(cells: list[str], tmp_path: Path) -> None:
    api = NATSBench(cells, ("12", "200"))
    one, other = (convert.nats_topology(api, tmp_path / f"{name}.csv.gz").read_bytes() for name in "ab")
    assert one == other
    header = gzip.decompress(one).decode().split("\n")[0]
    assert header.startswith("index,arch,cifar10_val12,cifar10_train_s_12ep,cifar10_val200")


def test_what_the_object_lacks_is_an_empty_cell_and_then_an_error(cells: list[str], tmp_path: Path) -> None:
    api = NATSBench(cells, ("12", "200"))
    api.lacking = {("cifar100", "valid-accuracy"), ("latency", "cifar10")}
    path = convert.nats_topology(api, tmp_path / "table.csv")
    found = bench.load("nasbench201", path=path, verify=False)
    assert "latency_ms" not in ask(found, from_string(cells[0]))
    with pytest.raises(TableError, match="no network of the table has its accuracy after 200 epochs"):
        bench.load("nasbench201", dataset="cifar100", path=path, verify=False)


def test_a_size_table_is_written_and_read(tmp_path: Path) -> None:
    path = convert.nats_size(NATSBench(["8:16:24:32:64", "8:8:8:8:8"], ("01", "12", "90")), tmp_path / "t.csv.gz")
    found = bench.load("natsbench-size", path=path, verify=False)
    widths = Architecture(dict(zip((f"width_{place}" for place in range(5)), (8, 16, 24, 32, 64), strict=True)))
    assert found.table.epochs == (1, 12, 90)
    assert ask(found, widths) == pytest.approx({"accuracy": 0.0009, "seconds": 630, "parameters": 250_000})
    assert ask(found, widths, 1)["accuracy"] == pytest.approx(0.00001)
    assert found.table.test(widths) == pytest.approx(0.1059)
    other = bench.load("natsbench-size", dataset="cifar100", path=path, verify=False)
    assert ask(other, widths)["accuracy"] == pytest.approx(0.2009)


class NASBench:
    """Answers as `nasbench.api.NASBench(...)` does."""

    def __init__(self, cells: dict[str, tuple[list[list[int]], list[str]]], epochs=(4, 12, 36, 108)) -> None:
        self.cells, self.epochs = cells, epochs

    def hash_iterator(self):
        return self.cells.keys()

    def get_metrics_from_hash(self, module_hash: str):
        matrix, operations = self.cells[module_hash]
        fixed = {
            "module_adjacency": np.array(matrix, dtype=np.int8),
            "module_operations": operations,
            "trainable_parameters": 1000 + len(operations),
        }
        runs = {
            epochs: [
                {
                    "halfway_training_time": 1.0,
                    "halfway_train_accuracy": 0.1,
                    "halfway_validation_accuracy": 0.1,
                    "halfway_test_accuracy": 0.1,
                    "final_training_time": 2.0 * epochs + repeat,
                    "final_train_accuracy": 1.0,
                    "final_validation_accuracy": epochs / 200 + repeat / 100,
                    "final_test_accuracy": epochs / 250 + repeat / 100,
                }
                for repeat in range(3)
            ]
            for epochs in self.epochs
        }
        return fixed, runs


CELLS = {
    "aa": ([[0, 1], [0, 0]], ["input", "output"]),
    "bb": ([[0, 1, 1], [0, 0, 1], [0, 0, 0]], ["input", OPERATIONS[0], "output"]),
    "cc": (np.eye(7, k=1, dtype=int).tolist(), ["input", *OPERATIONS, *OPERATIONS[:2], "output"]),
}


@pytest.mark.parametrize("file", ["table.csv", "table.csv.gz"])
def test_cells_are_written_and_read(tmp_path: Path, file: str) -> None:
    path = convert.nasbench101(NASBench(CELLS), tmp_path / file)
    found = bench.load("nasbench101", path=path, verify=False)
    chain = from_matrix(*CELLS["cc"])
    assert found.table.epochs == (4, 12, 36, 108)
    assert [found.table.row(from_matrix(*cell)) for cell in CELLS.values()] == [0, 1, 2]
    assert found.table.architectures[2] == chain
    assert ask(found, chain) == pytest.approx({"accuracy": 0.55, "seconds": 217, "parameters": 1007})
    assert ask(found, chain, 4) == pytest.approx({"accuracy": 0.03, "seconds": 217 * 4 / 108, "parameters": 1007})
    assert found.table.test(chain) == pytest.approx(0.442)
    assert found.table.best_test == pytest.approx(0.442)


def test_the_file_of_the_longest_runs_alone_is_enough(tmp_path: Path) -> None:
    path = convert.nasbench101(NASBench(CELLS, epochs=(108,)), tmp_path / "table.csv")
    assert bench.load("nasbench101", path=path, verify=False).table.epochs == (108,)


def test_a_cell_that_is_none_is_refused(tmp_path: Path) -> None:
    wrong = {"dd": ([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["input", "conv7x7", "output"])}
    with pytest.raises(ArchitectureError, match="conv7x7"):
        convert.nasbench101(NASBench(wrong), tmp_path / "table.csv")


def test_an_empty_object_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="lists no network"):
        convert.nasbench101(NASBench({}), tmp_path / "table.csv")
    with pytest.raises(TableError, match="lists no network"):
        convert.nats_size(NATSBench([], ("90",)), tmp_path / "table.csv")


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    one = bench.load("nasbench101", path=convert.nasbench101(NASBench(CELLS), tmp_path / "t.csv"), verify=False).table
    path = convert.nasbench101(NASBench(CELLS), tmp_path / "t.parquet")
    other = bench.load("nasbench101", path=path, verify=False).table
    assert list(one.architectures) == list(other.architectures)
    for epochs in one.epochs:
        np.testing.assert_allclose(one._validation[epochs], other._validation[epochs])
