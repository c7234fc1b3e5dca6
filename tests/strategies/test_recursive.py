"""Strategies, surrogates and what is told of a search in a recursive space."""

from __future__ import annotations

import numpy as np
import pytest

import archwright as aw
from archwright import nn, strategies, surrogates
from archwright.errors import RelaxationError, SpaceError, StrategyError
from archwright.strategies import BayesianOptimisation, Evolution, Strategy


def chains(depth: int = 6, **given) -> aw.Space:
    """Layers in rows and sums; the score of `rated` follows from what is in it, wherever it stands."""

    def block(block):
        layer = nn.Linear(4, 4, bias=aw.choice(True, False, name="bias"))
        both = aw.graph(lambda x: block(x) + block(x))
        return aw.choice({"linear": layer, "tanh": nn.Tanh(), "row": nn.Sequential(block, block), "sum": both})

    return aw.Space(model=aw.recursive(block, depth=depth), example_input=(4,), **given)


def rated(candidate):
    """Best with five linear layers with bias, three tanh, and no sum."""
    values = list(candidate.architecture.values())
    return -abs(values.count(True) - 5) - abs(values.count("tanh") - 3) - values.count("sum")


@pytest.mark.parametrize("name", sorted({*strategies.names()} - {"llm"}))  # which needs a server
def test_each_strategy_searches_or_names_those_that_do(name):
    strategy = strategies.create(name)
    space = chains(depth=3)
    if not strategy.recursive:
        with pytest.raises(
            StrategyError, match=f"^{name} needs a list of all decisions.* use .*bo, .*evolution, .*random"
        ):
            aw.Study(space, strategy=strategy)
        return
    studies = [aw.Study(space, strategy=name, seed=3).run(rated, aw.Budget(trials=16), progress=False) for _ in "ab"]
    first, second = ([trial.architecture for trial in study.trials] for study in studies)
    assert first == second
    assert len(set(first)) == 16
    assert all(architecture in space for architecture in first)


@pytest.mark.parametrize("name", ["nsga2", "nsga3", "mo-bo", "evolution", "bo"])
def test_two_objectives(name):
    def two(candidate):
        return {"score": rated(candidate), "count": len(candidate.architecture)}

    study = aw.Study(chains(), strategy=name, objective=("max score", "min count"), seed=0)
    study.run(two, aw.Budget(trials=14), progress=False)
    assert all(trial.state == "complete" for trial in study.trials)


def test_model_and_evolution_beat_random_search():
    def best(strategy: Strategy | str, seed: int) -> float:
        study = aw.Study(chains(), strategy=strategy, seed=seed)
        return study.run(rated, aw.Budget(trials=40), progress=False).best.trial.metrics["value"]

    mean = {
        name: np.mean([best(strategy, seed) for seed in range(2)])
        for name, strategy in {
            "random": "random",
            "evolution": Evolution(population=10, sample=4),
            "bo": BayesianOptimisation(),
        }.items()
    }
    assert mean["evolution"] > mean["random"]
    assert mean["bo"] > mean["random"]


def test_kernels_and_encodings():
    space, rng = chains(), np.random.default_rng(0)
    drawn = list(dict.fromkeys(space.sample(rng) for _ in range(200)))[:90]
    term, sizes = surrogates.kernel_for(space, "network")
    assert sizes.features(drawn[:1])[0, 0] == np.log1p(len(drawn[0]))
    rows = term.inputs(drawn)
    gram = term.kernel(rows, rows, np.zeros(1))
    counts = [term.counts(each) for each in drawn]
    i, j = 3, len(drawn) - 1
    dot = sum(counts[i][key] * counts[j][key] for key in counts[i])
    norms = [np.sqrt(sum(count**2 for count in counts[k].values())) for k in (i, j)]
    assert gram[i, j] == pytest.approx(dot / norms[0] / norms[1])
    assert np.linalg.eigvalsh(gram).min() > -1e-9
    scores = np.array([float(sum(value == "tanh" for value in each.values())) for each in drawn])
    for name in ("boosted-trees", "mlp", "gaussian-process"):
        fitted = surrogates.PREDICTORS[name]().fit(space, drawn[:60], scores[:60], rng)
        assert np.corrcoef(fitted.predict(drawn[60:])[0], scores[60:])[0, 1] > 0.5, name
    with pytest.raises(StrategyError, match=r"the kernel 'hamming' compares vectors.*network, decisions, tree"):
        aw.Study(space, strategy=BayesianOptimisation(kernel="hamming"))


def test_what_needs_all_options_side_by_side_is_refused():
    with pytest.raises(RelaxationError, match=r"recursive space; write the rules out \(Space.expand\)"):
        aw.Supernet(chains())
    assert aw.Supernet(chains(depth=2).expand()).space.size == 3 + 2 * 9
    study = aw.Study(chains(), strategy="random").run(rated, aw.Budget(trials=24), progress=False)
    with pytest.raises(SpaceError, match="writes the rules of a small one out"):
        study.importance()
    for count in (3, 24):  # whatever the number of trials
        with pytest.raises(SpaceError, match="writes the rules of a small one out"):
            aw.explain.explain(study.space, study.trials[:count], study.objectives[0])
    with pytest.raises(SpaceError, match="a recursive space has none"):
        aw.envs.SearchEnv(chains(), rated)


def test_a_search_goes_on_after_a_kill(tmp_path):
    """A run folder is read in a fresh program, whose rules were not walked yet."""
    space = chains()
    whole = aw.Study(space, strategy="evolution", seed=1).run(rated, aw.Budget(trials=24), progress=False)
    part = aw.Study(space, strategy="evolution", seed=1, path=tmp_path / "run")
    part.run(rated, aw.Budget(trials=10), progress=False)
    part.close()
    again = aw.load(tmp_path / "run")
    again.run(rated, aw.Budget(trials=24), progress=False)
    assert [trial.architecture for trial in again.trials] == [trial.architecture for trial in whole.trials]


def test_constraints_make_trials_infeasible_and_are_learnt():
    def sized(candidate):
        return {"score": rated(candidate), "layers": float(len(candidate.architecture))}

    study = aw.Study(chains(), strategy="evolution", objective="max score", constraints=["layers <= 9"], seed=0)
    study.run(sized, aw.Budget(trials=60), progress=False)
    assert study.best.trial.metrics["layers"] <= 9
    assert {trial.state for trial in study.trials} == {"complete", "infeasible"}
