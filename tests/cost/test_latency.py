"""Latency on the runtimes, tables of operations, and their agreement. Spreads are let be: the machine may be busy."""

from __future__ import annotations

import importlib.util
import json
import shutil

import pytest
import torch
from torch import nn as plain
from torch._dynamo.utils import counters

import archwright as aw
from archwright import nn
from archwright.build import tensors_of
from archwright.cost import (
    Agreement,
    Latency,
    LatencyTable,
    Target,
    _timing,
    cost_from_json,
    time_files,
    time_networks,
)
from archwright.cost._operations import operations
from archwright.cost._runtimes import call_of, inputs_for
from archwright.errors import CostError
from archwright.space import TensorSpec

ANY = 1e9


@pytest.fixture(autouse=True)
def _briefly(monkeypatch):
    """Measure for a fifth of the time: what is asserted holds for any."""
    monkeypatch.setattr(_timing, "_WARM_SECONDS", 0.02)
    monkeypatch.setattr(_timing, "_ROUND_SECONDS", 0.002)


has_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="the extra onnx is not installed",
)


def space():
    width = aw.ordinal(4, 64, name="width")
    return aw.Space(
        model=nn.Sequential(
            nn.LazyConv2d(width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(3)
        ),
        example_input=(3, 16, 16),
    )


def architecture(width):
    return aw.Architecture({"width": width})


@pytest.mark.parametrize("runtime", ["eager", "torchscript", pytest.param("onnx", marks=has_onnx)])
def test_a_runtime_computes_what_the_network_computes(runtime):
    specs, target = (TensorSpec((3, 16, 16)),), Target(runtime, batch_size=5)
    torch.manual_seed(0)
    model = space().build(architecture(4)).train()
    result = call_of(model, specs, target)()
    result = torch.as_tensor(result[0]) if runtime == "onnx" else result
    expected = model.eval()(*inputs_for(specs, target))
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no compiler")
def test_every_network_is_compiled_however_many_share_a_class():
    class Scaled(torch.nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, x):
            return x * self.factor + 1

    specs, target = (TensorSpec((3,)),), Target("compiled", batch_size=2)
    before = counters["stats"]["unique_graphs"]
    with torch._dynamo.config.patch(recompile_limit=1):
        calls = [call_of(Scaled(factor), specs, target) for factor in (2, 3)]
        results = [call() for call in calls]
    assert counters["stats"]["unique_graphs"] == before + 2  # each once, and none again when it is called
    for factor, result in zip((2, 3), results, strict=True):
        torch.testing.assert_close(result, inputs_for(specs, target)[0] * factor + 1)


def test_what_cannot_be_compiled_as_a_whole_is_refused():
    class Broken(torch.nn.Module):
        def forward(self, x):
            torch._dynamo.graph_break()
            return x

    with pytest.raises(CostError, match="does not run on compiled"):
        call_of(Broken(), (TensorSpec((3,)),), Target("compiled"))


def test_latency_grows_with_the_work_and_threads_are_put_back():
    before = torch.get_num_threads()
    cost = Latency("eager:threads=1;batch_size=32", limit=ANY)
    small, large = (cost.of(space(), architecture(width)) for width in (4, 64))
    assert torch.get_num_threads() == before
    assert set(small) == set(cost.metrics)
    assert small["latency_ms"] < large["latency_ms"]
    assert large["throughput"] == pytest.approx(32 / large["latency_ms"] * 1e3)


def test_networks_are_left_as_they_are():
    model = space().build(architecture(4)).train()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    time_networks([model], (TensorSpec((3, 16, 16)),), Target(), limit=ANY)
    assert model.training
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())


@has_onnx
def test_a_file_is_timed_as_it_is(tmp_path):
    from archwright.build import write_onnx

    specs, file = (TensorSpec((3, 16, 16)),), tmp_path / "model.onnx"
    write_onnx(space().build(architecture(4)), specs, file)
    (timing,) = time_files([file], specs, Target("onnx", threads=1, batch_size=3), limit=ANY)
    assert timing.milliseconds > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_absent():
    with pytest.raises(CostError, match=r"eager:device=cuda: there is no cuda device here; `archwright devices`"):
        Latency("eager:device=cuda").of(space(), architecture(4))


