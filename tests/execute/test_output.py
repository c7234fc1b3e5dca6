"""What trials print is in a file of each, from its first line to its last, and takes a bounded room."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.execute.helpers import executor, job, reports, run, wait_for

from archwright.execute import _output, drive
from archwright.execute._output import PART, TrialLog


@given(chunks=st.lists(st.binary(max_size=45), max_size=20), before=st.sampled_from([b"", b"of the user's"]))
def test_a_log_holds_the_first_and_the_last_part(tmp_path_factory, chunks, before):
    path = tmp_path_factory.mktemp("log") / "trials" / "3.log"
    if before:
        path.parent.mkdir()
        path.write_bytes(before)
    so_far = b""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_output, "PART", 10)
        log = TrialLog(path, "--- attempt 2")
        for chunk in chunks:
            log.write(chunk)
            so_far += chunk
            content = path.read_bytes()
            heading = before and before + b"\n--- attempt 2\n"
            assert content.startswith(heading)
            content = content.removeprefix(heading)
            assert content.startswith(so_far[:10])
            gap = re.search(rb"\n\.\.\. ([\d,]+) bytes were left out \.\.\.\n", content[10:])
            if gap is None or len(so_far) <= 30:
                assert content == so_far
            else:
                last = content[10 + gap.end() :]
                assert gap.start() == 0
                assert 10 <= len(last) <= 20
                assert so_far.endswith(last)
                assert 10 + int(gap[1].replace(b",", b"")) + len(last) == len(so_far)
        log.close()
    assert path.exists() == bool(chunks or before)


def test_each_trial_has_what_it_printed(tmp_path):
    def evaluate(candidate):
        number = candidate.architecture["x"]
        print(f"print {number}")  # noqa: T201
        print(f"error {number}", file=sys.stderr)  # noqa: T201
        os.write(1, f"write {number}\n".encode())
        subprocess.run([sys.executable, "-S", "-c", f"print('child', {number})"], check=True)
        print("no end of line", end="")  # noqa: T201
        return 1.0

    assert {report.kind for report in reports(evaluate, map(job, range(6)), logs=tmp_path / "trials").values()} == {
        "complete"
    }
    for number in range(6):
        lines = (tmp_path / "trials" / f"{number}.log").read_text().splitlines()
        told = [f"{what} {number}" for what in ("child", "error", "print", "write")]
        assert sorted(lines) == sorted([*told, "no end of line"])


def test_a_file_is_complete_when_its_trial_has_ended(tmp_path):
    def evaluate(candidate):
        print("x" * 150_000)  # noqa: T201
        return 1.0

    processes, jobs, sizes = executor(evaluate, logs=tmp_path), iter(map(job, range(3))), []
    try:
        for report, _ in drive(processes, lambda: next(jobs, None)):
            sizes.append((tmp_path / f"{report.trial}.log").stat().st_size)
    finally:
        processes.close()
    assert sizes == [150_001] * 3


def test_a_hundred_megabytes_take_little_room(tmp_path):
    def evaluate(candidate):
        print("the first line")  # noqa: T201
        line = b"." * 99 + b"\n"
        for _ in range(100):
            rest = memoryview(line * 10_000)
            while rest:
                rest = rest[os.write(2, rest) :]
        print("the last line")  # noqa: T201
        return 1.0

    assert reports(evaluate, [job(0)], logs=tmp_path)[0].kind == "complete"
    content = (tmp_path / "0.log").read_text()
    assert len(content) < 3 * PART + 100
    assert content.startswith("the first line\n")
    assert content.endswith("the last line\n")
    left_out = int(re.search(r"\n\.\.\. ([\d,]+) bytes were left out", content)[1].replace(",", ""))
    gap = f"\n... {left_out:,} bytes were left out ...\n"
    assert left_out + len(content) - len(gap) == 100_000_000 + len("the first line\nthe last line\n")


def test_what_a_process_printed_before_its_death_is_kept(tmp_path):
    def evaluate(candidate):
        print(f"attempt {candidate.seed}")  # noqa: T201
        if candidate.architecture["x"] == 0:
            import ctypes

            ctypes.string_at(0)
        os._exit(3)

    found = reports(evaluate, [job(0), job(1)], logs=tmp_path)
    assert {report.kind for report in found.values()} == {"died"}
    assert (tmp_path / "1.log").read_text() == "attempt 1\n"
    crash = (tmp_path / "0.log").read_text()
    assert crash.startswith("attempt 0\n")
    assert "Segmentation fault" in crash
    assert "in evaluate" in crash


def test_a_trial_that_prints_without_end_ends_in_time(tmp_path):
    def evaluate(candidate):
        child = subprocess.Popen(["yes"])
        time.sleep(0.2)
        candidate.report(1, value=child.pid)
        return 1.0

    reports(evaluate, [job(0), job(1), job(2)], logs=tmp_path)
    for number in range(3):
        assert (tmp_path / f"{number}.log").stat().st_size < 3 * PART + 100


def test_a_file_that_cannot_be_written_costs_no_trial(tmp_path):
    (tmp_path / "trials").mkdir()
    outside = tmp_path / "precious"
    outside.write_text("mine")
    (tmp_path / "trials" / "0.log").symlink_to(outside)
    (tmp_path / "trials" / "1.log").mkdir()
    os.mkfifo(tmp_path / "trials" / "2.log")
    told = []

    def evaluate(candidate):
        print("here")  # noqa: T201
        return 1.0

    ended = run(evaluate, map(job, range(4)), told.append, logs=tmp_path / "trials", capacity=1)
    assert {report.kind for report, _ in ended.values()} == {"complete"}
    assert outside.read_text() == "mine"
    (problem,) = told  # of the first one alone
    assert problem.kind == "problem"
    assert "what trial 0 printed is not complete in its file" in problem.error
    assert wait_for(tmp_path / "trials" / "3.log") == "here\n"
