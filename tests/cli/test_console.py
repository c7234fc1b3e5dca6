"""What is printed, at every width of a terminal and with every name."""

import io
import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import archwright as aw
from archwright.cli._console import Output, document

WORDS = st.lists(st.text("abc=.[]/:", min_size=1, max_size=12), min_size=1, max_size=40)


def terminal(width):
    """Return an output on a terminal of a width."""
    out = Output()
    out.console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None, markup=False)
    return out


@given(words=WORDS, width=st.integers(30, 150), label=st.sampled_from([None, "search"]))
def test_lines_are_wrapped_between_words(words, width, label):
    out = terminal(width)
    out.line(" ".join(words), label=label)
    shown = out.console.file.getvalue()
    assert shown.split() == ([] if label is None else [label]) + words
    assert max(map(len, shown.splitlines())) <= width


@given(width=st.integers(60, 200), count=st.integers(1, 30))
def test_a_table_shows_whole_decisions_and_says_where_some_are_left_out(width, count):
    decisions = {f"block_{place}.width": 16 * place for place in range(count)}
    out = terminal(width)
    out.table(["trial", "accuracy"], [["7", "0.9812"]], [decisions])
    heading, row = out.console.file.getvalue().splitlines()
    assert heading.split() == ["trial", "accuracy", "architecture"]
    all_of_it = ["7", "0.9812", *(f"{name}={value}" for name, value in decisions.items())]
    *shown, last = row.split()
    assert shown == all_of_it[: len(shown)]
    assert last == ("…" if len(shown) + 1 < len(all_of_it) else all_of_it[-1])
    assert len(row) <= width


def test_json_holds_names_that_are_not_valid_text(capsys):
    content = {"file": "caf\udce9", "é": ["\x1b", 1.5]}
    document(content)
    assert json.loads(capsys.readouterr().out) == content


def test_a_pipe_gets_whole_lines(capsys):
    Output().line("word " * 100 + "end", label="search")
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("caf\udce9", r"caf\udce9"),
        ("a\rb\x07", r"a\rb\x07"),
        ("[bold]b[/] :smile:", "[bold]b[/] :smile:"),
    ],
)
def test_names_reach_the_screen_as_text(name, shown, capsys):
    Output().line(name, label="file")
    Output().listed([(name, name)])
    Output().table(["trial"], [["1"]], [{name: 1}])
    out = capsys.readouterr().out
    assert out.count(shown) == 4
    assert "\x1b" not in out


@pytest.mark.parametrize("name", ["search", "bench", "resume", "export"])
def test_help_cuts_no_word(name, in_process, monkeypatch):
    def words(width):
        monkeypatch.setenv("COLUMNS", str(width))
        return "".join(in_process(name, "--help")[1].split())

    assert words(50) == words(70) == words(200)


def test_a_network_that_cannot_be_kept_is_told_in_one_line(tmp_path, in_process):
    """The traceback is in the log."""
    run = tmp_path / "run"
    small = "--epochs", "1", "--strategy", "random", "--out", run
    assert in_process("search", "iris", "--trials", "1", *small)[0] == 0
    shutil.rmtree(run / "best")
    (run / "best").write_text("a file of the user's")
    status, out, err = in_process("resume", run, "--trials", "1")
    assert status == 0
    told = [line for line in err.splitlines() if "could not be kept" in line]
    assert told == [
        f"warning: the network of trial 0 could not be kept; `resume` trains it again: {run}/best is a file, where the "
        "folder of a network belongs: move it away"
    ]
    assert "Traceback" not in out + err
    assert "Traceback" in (run / "log.txt").read_text()


@pytest.mark.parametrize("command", [("search", "x" * 10**5), ("show", "x" * 10**5), ("bench", "x" * 10**5)])
def test_names_of_any_length_are_told_in_a_line_that_has_an_end(in_process, command):
    status, _, err = in_process(*command)
    assert status == 2
    assert err.startswith("archwright: ")
    assert err.count("\n") == 1
    assert len(err) < 2100


def test_a_place_that_cannot_be_written_to_is_told_in_a_line(tmp_path, in_process):
    aw.search(aw.Space(x=aw.choice(1, 2)), lambda candidate: 0.5, budget=aw.Budget(trials=1), path=tmp_path / "run")
    (tmp_path / "file").write_text("")
    status, _, err = in_process("front", tmp_path / "run", "--picture", tmp_path / "file" / "front.png")
    assert status == 2
    assert err.startswith("archwright: ")
    assert err.count("\n") == 1


def test_a_failed_trial_is_told_briefly():
    def evaluate(candidate):
        raise ValueError("x" * 10**6)

    with pytest.warns(UserWarning, match="no trial of 1 is complete"):
        study = aw.search(aw.Space(x=aw.choice(1, 2)), evaluate, budget=aw.Budget(trials=1))
    assert len(study.trials[0].cause) < 1100
