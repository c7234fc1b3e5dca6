"""What a space looks like, what tells two spaces apart, and how the difference is told."""

from __future__ import annotations

import contextlib
import functools
import io
import operator
import os
import subprocess
import sys
from textwrap import dedent

import numpy as np
import pytest
import torch

import archwright as aw
from archwright import nn, optim
from archwright.space import describe_size, template


def joint(low=1, high=3, name="small", widths=(16, 32), lr=1e-4, act=nn.SiLU, where=()):
    width = aw.ordinal(*widths, name="width")
    body = nn.Sequential(nn.LazyLinear(2 * width + 1), aw.choice(nn.ReLU(), act()))
    return aw.Space(
        model=nn.Sequential(aw.repeat(lambda i: body, low, high), nn.LazyLinear(aw.integer(2, 1_000_000))),
        optimizer=optim.AdamW(lr=aw.real(lr, 1e-1, log=True)),
        batch_size=aw.subset("a", "b", k=(0, 1)),
        name=name,
        where=where,
    )


def test_a_space_prints_itself():
    assert str(joint()) == dedent("""\
        Space small: infinitely many architectures, 6 decisions
          model = Sequential
            0: repeat 1 to 3 of
              0 to 2: Sequential
                0: LazyLinear((2 * width) + 1)
                1: choice of
                  ReLU()
                  SiLU()
            1: LazyLinear(integer(2, 1000000))
          optimizer = AdamW(lr=real(0.0001, 0.1, log=True))
          batch_size = subset('a', 'b', k=(0, 1))
        decisions
          model.0               repeat  1 to 3
          width                 ordinal  16 · 32
          model.0.0.1           choice  ReLU() · SiLU()
          model.1.out_features  integer  2 to 1000000
          optimizer.lr          real  0.0001 to 0.1 (log)
          batch_size            subset  0 to 1 of a · b""")


def test_a_cell_prints_its_edges_and_nodes():
    options = {"none": None, "conv": nn.Conv2d(4, 4, aw.choice(1, 3, name="kernel"), padding="same")}
    cell = aw.cell(lambda i, j: aw.choice(options), nodes=2, fan_in=1, name="cell")
    space = aw.Space(model=nn.Sequential(cell, nn.ReLU(), cell))
    assert str(space) == dedent("""\
        Space: 10 architectures, 5 decisions
          model = Sequential
            0: graph cell
              edge_0_1 on x: choice of
                none: None
                conv: Conv2d(4, 4, kernel, padding='same')
              node_1: sum of edge_0_1
              edge_0_2 on x: choice of the options of cell.edge_0_1
              edge_1_2 on node_1: choice of the options of cell.edge_0_1
              node_2: sum of 1 of (edge_0_2, edge_1_2)
            1: ReLU()
            2: graph cell (as above)
        decisions
          cell.node_2    subset  1 of 0 · 1
          cell.edge_0_2  choice  none · conv
          kernel         choice  1 · 3
          cell.edge_1_2  choice  none · conv
          cell.edge_0_1  choice  none · conv""")


def test_graphs_templates_and_constraints_print():
    def body(x, y):
        a = nn.Linear(2, 2)(x)
        b = aw.choice(a, x, name="taken")
        return aw.merge(b, aw.choice(None, y), kind="mean", name="out") + nn.ReLU()(a)

    def even(architecture):
        return True

    stage = template(lambda width: nn.Linear(width, width, bias=aw.choice(True, False)))
    graph = aw.graph(body, name="block")
    space = aw.Space(model=graph, other=[stage(2), stage(4)], where=[even, lambda a: True])
    assert str(space) == dedent("""\
        Space: at most 8 architectures, 3 decisions
          model = graph block
            linear on x0: Linear(2, 2)
            out: mean of one of (linear, x0), one of (nothing, x1)
            relu on linear: ReLU()
            sum: sum of out, relu
          other = list
            0: with width=2: Linear(width, width, bias=choice(True, False))
            1: with width=4: Linear(width, width, bias=choice(True, False))
        decisions
          taken         choice  Linear(2, 2)(x0) · x0
          block.out.1   choice  None · x1
          other.0.bias  choice  True · False
        where even
        where test_graphs_templates_and_constraints_print.<locals>.<lambda>""").replace(
        "where even", "where test_graphs_templates_and_constraints_print.<locals>.even"
    )


def test_merges_of_many_values_print_in_full():
    def body(x):
        return aw.merge(*(nn.ReLU()(x, name=f"a_rather_long_name_{number}") for number in range(6)), name="out")

    names = ", ".join(f"a_rather_long_name_{number}" for number in range(6))
    assert f"    out: sum of {names}\n" in f"{aw.Space(model=aw.graph(body))}\n"


