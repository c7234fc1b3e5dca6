from __future__ import annotations

import json
import math
import signal

import pytest
from tests.study.helpers import SMALL, SPACE, function, value

import archwright as aw
import archwright.study
from archwright.errors import BudgetError, EvaluationError, SpaceError, StrategyError, StudyError


@pytest.mark.parametrize("strategy", ["random", "evolution", "local-search", "tpe"])
def test_sizes_and_budgets_may_be_too_large_for_a_float(strategy, tmp_path):
    space = aw.Space(**{f"decision_{index}": aw.choice(0, 1) for index in range(1030)})
    budget = aw.Budget(trials=10**400, target=0.0)
    study = aw.search(space, lambda candidate: 1.0, strategy=strategy, budget=budget, path=tmp_path)
    assert study.stopped_by == "target"
    assert aw.load(tmp_path).budget == budget
    json.dumps(study.summary())


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    return clock


class Slow(aw.Evaluator):
    """Takes a number of seconds in as many steps, and as long as there is for the final training."""

    def __init__(self, clock, *, seconds=10, obeys=True):
        self.clock, self.seconds, self.obeys = clock, seconds, obeys
        self.left = []
        self.final = []

    def evaluate(self, candidate):
        self.left.append(candidate.remaining())
        for step in range(self.seconds):
            self.clock.now += 1
            result = {"value": value(candidate.architecture) * (step + 1)}
            candidate.report(step, **result) if self.obeys else candidate.record(step, **result)
        return result


class Retrains(Slow):
    def retrain(self, candidate):
        self.final.append((candidate.architecture, candidate.seed, candidate.remaining()))
        self.clock.now += min(candidate.remaining(), 1000)
        return {"test_value": 0.9}


# --------------------------------------------------------------------------- budgets

MODELS = {"bo", "botorch", "mo-bo", "predictor", "scalarised"}


@pytest.mark.parametrize("strategy", sorted({*aw.strategies.names()} - {"llm"}))  # which needs a server
def test_a_number_of_trials(strategy):
    trials = 20 if strategy in MODELS else 60  # more than the first population, or than there is no model for
    study = aw.Study(SPACE, strategy=strategy).run(function, aw.Budget(trials=trials))
    assert len(study.history.complete) == trials
    assert study.stopped_by == "trials"
    assert study.best.metrics["value"] == max(value(t.architecture) for t in study.trials)


def test_failed_trials_count():
    def broken(candidate):
        raise MemoryError("too large")

    with pytest.warns(UserWarning, match="no trial of 7 is complete; last error: MemoryError: too large"):
        study = aw.search(SPACE, broken, budget=aw.Budget(trials=7))
    assert study.stopped_by == "trials"
    assert [trial.state for trial in study.trials] == ["failed"] * 7
    assert all("in broken" in trial.error for trial in study.trials)
    assert study.best is None
    assert study.test is None


def test_a_space_that_is_used_up():
    study = aw.search(SMALL, function, budget=aw.Budget(trials=100))
    assert study.stopped_by == "exhausted"
    assert len(study.trials) == 12
    study = aw.search(aw.Space(x=aw.choice(1)), function, budget=aw.Budget(seconds=1000))
    assert (study.stopped_by, len(study.trials)) == ("exhausted", 1)


@pytest.mark.parametrize(("objective", "target"), [("max value", 0.9), ("min value", 0.1)])
def test_a_target(objective, target):
    study = aw.search(SPACE, function, objective=objective, budget=aw.Budget(target=target, trials=500))
    assert study.stopped_by == "target"
    reached = [
        t.metrics["value"] >= target if objective[1] == "a" else t.metrics["value"] <= target for t in study.trials
    ]
    assert reached == [False] * (len(reached) - 1) + [True]


def test_seconds(clock):
    evaluator = Slow(clock)
    study = aw.search(SPACE, evaluator, budget=aw.Budget(minutes=1, seconds=1))
    assert study.stopped_by == "seconds"
    assert [trial.state for trial in study.trials] == ["complete"] * 6
    assert evaluator.left == [61, 51, 41, 31, 21, 11]
    assert study.elapsed == 60


