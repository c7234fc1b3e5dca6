from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from botorch.acquisition import LogExpectedImprovement, UpperConfidenceBound, qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective import logei
from botorch.fit import fit_gpytorch_mll
from botorch.models import MixedSingleTaskGP, ModelListGP, SingleTaskGP
from botorch.sampling import SobolQMCNormalSampler
from gpytorch.mlls import ExactMarginalLogLikelihood

import archwright as aw
from archwright.errors import StrategyError
from archwright.strategies import BoTorch, _botorch_model
from archwright.surrogates import clipped, squash
from archwright.testing import StrategySuite
from archwright.testing._strategies import _SPACES, proposals
from archwright.trials import History, Objective, Trial

SPACE = aw.Space(
    kind=aw.choice({"plain": 0, "wide": aw.ordinal(1, 2, 3, 4, name="width")}, name="kind"),
    depth=aw.integer(0, 5),
    other=aw.choice("a", "b", "c"),
    parts=aw.subset("x", "y", k=(0, 2)),
)  # 360 architectures


def worth(architecture):
    return architecture.get("width", 0) - (architecture["depth"] - 3) ** 2 + (architecture["other"] == "b")


def told(space, count, value=worth, running=0):
    history = History(Objective("value"))
    for number in range(count + running):
        architecture = space.sample(np.random.default_rng([9, number]))
        history.add(Trial(number, architecture))
        if number < count:
            history.add(Trial(number, architecture, "complete", {"value": float(value(architecture))}))
    return history


def mixed(architecture):
    """The inputs of a mixed model, written by hand: the decisions in order."""
    return [
        ("plain", "wide").index(architecture["kind"]),
        (architecture["width"] - 1) / 3 if "width" in architecture else 0.0,
        architecture["depth"] / 5,
        "abc".index(architecture["other"]),
        *(float(x in architecture["parts"]) for x in "xy"),
    ]


def fitted(history, encode, categories, iterations=60):
    x = torch.tensor(np.array([encode(t.architecture) for t in history.complete]), dtype=torch.double)
    y = torch.tensor(squash(np.asarray(history.scores)), dtype=torch.double)[:, None]
    if categories:
        model = MixedSingleTaskGP(x, y, cat_dims=categories, outcome_transform=None)
    else:
        model = SingleTaskGP(x, y, outcome_transform=None)
    mll = ExactMarginalLogLikelihood(model.likelihood, model)
    fit_gpytorch_mll(mll, optimizer_kwargs={"options": {"maxiter": iterations}})
    return model, x, y


@pytest.fixture(autouse=True)
def _silent(monkeypatch):
    monkeypatch.setattr(logei, "_load_attempted", True, raising=False)  # BoTorch would compile a kernel, for a minute
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("model", ["single", "mixed"])
@pytest.mark.parametrize("acquisition", ["log-ei", "ucb", "noisy-ei"])
def test_it_proposes_where_the_acquisition_of_botorch_is_greatest(model, acquisition):
    history = told(SPACE, 20)  # a number after which the parameters are fitted
    encode, categories = (SPACE.encode, []) if model == "single" else (mixed, [0, 3, 4, 5])
    theirs, x, y = fitted(history, encode, categories)
    judge = {
        "log-ei": lambda: LogExpectedImprovement(theirs, best_f=y.max()),
        "ucb": lambda: UpperConfidenceBound(theirs, beta=4.0),
        "noisy-ei": lambda: qLogNoisyExpectedImprovement(
            theirs, x, sampler=SobolQMCNormalSampler(torch.Size([512]), seed=1), prune_baseline=True
        ),
    }[acquisition]()
    unseen = [architecture for architecture in SPACE.enumerate() if not history.seen(architecture)]
    with torch.no_grad():
        rows = torch.tensor(np.array([encode(architecture) for architecture in unseen]), dtype=torch.double)
        values = dict(zip(unseen, judge(rows[:, None]).tolist(), strict=True))
    chosen = BoTorch(model, acquisition).propose(SPACE, history, np.random.default_rng(0))
    best = max(values.values())
    slack = 0.05 if acquisition == "noisy-ei" else 1e-9  # two samplers differ a little
    assert values[chosen] >= best - slack
    assert np.quantile(list(values.values()), 0.9) < best - slack


