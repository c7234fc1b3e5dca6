"""Searches whose trials go on from what others left: killed, interrupted, and with files that are lost."""

from __future__ import annotations

import warnings

import pytest
import torch
from tests.study.helpers import SPACE, function, record, value
from tests.study.killed import Growing, search
from tests.study.test_kill import kill, start

import archwright as aw
from archwright.errors import EvaluationError
from archwright.execute import Checkpoints
from archwright.schedulers import ASHA, Ladder

UNBROKEN = search("asha")
PROMOTED = [trial.number for trial in UNBROKEN.trials if trial.origin is not None]


def whole(trial):
    return (*record(trial), trial.fidelity, trial.share, trial.origin, trial.curve)


def assert_unbroken(study, unbroken=UNBROKEN):
    assert [whole(trial) for trial in study.trials] == [whole(trial) for trial in unbroken.trials]
    assert study.best.trial.number == unbroken.best.trial.number


def files(folder):
    return {path.name for path in (folder / "checkpoints").iterdir()}


def wanted(study):
    return {f"{number}.pt" for number in study.scheduler.checkpoints(study.ladder, study.history)}


class Watch(aw.Callback):
    """Does something when a trial ends, and keeps what it is told of problems."""

    def __init__(self, do=lambda study, trial: None):
        self.do = do
        self.problems = []

    def on_trial_end(self, study, trial):
        self.do(study, trial)

    def on_problem(self, study, message):
        self.problems.append(message)


class Counting(Growing):
    """Counts the epochs that it really goes through."""

    def __init__(self):
        self.epochs = 0

    def evaluate(self, candidate):
        before = candidate.restore()
        self.epochs += int(candidate.fidelity["epochs"]) - (0 if before is None else before["epochs"])
        return super().evaluate(candidate)


def test_what_goes_on_is_not_paid_for_twice():
    evaluator = Counting()
    study = aw.search(SPACE, evaluator, strategy="evolution", scheduler="asha", budget=aw.Budget(trials=6))
    assert_unbroken(study)
    assert len(PROMOTED) > 5
    assert {trial.fidelity["epochs"] for trial in study.trials} == {1, 3, 9}
    assert evaluator.epochs == pytest.approx(9 * study.history.spent)
    assert 6 <= study.history.spent < 6 + 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "places",
    [
        [("evaluation", PROMOTED[0]), ("report", PROMOTED[0]), ("saved", PROMOTED[0])],
        [("untold", PROMOTED[1]), ("end", PROMOTED[1]), ("start", PROMOTED[2] + 1)],
        [("saved", PROMOTED[2] - 1), ("evaluation", PROMOTED[-1]), ("end", UNBROKEN.trials[-1].number)],
    ],
    ids=lambda places: "-".join(f"{place}{number}" for place, number in places),
)
def test_killed_between_and_inside_trials_that_go_on(tmp_path, places):
    for place in places:
        kill(start(tmp_path, *place, strategy="asha"))
    assert start(tmp_path, strategy="asha").communicate()[0] == "done\n"
    study = aw.load(tmp_path)
    assert_unbroken(study)
    assert files(tmp_path) <= wanted(study)
    assert len(files(tmp_path)) >= 8
    assert "problem" not in (tmp_path / "log.txt").read_text()


def test_in_memory_a_further_run_finds_what_the_one_before_left():
    study = aw.Study(SPACE, strategy="evolution", scheduler="asha", fidelity=Growing.fidelities)
    evaluator = Counting()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for trials in (1, 2, 6):
            study.run(evaluator, aw.Budget(trials=trials))
    assert_unbroken(study)
    assert evaluator.epochs == pytest.approx(9 * study.history.spent)


@pytest.mark.parametrize("scheduler", ["asha", "successive-halving", "hyperband", "pasha"])
def test_there_are_never_more_files_than_may_go_on(tmp_path, scheduler):
    counts = []

    def count(study, trial):
        assert files(tmp_path) <= wanted(study)
        counts.append(len(files(tmp_path)))

    watch = Watch(count)
    options = {"strategy": "random", "scheduler": scheduler, "callbacks": [watch], "path": tmp_path}
    study = aw.search(SPACE, Growing(), budget=aw.Budget(trials=25), **options)
    assert 3 <= max(counts) < len(study.trials) / 2
    assert counts[-1] == len(files(tmp_path))
    assert watch.problems == []


def test_without_a_scheduler_there_are_no_checkpoints(tmp_path):
    aw.search(SPACE, function, budget=aw.Budget(trials=2), path=tmp_path)
    assert not (tmp_path / "checkpoints").exists()


