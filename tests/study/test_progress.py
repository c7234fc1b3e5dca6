"""What a person sees of a search while it runs: in a terminal, in a pipe and in a notebook."""

import io
import logging
import os
import pty
import re
import sys
import threading
import types

import pytest

import archwright as aw
from archwright.errors import StudyError
from archwright.evaluate import Evaluator, Fidelity
from archwright.study import Progress

SPACE = aw.Space(x=aw.integer(0, 999), kind=aw.choice("same"))
REASON = "a network of this width has no layers that fit into the memory that there is"


@pytest.fixture(autouse=True)
def _switched_on(monkeypatch):
    monkeypatch.setattr(logging.getLogger("archwright"), "level", logging.NOTSET)
    monkeypatch.setenv("TERM", "xterm")


class Screen:
    """What a terminal shows of what is written to it; it knows the controls that a live display uses."""

    def __init__(self, text):
        self.lines, self.row, self.column = [""], 0, 0
        for part in re.findall(r"\x1b\[\??[\d;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", text):
            self._take(part)

    def _take(self, part):
        if part == "\n":
            self.row += 1
            if self.row == len(self.lines):
                self.lines.append("")
        elif part == "\r":
            self.column = 0
        elif part.endswith("A") and part[0] == "\x1b":
            self.row -= int(part[2:-1] or 1)
            assert self.row >= 0
        elif part == "\x1b[2K":
            self.lines[self.row] = ""
        elif part[0] == "\x1b":
            assert part.endswith("m"), f"{part!r} is not known"
        else:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + part + line[self.column + len(part) :]
            self.column += len(part)


def in_terminal(call, width, monkeypatch):
    """Return what a call writes to a terminal of a width, with a new line for each one that it ends."""
    master, slave = pty.openpty()
    read = []

    def listen():
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:
                return
            if not part:
                return
            read.append(part)

    reader = threading.Thread(target=listen)
    reader.start()
    monkeypatch.setenv("COLUMNS", str(width))
    with os.fdopen(slave, "w") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)
        call()
        assert sys.stdout is stream
        assert sys.stderr is stream
    reader.join(10)
    os.close(master)
    return b"".join(read).decode()