def test_thompson_draws_from_the_posterior():
    """Good candidates are drawn most, and not always the same."""
    space = aw.Space(x=aw.integer(0, 200))
    history = told(space, 10, lambda a: -abs(a["x"] - 120))
    drawn = [
        BoTorch(acquisition="thompson").propose(space, history, np.random.default_rng(seed))["x"] for seed in range(12)
    ]
    assert len(set(drawn)) > 2
    assert np.median(np.abs(np.array(drawn) - 120)) < 20


def test_trials_that_run_send_it_elsewhere():
    """Where one trial runs, little is left to be learnt: the next proposals are not its neighbours' copies."""
    space = aw.Space(x=aw.real(0.0, 1.0), y=aw.real(0.0, 1.0))
    history = told(space, 15, lambda a: -((a["x"] - 0.3) ** 2))
    strategy, proposed = BoTorch(), []
    for number in range(15, 20):
        architecture = strategy.propose(space, history, np.random.default_rng(0))
        proposed.append((architecture["x"], architecture["y"]))
        history.add(Trial(number, architecture))
    distances = [np.hypot(a - c, b - d) for i, (a, b) in enumerate(proposed) for c, d in proposed[:i]]
    assert min(distances) > 0.01


def test_candidates_in_a_space_of_any_size_are_new():
    wide = aw.Space(**{f"e{i}": aw.choice(*"abcde") for i in range(6)})
    endless = aw.Space(x=aw.real(0.0, 1.0), kind=aw.choice("a", "b"))
    for space in (SPACE, wide, endless):
        history = told(space, 30, lambda a: len(str(a)))
        candidates = BoTorch(candidates=200)._candidates(space, history, np.random.default_rng(0))
        assert len(set(candidates)) == len(candidates) > 100
        assert len(candidates) <= 200
        assert not any(map(history.seen, candidates))
        best = history.complete[int(np.argmax(history.scores))].architecture
        if space is wide:
            assert set(space.neighbours(best)) - {t.architecture for t in history.trials} <= set(candidates)
    crowded = told(wide, 0)
    for number, architecture in enumerate(wide.enumerate()):
        if number % 4000:
            crowded.add(Trial(len(crowded.trials), architecture))
            crowded.add(Trial(len(crowded.trials) - 1, architecture, "complete", {"value": 1.0}))
    left = BoTorch(candidates=50)._candidates(wide, crowded, np.random.default_rng(0))
    assert len(left) >= 1
    assert not any(map(crowded.seen, left))


def test_the_parameters_are_fitted_less_and_less_often(monkeypatch):
    counts = []

    def counted(rows, *arguments, fit=_botorch_model.fit, **settings):
        counts.append(len(rows))
        return fit(rows, *arguments, **settings)

    monkeypatch.setattr(_botorch_model, "fit", counted)
    strategy, history = BoTorch(candidates=5, iterations=1), History(Objective("value"))
    for number in range(130):
        if number >= 8:
            strategy.propose(SPACE, history, np.random.default_rng(number))
        architecture = SPACE.sample(np.random.default_rng([1, number]))
        history.add(Trial(number, architecture))
        history.add(Trial(number, architecture, "complete", {"value": float(worth(architecture))}))
    assert counts == [10, 15, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 100, 120]


def test_it_climbs():
    space = aw.Space(**{f"e{i}": aw.ordinal(*range(8)) for i in range(4)})
    study = aw.Study(space, strategy=BoTorch(candidates=300, iterations=20), seed=0)
    for _ in range(40):
        trial = study.ask()
        study.tell(trial, -sum((value - 5) ** 2 for value in trial.architecture.values()))
    assert study.best.metrics["value"] >= -1


def test_torch_is_left_as_it_was():
    torch.manual_seed(3)
    before, kind, filters = torch.random.get_rng_state(), torch.get_default_dtype(), list(warnings.filters)
    for acquisition in ("log-ei", "noisy-ei", "thompson"):
        strategy = BoTorch(acquisition=acquisition)
        first = strategy.propose(SPACE, told(SPACE, 12), np.random.default_rng(0))
        assert torch.equal(torch.random.get_rng_state(), before)
        torch.manual_seed(99)
        assert strategy.propose(SPACE, told(SPACE, 12), np.random.default_rng(0)) == first
        torch.manual_seed(3)
    assert torch.get_default_dtype() == kind
    assert warnings.filters == filters


