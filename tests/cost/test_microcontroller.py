"""What networks take on a microcontroller, beside what ExecuTorch says itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import archwright as aw
from archwright import nn
from archwright.cost import Microcontroller, as_cost, cost_from_json, rank_options
from archwright.errors import CostError, MissingExtra, UnknownName
from archwright.trials import Constraint


def residual(width: int) -> aw.Space:
    branch = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
    block = aw.graph(lambda x: aw.merge(x, branch(x, name="branch"), name="added"))
    layers = [nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), block, nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return aw.Space(model=nn.Sequential(*layers, nn.Linear(width, 10)), example_input=(3, 16, 16))


def test_floats_take_what_executorch_plans_and_writes():
    exir = pytest.importorskip("executorch.exir")
    space = residual(8)
    model = space.build({}).eval()
    program = exir.to_edge(torch.export.export(model, (torch.zeros(1, 3, 16, 16),))).to_executorch()
    (plan,) = program.executorch_program.execution_plan
    found = Microcontroller(precision="float32").of(space, space.canonical({}))
    assert found == {
        "arena_kb": sum(plan.non_const_buffer_sizes) / 1024,
        "flash_kb": len(program.buffer) / 1024,
    }


def test_integers_take_a_byte_for_an_activation_and_for_a_weight():
    pytest.importorskip("executorch.exir")
    space = residual(16)
    found = Microcontroller("cortex-m4").of(space, space.canonical({}))
    # At the addition three maps are alive: the input of the block, the output of the branch, and the sum.
    maps = 16 * 16 * 16 / 1024
    assert (
        2 * maps
        <= found["arena_kb"]
        < 0.5 * Microcontroller(precision="float32").of(space, space.canonical({}))["arena_kb"]
    )
    weights = sum(each.numel() for each in space.build({}).parameters()) / 1024
    assert weights < found["flash_kb"] < 1.3 * weights + 16  # and the instructions


def test_a_search_trains_no_network_that_exceeds_the_arena():
    pytest.importorskip("executorch.exir")
    width = aw.ordinal(4, 64, name="width")
    model = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    space = aw.Space(model=nn.Sequential(model, nn.Linear(width, 10)), example_input=(1, 8, 8))
    training = aw.Training(aw.data((torch.rand(40, 1, 8, 8), torch.arange(40) % 10)), epochs=1)
    study = aw.search(
        space,
        training,
        objective=["max accuracy", "min flash_kb"],
        constraints=["arena_kb <= 2"],
        costs=[Microcontroller("cortex-m4")],
        strategy="grid",
        budget=aw.Budget(trials=2),
        baseline=False,
    )
    small, large = study.history.trials
    assert (small.state, large.state) == ("complete", "infeasible")
    assert small.metrics["arena_kb"] <= 2
    assert "arena_kb <= 2" in large.cause


def test_texts_and_bad_use(monkeypatch):
    assert as_cost("cortex-m55") == Microcontroller("cortex-m55")
    assert as_cost("arena_kb") == Microcontroller()
    for each in (Microcontroller("cortex-m0plus"), Microcontroller(precision="float32")):
        assert cost_from_json(each.to_json()) == each
    with pytest.raises(UnknownName, match=r"cortex-m5.*cortex-m55"):
        Microcontroller("cortex-m5")
    with pytest.raises(UnknownName, match=r"int4.*int8"):
        Microcontroller(precision="int4")
    with pytest.raises(CostError, match="example_input"):
        Microcontroller().check(aw.Space(model=nn.Linear(2, 2)))
    data = aw.Training(aw.data((torch.rand(40, 4), torch.arange(40) % 2)))
    limits = [Constraint.parse("latency_ms <= 2")]
    with pytest.raises(CostError, match=r"latency_ms is not known of cortex-m7, of which there are arena_kb, flash_kb"):
        aw.cost.with_costs(data, [], limits, "cortex-m7")
    both = aw.cost.with_costs(data, [], limits, ["cortex-m7", "eager"])
    assert [type(each).__name__ for each in both.costs] == ["Microcontroller", "Latency"]
    monkeypatch.setitem(__import__("sys").modules, "executorch.exir", None)
    with pytest.raises(MissingExtra, match=r"archwright\[executorch\]"):
        Microcontroller().check(residual(4))


class ByTheData(torch.nn.Module):
    """A layer whose way depends on the values of its input."""

    def forward(self, x):
        return x * 2 if x.sum() > 0 else x


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_a_network_that_cannot_be_compiled_has_no_figure(precision):
    pytest.importorskip("executorch.exir")
    space = aw.Space(model=nn.Sequential(aw.lazy(ByTheData)(), nn.Linear(4, 3)), example_input=(4,))
    with pytest.raises(CostError, match=r"unknown: .*ExecuTorch"):
        Microcontroller(precision=precision).of(space, space.canonical({}))


def test_the_options_with_the_largest_networks_within_the_limit_come_first():
    width, size = aw.ordinal(4, 8, 16, name="width"), aw.ordinal(1, 2, name="stride")
    deep = aw.repeat(lambda i: nn.Conv2d(width, width, 3, padding=1), 1, 2, name="depth")
    layers = [nn.Conv2d(3, width, 3, stride=size, padding=1), deep, nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    space = aw.Space(model=nn.Sequential(*layers, nn.Linear(width, 2)), example_input=(3, 8, 8))
    limit = 9 * 8 * 8 + 8 * 2 + 10 + (9 * 3 + 1) * 8 + 8  # a network of width 8 and depth 1
    rows = rank_options(space, ["width", "stride"], [f"parameters <= {limit}"], samples=40)
    assert [tuple(row.options.values()) for row in rows[:2]] == [(8, 1), (4, 1)]
    one = {"width": 8, "stride": 1, "depth": 1}
    assert rows[0].flops == pytest.approx(aw.cost.measures(space, one)[1])
    assert 0 < rows[0].feasible < 1
    assert {row.options["width"] for row in rows if math.isnan(row.flops)} == {16}
    assert [row.feasible for row in rows if row.options["width"] == 16] == [0, 0]
    with pytest.raises(UnknownName, match=r"heights.*width"):
        rank_options(space, ["heights"], [])
    least = aw.cost.measures(space, {"width": 4, "stride": 1, "depth": 1})[0]
    with pytest.raises(CostError, match=rf"none of 240 sampled networks is feasible.*<= 9: {least:g} is the closest"):
        rank_options(space, ["width", "stride"], ["parameters <= 9"], samples=40)
    with pytest.raises(CostError, match=r"rate.*continuous"):
        rank_options(aw.Space(model=nn.Linear(2, 2), rate=aw.real(0, 1, name="rate"), example_input=(2,)), ["rate"], [])


def test_the_space_for_microcontrollers_resizes_its_images():
    space = aw.spaces.create("mcunet", input_shape=(3, 24, 32), classes=4, widths=(4,), blocks=(1, 1))
    architecture = space.sample(np.random.default_rng(0))
    sizes = {}
    for resolution in space.decisions["resolution"].values():
        model = space.build({**architecture, "resolution": resolution}).eval()
        sizes[resolution] = tuple(model[0](torch.rand(1, 3, 24, 32)).shape[2:])
        assert model(torch.rand(2, 3, 24, 32)).shape == (2, 4)
    assert sizes == {12: (12, 16), 16: (16, 21), 20: (20, 26), 24: (24, 32)}