def evaluate(candidate):
    candidate.report(0, value=1.0)
    print("printed by a trial")  # noqa: T201
    if candidate.architecture["x"] % 5 == 0:
        raise ValueError(REASON)
    return candidate.architecture["x"] + 0.25


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_a_terminal_has_a_live_display_below_whole_lines(width, monkeypatch):
    written = in_terminal(
        lambda: aw.search(SPACE, evaluate, strategy="random", budget=aw.Budget(trials=8)), width, monkeypatch
    )
    lines = Screen(written).lines
    shown = [line.rstrip() for line in lines]
    assert max(map(len, shown)) <= width
    assert shown.count("printed by a trial") == 8
    assert sum(bool(re.match(r"trial +\d+ ", line)) for line in shown) == 8
    assert " ".join(" ".join(shown).split()).count(REASON) == sum("  failed" in line for line in shown) > 0
    assert not [line for line in shown if line.startswith(("now ", "so far"))]  # of the live display nothing is left
    frames = re.split(r"[\r\n]+", re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", written))
    assert max(map(len, frames)) <= width
    assert any(re.match(r"search +\S+ +\d+%  \d:\d\d, about \d:\d\d left", frame) for frame in frames)
    assert any(re.match(r"so far +best value [\d.]+ \(trial \d\); \d complete", frame) for frame in frames)
    assert "\x1b[?25l" not in written  # a process that is killed leaves a cursor
    assert shown[-1] == ""


def test_a_pipe_gets_a_line_for_each_trial_and_not_too_many(capfd):
    study = aw.search(SPACE, lambda one: float(one.architecture["x"]), strategy="random", budget=aw.Budget(trials=300))
    out, err = capfd.readouterr()
    first, *rows, ended, best = err.splitlines()
    assert (out, "\x1b" in err) == ("", False)
    assert first == "search       max value by Random() in a space of 1,000 architectures; 300 trials, seed 0"
    assert [int(row.split()[1]) for row in rows[:10]] == list(range(10))
    assert 11 <= len(rows) < 100
    assert rows[-1].startswith("trial 299    complete ")
    assert rows[-1].endswith(" before it not shown)")
    assert re.fullmatch(r"ended        300 complete in \d:\d\d: the budget of 300 full evaluations is used up", ended)
    assert best == f"best         trial {study.best.trial.number}: value {study.best.metrics['value']:,.0f}"


def test_failures_of_a_new_kind_are_always_shown(capfd):
    def fail(candidate):
        if candidate.seed % 40 == 0:
            raise ValueError(f"kind {candidate.seed % 3}")
        return 1.0

    study = aw.search(SPACE, fail, strategy="random", budget=aw.Budget(trials=200))
    causes = {trial.cause for trial in study.trials if trial.cause}
    err = capfd.readouterr().err
    assert causes
    assert all(f"s  {cause}" in err for cause in causes)


class Rungs(Evaluator):
    """Networks that look better the less they are trained, and have a final training."""

    most_final_epochs = 4

    def __init__(self):
        self.fidelities = {"epochs": Fidelity(1, 9, whole=True)}

    def evaluate(self, candidate):
        epochs = (candidate.fidelity or {"epochs": 9})["epochs"]
        candidate.report(epochs, value=1.0)
        candidate.save({})
        return {"value": candidate.architecture["x"] / 1000 + 10 / epochs}

    def retrain(self, candidate):
        for epoch in range(1, 5):
            candidate.report(epoch, train_loss=1.0)
        return {"test_value": 0.5}


class Watch(aw.Callback):
    """Notes what is shown at each event."""

    def __init__(self, shown):
        self.shown, self.seen = shown, []

    def on_report(self, study, trial, step, metrics):
        self.seen.append((study.history.best, self.shown._status()))

    on_trial_end = lambda self, study, trial: self.on_report(study, trial, 0, {})  # noqa: E731


def watched(**options):
    shown = Progress()
    watch = Watch(shown)
    study = aw.search(
        SPACE, Rungs(), strategy="random", callbacks=[shown, watch], progress=False, budget=aw.Budget(trials=8),
        **options,
    )  # fmt: skip
    return study, watch.seen


def test_the_best_is_that_of_full_evaluations_and_never_falls(capfd):
    study, seen = watched(scheduler="asha", fidelity={"epochs": (1, 9)})
    told = [status.best for _, status in seen if status.best]
    full = [float(re.search(r"value ([\d.]+)", each)[1]) for each in told if each.startswith("best ")]
    assert full == sorted(full)
    assert full[-1] == pytest.approx(max(t.metrics["value"] for t in study.history.complete if t.share == 1), abs=1e-4)
    assert any(trial.metrics["value"] > full[-1] for trial in study.history.complete)  # at a lower fidelity
    early = [each for each in told if not each.startswith("best ")]
    assert all(re.match(r"leading value [\d.]+ at epochs [13] of 9 \(trial \d+\)$", each) for each in early)
    rows = capfd.readouterr().err
    assert re.search(r"^trial +\d+ +complete +\d\.\d s  epochs 3 of 9, from trial \d+  value ", rows, re.MULTILINE)


def test_the_final_training_is_a_phase_of_its_own(capfd):
    _, seen = watched()
    final = [status for _, status in seen if status.phase == "final"]
    assert [status.share for status in final] == [0.25, 0.5, 0.75, 1.0]
    assert re.match(r"trial \d+: step 3: train_loss 1.0000", final[2].doing)
    assert {status.phase for _, status in seen} == {"search", "final"}
    err = capfd.readouterr().err
    assert re.search(r"^final        trial \d+: test_value 0.5000$", err, re.MULTILINE)


class Preparing(Evaluator):
    """Gets ready before the first trial."""

    def prepare(self, preparation):
        preparation.report(1, {"loss": 1.5, "seconds": 0.1})

    def evaluate(self, candidate):
        return {"value": 1.0}


def test_a_preparation_has_no_bar_that_stands_still(capfd):
    shown, seen = Progress(), []

    class Prepared(aw.Callback):
        def on_prepare(self, study, step, metrics):
            seen.append(shown._status())

    budget = aw.Budget(trials=1)
    aw.search(
        SPACE, Preparing(), strategy="random", callbacks=[shown, Prepared()], progress=False, budget=budget
    )  # fmt: skip
    assert [(each.phase, each.share, each.doing) for each in seen] == [("supernet", None, "epoch 1: loss 1.5000")]
    assert re.search(r"^supernet     epoch   1     0.1 s  loss 1.5000$", capfd.readouterr().err, re.MULTILINE)


class Kernel:
    """Stands for the IPython of a notebook."""

    def __init__(self, monkeypatch):
        self.drawn = []
        shell = types.SimpleNamespace(kernel=object())
        given = types.SimpleNamespace(get_ipython=lambda: shell, display=types.SimpleNamespace(display=self.display))
        monkeypatch.setitem(sys.modules, "IPython", given)

    def display(self, content, *, display_id):
        assert display_id is True
        self.update(content)
        return self

    def update(self, content):
        self.drawn.append((content._repr_html_(), repr(content)))


def test_a_notebook_has_a_table_that_is_updated_in_place(monkeypatch, capfd):
    kernel = Kernel(monkeypatch)

    def broken(candidate):
        if candidate.seed % 2:
            raise ValueError("<b>bold</b>")
        return float(candidate.architecture["x"])

    study = aw.search(SPACE, broken, strategy="random", budget=aw.Budget(trials=30))
    html, text = kernel.drawn[-1]
    assert capfd.readouterr() == ("", "")
    assert "<progress" in kernel.drawn[0][0] + kernel.drawn[1][0]
    assert "<progress" not in html
    assert "&lt;b&gt;bold&lt;/b&gt;" in html
    assert "<b>bold" not in html
    assert "x=" in html
    assert "kind=" not in html  # all have the same
    numbers = list(map(int, re.findall(r"<tr[^>]*><td>(\d+)</td>", html)))
    assert numbers[-10:] == list(range(20, 30))
    assert study.best.trial.number in numbers
    assert html.count("font-weight") == 1
    assert "trial  29" in text
    assert len(kernel.drawn) < 60  # fewer than there are events


def nothing(candidate):
    aw.search(SPACE, lambda one: 1.0, strategy="random", budget=aw.Budget(trials=1), final=False)
    return 1.0


def test_a_search_inside_a_trial_and_ask_and_tell_show_nothing(capfd):
    study = aw.Study(SPACE, strategy="random")
    study.tell(study.ask(), 1.0)
    nested = aw.Nested(aw.Training(aw.data("iris"), epochs=1), aw.Space(lr=aw.real(0.01, 0.1)), trials=1)
    assert capfd.readouterr().err == ""
    aw.search("mlp", nested, strategy="random", budget=aw.Budget(trials=1), final=False)
    aw.search(SPACE, nothing, strategy="random", budget=aw.Budget(trials=2))
    assert capfd.readouterr().err.count("ended  ") == 2


def test_worker_processes_show_nothing(tmp_path, capfd):
    aw.search(SPACE, nothing, strategy="random", budget=aw.Budget(trials=2), workers=2, path=tmp_path)
    assert not [file for file in (tmp_path / "trials").glob("*.log") if "search  " in file.read_text()]
    assert capfd.readouterr().err.count("ended  ") == 1


@pytest.mark.parametrize("switch", ["argument", "level", "disabled"])
def test_it_can_be_switched_off(switch, capfd, monkeypatch):
    logger = logging.getLogger("archwright")
    if switch != "argument":
        monkeypatch.setattr(logger, *{"level": ("level", logging.WARNING), "disabled": ("disabled", True)}[switch])
    study = aw.search(
        SPACE, lambda one: 1.0, strategy="random", budget=aw.Budget(trials=1), progress=switch != "argument"
    )
    study.resume(aw.Budget(trials=2), progress=switch != "argument")
    assert capfd.readouterr() == ("", "")


def test_what_is_neither_true_nor_false_is_refused():
    with pytest.raises(StudyError, match="progress is True or False, not 'always'"):
        aw.search(SPACE, evaluate, budget=aw.Budget(trials=1), progress="always")


def test_a_stream_that_nobody_reads_ends_no_search(monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    study = aw.search(SPACE, lambda one: 1.0, strategy="random", budget=aw.Budget(trials=3))
    assert len(study.history.complete) == 3
