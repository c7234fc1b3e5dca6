"""Each word of the language, and what bad use of it gets."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import re
import typing

import numpy as np
import pytest
import torch

import archwright as aw
from archwright import nn, optim
from archwright.errors import ArchwrightError, SpaceError
from archwright.space import Call, Choice, Integer, Real, Repeat, Subset


def raises(message: str, kind: type[Exception] = SpaceError):
    """Expect an error whose message holds a text."""
    return pytest.raises(kind, match=re.escape(message))


# ---------------------------------------------------------------------- choices


def test_a_choice_is_labelled_by_what_a_person_reads():
    conv = nn.Conv2d(3, 8, kernel_size=aw.choice(3, 5))
    made = aw.choice(None, True, 3, 0.5, "same", conv, nn.ReLU(), (1, 2), torch.float64, torch.nn.functional.relu)
    assert made.labels == (
        *(None, True, 3, 0.5, "same"),
        *("Conv2d(3, 8, kernel_size=…)", "ReLU()", "(1, 2)", "torch.float64", "relu"),
    )
    assert not made.ordered
    assert aw.ordinal(1, 2).ordered


def test_long_calls_are_labelled_by_their_name():
    made = aw.choice(nn.Sequential(*[nn.Conv2d(3, 3, kernel_size=3, padding=1)] * 3), nn.Identity())
    assert made.labels == ("Sequential(…, …, …)", "Identity()")
    layer = aw.lazy("some.module:Block")("a long argument", "another long argument", "and a third one")
    assert aw.choice(layer, nn.Identity()).labels == ("Block(…)", "Identity()")


def test_a_mapping_names_the_options():
    made = aw.choice({"none": None, 3: nn.ReLU()}, name="kind")
    assert made.labels == ("none", "3")
    assert made.options[0] is None
    assert made.name == "kind"


def test_calls_that_read_alike_are_told_apart():
    made = aw.choice(nn.ReLU(), nn.ReLU(), nn.ReLU(), nn.Tanh())
    assert made.labels == ("ReLU()", "ReLU() #2", "ReLU() #3", "Tanh()")
    assert aw.choice("ReLU()", nn.ReLU()).labels == ("ReLU()", "ReLU() #2")


def test_the_labels_of_lambdas_hold_no_addresses():
    assert aw.choice(lambda: 1, len).labels == ("<lambda>", "len")
    assert aw.choice(object(), 1).labels == ("object", 1)


@pytest.mark.parametrize("word", ["choice", "ordinal"])
def test_what_a_choice_refuses(word):
    make = getattr(aw, word)
    with raises(f"{word} takes one option or more; none was given"):
        make()
    with raises(f"{word} takes one option or more; none was given"):
        make({})
    with raises(f"{word}: options 0 and 2 are the same: 3"):
        make(3, 5, 3)
    with raises(f"{word}: options 0 and 1 are the same: 1"):
        make(1, 1.0)
    relu = nn.ReLU()
    with raises(f"{word}: options 0 and 1 are the same: ReLU()"):
        make(relu, relu)
    with raises(f"{word}: two labels read the same: 1, '1'"):
        make({1: "a", "1": "b"})


@pytest.mark.parametrize("given", [[1, 2, 3], (16, 32), range(1, 5), {1, 2}, np.arange(3), [], [nn.ReLU(), nn.Tanh()]])
def test_one_collection_in_place_of_the_options_is_refused(given):
    with raises("choice takes its options one by one"):
        aw.choice(given)
    with raises("ordinal takes its options one by one"):
        aw.ordinal(given)
    with raises("subset takes its options one by one"):
        aw.subset(given, k=1)


def test_a_list_may_be_one_of_several_options():
    assert aw.choice([1, 2], [3, 4]).options == ([1, 2], [3, 4])
    assert aw.choice({"small": (1, 2), "large": (3, 4)}).options == ((1, 2), (3, 4))
    assert aw.choice({"alone": [1, 2]}).options == ([1, 2],)
    assert aw.choice("relu").options == ("relu",)
    assert aw.choice(np.array([1, 2]), torch.tensor([3, 4])).options == ([1, 2], [3, 4])


# ---------------------------------------------------------------------- numbers of other libraries


def test_numbers_of_numpy_are_kept_as_plain_numbers():
    width = aw.ordinal(*np.arange(16, 65, 16), name="width")
    model = nn.Sequential(
        nn.LazyLinear(width * np.int64(2)),
        nn.Dropout(aw.choice(*np.linspace(0, 0.5, 3), name="rate")),
        aw.repeat(lambda i: nn.LazyLinear(np.int64(8), bias=np.bool_(False)), np.int64(1), np.int64(2), name="depth"),
        aw.lazy("torch.nn:Unflatten")(1, (np.int64(2), torch.tensor(4))),
    )
    options = {"augment": aw.subset(np.str_("a"), "b", k=np.int64(1)), "clip": np.float32(0.5)}
    rate = aw.real(np.float32(0.5), np.float64(1), name="real")
    space = aw.Space(model=model, lr=rate, steps=aw.integer(np.int64(1), np.uint8(3), name="steps"), **options)
    text = json.dumps(space.to_json())
    assert aw.Space.from_json(json.loads(text)).fingerprint == space.fingerprint
    decided = {"width": np.int64(32), "rate": np.float64(0.25), "depth": np.int8(2), "augment": [np.str_("b")]}
    architecture = space.canonical(decided | {"real": np.float16(0.5), "steps": torch.tensor(2)})
    plain = {"width": 32, "rate": 0.25, "depth": 2, "augment": ("b",), "real": 0.5, "steps": 2}
    assert architecture == space.canonical(plain)
    assert all(type(value) in (int, float, tuple) for value in architecture.values())
    assert "np." not in str(space) + space.source(architecture, (8,))


def test_numbers_of_numpy_on_the_left_of_arithmetic():
    width = aw.ordinal(4, 8, name="width")
    space = aw.Space(a=np.int64(2) * width, b=np.float32(0.5) * width, c=np.arange(3)[1] + width - np.int8(1))
    assert space.resolve(space.canonical({"width": 8})) == {"a": 16, "b": 4.0, "c": 8}


def test_cells_and_templates_take_numbers_of_numpy():
    made = aw.cell(lambda i, j: nn.Identity(), nodes=np.int64(2), inputs=np.int64(1), fan_in=np.int64(1))
    assert len(made.nodes) == 3
    use = aw.template(lambda width: nn.LazyLinear(width))
    assert type(use(np.int64(3)).values[0]) is int


# ---------------------------------------------------------------------- what a decision cannot be used for


WIDTH = aw.ordinal(8, 16, name="width")
TEST = "a decision has no value while the space is defined, so `if` cannot depend on it"
NUMBER = "+, -, * and // are possible"
COUNT = "for a variable number of parts use aw.repeat(body, 1, 4)"
LAYER = "use the same layer of archwright (`from archwright import nn`), or aw.lazy(YourClass)(...)"


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: 1 if WIDTH else 2, TEST),
        (lambda: not WIDTH, TEST),
        (lambda: WIDTH < 3, TEST),
        (lambda: WIDTH * 2 >= 3, TEST),
        (lambda: max(WIDTH, 3), TEST),
        (lambda: WIDTH == 8, TEST),
        (lambda: WIDTH != 8, TEST),
        (lambda: aw.choice("a", "b") == "a", TEST),
        (lambda: range(WIDTH), COUNT),
        (lambda: [1, 2][aw.integer(0, 1)], COUNT),
        (lambda: len(aw.subset(1, 2, k=1)), COUNT),
        (lambda: list(WIDTH), COUNT),
        (lambda: WIDTH / 2, NUMBER),
        (lambda: 1 / (WIDTH + 1), NUMBER),
        (lambda: WIDTH % 2, NUMBER),
        (lambda: 2**WIDTH, NUMBER),
        (lambda: -WIDTH, NUMBER),
        (lambda: round(aw.real(0.1, 0.5)), NUMBER),
        (lambda: math.sqrt(WIDTH), NUMBER),
        (lambda: f"{WIDTH:3d}", "is formatted by '3d'"),
        (lambda: torch.nn.Linear(10, WIDTH), LAYER),
        (lambda: torch.nn.Conv2d(3, WIDTH, 3), LAYER),
        (lambda: torch.nn.Dropout(aw.real(0.1, 0.5)), LAYER),
        (lambda: torch.nn.LayerNorm(WIDTH), LAYER),
        (lambda: torch.nn.MultiheadAttention(8, aw.choice(1, 2)), LAYER),
        (lambda: torch.zeros(WIDTH), LAYER),
        (lambda: torch.nn.functional.relu(nn.Linear(1, 2)), "layers are applied, such as nn.ReLU()(x)"),
        (lambda: aw.template(lambda width: torch.nn.Linear(10, width)), LAYER),
        (lambda: aw.Space(model=torch.nn.MaxPool2d(WIDTH)), "write it with archwright.nn, or aw.lazy"),
        (lambda: aw.repeat(lambda i: nn.ReLU(), 1, WIDTH), "repeat takes whole numbers"),
        (lambda: aw.integer(1, WIDTH), "integer takes whole numbers; ordinal(8, 16, name='width') is none"),
    ],
)
def test_what_needs_a_value_says_what_to_write_instead(use, message):
    with raises(message):
        use()


def test_what_stands_for_a_layer_is_true_and_reads_as_it_was_written():
    assert nn.ReLU()
    assert aw.choice(nn.ReLU(), None)
    assert aw.graph(lambda x: nn.ReLU()(x) + x)
    assert f"{nn.ReLU()} {WIDTH}" == "ReLU() ordinal(8, 16, name='width')"
    assert WIDTH in [WIDTH]
    assert None not in (WIDTH, nn.ReLU())


# ---------------------------------------------------------------------- numbers


def test_numbers():
    assert isinstance(aw.integer(1, 3), Integer)
    assert aw.integer(1, 3).size == 3
    assert aw.integer(5, 5).size == 1
    assert isinstance(aw.real(0, 1), Real)
    assert aw.real(0, 1).size == math.inf


@pytest.mark.parametrize(
    ("low", "high", "options", "message"),
    [
        (3, 1, {}, "integer: the range 3 to 1 is empty; write the smaller end first"),
        (3, 1, {"name": "depth"}, "integer 'depth': the range 3 to 1 is empty"),
        (0, 4, {"log": True}, "integer: a logarithmic range starts above zero; 0 was given"),
        (1.0, 4, {}, "integer takes whole numbers; 1.0 is none"),
        (1, True, {}, "integer takes whole numbers; True is none"),
        (1, "4", {}, "integer takes whole numbers; '4' is none"),
        (0, 2**53, {}, "integer: the range 0 to 9007199254740992 is too long; use real"),
        (1, 2**41, {"log": True}, "integer: the range 1 to 2199023255552 is too long; use real"),
    ],
)
def test_what_integer_refuses(low, high, options, message):
    with raises(message):
        aw.integer(low, high, **options)


@pytest.mark.parametrize(
    ("low", "high", "options", "message"),
    [
        (1.0, 0.5, {}, "real: the range 1.0 to 0.5 is empty; write the smaller end first"),
        (0.0, 1.0, {"log": True, "name": "lr"}, "real 'lr': a logarithmic range starts above zero; 0.0 was given"),
        (0.0, math.inf, {}, "real takes a finite range; 0 to inf was given"),
        (math.nan, 1.0, {}, "real takes a finite range; nan to 1 was given"),
        (0, 10**400, {}, "real takes a finite range; 0 to inf was given"),
        (-1e308, 1e308, {}, "real takes a finite range"),
        (1.0, 1.0000001, {}, "real: 1.0 and 1.0000001 are the same to six significant digits; use a constant"),
        (0.5, 0.5, {}, "the same to six significant digits"),
        ("0", 1.0, {}, "real takes numbers; '0' is none"),
    ],
)
def test_what_real_refuses(low, high, options, message):
    with raises(message):
        aw.real(low, high, **options)


# ---------------------------------------------------------------------- subsets and depths


def test_a_subset_counts_its_subsets():
    assert aw.subset(*"abcd", k=2).size == 6
    assert aw.subset(*"abcd", k=(0, 4)).size == 16
    assert isinstance(aw.subset({"x": 1}, k=1), Subset)


@pytest.mark.parametrize("k", [-1, 3, (0, 3), (2, 1), (-1, 1), 0])
def test_what_subset_refuses(k):
    with raises(f"subset 's': k={k!r} is not a number, or a least and a greatest, within the 2 options"):
        aw.subset("a", "b", k=k, name="s")


def test_a_subset_has_options():
    with raises("subset takes one option or more; none was given"):
        aw.subset(k=1)
    with raises("subset: options 0 and 1 are the same: 'a'"):
        aw.subset("a", "a", k=1)


def test_the_bodies_of_a_repeat_are_written_once_each():
    seen = []

    def body(index):
        seen.append(index)
        return nn.Linear(index + 1, index + 2)

    made = aw.repeat(body, 1, 3)
    assert isinstance(made, Repeat)
    assert seen == [0, 1, 2]
    assert made.size == 3


def test_a_repeat_of_one_depth_leaves_nothing_open():
    made = aw.repeat(lambda i: nn.ReLU(), 2)
    assert isinstance(made, Call)
    assert repr(made) == "Sequential(ReLU(), ReLU())"


@pytest.mark.parametrize(("low", "high"), [(-1, 2), (3, 2), (0, 0), (0, None)])
def test_what_repeat_refuses(low, high):
    with raises("repeat takes whole numbers 0 <= low <= high with high >= 1; "):
        aw.repeat(lambda i: nn.ReLU(), low, high)


def test_a_repeat_takes_a_function():
    with raises("repeat takes a function that writes each body, such as lambda i: nn.LazyLinear(8); ReLU() was given"):
        aw.repeat(nn.ReLU(), 1, 2)


# ---------------------------------------------------------------------- graphs


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda: None, "the body of a graph names each of its inputs"),
        (lambda *x: x[0], "the body of a graph names each of its inputs"),
        (lambda x: None, "a graph returns one of its values, not None"),
        (lambda x: (), "a graph returns one of its values, not ()"),
        (lambda x: nn.ReLU(), "a graph returns one of its values, not ReLU()"),
        (lambda x: nn.ReLU()(x, name="a") + nn.Tanh()(x, name="a"), "two values of one graph are named 'a'"),
        (lambda x: nn.ReLU()(x, name="2a"), "becomes an attribute in Python; '2a' cannot be one"),
        (lambda x: nn.ReLU()(x, name="class"), "becomes an attribute in Python; 'class' cannot be one"),
        (lambda x: aw.choice(None, nn.ReLU())(x), "the graph returns choice(None, ReLU())(x0), which need not be one"),
        (
            lambda x: nn.Tanh()(aw.choice(None, nn.ReLU())(x)),
            "Tanh() is applied to choice(None, ReLU())(x0), which need not be one value: the operation None gives none",
        ),
        (lambda x: nn.Tanh()(aw.choice(x, None)), "Tanh() is applied to choice(x0, None), which need not be one value"),
        (
            lambda x: nn.Tanh()(aw.subset(nn.ReLU()(x), x, k=1)),
            "Tanh() is applied to subset(ReLU()(x0), x0, k=1), which need not be one value",
        ),
        (lambda x: aw.choice(x, nn.ReLU()), "ReLU() stands where a graph needs one of its values"),
        (nn.ReLU(), "graph takes a function of values, such as lambda x: conv(x) + x; ReLU() was given"),
        (3, "graph takes a function of values, such as lambda x: conv(x) + x; 3 was given"),
    ],
)
def test_what_graph_refuses(body, message):
    with raises(message):
        aw.graph(body)


def test_a_graph_uses_its_own_values_alone():
    outer = []
    aw.graph(lambda x: outer.append(x) or nn.ReLU()(x))
    with raises("a graph uses a value of another graph: pass that value in as an input of its own"):
        aw.graph(lambda x: x + outer[0])


def test_the_body_of_a_graph_may_have_defaults():
    width = 3
    made = aw.graph(lambda x, width=width: nn.Linear(width, width)(x))
    assert len(made.inputs) == 1


def test_values_are_named_after_their_layers_and_kept_apart():
    def body(x):
        first = nn.Conv2d(1, 1, 1)(x)
        named = nn.Conv2d(1, 1, 1)(first, name="conv2d_2")
        third = nn.LazyConv2d(1, 1)(named)
        fourth = aw.lazy("some.module:Block")()(third)
        return aw.merge(aw.choice(nn.ReLU(), nn.Tanh())(fourth), third, first)

    assert list(aw.graph(body).labels.values()) == ["conv2d", "conv2d_2", "conv2d_3", "block", "op", "sum"]


def test_a_class_called_like_a_keyword_makes_an_attribute_all_the_same():
    made = aw.graph(lambda x: aw.lazy("some.module:Lambda")()(x) + aw.lazy("some.module:Block")()(x))
    assert list(made.labels.values()) == ["op", "block", "sum"]


def test_what_merge_refuses():
    with raises(
        "values are merged by one of 'sum', 'mean', 'mul', 'max', 'concat', or by a choice of them, not by 'min'"
    ):
        aw.graph(lambda x: aw.merge(x, x, kind="min"))
    with raises("merge takes one value or more; none was given"):
        aw.merge()
    with raises("merge takes values of a graph; ReLU() is none"):
        aw.graph(lambda x: aw.merge(x, nn.ReLU()))
    with raises("merge takes values of a graph; 3 is none"):
        aw.graph(lambda x: aw.merge(x, 3))


def test_a_layer_is_called_with_values_alone():
    with raises("Linear(2, 2) is a layer written down, not a layer: inside aw.graph it can be called with the graph's"):
        nn.Linear(2, 2)(torch.zeros(1, 2))
    with raises("it was called with ()"):
        nn.ReLU()()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nodes": 0}, "nodes=0, inputs=1, fan_in=None was given"),
        ({"nodes": 2, "inputs": 0}, "nodes=2, inputs=0, fan_in=None was given"),
        ({"nodes": 2, "fan_in": 0}, "a cell has at least one computed node, input and kept edge; "),
        ({"nodes": 2, "output": "first"}, "a cell's output is 'last', 'concat', 'sum' or 'mean', not 'first'"),
        (
            {"nodes": 2, "combine": "min"},
            "values are merged by one of 'sum', 'mean', 'mul', 'max', 'concat', or by a choice",
        ),
    ],
)
def test_what_cell_refuses(options, message):
    with raises(message):
        aw.cell(lambda i, j: nn.ReLU(), **options)


def test_an_edge_leads_to_every_node_of_a_cell():
    with raises("no edge leads to node 2 of the cell: edge(i, 2) gave None for every i"):
        aw.cell(lambda i, j: None if j == 2 else nn.ReLU(), nodes=2)


# ---------------------------------------------------------------------- templates


@pytest.mark.parametrize("body", [lambda: nn.ReLU(), lambda *a: nn.ReLU(), lambda a, **k: nn.ReLU()])
def test_a_template_names_its_blanks(body):
    with raises("the body of a template names each of its blanks: one parameter for each, and at least one"):
        aw.template(body)


def test_a_template_takes_a_function():
    with raises("template takes a function, such as lambda width: conv(width); ReLU() was given"):
        aw.template(nn.ReLU())


def test_a_template_is_used_with_its_parameters():
    made = aw.template(lambda width, depth=2: nn.Linear(width, depth))
    with raises("template(width, depth=2): missing a required argument: 'width'"):
        made()
    with raises("template(width, depth=2): got an unexpected keyword argument 'size'"):
        made(3, size=4)


def test_a_blank_stands_inside_its_template():
    blanks = []
    aw.template(lambda width: blanks.append(width) or nn.ReLU())
    space = aw.Space(model=nn.Linear(blanks[0], 2))
    with raises("the blank 'width' stands outside of its template"):
        space.build({})
    with raises("the blank 'width' stands outside of its template"):
        aw.Space(model=nn.Linear(blanks[0], 2), example_input=(2,))


# ---------------------------------------------------------------------- lazy and the mirrors


class Block(torch.nn.Module):
    def __init__(self, channels, kernel=3):
        super().__init__()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (3, "lazy takes a class, a function or its name; 3 was given"),
        ("module.Block", "a target by name is written 'package.module:Class'; 'module.Block' was given"),
        (nn.ReLU(), "lazy takes a class, a function or its name; ReLU() was given"),
        (functools.partial(Block, 3), "lazy takes a class, a function or its name; partial(Block, 3) was given"),
        (torch.nn.ReLU(), "lazy takes a class, a function or its name; ReLU was given"),
    ],
)
def test_what_lazy_refuses(target, message):
    with raises(message):
        aw.lazy(target)


def test_lazy_checks_arguments_at_once():
    with raises("Block(channels, kernel=3): missing a required argument: 'channels'"):
        aw.lazy(Block)()
    with raises("Block(channels, kernel=3): got an unexpected keyword argument 'width'"):
        aw.lazy(Block)(3, width=4)


def test_lazy_names_positional_arguments():
    space = aw.Space(model=aw.lazy(Block)(aw.choice(1, 2), aw.choice(3, 5)))
    assert list(space.decisions) == ["model.channels", "model.kernel"]


def test_a_layer_of_torch_written_by_lazy_is_the_mirror_s():
    assert aw.lazy(torch.nn.LazyLinear)(3).target == nn.LazyLinear(3).target == "torch.nn.LazyLinear"
    assert repr(aw.lazy(nn.Linear)(3, 4)) == repr(nn.Linear(3, 4))


def test_the_mirrors_check_arguments_at_once():
    with raises("missing a required argument: 'out_features'"):
        nn.Linear(3)
    with raises("got an unexpected keyword argument 'width'"):
        nn.Conv2d(3, 4, 3, width=4)
    with raises("got an unexpected keyword argument 'learning_rate'"):
        optim.Adam(learning_rate=0.1)


def test_unknown_layers_are_named_with_the_nearest():
    with raises("torch.nn has no layer class 'Conv2D'; did you mean 'Conv2d'?", AttributeError):
        nn.Conv2D
    with raises("torch.nn has no layer class 'parallel'", AttributeError):
        nn.parallel
    with raises("torch.nn has no layer class 'Parameter'", AttributeError):
        nn.Parameter
    with raises("torch.optim has no optimizer class 'adam'; did you mean 'Adam'?", AttributeError):
        optim.adam


@pytest.mark.parametrize(
    "write",
    [
        lambda made: nn.Sequential(made),
        lambda made: aw.Space(model=made),
        lambda made: aw.Space(model=aw.choice(made, nn.ReLU())),
        lambda made: aw.Space(model=aw.lazy(Block)(made)),
        lambda made: aw.Space(model=nn.Sequential(aw.choice({"a": [made]}))),
    ],
)
def test_layers_that_are_made_already_are_refused(write):
    with raises("holds Linear(...), an instantiated layer, which would be shared by every network"):
        write(torch.nn.Linear(2, 2))


class Size(typing.NamedTuple):
    width: int


class Sized(torch.nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.sizes = sizes


@dataclasses.dataclass
class Settings:
    width: object


@pytest.mark.parametrize(
    "hide",
    [
        lambda width: functools.partial(torch.nn.Linear, 3, width),
        lambda width: functools.partial(torch.nn.Linear, out_features=width),
        lambda width: {width},
        lambda width: [Settings(width)],
    ],
)
def test_a_decision_inside_an_object_would_never_be_decided(hide):
    with raises("holds ordinal(3, 4) inside a "):
        aw.Space(model=aw.lazy(Sized)(hide(aw.ordinal(3, 4))))
    aw.Space(model=aw.lazy(Sized)(hide(3)))


def test_named_tuples_are_written_with_lazy():
    with raises("model.0.sizes.1 holds Size(...), a named tuple, of which its values alone would be kept; write it as"):
        aw.Space(model=nn.Sequential(aw.lazy(Sized)([3, Size(4)])))
    space = aw.Space(model=nn.Sequential(aw.lazy(Sized)([3, aw.lazy(Size)(aw.choice(4, 5))])))
    assert [space.build(each)[0].sizes[1].width for each in space.enumerate()] == [4, 5]


# ---------------------------------------------------------------------- arithmetic


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda n: n + 1, [2, 3, 4]),
        (lambda n: 1 + n, [2, 3, 4]),
        (lambda n: n - 1, [0, 1, 2]),
        (lambda n: 1 - n, [0, -1, -2]),
        (lambda n: n * 2, [2, 4, 6]),
        (lambda n: 2 * n, [2, 4, 6]),
        (lambda n: n // 2, [0, 1, 1]),
        (lambda n: 6 // n, [6, 3, 2]),
        (lambda n: (n + n) * n - 1, [1, 7, 17]),
        (lambda n: n * 0.5, [0.5, 1.0, 1.5]),
    ],
)
def test_arithmetic_on_decisions(write, expected):
    space = aw.Space(x=write(aw.integer(1, 3)))
    assert [space.resolve(architecture)["x"] for architecture in space.enumerate()] == expected


def test_what_arithmetic_refuses():
    n = aw.integer(0, 2)
    with raises("arithmetic on decisions takes numbers; 'a' is none"):
        n + "a"
    with raises("arithmetic on decisions takes numbers; None is none"):
        n * None
    told = "values of a graph are combined with each other and with numbers by +, -, *, /, @, **"
    with raises(f"{told}; x0 // 2 is not that"):
        aw.graph(lambda x: x // 2)
    with raises(f"{told}; x0 + ReLU() is not that"):
        aw.graph(lambda x: x + nn.ReLU())


def test_arithmetic_that_fails_names_its_path():
    space = aw.Space(x=[6 // aw.choice(0, 2, name="n")])
    with raises("x.0: 6 // 0 cannot be computed: "):
        space.resolve({"n": 0})
    space = aw.Space(x=aw.choice("a", "b") * 2)
    with raises("x: 'a' * 2 cannot be computed: arithmetic takes numbers"):
        space.resolve({"x.0": "a"})


def test_every_error_is_an_archwright_error():
    with pytest.raises(ArchwrightError):
        aw.choice()


def test_choices_know_their_kind():
    assert isinstance(aw.choice(1), Choice)
    assert repr(aw.choice(1, nn.ReLU(), name="a")) == "choice(1, ReLU(), name='a')"
    assert repr(aw.ordinal(1)) == "ordinal(1)"
    assert repr(aw.integer(1, 2, log=True)) == "integer(1, 2, log=True)"
    assert repr(aw.real(0.5, 2)) == "real(0.5, 2)"
    assert repr(aw.subset("a", "b", k=(0, 1))) == "subset('a', 'b', k=(0, 1))"
    assert repr(aw.repeat(lambda i: nn.ReLU(), 1, 2, name="d")) == "repeat(ReLU(), 1, 2, name='d')"
