"""Shapes are checked when a space is made: what does not fit is refused, with its path, and what runs is not."""

from __future__ import annotations

import re
from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.build import blocks

import archwright as aw
from archwright import nn
from archwright.errors import BuildError, ShapeError
from archwright.space import template
from archwright.testing import random_spaces


def refused(message, model, example=(3, 8, 8), **options):
    """Check that a space is refused where it is made, and also where its input is known only later."""
    pattern = re.escape(message)
    with pytest.raises(ShapeError, match=pattern):
        aw.Space(model=model, example_input=example, **options)
    later = aw.Space(model=model, **options)
    with pytest.raises(ShapeError, match=pattern):
        later.check(example)


def fits(model, example=(3, 8, 8), **options):
    """Check that a space is accepted, and that all of its architectures (or some, of many) run."""
    space = aw.Space(model=model, example_input=example, **options)
    inputs = [torch.zeros((2, *spec.shape), dtype=getattr(torch, spec.dtype)) for spec in space.example_input]
    for architecture in islice(space.enumerate(), 40):
        space.build(architecture)(*inputs)
    return space


WIDE = {"narrow": nn.LazyConv2d(4, 1), "wide": nn.LazyConv2d(8, 1)}


# ---------------------------------------------------------------------- where options disagree


def test_in_a_row():
    refused(
        "model.1.narrow and model.1.wide disagree in shape: with model.1.wide, model.2: Conv2d(4, 2, 1), where model.2 "
        "is given shape (2, 8, 8, 8): Given groups=1, weight of size [2, 4, 1, 1]",
        nn.Sequential(nn.ReLU(), aw.choice(WIDE), nn.Conv2d(4, 2, 1)),
    )
    refused(
        "model.0.narrow and model.0.wide disagree in shape: with model.0.narrow, model.3: Linear(512, 2), where "
        "model.3 is given shape (2, 256): mat1 and mat2",
        nn.Sequential(aw.choice(WIDE), nn.ReLU(), nn.Flatten(), nn.Linear(512, 2)),
    )


def test_no_layer_takes_what_comes_out():
    refused(
        "model.1: Conv2d(5, 2, 1), where model.1 is given shape (2, 4, 8, 8)",
        nn.Sequential(aw.choice(WIDE), nn.Conv2d(5, 2, 1)),
    )


def test_a_named_choice_is_told_by_its_name():
    refused("kind.narrow and kind.wide disagree in shape", nn.Sequential(aw.choice(WIDE, name="kind")))


def test_the_model_itself():
    refused("model.narrow and model.wide disagree in shape", aw.choice(WIDE))


def test_in_a_graph():
    refused(
        "block.op.narrow and block.op.wide disagree in shape",
        aw.graph(lambda x: nn.ReLU()(aw.choice(WIDE)(x)), name="block"),
    )


def test_in_nested_choices():
    inner = aw.choice({"same": nn.LazyConv2d(4, 1), "other": nn.LazyConv2d(5, 1)})
    refused(
        "model.0.deep.same and model.0.deep.other disagree in shape: (2, 4, 8, 8) and (2, 5, 8, 8)",
        nn.Sequential(aw.choice({"plain": nn.LazyConv2d(4, 1), "deep": inner})),
    )
    agreeing = aw.choice({"a": nn.LazyConv2d(5, 1), "b": nn.LazyConv2d(5, 3, padding=1)})
    refused(
        "model.plain and model.deep disagree in shape: (2, 4, 8, 8) and (2, 5, 8, 8)",
        aw.choice({"plain": nn.LazyConv2d(4, 1), "deep": agreeing}),
    )


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_in_any_body_of_a_repeat(at):
    def body(index):
        return aw.choice(WIDE) if index == at else nn.ReLU()

    refused(f"model.0.{at}.narrow and model.0.{at}.wide disagree in shape", nn.Sequential(aw.repeat(body, 1, 4)))


def test_in_a_late_body_of_a_deep_repeat():
    def body(index):
        return nn.Linear(3, 3) if index == 29 else nn.ReLU()

    refused("model.29: Linear(3, 3)", aw.repeat(body, 0, 30))


