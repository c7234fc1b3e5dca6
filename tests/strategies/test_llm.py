"""Proposals by a language model, with a server of our own, which shows the plumbing and not the quality."""

from __future__ import annotations

import json
import threading
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import processes
from tests.servers import Chat, drawn

import archwright as aw
from archwright import nn
from archwright.cli import main
from archwright.cli._named import asking
from archwright.errors import StrategyError
from archwright.strategies import _llm_client
from archwright.strategies._llm_prompt import messages
from archwright.strategies._llm_reply import take
from archwright.study import verify
from archwright.testing import StrategySuite
from archwright.trials import History, Objective, Trial

SPACE = aw.Space(
    width=aw.integer(1, 64), kind=aw.choice({"plain": None, "deep": aw.ordinal(2, 4, 8, name="depth")}, name="kind")
)
KEY = "sk-secret-of-the-user"


@pytest.fixture(scope="module")
def server():
    chat = Chat()
    yield chat
    chat.close()


@pytest.fixture
def chat(server, monkeypatch):
    """The server, as if it were new, and no pauses between attempts."""
    server.answer, server.requests, server.headers = drawn, [], []
    monkeypatch.setattr(_llm_client, "_FIRST_PAUSE", 0.0)
    return server


def llm(chat, **settings):
    return aw.LLM(base_url=chat.url, model="small", **{"proposals": 4, "timeout": 20.0, "retries": 0, **settings})


def reply(*architectures):
    return json.dumps({"architectures": architectures})


def plain(*widths):
    return reply(*({"width": width, "kind": "plain"} for width in widths))


def value(candidate):
    return -abs(candidate.settings["width"] - 40)


def search(strategy, trials, **settings):
    return aw.search(SPACE, value, strategy=strategy, budget=aw.Budget(trials=trials), progress=False, **settings)


class TestLaws(StrategySuite):
    trials = 20

    @pytest.fixture
    def strategy(self, server):
        server.answer = drawn
        return llm(server, until=4)


# ---------------------------------------------------------------------- what is asked


def test_a_search_takes_the_proposals_and_asks_for_more_with_what_came_of_them(chat):
    replies = iter([plain(3, 41), plain(40, 39), plain(38, 37)])
    chat.answer = lambda body: next(replies)
    study = search(llm(chat, about="a line", temperature=0.5), 5)
    assert [trial.architecture["width"] for trial in study.trials] == [3, 41, 40, 39, 38]
    first, second, _ = chat.requests
    assert (first["model"], first["temperature"]) == ("small", 0.5)
    asked = [request["messages"][1]["content"] for request in (first, second)]
    assert "The problem: a line" in asked[0]
    assert "depth: ordinal  2 · 4 · 8  (if kind is deep)" in asked[0]
    assert '"metrics": {"value": -1.0}' in asked[1]
    assert asked[1].index('"width": 41') < asked[1].index('"width": 3,')  # the best first
    assert study.summary()["replies"] == {
        "calls": 3,
        "failed": 0,
        "valid": 6,
        "repaired": 0,
        "duplicate": 0,
        "dropped": 0,
    }


def test_what_is_sent_is_short_and_names_no_path():
    space = aw.Space(
        **{f"layer_{i}_of_{name}": aw.integer(1, 512) for i in range(400) for name in "abcdefgh"[: i % 7 + 1]}
    )
    history = History(Objective("value"))
    rng = np.random.default_rng(0)
    for number in range(30):
        history.add(Trial(number, space.sample(rng), worker="host:1"))
        ended = {"metrics": {"value": 0.1}} if number % 2 else {"error": "File /home/me/data.csv"}
        state = "complete" if number % 2 else "failed"
        history.add(Trial(number, history.trials[number].architecture, state, worker="host:1", **ended))
    sent = json.dumps(messages(space, history, count=8, about=""))
    assert len(sent) < 60_000
    assert "are left out here" in sent
    assert "host" not in sent
    assert "data.csv" not in sent


def test_the_key_goes_to_the_server_and_nowhere_else(chat, monkeypatch, tmp_path, caplog):
    caplog.set_level("DEBUG")
    monkeypatch.setenv("MY_KEY", KEY)
    strategy = llm(chat, key_env="MY_KEY")
    chat.answer = lambda body: plain(7)
    with search(strategy, 1, path=tmp_path / "run"):
        pass
    assert chat.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(strategy) + caplog.text
    assert not [file for file in (tmp_path / "run").rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]
    chat.answer = lambda body: (401, {"error": {"message": f"wrong key {KEY}"}}, {})
    with pytest.raises(StrategyError, match=r"refuses access \(status 401\); see MY_KEY") as error:
        search(strategy, 1)
    assert KEY not in str(error.value)
    chat.answer = lambda body: (500, {"error": {"message": f"wrong key {KEY}"}}, {})
    with pytest.warns(UserWarning, match=r"status 500: wrong key \*\*\*"):
        search(strategy, 1)
    monkeypatch.setenv("MY_KEY", f"{KEY}\r\nX-Other: 1")
    with pytest.raises(StrategyError, match="MY_KEY holds blanks") as error:
        search(strategy, 1)
    assert KEY not in str(error.value)


