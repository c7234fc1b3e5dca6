"""Checkpoints in memory, in a run folder, and at URLs: kept as a whole, and compared with the digests on record."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch

from archwright.errors import MissingExtra, StudyError
from archwright.execute import Checkpoints, Job, Origin
from archwright.execute import _checkpoints as module


@pytest.fixture(params=["in memory", "folder", "memory", "file"])
def made(request, tmp_path):
    """Checkpoints of each kind."""
    place = {
        "in memory": None,
        "folder": tmp_path,
        "memory": f"memory://{tmp_path.name}/checkpoints",
        "file": f"file://{tmp_path}/new/checkpoints",
    }[request.param]
    return Checkpoints(place)


def same(one, other):
    return one.keys() == other.keys() and torch.equal(one["weight"], other["weight"])


def test_what_is_kept_is_read_again(made):
    state, later = {"weight": torch.arange(5.0)}, {"weight": torch.zeros(3)}
    assert not made.holds(3)
    with pytest.raises(LookupError, match="is gone"):
        made.load(3, "0" * 64)
    first = made.keep(3, state)
    assert made.holds(3)
    assert same(made.load(3, first), state)
    second = made.keep(3, later)  # of a second attempt
    assert second != first
    assert same(made.load(3, second), later)
    assert hashlib.sha256(made._files.read("3.pt")).hexdigest() == second
    with pytest.raises(LookupError, match=r"cannot be read \(its SHA-256 is not the one on record\)"):
        made.load(3, first)
    assert same(made.load(3), later)  # of a record without digests
    made.drop([3, 4])
    assert not made.holds(3)


def test_a_checkpoint_that_is_half_written_takes_no_place(made, monkeypatch):
    state = {"weight": torch.arange(5.0)}
    digest = made.keep(3, state)

    def save(state, file):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", save)
    for number in (3, 4):
        with pytest.raises(OSError, match="No space left"):
            made.keep(number, {"weight": torch.ones(5)})
    assert same(made.load(3, digest), state)
    assert not made.holds(4)
    made.drop([4])


def test_other_processes_find_them(made):
    digest = made.keep(3, {"weight": torch.ones(2)})
    there = Checkpoints(made.share())
    assert same(there.load(3, digest), {"weight": torch.ones(2)})
    there.keep(4, {"weight": torch.ones(1)})
    assert made.is_taken(4)


def test_what_cannot_be_reached_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match=r"checkpoints cannot be kept there: .*(Exists|NotADirectory)"):
        Checkpoints(f"file://{tmp_path}/file/below")
    with pytest.raises(StudyError, match=r"checkpoints cannot be kept there: ValueError: .*s33"):
        Checkpoints("s33://bucket/run")
    checkpoints = Checkpoints(f"file://{tmp_path}/new")
    digest = checkpoints.keep(3, {"weight": torch.ones(2)})

    def refuse(*arguments):
        raise PermissionError("expired token")

    monkeypatch.setattr(checkpoints._files._system, "cat_file", refuse)
    monkeypatch.setattr(checkpoints._files._system, "rm_file", refuse)
    with pytest.raises(LookupError, match=r"cannot be read \(PermissionError: expired token\)"):
        checkpoints.load(3, digest)
    checkpoints.drop([3])  # it stays there

    def miss(name, **what):
        raise MissingExtra(f"needs {name}: archwright[{what['extra']}]")

    monkeypatch.setattr(module, "require", miss)
    with pytest.raises(MissingExtra, match=r"fsspec: archwright\[remote\]"):
        Checkpoints("memory://there")


def test_a_digest_travels_with_its_job():
    import archwright as aw

    before = Origin(0, aw.Architecture({"x": 1}), digest="ab" * 32)
    job = Job(3, "fingerprint", aw.Architecture({"x": 1}), 7, before=before)
    assert Job.from_json(json.loads(json.dumps(job.to_json()))).before.digest == "ab" * 32
