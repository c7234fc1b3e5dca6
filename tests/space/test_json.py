"""Spaces as JSON, both ways, and what a file may and may not name."""

from __future__ import annotations

import copy
import functools
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from tests.build import blocks

import archwright as aw
from archwright import nn, optim
from archwright.errors import ArchwrightError, SpaceError
from archwright.space import Call, Space, find, template
from archwright.testing import random_spaces


def again(space):
    return Space.from_json(json.loads(json.dumps(space.to_json())))


def fits(architecture):
    return architecture["width"] > 2


@settings(max_examples=40)
@given(random_spaces(reals=True))
def test_any_space_survives(space):
    other = again(space)
    assert other.fingerprint == space.fingerprint
    assert str(other) == str(space)
    assert other.size == space.size
    assert list(other.decisions) == list(space.decisions)
    first, second = np.random.default_rng(0), np.random.default_rng(0)
    assert [other.sample(first) for _ in range(5)] == [space.sample(second) for _ in range(5)]


def test_ties_constants_and_constraints_survive():
    width = aw.choice(2, 4, name="width")
    stage = template(lambda n: nn.Linear(n, n))
    space = Space(
        model=nn.Sequential(nn.Linear(3, width), stage(width), nn.ReLU(), stage(width)),
        optimizer=aw.choice(optim.SGD(lr=aw.real(0.1, 1.0)), optim.Adam(betas=(0.9, 0.95))),
        constants={"a": [1, None, (True, 0.1)], 3: "é", "dtype": torch.float64, "spec": aw.TensorSpec((3,), "int64")},
        code=[torch.nn.functional.relu, torch.nn.functional.gelu, torch.nn.init.ones_, torch.nn.Tanh, nn.SiLU],
        own=aw.lazy(blocks.Block)(4),
        where=fits,
        example_input=(3,),
        name="everything",
    )
    other = again(space)
    assert (other.fingerprint, str(other)) == (space.fingerprint, str(space))
    assert other.where == (fits,)
    assert other.example_input == space.example_input
    closed = other.resolve({"width": 4, "optimizer": "Adam(betas=(0.9, 0.95))"})
    assert closed["constants"]["a"] == [1, None, (True, 0.1)]
    assert closed["constants"][3] == "é"
    assert closed["constants"]["dtype"] is torch.float64
    assert closed["constants"]["spec"] == aw.TensorSpec((3,), "int64")
    assert closed["code"] == [
        torch.nn.functional.relu,
        torch.nn.functional.gelu,
        torch.nn.init.ones_,
        torch.nn.Tanh,
        torch.nn.SiLU,
    ]
    assert closed["own"].callee is blocks.Block
    built = other.build({"width": 4, "optimizer": "Adam(betas=(0.9, 0.95))"})
    assert built[1] is not built[3]
    assert other.build({"width": 4, "optimizer": "Adam(betas=(0.9, 0.95))"})(torch.zeros(2, 3)).shape == (2, 4)


def test_a_class_by_name_and_by_itself_are_written_alike():
    by_class = Space(model=aw.lazy(blocks.Block)(channels=4))
    by_name = Space(model=aw.lazy("tests.build.blocks:Block")(channels=4))
    assert by_class.fingerprint == by_name.fingerprint
    assert isinstance(again(by_name).build({}), blocks.Block)


def test_methods_of_classes_and_functions_are_read_back():
    space = Space(model=aw.lazy(blocks.Block.wide)(4), other=aw.lazy(blocks.make_block)(3))
    other = again(space)
    assert isinstance(other.build({}), blocks.Block)
    assert other.fingerprint == space.fingerprint


class _Limit:
    def __call__(self, architecture):
        return True


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda: Space(x=1, where=lambda a: True), "the space holds <lambda>.<locals>.<lambda> "),
        (lambda: Space(x=1, where=_Limit()), "the space holds tests.space.test_json._Limit object, which cannot be"),
        (lambda: Space(x=1, where=_Limit().__call__), "the space holds tests.space.test_json._Limit object.__call__"),
        (lambda: Space(x=[object()]), "the space holds builtins.object object, which cannot be loaded from a file"),
        (lambda: Space(x={1, 2}), "the space holds {1, 2}, which cannot be loaded from a file; give the space again"),
        (lambda: Space(model=aw.lazy(lambda: torch.nn.ReLU())()), "the space holds <lambda>.<locals>.<lambda> "),
    ],
)
def test_what_cannot_be_written_down_is_said_on_the_way_back(write, message):
    written = write().to_json()
    with pytest.raises(SpaceError) as refused:
        Space.from_json(json.loads(json.dumps(written)))
    assert message in str(refused.value)
    assert "(space=...)" in str(refused.value)


# ---------------------------------------------------------------------- files that nobody here has written