def test_no_key_follows_a_redirect(chat, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    other = Chat()
    try:
        chat.answer = lambda body: (307, {}, {"Location": f"{other.url}/chat/completions"})
        with pytest.warns(UserWarning, match="status 307"):
            search(llm(chat, key_env="MY_KEY"), 1)
        assert other.requests == []
    finally:
        other.close()


# ---------------------------------------------------------------------- what comes back


@pytest.mark.parametrize(
    "text",
    [
        plain(5),
        f"Here they are:\n```json\n{plain(5)}\n```\nThese should do well {{really}}.",
        f"<think>perhaps {plain(6)}</think>{plain(5)}",
        '[{"width": 5, "kind": "plain"}]',
        '{"width": 5, "kind": "plain"}',
        reply({"decisions": {"width": 5, "kind": "plain"}}),
        reply({"width": "5", "kind": "Plain"}),
        reply({"width": 5.2, "kind": "plain", "depth": 3}),
        reply({"width": 5, "kind": "plain", "colour": "red"}),
    ],
)
def test_replies_of_many_forms_are_read(text):
    taken = take(text, SPACE, most=8, base=None, seen=lambda one: False, seed=0)
    assert [dict(one) for one in taken.architectures] == [{"width": 5, "kind": "plain"}]


def test_proposals_are_counted_as_valid_repaired_duplicate_or_dropped():
    text = reply(
        {"width": 1, "kind": "plain"},
        {"width": 999, "kind": "deep", "depth": 5},
        {"kind": "plain"},
        {"width": 1, "kind": "plain"},
        {"width": 2, "kind": "plain"},
        {"width": "many", "kind": "none of them at all"},
        {"a": 1, "b": 2},
        7,
    )
    base = aw.Architecture({"width": 9, "kind": "plain"})
    taken = take(text, SPACE, most=8, base=base, seen=lambda one: one["width"] == 2, seed=0)
    assert [dict(one) for one in taken.architectures] == [
        {"width": 1, "kind": "plain"},
        {"width": 64, "kind": "deep", "depth": 4},
        {"width": 9, "kind": "plain"},
    ]
    assert taken.counts == {"valid": 1, "repaired": 2, "duplicate": 2, "dropped": 3}


def test_what_does_not_run_is_dropped_and_what_violates_a_constraint_is_mutated():
    def is_even(architecture):
        return architecture["width"] % 2 == 0

    layers = nn.Sequential(nn.Linear(4, aw.integer(1, 9, name="width")), nn.Linear(4, 2))
    space = aw.Space(model=layers, where=is_even)
    space.example_input = aw.space.as_specs((4,))
    taken = take(reply({"width": 8}, {"width": 4}), space, most=8, base=None, seen=lambda one: False, seed=0)
    assert ([dict(one) for one in taken.architectures], taken.counts["dropped"]) == ([{"width": 4}], 1)
    free = aw.Space(width=aw.integer(1, 9), where=is_even)
    taken = take(reply({"width": 3}), free, most=8, base=None, seen=lambda one: False, seed=0)
    assert taken.counts["repaired"] == 1
    assert taken.architectures[0] in free


@given(st.text() | st.text('[]{}":,architecures 0123e-', max_size=60))
def test_no_text_breaks_the_reader(text):
    taken = take(text, SPACE, most=8, base=None, seen=lambda one: False, seed=0)
    assert all(one in SPACE for one in taken.architectures)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "{" * 150_000, f'{{"width": {"9" * 100_000}}}'])
def test_a_reply_that_is_made_to_cost_much_is_dropped(text):
    assert take(text, SPACE, most=8, base=None, seen=lambda one: False, seed=0).architectures == []


def test_a_recursive_space(chat):
    block = aw.recursive(lambda block: aw.choice({"a": nn.ReLU(), "b": nn.Sequential(block, block)}), depth=4)
    space = aw.Space(model=block, example_input=(3,))
    name = next(iter(space.sample(np.random.default_rng(0))))
    chat.answer = lambda body: reply({name: "b", f"{name}.b.0": "a"}, {name: "c"})
    study = aw.search(
        space, lambda one: float(len(one.architecture)), strategy=llm(chat, until=2), budget=aw.Budget(trials=6),
        progress=False,
    )  # fmt: skip
    assert "response_format" not in chat.requests[0]
    assert "block of rules" in chat.requests[0]["messages"][1]["content"]
    assert study.trials[0].architecture[name] == "b"
    assert len(study.history.complete) == 6
    assert verify(study).agrees


