"""Proposals that are screened before any is trained."""

from __future__ import annotations

import pytest
from tests.evaluate.stubs import images
from tests.study.helpers import function, record

import archwright as aw
from archwright.errors import EvaluationError, SchedulerError, StudyError, UnknownName
from archwright.evaluate import Candidate
from archwright.proxies import ProxyEvaluator
from archwright.strategies import Strategy
from archwright.study._proxy_filter import ProxyFilter, proxy_scorer
from archwright.tasks import as_task


def layers(*activations):
    return aw.Space(
        model=aw.nn.Sequential(
            aw.nn.Flatten(),
            aw.nn.LazyLinear(aw.integer(100, 300, name="width")),
            aw.choice(*activations, name="act") if len(activations) > 1 else activations[0],
            aw.nn.LazyLinear(aw.integer(8, 60, name="second")),
            aw.nn.LazyLinear(3),
        ),
        example_input=aw.TensorSpec((1, 8, 8)),
    )


SPACE = layers(aw.nn.ReLU())
SMOOTH = layers(aw.nn.GELU())
HALF = layers(aw.nn.ReLU(), aw.nn.GELU())


class Sized(aw.Evaluator):
    """Has data to screen with, and measures nothing."""

    example_input = SPACE.example_input

    def __init__(self, data=None):
        self.task = as_task(images() if data is None else data)
        self.calls = 0

    def evaluate(self, candidate):
        self.calls += 1
        return {"value": function(candidate)}


class Noting(Strategy):
    """Draws at random, and keeps what it proposed for each trial."""

    def __init__(self):
        self.proposed = {}

    def propose(self, space, history, rng):
        architecture = space.sample(rng)
        self.proposed.setdefault(len(history.trials), []).append(architecture)
        return architecture


def score(space, architecture, proxy):
    candidate = Candidate(space, architecture, seed=0, example_input=space.example_input)
    return ProxyEvaluator(images(), proxy).evaluate(candidate)[proxy]


@pytest.mark.parametrize(("proxy", "text", "count"), [("naswot", "naswot", 4), ("parameters", "parameters:7", 7)])
def test_the_proposal_with_the_highest_score_is_evaluated(proxy, text, count):
    strategy, evaluator = Noting(), Sized()
    study = aw.search(SPACE, evaluator, strategy=strategy, screen=text, budget=aw.Budget(trials=5))
    assert evaluator.calls == 5
    for trial in study.trials:
        proposed = strategy.proposed[trial.number]
        assert len(proposed) == count
        scores = [score(SPACE, each, proxy) for each in proposed]
        assert trial.architecture == proposed[scores.index(max(scores))]
    assert any(trial.architecture != strategy.proposed[trial.number][0] for trial in study.trials)


def test_the_same_seed_screens_the_same_and_a_resumed_study_screens_on(tmp_path):
    options = {"strategy": "evolution", "screen": "naswot", "seed": 3}
    whole = aw.search(SPACE, Sized(), budget=aw.Budget(trials=9), **options)
    plain = aw.search(SPACE, Sized(), budget=aw.Budget(trials=9), strategy="evolution", seed=3)
    aw.search(SPACE, Sized(), budget=aw.Budget(trials=4), path=tmp_path, **options)
    aw.load(tmp_path, evaluator=Sized()).resume(aw.Budget(trials=6))
    study = aw.search(SPACE, Sized(), budget=aw.Budget(trials=9), path=tmp_path, resume=True, **options)
    assert [record(trial) for trial in study.trials] == [record(trial) for trial in whole.trials]
    assert [trial.architecture for trial in plain.trials] != [trial.architecture for trial in whole.trials]
    with pytest.raises(StudyError, match=r"(?s)scheduler: full\(\).*screen='naswot:4' is on record, full\(\)"):
        aw.search(SPACE, Sized(), strategy="evolution", seed=3, budget=aw.Budget(trials=9), path=tmp_path, resume=True)


def test_what_is_left_of_a_small_space_is_screened_to_its_end():
    space = aw.Space(
        model=aw.nn.Sequential(aw.nn.Flatten(), aw.nn.LazyLinear(aw.ordinal(8, 16, 24)), aw.nn.LazyLinear(3)),
        example_input=aw.TensorSpec((1, 8, 8)),
    )
    study = aw.search(space, Sized(), screen="parameters", budget=aw.Budget(trials=9))
    assert (study.stopped_by, len(study.trials)) == ("exhausted", 3)


def test_networks_without_a_score_come_last():
    strategy = Noting()
    study = aw.search(HALF, Sized(), strategy=strategy, screen="naswot:2", budget=aw.Budget(trials=12))
    kinds = [[each["act"] for each in strategy.proposed[trial.number]] for trial in study.trials]
    for trial, proposed in zip(study.trials, kinds, strict=True):
        assert (trial.architecture["act"] == "ReLU()") == ("ReLU()" in proposed)
    assert {trial.state for trial in study.trials} == {"complete"}
    assert any("ReLU()" not in proposed for proposed in kinds)


@pytest.mark.parametrize(
    ("space", "evaluator", "screen", "error", "message"),
    [
        (SMOOTH, Sized(), "naswot", SchedulerError, r"none of 8 networks of the space has a score.*'naswot'"),
        (SPACE, function, "naswot", SchedulerError, r"screened with a batch of the data, and .* has none"),
        (SPACE, Sized(), "nasswot", UnknownName, "Did you mean 'naswot'"),
        (SPACE, Sized(), "az-nas", EvaluationError, "ranks the networks of a set"),
        (SPACE, Sized(), "naswot:1", SchedulerError, "2 or more"),
        (SPACE, Sized(), "naswot:many", SchedulerError, "2 or more"),
        (SPACE, Sized(), "naswot:", SchedulerError, "2 or more"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_screens_are_told_before_anything_is_written(tmp_path, space, evaluator, screen, error, message):
    folder = tmp_path / "run"
    with pytest.raises(error, match=message):
        aw.search(space, evaluator, screen=screen, budget=aw.Budget(trials=100), path=folder)
    assert not folder.exists()


def test_a_network_that_does_not_run_is_no_reason_to_end():
    class Broken(aw.Evaluator):
        example_input = SPACE.example_input
        task = as_task(images())

        def evaluate(self, candidate):
            return {"value": float(candidate.model(self.task.prepare(self.task.train.inputs)).numel())}

    study = aw.search(SPACE, Broken(), screen="naswot:2", budget=aw.Budget(trials=3))
    assert [trial.metrics["value"] for trial in study.trials] == [96 * 3] * 3


def test_a_study_by_hand_has_nothing_to_screen_with(tmp_path):
    with aw.Study(SPACE, screen="naswot", path=tmp_path) as study, pytest.raises(StudyError, match="let it run"):
        study.ask()
    assert len(aw.load(tmp_path, evaluator=Sized()).resume(aw.Budget(trials=2)).trials) == 2


def test_each_network_is_scored_once(monkeypatch):
    counted = []

    class Counting(ProxyEvaluator):
        def evaluate(self, candidate):
            counted.append(candidate.architecture)
            return super().evaluate(candidate)

    monkeypatch.setattr("archwright.proxies.ProxyEvaluator", Counting)
    scorer = proxy_scorer(ProxyFilter.parse("parameters"), SPACE, Sized())
    first = counted[0]
    assert scorer(first) == scorer(first) == score(SPACE, first, "parameters")
    assert counted.count(first) == 1


@pytest.mark.parametrize("text", ["naswot:4", "zico:16"])
def test_a_screen_reads_as_it_is_written(text):
    assert str(ProxyFilter.parse(text)) == text
