"""Classes and spaces of a user's own from the command line: files that are executed because the user names them."""

from __future__ import annotations

import json
import sys
from textwrap import dedent

import pytest
from tests import processes

import archwright as aw
from archwright.cli._named import parse_space
from archwright.errors import SpaceError, StudyError
from archwright.space import _code, _names, load_code

SCRIPT = """
    import sys

    import torch
    import archwright as aw
    from archwright import nn
    import sibling

    sibling.seen.append(__name__)


    class Scale(torch.nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, x):
            return self.factor * x


    def block(width):
        return torch.nn.Sequential(torch.nn.LazyLinear(width), torch.nn.ReLU())


    def is_narrow(architecture):
        return architecture["width"] < 100


    if __name__ == "__main__":
        width = aw.ordinal(4, 8, 200, name="width")
        space = aw.Space(
            model=nn.Sequential(aw.lazy(block)(width), aw.lazy(Scale)(aw.choice(1.0, 2.0)), nn.LazyLinear(3)),
            where=is_narrow,
        )
        study = aw.search(
            space, aw.Training(aw.data("iris"), epochs=1), strategy="random", scheduler="full",
            budget=aw.Budget(trials=2), final=False, path=sys.argv[1],
        )
        print(study.space.fingerprint)
"""


@pytest.fixture
def modules(monkeypatch):
    """Forget what a test has executed."""
    monkeypatch.setattr(_code, "_loaded", {})
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and "/pytest-" in sys.modules[name].__file__:
            del sys.modules[name]


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """A program with classes of its own, the run that it has made, and the fingerprint of its space."""
    folder = tmp_path_factory.mktemp("script")
    (folder / "sibling.py").write_text("seen = []\n")
    (folder / "begun_by.py").write_text(dedent(SCRIPT))
    done = processes.run(folder / "begun_by.py", folder / "run")
    assert done.returncode == 0, done.stderr
    return folder / "begun_by.py", folder / "run", done.stdout.split()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("cost", "RUN"),
        ("export", "RUN", "--onnx", "--out", "OUT"),
        ("resume", "RUN", "--trials", "3"),
        ("predict", "RUN", "OUT"),
    ],
)
def test_a_run_of_a_program_with_its_own_classes_names_the_remedy(script, in_process, tmp_path, arguments, modules):
    _, run, _ = script
    named = {"RUN": run, "OUT": tmp_path / "out"}
    status, out, err = in_process(*(named.get(each, each) for each in arguments))
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "the space uses __main__:block, which the program that wrote it defines, and this program does not" in err
    assert "--code FILE" in err


def test_the_file_of_the_program_opens_it_again(script, in_process, tmp_path, modules):
    file, run, fingerprint = script
    code = ("--code", file)
    status, _, err = in_process("show", run)
    assert status == 0, err
    status, _, err = in_process("export", run, *code, "--onnx", "--out", tmp_path / "network")
    assert status == 0, err
    assert {"model.py", "model.onnx"} <= {each.name for each in (tmp_path / "network").iterdir()}
    status, out, err = in_process("resume", run, *code, "--trials", 3, "--json")
    assert status == 0, err
    assert json.loads(out)["trials"]["complete"] == 3
    status, _, err = in_process("cost", run, *code, "--limit", 1000)
    assert status == 0, err
    loaded = aw.load(run, code=file)
    assert loaded.space.fingerprint == fingerprint
    assert loaded.space.where[0].__name__ == "is_narrow"
    assert sys.modules["sibling"].seen == ["begun_by"]  # executed once, not as a program


def test_a_class_of_torch_and_its_like_cannot_be_named_through_a_file(script, modules):
    """What a file of code has imported is not what it defines."""
    file, run, _ = script
    load_code(file)
    space = aw.load(run).space.to_json()
    for name in ("sys.exit", "torch.load", "sibling.seen.append", "aw.load"):
        text = json.dumps(space).replace("__main__:block", f"__main__:{name}")
        with pytest.raises(SpaceError):
            aw.Space.from_json(json.loads(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raise ValueError('no good')", r"own_code.py cannot be executed: ValueError: no good \(line 1\)"),
        ("x = 1\nx +", r"own_code.py cannot be executed: SyntaxError: invalid syntax"),
        (
            "import sys\nsys.exit(3)",
            r"own_code.py cannot be executed: it ends the program; let it do what it does as a",
        ),
    ],
)
def test_a_file_that_cannot_be_executed_is_told_in_a_line(tmp_path, modules, text, message):
    (tmp_path / "own_code.py").write_text(text)
    with pytest.raises(SpaceError, match=message):
        load_code(tmp_path / "own_code.py")
    assert "own_code" not in sys.modules


