"""Studies that begin with what earlier ones have found, and with what their user believes."""

from __future__ import annotations

import logging
import shutil
from contextlib import closing

import numpy as np
import pytest

import archwright as aw
from archwright.errors import StoreError, StudyError
from archwright.study import EarlierTrials, verify

NAMES = [f"x{place}" for place in range(6)]
SPACE = aw.Space(**{name: aw.integer(0, 9) for name in NAMES})
PEAK = np.array([7, 2, 8, 1, 6, 3])


def value(architecture, shift=0):
    """Greatest at a peak, which another task may have elsewhere."""
    return -float(np.abs(np.array([architecture[name] for name in NAMES]) - PEAK - shift).sum())


def function(candidate):
    return {"value": value(candidate.architecture)}


def shifted(candidate):
    return {"value": value(candidate.architecture, shift=1)}


def earlier(path=None, trials=60, evaluate=shifted, space=SPACE, **settings):
    study = aw.Study(space, strategy="evolution", path=path, seed=3, **settings)
    return study.run(evaluate, aw.Budget(trials=trials), progress=False)


def searched(strategy, trials=20, seed=0, **settings):
    study = aw.Study(SPACE, strategy=strategy, seed=seed, **settings)
    return study.run(function, aw.Budget(trials=trials), progress=False)


def architectures(study):
    return [trial.architecture for trial in study.trials]