def call(target, *args, **kwargs):
    """A file whose model calls a target."""
    written = Space(model=Call("torch.nn.Identity", args, kwargs)).to_json()
    written["nodes"][-1]["target"] = target
    return written


def constant(name):
    """A file that holds a class or function as a constant."""
    written = Space(model=nn.Identity(torch.nn.ReLU)).to_json()
    text = json.dumps(written).replace("torch.nn:ReLU", name)
    assert name in text
    return json.loads(text)


def predicate(name):
    """A file whose constraint is a function."""
    return {**Space(x=aw.choice("echo", "rm")).to_json(), "where": [{"import": name}]}


DANGEROUS = [
    "os:system",
    "os:execv",
    "os:remove",
    "posix:system",
    "subprocess:run",
    "subprocess:Popen",
    "shutil:rmtree",
    "builtins:eval",
    "builtins:exec",
    "builtins:open",
    "builtins:__import__",
    "builtins:getattr",
    "importlib:import_module",
    "pickle:loads",
    "functools:partial",
    "operator:methodcaller",
    "sys:exit",
    "torch:load",
    "torch:compile",
    "torch.hub:load",
    "torch.serialization:load",
    "torch.nn.functional:importlib.import_module",
    "torch.nn.functional:os.system",
    "torch.nn.functional:__builtins__",
    "torch.nn:functional",
    "torch.nn:Parameter",
    "torch.nn:modules.module.torch.load",
    "torch:nn.functional.warnings.warn",
    "numpy:load",
    "archwright.space:find",
    "archwright.space:Space.from_json",
    "archwright.spaces:importlib.import_module",
    "archwright.spaces._registry:Registry.sys.exit",
    "tests.build.blocks:dangerous",
    "tests.build.blocks:torch.load",
    "tests.build.blocks:Outer",
    "tests.space.test_json:os.system",
    "__main__:__builtins__",
    "no_such_module:thing",
    "antigravity:fly",
    "os",
    "",
    ":",
    "os:",
    "torch.nn.ReLU:forward",
]


@pytest.mark.parametrize("write", [call, constant, predicate])
@pytest.mark.parametrize("target", DANGEROUS)
def test_a_file_cannot_name_what_it_likes(target, write):
    with pytest.raises(SpaceError):
        Space.from_json(write(target))


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.run",
        "builtins.eval",
        "operator.methodcaller",
        "operator.attrgetter",
        "operator.call",
        "operator.setitem",
        "torch.load",
        "torch.nn.functional.relu",
        "torch.nn.utils.parametrize",
        "torch.nn.modules.module",
        "torch.optim.lr_scheduler.LRScheduler",
        "archwright.spaces.create",
        "nn.ReLU",
    ],
)
def test_a_file_cannot_name_it_with_dots_either(target):
    with pytest.raises(SpaceError):
        Space.from_json(call(target))


@pytest.mark.parametrize(
    "target", ["torch.nn.functional", "torch.nn.Parameter", "torch.nn.NoSuch", "torch.optim.lr_scheduler"]
)
def test_torch_s_names_are_looked_at_before_they_are_called(target):
    space = Space.from_json(call(target))
    with pytest.raises(SpaceError, match=r"is no layer of torch\.nn, no optimizer of torch.optim and no arithmetic"):
        space.build({})


@pytest.mark.parametrize(
    "target", ["archwright.spaces.convnet:nn", "archwright.spaces._registry:Registry", "archwright.spaces:create"]
)
def test_helpers_are_a_closed_list(target):
    for refused in (lambda: Space.from_json(call(target)), lambda: find(target, None)):
        with pytest.raises(SpaceError, match=f"{target} is not a helper of archwright.spaces, and cannot be called"):
            refused()


def test_a_module_that_is_not_imported_stays_so(tmp_path, monkeypatch):
    (tmp_path / "stranger.py").write_text("raise SystemExit('executed')")
    monkeypatch.syspath_prepend(tmp_path)
    for write in (call, constant, predicate):
        with pytest.raises(SpaceError, match="stranger is not imported; import it first, or name the file that"):
            Space.from_json(write("stranger:Thing"))
    assert "stranger" not in sys.modules


def test_a_class_of_layers_that_the_program_has_imported_may_be_named():
    space = Space.from_json(call("tests.build.blocks:Block", 4))
    assert isinstance(space.build({}), blocks.Block)
    assert Space.from_json(constant("tests.build.blocks:Block")).resolve({})["model"].args == (blocks.Block,)


def test_a_function_may_be_named_once_the_program_has_used_it():
    name = "tests.build.blocks:make_rarely"
    with pytest.raises(SpaceError, match=r"only where the program itself has used them with aw.lazy or where="):
        Space.from_json(call(name))
    aw.lazy(blocks.make_rarely)
    assert isinstance(Space.from_json(call(name)).build({}), torch.nn.Module)
    constraint = "tests.build.blocks:holds_rarely"
    with pytest.raises(SpaceError, match="is no class of layers or optimizers"):
        Space.from_json(predicate(constraint))
    Space(x=aw.choice(1, 2), where=blocks.holds_rarely)
    assert Space.from_json(predicate(constraint)).where == (blocks.holds_rarely,)