def test_in_what_a_user_s_class_takes():
    refused(
        "model.shortcut.narrow and model.shortcut.wide disagree in shape: with model.shortcut.wide, model: "
        "Residual(LazyConv2d(4, 1), shortcut=LazyConv2d(8, 1)), where model, with model.shortcut.wide is given shape",
        aw.lazy(blocks.Residual)(nn.LazyConv2d(4, 1), shortcut=aw.choice(WIDE)),
    )
    inner = aw.choice({"in": nn.Sequential(aw.choice({"three": nn.LazyConv2d(3, 1), "four": nn.LazyConv2d(4, 1)}))})
    refused(
        "model.0.1.in.0.three and model.0.1.in.0.four disagree in shape: with model.0.1.in.0.four, model: Residual",
        aw.lazy(blocks.Residual)(nn.Sequential(nn.ReLU(), inner)),
    )


def test_in_a_template():
    def body(width):
        return nn.Sequential(nn.LazyConv2d(width, 1), aw.choice({"keep": nn.Identity(), "double": nn.LazyConv2d(8, 1)}))

    stage = template(body)
    refused("model.0.1.keep and model.0.1.double disagree in shape: (2, 4,", nn.Sequential(stage(8), stage(4)))
    fits(nn.Sequential(stage(8), nn.ReLU(), stage(8)))


def test_in_a_cell():
    def edge(i, j):
        return aw.choice(WIDE) if (i, j) == (1, 2) else nn.LazyConv2d(4, 1)

    refused("cell.edge_1_2.narrow and cell.edge_1_2.wide disagree in shape", aw.cell(edge, nodes=3, name="cell"))


def test_values_that_are_added():
    def body(x):
        return nn.LazyConv2d(4, 1)(x) + nn.LazyConv2d(5, 1)(x)

    refused("model.conv2d and model.conv2d_2 disagree in shape: (2, 4, 8, 8) and (2, 5, 8, 8)", aw.graph(body))
    refused(
        "model.sum operand 1 disagree in shape: (2, 4, 8, 8) and (2, 3, 8, 8)",
        aw.graph(lambda x: nn.LazyConv2d(4, 1)(x) + x),
    )


def test_values_that_are_joined():
    fits(aw.graph(lambda x: aw.merge(nn.LazyConv2d(4, 1)(x), nn.LazyConv2d(5, 1)(x), kind="concat")))
    refused(
        "model.concat: values of shape (2, 3, 4, 4), (2, 3, 8, 8) cannot be joined along axis 1: Sizes of tensors must",
        aw.graph(lambda x: aw.merge(nn.MaxPool2d(2)(x), x, kind="concat")),
    )


def test_the_values_of_a_subset():
    def body(x):
        a, b, c = nn.LazyConv2d(4, 1)(x), nn.LazyConv2d(4, 3, padding=1)(x), nn.LazyConv2d(5, 1)(x)
        return aw.merge(aw.subset(a, b, c, k=1))

    message = (
        "model.sum=('LazyConv2d(4, 1)(x0)',) and model.sum=('LazyConv2d(5, 1)(x0)',) disagree in shape: (2, 4, 8, 8)"
    )
    refused(message, aw.graph(body))


def test_the_values_of_a_choice():
    def body(x):
        return aw.choice({"pooled": nn.MaxPool2d(2)(x), "whole": x}, name="value")

    refused("value.pooled and value.whole disagree in shape: (2, 3, 4, 4) and (2, 3, 8, 8)", aw.graph(body))


def test_zeros_in_place_of_absent_operations():
    """Where no operation is left the result is zeros like the input, which has to fit too."""

    def body(x):
        down = {"none": None, "pool": nn.MaxPool2d(2)}
        return aw.choice(down, name="first")(x) + aw.choice(down, name="second")(x)

    refused("second.none and second.pool disagree in shape: (2, 3, 8, 8) and (2, 3, 4, 4)", aw.graph(body))
    refused("where every operation is None the result is zeros in the shape of what went in: write", aw.graph(body))
    fits(aw.graph(body), where=lambda a: (a["first"], a["second"]) != ("none", "none"))
    fits(aw.graph(lambda x: aw.choice({"none": None, "pool": nn.MaxPool2d(2)})(x) + nn.MaxPool2d(2)(x)))
    fits(aw.graph(lambda x: aw.choice({"none": None, "pool": nn.MaxPool2d(3, 1, 1)})(x) + aw.choice(None, x)))


