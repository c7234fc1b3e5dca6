"""Options that differ in shape are drawn and never mixed; what follows holds its largest weights, and takes a part."""

from __future__ import annotations

import pytest
import torch
from tests.supernet.helpers import check, inputs, made

import archwright as aw
from archwright import nn
from archwright.supernet import names
from archwright.supernet._fused import weighted_sum


class Head(torch.nn.Module):
    """Calls what it takes, whatever that gives."""

    def __init__(self, body):
        super().__init__()
        self.body, self.head = body, torch.nn.LazyLinear(5)

    def forward(self, x):
        return self.head(torch.flatten(self.body(x), 1))


def wide(name):
    return aw.choice({"narrow": nn.LazyConv2d(4, 1), "wide": nn.LazyConv2d(8, 3)}, name=name)


def pooled(name):
    return aw.choice({"pooled": nn.MaxPool2d(2), "whole": nn.Identity(), "global": nn.AdaptiveAvgPool2d(1)}, name=name)


REST = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(3)
MODELS = {
    "row": nn.Sequential(wide("uneven"), nn.LazyBatchNorm2d(), nn.ReLU(), nn.LazyConv2d(4, 1), *REST),
    "flat": nn.Sequential(nn.LazyConv2d(4, 1), pooled("uneven"), nn.Flatten(), nn.LazyLinear(3)),
    "twice": nn.Sequential(wide("uneven"), pooled("other"), nn.LazyConv2d(6, 1), nn.Flatten(), nn.LazyLinear(3)),
    "own": nn.Sequential(aw.lazy(Head)(wide("uneven")), nn.LazyLinear(3)),
    "graph": nn.Sequential(aw.graph(lambda x: nn.Flatten()(pooled("uneven")(x))), nn.LazyLinear(3)),
    "value": nn.Sequential(
        aw.graph(lambda x: aw.choice({"small": nn.MaxPool2d(2)(x), "large": nn.ReLU()(x)}, name="uneven")), *REST
    ),
    "subset": nn.Sequential(
        aw.graph(lambda x: aw.merge(aw.subset(nn.MaxPool2d(2)(x), nn.ReLU()(x), k=1, name="uneven"))), *REST
    ),
    "beside": nn.Sequential(aw.choice(nn.ReLU(), nn.Tanh(), name="even"), wide("uneven"), *REST),
}


@pytest.mark.parametrize("relaxation", ["path", "softmax"])
@pytest.mark.parametrize("kind", MODELS)
def test_every_path_is_the_network_that_is_built(kind, relaxation):
    supernet = made(MODELS[kind], (2, 4, 4), relaxation)
    assert "uneven" not in supernet.branches
    assert "uneven" in supernet.sizes
    check(supernet)


@pytest.mark.parametrize("relaxation", names())
def test_every_relaxation_draws_them_and_mixes_the_rest(relaxation):
    supernet = made(MODELS["beside"], (2, 4, 4), relaxation)
    assert set(supernet.branches) == {"even"}
    for _ in range(4):
        draw = supernet.draw(0.5)
        assert draw.values["uneven"] in ("narrow", "wide")
        assert "uneven" not in draw.mixes
        supernet.run(draw, *inputs(supernet)).sum().backward()
    if supernet.relaxation.learns:
        assert supernet.derive() in supernet.space


def test_a_sum_that_spreads_an_axis_of_one_has_its_own_gradients():
    small, large = torch.randn(2, 3, 1, dtype=torch.float64), torch.randn(2, 3, 4, dtype=torch.float64)
    weights = torch.rand(2, dtype=torch.float64)
    for tensors in ((small, large), (large, small)):
        given = [each.clone().requires_grad_() for each in (*weights, *tensors)]
        torch.testing.assert_close(weighted_sum(given[:2], given[2:]), given[0] * given[2] + given[1] * given[3])
        assert torch.autograd.gradcheck(lambda *items: weighted_sum(items[:2], items[2:]), given)


def test_networks_with_such_a_sum_are_relaxed():
    kind = aw.choice({"average": nn.AdaptiveAvgPool2d(1), "most": nn.AdaptiveMaxPool2d(1)}, name="kind")
    model = nn.Sequential(aw.graph(lambda x: kind(nn.LazyConv2d(2, 1)(x)) + x), nn.Flatten(), nn.LazyLinear(3))
    supernet = made(model, (2, 4, 4), "softmax")
    assert "kind" in supernet.branches
    supernet(*inputs(supernet)).sum().backward()
    assert float(supernet.logits["kind"].grad.abs().sum()) > 0
    check(supernet)
