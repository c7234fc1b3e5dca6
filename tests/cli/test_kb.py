"""`archwright kb`."""

from __future__ import annotations

import json

import archwright as aw


def test_runs_are_added_listed_and_removed(tmp_path, monkeypatch, in_process):
    monkeypatch.setenv("ARCHWRIGHT_KB", str(tmp_path / "kb.json"))
    first = tmp_path / "first"
    options = {"strategy": "random", "objective": "max accuracy", "final": False, "progress": False, "path": first}
    aw.search("mlp", aw.Training(aw.data("iris"), epochs=1, device="cpu"), budget=aw.Budget(trials=2), **options)
    status, out, _ = in_process("kb", "add", first)
    assert (status, out) == (0, f"added {first} to {tmp_path / 'kb.json'}\n")
    _, out, _ = in_process("kb", "list")
    assert out.startswith(f"{first}: table, 2 trials, max accuracy; samples ")
    _, out, _ = in_process("kb", "list", "--json")
    assert [run["name"] for run in json.loads(out)["runs"]] == [str(first)]
    assert in_process("kb", "remove", first)[0] == 0
    _, out, _ = in_process("kb", "list")
    assert out == f"{tmp_path / 'kb.json'}: no runs\n"
    status, _, err = in_process("kb", "remove", "other")
    assert status != 0
    assert "has no run" in err