# ---------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((500, {}, {}), "status 500"),
        ((400, {"error": "too long"}, {}), "status 400: too long"),
        ((200, b"<html>", {}), "no chat completion"),
        ((200, {"choices": []}, {}), "no chat completion"),
        ((200, b"[" * 100_000, {}), "no chat completion"),
        ((200, b" " * 4_100_000, {}), "longer than 4,000,000 bytes"),
        ("I cannot help with that.", "holds no new architecture"),
        (plain(), "holds no new architecture"),
    ],
)
def test_a_call_that_fails_is_told_once_and_bo_takes_over(chat, answer, told):
    chat.answer = lambda body: answer
    for _ in range(2):  # a second search in the process tells it too
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            study = search(llm(chat), 6)
        texts = [str(each.message) for each in caught]
        chat.requests.clear()
    assert sum(told in text for text in texts) == 1
    assert sum("3 calls in a row failed" in text for text in texts) == 1
    assert len(study.history.complete) == 6
    outside = study.summary()["replies"]
    assert (outside["calls"], outside["failed"]) == (3, 3)
    assert verify(study).agrees


def test_a_call_that_fails_for_a_moment_is_made_again(chat):
    answers = iter([(503, {}, {"Retry-After": "0"}), (429, {}, {}), plain(5)])
    chat.answer = lambda body: next(answers)
    study = search(llm(chat, retries=2), 1)
    assert study.trials[0].architecture["width"] == 5
    assert len(chat.requests) == 3


def test_a_server_without_response_formats_is_asked_without_one(chat):
    chat.answer = lambda body: (400, {"error": "response_format?"}, {}) if "response_format" in body else plain(5, 6)
    with pytest.warns(UserWarning, match="no response format with a JSON schema") as caught:
        search(llm(chat), 3)
    assert sum("response format" in str(each.message) for each in caught) == 1
    assert ["response_format" in request for request in chat.requests][:2] == [True, False]


@pytest.mark.parametrize(
    ("status", "told"), [(401, "no key was sent"), (403, "no key was sent"), (404, "no model 'small'")]
)
def test_a_wrong_key_or_model_ends_the_search_at_its_start(chat, status, told):
    chat.answer = lambda body: (status, {"error": {"message": "no"}}, {})
    with pytest.raises(StrategyError, match=told):
        search(llm(chat), 3)
    assert len(chat.requests) == 1


def test_a_server_that_is_not_there(chat):
    strategy = aw.LLM(base_url="http://127.0.0.1:9/v1", model="small", retries=0)
    with pytest.warns(UserWarning, match="cannot be reached"):
        study = search(strategy, 4)
    assert len(study.history.complete) == 4


def test_a_server_that_never_answers(chat):
    held = threading.Event()
    chat.answer = lambda body: plain(5) if held.wait(60) else ""
    with pytest.warns(UserWarning, match=r"did not answer within 0\.2 seconds"):
        study = search(llm(chat, timeout=0.2), 4)
    held.set()
    assert len(study.history.complete) == 4


def test_a_slow_server_holds_up_no_trial(chat):
    """While a trial runs, proposals come from Bayesian optimisation until the reply is there."""
    held = threading.Event()
    chat.answer = lambda body: plain(5, 6) if held.wait(60) else ""
    strategy, history = llm(chat), History(Objective("value"))
    history.add(Trial(0, aw.Architecture({"width": 1, "kind": "plain"})))  # it runs

    def propose():
        return strategy.propose(SPACE, history, np.random.default_rng(len(history.trials)))

    meanwhile = propose()
    assert meanwhile["width"] not in (5, 6)
    history.add(Trial(1, meanwhile))
    call = strategy.state_of(history.outside, dict).call
    held.set()
    call.join(60)
    history.add(Trial(2, propose()))
    assert [trial.architecture["width"] for trial in history.trials][-1] == 5
    assert history.outside.of(1) is None
    assert history.outside.of(2)["counts"]["valid"] == 2


# ---------------------------------------------------------------------- the end of the proposals


def test_bo_takes_over_after_so_many_proposals(chat):
    chat.answer = lambda body: plain(*range(1 + 4 * len(chat.requests), 5 + 4 * len(chat.requests)))
    search(llm(chat, until=6), 12)
    assert len(chat.requests) == 2


