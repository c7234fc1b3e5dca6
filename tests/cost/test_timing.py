"""When a time is believed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from archwright.cost import Target, Timing, _latency, _runtimes, _turn, time_calls, time_networks
from archwright.errors import CostError, UnknownName, Unsteady
from archwright.space import TensorSpec


class Clock:
    """A clock that says what it is told to: (call, seconds of a run), and notes whose turn it was."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.turns = []

    def __call__(self, call, count):
        self.turns.append(call)
        return count * self.seconds[call](len(self.turns))


def steady(seconds):
    return lambda turn: seconds


def first():
    return 1


def second():
    return 2


def test_the_median_of_each_and_turn_by_turn():
    clock = Clock({first: steady(0.02), second: steady(0.3)})
    one, other = time_calls([first, second], watch=clock)
    assert (one.milliseconds, other.milliseconds) == pytest.approx((20, 300))
    assert one.spread == other.spread == 0
    rounds = clock.turns[2:]
    assert rounds == [first, second] * (len(rounds) // 2)
    assert one.runs == len(rounds) // 2


def test_short_calls_are_run_many_times_a_round():
    clock = Clock({first: steady(1e-5)})
    (timing,) = time_calls([first], watch=clock)
    assert timing.runs >= 1000 * (len(clock.turns) - 1)
    assert timing.milliseconds == pytest.approx(0.01)


def test_what_wavers_for_a_while_is_measured_for_longer():
    noise = np.random.default_rng(0).uniform(1, 3, size=21)
    clock = Clock({first: lambda turn: 0.02 * (noise[turn - 2] if turn <= 22 else 1.0)})
    (timing,) = time_calls([first], watch=clock)
    assert timing.milliseconds == pytest.approx(20)
    assert timing.runs > 21


def test_what_always_wavers_is_no_number():
    noise = np.random.default_rng(0).uniform(1, 3, size=1000)
    clock = Clock({first: lambda turn: 0.02 * noise[turn]})
    with pytest.raises(Unsteady, match=r"spread by \d+% of their median .* more than the limit of 10%.*idle"):
        time_calls([first], watch=clock)
    (timing,) = time_calls([first], limit=2.0, watch=Clock({first: lambda turn: 0.02 * noise[turn]}))
    assert isinstance(timing, Timing)


@pytest.mark.parametrize("busy", [1, 3, 4])
def test_a_network_is_measured_again_later_when_the_machine_is_busy(busy, monkeypatch):
    paused = []
    noise = np.random.default_rng(0).uniform(1, 3, size=1000)

    def watch(call, count):
        return count * 0.02 * (noise[len(paused) * 100 + watch.turns] if len(paused) < busy else 1.0)

    def sleep(seconds):
        paused.append(seconds)
        watch.turns = 0

    def counted(call, count):
        watch.turns += 1
        return watch(call, count)

    watch.turns = 0
    monkeypatch.setattr(_runtimes, "watch_of", lambda target: counted)
    monkeypatch.setattr(_latency.time, "sleep", sleep)
    if busy > 3:
        with pytest.raises(Unsteady):
            time_networks([torch.nn.ReLU()], [TensorSpec((3,))], Target())
    else:
        (timing,) = time_networks([torch.nn.ReLU()], [TensorSpec((3,))], Target())
        assert timing.milliseconds == pytest.approx(20)
    assert len(paused) == min(busy, 3)
    assert sorted(paused) == paused


HOLDS = "from archwright.cost._turn import turn\nwith turn():\n print('held', flush=True)\n input()"


def test_processes_that_measure_take_turns(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(_turn.tempfile, "tempdir", None)  # looked up again
    monkeypatch.setattr(_turn, "_LONGEST", 0.0)
    other = subprocess.Popen([sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(CostError, match="another process has been measuring"), _turn.turn():
            pass
        other.communicate("\n")
    with _turn.turn():
        pass


def test_a_lock_that_somebody_else_laid_out_is_not_taken(monkeypatch, tmp_path):
    target = tmp_path / "mine"
    target.mkdir()
    monkeypatch.setattr(_turn.tempfile, "tempdir", str(tmp_path))
    with _turn.turn():
        (folder,) = tmp_path.glob("archwright-*")
        assert folder.stat().st_mode & 0o77 == 0
    (folder / "measuring.lock").unlink(missing_ok=True)
    folder.rmdir()
    folder.symlink_to(target)
    with pytest.raises(CostError, match="belongs to somebody else"), _turn.turn():
        pass
    assert not list(target.iterdir())


@pytest.mark.parametrize("count", [7, 8])
def test_many_calls_tell_how_fast_the_machine_was_in_a_round(count):
    """Calls of 20, 21, 22... ms, all up to three times as slow by turns, and one that wavers by itself."""
    calls = [lambda place=place: place for place in range(count)]
    pace, own = np.random.default_rng(0).uniform(1, 3, size=(2, 1000))
    clock = Clock(
        {
            call: lambda turn, call=call: (
                1e-3 * (20 + call()) * pace[(turn - 1) // count] * (own[turn] if call() == 3 else 1)
            )
            for call in calls
        }
    )
    timings = time_calls(calls, limit=9.0, watch=clock)
    ratios = [timing.milliseconds / timings[0].milliseconds for timing in timings if timing is not timings[3]]
    assert ratios == pytest.approx([(20 + place) / 20 for place in range(count) if place != 3])
    assert 0.2 < timings[3].spread < 1.5
    assert all((timing.spread < 1e-9) == (count == 8) for timing in timings if timing is not timings[3])
    assert 20 < timings[0].milliseconds < 60  # the machine's median pace is left in it


@pytest.mark.parametrize("text", ["eager", "onnx:threads=1", "compiled:device=cuda:1,batch_size=8", "torchscript"])
def test_targets_are_text_both_ways(text):
    assert str(Target.parse(text)) == text
    assert Target.parse(Target.parse(text)) == Target.parse(text)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("onx", UnknownName, "onnx"),
        ("onnx:threads", CostError, "reads name=value, not 'threads'"),
        ("onnx:thread=1", CostError, "batch_size=8, not 'thread'"),
        ("onnx:threads=0", CostError, "threads must be an integer of 1 or more"),
        ("onnx:batch_size=many", CostError, "'many'"),
    ],
)
def test_texts_that_are_no_target(text, error, said):
    with pytest.raises(error, match=said):
        Target.parse(text)
