"""Which decisions matter: known answers, laws, and Optuna's evaluators as referees."""

from dataclasses import replace

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.explain.helpers import STAGES, TREE, VALUE, choices, measured

import archwright as aw
from archwright.errors import ArchitectureError, SpaceError, StudyError
from archwright.explain import _forest, aim, compared, importance, what_if

SPACE = choices(4)


def shares(found):
    return {row.decision: row.share for row in found.rows}


@pytest.mark.parametrize("options", [{}, {"method": "ped-anova"}], ids=str)
def test_the_one_decision_that_matters_is_found(options):
    trials = measured(SPACE, lambda a: a["d2"] ** 2, noise=0.5)
    found = importance(SPACE, trials, VALUE, **options)
    assert [row.decision for row in found.rows if not row.noise] == ["d2"]
    assert found.rows[0].decision == "d2"
    assert all(row.low <= row.share <= row.high for row in found.rows)


def test_shares_are_those_of_the_variance():
    weights = np.array([4, 2, 1, 0])
    trials = measured(SPACE, lambda a: sum(weights[i] * (3 * a[f"d{i}"] % 4) for i in range(4)), 400)
    truth = weights**2 / 21
    found = importance(SPACE, trials, VALUE)
    for index in range(4):
        row = found[f"d{index}"]
        assert row.share == pytest.approx(truth[index], abs=0.05)
        assert row.low - 0.02 <= truth[index] <= row.high + 0.02
    assert found["d3"].noise
    assert not found["d2"].noise


def test_noise_is_no_part_of_what_is_explained():
    """The forest says how much of the variance it predicts; shares are of that."""
    for noise in (0.1, 0.5, 1.0):  # d0 has a variance of 1
        trials = measured(SPACE, lambda a: (a["d0"] - 1.5) / 1.25**0.5, 400, noise=noise)
        found = importance(SPACE, trials, VALUE)
        assert 1 / (1 + noise**2) - 0.2 <= found.known <= 1 / (1 + noise**2) + 0.05  # what noise leaves to be known
        assert found.rows[0].decision == "d0"
        assert found["d0"].share > 0.6
    assert importance(SPACE, trials, VALUE, method="ped-anova").known is None


def test_a_conditional_decision_is_judged_where_it_is_active():
    """The option that opens `b` is drawn in a third of cases; within them `b` is worth +-1, beside them `kind` +-1."""

    def value(a):
        return a["kind"] * 2 - 1 if a["kind"] in (0, 1) else 2 * (a["b"] == 8) - 1

    trials = measured(TREE, value, 400)
    found = importance(TREE, trials, VALUE)
    # All values are +-1: the variance is 1, of which kind explains 2/3 and b the last third.
    assert found["kind"].share == pytest.approx(2 / 3, abs=0.05)
    assert found["b"].share == pytest.approx(1 / 3, abs=0.05)
    assert found["b"].active == pytest.approx(1 / 3)
    assert found["b"].trials == sum("b" in trial.architecture for trial in trials)
    assert found["c"].noise


def test_what_a_region_changes_counts_for_the_decision_that_chooses_it():
    trials = measured(TREE, lambda a: "b" in a, 200, noise=0.1)
    for options in ({}, {"method": "ped-anova"}):
        found = importance(TREE, trials, VALUE, **options)
        assert found.rows[0].decision == "kind"
        assert found["b"].noise
    assert importance(TREE, trials, VALUE)["kind"].share > 0.9


def test_the_direction_matters_among_the_best_only():
    trials = measured(SPACE, lambda a: a["d0"] if a["d0"] < 3 else 3 + a["d1"], noise=0.1, count=400)
    best = importance(SPACE, trials, VALUE, among="best")
    assert best.rows[0].decision == "d1"
    worst = importance(SPACE, trials, replace(VALUE, maximise=False), among="best")
    assert worst["d1"].noise
    both = [shares(importance(SPACE, trials, replace(VALUE, maximise=up))) for up in (True, False)]
    assert both[0] == both[1]


