"""Bayesian optimisation: what it proposes, and that its caches never show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import archwright as aw
from archwright import nn, strategies
from archwright.errors import StrategyError
from archwright.strategies import BayesianOptimisation, _bo_model
from archwright.study import verify
from archwright.surrogates import Posterior, fit_parameters, kernel_for, log_expected_improvement, squash
from archwright.testing import StrategySuite
from archwright.trials import History, Objective, Trial

SMALL = aw.Space(**{f"e{i}": aw.choice(*"abcd") for i in range(4)})
NETWORKS = aw.Space(
    model=nn.Sequential(
        nn.Linear(6, aw.ordinal(4, 8, 16, 32, name="width")),
        aw.choice({"relu": nn.ReLU(), "gelu": nn.GELU(), "tanh": nn.Tanh()}, name="activation"),
        nn.LazyLinear(aw.integer(2, 6, name="middle")),
        nn.LazyLinear(3),
    ),
    example_input=(6,),
)
LARGE = aw.Space(**{f"e{i}": aw.choice(*"abcd") for i in range(12)})
ACQUISITIONS = ["log-ei", "noisy-ei", "ucb", "thompson"]


def worth(architecture):
    """Additive, with one interaction."""
    codes = ["abcd".index(value) for value in architecture.values()]
    return sum((i + 1) * code for i, code in enumerate(codes)) + 3.0 * (codes[0] == codes[1])


def history_of(space, count, seed=0):
    rng = np.random.default_rng(seed)
    history = History(Objective("value"))
    for number, architecture in enumerate(dict.fromkeys(space.sample(rng) for _ in range(count))):
        history.add(Trial(number, architecture, seed=number))
        history.add(Trial(number, architecture, "complete", {"value": worth(architecture)}, seed=number))
    return history


@pytest.mark.parametrize("acquisition", ["noisy-ei", "log-ei"])
def test_it_proposes_the_unseen_architecture_of_greatest_log_expected_improvement(acquisition):
    history = history_of(SMALL, 12)
    strategy = BayesianOptimisation(kernel="hamming", acquisition=acquisition)
    proposed = strategy.propose(SMALL, history, np.random.default_rng(0))
    terms = kernel_for(SMALL, "hamming")
    everything = list(SMALL.enumerate())
    seen = [trial.architecture for trial in history.complete]
    rows = [term.inputs(seen) for term in terms]
    scores = squash(np.array(history.scores))
    posterior = Posterior(terms, fit_parameters(terms, rows, scores), [term.inputs(everything) for term in terms])
    posterior.observe(rows, len(seen))
    known = Posterior(terms, posterior.parameters, rows)
    known.observe(rows, len(seen))
    reached = scores if acquisition == "log-ei" else known.expect(scores)[0]
    improvement = log_expected_improvement(*posterior.expect(scores), reached.max())
    best = max((a for a in everything if not history.seen(a)), key=lambda a: improvement[everything.index(a)])
    assert proposed == best


@pytest.mark.parametrize("acquisition", ACQUISITIONS)
@pytest.mark.parametrize("space", [SMALL, LARGE], ids=["small", "large"])
def test_it_finds_the_best_of_an_additive_function_in_few_trials(space, acquisition):
    study = aw.Study(space, strategy=BayesianOptimisation(kernel="decisions", acquisition=acquisition), seed=1)
    best = worth(dict.fromkeys(space.decisions, "d"))
    for _ in range(60):
        trial = study.ask()
        study.tell(trial, worth(trial.architecture))
        if study.best.metrics["value"] == best:
            break
    assert study.best.metrics["value"] >= (best if space is SMALL else 0.9 * best)


@pytest.mark.parametrize("acquisition", ACQUISITIONS)
def test_caches_never_show_where_trials_run_side_by_side(acquisition):
    """One that saw the history grow, with trials that ran and ended out of order, proposes what a new one proposes."""
    strategy = BayesianOptimisation(kernel="decisions", acquisition=acquisition)
    history, running = History(Objective("value")), []
    coin = np.random.default_rng(3)
    for number in range(36):
        proposed = strategy.propose(SMALL, history, np.random.default_rng(number))
        fresh = History(Objective("value"))
        for trial in history.trials:
            fresh.add(replace(trial, state="running", metrics={}))
        for trial in history.finished:
            fresh.add(trial)
        assert replace(strategy).propose(SMALL, fresh, np.random.default_rng(number)) == proposed
        history.add(Trial(number, proposed, seed=number))
        running.append(history.trials[number])
        while len(running) > coin.integers(4):
            ended = running.pop(int(coin.integers(len(running))))
            history.add(replace(ended, state="complete", metrics={"value": worth(ended.architecture)}))


# --------------------------------------------------------------------------- many workers


def running_beside(history, space, count, seed=1):
    """Add trials that run."""
    rng = np.random.default_rng(seed)
    while history.count_running < count:
        if not history.seen(architecture := space.sample(rng)):
            history.add(Trial(len(history.trials), architecture, seed=len(history.trials)))


@pytest.mark.parametrize(
    ("running", "ended", "late"),
    [(0, 100, 1), (13, 100, 1), (14, 100, 2), (64, 100, 8), (64, 3, 1), (64, 9, 4), (999, 500, 64), (1000, 500, 64)],
)
def test_with_many_workers_a_model_serves_for_an_eighth_of_them(running, ended, late):
    history = History(Objective("value"))
    for number in range(ended + running):
        history.add(Trial(number, aw.Architecture({"x": number})))
    for number in range(ended):
        history.add(Trial(number, aw.Architecture({"x": number}), "failed"))
    assert _bo_model.lateness(history) == late


@pytest.mark.parametrize("acquisition", ["noisy-ei", "thompson"])
@pytest.mark.parametrize("space", [SMALL, LARGE], ids=["small", "large"])
def test_caches_never_show_with_many_workers(acquisition, space):
    """Whatever ends between two proposals; the number of workers changes, too."""
    strategy = BayesianOptimisation(kernel="decisions", acquisition=acquisition)
    history, coin, proposals = History(Objective("value")), np.random.default_rng(3), 0
    for number in range(110):
        if history.seen(proposed := strategy.propose(space, history, np.random.default_rng(number))):
            proposed = space.sample(coin)
        elif number % 5 == 0:
            fresh, proposals = History(Objective("value")), proposals + 1
            for trial in history.trials:
                fresh.add(replace(trial, state="running", metrics={}))
            for trial in history.finished:
                fresh.add(trial)
            assert replace(strategy).propose(space, fresh, np.random.default_rng(number)) == proposed
        history.add(Trial(number, proposed, seed=number))
        while history.count_running > (40 if number < 80 else 16):
            ended = history.running[int(coin.integers(history.count_running))]
            state = "failed" if ended.number % 7 == 0 else "complete"
            history.add(replace(ended, state=state, metrics={"value": worth(ended.architecture)}))
    assert proposals > 12


def test_with_many_workers_it_proposes_the_first_of_the_upper_confidence_bounds():
    history, strategy = history_of(SMALL, 18), BayesianOptimisation(kernel="hamming")
    count = len(history.complete)
    running_beside(history, SMALL, 20)
    known = count // 2 * 2
    terms, everything = kernel_for(SMALL, "hamming"), list(SMALL.enumerate())
    rows = [term.inputs([trial.architecture for trial in history.complete[:known]]) for term in terms]
    scores = squash(np.array(history.scores[:known]))
    due = _bo_model._last_fit(known, 2)
    parameters = fit_parameters(terms, [part[:due] for part in rows], squash(np.array(history.scores[:due])))
    posterior = Posterior(terms, parameters, [term.inputs(everything) for term in terms])
    posterior.observe(rows, known)
    mean, deviation = posterior.expect(scores)
    left = [index for index in np.argsort(-(mean + 2 * deviation)) if not history.seen(everything[index])]
    proposed = [strategy.propose(SMALL, history, np.random.default_rng(seed)) for seed in range(60)]
    assert max(set(proposed), key=proposed.count) == everything[left[0]]
    assert set(proposed) <= {everything[index] for index in left[:12]}
    assert len(set(proposed)) > 2  # the first may be refused


@pytest.mark.parametrize("space", [SMALL, LARGE], ids=["small", "large"])
def test_many_workers_get_different_architectures_and_each_proposal_is_made_again(tmp_path, space):
    coin, running = np.random.default_rng(5), []
    with aw.Study(space, strategy=BayesianOptimisation(kernel="decisions"), seed=4, path=tmp_path / "run") as study:
        for _ in range(120):
            running.append(study.ask())
            if len(running) == 32:
                trial = running.pop(int(coin.integers(32)))
                study.tell(trial, worth(trial.architecture))
    assert len({trial.architecture for trial in study.trials}) == 120
    found = verify(aw.load(tmp_path / "run"))
    assert found.agrees
    assert not found.unknown


def test_trials_that_run_send_it_elsewhere():
    history = history_of(SMALL, 10)
    strategy = BayesianOptimisation(kernel="hamming")
    rng = np.random.default_rng(0)
    first = strategy.propose(SMALL, history, rng)
    history.add(Trial(len(history.trials), first))
    proposed = [strategy.propose(SMALL, history, rng)]
    for _ in range(3):
        history.add(Trial(len(history.trials), proposed[-1]))
        proposed.append(strategy.propose(SMALL, history, rng))
    assert len({first, *proposed}) == 5


def test_many_trials_are_observed_in_part_the_best_among_them(monkeypatch):
    monkeypatch.setattr(_bo_model, "_OBSERVED", 10)
    scores = np.random.default_rng(0).permutation(100).astype(float)
    kept = _bo_model.telling(scores)
    assert len(kept) == 10
    assert (np.diff(kept) > 0).all()
    assert {95.0, 96.0, 97.0, 98.0, 99.0} <= set(scores[kept])
    assert _bo_model.telling(scores[:10]).tolist() == list(range(10))
    study = aw.Study(SMALL, strategy=BayesianOptimisation(kernel="decisions"), seed=2)
    for _ in range(40):
        trial = study.ask()
        study.tell(trial, worth(trial.architecture))
    assert study.best.metrics["value"] == worth(dict.fromkeys("0123", "d"))


def test_the_parameters_are_fitted_less_and_less_often_whenever_it_is_asked(monkeypatch):
    def fits(asked):
        """How many trials the parameters were fitted to, each time, where it learns at these numbers of trials."""
        counts, history = [], History(Objective("value"))
        monkeypatch.setattr(
            _bo_model, "fit_parameters", lambda terms, rows, scores: counts.append(len(scores)) or np.zeros(9)
        )
        model = _bo_model.Model(kernel_for(LARGE, "hamming"))
        for trial in history_of(LARGE, 400).complete:
            history.add(replace(trial, state="running"))
            history.add(trial)
            if len(history.complete) in asked:
                model.learn(history)
        return counts

    always = fits(range(1, 401))
    assert always[:40] == list(range(1, 41))
    gaps = np.diff(always[40:])
    assert (gaps >= np.array(always[40:-1]) // 20).all()
    assert (gaps <= np.array(always[40:-1]) / 20 + 1).all()
    assert fits(range(250, 251)) == [max(count for count in always if count <= 250)]


def test_with_many_workers_the_parameters_are_fitted_when_there_are_twice_as_many_or_four_rankings_more():
    due = [_bo_model._last_fit(count, 8) for count in range(200)]
    assert sorted({*due}) == [0, 1, 2, 4, 8, 16, 32, 60, 88, 116, 144, 172]
    assert max(np.diff(sorted({_bo_model._last_fit(count) for count in range(4000, 12000)}))) == 250


def test_a_kernel_that_sees_nothing_is_refused_at_the_start():
    with pytest.raises(StrategyError, match=r"'wl' compares cells.*use network, decisions, hamming"):
        aw.Study(SMALL, strategy=strategies.create("bo", kernel="wl"))
    with pytest.raises(StrategyError, match=r"kernel must be one of 'network'.*not 'rbf'"):
        strategies.create("bo", kernel="rbf")
    with pytest.raises(StrategyError, match=r"acquisition must be one of .*not 'ei'"):
        strategies.create("bo", acquisition="ei")
    with pytest.raises(StrategyError, match="initial must be an integer of 1 or more, not 0"):
        strategies.create("bo", initial=0)
    with pytest.raises(StrategyError, match=r"'proxies' scores networks.*use network, decisions, hamming, path, tree$"):
        aw.Study(SMALL, strategy=strategies.create("bo", kernel="proxies"))


class TestWithProxies(StrategySuite):
    trials = 24

    @pytest.fixture
    def strategy(self) -> strategies.Strategy:
        return BayesianOptimisation(kernel="proxies")

    @pytest.fixture
    def any_space(self) -> aw.Space:
        return NETWORKS

    @pytest.fixture
    def finite_space(self) -> aw.Space:
        return NETWORKS