def test_a_network_that_does_not_run():
    broken = aw.Space(model=nn.Sequential(nn.Linear(4, aw.choice(2, 3))))
    with pytest.raises(CostError, match="does not run on eager"):
        Latency().of(broken, broken.canonical(dict.fromkeys(broken.decisions, 2)), TensorSpec((5,)))


# --------------------------------------------------------------------------- operations


class Residual(plain.Module):
    def __init__(self):
        super().__init__()
        self.inner = plain.Sequential(plain.Linear(6, 6), plain.ReLU())
        self.attention = plain.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x):
        x = x + self.inner(x)
        attended, _ = self.attention(x, x, x, need_weights=False)
        return torch.cat([x, attended], dim=-1).mean(1)


def test_operations_are_layers_and_the_functions_between_them():
    with torch.device("meta"):
        found = operations(Residual(), [torch.zeros(2, 3, 6)])
    keys = [each.key for each in found]
    assert [key.split("(")[0].split(" ")[0] for key in keys[:2]] == ["Linear", "ReLU"]
    assert "add" in keys[2]
    assert keys[3].startswith("MultiheadAttention")
    assert "cat" in keys[4]
    assert "mean" in keys[5]
    assert len(keys) == 6


def test_an_operation_runs_alone_as_in_the_network():
    torch.manual_seed(0)
    model = Residual().eval()
    x = torch.randn(2, 3, 6)
    add = operations(model, [x])[2]
    one, other = tensors_of(add.shapes, "cpu")
    assert one.shape == other.shape == (2, 3, 6)
    assert torch.equal(add.run(one, other), one + other)


def test_a_table_sums_up_what_it_measured_once(monkeypatch):
    table, where = LatencyTable("eager:threads=1"), space()
    assert table.fill(where, [architecture(4)]) == 5
    assert table.fill(where, [architecture(4)]) == 0
    assert table.fill(where, [architecture(4), architecture(64)]) == 5  # all see the width, if only in what goes in
    table.times = {key: float(2**place) for place, key in enumerate(table.times)}
    keys = list(table.times)
    assert table.of(where, architecture(4))["latency_ms"] == sum(table.times[key] for key in keys[:5])
    assert table.is_counted


def test_operations_that_stand_there_twice_count_twice():
    block = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    where = aw.Space(
        model=nn.Sequential(block, aw.repeat(lambda i: nn.Linear(8, 8), 1, 3, name="depth")), example_input=(8,)
    )
    table = LatencyTable()
    table.fill(where, [where.canonical({"depth": 1})])
    assert len(table) == 1
    (single,) = table.times.values()
    assert table.of(where, where.canonical({"depth": 3}))["latency_ms"] == pytest.approx(5 * single)


def test_a_table_is_a_file_both_ways(tmp_path):
    table = LatencyTable("eager:threads=1", {"one": 0.25, "other": 3.0})
    table.save(tmp_path / "table.json")
    again = LatencyTable.load(tmp_path / "table.json")
    assert (again.times, again.target) == (table.times, table.target)
    assert cost_from_json(json.loads(json.dumps(table.to_json()))).times == table.times
    (tmp_path / "other.json").write_text("[]")
    for name in ("other.json", "absent.json"):
        with pytest.raises(CostError, match="holds no latency table"):
            LatencyTable.load(tmp_path / name)


def test_how_far_sums_are_from_what_is_measured_end_to_end():
    where, table = space(), LatencyTable("eager:threads=1;batch_size=16")
    wide = [architecture(width) for width in (4, 64)]
    table.fill(where, wide)
    found = table.agreement(where, wide, limit=ANY)
    assert found.count == 2
    assert 0.2 < found.bias < 5  # of one order: a busy machine may be off by much


def test_agreement_by_hand():
    found = Agreement.of([1.0, 2.0, 3.0, 8.0], [2.0, 4.0, 6.0, 4.0])
    assert (found.count, found.error, found.bias) == (4, 0.5, 0.5)
    assert found.spearman == pytest.approx(0.632, abs=1e-3)
    assert "4 networks" in str(found)