def test_bo_takes_over_where_the_proposals_are_no_longer_among_the_best(chat):
    widths = iter([40, *range(1, 30)])
    chat.answer = lambda body: plain(*(next(widths) for _ in range(2)))
    study = search(llm(chat, patience=4), 15)
    assert len(chat.requests) == 3  # 40 and 1, 2 and 3, 4 and 5
    assert verify(study).agrees


def test_several_objectives(chat):
    def both(candidate):
        return {"gain": candidate.settings["width"], "cost": candidate.settings["width"] ** 2}

    study = aw.search(
        SPACE, both, strategy=llm(chat, until=4), objective=["max gain", "min cost"], budget=aw.Budget(trials=14),
        progress=False,
    )  # fmt: skip
    assert "max gain, min cost" in chat.requests[0]["messages"][1]["content"]
    assert len(study.history.complete) == 14
    assert verify(study).agrees


# ---------------------------------------------------------------------- the record

KILLED = """
import os, sys
import archwright as aw
from tests.strategies.test_llm import SPACE

def value(candidate):
    if candidate.settings["width"] == 30:
        os._exit(7)
    return float(candidate.settings["width"])

strategy = aw.LLM(base_url=sys.argv[1], model="small", proposals=4, retries=0)
aw.search(SPACE, value, strategy=strategy, budget=aw.Budget(trials=8), path=sys.argv[2], progress=False)
"""


def test_a_killed_search_goes_on_without_the_server(chat, tmp_path):
    chat.answer = lambda body: plain(10, 20, 30, 35)
    ended = processes.run("-c", KILLED, chat.url, tmp_path / "run")
    assert ended.returncode == 7, ended.stderr
    assert len(chat.requests) == 1
    with aw.load(tmp_path / "run") as study, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        study.run(value, aw.Budget(trials=6), progress=False)
        assert [trial.architecture["width"] for trial in study.trials][:4] == [10, 20, 30, 35]
        assert verify(study).agrees
        assert study.summary()["replies"]["valid"] == 4
    assert any("is not asked without being named again" in str(each.message) for each in caught)
    assert len(chat.requests) == 1  # the address on record is not asked
    with aw.load(tmp_path / "run", strategy=llm(chat)) as study:
        study.run(value, aw.Budget(trials=7), progress=False)
    assert len(chat.requests) == 2


def test_the_command_resumes_with_a_server_that_is_named_again(chat, tmp_path, monkeypatch, capsys):
    chat.answer = lambda body: plain(10, 20) if len(chat.requests) < 2 else plain(30, 35)
    search(llm(chat), 2, path=tmp_path / "run").close()

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["archwright", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    status, out, _ = run("show", tmp_path / "run")
    assert status == 0
    assert "1 call, 0 failed; proposals: 2 valid, 0 repaired, 0 duplicate, 0 dropped" in out
    status, _, err = run("resume", tmp_path / "run", "--server", "nowhere")
    assert (status, err.startswith("archwright: llm: base_url must be a URL")) == (2, True)
    asked = asking(aw.load(tmp_path / "run").strategy, chat.url)
    with aw.load(tmp_path / "run", strategy=asked) as study:
        study.run(value, aw.Budget(trials=3), progress=False)
        assert study.trials[2].architecture["width"] == 30
    with pytest.raises(StrategyError, match="--server http://x: the strategy of this search, random, asks no server"):
        asking(aw.strategies.create("random"), "http://x")


def test_a_record_that_was_changed_is_told(chat, tmp_path):
    chat.answer = lambda body: plain(10, 20)
    study = search(llm(chat), 2)
    records = study._recorder.records()
    records[0].saw["outside"]["architectures"][1]["width"] = 21
    study._recorder._store._records[:] = records
    assert not verify(study).agrees
    broken = History(Objective("value"))
    for event in ([], {"counts": 3}, {"counts": {"valid": "many"}}):
        with pytest.raises(ValueError, match=r"what came from outside|counts of what came"):
            broken.outside.put(0, event)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "base_url is not set"),
        ({"base_url": "http://localhost/v1"}, "model is not set"),
        ({"base_url": "ftp://localhost"}, "base_url must be a URL"),
        ({"base_url": "http://user:secret@localhost/v1"}, "no user, password"),
        ({"base_url": "http://localhost/v1?key=secret"}, "no user, password"),
        ({"key_env": "sk-secret"}, "name of an environment variable"),
        ({"proposals": 65}, "from 1 to 64"),
        ({"temperature": 3}, "from 0 to 2"),
        ({"timeout": 0}, "above 0"),
        ({"retries": -1}, "0 or more"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(StrategyError, match=message) as error:
        aw.LLM(**settings).check(SPACE)
    assert "secret" not in str(error.value)