def test_settings_are_checked_at_once():
    with pytest.raises(
        StrategyError, match="acquisition must be one of 'log-ei', 'noisy-ei', 'ucb', 'thompson', not 'ei'"
    ):
        BoTorch(acquisition="ei")
    with pytest.raises(StrategyError, match="model must be one of 'single', 'mixed', not 'double'"):
        BoTorch(model="double")
    for count in ("initial", "iterations", "candidates"):
        with pytest.raises(StrategyError, match=f"{count} must be an integer of 1 or more, not 0"):
            BoTorch(**{count: 0})


@pytest.mark.parametrize("model", ["single", "mixed"])
def test_several_objectives_are_judged_by_qlognehvi(model):
    """What is proposed is worth most to an acquisition made here, but for the draws of the two."""
    aims = Objective("good"), Objective("cost", False)
    history = History(aims)
    for number in range(20):
        architecture = SPACE.sample(np.random.default_rng([9, number]))
        metrics = {"good": float(worth(architecture)), "cost": float(architecture["depth"])}
        history.add(Trial(number, architecture))
        history.add(Trial(number, architecture, "complete", metrics))
    encode, categories = (SPACE.encode, []) if model == "single" else (mixed, [0, 3, 4, 5])
    x = torch.tensor(np.array([encode(trial.architecture) for trial in history.complete]), dtype=torch.double)
    y = torch.tensor(np.transpose([clipped(column) for column in np.array(history.points).T]), dtype=torch.double)
    models = []
    for column in y.T:
        if categories:
            one = MixedSingleTaskGP(x, column[:, None], cat_dims=categories, outcome_transform=None)
        else:
            one = SingleTaskGP(x, column[:, None], outcome_transform=None)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(one.likelihood, one), optimizer_kwargs={"options": {"maxiter": 60}})
        models.append(one)
    low, high = y.amin(dim=0), y.amax(dim=0)
    judge = logei.qLogNoisyExpectedHypervolumeImprovement(
        ModelListGP(*models),
        (low - 0.1 * (high - low)).tolist(),
        x,
        sampler=SobolQMCNormalSampler(torch.Size([128]), seed=1),
        prune_baseline=True,
    )
    unseen = [architecture for architecture in SPACE.enumerate() if not history.seen(architecture)]
    with torch.no_grad():
        rows = torch.tensor(np.array([encode(architecture) for architecture in unseen]), dtype=torch.double)
        judged = torch.cat([judge(part[:, None]) for part in rows.split(60)])
    values = dict(zip(unseen, judged.tolist(), strict=True))
    chosen = BoTorch(model, candidates=1000).propose(SPACE, history, np.random.default_rng(0))
    assert values[chosen] >= max(values.values()) - 0.2
    assert np.quantile(list(values.values()), 0.9) < max(values.values()) - 0.2


def test_no_kernel_is_compiled_for_several_objectives(monkeypatch):
    compiled = []
    monkeypatch.setattr("torch.utils.cpp_extension.load", lambda **options: compiled.append(options))
    monkeypatch.setattr(logei, "_load_attempted", False)
    history = History((Objective("good"), Objective("cost", False)))
    for number in range(12):
        architecture = SPACE.sample(np.random.default_rng([9, number]))
        metrics = {"good": float(worth(architecture)), "cost": float(architecture["depth"])}
        history.add(Trial(number, architecture))
        history.add(Trial(number, architecture, "complete", metrics))
    assert BoTorch(candidates=20).propose(SPACE, history, np.random.default_rng(0)) in SPACE
    assert not compiled
    assert logei._load_attempted is False  # whoever uses BoTorch beside it may have it compiled


@pytest.mark.parametrize("options", [{"model": "mixed"}, {"acquisition": "noisy-ei"}, {"acquisition": "thompson"}])
@pytest.mark.parametrize("kind", ["nested", "real"])
def test_whatever_the_settings_it_goes_on(kind, options):
    space, states = _SPACES[kind](), ("complete", "complete", "failed", "running")
    for value in (None, lambda _: 0.5, lambda a: 1e300 * (int(a.id, 16) % 7 - 3)):
        strategies = [BoTorch(initial=2, iterations=2, candidates=20, **options) for _ in range(2)]
        first, again = (proposals(strategy, space, 6, states=states, value=value) for strategy in strategies)
        assert all(architecture in space for architecture in first)
        assert again == first


class TestSuite(StrategySuite):
    trials = 14

    @pytest.fixture
    def strategy(self):
        return BoTorch(initial=6, iterations=3, candidates=30)
