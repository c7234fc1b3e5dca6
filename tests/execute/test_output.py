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
from tests.execute.helpers import executor, job, run, wait_for
from tests.execute.here import Here

from archwright.execute import _output, drive
from archwright.execute._output import PART, Relay, TrialLog

CHUNKS = st.lists(st.binary(min_size=1, max_size=45), max_size=20)


def assert_holds(content, printed, part):
    """A log has the first and the last part of what was printed, and how much was between them."""
    assert content.startswith(printed[:part])
    gap = re.search(rb"\n\.\.\. ([\d,]+) bytes were left out \.\.\.\n", content[part:])
    if gap is None:
        assert content == printed
        return
    last = content[part + gap.end() :]
    assert gap.start() == 0
    assert part <= len(last) <= 2 * part
    assert printed.endswith(last)
    assert part + int(gap[1].replace(b",", b"")) + len(last) == len(printed)


@given(chunks=CHUNKS, before=st.sampled_from([b"", b"of the user's"]))
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
            assert_holds(content.removeprefix(heading), so_far, 10)
        log.close()
    assert path.exists() == bool(chunks or before)


@given(trials=st.lists(CHUNKS, max_size=3), data=st.data())
def test_what_an_agent_sends_makes_the_same_log(tmp_path_factory, trials, data):
    folder, sent = tmp_path_factory.mktemp("log"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_output, "PART", 10)
        relay = Relay(lambda left_out, content: sent.append(content) or log.write(content, left_out))
        relay.finish()
        for number, chunks in enumerate(trials):
            log = TrialLog(folder / f"{number}.log", "")
            for chunk in chunks:
                os.write(relay.end, chunk)
                patch.setattr(_output, "_EVERY", data.draw(st.sampled_from([0.0, 1e9])))  # the last part, now or later
                if data.draw(st.booleans()):
                    relay.read()
            relay.finish()
            log.close()
            printed = b"".join(chunks)
            assert_holds((folder / f"{number}.log").read_bytes() if printed else b"", printed, 10)
        os.close(relay.end)
        relay.close()
    assert max(map(len, sent), default=0) <= 10


LINE = b"." * 99 + b"\n"


@pytest.fixture(params=["processes", "agents"])
def cluster(request):
    """Where jobs run: `None` for processes of this machine."""
    return None if request.param == "processes" else Here()


@pytest.fixture
def printed(tmp_path, cluster):
    """What jobs have printed by the time they have ended; which ones died."""

    def evaluate(candidate):
        number = candidate.architecture["x"]
        print(f"print {number}")  # noqa: T201
        if number == 3:
            for _ in range(100):
                rest = memoryview(LINE * 10_000)
                while rest:
                    rest = rest[os.write(2, rest) :]
        elif number == 4:
            import ctypes

            ctypes.string_at(0)
        elif number == 5:
            os._exit(3)
        else:
            print(f"error {number}", file=sys.stderr)  # noqa: T201
            os.write(1, f"write {number}\n".encode())
            subprocess.run([sys.executable, "-S", "-c", f"print('child', {number})"], check=True)
        print("no end of line", end="")  # noqa: T201
        return 1.0

    found, jobs = {}, iter(map(job, range(6)))
    with executor(evaluate, cluster=cluster, logs=tmp_path / "trials") as made:
        for report, _ in drive(made, lambda: next(jobs, None)):
            found[report.trial] = (report.kind, (tmp_path / "trials" / f"{report.trial}.log").read_bytes())
    return found


def test_each_trial_has_what_it_printed_when_it_has_ended(printed):
    for number in range(3):
        told = [f"{what} {number}" for what in ("child", "error", "print", "write")]
        kind, content = printed[number]
        assert (kind, sorted(content.decode().splitlines())) == ("complete", sorted([*told, "no end of line"]))
    kind, content = printed[3]  # a hundred megabytes
    assert kind == "complete"
    assert len(content) < 3 * PART + 100
    assert_holds(content, b"print 3\n" + LINE * 1_000_000 + b"no end of line", PART)
    assert printed[5] == ("died", b"print 5\n")
    kind, crash = printed[4]
    assert kind == "died"
    assert crash.startswith(b"print 4\n")
    assert b"Segmentation fault" in crash
    assert b"in evaluate" in crash


def test_a_trial_that_prints_without_end_ends_in_time(tmp_path, cluster):
    def evaluate(candidate):
        child = subprocess.Popen(["yes"])
        time.sleep(0.1)
        candidate.report(1, value=child.pid)
        return 1.0

    run(evaluate, [job(0), job(1), job(2)], logs=tmp_path, cluster=cluster)
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
    assert {report.kind for report in ended.values()} == {"complete"}
    assert outside.read_text() == "mine"
    (problem,) = told  # of the first one alone
    assert problem.kind == "problem"
    assert "what trial 0 printed is not complete in its file" in problem.error
    assert wait_for(tmp_path / "trials" / "3.log") == "here\n"