def test_ped_anova_is_the_pearson_divergence_and_orders_as_optunas():
    space = choices(3, 6)
    trials = measured(space, lambda a: 4 * a["d0"] + 2 * a["d1"] + a["d2"], 600, noise=0.5)
    study = optunas(space, trials)
    best_first = sorted(trials, key=lambda trial: -trial.metrics["value"])
    for among, region in (("all", 600), ("best", 150)):
        ours = shares(importance(space, trials, VALUE, among=among, method="ped-anova"))
        for name, share in ours.items():
            within, best = (frequencies(best_first[:count], name) for count in (region, 60))
            held = within > 0
            divergence = (within[held] * (best[held] / within[held] - 1) ** 2).sum()
            share_of_best = 60 / region
            assert share == pytest.approx(share_of_best / (1 - share_of_best) * divergence, rel=0.15, abs=0.01)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(region_quantile=region / 600)
        theirs = optuna.importance.get_param_importances(study, evaluator=evaluator)
        assert list(ours) == list(theirs)


def frequencies(trials, name):
    return np.bincount([trial.architecture[name] for trial in trials], minlength=6) / len(trials)


def test_fanova_orders_as_optunas():
    effects = np.random.default_rng(2).normal(size=(4, 4)) * [[4], [2], [1], [0]]
    trials = measured(SPACE, lambda a: sum(effects[i][a[f"d{i}"]] for i in range(4)), 300)
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    theirs = optuna.importance.get_param_importances(optunas(SPACE, trials), evaluator=evaluator)
    ours = shares(importance(SPACE, trials, VALUE))
    assert list(ours) == list(theirs)
    for name, share in theirs.items():
        assert ours[name] == pytest.approx(share, abs=0.06)


def optunas(space, trials):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    kinds = {
        name: optuna.distributions.CategoricalDistribution(list(decision.values()))
        for name, decision in space.decisions.items()
    }
    for trial in trials:
        params, value = dict(trial.architecture), trial.metrics["value"]
        study.add_trial(optuna.trial.create_trial(params=params, distributions=kinds, value=value))
    return study


# ---------------------------------------------------------------------------------------------------------------- laws


@settings(max_examples=6)
@given(st.integers(0, 1000), st.sampled_from(["tree", "stages"]), st.floats(0, 2))
def test_shares_are_none_below_zero_and_together_at_most_all(seed, name, noise):
    space = {"tree": TREE, "stages": STAGES}[name]
    effect = np.random.default_rng(seed).normal(size=100)
    trials = measured(space, lambda a: effect[hash(frozenset(a.items())) % 100], 40, noise=noise, seed=seed)
    found = {method: importance(space, trials, VALUE, seed=seed, method=method) for method in ("fanova", "ped-anova")}
    for each in found.values():
        assert {row.decision for row in each.rows} == set(space.decisions)
        assert all(0 <= row.low <= row.share <= row.high <= 1 for row in each.rows)
    assert sum(row.share for row in found["fanova"].rows) <= 1 + 1e-9


@settings(max_examples=4)
@given(st.permutations(range(4)))
def test_other_names_of_the_options_change_nothing(order):
    trials = measured(SPACE, lambda a: a["d0"] * a["d1"], 40, noise=1)
    renamed = [
        replace(trial, architecture=aw.Architecture({**trial.architecture, "d0": order[trial.architecture["d0"]]}))
        for trial in trials
    ]
    assert shares(importance(SPACE, renamed, VALUE)) == pytest.approx(shares(importance(SPACE, trials, VALUE)))


@pytest.mark.parametrize("seed", range(4))
def test_pure_noise_is_called_noise(seed):
    trials = measured(choices(8), lambda a: 0, 100, noise=1, seed=seed)
    for options in ({}, {"method": "ped-anova"}):
        found = importance(choices(8), trials, VALUE, **options)
        assert sum(not row.noise for row in found.rows) <= 1


def test_the_same_seed_gives_the_same_numbers():
    trials = measured(TREE, lambda a: a["c"] == "u", 60, noise=1)
    for options in ({}, {"method": "ped-anova"}, {"among": "best"}):
        assert importance(TREE, trials, VALUE, **options).rows == importance(TREE, trials, VALUE, **options).rows


def test_a_scale_changes_nothing():
    trials = measured(SPACE, lambda a: a["d0"] + a["d1"] ** 2, 60, noise=0.3)
    scaled = [replace(trial, metrics={"value": 4096 + 1024 * trial.metrics["value"]}) for trial in trials]
    assert shares(importance(SPACE, scaled, VALUE)) == pytest.approx(shares(importance(SPACE, trials, VALUE)))


# --------------------------------------------------------------------------------------------------- which trials count