def test_a_function_that_is_an_option_has_been_used_too():
    space = Space(model=aw.lazy(blocks.Applied)(aw.choice(blocks.less_one, functools.partial(blocks.less, y=1))))
    other = again(space)
    assert list(other.enumerate()) == list(space.enumerate())
    assert next(other.resolve(each)["model"].args[0] for each in other.enumerate()) is blocks.less_one


def test_partials_are_read_back():
    leaky = functools.partial(torch.nn.functional.leaky_relu, negative_slope=0.3)
    space = Space(act=aw.choice(leaky, functools.partial(blocks.Block, 4, norm=[torch.nn.Tanh])))
    assert [each["act"] for each in space.enumerate()] == [
        "partial(leaky_relu, negative_slope=0.3)",
        "partial(Block, 4, norm=[Tanh])",
    ]
    other = again(space)
    assert (other.fingerprint, str(other)) == (space.fingerprint, str(space))
    made = [other.resolve(each)["act"] for each in other.enumerate()]
    assert (made[0].func, made[0].args, made[0].keywords) == (leaky.func, (), {"negative_slope": 0.3})
    assert (made[1].func, made[1].args, made[1].keywords) == (blocks.Block, (4,), {"norm": [torch.nn.Tanh]})


@pytest.mark.parametrize("kind", [blocks.Plain, blocks.Whole, blocks.Text, blocks.TextToo])
def test_members_of_enumerations_stay_members(kind):
    space = Space(model=aw.lazy(blocks.Signed)(aw.choice(kind.A, kind.B), {kind.B: 1, kind.A: 2}))
    other = again(space)
    assert other.fingerprint == space.fingerprint
    for architecture in space.enumerate():
        again_read = aw.Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
        namespace = {}
        exec(space.source(architecture), namespace)
        networks = [space.build(architecture), other.build(again_read)]
        assert [network.signs for network in networks] == [networks[0].signs] * 2
        assert namespace["build"]()(torch.ones(1)) == networks[0](torch.ones(1))
        assert space.differences(other.to_json()) == []


@pytest.mark.parametrize(
    "written",
    [
        [],
        [{"import": "tests.build.blocks:Plain"}, "C"],
        [{"import": "tests.build.blocks:Plain"}, "__class__"],
        [{"import": "tests.build.blocks:Plain"}, ["A"]],
        [{"import": "tests.build.blocks:Block"}, "A"],
        [{"import": "re:RegexFlag"}, "A"],
        ["Plain", "A"],
    ],
)
def test_members_of_a_file_are_checked(written):
    data = Space(x=aw.choice(blocks.Plain.A, blocks.Plain.B)).to_json()
    data["parts"]["x"] = {"member": written}
    with pytest.raises(SpaceError):
        Space.from_json(data)


@pytest.mark.parametrize(
    "written",
    [
        [],
        [{"import": "os:system"}, [], {"dict": []}],
        [{"import": "torch:load"}, [], {"dict": []}],
        ["relu", [], {"dict": []}],
        [{"import": "torch:relu"}, {"tuple": []}, {"dict": []}],
        [{"import": "torch:relu"}, [], []],
        [{"import": "torch:relu"}, [], {"dict": [["a b", 1]]}],
        [{"partial": 3}, [], {"dict": []}],
    ],
)
def test_partials_of_a_file_are_checked(written):
    data = Space(x=aw.choice(1, 2)).to_json()
    data["parts"]["x"] = {"partial": written}
    with pytest.raises(SpaceError):
        Space.from_json(data)


def test_the_helpers_of_ready_made_spaces_may_be_named():
    space = aw.spaces.create("convnet", input_shape=(1, 8, 8))
    other = again(space)
    first = space.sample(np.random.default_rng(0))
    assert list(other.build(first).state_dict()) == list(space.build(first).state_dict())


def test_reading_executes_nothing_and_loads_no_torch():
    written = Space(model=nn.Sequential(nn.Linear(2, aw.choice(1, 2)), nn.ReLU()), where=None or ()).to_json()
    code = "import sys, json\nfrom archwright.space import Space\nspace = Space.from_json(json.load(sys.stdin))\n"
    code += "print(space.fingerprint, space.size, 'torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(written),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == [Space.from_json(written).fingerprint, "2", "False"]


def test_a_strange_space_can_be_shown_without_reading_its_code():
    strange = call("os:system", "echo")
    (removed, *_) = Space(model=nn.Identity()).differences(strange)
    assert removed.startswith("-  model = system('echo')")