def test_no_trial_is_begun_that_could_not_end(clock):
    study = aw.search(SPACE, Slow(clock), budget=aw.Budget(seconds=69))
    assert [trial.state for trial in study.trials] == ["complete"] * 6
    assert study.elapsed == 60


def test_a_first_trial_that_is_too_long_is_stopped_and_counts(clock):
    evaluator = Retrains(clock, seconds=100)
    study = aw.search(SPACE, evaluator, budget=aw.Budget(seconds=50))
    assert [trial.state for trial in study.trials] == ["pruned"]
    assert study.elapsed == 50
    assert study.best.trial.number == 0
    assert evaluator.final == [(study.trials[0].architecture, study.trials[0].seed, 15)]
    assert study.test == {"test_value": 0.9}


def test_time_is_kept_for_the_final_training_and_all_the_rest_goes_to_it(clock):
    evaluator = Retrains(clock)
    study = aw.search(SPACE, evaluator, budget=aw.Budget(seconds=102))
    assert len(study.trials) == 7
    assert [left for *_, left in evaluator.final] == [32]
    early = Retrains(clock)
    aw.search(SPACE, early, budget=aw.Budget(seconds=100, trials=2))
    assert [left for *_, left in early.final] == [80]
    without = Retrains(clock)
    study = aw.search(SPACE, without, budget=aw.Budget(seconds=102), final=False)
    assert (len(study.trials), without.final, study.test) == (10, [], None)


def test_the_final_training_may_get_nothing(clock):
    evaluator = Retrains(clock, seconds=200, obeys=False)
    with pytest.warns(UserWarning, match="no time is left for the final training"):
        study = aw.search(SPACE, evaluator, budget=aw.Budget(seconds=100))
    assert evaluator.final == []
    assert study.best.trial.state == "complete"


def test_seconds_are_summed_over_resumes(clock, tmp_path):
    aw.search(SPACE, Slow(clock), budget=aw.Budget(seconds=31), path=tmp_path)
    clock.now += 1e6
    study = aw.load(tmp_path, evaluator=Slow(clock))
    assert study.elapsed == 30
    assert len(study.resume().trials) == 3
    assert len(study.resume(aw.Budget(seconds=51)).trials) == 5
    assert study.elapsed == 50
    clock.now += 1e6
    assert len(study.resume(aw.Budget(seconds=71)).trials) == 7


def test_what_goes_before_a_search_may_count_towards_its_time(clock, tmp_path):
    began = clock.now - 25  # such as the loading of torch and of data
    with aw.study.counting_from(began):
        study = aw.search(SPACE, Slow(clock), budget=aw.Budget(seconds=61), path=tmp_path)
    assert len(study.trials) == 3
    assert study.elapsed == 55
    began = clock.now
    clock.now += 20
    with aw.study.counting_from(began):
        study = aw.load(tmp_path, evaluator=Slow(clock)).resume(aw.Budget(seconds=110))
    assert len(study.trials) == 6
    assert study.elapsed == 105
    clock.now += 1e6
    assert len(study.resume(aw.Budget(seconds=121)).trials) == 7  # nothing counts before it any more


def test_a_start_that_takes_all_the_time_is_told(clock):
    with (
        aw.study.counting_from(clock.now - 70),
        pytest.warns(UserWarning, match="the time budget ended before the first trial: 70 seconds"),
    ):
        study = aw.search(SPACE, Slow(clock), budget=aw.Budget(seconds=61))
    assert (study.stopped_by, len(study.trials)) == ("seconds", 0)


# --------------------------------------------------------------------------- before the first trial


def test_a_search_needs_a_budget():
    with pytest.raises(BudgetError, match=r"budget=Budget\(trials=100\)"):
        aw.search(SPACE, function)
    with pytest.raises(BudgetError, match="100 was given"):
        aw.search(SPACE, function, budget=100)


@pytest.mark.parametrize("final", [-1, "yes", None, 0.5])
def test_final_is_checked(final):
    with pytest.raises(StudyError, match="final is True, False"):
        aw.search(SPACE, function, budget=aw.Budget(trials=3), final=final)