def test_a_file_that_is_none_or_called_like_another_module(tmp_path, modules):
    for name in ("missing.py", "folder.py", "notes.txt"):
        (tmp_path / "folder.py").mkdir(exist_ok=True)
        (tmp_path / "notes.txt").touch()
        with pytest.raises(
            SpaceError, match=f"{name} (is not a Python file|does not exist): give the Python file that def"
        ):
            load_code(tmp_path / name)
    (tmp_path / "json.py").write_text("raise SystemExit('executed')")
    with pytest.raises(SpaceError, match=r"json.py is called like the module json, which is in use already: rename"):
        load_code(tmp_path / "json.py")
    (tmp_path / "my-code.py").write_text("x = 3")
    assert load_code(tmp_path / "my-code.py") is load_code(str(tmp_path / "my-code.py")) is sys.modules["my_code"]


def test_a_file_in_a_package_is_a_module_of_it(tmp_path, modules):
    package = tmp_path / "own_package" / "inner"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "sizes.py").write_text("WIDTH = 3")
    (package / "layers.py").write_text(
        "import torch\nfrom .sizes import WIDTH\nclass Wide(torch.nn.Linear):\n"
        "    def __init__(self, n):\n        super().__init__(n, WIDTH)\n"
    )
    written = aw.Space(model=aw.lazy("own_package.inner.layers:Wide")(2)).to_json()
    _names._declared.pop("own_package.inner.layers:Wide")
    with pytest.raises(SpaceError, match=r"own_package.inner.layers is not imported"):
        aw.Space.from_json(written)
    load_code(package / "layers.py")
    assert aw.Space.from_json(written).build({}).out_features == 3


# ---------------------------------------------------------------------- spaces of one's own

SPACES = """
    import archwright as aw
    from archwright import nn


    def small(*, input_shape, classes):
        return aw.Space(model=nn.Sequential(nn.LazyLinear(aw.ordinal(4, 8)), nn.LazyLinear(classes)), name="small")


    def fixed():
        return aw.Space(model=nn.Sequential(nn.LazyLinear(aw.ordinal(4, 8)), nn.LazyLinear(3)))


    def any_of(**options):
        return small(**options)


    def needy(width):
        return None


    def wrong():
        return 3


    space = fixed()
"""


@pytest.fixture
def own_spaces(tmp_path, modules):
    file = tmp_path / "my_spaces.py"
    file.write_text(dedent(SPACES))
    return file


@pytest.mark.parametrize("name", ["small", "fixed", "any_of", "space"])
def test_a_space_of_one_s_own_is_taken_from_a_file(own_spaces, name):
    found = parse_space(f"{own_spaces}:{name}", input_shape=(4,), classes=3)
    assert found.size == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (":spcae", "'spcae' is not a Space or a function that returns one; the file defines space"),
        (":wrong", "'wrong' is not a Space or a function that returns one"),
        (":needy", "is called with the keywords input_shape and classes, as far as it has them: missing a required"),
        ("", "name the space in the file too, for example"),
    ],
)
def test_what_is_no_space_in_a_file(own_spaces, name, message):
    with pytest.raises(SpaceError, match=message):
        parse_space(f"{own_spaces}{name}", input_shape=(4,), classes=3)


def test_a_search_in_a_space_of_one_s_own(own_spaces, in_process, tmp_path):
    run = tmp_path / "run"
    options = ["--epochs", 1, "--trials", 2, "--strategy", "random", "--scheduler", "full", "--no-final", "--out", run]
    status, out, err = in_process("search", "iris", "--space", f"{own_spaces}:small", *options)
    assert status == 0, err
    assert "small" in out
    assert (run / "best" / "model.py").exists()
    status, out, err = in_process("resume", run, "--trials", 3)  # it has no class of its own: no code is needed
    assert status == 0, err


def test_a_record_names_no_file_that_is_executed(own_spaces, tmp_path):
    """A stranger's folder may hold code, and may name it; nothing of it is executed."""
    own_spaces.write_text("raise SystemExit('executed')")
    with aw.Study(aw.Space(model=aw.lazy("my_spaces:Thing")()), path=tmp_path / "run"):
        pass
    (tmp_path / "run" / "my_spaces.py").write_text("raise SystemExit('executed')")
    _names._declared.pop("my_spaces:Thing")
    with pytest.raises(StudyError, match=r"my_spaces is not imported; import it first, or name the file .*--code FILE"):
        aw.load(tmp_path / "run").space