@pytest.mark.parametrize("k", [(0, 1), (1, 2)])
def test_zeros_in_place_of_an_empty_subset(k):
    def body(x):
        pooled = [aw.choice({"none": None, "pool": nn.MaxPool2d(2)})(x) for _ in range(2)]
        return aw.merge(aw.subset(*pooled, k=k))

    refused("where every operation is None the result is zeros in the shape of what went in", aw.graph(body))


def test_tied_operations_are_absent_together():
    def body(x):
        op = aw.choice({"none": None, "pool": nn.MaxPool2d(2)}, name="op")
        other = aw.choice({"pool": nn.MaxPool2d(2), "none": None}, name="other")
        return op(x) + op(x) + other(x)

    refused("other.pool and other.none disagree in shape: with other.pool, model.sum and model.op_3", aw.graph(body))


def test_no_operation_in_a_row_of_layers():
    message = "None stands in a row of layers; write nn.Identity() there"
    refused(f"model.1: {message}", nn.Sequential(nn.ReLU(), aw.choice(None, nn.ReLU())))
    refused(f"model.1: {message}", nn.Sequential(nn.ReLU(), None))
    refused(f"model.0: {message}", nn.Sequential(aw.choice({"deep": aw.choice(None, nn.ReLU()), "flat": nn.ReLU()})))
    fits(nn.Sequential(aw.choice({"a": None, "b": nn.ReLU()}, name="op")), where=lambda a: a["op"] == "b")


# ---------------------------------------------------------------------- where a layer does not fit


def test_arguments_that_a_layer_refuses():
    refused(
        "model.1.groups: Conv2d(3, 4, 3, groups=2) cannot be made: in_channels must be divisible by groups",
        nn.Sequential(nn.ReLU(), aw.choice({"plain": nn.Conv2d(3, 4, 3), "groups": nn.Conv2d(3, 4, 3, groups=2)})),
    )
    refused(
        "model.0: Conv2d(3, 4, 3, groups=3) cannot be made",
        nn.Sequential(nn.Conv2d(3, aw.choice(3, 6, 4, name="width"), 3, groups=3)),
    )


def test_inputs_that_a_layer_refuses():
    refused(
        "model.1: Linear(9, 2), where model.1 is given shape (2, 192): mat1 and mat2 shapes cannot be multiplied",
        nn.Sequential(nn.Flatten(), nn.Linear(9, 2)),
    )
    refused("model.0: Conv2d(3, 4, 99), where model.0 is given", nn.Sequential(nn.Conv2d(3, 4, aw.choice(3, 99))))


def test_every_value_of_a_number_is_tried_and_both_ends_of_a_range():
    refused("model.1: Linear(3, 2)", nn.Sequential(nn.Linear(8, aw.ordinal(3, 4)), nn.Linear(3, 2)), (8,))
    refused("model.1: Linear(1, 2)", nn.Sequential(nn.Linear(8, aw.integer(1, 1000)), nn.Linear(1, 2)), (8,))
    for end in (1, 50):
        model = nn.Sequential(nn.Linear(8, aw.integer(1, 50)), aw.lazy(Refusing)(end))
        refused(f"model.1: Refusing({end}), where model.1 is given shape (2, {end}): refused", model, (8,))


class Refusing(torch.nn.Module):
    """Refuses inputs of one width."""

    def __init__(self, width):
        super().__init__()
        self.width = width

    def forward(self, x):
        if x.shape[-1] == self.width:
            raise ValueError("refused")
        return x


@pytest.mark.parametrize("count", [2, 3, 5, 8])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_each_of_up_to_eight_values_is_met_wherever_the_decision_stands(count, place):
    for value in range(1, count + 1):
        others = [nn.Linear(8, aw.choice(8, 16, 24)), nn.LazyLinear(8), nn.Linear(8, aw.choice(4, 8)), nn.LazyLinear(8)]
        bad = nn.Sequential(nn.LazyLinear(aw.integer(1, count, name="bad")), aw.lazy(Refusing)(value), nn.LazyLinear(8))
        model = nn.Sequential(*others[: 2 * place], bad, *others[2 * place :])
        refused(f"where model.{2 * place}.1 is given shape (2, {value}): refused", model, (8,))


