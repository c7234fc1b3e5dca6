"""Written source: one network with what is built, readable, standing by itself."""

from __future__ import annotations

import ast
import functools
import json
import subprocess
import sys
from textwrap import dedent

import numpy as np
import pytest
import torch
from hypothesis import given
from safetensors.torch import load_file, save_file
from tests.build import blocks
from tests.build.helpers import executed, ruff, write

import archwright as aw
from archwright import nn
from archwright.build._syntax import expression, literal, source_of
from archwright.errors import BuildError
from archwright.space import template
from archwright.testing import random_spaces
from archwright.testing._spaces import check_build_and_source


def network():
    """A network of about everything."""
    width = aw.ordinal(8, 12, name="width")
    block = nn.Sequential(
        nn.LazyConv2d(width, 3, padding="same"), nn.LazyBatchNorm2d(), aw.choice(nn.ReLU(), nn.SiLU())
    )
    residual = aw.graph(lambda x: block(x, name="body") + nn.LazyConv2d(width, 1)(x, name="shortcut"), name="residual")
    options = {"none": None, "skip": nn.Identity(), "pool": nn.AvgPool2d(3, 1, 1), "conv": nn.LazyConv2d(8, 1)}
    cell = aw.cell(lambda i, j: aw.choice(options), nodes=3, output="mean", name="cell")
    mean = aw.cell(lambda i, j: aw.choice(options), nodes=2, combine="mean", output="concat", name="mean")
    stage = template(lambda n: nn.Sequential(nn.LazyConv2d(n, 1), aw.choice(nn.ReLU(), nn.Tanh(), name="act")))
    return aw.Space(
        model=nn.Sequential(
            nn.Conv2d(3, 8, 3),
            cell,
            aw.repeat(lambda i: residual, 1, 3, name="depth"),
            nn.LazyConv2d(8, 1),
            cell,
            mean,
            stage(4),
            stage(2 * width),
            aw.lazy(blocks.Residual)(nn.LazyConv2d(8, 1), shortcut=nn.LazyConv2d(8, 1)),
            aw.lazy(blocks.Block)(8),
            nn.AdaptiveAvgPool2d((1, 1)),
            nn.Sequential({"flat": nn.Flatten(), "drop": nn.Dropout(1e-05), "head": nn.LazyLinear(10)}),
        ),
        example_input=(3, 12, 12),
        name="network",
    )


def test_a_small_network_reads_like_one_written_by_hand():
    kernel = aw.choice(1, 3, name="kernel")
    conv = nn.Sequential(nn.LazyConv2d(8, kernel, padding="same", bias=False), nn.LazyBatchNorm2d())
    block = aw.graph(lambda x: nn.ReLU()(conv(x, name="conv")) + x, name="residual")
    model = nn.Sequential(nn.Conv2d(3, 8, 1), block, block, nn.Flatten(), nn.LazyLinear(10))
    space = aw.Space(model=model, example_input=(3, 8, 8))
    architecture = space.canonical({"kernel": 3})
    assert space.source(architecture) == dedent(f'''\
        """Network {architecture.id}, in plain PyTorch.

        Input: float32 (batch, 3, 8, 8).
        """

        import torch
        from torch import nn


        class Residual(nn.Module):
            def __init__(self, conv: nn.Module, relu: nn.Module) -> None:
                super().__init__()
                self.conv = conv
                self.relu = relu

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                conv = self.conv(x)
                return self.relu(conv) + x


        def residual_1() -> nn.Module:
            return Residual(
                conv=nn.Sequential(
                    nn.Conv2d(8, 8, 3, padding="same", bias=False),
                    nn.BatchNorm2d(8),
                ),
                relu=nn.ReLU(),
            )


        def build() -> nn.Module:
            """Return the network with fresh weights."""
            return nn.Sequential(
                nn.Conv2d(3, 8, 1),
                residual_1(),
                residual_1(),
                nn.Flatten(),
                nn.Linear(512, 10),
            )
        ''')


def test_build_and_source_are_one_network():
    space = network()
    rng = np.random.default_rng(0)
    x = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    for _ in range(6):
        check_build_and_source(space, space.sample(rng), [x])


