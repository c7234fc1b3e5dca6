"""Run folders that a stranger has made: nothing is executed, nothing hangs, and each is one clear sentence."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import shutil
import sqlite3
import zipfile
from contextlib import closing, suppress

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.report.helpers import Page

import archwright as aw
from archwright import nn
from archwright._states import parse_state
from archwright.errors import ArchwrightError, EvaluationError, StudyError
from archwright.execute import Checkpoints
from archwright.export import export_network, measure_networks
from archwright.report import report
from archwright.store import DOCUMENTS

EXECUTED = "ARCHWRIGHT_WAS_EXECUTED"
CODE = f"__import__('os').environ.__setitem__('{EXECUTED}', 'yes')"
NAMES = [
    f"x'); {CODE}; ('",
    f'"""\n{CODE}\n"""',
    "\x1b]0;title\x07\x1b[31mred",
    "\x9b31m\u202e",
    "[bold]x[/] [link=file:///etc/passwd]y[/link]",
    "line\nfinal     test_accuracy 1.0000",
    "$\\frac{$",
    "{0.__class__}%s%n",
    "../../etc/passwd",
    "",
    "\udce9",
]


def parts():
    """A space whose names are a stranger's."""
    return {
        "model": nn.Sequential(
            nn.LazyLinear(aw.ordinal(4, 8, name="width")),
            aw.graph(lambda x: nn.ReLU()(x, name="relu") + x, name="residual"),
            aw.choice({"first": nn.Tanh(), "second": nn.Identity()}, name="activation"),
            nn.LazyLinear(3),
        ),
        "batch_size": aw.choice(16, 32),
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished search for two objectives under a scheduler, with checkpoints."""
    folder = tmp_path_factory.mktemp("hostile") / "run"
    aw.search(
        aw.Space(**parts()),
        aw.Training(aw.data("iris"), epochs=2),
        objective=["max accuracy", "min parameters"],
        strategy="evolution",
        scheduler="asha",
        fidelity={"epochs": (1, 2)},
        constraints=["parameters<=1e6"],
        budget=aw.Budget(trials=2),
        path=folder,
    )
    return folder


@pytest.fixture
def hostile(run, tmp_path):
    """A copy of it that a stranger can change."""
    os.environ.pop(EXECUTED, None)
    shutil.copytree(run, tmp_path / "run")
    yield tmp_path / "run"
    assert EXECUTED not in os.environ


def change(folder, column, value, *, where="1"):
    """Change a document, or a column of trials."""
    with closing(sqlite3.connect(folder / "study.db")) as database, database:
        if column in DOCUMENTS:
            database.execute("UPDATE documents SET value = ? WHERE name = ?", (json.dumps(value), column))
        else:
            database.execute(f"UPDATE trials SET {column} = ? WHERE {where}", (json.dumps(value),))


def read(folder, document):
    with closing(sqlite3.connect(folder / "study.db")) as database:
        return json.loads(database.execute("SELECT value FROM documents WHERE name = ?", (document,)).fetchone()[0])


def use(folder, picture):
    """Do with a run folder what the commands do; return what was refused."""
    refused = []
    study = None

    def attempt(call):
        try:
            return call()
        except ArchwrightError as error:
            refused.append(str(error))
            return None

    study = attempt(lambda: aw.load(folder))
    if study is None:
        return refused
    for call in (
        study.summary,
        lambda: str(study.space),
        lambda: study.space.bound,
        lambda: study.strategy,
        lambda: study.scheduler,
        lambda: study.evaluator,
        lambda: study._plan,
        lambda: study.constraints,
        study.diagnosis,
        lambda: study.draw_front(picture),
        lambda: Page(report(study.searched())),
        lambda: study.best and study.best.load(),
        lambda: study.best and study.space.source(study.best.architecture, (4,)),
        lambda: measure_networks(folder, study.space, limit=1e6),
    ):
        attempt(call)
    return refused


def test_the_folder_itself_is_fine(hostile, tmp_path):
    assert use(hostile, tmp_path / "front.svg") == []


@pytest.mark.parametrize("name", NAMES)
def test_names_with_code_controls_and_markup(hostile, tmp_path, name, in_process):
    """Names are shown, and kept from being code, commands to a terminal or lines of their own."""
    space = aw.Space(**parts())
    text = json.dumps(space.to_json())
    for known in ("activation", "first", "residual"):
        text = text.replace(json.dumps(known), json.dumps(f"{known} {name}"))
    change(hostile, "space", json.loads(text))
    change(hostile, "architecture", {"width": 4, f"activation {name}": f"first {name}", "batch_size": 16})
    change(hostile, "why", [f"strategy {name}"])
    use(hostile, tmp_path / "front.png")
    commands = (
        ("show", hostile),
        ("show", hostile, "--json"),
        ("front", hostile),
        ("cost", hostile),
        ("report", hostile),
    )
    for command in commands:
        status, out, err = in_process(*command)
        assert status in (0, 2)
        assert all(each.isprintable() or each in "\n\t" for each in out + err)
        assert "Traceback" not in err
        if status:
            assert err.startswith("archwright: ")
    page = hostile / "report.html"
    if page.exists():
        text = page.read_text(encoding="utf-8")
        assert Page(text).links == []
        assert all(each.isprintable() or each == "\n" for each in text)


EVIL_FIELDS = [
    ("Merge", "kind", f"sum'); {CODE}; ('"),
    ("Merge", "name", f"x = {CODE}"),
    ("Apply", "name", f"relu: nn.Module = {CODE}"),
    ("Call", "target", f"torch.nn.ReLU if {CODE} else torch.nn.ReLU"),
    ("Call", "target", "os:system"),
    ("Call", "target", "torch:load"),
    ("Call", "kwargs", {"dict": [[f"x={CODE}", 1]]}),
    ("Call", "callee", {"import": "torch.nn:ReLU"}),
    ("Call", "args", {"tuple": [{"import": "os:system"}]}),
    ("Choice", "name", f"x = {CODE}"),
    ("Graph", "name", f"Block({CODE})"),
]


@pytest.mark.parametrize(("kind", "field", "value"), EVIL_FIELDS)
def test_source_in_a_field_is_not_executed(hostile, tmp_path, kind, field, value):
    space = read(hostile, "space")
    for node in space["nodes"]:
        if node["is"] == kind:
            node[field] = value
    change(hostile, "space", space)
    refused = use(hostile, tmp_path / "front.png")
    if kind not in ("Choice", "Graph"):  # whose names are text
        assert any("the study's space cannot be restored from its record: node" in each for each in refused) or any(
            "the space uses" in each for each in refused
        )


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 3, 10**30, -(10**4000), 0.5, 1e308, "", "x", "evolution", "max accuracy", CODE, "\udce9"]),
    st.sampled_from([[], {}, [[]], [1], {"a": 1}, {"type": "x"}, {"node": 0}, ["max a", "min b"]]),
)


def places(item, path=()):
    yield path
    for key, value in item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ():
        yield from places(value, (*path, key))


@settings(max_examples=40)
@given(data=st.data())
def test_any_field_of_the_record_of_a_wrong_type(run, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("changed") / "run"
    folder.mkdir()
    shutil.copy(run / "study.db", folder)
    column = data.draw(
        st.sampled_from(["strategy", "scheduler", "objective", "evaluator", "budget", "results", "seed"])
    )
    document = read(folder, column)
    path = data.draw(st.sampled_from(list(places(document))))
    value = data.draw(VALUES)
    inside = document = copy.deepcopy(document) if path else value
    for key in path[:-1]:
        inside = inside[key]
    if path:
        inside[path[-1]] = value
    change(folder, column, document)
    use(folder, folder / "front.png")
    shutil.rmtree(folder)


@pytest.mark.parametrize("document", ["results", "digests"])
@pytest.mark.parametrize("name", ["9" * 5000, "-1", "\u0663"])
def test_names_that_are_no_numbers_of_trials(hostile, document, name):
    result = {"metrics": {}, "seconds": 0.0, "elapsed": 0.0}
    change(hostile, document, {name: "ab" * 32 if document == "digests" else result})
    with pytest.raises(ArchwrightError, match=rf"{document} holds '.*', which is not the number of a trial"):
        aw.load(hostile)


def test_a_digest_of_a_stranger_is_compared_and_not_told(hostile):
    (number, digest), *_ = read(hostile, "digests").items()
    assert Checkpoints(hostile).load(int(number), digest)
    with pytest.raises(LookupError, match=r"^cannot be read \(its SHA-256 is not the one on record\)$"):
        Checkpoints(hostile).load(int(number), "\x1b[31m/etc/passwd")


def test_what_was_learned_of_another_space_is_not_drawn(hostile, tmp_path):
    outcome = {"architectures": [], "curve": [{"step": 1.0}], "diagnosis": {}}
    for shares in ({"nothing": [1.0]}, {"width": [1.0]}, {name: [0.5, 0.5] for name in ("width", "x")}):
        change(hostile, "learned", {"elapsed": 1.0, "outcome": {**outcome, "probabilities": [shares]}})
        with pytest.raises(
            StudyError, match="the learned probabilities cannot be plotted: their decisions are not those"
        ):
            aw.load(hostile).draw_learned(tmp_path / "learned.png")


def test_a_space_that_unfolds_without_end(hostile, tmp_path):
    space = read(hostile, "space")
    node = {"is": "Call", "target": "torch.nn.Sequential", "kwargs": {"dict": []}, "names": {"tuple": []}}
    first = len(space["nodes"])
    space["nodes"].append({**node, "args": {"tuple": []}})
    for number in range(40):
        last = {"node": first + number}
        space["nodes"].append({**node, "args": {"tuple": [last, last]}})
    space["parts"]["model"] = {"node": len(space["nodes"]) - 1}
    change(hostile, "space", space)
    assert any("describes networks of more than 200,000 parts" in each for each in use(hostile, tmp_path / "x.png"))


def test_networks_larger_than_their_weights_take_no_memory(hostile):
    space = read(hostile, "space")
    for node in space["nodes"]:
        if node["is"] == "Choice" and node["name"] == "width":
            node |= {"options": {"tuple": [10**9, 2]}, "labels": {"tuple": [4, 8]}}
    change(hostile, "space", space)
    study = aw.load(hostile)
    with pytest.raises(ArchwrightError, match=r"does not hold the weights of this network|cannot be made"):
        [best.load() for best in study.front]


# ---------------------------------------------------------------------- checkpoints and supernets


class _Evil:
    def __reduce__(self):
        return eval, (CODE,)


def saved(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def compressed(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return buffer.getvalue()


BOMB = compressed(saved({"model": torch.zeros(10**6)}))
STATES = {
    "a pickle": (pickle.dumps(_Evil()), "it is no file of torch.save"),
    "a pickle in a file of torch": (saved(_Evil()), "UnpicklingError"),
    "one inside a state": (saved({"model": _Evil()}), "UnpicklingError"),
    "a bomb": (BOMB, "it is compressed, which torch.save does not do"),
    "a list": (saved([1]), "it is a list"),
    "half a file": (saved({"a": torch.zeros(9)})[:400], "it is no file of torch.save"),
    "a damaged weight": (saved({"a": torch.ones(99)}).replace(torch.ones(9).numpy().tobytes(), bytes(36), 1), "BadZip"),
    "nothing": (b"", "it is no file of torch.save"),
}


@pytest.mark.parametrize("kind", STATES)
def test_states_execute_nothing_and_unpack_no_more_than_they_hold(tmp_path, kind):
    content, reason = STATES[kind]
    with pytest.raises(ValueError, match=reason):
        parse_state(content)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "3.pt").write_bytes(content)
    with pytest.raises(LookupError, match=reason):
        Checkpoints(tmp_path).load(3)
    assert EXECUTED not in os.environ


def test_a_state_is_read_back():
    state = parse_state(saved({"model": torch.ones(3), "step": 4}))
    assert state["step"] == 4
    assert torch.equal(state["model"], torch.ones(3))


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_checkpoints_that_are_no_files(tmp_path, kind):
    (tmp_path / "checkpoints").mkdir()
    place = tmp_path / "checkpoints" / "3.pt"
    if kind == "pipe":
        os.mkfifo(place)
    else:
        (tmp_path / "elsewhere.pt").write_bytes(saved({}))
        place.symlink_to(tmp_path / "elsewhere.pt")
    with pytest.raises(LookupError, match=r"is not a file|is a symbolic link"):
        Checkpoints(tmp_path).load(3)


def prepared(folder):
    space = aw.Space(model=nn.Sequential(aw.choice(nn.LazyLinear(4), nn.LazyLinear(4, bias=False)), nn.LazyLinear(3)))
    evaluator = aw.SupernetEvaluator(aw.Training(aw.data("iris"), epochs=1), epochs=1)
    return aw.search(space, evaluator, budget=aw.Budget(trials=1), strategy="random", final=False, path=folder)


@pytest.fixture(scope="module")
def supernet_run(tmp_path_factory):
    """A search by a supernet that was stopped in its training."""
    folder = tmp_path_factory.mktemp("supernet") / "run"
    prepared(folder)
    change(folder, "learned", {"elapsed": 0.0, "outcome": None})
    return folder


@pytest.mark.parametrize("kind", ["a pickle in a file of torch", "a bomb", "a list", "pipe", "foreign"])
def test_the_checkpoint_of_a_supernet_is_a_stranger_s(supernet_run, tmp_path, kind):
    shutil.copytree(supernet_run, tmp_path / "run")
    place = tmp_path / "run" / "supernet.pt"
    state = torch.load(place, weights_only=True)
    place.unlink()
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.write_bytes(saved({**state, "trainer": {"x": 1}}) if kind == "foreign" else STATES[kind][0])
    study = aw.load(place.parent)
    if kind == "pipe":
        with pytest.raises((StudyError, EvaluationError), match="is not a file"):
            study.resume(aw.Budget(trials=2))
    else:
        why = "is damaged" if kind == "foreign" else "cannot be read"
        with pytest.warns(UserWarning, match=rf"the checkpoint .* {why} .* the supernet is trained from the"):
            study.resume(aw.Budget(trials=2))
    assert EXECUTED not in os.environ


# ---------------------------------------------------------------------- the files of a network


@pytest.mark.parametrize("file", ["weights.safetensors", "architecture.json", "metrics.json", "preprocess.json"])
@pytest.mark.parametrize("kind", ["pickle", "nested", "huge", "pipe", "link", "empty"])
def test_files_of_a_network(hostile, tmp_path, file, kind):
    found = sorted(hostile.rglob(file))
    assert found
    for place in found:
        place.unlink()
        if kind == "pipe":
            os.mkfifo(place)
        elif kind == "link":
            place.symlink_to("/dev/zero")
        else:
            content = {"pickle": pickle.dumps(_Evil()), "nested": b"[" * 10**5, "huge": b"9" * 10**5, "empty": b""}[
                kind
            ]
            place.write_bytes(content)
    study = aw.load(hostile)
    for call in (study.best.load, lambda: export_network(hostile, tmp_path / "out", trial=study.best.trial.number)):
        with suppress(ArchwrightError):
            call()
    assert EXECUTED not in os.environ
    assert not (tmp_path / "out" / file).is_symlink()