def test_a_space_in_one_line():
    assert repr(joint()) == "<Space small 6 decisions, infinitely many>"
    assert repr(aw.Space(a=aw.choice(1, 2))) == "<Space 1 decision, 2>"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1, "1"),
        (15625, "15,625"),
        (10**12 - 1, "999,999,999,999"),
        (10**12, "1,000,000,000,000 (about 10^12)"),
        (7**500, "about 10^422"),
        (pytest.param(10**5000, "about 10^5000", id="long")),
        (float("inf"), "infinitely many"),
    ],
)
def test_sizes_are_readable(size, text):
    assert describe_size(size) == text


# ---------------------------------------------------------------------- differences


def test_equal_spaces_do_not_differ():
    assert joint().differences(joint()) == []
    assert joint().differences(joint().to_json()) == []
    assert joint().fingerprint == joint().fingerprint


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        ({"low": 2}, {"-    0: repeat 2 to 3 of", "+    0: repeat 1 to 3 of"}),
        ({"high": 2}, {"-    0: repeat 1 to 2 of", "+    0: repeat 1 to 3 of"}),
        ({"widths": (16, 48)}, {"-  width                 ordinal  16 · 48"}),
        ({"lr": 1e-3}, {"-  optimizer = AdamW(lr=real(0.001, 0.1, log=True))"}),
        ({"act": nn.Tanh}, {"-          Tanh()", "+          SiLU()"}),
        ({"name": "other"}, {"-Space other: infinitely many architectures, 6 decisions"}),
    ],
)
def test_differences_show_what_changed(changed, lines):
    found = joint().differences(joint(**changed))
    assert lines <= set(found)
    assert joint().differences(joint(**changed).to_json()) == found
    assert all(line[0] in "+-" for line in found)


def test_differences_are_told_where_the_other_space_cannot_be_loaded():
    def space(width, limit):
        return aw.Space(
            model=aw.lazy(lambda n: torch.nn.Linear(n, n))(aw.choice(2, width)), where=lambda a: a["model.n"] < limit
        )

    assert "-  model = <lambda>(choice(2, 3))" in space(4, 9).differences(space(3, 9).to_json())
    alike = ["the spaces read alike, and differ in code that they call or in their constraints"]
    assert space(4, 9).differences(space(4, 8).to_json()) == alike


def test_what_is_no_space_is_said_so():
    (line,) = joint().differences({"a": 1})
    assert line.startswith("the other space cannot be read here: this is no space as Space.to_json writes it")


# ---------------------------------------------------------------------- fingerprints


def _below(limit):
    return lambda architecture: architecture["x"] < limit


def _with_default(limit):
    def below(architecture, limit=limit):
        return architecture["x"] < limit

    return below


class _Limit:
    def __init__(self, limit):
        self.limit = limit

    def __call__(self, architecture):
        return architecture["x"] < self.limit

    def __repr__(self):
        return f"Limit({self.limit})"

    def holds(self, architecture):
        return self(architecture)