STRATEGIES = ["random", "evolution", "bo", "predictor", "local-search", "reinforce", "q-learning", "deep-q", "tpe"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_it_replays_after_resume_and_without_the_earlier_folder(strategy, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    earlier(first, trials=30).close()
    settings = {"warm_start": [first], "priors": {"x0": 7}}
    whole = searched(strategy, trials=10, **settings)
    searched(strategy, trials=6, path=second, **settings).close()
    shutil.rmtree(first)
    again = searched(strategy, trials=10, path=second, resume=True, **settings)
    assert architectures(again) == architectures(whole)
    again.close()
    assert verify(aw.load(second)).agrees


@pytest.mark.parametrize("strategy", ["evolution", "bo", "local-search", "q-learning"])
def test_it_is_ahead_of_a_cold_start(strategy):
    known = earlier()
    warm, cold = (
        np.mean([searched(strategy, 12, seed, **settings).best.trial.metrics["value"] for seed in range(3)])
        for settings in ({"warm_start": known}, {})
    )
    assert warm > cold


def test_earlier_metrics_are_no_trials():
    known = earlier(evaluate=lambda candidate: {"value": 100.0 + value(candidate.architecture, 1)})
    study = searched("bo", trials=8, warm_start=[known])
    assert len(study.trials) == 8
    assert study.best.trial.metrics["value"] <= 0
    assert study.trials[0].architecture == known.best.architecture
    assert study.why == ("warm start: 60 trials of a study in memory",)


@pytest.mark.parametrize("kind", ["negated", "noise"])
def test_bo_finds_the_peak_in_spite_of_misleading_runs(kind):
    rng, space = np.random.default_rng(0), aw.Space(**{name: aw.integer(0, 9) for name in NAMES[:3]})

    def truth(candidate):
        found = np.array([candidate.architecture[name] for name in NAMES[:3]])
        return {"value": -float(np.abs(found - PEAK[:3]).sum())}

    def misleading(candidate):
        return {"value": -truth(candidate)["value"] if kind == "negated" else float(rng.normal())}

    known = earlier(space=space, evaluate=misleading)
    for seed in range(2):
        study = aw.Study(space, strategy="bo", seed=seed, warm_start=known)
        assert study.run(truth, aw.Budget(trials=25), progress=False).best.trial.metrics["value"] >= -1


def test_evolution_measures_no_more_of_a_run_that_does_not_help():
    known = earlier(evaluate=lambda candidate: {"value": -value(candidate.architecture, 1)})
    study = searched("evolution", 20, warm_start=known)
    assert len(set(architectures(study)) & set(architectures(known))) <= 4


def test_predictors_learn_from_runs_that_rank_the_trials_well():
    from archwright.strategies._earlier import EarlierModels, relevant

    good, bad = earlier(), earlier(evaluate=lambda candidate: {"value": -value(candidate.architecture, 1)})
    study = searched("random", 20, warm_start=[good, bad])
    for count, kept in ((3, 0), (20, len(good.trials))):
        found, scores = relevant(SPACE, study.history, count, EarlierModels())
        assert len(found) == len(scores) == kept
        assert set(found) <= set(architectures(good))


def test_spaces_may_differ_and_what_does_not_match_is_said(capsys, caplog):
    space = aw.Space(**{name: aw.integer(2, 12) for name in NAMES[:4]}, other=aw.choice("a", "b"))
    known = earlier(space=space, evaluate=lambda one: {"value": -abs(one.architecture["x0"] - 7)})
    study = searched("bo", trials=6, warm_start=known)
    assert study.trials[0].architecture["x0"] == 7
    (line,) = study.why
    assert line.endswith("; x0, x1, x2, x3 match; x4, x5 are new; other is not used")
    caplog.set_level(logging.INFO, "archwright")  # else no progress is shown
    aw.search(SPACE, function, warm_start=known, priors={"x4": 6}, budget=aw.Budget(trials=1), strategy="bo")
    shown = capsys.readouterr().err.splitlines()
    assert {f"start        {line}", "start        prior: x4 6 (confidence 0.75)"} <= set(shown)


def test_several_objectives():
    def both(candidate):
        return {"left": candidate.architecture["x0"], "right": 9 - candidate.architecture["x0"]}

    aims = ["max left", "max right"]
    known = aw.Study(SPACE, strategy="nsga2", objective=aims).run(both, aw.Budget(trials=20), progress=False)
    for strategy in ("mo-bo", "nsga2", "bo"):  # the last one is wrapped in "scalarised"
        study = aw.Study(SPACE, strategy=strategy, objective=aims, warm_start=known)
        study.run(both, aw.Budget(trials=16), progress=False)
        assert study.trials[0].architecture in architectures(known)
        assert verify(study).agrees


def test_schedulers_and_workers():
    def trained(candidate):
        return {"value": value(candidate.architecture) - 1 / candidate.fidelity["epochs"]}

    known = earlier(evaluate=trained, scheduler="asha", fidelity={"epochs": (1, 9)}, trials=12)
    study = aw.Study(SPACE, strategy="bo", warm_start=known, scheduler="asha", fidelity={"epochs": (1, 9)})
    study.run(trained, aw.Budget(trials=6), progress=False, workers=2)
    assert verify(study).agrees


def test_a_store_and_a_folder_of_runs(tmp_path):
    for name in ("one", "two"):
        earlier(tmp_path / "runs" / name, trials=5).close()
        earlier(store=tmp_path / "all.db", name=name, trials=5).close()
    for source in (tmp_path / "runs", tmp_path / "all.db"):
        study = aw.Study(SPACE, warm_start=source)
        assert [line.rpartition(" ")[2] for line in study.why] == ["one", "two"]


def test_wrong_sources_are_refused(tmp_path):
    with pytest.raises(StudyError, match="no complete trial"):
        aw.Study(SPACE, warm_start=aw.Study(SPACE))
    with pytest.raises(StudyError, match=r"searched for max value, and this study is for min loss"):
        aw.Study(SPACE, warm_start=earlier(trials=3), objective="min loss")
    with pytest.raises(StudyError, match=r"searched for max value, and this study is for min value"):
        aw.Study(SPACE, warm_start=earlier(trials=3), objective="min value")
    other = aw.Space(width=aw.ordinal(1, 2), depth=aw.integer(1, 3))
    with pytest.raises(StudyError, match=r"too little in common .*there width, depth; here x0"):
        aw.Study(SPACE, warm_start=earlier(space=other, evaluate=lambda one: 1.0, trials=3))
    own = earlier(tmp_path / "own", trials=3)
    own.close()
    with pytest.raises(StudyError, match="is the study itself"):
        aw.Study(SPACE, path=tmp_path / "own", warm_start=tmp_path / "own")
    with pytest.raises(StudyError, match="there is no folder"):
        aw.Study(SPACE, warm_start=tmp_path / "none")
    with pytest.raises(StudyError, match="takes run folders, databases and studies, not 7"):
        aw.Study(SPACE, warm_start=[7])


def test_a_record_that_was_changed_is_refused(tmp_path):
    from archwright.store import SQLStore

    aw.Study(SPACE, path=tmp_path / "new", warm_start=earlier(trials=3)).close()
    with closing(SQLStore(tmp_path / "new" / "study.db")) as store:
        store.acquire()
        background = store.read().document["background"]
        background["runs"][0]["trials"][0]["metrics"]["value"] = 9.0
        store.update(background=background)
    with pytest.raises(StoreError, match="digest"):
        aw.load(tmp_path / "new")


def test_only_some_of_many_trials_are_kept_with_the_best():
    known = earlier(trials=500)
    kept = EarlierTrials.of(known)
    assert len(kept.trials) == 200
    assert max(metrics["value"] for _, metrics in kept.trials) == known.best.trial.metrics["value"]
    assert EarlierTrials.from_json(kept.to_json()).trials == kept.trials


# ------------------------------------------------------------------ priors


BELIEF = {name: (int(peak), 0.9) for name, peak in zip(NAMES, PEAK, strict=True)}


@pytest.mark.parametrize("strategy", ["random", "bo", "evolution", "local-search"])
def test_a_right_prior_helps_and_its_mode_comes_first(strategy):
    near = {name: (min(9, belief[0] + 1), 0.7) for name, belief in BELIEF.items()}
    first = searched(strategy, 12, priors=near)
    assert [first.trials[0].architecture[name] for name in NAMES] == [near[name][0] for name in NAMES]
    warm, cold = (
        np.mean([searched(strategy, 12, seed, priors=priors).best.trial.metrics["value"] for seed in range(3)])
        for priors in (near, None)
    )
    assert warm > cold


def test_a_wrong_prior_is_overcome():
    space, wrong = aw.Space(x=aw.integer(0, 99)), {"x": (90, 0.9)}
    study = aw.Study(space, strategy="bo", priors=wrong)
    study.run(lambda candidate: -abs(candidate.settings["x"] - 20), aw.Budget(trials=25), progress=False)
    assert study.best.trial.architecture["x"] == 20


def test_a_prior_is_told():
    study = aw.Study(SPACE, priors={"x0": 7, "x1": (2, 0.5)})
    assert study.why == ("prior: x0 7 (confidence 0.75), x1 2 (confidence 0.5)",)
