"""Written source copies the code of the user's own."""

from __future__ import annotations

import json
import re
import sys
from textwrap import dedent

import pytest
import torch
from tests.build import blocks, tables
from tests.build.helpers import executed, ruff, write

import archwright as aw
from archwright import nn
from archwright.build._definitions import used_names
from archwright.errors import BuildError
from archwright.testing._spaces import check_build_and_source


def test_a_class_is_copied_with_all_that_it_needs():
    space = aw.Space(model=aw.lazy(blocks.Block)(4, inner=nn.Tanh()), example_input=(4, 5, 5))
    text = space.source({})
    assert ruff(text) == ""
    assert "tests" not in text
    imports = text.split("DTYPE = ")[0].rstrip()
    assert imports.splitlines()[5:] == [
        "import math",
        "from collections import OrderedDict as Ordered",
        "from typing import Any",
        "",
        "import torch",
        "from torch import Tensor, nn",
        "from torch import nn as tnn",
        "from torch.nn import Module as Base",
        "from torch.nn import functional as F",
        "from torch.nn.init import zeros_ as fill_with_zeros",
    ]
    for needed in ("SLOPE = 0.1", 'NAMES = ["first", "it\'s", \'a "b"\']', "DTYPE = torch.float32", "def even(n):"):
        assert text.count(needed) == 1
    order = ["SLOPE", "def scaled", "class Scaled(Base)", "class Block(Scaled)", "def build()"]
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)
    assert "@decorated\nclass Block(Scaled):" in text
    check_build_and_source(space, {}, [torch.randn(2, 4, 5, 5)])
    assert executed(text)["build"]().is_even is True


def test_a_function_is_copied_and_a_class_by_name_too():
    text = write(nn.Sequential(aw.lazy(blocks.make_block)(3), aw.lazy("tests.build.blocks:Hidden")(2)))
    assert "def make_block(channels):" in text
    assert "class Block(Scaled):" in text
    assert "nn.Sequential(make_block(3), Hidden(2))" in text
    assert type(executed(text)["build"]()[0]).__name__ == "Block"


def test_a_class_of_the_user_s_own_as_an_argument():
    text = write(nn.Sequential(aw.lazy(blocks.Configured)(aw.lazy(blocks.Settings)(3, bias=False))))
    assert "Configured(Settings(3, bias=False))" in text
    assert "import dataclasses" in text
    assert executed(text)["build"]()[0].layer.bias is None


def test_a_class_that_is_called_like_one_of_torch_s_is_the_user_s():
    text = write(nn.Sequential(aw.lazy(blocks.ReLU)(), nn.ReLU()))
    assert "return nn.Sequential(ReLU(), nn.ReLU())" in text
    assert torch.equal(executed(text)["build"]()(torch.zeros(2)), torch.ones(2))


def test_our_names_make_way_for_the_user_s():
    """A graph without a name becomes a class named Block, unless the user has one."""
    graph = aw.graph(lambda x: nn.ReLU()(x) + x)
    other = aw.graph(lambda x: nn.Tanh()(x) + x)
    space = aw.Space(model=nn.Sequential(graph, aw.lazy(blocks.Block)(4), other, graph))
    text = space.source({})
    assert re.findall(r"^class (\w+)", text, re.MULTILINE) == ["Scaled", "Block", "Block2", "Block3"]
    check = aw.Space(model=nn.Sequential(graph, aw.lazy(blocks.Block)(4), other, graph), example_input=(4, 3, 3))
    check_build_and_source(check, {}, [torch.randn(2, 4, 3, 3)])