def test_every_depth_is_met():
    model = nn.Sequential(aw.repeat(lambda i: nn.MaxPool2d(2), 1, 4))
    refused("model.0.3: MaxPool2d(2), where model.0.3 is given shape (2, 3, 1, 1)", model)
    fits(nn.Sequential(aw.repeat(lambda i: nn.MaxPool2d(2), 1, 3)))


def test_errors_inside_a_user_s_class_name_the_innermost_layer():
    inner = aw.lazy(blocks.Residual)(nn.Linear(8, 8), shortcut=nn.Linear(9, 8))
    refused("model.0.shortcut: Linear(9, 8), where model.0 is given shape (2, 3, 8, 8)", nn.Sequential(inner))
    widening = aw.lazy(blocks.Residual)(nn.LazyConv2d(5, 1))
    refused("model.1: Residual(LazyConv2d(5, 1)), where model.1 is given shape", nn.Sequential(nn.ReLU(), widening))


def test_layers_that_do_not_fit_inside_what_a_user_s_class_takes():
    bodies = aw.choice({"good": nn.LazyConv2d(3, 1), "bad": nn.Conv2d(4, 3, 1)}, name="body")
    refused("body.bad: Conv2d(4, 3, 1), where body.bad is given shape (2, 3, 8, 8)", aw.lazy(blocks.Residual)(bodies))


def test_graphs_with_another_number_of_inputs():
    two = aw.graph(lambda x, y: x + y, name="two")
    refused("two: the graph takes 2 values and was given 1", nn.Sequential(nn.ReLU(), two))
    refused("inner: the graph takes 1 values and was given 2", aw.graph(_applies_to_two))


def _applies_to_two(x):
    inner = aw.graph(lambda a: nn.ReLU()(a), name="inner")
    return inner(x, x)


@pytest.mark.parametrize("item", [3, [nn.ReLU()], "relu", aw.optim.SGD(lr=0.1), nn.ReLU, aw.integer(1, 2)])
def test_what_is_no_layer(item):
    refused("model.1: ", nn.Sequential(nn.ReLU(), item))