def test_parts_that_the_evaluator_does_not_understand(tmp_path):
    class Narrow(aw.Evaluator):
        settings = frozenset({"e0", "lr"})

        def evaluate(self, candidate):
            return {"value": 1.0}

    with pytest.raises(SpaceError, match=r"Narrow does not understand: e1, e2.*it understands: e0, lr"):
        aw.search(SPACE, Narrow(), budget=aw.Budget(trials=3), path=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_networks_that_do_not_fit_the_data(tmp_path):
    class Images(aw.Evaluator):
        example_input = aw.TensorSpec((3, 8, 8))

        def evaluate(self, candidate):
            return {"value": 1.0}

    space = aw.Space(model=aw.nn.Sequential(aw.nn.Flatten(), aw.nn.Linear(64, aw.choice(2, 3))))
    with pytest.raises(aw.errors.ShapeError):
        aw.search(space, Images(), budget=aw.Budget(trials=3), path=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_strategy_that_cannot_serve(tmp_path):
    with pytest.raises(StrategyError, match="grid"):
        aw.search(
            aw.Space(x=aw.real(0.0, 1.0)), function, strategy="grid", budget=aw.Budget(trials=3), path=tmp_path / "run"
        )
    assert not (tmp_path / "run").exists()


def test_what_is_no_evaluator_and_no_space():
    with pytest.raises(SpaceError, match="a Space or the name"):
        aw.search({"x": 1}, function, budget=aw.Budget(trials=3))
    with pytest.raises(EvaluationError, match="not 3"):
        aw.search(SPACE, 3, budget=aw.Budget(trials=3))


# --------------------------------------------------------------------------- evaluation


def test_a_bare_number_is_the_objective():
    study = aw.search(SPACE, function, objective="min loss", budget=aw.Budget(trials=5))
    assert set(study.trials[0].metrics) == {"loss"}
    assert study.best.metrics["loss"] == min(t.metrics["loss"] for t in study.trials)


def test_the_evaluator_says_what_is_optimised():
    class Costs(aw.Evaluator):
        objective = "min cost"

        def evaluate(self, candidate):
            return {"cost": value(candidate.architecture), "other": 1.0}

    study = aw.search(SPACE, Costs(), budget=aw.Budget(trials=5))
    assert study.best.metrics["cost"] == min(t.metrics["cost"] for t in study.trials)


@pytest.mark.parametrize(
    ("outcome", "state", "error"),
    [
        (math.nan, "failed", "'value' is nan"),
        (None, "failed", "returned None"),
        ({"other": 1.0}, "failed", "came are: other"),
        ({"value": "high"}, "failed", "not 'high'"),
        (aw.Stopped("enough"), "pruned", "enough"),
        (RecursionError("deep"), "failed", "RecursionError: deep"),
    ],
)
def test_odd_results_end_the_trial_and_not_the_search(outcome, state, error):
    def odd(candidate):
        if value(candidate.architecture) < 0.5:
            return 0.5
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    study = aw.search(SPACE, odd, budget=aw.Budget(trials=30))
    others = [trial for trial in study.trials if trial.state != "complete"]
    assert len(others) in range(5, 25)
    assert all(trial.state == state and error in trial.error for trial in others)
    assert study.best.metrics == {"value": 0.5}


def test_a_candidate_knows_all_it_needs(clock):
    seen = []

    def look(candidate):
        seen.append((candidate.architecture, candidate.seed, candidate.device, candidate.deadline))
        candidate.report(1, value=0.1)
        return 0.2

    study = aw.search(SPACE, look, budget=aw.Budget(trials=3))
    assert seen == [(t.architecture, t.seed, "cpu", None) for t in study.trials]
    assert all(trial.curve == ({"step": 1, "value": 0.1},) for trial in study.trials)


# --------------------------------------------------------------------------- callbacks


class Diary(aw.Callback):
    def __init__(self):
        self.lines = []

    def on_start(self, study):
        self.lines.append("start")

    def on_trial_start(self, study, trial):
        self.lines.append(f"begin {trial.number} {trial.state}")

    def on_report(self, study, trial, step, metrics):
        self.lines.append(f"report {trial.number} {step:g} {sorted(metrics)}")

    def on_trial_end(self, study, trial):
        assert study.trials[trial.number] is trial
        self.lines.append(f"end {trial.number} {trial.state}")

    def on_final_start(self, study, trial):
        self.lines.append(f"final {trial.number}")

    def on_final_end(self, study, trial, metrics):
        self.lines.append(f"final end {dict(metrics)}")

    def on_problem(self, study, message):
        self.lines.append(message.splitlines()[0])

    def on_end(self, study):
        self.lines.append(f"over {study.stopped_by}")


def test_callbacks_are_told_in_order(clock):
    diary = Diary()
    study = aw.search(SPACE, Retrains(clock, seconds=1), budget=aw.Budget(trials=2), callbacks=[diary])
    best = study.best.trial.number
    assert diary.lines == [
        "start",
        "begin 0 running",
        "report 0 0 ['value']",
        "end 0 complete",
        "begin 1 running",
        "report 1 0 ['value']",
        "end 1 complete",
        f"final {best}",
        "final end {'test_value': 0.9}",
        "over trials",
    ]


def test_a_callback_may_end_the_search_or_a_trial():
    class Impatient(aw.Callback):
        def on_trial_end(self, study, trial):
            if trial.number == 3:
                study.stop()

        def on_report(self, study, trial, step, metrics):
            if trial.number == 2:
                raise aw.Stopped("boring")

    def slow(candidate):
        candidate.report(1, value=0.5)
        return 0.7

    study = aw.search(SPACE, slow, budget=aw.Budget(trials=30), callbacks=[Impatient()])
    assert study.stopped_by == "callback"
    assert [trial.state for trial in study.trials] == ["complete", "complete", "pruned", "complete"]


def test_the_log(tmp_path, clock):
    class Moody(Retrains):
        def evaluate(self, candidate):
            if len(self.left) == 1:
                self.left.append(0)
                raise ValueError("not today")
            return super().evaluate(candidate)

    aw.search(SPACE, Moody(clock, seconds=1), strategy="random", budget=aw.Budget(trials=3), path=tmp_path)
    log = (tmp_path / "log.txt").read_text()
    events = [line.split(" ", 1)[1] for line in log.splitlines() if not line.startswith("    ")]
    assert events[0] == "search begins: max value, budget 3 trials, seed 0"
    assert events[1].startswith("scheduler full: ")  # what was chosen, and why
    assert events[2].startswith("trial 0 begins: ")
    assert events[3].startswith("trial 0 step 0: value 0.")
    assert "(best so far)" in events[4]
    assert "trial 1 failed in 0.0 s" in log
    assert "    ValueError: not today" in log
    assert events[-1] == f"search ends (trials) after {2 + 1000:.1f} s"


# --------------------------------------------------------------------------- the final training


def test_the_final_training_happens_once(clock, tmp_path):
    evaluator = Retrains(clock)
    study = aw.search(SPACE, evaluator, budget=aw.Budget(trials=4), path=tmp_path)
    assert len(evaluator.final) == 1
    loaded = aw.load(tmp_path, evaluator=evaluator)
    assert loaded.test == study.test == {"test_value": 0.9}
    loaded.resume()
    assert len(evaluator.final) == 1


def test_a_better_one_is_trained_again(clock, tmp_path):
    evaluator = Retrains(clock)
    study = aw.search(SPACE, evaluator, budget=aw.Budget(trials=1), path=tmp_path)
    before = study.best.trial
    study.resume(aw.Budget(trials=20))
    assert study.best.trial != before
    assert [a for a, *_ in evaluator.final] == [before.architecture, study.best.architecture]
    assert study.test == {"test_value": 0.9}


def test_several_finals_share_the_time_and_the_best_is_tested(clock):
    class Ranked(Retrains):
        def retrain(self, candidate):
            self.final.append((candidate.architecture, candidate.remaining()))
            self.clock.now += candidate.remaining()
            return {"test_value": float(len(self.final))}

    evaluator = Ranked(clock)
    study = aw.search(SPACE, evaluator, budget=aw.Budget(seconds=102), final=3)
    ranked = sorted(study.history.complete, key=study.history.score, reverse=True)[:3]
    assert [a for a, _ in evaluator.final] == [trial.architecture for trial in ranked]
    assert [left for _, left in evaluator.final] == pytest.approx([32 / 3] * 3)
    assert study.test == {"test_value": 1.0}
    assert set(study.finals) == {trial.number for trial in ranked}


def test_a_final_training_that_fails_loses_nothing(clock, tmp_path):
    class Fragile(Retrains):
        def retrain(self, candidate):
            raise RuntimeError("out of memory")

    with pytest.warns(UserWarning, match=r"final training of trial \d+ failed.*: RuntimeError: out of memory"):
        study = aw.search(SPACE, Fragile(clock), budget=aw.Budget(trials=3), path=tmp_path)
    assert study.best is not None
    assert study.test is None
    assert "in retrain" in (tmp_path / "log.txt").read_text()
    study = aw.load(tmp_path, evaluator=Retrains(clock)).resume()
    assert study.test == {"test_value": 0.9}


# --------------------------------------------------------------------------- interrupts


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_it_cleanly_and_the_trial_is_run_again(tmp_path):
    class Interrupted(aw.Evaluator):
        times = 0

        def evaluate(self, candidate):
            if Interrupted.times < 7 and candidate.architecture == unbroken.trials[5].architecture:
                Interrupted.times += 1
                signal.raise_signal(signal.SIGINT)
            return {"value": value(candidate.architecture)}

        def retrain(self, candidate):
            raise AssertionError("whoever interrupts a search does not wait for more")

    unbroken = aw.search(SPACE, function, budget=aw.Budget(trials=12))
    for path in (None, tmp_path):
        Interrupted.times = 0
        study = aw.search(SPACE, Interrupted(), budget=aw.Budget(trials=12), path=path, final=True)
        assert study.stopped_by == "interrupt"
        assert len(study.history.finished) == 5
        assert study.trials[5].state == "running"
        assert study.best is not None
        for _ in range(7):  # more often than a process may die in a trial: this is not the trial's fault
            study.resume(final=False)
        assert study.stopped_by == "trials"
        assert [t.architecture for t in study.trials] == [t.architecture for t in unbroken.trials]
        assert study.trials[5].state == "complete"
        assert study.trials[5].attempts == 1


@pytest.mark.parametrize("folder", [True, False])
def test_after_an_error_of_a_callback_the_trial_is_run_again(tmp_path, folder):
    class Broken(aw.Callback):
        def on_trial_start(self, study, trial):
            if trial.number == 2:
                raise ZeroDivisionError

    study = aw.Study(SPACE, path=tmp_path if folder else None)
    with pytest.raises(ZeroDivisionError):
        study.run(function, aw.Budget(trials=4), callbacks=[Broken()])
    assert [t.state for t in study.trials] == ["complete", "complete", "running"]
    study.resume()
    assert [t.state for t in study.trials] == ["complete"] * 4
    assert [t.attempts for t in study.trials] == [1, 1, 2, 1]


@pytest.mark.usefixtures("ctrl_c")
def test_trials_asked_for_by_hand_are_left_alone_by_an_interrupt():
    def interrupted(candidate):
        signal.raise_signal(signal.SIGINT)

    study = aw.Study(SPACE)
    mine = study.ask()
    study.run(interrupted, aw.Budget(trials=5))
    assert study.ask().number == 1
    assert study.tell(mine, 0.5).number == 0


def test_the_old_name_of_an_argument_is_taken_with_a_warning():
    space, options = aw.Space(x=aw.integer(0, 9)), {"strategy": "random", "budget": aw.Budget(trials=2)}
    with pytest.warns(FutureWarning, match=r"'objectives' of search\(\) is now 'objective'") as said:
        study = aw.search(space, lambda candidate: {"a": 1.0, "b": 2.0}, objectives=["max a", "min b"], **options)
    assert said[0].filename == __file__
    assert [str(each) for each in study.objectives] == ["max a", "min b"]
    with pytest.raises(TypeError, match="'objectives' is its old name: give one"):
        aw.search(space, lambda candidate: 1.0, objectives=["max a"], objective="max a", **options)