LOSSES = {
    "gone": lambda path: path.unlink(),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(bytes(range(256)) * 9),
    "something else": lambda path: torch.save([1, 2], path),
    "another state": lambda path: torch.save({"epochs": 1, "value": 0.5}, path),
    "code": lambda path: torch.save({"epochs": 1, "value": value}, path),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_checkpoint_that_is_lost_costs_time_alone(tmp_path, loss):
    def lose(study, trial):
        for path in (tmp_path / "checkpoints").glob("*.pt"):
            LOSSES[loss](path)

    watch, evaluator = Watch(lose), Counting()
    options = {"strategy": "evolution", "scheduler": "asha", "callbacks": [watch], "path": tmp_path}
    with pytest.warns(UserWarning, match=r"the checkpoint of trial \d+ .*: trial \d+ starts again"):
        study = aw.search(SPACE, evaluator, budget=aw.Budget(trials=6), **options)
    assert_unbroken(study)
    assert evaluator.epochs > 9 * study.history.spent
    told = [
        f"the checkpoint of trial {trial.origin} {'is gone' if loss == 'gone' else 'cannot be read'}"
        for trial in study.trials
        if trial.origin is not None
    ]
    asked_twice = [text for text in told for _ in range(2)]  # once by what counts, once by what is counted
    assert [message[: len(text)] for message, text in zip(watch.problems, asked_twice, strict=True)] == asked_twice
    assert all(f": trial {number} starts again" in "".join(watch.problems) for number in PROMOTED)
    assert (tmp_path / "log.txt").read_text().count("problem: ") == len(watch.problems)


def test_a_checkpoint_that_vanished_long_ago_is_told_when_it_is_missed(tmp_path):
    pairs = [(UNBROKEN.trials[number].origin, number) for number in PROMOTED]
    lost, later = next(pair for pair in pairs if pair[0] + 2 < pair[1])  # other trials end in between

    def lose(study, trial):
        if trial.number == lost:
            (tmp_path / "checkpoints" / f"{lost}.pt").unlink()

    watch = Watch(lose)
    options = {"strategy": "evolution", "scheduler": "asha", "callbacks": [watch], "path": tmp_path}
    with pytest.warns(UserWarning, match=f"trial {lost} is gone: trial {later} starts again"):
        assert_unbroken(aw.search(SPACE, Growing(), budget=aw.Budget(trials=6), **options))
    assert len(watch.problems) == 1


@pytest.mark.filterwarnings("ignore:the checkpoint of trial")
def test_a_checkpoint_that_cannot_be_kept_is_told_and_fails_no_trial(tmp_path):
    class Unsavable(Growing):
        def evaluate(self, candidate):
            metrics = super().evaluate(candidate)
            candidate.save({"epochs": 1, "value": lambda: None})
            return metrics

    with pytest.warns(UserWarning, match="the checkpoint of trial 0 could not be kept"):
        study = aw.search(
            SPACE, Unsavable(), strategy="evolution", scheduler="asha", budget=aw.Budget(trials=1), path=tmp_path
        )
    assert {trial.state for trial in study.trials} == {"complete"}


def test_what_a_killed_process_had_no_time_to_remove_is_removed(tmp_path):
    options = {"strategy": "evolution", "scheduler": "asha", "path": tmp_path}
    study = aw.search(SPACE, Growing(), budget=aw.Budget(trials=6), **options)
    kept = files(tmp_path)
    Checkpoints(tmp_path).keep(0, {"epochs": 1})
    (tmp_path / "checkpoints" / ".archwright-0.pt").write_bytes(b"half a file")
    recorder = study._recorder
    recorder.update(checkpoints=[0, *recorder.document["checkpoints"]])
    study.close()
    aw.load(tmp_path, evaluator=Growing()).resume()
    assert files(tmp_path) == kept <= wanted(study)


def test_a_file_that_the_study_did_not_write_is_neither_removed_nor_replaced_nor_read(tmp_path):
    options = {"strategy": "evolution", "scheduler": "asha", "path": tmp_path}
    study = aw.search(SPACE, Growing(), budget=aw.Budget(trials=2), **options)
    mine = {f"{number}.pt" for number in range(len(study.trials), 40)} | {"mine.pt", "7.new"}
    for name in mine:
        torch.save({"epochs": 3, "value": 0.25}, tmp_path / "checkpoints" / name)
    before = {name: (tmp_path / "checkpoints" / name).read_bytes() for name in mine}
    with pytest.warns(UserWarning, match=r"checkpoints/\d+.pt is there already, and was not written by this study"):
        study = aw.load(tmp_path, evaluator=Growing()).resume(aw.Budget(trials=6))
    assert {name: (tmp_path / "checkpoints" / name).read_bytes() for name in mine} == before
    assert_unbroken(study)


def test_an_infinite_space_in_which_little_is_different_measures_nothing_twice():
    space = aw.Space(x=aw.real(0.1, 0.100002))  # six digits tell three values apart
    calls = []

    def evaluate(candidate):
        calls.append((candidate.architecture, candidate.seed))
        candidate.report(1, value=candidate.architecture["x"])
        return candidate.architecture["x"]

    for scheduler in ("full", "median"):  # the latter goes by the curve
        calls.clear()
        study = aw.search(space, evaluate, strategy="random", scheduler=scheduler, budget=aw.Budget(trials=12))
        assert len(study.history.complete) == 12
        assert len(calls) == len({architecture for architecture, _ in calls}) == 3
        measured = {trial.architecture: trial for trial in reversed(study.trials)}
        for trial in study.trials:
            assert trial.metrics == measured[trial.architecture].metrics
            assert trial.curve == measured[trial.architecture].curve


def test_an_architecture_that_comes_again_is_measured_on_each_rung_once():
    space = aw.Space(x=aw.real(0.1, 0.100002))
    calls = []

    class Counted(Growing):
        def evaluate(self, candidate):
            calls.append((candidate.architecture, candidate.fidelity["epochs"]))
            return super().evaluate(candidate)

    study = aw.search(space, Counted(), strategy="random", scheduler="asha", budget=aw.Budget(trials=4))
    first = [call for call in calls if call[1] == 1]
    assert len(first) == len(set(first)) == 3 < len([t for t in study.trials if t.origin is None])


def test_several_finals_are_of_several_networks():
    class Retrained(Growing):
        def retrain(self, candidate):
            return {"test_value": value(candidate.architecture)}

    options = {"strategy": "evolution", "scheduler": "asha", "budget": aw.Budget(trials=6)}
    study = aw.search(SPACE, Retrained(), final=4, **options)
    chosen = [study.trials[number] for number in study.finals]
    assert len({trial.architecture for trial in chosen}) == 4
    assert chosen[0] == study.best.trial
    ranks = [study.history.rank(trial) for trial in chosen]
    assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize("text", ["asha", "median"])
def test_functions_are_given_what_schedulers_say(text):
    given = []

    def evaluate(candidate):
        given.append(candidate.fidelity)
        candidate.report(1, value=value(candidate.architecture))
        return value(candidate.architecture)

    fidelity = {"rounds": (1, 9)} if text == "asha" else None
    aw.search(SPACE, evaluate, scheduler=text, fidelity=fidelity, budget=aw.Budget(trials=5))
    assert given[0] == ({"rounds": 1} if text == "asha" else None)
    assert len(given) >= 5


def test_stages_are_those_of_the_trials_on_the_way():
    seen = []

    class Staged(Growing):
        def evaluate(self, candidate):
            seen.append([stage["epochs"] for stage in candidate.stages])
            return super().evaluate(candidate)

    aw.search(SPACE, Staged(), strategy="evolution", scheduler="asha", budget=aw.Budget(trials=6))
    assert {tuple(each) for each in seen} == {(1,), (1, 3), (1, 3, 9)}


def test_a_promotion_that_failed_is_a_failed_trial_and_the_search_goes_on():
    class Fragile(Growing):
        def evaluate(self, candidate):
            if candidate.fidelity["epochs"] == 3:
                raise EvaluationError("too long for me")
            return super().evaluate(candidate)

    study = aw.search(SPACE, Fragile(), strategy="evolution", scheduler="asha", budget=aw.Budget(trials=3))
    assert {trial.state for trial in study.trials if trial.origin is not None} == {"failed"}
    assert study.best.trial.fidelity == {"epochs": 1}


def test_a_study_by_hand_says_what_to_go_on_from():
    study = aw.Study(SPACE, strategy="random", scheduler=ASHA(), fidelity={"epochs": (1, 9)})
    assert study.ladder == Ladder.of({"epochs": (1, 9)}, eta=3)
    for _ in range(12):
        trial = study.ask()
        study.tell(trial, function(trial))
    went_on = [trial for trial in study.trials if trial.origin is not None]
    assert went_on
    for trial in went_on:
        assert trial.architecture == study.trials[trial.origin].architecture
        assert trial.seed == study.trials[trial.origin].seed
        assert trial.share > study.trials[trial.origin].share