@given(random_spaces())
def test_random_source_is_one_network_and_nothing_is_to_be_said_against_it(space):
    x = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    architecture = space.sample(np.random.default_rng(1))
    check_build_and_source(space, architecture, [x])
    assert ruff(space.source(architecture)) == ""


def test_source_is_formatted_and_clean():
    space = network()
    rng = np.random.default_rng(2)
    for _ in range(3):
        assert ruff(space.source(space.sample(rng))) == ""


def test_ruff_would_say_so():
    assert '+x = "a"' in ruff("x = 'a'\n")
    assert "F401" in ruff("import os\n")


def test_source_stands_by_itself(tmp_path):
    """Two networks run where archwright cannot be imported, load the weights we saved, and compute the same."""
    space = network()
    tokens = aw.Space(
        model=nn.Sequential(nn.Embedding(9, 4), aw.lazy(blocks.Last)(nn.GRU(4, 3, batch_first=True)), nn.LazyLinear(2)),
        example_input=aw.TensorSpec((6,), "int64"),
    )
    rng = np.random.default_rng(3)
    jobs = []
    for index, (each, x) in enumerate([(space, torch.randn(2, 3, 12, 12)), (tokens, torch.randint(0, 9, (2, 6)))]):
        architecture = each.sample(rng)
        built = each.build(architecture).eval()
        (tmp_path / f"model_{index}.py").write_text(each.source(architecture))
        save_file(built.state_dict(), tmp_path / f"weights_{index}.safetensors")
        save_file({"x": x, "y": built(x).detach()}, tmp_path / f"values_{index}.safetensors")
        jobs.append(index)
    code = dedent("""
        import importlib.util, json, sys
        class Absent:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in ("archwright", "tests"):
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Absent())
        import torch
        from safetensors.torch import load_file
        for index in json.loads(sys.argv[2]):
            spec = importlib.util.spec_from_file_location("model", f"{sys.argv[1]}/model_{index}.py")
            model = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(model)
            network = model.build().eval()
            network.load_state_dict(load_file(f"{sys.argv[1]}/weights_{index}.safetensors"))
            values = load_file(f"{sys.argv[1]}/values_{index}.safetensors")
            assert torch.allclose(network(values["x"]), values["y"], atol=1e-6), index
        print("archwright" in sys.modules, "done")
    """)
    command = [sys.executable, "-I", "-c", code, str(tmp_path), json.dumps(jobs)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["False", "done"]
    assert len(load_file(tmp_path / "weights_0.safetensors")) > 20


def test_without_an_identifier_and_an_input():
    text = aw.Space(model=nn.Sequential(nn.Linear(2, 2))).source({})
    assert text.splitlines()[0] == '"""A network in plain PyTorch."""'
    assert "import torch\n" not in text
    text = write(aw.lazy(blocks.Two)(nn.Identity(), nn.Embedding(3, 2)), None, ((3,), aw.TensorSpec((), "int64")))
    assert "Input: float32 (batch, 3), int64 (batch)." in text


def test_what_cannot_be_written_is_told_with_its_path():
    model = nn.Sequential(nn.ReLU(), nn.CrossEntropyLoss(weight=torch.zeros(2)))
    with pytest.raises(BuildError, match=r"model.1: tensor\(\[0., 0.\]\) cannot be written into source; use numbers"):
        write(model)
    with pytest.raises(BuildError, match=r"model.0: .*<lambda> cannot be copied"):
        write(nn.Sequential(aw.lazy(lambda: torch.nn.ReLU())()))


def test_lazy_layers_need_an_input():
    with pytest.raises(BuildError, match="the network has lazy layers: give example_input, so that their sizes can be"):
        write(nn.LazyLinear(3))
    assert "nn.Linear(4, 3)" in aw.Space(model=nn.LazyLinear(3)).source({}, example_input=(4,))


def test_partials_are_written_as_such():
    shrink = aw.choice(
        functools.partial(torch.nn.functional.hardshrink, lambd=0.5), functools.partial(blocks.less, y=1)
    )
    space = aw.Space(model=nn.Sequential(aw.lazy(blocks.Applied)(shrink), aw.lazy(blocks.Applied)(shrink)))
    for architecture in space.enumerate():
        text = aw.build.source(space, architecture)
        namespace = {}
        exec(text, namespace)
        inputs = torch.randn(4, 3)
        assert text.count("import functools\n") == 1
        assert torch.equal(namespace["build"]()(inputs), space.build(architecture)(inputs))


def test_what_occurs_often_is_written_once():
    block = nn.Sequential(nn.Linear(8, 8, bias=False), nn.LayerNorm(8), nn.ReLU(), nn.Dropout(0.25), nn.Identity())
    text = write(nn.Sequential(*[block] * 20))
    assert text.count("nn.LayerNorm(8)") == 1
    assert text.count("block_1(),") == 20
    space = aw.Space(model=nn.Sequential(*[block] * 3), example_input=(8,))
    check_build_and_source(space, {}, [torch.randn(2, 8)])


def test_lists_and_tuples_are_kept_apart():
    long = [1] * 40
    text = write(nn.Sequential(*[nn.LayerNorm(shape) for shape in (long, tuple(long), long)]))
    assert text.count("def layernorm_1()") == 1
    assert text.count("layernorm_1()") == 3
    layers = executed(text)["build"]()
    assert [layer.normalized_shape for layer in layers] == [tuple(long)] * 3
    assert text.count("nn.LayerNorm(\n        [\n") == 1
    assert text.count("nn.LayerNorm(\n            (\n") == 1


# ---------------------------------------------------------------------- constants


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        (-3, "-3"),
        (0.1, "0.1"),
        (1e-05, "1e-05"),
        (1e22, "1e22"),
        (float("inf"), 'float("inf")'),
        (float("-inf"), 'float("-inf")'),
        ("same", '"same"'),
        ("it's", '"it\'s"'),
        ('a "b"', "'a \"b\"'"),
        ("'\"", '"\'\\""'),
        ("a\n\\b\té", '"a\\n\\\\b\\té"'),
        ("\\'", '"\\\\\'"'),
        ((1,), "(1,)"),
        ((), "()"),
        ([1, [2, "a"]], '[1, [2, "a"]]'),
        ({"a": (1, 2), 3: None}, '{"a": (1, 2), 3: None}'),
        (torch.float64, "torch.float64"),
    ],
)
def test_constants_are_written_as_ruff_has_them(value, text):
    assert expression(literal(value)) == text
    assert eval(text, {"torch": torch, "float": float}) == value
    assert ruff(f"import torch\n\nx = {text}\ny = torch\n") == ""