def _other_module(tmp_path, monkeypatch, text, name="other_blocks"):
    (tmp_path / f"{name}.py").write_text(dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return __import__(name)


def test_functions_of_torch_that_change_a_layer():
    weight_norm = torch.nn.utils.parametrizations.weight_norm
    space = aw.Space(model=nn.Sequential(aw.lazy(weight_norm)(nn.Linear(3, 2)), nn.ReLU()), example_input=(3,))
    text = space.source({})
    assert "from torch.nn.utils.parametrizations import weight_norm\n" in text
    assert "nn.Sequential(weight_norm(nn.Linear(3, 2)), nn.ReLU())" in text
    assert ruff(text) == ""
    check_build_and_source(space, {}, [torch.randn(4, 3)])


def test_two_things_of_one_name_are_refused(tmp_path, monkeypatch):
    other = _other_module(
        tmp_path,
        monkeypatch,
        """
        import torch
        from torch import nn
        import math as F
        SLOPE = 0.2

        class Residual(nn.Module):
            def forward(self, x):
                return x

        class Sloping(nn.Module):
            def forward(self, x):
                return SLOPE * x

        class Same(nn.Module):
            def forward(self, x):
                return nn.functional.relu(x)

        class Mathematical(nn.Module):
            def forward(self, x):
                return F.pi * x
        """,
    )
    block = aw.lazy(blocks.Block)(4)
    for name, what in (("Residual", "Residual"), ("Sloping", "SLOPE"), ("Mathematical", "F")):
        first = aw.lazy(blocks.Residual)() if name == "Residual" else block
        model = nn.Sequential(first, aw.lazy(getattr(other, name))())
        with pytest.raises(
            BuildError, match=f"two different things named {what!r} would meet in one source file; rename"
        ):
            write(model)
    assert "class Same" in write(nn.Sequential(block, aw.lazy(other.Same)()))


def test_the_names_of_the_source_itself_are_taken():
    with pytest.raises(
        BuildError, match="two different things named 'build' would meet in one source file; rename one"
    ):
        write(nn.Sequential(aw.lazy(blocks.build)(3)))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (blocks.WithNumpy, "WithNumpy uses np: it is the module numpy, and the source imports torch and the standard"),
        (blocks.WithArray, "WithArray uses LIMIT: LIMIT uses np: it is the module numpy, and the source imports torch"),
        (blocks.Outer.Inner, "Outer.Inner cannot be copied; define it at the top of a module, by def or class"),
        (blocks.Block.wide, "Block.wide cannot be copied; define it at the top of a module, by def or class"),
        (lambda channels=1: torch.nn.ReLU(), "<lambda> cannot be copied; define it at the top of a module"),
    ],
)
def test_what_cannot_be_copied_is_named(target, message):
    model = nn.Sequential(aw.lazy(target)(*[4] * (target == blocks.Block.wide)))
    with pytest.raises(BuildError, match=re.escape(message)):
        write(model)


def test_a_class_without_a_text_is_named(monkeypatch):
    namespace = {"__name__": "tests.build.blocks", "nn": torch.nn}
    exec("class Typed(nn.Module):\n    pass", namespace)
    with pytest.raises(BuildError, match="Typed cannot be copied; define it at the top of a module, by def or class"):
        write(nn.Sequential(aw.lazy(namespace["Typed"])()))
    monkeypatch.setattr(blocks, "Typed", namespace["Typed"], raising=False)
    with pytest.raises(BuildError, match="the text of Typed cannot be found"):
        write(nn.Sequential(aw.lazy(namespace["Typed"])()))


def test_a_local_class_is_refused():
    class Local(torch.nn.Module):
        pass

    with pytest.raises(BuildError, match=r"Local cannot be copied; define it at the top of a module"):
        write(nn.Sequential(aw.lazy(Local)()))


def test_helpers_of_the_standard_library_and_quoted_annotations(tmp_path, monkeypatch):
    other = _other_module(
        tmp_path,
        monkeypatch,
        """
        import typing as t
        from functools import partial as part, reduce
        import torch.nn.functional
        import torch
        from torch import nn

        Kind = nn.ReLU
        OPTIONS = {"slope": 0.25, "kinds": ("a", 'b')}
        clipped = torch.clamp

        class Typed(nn.Module):
            local: "t.ClassVar[int]" = 3

            def forward(self, x: "torch.Tensor", scale: "t.Optional[float]" = None) -> "torch.Tensor":
                nn_like = 2  # a local name, and a global one of another module
                SLOPE = OPTIONS["slope"]
                f = part(reduce, lambda a, b: a + b)
                return clipped(Kind()(f([x, x])), max=nn_like) * SLOPE
        """,
        name="typed_blocks",
    )
    space = aw.Space(model=aw.lazy(other.Typed)(), example_input=(3,))
    text = space.source({})
    assert "import typing as t\n" in text
    assert "from functools import partial as part\n" in text
    assert "from torch import clamp as clipped\n" in text
    assert "from torch.nn import ReLU as Kind\n" in text
    assert "import torch\n" in text
    assert "0.1" not in text
    assert 'OPTIONS = {"slope": 0.25, "kinds": ("a", "b")}' in text
    assert "F401" not in ruff(text)
    assert "F821" not in ruff(text)
    check_build_and_source(space, {}, [torch.randn(4, 3)])


