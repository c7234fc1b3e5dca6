import inspect
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from itertools import count

import numpy as np
import pytest
import torch
from tests.build import blocks

import archwright as aw
from archwright import nn
from archwright.errors import BuildError, StudyError
from archwright.evaluate import Candidate
from archwright.export import clear_all_but, export_network, load_best, measure_networks, read_best, save_best
from archwright.export._folder import Folder

SPACE = aw.Space(
    model=nn.Sequential(nn.Flatten(), nn.LazyLinear(aw.ordinal(4, 8, name="width")), nn.ReLU(), nn.LazyLinear(3)),
    example_input=(1, 4, 4),
    name="little",
)


MADE = []


class Numbered(torch.nn.Module):
    """A layer that depends on how many were made before it."""

    def __init__(self):
        super().__init__()
        MADE.append(len(MADE))
        self.number = len(MADE)

    def forward(self, x):
        return x * self.number


class Random(torch.nn.Module):
    """A layer that draws numbers."""

    def forward(self, x):
        return x + torch.rand(1)


@pytest.mark.parametrize(("block", "told"), [(Numbered, "gives other outputs"), (Random, None)])
def test_source_that_makes_another_network_is_not_kept(block, told, tmp_path):
    space = aw.Space(model=nn.Sequential(aw.lazy(block)(), nn.Linear(4, aw.choice(2, 3))), example_input=(4,))
    made = Candidate(space, space.sample(np.random.default_rng(0)), seed=0)
    assert made.model(torch.ones(2, 4)).ndim == 2
    reason = save_best(tmp_path, space=space, architecture=made.architecture, candidate=made, metrics={}, trial=0)
    assert (told in reason) if told else reason is None
    files = {path.name for path in (tmp_path / "best").iterdir()}
    assert "weights.safetensors" in files
    assert ("model.py" in files) == (told is None)


def candidate(seed=0):
    architecture = SPACE.sample(np.random.default_rng(seed))
    return Candidate(SPACE, architecture, seed=seed)


def save(folder, made, **changed):
    given = {"metrics": {"accuracy": 0.5}, "trial": 3, **changed}
    return save_best(folder, space=SPACE, architecture=made.architecture, candidate=made, **given)


def test_the_loaded_network_is_the_saved_one(tmp_path):
    made = candidate()
    x = torch.randn(5, 1, 4, 4)
    before = made.model.eval()(x)
    assert save(tmp_path, made) is None
    assert torch.equal(load_best(tmp_path, SPACE)(x), before)
    assert not load_best(tmp_path, SPACE).training


