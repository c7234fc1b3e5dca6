"""Every command prints JSON."""

from __future__ import annotations

import json

import pytest
from typer.main import get_command

from archwright.cli._app import app

SERVERS = {("serve",), ("ui",)}  # which print their address, and answer in JSON over HTTP
ELSEWHERE = {("search",), ("export",)}  # which take long, and are called with --json in test_command.py


def commands(group=None, path=()):
    """Yield the path of each command, and its parameters."""
    group = group or get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), {parameter.name for parameter in command.params}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs, an architecture, and a file to predict from."""
    import archwright as aw

    folder = tmp_path_factory.mktemp("json")
    task = aw.task("iris")
    space = aw.spaces.create("mlp", **aw.spaces.fitting("mlp", task.space_options))
    for name in ("one", "two"):
        aw.search(
            space,
            aw.Training(task, epochs=1),
            strategy="random",
            scheduler="full",
            objective=["max accuracy", "min parameters"],
            budget=aw.Budget(trials=3),
            final=0,
            path=folder / name,
            progress=False,
        ).close()
    (folder / "architecture.json").write_text("{}")
    (folder / "rows.csv").write_text("a,b,c,d\n5.1,3.5,1.4,0.2\n")
    return folder


CALLS = {
    ("resume",): "{folder}/two --trials 4",
    ("show",): "{folder}/one",
    ("front",): "{folder}/one",
    ("cost",): "{folder}/one --limit 10",
    ("devices",): "",
    ("predict",): "{folder}/one {folder}/rows.csv",
    ("bench",): "digits-cells --strategy random --trials 3 --seeds 2",
    ("check",): "{folder}/one {folder}/architecture.json",
    ("schema",): "{folder}/one",
    ("draw",): "{folder}/one",
    ("explain",): "{folder}/one",
    ("report",): "{folder}/one --out {folder}/page.html",
    ("compare",): "{folder}/one {folder}/two",
    ("verify",): "{folder}/one",
    ("studies",): "{folder}/one/study.db",
    ("list",): "strategies",
    ("kb", "add"): "{folder}/one --kb {folder}/kb.db",
    ("kb", "list"): "--kb {folder}/kb.db",
    ("kb", "remove"): "{folder}/one --kb {folder}/kb.db",
    ("store", "list"): "{folder}/one/study.db",
    ("store", "check"): "{folder}/one/study.db",
    ("store", "backup"): "{folder}/one/study.db {folder}/backup.db",
    ("store", "export"): "{folder}/one/study.db --out {folder}/one.jsonl",
    ("store", "import"): "{folder}/one.jsonl {folder}/imported.db",
}


def test_every_command_has_json():
    known = dict(commands())
    assert set(CALLS) | SERVERS | ELSEWHERE == set(known)
    assert {path for path, parameters in known.items() if "json" not in parameters} == SERVERS


@pytest.mark.parametrize("path", CALLS, ids=" ".join)
def test_the_output_of_a_command_is_one_json_document(path, in_process, folder):
    status, out, err = in_process(*path, *CALLS[path].format(folder=folder).split(), "--json")
    told = json.loads(out)
    assert "error" not in told, told
    assert status == (path == ("check",)), err


def test_the_export_of_studies_is_a_document_too(in_process, folder):
    lines = in_process("store", "export", folder / "one" / "study.db")[1].splitlines()
    told = json.loads(in_process("store", "export", folder / "one" / "study.db", "--json")[1])
    assert told == [json.loads(line) for line in lines]


def test_an_error_is_a_document_too(in_process, tmp_path):
    status, out, err = in_process("show", tmp_path / "none", "--json")
    assert status == 2
    assert err == f"archwright: {json.loads(out)['error']}\n"