def test_a_program_may_call_what_it_likes_by_name():
    space = Space(model=aw.lazy("tests.build.blocks:make_unseen")(3))
    assert isinstance(space.build({}), torch.nn.Linear)
    assert isinstance(again(space).build({}), torch.nn.Linear)
    with pytest.raises(SpaceError, match="the space uses no_such:Thing, and no_such cannot be imported"):
        Space(model=aw.lazy("no_such:Thing")()).build({})
    with pytest.raises(SpaceError, match=r"tests.build.blocks has no Thing, which the space uses as"):
        Space(model=aw.lazy("tests.build.blocks:Thing")()).build({})


def test_find():
    assert find("torch.nn.ReLU", None) is torch.nn.ReLU
    assert find("torch.optim.Adam", None) is torch.optim.Adam
    assert find("operator.floordiv", None)(7, 2) == 3
    assert find("anything", len) is len
    assert find("tests.build.blocks:Block.wide", None) == blocks.Block.wide
    with pytest.raises(SpaceError, match=r"'os\.system' is no layer of torch\.nn"):
        find("os.system", None)


def test_a_file_cannot_write_into_source():
    """Everything that a file chooses goes into source as text in quotes, or not at all."""
    evil = 'x"""\nimport os\nos.system("echo")\n"""'
    written = Space(model=nn.Identity(3), example_input=(2,)).to_json()
    (spec,) = written["example_input"]
    with pytest.raises(SpaceError, match="a sample's dtype is the name of one of torch's"):
        Space.from_json({**written, "example_input": [{**spec, "dtype": evil}]})
    with pytest.raises(SpaceError, match=r"node 0, Call: kwargs is .* not a name as Python has it"):
        Space.from_json(call("torch.nn.Identity", **{evil: 1}))
    with pytest.raises(SpaceError, match=r"node 0, Call: target is .* not a name such as 'torch.nn.ReLU'"):
        Space.from_json(call(f"torch.nn.{evil}:"))
    graph = Space(model=aw.graph(lambda x: nn.ReLU()(x) + x)).to_json()
    accepted = 0
    for index, node in enumerate(graph["nodes"]):
        for field in {"name", "kind"} & node.keys():
            changed = copy.deepcopy(graph)
            changed["nodes"][index][field] = evil
            try:
                text = Space.from_json(changed).source({})
            except SpaceError:
                continue
            accepted += 1
            assert "import os" not in text
    assert accepted
    text = Space.from_json(call("torch.nn.Identity", evil, [evil], {evil: evil})).source({})
    namespace = {}
    exec(text, namespace)
    assert text.count("import") == 1 + text.count("\\nimport")


def test_spaces_are_copied_and_pickled():
    width = aw.choice(2, 4, name="width")
    cell = aw.cell(lambda i, j: aw.choice({"none": None, "relu": nn.ReLU()}), nodes=2, name="cell")
    space = Space(model=nn.Sequential(nn.Linear(3, width), cell, nn.Linear(width, 2)), where=fits, example_input=(3,))
    for other in (pickle.loads(pickle.dumps(space)), copy.deepcopy(space)):
        assert (other.fingerprint, str(other), other.size) == (space.fingerprint, str(space), space.size)
        assert other.decisions["width"] is not width
        first, second = np.random.default_rng(0), np.random.default_rng(0)
        architecture = other.sample(first)
        assert architecture == space.sample(second)
        assert list(other.build(architecture).state_dict()) == list(space.build(architecture).state_dict())


# ---------------------------------------------------------------------- damaged files

WHOLE = Space(
    model=nn.Sequential(aw.graph(lambda x: nn.ReLU()(x) + x), nn.Linear(2, aw.choice(1, 2))), example_input=(2,)
).to_json()


def _broken():
    yield {}
    for key in WHOLE:
        yield {name: value for name, value in WHOLE.items() if name != key}
        for wrong in ({"a": 1}, 3, "text", [3], [{"is": "Space"}], [{"is": "Call"}], {"model": {"node": 99}}):
            yield {**WHOLE, key: wrong}
    for index, node in enumerate(WHOLE["nodes"]):
        for key in node:
            for change in ("drop", {"node": 99}, {"nothing": 1}, {"a": 1, "b": 2}):
                broken = copy.deepcopy(WHOLE)
                if change == "drop":
                    del broken["nodes"][index][key]
                else:
                    broken["nodes"][index][key] = change
                yield broken


@pytest.mark.parametrize("index", range(5))
def test_damaged_files_are_refused_with_an_error_of_ours(index):
    """Nothing but our own errors comes out, and what can still be read prints and counts."""
    refused = 0
    for broken in list(_broken())[index::5]:
        try:
            space = Space.from_json(broken)
            assert space.size >= 1
            assert str(space)
        except ArchwrightError:
            refused += 1
    assert refused > 20
