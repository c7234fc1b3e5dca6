"""Law 1 over what an expression can hold: the user's own modules, sizes of all kinds, graphs and cells."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict

import numpy as np
import pytest
import torch
from tests.build import blocks
from tests.supernet.helpers import check, inputs, made, weight

import archwright as aw
from archwright import nn, optim
from archwright.errors import RelaxationError
from archwright.spaces._decoder import Recurrence
from archwright.supernet import Supernet, elastic
from archwright.supernet._nodes import Branch

VECTOR, IMAGE, SERIES = (6,), (3, 6, 6), (5, 6)


class Scale(torch.nn.Module):
    """Weights of its own, and no rule."""

    def __init__(self, channels: int):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.rand(channels) + 0.5)
        self.register_buffer("offset", torch.linspace(-1, 1, channels))

    def forward(self, x):
        return x * self.gain + self.offset


class Elastic(torch.nn.Module):
    """Weights of its own, and a rule."""

    def __init__(self, channels: int):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self):
        torch.nn.init.uniform_(self.gain, 0.5, 1.5)

    def forward(self, x):
        return x * self.gain


@elastic.register(Elastic)
def _elastic(layer):
    return {}


class Gained(torch.nn.Linear):
    """Inherits a rule, and has a weight besides, which the inherited method does not fill."""

    def __init__(self, inner: int, outer: int):
        super().__init__(inner, outer)
        self.gain = torch.nn.Parameter(torch.full((outer,), 2.0))

    def forward(self, x):
        return super().forward(x) * self.gain


class Plain(torch.nn.Linear):
    """Inherits a rule, and nothing else."""

    def forward(self, x):
        return super().forward(x).tanh()


class Mlp(torch.nn.Module):
    """Layers of torch inside, and a lazy one."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = torch.nn.LazyLinear(channels)
        self.second = torch.nn.Linear(channels, channels)

    def forward(self, x):
        return self.second(self.first(x).relu())


class Residual(torch.nn.Module):
    """Takes a module and has a weight of its own."""

    def __init__(self, body: torch.nn.Module, start: float = 0.5):
        super().__init__()
        self.body = body
        self.weight = torch.nn.Parameter(torch.tensor(start))

    def forward(self, x):
        return x + self.weight * self.body(x)


class Projected(torch.nn.Module):
    """Takes a module, and sizes a lazy layer by what it gives."""

    def __init__(self, body: torch.nn.Module):
        super().__init__()
        self.body = body
        self.head = torch.nn.LazyLinear(4)

    def forward(self, x):
        return self.head(self.body(x))


class Twice(torch.nn.Module):
    """Copies the module that it takes."""

    def __init__(self, body: torch.nn.Module):
        super().__init__()
        self.layers = torch.nn.ModuleList(copy.deepcopy(body) for _ in range(2))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Ramp(torch.nn.Module):
    """A plain tensor, and numbers that were tensors."""

    def __init__(self, channels: int):
        super().__init__()
        self.layer = torch.nn.Linear(6, channels)
        self.scale = torch.arange(1.0, 1.0 + channels)
        self.rates = [rate.item() for rate in torch.linspace(0, 1, 3)]

    def forward(self, x):
        return self.layer(x) * self.scale * self.rates[1]


class Positions(torch.nn.Module):
    """A table as a buffer."""

    def __init__(self, channels: int, length: int = 5):
        super().__init__()
        angles = torch.arange(length)[:, None] * torch.exp(torch.arange(channels) * (-math.log(100.0) / channels))
        self.register_buffer("table", angles.sin(), persistent=False)
        self.register_buffer("steps", torch.arange(length))

    def forward(self, x):
        return x + self.table[self.steps]