def test_any_change_changes_the_fingerprint():
    def plain(x=None, y=None, name=None, where=(), example=None, z=3, **parts):
        x = aw.choice(1, 2) if x is None else x
        y = nn.Linear(2, 2) if y is None else y
        return aw.Space(x=x, y=y, z=z, name=name, where=where, example_input=example, **parts)

    def tied(same):
        width = aw.choice(1, 2)
        return [width, width if same else aw.choice(1, 2)]

    variants = [
        plain(),
        plain(x=aw.choice(1, 3)),
        plain(x=aw.choice(1, 2, 3)),
        plain(x=aw.choice(2, 1)),
        plain(x=aw.choice({"1": 1, "2": 2})),
        plain(x=aw.ordinal(1, 2)),
        plain(x=aw.choice(1, 2, name="n")),
        plain(x=aw.integer(1, 2)),
        plain(x=aw.integer(1, 3)),
        plain(x=aw.integer(1, 3, log=True)),
        plain(x=aw.real(1, 2)),
        plain(x=aw.real(1, 2, log=True)),
        plain(x=aw.real(1, 2.0000001)),
        plain(x=aw.subset(1, 2, k=1)),
        plain(x=aw.subset(1, 2, k=(0, 1))),
        plain(x=[1, 2]),
        plain(x=(1, 2)),
        plain(x=tied(True)),
        plain(x=tied(False)),
        plain(y=nn.Linear(2, 3)),
        plain(y=nn.Linear(2, out_features=2)),
        plain(y=nn.Linear(2, 2, dtype=torch.float64)),
        plain(y=aw.repeat(lambda i: nn.ReLU(), 0, 2)),
        plain(y=aw.repeat(lambda i: nn.ReLU(), 1, 2)),
        plain(y=aw.graph(lambda a: a + nn.ReLU()(a))),
        plain(y=aw.graph(lambda a: nn.ReLU()(a) + a)),
        plain(y=aw.graph(lambda a: aw.merge(a, nn.ReLU()(a), kind="mean"))),
        plain(y=aw.graph(lambda a: a + nn.ReLU()(a), name="g")),
        plain(y=aw.graph(lambda a: a + nn.ReLU()(a, name="act"))),
        plain(y=aw.cell(lambda i, j: nn.ReLU(), nodes=1)),
        plain(y=aw.cell(lambda i, j: nn.ReLU(), nodes=1, keep_unused=True)),
        plain(z=4),
        plain(z=3.0),
        plain(z="3"),
        plain(z=None),
        plain(w=3),
        plain(name="named"),
        plain(example=(2,)),
        plain(example=aw.TensorSpec((2,), "float64")),
        plain(z=torch.nn.functional.relu),
        plain(z=torch.nn.functional.gelu),
        plain(where=lambda a: a["x"] < 3),
        plain(where=lambda a: a["x"] < 4),
        plain(where=lambda a: a["x"] <= 4),
        plain(where=[lambda a: a["x"] < 4, lambda a: True]),
        plain(where=lambda a: all(value < 4 for value in a.values())),
        plain(where=lambda a: all(value < 5 for value in a.values())),
        plain(where=_below(3)),
        plain(where=_below(4)),
        plain(where=_with_default(3)),
        plain(where=_with_default(4)),
        plain(where=functools.partial(operator.ne, {"x": 1})),
        plain(where=functools.partial(lambda limit, a: a["x"] < limit, 3)),
        plain(where=functools.partial(lambda limit, a: a["x"] < limit, 4)),
        plain(where=functools.partial(lambda a, limit: a["x"] < limit, limit=4)),
        plain(where=_Limit(3)),
        plain(where=_Limit(4)),
        plain(where=_Limit(3).holds),
        plain(where=_Limit(4).holds),
    ]
    prints = [variant.fingerprint for variant in variants]
    assert len(prints) == len(set(prints))


def test_a_changed_constraint_of_a_module_changes_the_fingerprint(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    prints = []
    for index, limit in enumerate(("3", "4", "3  # and a remark")):
        (tmp_path / f"constraints_{index}.py").write_text(f"def holds(a):\n    return a['x'] < {limit}\n")
        module = __import__(f"constraints_{index}")
        module.holds.__module__ = "constraints"
        prints.append(aw.Space(x=aw.choice(1, 2), where=module.holds).fingerprint)
    assert prints[0] != prints[1]
    assert prints[0] == prints[2]


def test_a_constraint_without_a_text_has_a_fingerprint_all_the_same():
    namespace = {"__name__": "typed"}
    exec("def holds(a): return True", namespace)
    written = aw.Space(x=1, where=namespace["holds"]).to_json()
    assert written["where"] == [{"import": "typed:holds"}]


ELSEWHERE = """
import archwright as aw
from archwright import nn, optim
import torch
words = {"a", "b", "c", "d", "e"}
act = torch.nn.functional.relu
space = aw.Space(
    model=nn.Sequential(nn.LazyLinear(aw.choice(1, 2)), aw.choice(nn.ReLU(), nn.Tanh())),
    layer=nn.TransformerEncoderLayer(8, 2, activation=aw.choice(act, torch.nn.functional.gelu)),
    word=aw.choice("a", "f"),
    thing=aw.choice(object, lambda: 3),
    where=[lambda x: x["word"] in {"a", "b", "c", "d", "e"}, lambda x, words=("p", "q"): True],
)
print(space.fingerprint)
print(space)
"""


def test_fingerprint_and_text_are_the_same_in_every_process():
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", ELSEWHERE], env=environment, capture_output=True, text=True, check=True)
    here = io.StringIO()
    with contextlib.redirect_stdout(here):
        exec(compile(ELSEWHERE, "<string>", "exec", dont_inherit=True), {"__name__": "__main__"})
    assert here.getvalue() == ran.stdout
    assert "0x" not in ran.stdout


def test_space_objects_leave_the_generator_alone():
    generator = np.random.default_rng(0)
    before = generator.bit_generator.state
    _ = joint().fingerprint, str(joint())
    assert generator.bit_generator.state == before
