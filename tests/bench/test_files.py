"""Where the files of tables are looked for, and what is said of those that are not whole."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from archwright import bench
from archwright._files import Columns, Content, Source, read
from archwright.errors import MissingExtra, TableError
from archwright.spaces.nasbench201 import OPERATIONS

SOURCE = Source("table.csv.gz", "not known", "https://example.org/original")
TEXT = "name,value\nfirst,1.5\nsecond,\n"


def packed(text: str = TEXT) -> bytes:
    return gzip.compress(text.encode(), mtime=0)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without data."""
    monkeypatch.delenv("ARCHWRIGHT_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return tmp_path


def small_table(rows: int = 3) -> str:
    """Return a table of NAS-Bench-201 with a few cells."""
    rng, cell = np.random.default_rng(0), "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"
    names = ["val12", "val200", "test200", "train_s_200ep", "params_mb", "latency_s"]
    lines = [",".join(["arch", *(f"cifar10_{name}" for name in names)])]
    lines += [f"{cell.format(*rng.choice(OPERATIONS, 6))},50,{90 + row},91.5,1000,0.5,0.02" for row in range(rows)]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------- finding


def test_a_missing_table_says_where_it_is_published_and_where_it_was_looked_for(nowhere: Path) -> None:
    with pytest.raises(TableError) as refused:
        bench.load("nasbench201")
    for part in ("nasbench201.csv.gz", "github.com/D-X-Y/NATS-Bench", "ARCHWRIGHT_DATA", "--data", str(nowhere)):
        assert part in str(refused.value)


@pytest.mark.parametrize("name", [name for name in bench.tables() if name != "digits-cells"])
def test_every_table_that_does_not_ship_says_so(nowhere: Path, name: str) -> None:
    with pytest.raises(TableError, match=r"was not found in .*published at https://github\.com/.*docs/tables\.md"):
        bench.load(name, path=nowhere)


@pytest.mark.parametrize("place", [".", "benchmarks"])
@pytest.mark.parametrize("file", ["table.csv.gz", "table.csv"])
def test_a_folder_is_searched_for_any_form(tmp_path: Path, place: str, file: str) -> None:
    folder = tmp_path / place
    folder.mkdir(exist_ok=True)
    (folder / file).write_bytes(packed() if file.endswith("gz") else TEXT.encode())
    content = read(SOURCE, tmp_path, verify=False)
    assert content.columns().texts("name") == ["first", "second"]
    assert content.where == str(folder / file)


def test_the_environment_names_a_folder_before_the_users_own(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, word in ((nowhere / "share" / "archwright", "own"), (nowhere / "named", "named")):
        folder.mkdir(parents=True)
        (folder / SOURCE.file).write_bytes(packed(f"name\n{word}\n"))
    assert read(SOURCE, None, verify=False).columns().texts("name") == ["own"]
    monkeypatch.setenv("ARCHWRIGHT_DATA", str(nowhere / "named"))
    assert read(SOURCE, None, verify=False).columns().texts("name") == ["named"]


# ---------------------------------------------------------------------- checking


def test_another_file_is_named_by_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "nasbench201.csv.gz"
    path.write_bytes(packed(small_table()))
    with pytest.raises(TableError, match=r"is not the table that is known: its SHA256 is [0-9a-f]{64}, not 7390ea58"):
        bench.load("nasbench201", path=path)
    assert len(bench.load("nasbench201", path=path, verify=False).table.architectures) == 3


def test_an_altered_or_cut_real_file_is_refused(data_file: Callable[[str], Path], tmp_path: Path) -> None:
    data = data_file("benchmarks/nasbench201.csv.gz").read_bytes()
    for changed in (data[:-1], data[: len(data) // 2], data[:5000] + bytes([data[5000] ^ 1]) + data[5001:]):
        (tmp_path / "nasbench201.csv.gz").write_bytes(changed)
        with pytest.raises(TableError, match="SHA256"):
            bench.load("nasbench201", path=tmp_path)
        with pytest.raises(TableError, match=r"damaged or cut off.*github\.com/D-X-Y/NATS-Bench"):
            bench.load("nasbench201", path=tmp_path, verify=False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "KeyError.*arch"),
        (small_table(0), "has no rows"),
        (small_table().replace("cifar10_val200", "accuracy"), "cifar10_val200"),
        (small_table().replace(",91,", ",many,"), "many"),
        (small_table() + "short,1\n", "line 5 has not the 7 cells"),
        (small_table().replace("nor_conv", "conv"), r"made\.csv cannot be read.*is not a cell of NAS-Bench-201"),
    ],
)
def test_what_does_not_fit_the_columns_is_said(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "made.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=reason):
        bench.load("nasbench201", path=path, verify=False)


def test_text_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "made.csv"
    path.write_bytes(b"arch\n\xff\xfe\n")
    with pytest.raises(TableError, match=r"made\.csv cannot be read as the table 'nasbench201', data set 'cifar10'"):
        bench.load("nasbench201", path=path, verify=False)


# ---------------------------------------------------------------------- columns


def test_columns_are_texts_or_numbers_and_empty_cells_are_nan() -> None:
    columns = Content("made", TEXT.encode()).columns()
    assert columns.names == ("name", "value")
    assert "value" in columns
    assert "other" not in columns
    assert columns.texts("value") == ["1.5", ""]
    assert columns.numbers("value", 2)[0] == 3.0
    assert np.isnan(columns.numbers("value")[1])
    with pytest.raises(KeyError, match="other"):
        columns.numbers("other")
    with pytest.raises(ValueError, match="first"):
        columns.numbers("name")


def test_cells_of_any_kind_are_read() -> None:
    columns = Columns(["flag", "count"], [[True, None], [3, None]])
    assert columns.texts("flag") == ["True", ""]
    assert columns.numbers("count")[0] == 3.0
    assert np.isnan(columns.numbers("count")[1])


def test_a_parquet_file_holds_the_same_table(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    csv = pytest.importorskip("pyarrow.csv")
    (tmp_path / "made.csv").write_text(small_table(20).replace(",0.02\n", ",\n", 1))
    parquet.write_table(csv.read_csv(tmp_path / "made.csv"), tmp_path / "nasbench201.parquet")
    one = bench.load("nasbench201", path=tmp_path / "made.csv", verify=False).table
    other = bench.load("nasbench201", path=tmp_path, verify=False).table
    assert one.architectures == other.architectures
    assert one.best == other.best
    for name, column in one._metrics.items():
        np.testing.assert_array_equal(column, other._metrics[name])


def test_a_parquet_file_without_its_reader_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nasbench201.parquet").write_bytes(b"PAR1....PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtra, match=r"nasbench201\.parquet needs pyarrow.*archwright\[parquet\]"):
        bench.load("nasbench201", path=tmp_path, verify=False)