class Standardised(torch.nn.Module):
    """A lazy layer of which only buffers are lazy."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = torch.nn.LazyConv2d(channels, 1)
        self.norm = torch.nn.LazyBatchNorm2d(affine=False)

    def forward(self, x):
        return self.norm(self.conv(x))


class Tied(torch.nn.Module):
    """Two layers that share one weight."""

    def __init__(self, channels: int):
        super().__init__()
        self.inner = torch.nn.Linear(6, channels, bias=False)
        self.outer = torch.nn.Linear(6, channels)
        self.outer.weight = self.inner.weight

    def forward(self, x):
        return self.outer(x) + self.inner(x).tanh()


class Averaging(torch.nn.Module):
    """Puts another tensor in the place of a buffer."""

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))

    def forward(self, x):
        if self.training:
            self.mean = 0.5 * self.mean + 0.5 * x.detach().mean(0)
        return x - self.mean


class Heads(torch.nn.Module):
    """Takes modules in a dictionary."""

    def __init__(self, heads: dict[str, torch.nn.Module]):
        super().__init__()
        self.heads = torch.nn.ModuleDict(heads)

    def forward(self, x):
        return torch.cat([head(x) for head in self.heads.values()], dim=1)


def width(*sizes):
    return aw.ordinal(*(sizes or (4, 8)), name="width")


def act(size=8):
    return aw.choice(nn.ReLU(), nn.Tanh(), nn.LazyLinear(size), name="act")


def own(make, *sizes):
    """A class of the user's own between two linear layers."""
    wide = width(*sizes)
    return nn.Sequential(nn.LazyLinear(wide), aw.lazy(make)(wide), nn.LazyLinear(3))


def around(make, **options):
    """A class that takes a module in which something is open."""
    wide = width(8, 16)
    body = nn.Sequential(nn.LazyLinear(wide), act(wide), nn.LazyLinear(8))
    return nn.Sequential(nn.LazyLinear(8), aw.lazy(make)(body, **options), nn.LazyLinear(3))


def over(body, example=VECTOR):
    return lambda: (body(), example)


@aw.template
def _block(channels, factor):
    return nn.Sequential(nn.LazyLinear(channels * factor), aw.choice(nn.ReLU(), nn.Tanh(), name="inside"))


def _values(x):
    first, second = nn.LazyLinear(4)(x), nn.LazyLinear(4)(x)
    chosen = aw.choice({"first": first, "second": second}, name="which")
    some = aw.subset({"a": first, "b": second, "c": nn.LazyLinear(4)(chosen)}, k=(1, 3), name="some")
    return aw.merge(chosen, some, kind=aw_kind())


def _functions(x):
    size = width()
    y = nn.functional.leaky_relu(nn.LazyLinear(size)(x), aw.choice(0.1, 0.2)) * 2 - nn.LazyLinear(size)(x) / 3
    gate = aw.choice({"one": nn.functional.sigmoid(y), "other": nn.functional.tanh(y[:, :1])}, name="gate")
    return nn.LazyLinear(2)(y[:, : aw.choice(1, 2)] * gate[:, :1])


def _pair(x):
    """Cells that take what the two before them gave; how many there are is open."""
    step = aw.template(
        lambda size: aw.graph(lambda pair: (nn.LazyLinear(size)(pair[0]) + nn.LazyLinear(size)(pair[1]), pair[0]))
    )
    size = width()
    last, before = aw.repeat(lambda _: step(size), 1, 3)((x, x))
    return aw.merge(last, before, kind="concat")


def _either_pair(x):
    """Options that give two values each."""
    cells = {"gru": nn.GRU(6, 4, batch_first=True), "both": aw.graph(lambda x: (nn.LazyLinear(4)(x), nn.Tanh()(x)))}
    one, _ = aw.choice(cells, name="cell")(x)
    two, other = aw.choice({"same": aw.graph(lambda x: (x, 2 * x)), "swapped": aw.graph(lambda x: (2 * x, x))})(one)
    return nn.LazyLinear(2)(two - other)


def _last(x):
    outputs, state = nn.GRU(6, width(), batch_first=True)(x)
    return nn.LazyLinear(2)(outputs[:, -1] * state[0])


def aw_kind():
    return "sum"


def cell(**options):
    def edge(i, j):
        return aw.choice(nn.Identity(), nn.Linear(6, 6), nn.Tanh(), None)

    return nn.Sequential(aw.cell(edge, nodes=3, **options), nn.LazyLinear(2))