@pytest.mark.parametrize("value", [object(), {1, 2}, 1j, b"a", torch.zeros(2), np.float64(1.0), range(3)])
def test_what_is_no_constant_is_refused(value):
    with pytest.raises(BuildError, match="cannot be written into source; use numbers, text, torch dtypes, classes and"):
        literal(value)


def test_long_terms_are_broken_one_item_to_a_line():
    items = [tuple(range(10)), (("a" * 90),), {"key": ["b" * 40, "c" * 40]}, []]
    text = source_of(ast.Assign([ast.Name("x", ast.Store())], literal(items)))
    assert ruff(text) == ""
    namespace = {}
    exec(text, namespace)
    assert namespace["x"] == items


def test_arguments_of_every_kind():
    space = aw.Space(
        model=nn.Sequential(
            nn.LayerNorm((4, 4), dtype=torch.float64),
            nn.Threshold(float("-inf"), 0.0),
            nn.Upsample(size=[4, 4], mode="nearest"),
            nn.TransformerEncoderLayer(4, 2, 8, 0.0, torch.nn.functional.gelu, batch_first=True, norm_first=False),
        )
    )
    text = space.source({})
    assert "nn.LayerNorm((4, 4), dtype=torch.float64)" in text
    assert 'nn.Threshold(float("-inf"), 0.0)' in text
    assert 'nn.Upsample(size=[4, 4], mode="nearest")' in text
    assert "nn.functional.gelu" in text
    assert ruff(text) == ""
    namespace = {}
    exec(text, namespace)
    assert namespace["build"]()[3].linear1.out_features == 8
