"""Arithmetic, indices and functions of values of a graph, and graphs of several outputs, against plain torch."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import archwright as aw
from archwright import nn
from archwright.errors import ShapeError, SpaceError
from archwright.testing import SpaceSuite
from archwright.testing._spaces import check_build_and_source

SHAPE = (4, 6)


def computed(body, *inputs, decisions=None):
    """What the network of a graph gives; its source gives the same, and so does the space that was read back."""
    space = aw.Space(model=aw.graph(body), example_input=[tuple(each.shape[1:]) for each in inputs])
    architecture = space.canonical(decisions or {})
    check_build_and_source(space, architecture, list(inputs))
    again = aw.Space.from_json(json.loads(json.dumps(space.to_json())))
    assert again.fingerprint == space.fingerprint
    assert again.source(architecture) == space.source(architecture)
    return space.build(architecture)(*inputs)


def drawn(*shape):
    return torch.randn(2, *shape, generator=torch.Generator().manual_seed(sum(shape)))


X, Y = drawn(*SHAPE), drawn(*SHAPE) + 1
CASES = {
    "product": (lambda x, y: x * y, X * Y),
    "difference": (lambda x, y: x - y, X - Y),
    "quotient": (lambda x, y: x / y, X / Y),
    "scaled": (lambda x, y: 0.5 * x - y * 2 + 1, 0.5 * X - Y * 2 + 1),
    "from-a-number": (lambda x, y: 1 - x, 1 - X),
    "powers": (lambda x, y: -(x**2) + y**-1 - (-x) ** 3, -(X**2) + Y**-1 - (-X) ** 3),
    "matrices": (lambda x, y: x @ nn.functional.pad(y, (0, 0, 0, 2))[:, :, :3], X @ F.pad(Y, (0, 0, 0, 2))[:, :, :3]),
    "brackets": (lambda x, y: (x - y) * (x + y) - (y - (x - y)), (X - Y) * (X + Y) - (Y - (X - Y))),
    "first": (lambda x, y: x[:, 0], X[:, 0]),
    "last": (lambda x, y: x[..., -1, :] + y[:, 1:, ::2][:, 0, :1], X[..., -1, :] + Y[:, 1:, ::2][:, 0, :1]),
    "new-axis": (lambda x, y: x[:, None], X[:, None]),
    "mul": (lambda x, y: aw.merge(x, y, x, kind="mul"), X * Y * X),
    "max": (lambda x, y: aw.merge(x, y, -1 * x, kind="max"), torch.stack([X, Y, -X]).amax(0)),
    "concat-last": (lambda x, y: aw.merge(x, y, kind="concat", axis=-1), torch.cat([X, Y], -1)),
    "keyword": (lambda x, y: nn.functional.leaky_relu(x, negative_slope=0.2), F.leaky_relu(X, 0.2)),
    "list": (lambda x, y: aw.lazy(torch.stack)([x, y], 1), torch.stack([X, Y], 1)),
    "text": (lambda x, y: aw.lazy(torch.einsum)("bij,bkj->bik", x, y), torch.einsum("bij,bkj->bik", X, Y)),
    "dtype": (lambda x, y: nn.functional.softmax(x, -1, dtype=torch.float64), F.softmax(X, -1, dtype=torch.float64)),
    "several-outputs": (lambda x, y: aw.lazy(torch.max)(x, 1)[0] * y[:, 0], X.max(1)[0] * Y[:, 0]),
    "transposed": (lambda x, y: aw.lazy(torch.transpose)(x, 1, 2), X.transpose(1, 2)),
    "twice": (lambda x, y: x * x + x[:, :1] * x, X * X + X[:, :1] * X),
}


@pytest.mark.parametrize("name", CASES)
def test_a_function_gives_what_torch_gives(name):
    body, expected = CASES[name]
    torch.testing.assert_close(computed(body, X, Y), expected, rtol=0, atol=0)


def test_decisions_inside_of_a_function():
    def body(x):
        slope, end = aw.choice(0.1, 0.3, name="slope"), aw.integer(2, 6, step=2, name="end")
        return nn.functional.leaky_relu(x, slope)[:, :, :end] * aw.real(0.5, 2.0, name="scale")

    found = computed(body, X, decisions={"slope": 0.3, "end": 4, "scale": 1.5})
    torch.testing.assert_close(found, F.leaky_relu(X, 0.3)[:, :, :4] * 1.5)


def test_unpacked_outputs_of_a_layer():
    def body(x):
        outputs, (hidden, memory) = nn.LSTM(6, 3, batch_first=True)(x, name="lstm")
        return outputs[:, -1] - hidden[0] * memory[0]

    space = aw.Space(model=aw.graph(body), example_input=SHAPE)
    network = space.build({})
    outputs, (hidden, memory) = network.lstm(X)
    torch.testing.assert_close(network(X), outputs[:, -1] - hidden[0] * memory[0])
    assert [name for name, _ in network.named_children()] == ["lstm"]


def test_a_text_that_a_person_would_write():
    def body(x):
        outputs, _ = nn.GRU(6, 3, batch_first=True)(x)
        return nn.functional.gelu(outputs[:, -1], approximate="tanh")

    space = aw.Space(model=aw.graph(body), example_input=SHAPE)
    lines = space.source({}).partition("-> torch.Tensor:\n")[2].splitlines()
    assert [line.strip() for line in lines[:5]] == [
        "gru = self.gru(x)",
        "item = gru[0]",
        "item_2 = item[:, -1]",
        'return nn.functional.gelu(item_2, approximate="tanh")',
        "",
    ]


def test_a_product_may_lack_an_operand():
    gate = aw.choice({"none": None, "some": nn.Sequential(nn.LazyLinear(6), nn.Sigmoid())}, name="gate")
    space = aw.Space(model=aw.graph(lambda x: x * gate(x, name="gate")), example_input=SHAPE)
    torch.testing.assert_close(space.build({"gate": "none"})(X), X)
    network = space.build({"gate": "some"})
    torch.testing.assert_close(network(X), X * network.gate(X))


def test_an_open_kind():
    kinds = aw.choice("sum", "mean", "mul", "max", "concat", name="kind")
    body = aw.graph(lambda x, y: nn.LazyLinear(2)(aw.merge(x, y, kind=kinds, axis=aw.choice(1, 2, name="axis"))))
    space = aw.Space(model=body, example_input=(SHAPE, SHAPE))
    assert space.size == 10
    expected = {"sum": X + Y, "mean": (X + Y) / 2, "mul": X * Y, "max": torch.maximum(X, Y)}
    for architecture in space.enumerate():
        check_build_and_source(space, architecture, [X, Y])
        network = space.build(architecture)
        joined = expected.get(architecture["kind"], torch.cat([X, Y], architecture["axis"]))
        torch.testing.assert_close(network(X, Y), network.linear(joined))


@pytest.mark.parametrize("kind", [dict, tuple, list])
def test_several_outputs(kind):
    def body(x):
        y = nn.LazyLinear(3)(x, name="scores")
        parts = {"scores": y, "pair": (x[:, 0], [y, 1])}
        return parts if kind is dict else kind(parts.values())

    space = aw.Space(model=aw.graph(body), example_input=SHAPE)
    network = space.build({})
    found = network(X)
    assert type(found) is kind
    scores, (first, (again, one)) = found.values() if kind is dict else found
    torch.testing.assert_close((scores, first, one), (network.scores(X), X[:, 0], 1))
    assert again is scores
    check_build_and_source(space, {}, [X])


def test_values_that_a_repeat_passes_on():
    """Each body takes the outputs of the two before it."""
    step = aw.graph(lambda pair: (nn.Linear(6, 6)(pair[0] - pair[1]), pair[0]), name="step")
    model = aw.graph(lambda x: aw.repeat(lambda _: step, 1, 3, name="depth")((x, x * 2), name="steps")[0])
    space = aw.Space(model=model, example_input=SHAPE)
    assert space.size == 3
    network = space.build({"depth": 3})
    last, before = X, X * 2
    for body in network.steps:
        last, before = body.linear(last - before), last
    torch.testing.assert_close(network(X), last)
    for architecture in space.enumerate():
        check_build_and_source(space, architecture, [X])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda x: x - nn.Linear(6, 5)(x), "x0 - x1, where model.sub is given shape (2, 4, 6), (2, 4, 5)"),
        (lambda x: x[:, 4], "x0[:, 4], where model.item is given shape (2, 4, 6)"),
        (lambda x: x * nn.Linear(6, 5)(x), "disagree in shape: (2, 4, 6) and (2, 4, 5)"),
        (lambda x: nn.functional.pad(x, (1,)), "pad(x0, (1,)), where model.pad is given shape (2, 4, 6)"),
        (lambda x: aw.merge(x, x, kind="concat", axis=3), "cannot be joined along axis 3"),
        (lambda x: x[:, : aw.choice(2, 3, name="n")] - x[:, :2], "where model.sub is given shape (2, 3, 6), (2, 2, 6)"),
        (lambda x: nn.GRU(6, 3)(x)[0] + nn.GRU(6, 3)(x), "disagree in shape"),
        (lambda x: aw.lazy(torch.max)(x[:, :, : aw.choice(2, 3, name="n")], 1)[0] - x[:, 0, :2], "(2, 3), (2, 2)"),
    ],
)
def test_shapes_are_checked(body, message):
    with pytest.raises(ShapeError) as refused:
        aw.Space(model=aw.graph(body), example_input=SHAPE)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda x: x * nn.ReLU(), "x0 * ReLU() is not that"),
        (lambda x: x // 2, "x0 // 2 is not that"),
        (lambda x: x - "a", "x0 - 'a' is not that"),
        (lambda x: nn.functional.dropout(x, 0.5), "use the layer of archwright.nn"),
        (lambda x: nn.functional.relu_(x), "changes its input"),
        (lambda x: nn.functional.relu(nn.ReLU()), "ReLU() is none of these"),
        (lambda x: nn.functional.relu(torch.zeros(2)), "is none of these"),
        (lambda x: nn.functional.relu(3), "relu is a function of values of a graph: call it inside aw.graph"),
        (lambda x: aw.lazy(_twice)(x), "make it a class of layers"),
        (lambda x: x[nn.ReLU()], "ReLU() is none of these"),
        (lambda x: aw.choice(None, nn.ReLU())(x) - x, "which need not be one value"),
        (lambda x: list(x), "how many values it holds is not known"),
        (lambda x: sum(x), "index it (outputs[0])"),
        (lambda x: aw.merge(x, x, kind="add"), "merged by one of 'sum', 'mean', 'mul', 'max', 'concat'"),
        (lambda x: aw.merge(x, x, kind=aw.choice("sum", "add")), "or by a choice of them, not by 'add'"),
        (lambda x: aw.merge(x, x, kind="concat", axis=0), "axis 0, which is the batch"),
        (lambda x: aw.merge(x, x, kind="concat", axis="1"), "a whole number; '1' is none"),
    ],
)
def test_what_is_refused(body, message):
    with pytest.raises(SpaceError) as refused:
        aw.graph(body)
    assert message in str(refused.value)


def _twice(x):
    return 2 * x


def test_options_are_called_as_they_are_written():
    def body(x):
        tanh = nn.Tanh()(x)
        return aw.choice(nn.functional.gelu(x), nn.functional.leaky_relu(tanh, 0.2), x * 2, tanh[:, :3], 1 - x[..., -1])

    labels = aw.Space(model=aw.graph(body)).decisions["model"].labels
    assert labels == ("gelu(x0)", "leaky_relu(…, 0.2)", "x0 * 2", "…[:, :3]", "1 - …")


def test_methods_of_tensors_are_told_as_functions():
    with pytest.raises(AttributeError, match=r"has no 'mean', .* such as aw\.lazy\(torch\.mean\)\(x, 1\)"):
        aw.graph(lambda x: x.mean(1))


def test_functions_have_the_names_of_torch():
    with pytest.raises(AttributeError, match="did you mean 'leaky_relu'"):
        nn.functional.leaky_rely
    with pytest.raises(SpaceError, match="got an unexpected keyword argument 'slope'"):
        aw.graph(lambda x: nn.functional.leaky_relu(x, slope=0.1))


@pytest.mark.parametrize(
    "target", ["os:system", "torch:load", "builtins:eval", "operator:mod", "torch.nn:ReLU", "gelu"]
)
def test_a_file_names_no_other_function(target):
    space = aw.Space(model=aw.graph(lambda x: nn.functional.gelu(x)))
    written = json.loads(json.dumps(space.to_json()).replace("torch.nn.functional:gelu", target))
    with pytest.raises(SpaceError, match="is no function of torch that a graph may apply to its values"):
        aw.Space.from_json(written)


@given(st.lists(st.sampled_from(["+", "-", "*", "/"]), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_written_arithmetic_is_arithmetic(symbols, random):
    """Whatever is written, in whatever brackets, the text computes the same as torch."""

    def body(one, other, draw):
        terms = [one, other, 2.5]
        for symbol in symbols:
            left, right = draw.choice(terms), draw.choice(terms[:2])
            found = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b}
            terms.insert(0, found[symbol](left, right))
        return terms[0]

    state = random.getstate()
    found = computed(lambda x, y: body(x, y, random), X, Y)
    random.setstate(state)
    torch.testing.assert_close(found, body(X, Y, random), equal_nan=True)


def _words():
    """What a space of another field is made of: a gated recurrent encoder with two outputs."""

    def step(pair):
        kept, x = pair
        gate = aw.choice({"none": None, "sigmoid": nn.Sequential(nn.LazyLinear(6), nn.Sigmoid())})(x)
        y = nn.functional.gelu(nn.LazyLinear(6)(x) * gate) - kept / 2
        return aw.merge(kept, y, kind=aw.choice("sum", "max", "mul")), y

    def model(x):
        outputs, _ = nn.GRU(6, 6, batch_first=True)(x)
        kept, last = aw.repeat(lambda _: aw.graph(step), 1, 2, name="depth")((outputs, x))
        joined = aw.merge(kept, last, kind=aw.choice("concat", "mean", name="join"), axis=-1)
        return {
            "tokens": nn.LazyLinear(3)(joined),
            "whole": nn.LazyLinear(2)(joined[:, :: aw.integer(1, 3, step=2)])[:, 0],
        }

    return aw.Space(model=aw.graph(model), example_input=SHAPE)


class TestWords(SpaceSuite):
    @pytest.fixture
    def space(self):
        return _words()