def merged(kind):
    def body(x):
        return aw.merge(
            nn.LazyLinear(4)(x), aw.choice(nn.LazyLinear(4), None, name="second")(x), nn.LazyLinear(4)(x), kind=kind
        )

    return nn.Sequential(aw.graph(body), nn.LazyLinear(2))


MODELS = {
    "own": over(lambda: own(Scale)),
    "own-with-rule": over(lambda: own(Elastic)),
    "own-of-layers": over(lambda: own(Mlp)),
    "own-inherits": over(lambda: aw.lazy(Plain)(6, width())),
    "own-inherits-and-adds": over(lambda: aw.lazy(Gained)(6, width())),
    "own-plain-tensor": over(lambda: aw.lazy(Ramp)(width())),
    "own-buffer": over(lambda: own(Positions), SERIES),
    "own-tied": over(lambda: aw.lazy(Tied)(width())),
    "own-replaces-buffer": over(lambda: own(Averaging)),
    "takes": over(lambda: around(Residual)),
    "takes-and-is-sized": over(lambda: around(Residual, start=aw.real(0.1, 0.9))),
    "takes-and-is-lazy": over(lambda: around(Projected)),
    "takes-and-copies": over(
        lambda: (
            lambda w: nn.Sequential(
                aw.lazy(Twice)(nn.Sequential(nn.Linear(6, w), aw.choice(nn.ReLU(), nn.Tanh()), nn.Linear(w, 6))),
                nn.LazyLinear(2),
            )
        )(width())
    ),
    "takes-and-looks": over(
        lambda: aw.lazy(blocks.Inspecting)(aw.choice(nn.Linear(6, 4), nn.Linear(6, width(), bias=False)))
    ),
    "takes-and-iterates": over(
        lambda: aw.lazy(blocks.Iterating)(nn.Sequential(nn.LazyLinear(width()), aw.choice(nn.ReLU(), nn.Tanh())))
    ),
    "takes-two": over(
        lambda: aw.lazy(blocks.Residual)(act_of(6), act_of(6), shortcut=aw.choice(nn.Linear(6, 6), nn.Identity()))
    ),
    "dictionary": over(lambda: aw.lazy(Heads)({"a": nn.LazyLinear(width()), "b": act_of(6)})),
    "module-dictionary": over(lambda: aw.lazy(Heads)(nn.ModuleDict({"a": nn.LazyLinear(width()), "b": nn.Tanh()}))),
    "ordered": over(
        lambda: nn.Sequential(OrderedDict(first=nn.LazyLinear(width()), act=act_of(None), last=nn.LazyLinear(2)))
    ),
    "real": over(lambda: nn.Sequential(nn.LazyLinear(4), nn.Dropout(aw.real(0.1, 0.9)), nn.LazyLinear(2))),
    "integer": over(lambda: nn.Sequential(nn.LazyLinear(aw.integer(1, 100, log=True)), nn.LazyLinear(2))),
    "arithmetic": over(
        lambda: (
            lambda w: nn.Sequential(nn.LazyLinear(2 * w), nn.LazyLinear(w // 2 + 1), nn.LazyLinear(12 - w), nn.Tanh())
        )(width())
    ),
    "template": over(lambda: nn.Sequential(_block(4, 1), _block(width(), 2), nn.LazyLinear(2))),
    "values": over(lambda: aw.graph(_values)),
    "sum": over(lambda: merged("sum")),
    "mean": over(lambda: merged("mean")),
    "concat": over(lambda: merged("concat")),
    "mul": over(lambda: merged("mul")),
    "max": over(lambda: merged("max")),
    "open-kind": over(lambda: merged(aw.choice("sum", "concat", "mul"))),
    "functions": over(lambda: aw.graph(_functions)),
    "pair": over(lambda: nn.Sequential(aw.graph(_pair), nn.LazyLinear(2))),
    "choice-of-pairs": over(lambda: aw.graph(_either_pair)),
    "outputs-of-a-layer": over(lambda: aw.graph(_last), SERIES),
    "cell": over(lambda: cell()),
    "cell-fan-in": over(lambda: cell(fan_in=1, output="mean")),
    "cell-of-means": over(lambda: cell(combine="mean", output="concat")),
    "cell-unused": over(lambda: cell(keep_unused=True)),
    "tuple-between": over(
        lambda: nn.Sequential(nn.GRU(6, width(), batch_first=True), aw.lazy(_First)(), nn.LazyLinear(2)), SERIES
    ),
    "nothing-open": over(lambda: nn.Sequential(nn.LazyLinear(4), nn.ReLU())),
    "norm-without-scale": over(lambda: normed(nn.LazyBatchNorm2d(affine=False)), IMAGE),
    "norm-perhaps-without-scale": over(lambda: normed(nn.LazyBatchNorm2d(affine=aw.choice(True, False))), IMAGE),
    "norm-without-statistics": over(
        lambda: normed(nn.LazyBatchNorm2d(affine=False, track_running_stats=aw.choice(True, False))), IMAGE
    ),
    "norm-of-instances": over(lambda: normed(nn.LazyInstanceNorm2d()), IMAGE),
    "own-norm-without-scale": over(lambda: normed(aw.lazy(Standardised)(5)), IMAGE),
    "norm": over(lambda: nn.Sequential(nn.LazyConv2d(4, 3), aw.choice(nn.LazyBatchNorm2d(), nn.Identity())), IMAGE),
    "nested": over(
        lambda: nn.Sequential(
            aw.choice(
                nn.Sequential(nn.LazyLinear(width()), nn.ReLU(), nn.LazyLinear(6)),
                aw.repeat(lambda i: nn.LazyLinear(6), 1, 3),
                aw.lazy(Residual)(nn.Linear(6, 6)),
            ),
            nn.LazyLinear(2),
        )
    ),
}


def normed(norm):
    return nn.Sequential(nn.LazyConv2d(width(), 3), norm, nn.Flatten(), nn.LazyLinear(2))


class _First(torch.nn.Module):
    def forward(self, given):
        return given[0][:, -1]


def act_of(size):
    return aw.choice(nn.ReLU(), nn.Tanh()) if size is None else aw.choice(nn.ReLU(), nn.Linear(size, size))


@pytest.mark.parametrize("name", MODELS)
def test_every_path_is_the_network(name):
    model, example = MODELS[name]()
    check(made(model, example))


@pytest.mark.parametrize("name", MODELS)
def test_a_mixture_runs_and_its_logits_learn(name):
    model, example = MODELS[name]()
    supernet = made(model, example, "softmax")
    for _ in range(3):
        draw = supernet.draw()
        loss = supernet.run(draw, *inputs(supernet)).square().sum()
        (loss + sum(draw.log_probs.values(), torch.zeros(()))).backward()
    used = supernet.used
    assert torch.isfinite(loss)
    for decision, logits in supernet.logits.items():
        if decision in used:
            assert logits.grad is not None, decision
            assert torch.isfinite(logits.grad).all()
    assert set(supernet.branches) | set(supernet.sizes) <= set(supernet.space.decisions)
    assert supernet.derive() in supernet.space


# ---------------------------------------------------------------------- the user's own modules


def test_a_class_without_a_rule_has_weights_for_each_size():
    supernet = made(own(Scale), VECTOR)
    gains = {name: t for name, t in supernet.bank.named_parameters() if name.endswith("gain")}
    assert sorted(tensor.shape for tensor in gains.values()) == [(4,), (8,)]
    supernet.select({"width": 4})(*inputs(supernet)).sum().backward()
    by_size = {len(tensor): tensor.grad for tensor in gains.values()}
    assert by_size[8] is None
    assert by_size[4].abs().sum() > 0


def test_the_weights_of_a_class_without_a_rule_begin_as_the_class_says():
    supernet = made(own(Scale), VECTOR)
    for name, tensor in supernet.bank.named_parameters():
        if name.endswith("gain"):
            assert ((tensor >= 0.5) & (tensor <= 1.5)).all()
    offsets = [tensor for name, tensor in supernet.bank.named_buffers() if name.endswith("offset")]
    assert all(torch.equal(each, torch.linspace(-1, 1, len(each)).double()) for each in offsets)


def test_a_class_with_a_rule_is_sliced():
    supernet = made(own(Elastic), VECTOR)
    gain = weight(supernet, "Elastic/gain")
    assert gain.shape == (8,)
    assert torch.equal(supernet.extract({"width": 4})[1].gain, gain[:4])


def test_layers_of_torch_inside_a_class_are_sliced():
    supernet = made(own(Mlp), VECTOR)
    assert weight(supernet, "second/Linear/weight").shape == (8, 8)
    assert weight(supernet, "first/Linear/weight").shape == (8, 8)


def test_a_subclass_that_adds_a_weight_keeps_its_first_value():
    supernet = made(aw.lazy(Gained)(6, width()), VECTOR)
    gains = [tensor for name, tensor in supernet.bank.named_parameters() if name.endswith("gain")]
    assert sorted(map(len, gains)) == [4, 8]
    assert all((tensor == 2).all() for tensor in gains)


def test_a_subclass_that_adds_nothing_is_sliced():
    supernet = made(aw.lazy(Plain)(6, width()), VECTOR)
    assert weight(supernet, "weight").shape == (8, 6)


def test_tied_weights_are_one_tensor():
    supernet = made(aw.lazy(Tied)(width()), VECTOR)
    assert len(list(supernet.bank.parameters())) == 2  # the weight, and the bias of the outer layer
    network = supernet.extract({"width": 4})
    assert network.outer.weight is network.inner.weight


def test_buffers_that_a_class_replaces_are_kept():
    supernet = made(own(Averaging), VECTOR)
    means = [tensor for name, tensor in supernet.bank.named_buffers() if name.endswith("mean")]
    before = [tensor.clone() for tensor in means]
    supernet.train().select({"width": 8})(*inputs(supernet, seed=3))
    changed = {len(now): not torch.equal(now, then) for now, then in zip(means, before, strict=True)}
    assert changed == {4: False, 8: True}


def test_what_is_called_at_each_step_has_its_shapes_found_out_once(monkeypatch):
    runs = []
    run = Branch.run
    monkeypatch.setattr(Branch, "run", lambda self, *given: runs.append(self.name) or run(self, *given))
    supernet = made(aw.lazy(Recurrence)(aw.graph(_step)), (40, 6))
    assert 0 < len(runs) - 40 < 10  # one real pass, and as many passes of shapes as there are sizes
    check(supernet)


def _step(x, state, memory):
    return aw.choice({"relu": nn.ReLU(), "tanh": nn.Tanh()}, name="kind")(nn.Linear(6, 6)(x) + state), memory


def test_choices_inside_of_what_is_called_are_branches():
    supernet = made(around(Residual), VECTOR, "softmax")
    assert "act" in supernet.branches
    assert "width" in supernet.sizes


@pytest.mark.parametrize("name", ["takes-and-copies", "takes-and-looks", "takes-and-iterates"])
def test_choices_inside_of_what_is_looked_into_are_sizes(name):
    model, example = MODELS[name]()
    supernet = made(model, example, "softmax")
    assert not supernet.branches
    assert supernet.sizes


def test_too_many_sizes_without_a_rule_are_refused():
    space = aw.Space(model=own(Scale, *range(1, 80)), example_input=VECTOR)
    with pytest.raises(RelaxationError, match=r"model\.1: Scale has 79 sizes and no rule"):
        Supernet(space)


def test_a_lazy_layer_that_is_never_reached_is_refused():
    space = aw.Space(model=aw.lazy(Twice)(nn.LazyLinear(6)), example_input=VECTOR)
    with pytest.raises(RelaxationError, match=r"body: LazyLinear.* is never reached"):
        Supernet(space)


def test_what_does_not_size_a_layer_is_not_counted():
    made(around(Residual, start=aw.real(0.1, 0.9)), VECTOR)
    many = nn.Sequential(nn.LazyLinear(aw.integer(1, 100)), nn.LazyLinear(8))
    made(nn.Sequential(nn.LazyLinear(8), aw.lazy(Residual)(many)), VECTOR)


# ---------------------------------------------------------------------- spaces


def _divisible(architecture):
    return architecture["wide"] % architecture["heads"] == 0


def test_constraints_that_couple_sizes_hold():
    wide, heads = aw.ordinal(4, 6, 9, name="wide"), aw.choice(1, 2, 3, name="heads")
    layer = nn.TransformerEncoderLayer(wide, heads, dim_feedforward=2 * wide, dropout=0.0, batch_first=True)
    model = nn.Sequential(nn.Linear(6, wide), layer, nn.Flatten(), nn.LazyLinear(2))
    supernet = made(model, SERIES, "softmax", where=_divisible)
    check(supernet)
    assert all(_divisible(supernet.sized()[0]) for _ in range(20))
    assert supernet.derive() in supernet.space


def test_settings_besides_the_model_have_no_logits():
    optimizer = optim.SGD(lr=aw.real(0.01, 0.1, name="rate"))
    supernet = made(nn.LazyLinear(width()), VECTOR, "softmax", optimizer=optimizer, batch_size=aw.ordinal(8, 16))
    assert set(supernet.logits) == {"width"}
    derived = supernet.derive()
    assert derived in supernet.space
    assert "rate" in derived
    check(supernet)


def test_a_space_needs_a_model_and_a_known_input():
    with pytest.raises(RelaxationError, match="no known input"):
        Supernet(aw.Space(model=nn.LazyLinear(2)))
    with pytest.raises(RelaxationError, match="no part named 'model'"):
        Supernet(aw.Space(lr=aw.real(0, 1)))
    assert Supernet(aw.Space(model=nn.LazyLinear(2)), example_input=VECTOR)(torch.zeros(3, 6)).shape == (3, 2)


def test_two_inputs():
    model = aw.graph(lambda x, y: aw.lazy(blocks.Two)(nn.LazyLinear(width()), act_of(4))(x, y))
    check(made(model, [VECTOR, (4,)]))


def test_many_sizes_do_not_pile_up():
    supernet = made(nn.Sequential(nn.LazyLinear(4), nn.Dropout(aw.real(0, 0.9, name="rate"))), VECTOR).eval()
    (x,) = inputs(supernet)
    for rate in np.linspace(0, 0.9, 300):
        supernet.select({"rate": float(rate)})(x)
    assert max(len(layer._made) for layer in supernet._layers) <= 256


def test_zeros_of_a_mixture_of_nothing_have_the_shape_of_what_went_in():
    maybe = aw.choice({"none": None, "tanh": nn.Tanh()}, name="maybe")

    def body(x):
        wide = nn.Linear(6, 8)(x, name="wide")
        return nn.Linear(8, 2)(aw.merge(maybe(wide), name="sum"), name="head")

    space = aw.Space(model=aw.graph(body), example_input=VECTOR)
    supernet = Supernet(space, "softmax").double().eval()
    x = torch.randn(3, 6, dtype=torch.float64)
    mixture = supernet.run(aw.supernet.Draw({}, {"maybe": aw.supernet.Mix(torch.ones(2), (0,))}), x)
    torch.testing.assert_close(mixture, supernet.select({"maybe": "none"})(x))


def test_edges_are_worth_what_their_operations_are_in_a_template_too():
    def operation(width):
        return aw.choice({"same": nn.Identity(), "linear": nn.Linear(width, width)})

    part = aw.cell(lambda i, j: aw.template(operation)(6), nodes=3, fan_in=1, name="cell")
    supernet = Supernet(aw.Space(model=part, example_input=VECTOR), "softmax")
    subsets = [name for name, each in supernet.branches.items() if type(each).__name__ == "Subset"]
    assert subsets
    assert not set(subsets) & set(supernet.logits)
    edges = [name for name in supernet.branches if name not in subsets]
    with torch.no_grad():
        for name in edges:
            supernet.logits[name].zero_()
        supernet.logits["cell.edge_1_3"][1] = 5.0
    derived = supernet.derive()
    assert derived["cell.node_3"] == ("1",)
    assert derived["cell.edge_1_3"] == "linear"
