"""Published devices, and the energy of this machine."""

from __future__ import annotations

import gzip

import pytest

import archwright as aw
from archwright.cost import Energy, Published, cost_from_json, targets
from archwright.cost import _energy as energy
from archwright.errors import CostError, UnknownName

SPACE = aw.spaces.create("nasbench201", C=4, N=1)
STRING = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"


@pytest.fixture
def tables(data_root, monkeypatch):
    """Where the published tables lie, for the test and for the library."""
    monkeypatch.setenv("ARCHWRIGHT_DATA", str(data_root))
    return data_root / "benchmarks"


def cell():
    return aw.spaces.nasbench201.from_string(STRING)


def test_every_device_is_described_and_written_down():
    devices = Published.devices()
    assert len(devices) == 31
    for name in devices:
        assert cost_from_json(Published(name).to_json()).device == name


def test_a_device_knows_what_the_table_says(tables):
    with gzip.open(tables / "nasbench201.csv.gz", "rt") as file:
        header, *lines = file.read().splitlines()
    place = header.split(",").index("arch")
    row = next(number for number, line in enumerate(lines) if line.split(",")[place] == STRING)
    with gzip.open(tables / "help_nb201_latency_ms.csv.gz", "rt") as file:
        header, *lines = file.read().splitlines()
    expected = float(lines[row].split(",")[header.split(",").index("pixel3")])
    assert Published("pixel3").of(SPACE, cell()) == {"latency_ms": expected}
    with gzip.open(tables / "hwnas360.csv.gz", "rt") as file:
        header, *lines = file.read().splitlines()
    values = dict(zip(header.split(","), map(float, lines[row].split(",")), strict=True))
    assert values["arch_idx"] == row
    found = Published("pi5_onnx").of(SPACE, cell())
    assert found == {"latency_ms": values["pi5_onnx_cifar100_ms"], "energy_mj": values["pi5_onnx_cifar100_mj"]}


def test_bad_use():
    with pytest.raises(UnknownName, match="pixel3"):
        Published("pixel4")
    with pytest.raises(CostError, match=r"for the cells of NAS-Bench-201; for the space 'custom' measure a target"):
        Published("pixel3").of(aw.Space(x=aw.choice(1, 2)), aw.Architecture({"x": 1}))


def test_what_was_not_measured_is_no_number(tables, monkeypatch):
    import numpy as np

    from archwright.cost import _published

    monkeypatch.setattr(_published, "_columns", lambda device: {"latency_ms": np.zeros(15_625)})
    with pytest.raises(CostError, match="latency_ms of this cell was not measured on raspi4"):
        Published("raspi4").of(SPACE, cell())


# --------------------------------------------------------------------------- energy


def counters(folder, packages=1, start=0):
    for number in range(packages):
        place = folder / f"intel-rapl:{number}"
        place.mkdir(parents=True, exist_ok=True)
        (place / "energy_uj").write_text(str(start))
        (place / "max_energy_range_uj").write_text("999999")
        (folder / f"intel-rapl:{number}:0").mkdir(exist_ok=True)  # a part of the package, which counts there too
        (folder / f"intel-rapl:{number}:0" / "energy_uj").write_text("5")


def test_the_counters_of_all_packages_are_summed_and_may_begin_again(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "_COUNTERS", tmp_path)
    counters(tmp_path, packages=2, start=900_000)
    meter = energy.meter_of("cpu")
    assert meter() == 0
    for number, now in enumerate((950_000, 100_000)):
        (tmp_path / f"intel-rapl:{number}" / "energy_uj").write_text(str(now))
    assert meter() == pytest.approx((50_000 + 200_000) / 1e6)


def test_energy_is_what_a_run_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "_COUNTERS", tmp_path)
    counters(tmp_path)
    runs = []

    def call():
        runs.append(None)
        (tmp_path / "intel-rapl:0" / "energy_uj").write_text(str(len(runs) * 40 % 1_000_000))

    monkeypatch.setattr("archwright.cost._runtimes.call_of", lambda model, specs, target: call)
    space = aw.Space(model=aw.nn.Linear(2, aw.choice(1, 2)), example_input=(2,))
    architecture = next(iter(space.enumerate()))
    assert Energy(seconds=0.01).of(space, architecture) == {"energy_mj": pytest.approx(0.04)}


@pytest.mark.parametrize("there", ["nothing", "unreadable"])
def test_a_machine_that_does_not_tell(tmp_path, monkeypatch, there):
    monkeypatch.setattr(energy, "_COUNTERS", tmp_path)
    if there == "unreadable":
        (tmp_path / "intel-rapl:0" / "energy_uj").mkdir(parents=True)
    with pytest.raises(CostError, match="does not tell its energy" if there == "nothing" else "cannot be read"):
        energy.meter_of("cpu")


def test_the_targets_of_this_machine():
    found = targets()
    assert {"eager", "torchscript", "compiled"} <= set(found)
    assert all("latency" in told for told in found.values())