def test_names_that_a_text_uses():
    text = dedent("""
        @register
        class Thing(Base):
            size: Size = DEFAULT
            def forward(self, x: "Tensor", *, y: Other = EMPTY) -> "Result":
                local = helper(x)
                class Inner(Mixin):
                    pass
                def nested():
                    nonlocal local
                    return local + offset
                return [item.attribute for item in nested()]
    """)
    assert used_names(text) == {
        *("register", "Base", "Size", "DEFAULT", "Tensor", "Other", "EMPTY", "Result", "helper", "Mixin", "offset"),
        "super",
    } - {"super"}


# ---------------------------------------------------------------------- what a module has at its top


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *(("ByTable", (4, operation, activation)) for operation, activation in [("conv", "sin"), ("none", "square")]),
        ("Base", ()),
        ("Leaf", ()),
        ("ByRegistry", (4, "conv")),
        ("ByRegistry", (4, "nothing")),
    ],
)
def test_tables_of_classes_and_functions_are_copied(name, arguments):
    space = aw.Space(model=aw.lazy(getattr(tables, name))(*arguments), example_input=(4, 5, 5))
    check_build_and_source(space, {}, [torch.randn(2, 4, 5, 5)])


def test_names_are_bound_as_the_module_binds_them():
    text = write(aw.lazy(tables.ByTable)(4))
    for line in (
        "from types import FunctionType",
        "from types import SimpleNamespace as Bag",
        "from math import pi",
        "Kind = FunctionType",
        "Method = types.MethodType",
        "integer = int",
        'Shape = namedtuple("Shape", "height width")',
        'ACTIVATIONS = {"relu": F.relu, "sin": torch.sin, "silu": F.silu, "square": square}',
        'LAYERS = {"relu": nn.ReLU, "none": None}',
        'NAMES = ["none", "conv", "pool"]',
        "norm = partial(nn.BatchNorm2d, eps=1e-3)",
        '    "none": lambda channels, stride: Zero(stride),',
    ):
        assert f"\n{line}\n" in text
    assert text.index("class Mode") < text.index("class ConvNorm") < text.index("class ByTable")


def test_a_function_type_is_imported_and_not_called_by_its_own_name(tmp_path, monkeypatch):
    """As torchvision's ResNet has it by way of its helpers."""
    other = _other_module(
        tmp_path,
        monkeypatch,
        """
        import torch
        from types import FunctionType
        from torch import nn

        Generator = type(x for x in ())

        def logged(item):
            return isinstance(item, (FunctionType, Generator))

        class Logged(nn.Module):
            def forward(self, x):
                return x if logged(self.forward) else x + 1
        """,
        "logged_blocks",
    )
    space = aw.Space(model=aw.lazy(other.Logged)(), example_input=(3,))
    text = space.source({})
    assert "from types import FunctionType\n" in text
    assert "Generator = type(x for x in ())" in text
    check_build_and_source(space, {}, [torch.randn(4, 3)])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ByChanged", r"ByChanged uses CHANGED: .*<lambda> cannot be copied"),
        ("ByNoted", "need each other when their module is imported"),
    ],
)
def test_tables_that_are_changed_later_are_refused(name, message):
    with pytest.raises(BuildError, match=message):
        write(aw.lazy(getattr(tables, name))())


def test_a_table_of_another_module_of_one_s_own(tmp_path, monkeypatch):
    (tmp_path / "own_ops.py").write_text("from torch import nn\nOPS = {'a': lambda n: nn.Linear(n, n)}\n")
    other = _other_module(
        tmp_path,
        monkeypatch,
        """
        from own_ops import OPS as TABLE
        from torch import nn

        class Takes(nn.Module):
            def __init__(self, n):
                super().__init__()
                self.layer = TABLE["a"](n)

            def forward(self, x):
                return self.layer(x)
        """,
        "own_blocks",
    )
    text = write(aw.lazy(other.Takes)(3))
    assert "OPS = {'a': lambda n: nn.Linear(n, n)}\nTABLE = OPS\n" in text
    assert executed(text)["build"]().layer.in_features == 3