def test_arithmetic_that_fails():
    n = aw.choice(0, 2, name="n")
    refused("model.out_channels: 4 // 0 cannot be computed", nn.Conv2d(3, 4 // n, 1))


# ---------------------------------------------------------------------- constraints


def test_constrained_spaces_are_checked_only_where_they_hold():
    kind = aw.choice(WIDE, name="kind")
    fits(nn.Sequential(kind), where=lambda a: a["kind"] == "wide")
    width = aw.ordinal(4, 8, name="width")
    residual = aw.graph(lambda x: aw.choice(WIDE, name="kind")(x) + nn.LazyConv2d(width, 1)(x))
    matching = {("narrow", 4), ("wide", 8)}
    space = fits(residual, where=lambda a: (a["kind"], a["width"]) in matching)
    assert space.size == 2
    refused("disagree in shape", residual)
    refused("disagree in shape", residual, where=lambda a: a["width"] == 4)


def test_what_constraints_allow_is_still_checked():
    third = {**WIDE, "third": nn.LazyConv2d(4, 1)}
    model = nn.Sequential(aw.choice(third, name="kind"))
    fits(model, where=lambda a: a["kind"] != "wide")
    refused("kind.narrow and kind.wide disagree in shape", model, where=lambda a: a["kind"] != "third")


# ---------------------------------------------------------------------- what is not to be refused


@given(random_spaces())
def test_random_spaces_fit(space):
    """They were checked when they were drawn; checked again, they still fit."""
    space.check(space.example_input)


POOLED = {"pooled": nn.MaxPool2d(2), "whole": nn.Identity()}


def test_options_may_differ_in_shape_where_what_follows_takes_them_all():
    fits(nn.Sequential(aw.choice(nn.LazyLinear(16), nn.LazyLinear(32)), nn.LazyLinear(10)), (8,))
    fits(nn.Sequential(aw.choice(WIDE), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(10)))
    fits(nn.Sequential(aw.choice(POOLED), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 10)))
    fits(nn.Sequential(aw.choice(nn.Identity(), nn.AdaptiveAvgPool2d(1)), nn.Flatten(), nn.LazyLinear(10)))
    rest = nn.LazyBatchNorm2d(), nn.ReLU(), aw.choice(POOLED), nn.LazyConv2d(3, 1, 2), nn.AdaptiveMaxPool2d(2)
    fits(nn.Sequential(aw.choice(WIDE), *rest))


def test_options_may_differ_in_shape_inside_a_user_s_class():
    fits(nn.Sequential(aw.lazy(blocks.Residual)(aw.choice(WIDE), nn.LazyConv2d(3, 1)), nn.Flatten(), nn.LazyLinear(2)))
    kind = aw.choice(WIDE, name="kind")
    fits(nn.Sequential(aw.lazy(blocks.Residual)(kind, shortcut=kind), nn.LazyConv2d(3, 1)))
    apart = [aw.choice(WIDE, name=name) for name in ("body", "shortcut")]
    model = nn.Sequential(aw.lazy(blocks.Residual)(apart[0], shortcut=apart[1]), nn.LazyConv2d(3, 1))
    refused("Residual(LazyConv2d(4, 1), shortcut=LazyConv2d(8, 1))", model)
    fits(model, where=lambda a: a["body"] == a["shortcut"])


def test_options_may_differ_in_shape_in_graphs_templates_and_repeats():
    kind = aw.choice(WIDE, name="kind")
    fits(aw.graph(lambda x: nn.LazyConv2d(3, 1)(kind(x)) + x))
    fits(aw.graph(lambda x: kind(x) + kind(x) + x), example=(8, 8, 8), where=lambda a: a["kind"] == "wide")
    refused(
        "with kind.wide, model.op and model.conv2d disagree in shape: (2, 8, 8, 8) and (2, 4, 8, 8)",
        aw.graph(lambda x: kind(x) + nn.LazyConv2d(4, 1)(x)),
    )
    stage = template(lambda width: nn.Sequential(nn.LazyConv2d(width, 1), aw.choice(POOLED, name="pool")))
    fits(nn.Sequential(stage(4), stage(aw.ordinal(4, 8)), stage(6), nn.AdaptiveAvgPool2d(1)))
    fits(nn.Sequential(aw.repeat(lambda i: aw.choice(POOLED), 0, 3), nn.AdaptiveMaxPool2d(1), nn.Flatten()))
    refused("MaxPool2d(2)", nn.Sequential(aw.repeat(lambda i: aw.choice(POOLED), 0, 4), nn.AdaptiveMaxPool2d(1)))


def test_sums_may_spread_an_axis_of_one():
    """A value of one number for each channel is added to every place of a picture, as torch does."""
    fits(aw.graph(lambda x: nn.LazyConv2d(4, 1)(x) + nn.AdaptiveAvgPool2d(1)(nn.LazyConv2d(4, 1)(x))))
    refused(
        "model.flatten and model.sum operand 1 disagree in shape: (2, 24) and (2, 4, 2, 3)",
        aw.graph(lambda x: nn.Flatten()(x) + x),
        (4, 2, 3),
    )  # where the batch would be taken for another axis


def test_one_combination_of_very_many_is_found():
    """Shapes are followed exactly: of 10^12 architectures those with six poolings fail."""
    layers = [aw.choice(POOLED, name=f"pool_{index}") for index in range(8)]
    others = [aw.choice(*[nn.LeakyReLU(0.1 * k) for k in range(10)]) for _ in range(10)]
    row = [layer for pair in zip(layers, others, strict=False) for layer in pair]
    model = nn.Sequential(*row, *others[8:], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(3))
    refused("pool_5.pooled: MaxPool2d(2), where pool_5.pooled is given shape (2, 3, 1, 1)", model, (3, 32, 32))
    space = aw.Space(model=model, example_input=(3, 256, 256))
    assert space.size > 10**12


class Adding(torch.nn.Module):
    """Adds what two parts give."""

    def __init__(self, one, other):
        super().__init__()
        self.one, self.other = one, other

    def forward(self, x):
        return self.one(x) + self.other(x)


LAYERS = [nn.LazyLinear(4), nn.LazyLinear(6), nn.Linear(4, 6), nn.Linear(6, 4), nn.Identity()]
NUMBERS = [nn.Linear(aw.ordinal(4, 6, name="in"), aw.ordinal(4, 6, name="out")), nn.LazyLinear(aw.choice(4, 6))]


@st.composite
def widths(draw, depth=2):
    """Draw a part that takes and gives rows of 4 or 6 numbers, with options that may not fit."""
    kind = draw(st.sampled_from(["layer", "choice", "row", "sum", "own", "repeat"] if depth else ["layer"]))
    part = widths(depth=depth - 1)
    if kind == "layer":
        return draw(st.sampled_from(LAYERS + NUMBERS))
    if kind == "choice":
        return aw.choice(*draw(st.lists(part, min_size=2, max_size=3, unique_by=id)))
    if kind == "row":
        return nn.Sequential(*draw(st.lists(part, min_size=1, max_size=2)))
    if kind == "repeat":
        bodies = draw(st.lists(part, min_size=2, max_size=2))
        return aw.repeat(lambda i: bodies[i], 0, 2)
    one, other = draw(part), draw(part)
    return aw.lazy(Adding)(one, other) if kind == "own" else aw.graph(lambda x: one(x) + other(x))


@settings(max_examples=60)
@given(st.lists(widths(), min_size=2, max_size=4), st.sets(st.integers(0, 200), max_size=20), st.booleans())
def test_a_space_is_accepted_exactly_where_every_architecture_runs(parts, left_out, is_bound):
    """The check agrees with running all networks one by one, with constraints and without."""
    model = nn.Sequential(*parts, nn.LazyLinear(3))
    free = aw.Space(model=model)
    if free.bound > 300:
        return
    listed = list(free.enumerate())
    kept = [each for index, each in enumerate(listed) if index not in left_out] if is_bound else listed
    if not kept:
        return
    space = aw.Space(model=model, where=lambda a: a in set(kept)) if is_bound else free
    assert is_accepted(space) == all(runs(space, architecture) for architecture in kept)


def is_accepted(space):
    try:
        space.check((4,))
    except ShapeError:
        return False
    return True


def runs(space, architecture):
    try:
        with torch.device("meta"):
            space.build(architecture)(torch.zeros(2, 4))
    except (BuildError, RuntimeError):
        return False
    return True


def test_rows_may_change_shape_where_what_follows_is_lazy():
    fits(
        nn.Sequential(
            aw.repeat(lambda i: nn.LazyConv2d(aw.choice(4, 8), 3, stride=aw.choice(1, 2), padding=1), 1, 3),
            nn.Flatten(),
            nn.LazyLinear(2),
        )
    )


def test_layers_of_several_outputs():
    fits(aw.lazy(blocks.Last)(nn.LSTM(8, aw.choice(3, 5, name="hidden"), batch_first=True)), (6, 8))
    kinds = {"lstm": nn.LSTM(8, 4, batch_first=True), "gru": nn.GRU(8, 4, batch_first=True)}
    fits(aw.lazy(blocks.Last)(aw.choice(kinds, name="cell")), (6, 8))  # their states differ in shape; nobody takes them
    options = {name: aw.lazy(blocks.Last)(kind) for name, kind in kinds.items()}
    fits(nn.Sequential(aw.choice(options), nn.LazyLinear(2)), (6, 8))


def test_tokens():
    model = nn.Sequential(nn.Embedding(10, aw.choice(4, 8)), nn.Flatten(), nn.LazyLinear(2))
    fits(model, aw.TensorSpec((7,), "int64"))
    refused("model.0: Embedding", model, (7,))


def test_transformers():
    layer = nn.TransformerEncoderLayer(8, aw.choice(2, 4), dim_feedforward=16, batch_first=True)
    fits(nn.TransformerEncoder(layer, num_layers=aw.integer(1, 2)), (6, 8))
    act = aw.choice(
        {"a": layer, "b": nn.TransformerEncoderLayer(8, 1, dim_feedforward=8, batch_first=True)}, name="layer"
    )
    fits(nn.TransformerEncoder(act, num_layers=2), (6, 8))
    refused(
        "embed_dim must be divisible by num_heads",
        nn.Sequential(nn.TransformerEncoderLayer(8, aw.choice(2, 3))),
        (6, 8),
    )


def test_classes_that_look_into_what_they_take():
    narrow, wide = nn.Linear(8, 4), nn.Linear(8, 6)
    fits(aw.lazy(blocks.Inspecting)(aw.choice({"narrow": narrow, "wide": wide}, name="body")), (8,))
    fits(aw.lazy(blocks.Iterating)(nn.Sequential(nn.Linear(8, 4), aw.choice(nn.ReLU(), nn.Tanh()))), (8,))
    fits(aw.lazy(blocks.Iterating)(aw.repeat(lambda i: nn.Linear(8, 8), 1, 3)), (8,))
    bad = aw.choice({"good": nn.Sequential(nn.Linear(8, 4)), "bad": nn.Sequential(nn.Linear(9, 4))}, name="body")
    refused("Linear(9, 4), where model, with body.bad is given shape (2, 8)", aw.lazy(blocks.Iterating)(bad), (8,))
    differing = aw.choice({"a": nn.Sequential(nn.Linear(8, 4)), "b": nn.Sequential(nn.Linear(8, 5))}, name="body")
    refused("body.a and body.b disagree in shape", aw.lazy(blocks.Iterating)(differing), (8,))


def test_lists_of_modules():
    class Summing(torch.nn.Module):
        def __init__(self, branches):
            super().__init__()
            self.branches = torch.nn.ModuleList(branches)

        def forward(self, x):
            return sum(branch(x) for branch in self.branches)

    fits(aw.lazy(Summing)([nn.LazyConv2d(4, 1), aw.choice(nn.LazyConv2d(4, 1), nn.LazyConv2d(4, 3, padding=1))]))
    fits(aw.lazy(Summing)(aw.subset(nn.LazyConv2d(4, 1), nn.Conv2d(3, 4, 1), k=(1, 2))))
    fits(aw.lazy(Summing)(nn.ModuleList([nn.LazyConv2d(4, 1), aw.choice(nn.LazyConv2d(4, 1), nn.Conv2d(3, 4, 1))])))


def test_settings_inside_a_user_s_class():
    width = aw.choice(3, 5)
    settings = aw.choice({"a": aw.lazy(blocks.Settings)(width), "b": aw.lazy(blocks.Settings)(width, bias=False)})
    fits(nn.Sequential(nn.Linear(8, width), aw.lazy(blocks.Configured)(settings)), (8,))


def test_modules_that_may_be_left_out():
    shortcut = aw.choice({"none": None, "conv": nn.Conv2d(3, 3, 1)}, name="shortcut")
    space = fits(aw.lazy(blocks.Residual)(nn.Conv2d(3, 3, 1), shortcut=shortcut))
    assert space.size == 2


def test_several_inputs():
    model = aw.lazy(blocks.Two)(aw.choice(nn.Linear(3, 4), nn.LazyLinear(4)), nn.LazyLinear(5))
    fits(model, ((3,), (4,)))
    refused("model: a row of layers takes one value and was given 2", nn.Sequential(model), ((3,), (4,)))
    refused("forward() missing 1 required positional argument: 'y'", nn.Sequential(model), (3,))


def test_layers_that_the_meta_device_does_not_know():
    class Plain(torch.nn.Module):
        def forward(self, x):
            if x.sum().item() == 0:
                return 2 * x
            return x

    fits(nn.Sequential(nn.LazyConv2d(4, 1), aw.lazy(Plain)(), aw.choice(nn.ReLU(), nn.Tanh())))


def test_functions_that_make_modules():
    fits(nn.Sequential(aw.lazy(blocks.make_block)(3), nn.Flatten(), nn.LazyLinear(2)))


def test_a_space_is_checked_in_reasonable_time():
    """A layer is run once for each shape that it is given, not once for each place or combination."""
    calls = []

    class Counting(torch.nn.Module):
        def __init__(self, number):
            super().__init__()

        def forward(self, x):
            calls.append(1)
            return x

    def edge(i, j):
        return aw.choice({f"option_{k}": aw.lazy(Counting)(k) for k in range(5)})

    cell = aw.cell(edge, nodes=6, name="cell")
    space = aw.Space(model=nn.Sequential(*[cell] * 20), example_input=(3, 8, 8))
    assert space.size == 5**21
    assert len(calls) == 5