def test_the_highest_fidelity_with_enough_trials_is_taken():
    short = measured(SPACE, lambda a: -a["d0"], 60, fidelity={"epochs": 1}, share=0.1)
    middle = measured(SPACE, lambda a: a["d1"], 30, fidelity={"epochs": 3}, share=0.3)
    whole = measured(SPACE, lambda a: a["d2"], 5)
    broken = [replace(short[0], state="failed", metrics={}), replace(short[0], state="infeasible")]
    other = [replace(short[0], metrics={"loss": 1.0}), replace(short[0], metrics={"value": float("inf")})]
    found = compared([*short, *middle, *whole, *broken, *other], VALUE)
    assert found.trials == tuple(middle)
    assert found.fidelity == "epochs 3"
    assert found.left_out == {
        "failed": 1,
        "infeasible": 1,
        "without the metric": 1,
        "with a value that is not finite": 1,
        "at another fidelity": 65,
    }
    with pytest.raises(StudyError, match=r"20 complete trials at one fidelity are needed; there are 5 at full eval"):
        compared([*whole, *broken], VALUE)
    with pytest.raises(StudyError, match="there are none"):
        compared([], VALUE)
    with pytest.raises(StudyError, match="no complete trial has a finite value of 'auc'; their metrics are 'value'"):
        compared(short, aw.Objective("auc"))


def test_metrics_by_name():
    both = (aw.Objective("value"), aw.Objective("price", maximise=False), aw.Objective.parse("max value - 2*price"))
    assert aim(both, None) == both[0]
    assert aim(both, "price") == both[1]
    assert aim(both, "max value - 2*price") == both[2]
    assert aim(both, "loss") == aw.Objective("loss", maximise=False)
    assert aim(both, "max heat") == aw.Objective("heat")
    with pytest.raises(StudyError, match="the direction is missing"):
        aim(both, "heat")
    sample = compared([replace(t, metrics={**t.metrics, "price": 1}) for t in measured(SPACE, len, 20)], both[2])
    assert sample.metric == "max value - 2.0*price"
    assert sample.values[0] == 2


def test_what_is_refused():
    trials = measured(SPACE, lambda a: a["d0"], 30)
    with pytest.raises(StudyError, match="among is 'all' or 'best', not 'some'"):
        importance(SPACE, trials, VALUE, among="some")
    with pytest.raises(StudyError, match="the method among 'best' is 'ped-anova', not 'fanova'"):
        importance(SPACE, trials, VALUE, among="best", method="fanova")
    same = measured(SPACE, lambda a: 0.5, 30)
    for options in ({}, {"among": "best"}):
        with pytest.raises(StudyError, match=r"all 30 trials have the same value, 0\.5"):
            importance(SPACE, same, VALUE, **options)
    with pytest.raises(SpaceError, match="no decision with two"):
        importance(aw.Space(x=aw.integer(1, 1)), measured(aw.Space(x=aw.integer(1, 1)), len, 30, noise=1), VALUE)


def test_trials_of_another_space_are_refused():
    trials = measured(choices(5), lambda a: a["d0"], 30)
    for options in ({}, {"among": "best"}):
        with pytest.raises(ArchitectureError, match="nothing named 'd4'"):
            importance(SPACE, trials, VALUE, **options)
    with pytest.raises(ArchitectureError, match="nothing named 'd4'"):
        what_if(SPACE, trials, VALUE)


def test_with_many_decisions_trees_have_fewer_leaves(monkeypatch):
    monkeypatch.setattr(_forest, "_CELLS", 500)
    space = choices(40, 3)
    found = importance(space, measured(space, lambda a: a["d7"], 100), VALUE)
    assert [row.decision for row in found.rows if not row.noise] == ["d7"]
    assert found["d7"].share > 0.9


# --------------------------------------------------------------------------------------------------------------- output


def test_a_result_is_a_table_a_page_and_a_frame():
    space = aw.Space(a=aw.choice("<b>", "x", name="<i>width"), c=aw.integer(0, 3, name="c"))
    found = importance(space, measured(space, lambda a: a["c"], 40), VALUE)
    lines = str(found).splitlines()
    assert lines[0].startswith("predicted variance of value explained by each decision")
    assert "40 trials at full evaluation" in lines[0]
    assert lines[2].split()[0] == "c"
    assert lines[3].endswith("as a random decision")
    assert "&lt;i&gt;width" in found._repr_html_()
    assert "<i>" not in found._repr_html_()
    frame = found.frame()
    assert list(frame["decision"]) == ["c", "<i>width"]
    assert found.to_json()["rows"][0]["share"] == frame["share"][0]
    with pytest.raises(KeyError, match="no row of 'depth'; there are 'c'"):
        found["depth"]