def test_packages_are_imported_where_the_space_says_so(tmp_path, monkeypatch):
    (tmp_path / "a_package.py").write_text(
        "import torch\n\n\nclass Twice(torch.nn.Module):\n    def forward(self, x):\n        return 2 * x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    package = __import__("a_package")
    model = nn.Sequential(aw.lazy(package.Twice)(), aw.lazy(blocks.WithNumpy)())
    with pytest.raises(BuildError, match=r"where more may be imported, say so: Space\(imports=\['numpy'\], ...\)"):
        write(model)
    assert "class Twice(torch.nn.Module):" in write(nn.Sequential(aw.lazy(package.Twice)()))
    space = aw.Space(model=model, imports=["a_package", "numpy"], example_input=(3,))
    text = space.source({})
    assert text.split("\n\n\n")[0].endswith("import numpy as np\nfrom a_package import Twice\nfrom torch import nn")
    assert "class Twice" not in text
    check_build_and_source(space, {}, [torch.randn(4, 3)])
    again = aw.Space.from_json(space.to_json())
    assert (again.source({}), again.fingerprint) == (text, space.fingerprint)
    assert aw.Space(model=model, example_input=(3,)).source({}, imports=("a_package", "numpy")) == text
    for wrong in (["a.b"], ["import os"], [3]):
        with pytest.raises(aw.errors.SpaceError, match="imports are the names of packages, such as"):
            aw.Space(model=model, imports=wrong)


@pytest.mark.parametrize(
    "function",
    [torch.relu, torch.sin, torch.nn.functional.logsigmoid, torch.Tensor.tanh, torch.special.expit, torch.fft.fft],
)
def test_functions_of_torch_are_called_by_their_public_names(function):
    model = nn.Sequential(aw.lazy(blocks.Keeping)(function))
    space = aw.Space.from_json(json.loads(json.dumps(aw.Space(model=model).to_json())))
    text = space.source({})
    assert executed(text)["build"]()[0].function is function
    assert space.build({})[0].function is function
    assert ruff(text) == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Replaced", r"Replaced\.forward is not what the text of Replaced says"),
        ("Added", r"Added\.helped is not what the text of Added says"),
        ("Twice", r"Twice\.forward is not what the text of Twice says"),
        ("Calls", r"Calls uses plain: plain was replaced after its definition"),
    ],
)
def test_a_text_that_is_not_what_runs_is_refused(tmp_path, monkeypatch, name, message):
    other = _other_module(
        tmp_path,
        monkeypatch,
        """
        import functools
        from torch import nn

        def doubled(function):
            @functools.wraps(function)
            def twice(*given):
                return 2 * function(*given)
            return twice

        class Replaced(nn.Module):
            def forward(self, x):
                return x

        Replaced.forward = doubled(Replaced.forward)

        class Added(nn.Module):
            def forward(self, x):
                return self.helped(x)

        Added.helped = lambda self, x: 3 * x

        class Twice(nn.Module):
            def forward(self, x):
                return x

        class Twice(nn.Module):
            def forward(self, x):
                return 4 * x

        def plain(x):
            return x

        plain = doubled(plain)

        class Calls(nn.Module):
            def forward(self, x):
                return plain(x)
        """,
        f"replaced_{name.lower()}",
    )
    with pytest.raises(BuildError, match=message):
        write(aw.lazy(getattr(other, name))())


def test_a_class_that_counts_in_a_name_of_its_module(tmp_path, monkeypatch):
    other = _other_module(
        tmp_path,
        monkeypatch,
        """
        import functools
        from torch import nn

        COUNT = 0

        def logged(function):
            return lambda *given: function(*given)

        class Counts(nn.Module):
            @logged
            def forward(self, x):
                global COUNT
                COUNT += 1
                return self.again(x)

            def again(self, x):
                return x

            def again(self, x):
                return 2 * x

            if True:
                def more(self):
                    return 1
        """,
        "counting_blocks",
    )
    space = aw.Space(model=aw.lazy(other.Counts)(), example_input=(3,))
    check_build_and_source(space, {}, [torch.randn(4, 3)])