def test_the_exported_files_make_the_network_without_archwright(tmp_path):
    made = candidate()
    save(tmp_path, made)
    files = export_network(tmp_path, tmp_path / "out")
    assert sorted(file.name for file in files) == [
        "architecture.json",
        "metrics.json",
        "model.py",
        "weights.safetensors",
    ]
    x = torch.randn(5, 1, 4, 4)
    torch.save(x, tmp_path / "x.pt")
    script = (
        "import sys, torch; from safetensors.torch import load_file; sys.modules['archwright'] = None\n"
        "from model import build; model = build(); model.load_state_dict(load_file('weights.safetensors'))\n"
        "print(model.eval()(torch.load('../x.pt', weights_only=True)).sum().item())"
    )
    out = tmp_path / "out"
    env = {**os.environ, "PYTHONPATH": str(out)}
    done = subprocess.run([sys.executable, "-c", script], cwd=out, env=env, capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(made.model.eval()(x).sum().item(), rel=1e-5)


def test_what_is_read_is_what_was_said(tmp_path):
    made = candidate()
    save(tmp_path, made, stage="final")
    saved = read_best(tmp_path)
    assert saved.architecture == made.architecture
    assert (saved.metrics, saved.stage, saved.trial) == ({"accuracy": 0.5}, "final", 3)
    assert saved.example_input == SPACE.example_input


def test_a_better_network_takes_the_place_of_the_one_before(tmp_path):
    first, second = candidate(0), candidate(1)
    save(tmp_path, first)
    save(tmp_path, second, metrics={"accuracy": 0.75})
    assert read_best(tmp_path).metrics == {"accuracy": 0.75}
    assert {path.name for path in tmp_path.iterdir()} == {"best"}


def killed_at(step, call):
    """Call a function in a process that dies before the given one of its changes on disk; tell whether it got there."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    left = step

    def watch(event, arguments):
        nonlocal left
        changes = event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir")
        if changes or (event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wx")):
            left -= 1
            if left < 0:
                os._exit(9)

    sys.addaudithook(watch)
    try:
        call()
    finally:
        os._exit(0)


def test_a_process_killed_while_saving_leaves_a_whole_network_and_what_is_the_users(tmp_path):
    networks = {number: files_of(number) for number in (1, 2, 3)}
    for step in count():
        run = tmp_path / str(step)
        Folder(run, "best").write(*networks[1])
        (run / "best" / "notes.txt").write_text("mine")
        (run / "best" / "model.py").write_text("# changed by me")
        (run / "best" / "plots").mkdir()
        (run / "best" / "plots" / "a.png").write_text("mine too")
        was_killed = killed_at(step, lambda run=run: Folder(run, "best").write(*networks[2]))
        found = Folder(run, "best").read()
        assert found["weights.safetensors"] in (b"1" * 99, b"2" * 99)
        assert json.loads(found["architecture.json"])["id"] == found["weights.safetensors"][:1].decode()
        Folder(run, "best").write(*networks[3])
        assert Folder(run, "best").read()["weights.safetensors"] == b"3" * 99
        assert {path.name for path in run.iterdir()} == {"best"}
        texts = sorted(path.read_text() for path in (run / "best").rglob("*") if path.is_file())
        assert {"mine", "mine too", "# changed by me"} <= set(texts)
        assert (run / "best" / "notes.txt").read_text() == "mine"
        assert len(texts) == 6
        if not was_killed:
            break
    assert step > 8


def files_of(number):
    index = {"id": str(number), "decisions": {}, "fingerprint": ""}
    return index, {"weights.safetensors": str(number).encode() * 99, "model.py": str(number).encode()}


def test_a_reader_gets_the_files_of_one_network(tmp_path):
    folder = Folder(tmp_path, "best")
    folder.write(*files_of(1))
    script = (
        "import sys\nfrom archwright.export._folder import Folder\n"
        f"{inspect.getsource(files_of)}\n"
        "print('ready', flush=True)\n"
        "for turn in range(2, 200): Folder(sys.argv[1], 'best').write(*files_of(turn % 10))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    writer = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, env=env)
    writer.stdout.readline()
    seen = set()
    while writer.poll() is None:
        found = folder.read()
        of = {json.loads(found["architecture.json"])["id"], found["model.py"].decode()}
        assert of == {found["weights.safetensors"][:1].decode()}
        seen |= of
    assert writer.returncode == 0
    assert len(seen) > 3


def test_a_network_that_cannot_be_written_leaves_the_one_before(tmp_path):
    made = candidate()
    save(tmp_path, made)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            save(tmp_path, candidate(1), metrics={"accuracy": 0.75})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert read_best(tmp_path).metrics == {"accuracy": 0.5}
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_what_leaves_the_front_leaves_what_is_the_users(tmp_path):
    for number in (1, 2, 3):
        save(tmp_path, candidate(number), trial=number, name=f"front/{number}")
    (tmp_path / "front" / "2" / "figure.pt").write_text("mine")
    (tmp_path / "front" / "77").mkdir()
    (tmp_path / "front" / "77" / "model.py").write_text("mine")
    (tmp_path / "front" / "notes").mkdir()
    clear_all_but(tmp_path, "front", {3})
    assert read_best(tmp_path, "front/3").trial == 3
    left = {str(path.relative_to(tmp_path / "front")) for path in (tmp_path / "front").rglob("*")}
    assert left >= {"2", "2/figure.pt", "77", "77/model.py", "notes", "3"}
    assert not [name for name in left if name.startswith("1")]
    assert read_best(tmp_path, "front/2") is None


def test_files_have_the_mode_that_the_user_has_chosen(tmp_path):
    before = os.umask(0o027)
    try:
        save(tmp_path, candidate())
        export_network(tmp_path, tmp_path / "out")
    finally:
        os.umask(before)
    modes = {file.stat().st_mode & 0o777 for name in ("best", "out") for file in (tmp_path / name).iterdir()}
    assert modes == {0o640}


OUTSIDE = {
    "best": lambda run, secret: (shutil.rmtree(run / "best"), (run / "best").symlink_to(secret.parent)),
    "a file": lambda run, secret: (
        (run / "best" / "model.py").unlink(),
        (run / "best" / "model.py").symlink_to(secret),
    ),
    "the index": lambda run, secret: (
        (run / "best" / "architecture.json").rename(secret.parent / "architecture.json"),
        (run / "best" / "architecture.json").symlink_to(secret.parent / "architecture.json"),
    ),
}


@pytest.mark.parametrize("way", OUTSIDE)
def test_links_are_not_followed(tmp_path, way):
    run, outside = tmp_path / "run", tmp_path / "outside"
    save(run, candidate())
    shutil.copytree(run / "best", outside)
    (outside / "secret").write_text("not yours")
    OUTSIDE[way](run, outside / "secret")
    before = {path.name: path.read_bytes() for path in outside.iterdir()}
    for read in (lambda: read_best(run), lambda: export_network(run, tmp_path / "out")):
        with pytest.raises(StudyError, match="is a symbolic link"):
            read()
    if way == "best":
        with pytest.raises(StudyError, match="is a symbolic link"):
            save(run, candidate(1))
    else:
        save(run, candidate(1), trial=5)
        assert read_best(run).trial == 5
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == before


def test_a_link_of_the_users_in_the_folder_is_neither_followed_nor_exported(tmp_path):
    (tmp_path / "secret").write_text("not yours")
    save(tmp_path / "run", candidate())
    (tmp_path / "run" / "best" / "notes.txt").symlink_to(tmp_path / "secret")
    export_network(tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "out" / "notes.txt").exists()
    save(tmp_path / "run", candidate(1))
    assert (tmp_path / "run" / "best" / "notes.txt").is_symlink()


@pytest.mark.parametrize("above", ["front", "top"])
def test_a_folder_of_networks_that_is_a_link_is_left_alone(tmp_path, above):
    outside = tmp_path / "outside"
    save(outside, candidate(), trial=3, name="3")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / above).symlink_to(outside)
    clear_all_but(tmp_path / "run", above, set())
    for use in (
        lambda: save(tmp_path / "run", candidate(), name=f"{above}/3"),
        lambda: read_best(tmp_path / "run", f"{above}/3"),
    ):
        with pytest.raises(StudyError, match="is a symbolic link"):
            use()
    assert read_best(outside, "3").trial == 3


VALUES = [None, True, -1, 1.5, 10**400, "text", "\ud800", [], [1], [[]], {}, {"a": {}}, [{"shape": 3, "dtype": 1}]]


@pytest.mark.parametrize("name", ["architecture.json", "metrics.json"])
def test_wrong_types_are_told_by_file_and_field(tmp_path, name):
    save(tmp_path, candidate())
    file = tmp_path / "best" / name
    whole = json.loads(file.read_text())
    refused = 0
    for field in whole:
        for value in (*VALUES, "missing"):
            changed = {**whole, field: value}
            if value == "missing":
                del changed[field]
            file.write_text(json.dumps(changed))
            told = refusal(lambda: load_best(tmp_path, SPACE))
            assert told is None or name in told
            refused += told is not None
    assert refused > 20


def refusal(call):
    """Return the message with which a call is refused; None where it is not."""
    try:
        call()
    except StudyError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", ["architecture.json", "metrics.json", "weights.safetensors"])
@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[" * 100_000, b"[]", b"null", b"\x08\0\0\0\0\0\0\0{}      ", b"\xff" * 64, None],
    ids=["empty", "binary", "deep", "array", "null", "no tensors", "huge header", "missing"],
)
def test_damage_is_told_in_a_line(tmp_path, name, content):
    save(tmp_path, candidate())
    file = tmp_path / "best" / name
    file.unlink() if content is None else file.write_bytes(content)
    if content is None and name == "architecture.json":
        assert read_best(tmp_path) is None
        return
    with pytest.raises(StudyError, match=name.partition(".")[0]):
        load_best(tmp_path, SPACE)


def test_weights_of_another_network_are_told(tmp_path):
    other = aw.Space(model=nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), example_input=(1, 4, 4))
    made = Candidate(other, other.sample(np.random.default_rng(0)), seed=0)
    save(tmp_path, candidate())
    save_best(tmp_path / "other", space=other, architecture=made.architecture, candidate=made, metrics={})
    shutil.copy(tmp_path / "other" / "best" / "weights.safetensors", tmp_path / "best")
    with pytest.raises(StudyError, match=r"weights\.safetensors does not hold the weights of this network"):
        load_best(tmp_path, SPACE)


def test_a_folder_that_does_not_exist_is_said_to_be_missing(tmp_path):
    missing = tmp_path / "missing"
    for call in (
        lambda: export_network(missing, tmp_path / "out"),
        lambda: export_network(missing, tmp_path / "out", trial=3),
        lambda: load_best(missing, SPACE),
        lambda: measure_networks(missing, SPACE),
    ):
        with pytest.raises(StudyError, match=r"there is no folder .*missing"):
            call()
    assert not (tmp_path / "out").exists()


def test_an_earlier_version_named_no_files_and_is_read_and_replaced(tmp_path):
    made = candidate()
    save(tmp_path, made)
    index = json.loads((tmp_path / "best" / "architecture.json").read_text())
    del index["files"]
    (tmp_path / "best" / "architecture.json").write_text(json.dumps(index))
    x = torch.randn(5, 1, 4, 4)
    assert torch.equal(load_best(tmp_path, SPACE)(x), made.model.eval()(x))
    save(tmp_path, candidate(1))
    assert len(list((tmp_path / "best").iterdir())) == 4


def test_tied_weights_are_saved_and_loaded(tmp_path):
    made = candidate()
    made.model.register_module("again", made.model[1])  # the same tensor under two names
    save(tmp_path, made)
    assert (tmp_path / "best" / "weights.safetensors").stat().st_size > 0


def test_without_a_network_there_are_decisions_and_figures(tmp_path):
    architecture = SPACE.sample(np.random.default_rng(0))
    save_best(tmp_path, space=SPACE, architecture=architecture, metrics={"value": 1.0})
    assert {path.name for path in (tmp_path / "best").iterdir()} == {"architecture.json", "metrics.json", "model.py"}
    with pytest.raises(StudyError, match="no weights"):
        load_best(tmp_path, SPACE)


def test_source_that_cannot_be_written_is_said_and_loses_nothing(tmp_path):
    namespace = {"torch": torch}
    exec("class Typed(torch.nn.ReLU):\n    pass", namespace)  # a class without a file
    namespace["Typed"].__module__ = "nowhere"
    space = aw.Space(model=nn.Sequential(nn.Flatten(), aw.lazy(namespace["Typed"])()), example_input=(4,))
    made = Candidate(space, space.sample(np.random.default_rng(0)), seed=0)
    assert made.model is not None
    reason = save_best(tmp_path, space=space, architecture=made.architecture, candidate=made, metrics={})
    assert "Typed" in reason
    assert {path.name for path in (tmp_path / "best").iterdir()} == {
        "architecture.json",
        "metrics.json",
        "weights.safetensors",
    }


def test_an_export_may_write_the_source_anew_with_more_imports(tmp_path):
    space = aw.Space(model=nn.Sequential(nn.Flatten(), aw.lazy(blocks.WithNumpy)()), example_input=(2, 2))
    made = Candidate(space, space.canonical({}), seed=0)
    made.preprocess = aw.data((np.zeros((20, 2, 2)), [0, 1] * 10)).preprocess
    reason = save_best(tmp_path, space=space, architecture=made.architecture, candidate=made, metrics={})
    assert "imports=['numpy']" in reason
    assert "predict.py" not in {path.name for path in (tmp_path / "best").iterdir()}  # it needs model.py
    with pytest.raises(StudyError, match="the space that was searched is needed"):
        export_network(tmp_path, tmp_path / "out", imports=["numpy"])
    with pytest.raises(BuildError, match="it is the module numpy"):
        export_network(tmp_path, tmp_path / "out", space=space, imports=["scipy"])
    export_network(tmp_path, tmp_path / "out", space=space, imports=["numpy"])
    assert "import numpy as np\n" in (tmp_path / "out" / "model.py").read_text()
    assert (tmp_path / "out" / "predict.py").exists()


def test_nothing_found_is_an_error_with_its_reason(tmp_path):
    assert read_best(tmp_path) is None
    for call in (lambda: load_best(tmp_path, SPACE), lambda: export_network(tmp_path, tmp_path / "out")):
        with pytest.raises(StudyError, match="no network yet"):
            call()


def test_an_export_overwrites_nothing(tmp_path):
    save(tmp_path, candidate())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("mine")
    with pytest.raises(StudyError, match="not empty"):
        export_network(tmp_path, tmp_path / "out")
    assert json.loads((tmp_path / "best" / "metrics.json").read_text())["trial"] == 3
