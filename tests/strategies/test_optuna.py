from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import (
    CmaEsSampler,
    GPSampler,
    GridSampler,
    NSGAIIISampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import TrialState, create_trial

import archwright as aw
from archwright.errors import StrategyError
from archwright.strategies import TPE, Optuna
from archwright.strategies._optuna_study import moved
from archwright.testing import StrategySuite
from archwright.testing._strategies import _SPACES, proposals
from archwright.trials import History, Objective, Trial

SPACE = aw.Space(
    kind=aw.choice("a", "b", "c"),
    width=aw.ordinal(16, 24, 32, 64),
    depth=aw.integer(1, 6),
    units=aw.integer(1, 256, log=True),
    rate=aw.real(1e-4, 1e-1, log=True),
    share=aw.real(0.0, 1.0),
    parts=aw.subset("x", "y", "z", k=(0, 3)),
    only=aw.choice("this"),
)
NESTED = aw.Space(
    kind=aw.choice({"small": aw.real(0.0, 1.0, name="size"), "large": aw.integer(3, 900, name="width")}, name="kind"),
    rate=aw.real(0.0, 1.0),
)

# The same two spaces, as one would write them with Optuna.


def ask_flat(trial):
    return {
        "kind": "abc"[trial.suggest_categorical("kind", (0, 1, 2))],
        "width": (16, 24, 32, 64)[trial.suggest_int("width", 0, 3)],
        "depth": trial.suggest_int("depth", 1, 6),
        "units": trial.suggest_int("units", 1, 256, log=True),
        "rate": trial.suggest_float("rate", 1e-4, 1e-1, log=True),
        "share": trial.suggest_float("share", 0.0, 1.0),
        "parts": tuple(x for x in "xyz" if trial.suggest_categorical(f"parts[{x!r}]", (0, 1))),
        "only": "this",
    }


def ask_nested(trial):
    if trial.suggest_categorical("kind", (0, 1)) == 0:
        asked = {"kind": "small", "size": trial.suggest_float("size", 0.0, 1.0)}
    else:
        asked = {"kind": "large", "width": trial.suggest_int("width", 3, 900)}
    return {**asked, "rate": trial.suggest_float("rate", 0.0, 1.0)}


FLAT_PARAMETERS = {
    "kind": CategoricalDistribution((0, 1, 2)),
    "width": IntDistribution(0, 3),
    "depth": IntDistribution(1, 6),
    "units": IntDistribution(1, 256, log=True),
    "rate": FloatDistribution(1e-4, 1e-1, log=True),
    "share": FloatDistribution(0.0, 1.0),
    **{f"parts[{x!r}]": CategoricalDistribution((0, 1)) for x in "xyz"},
}
NESTED_PARAMETERS = {
    "kind": CategoricalDistribution((0, 1)),
    "size": FloatDistribution(0.0, 1.0),
    "width": IntDistribution(3, 900),
    "rate": FloatDistribution(0.0, 1.0),
}


def flat_params(architecture):
    return {
        "kind": "abc".index(architecture["kind"]),
        "width": (16, 24, 32, 64).index(architecture["width"]),
        **{name: architecture[name] for name in ("depth", "units", "rate", "share")},
        **{f"parts[{x!r}]": int(x in architecture["parts"]) for x in "xyz"},
    }


def nested_params(architecture):
    return {**architecture, "kind": ("small", "large").index(architecture["kind"])}


CASES = {
    "flat": (SPACE, ask_flat, FLAT_PARAMETERS, flat_params),
    "nested": (NESTED, ask_nested, NESTED_PARAMETERS, nested_params),
}
STATES = ("complete", "complete", "complete", "failed", "running", "pruned", "complete", "infeasible")


def told(space, count, states=STATES, objective="max value"):
    """A history of random trials; each is worth its rate."""
    history = History(Objective.parse(objective))
    for number in range(count):
        architecture = space.sample(np.random.default_rng([9, number]))
        history.add(Trial(number, architecture))
        state = states[number % len(states)]
        if state != "running":
            metrics = {"value": architecture["rate"]} if state == "complete" else {}
            curve = ({"step": 1, "value": 0.2}, {"step": 2, "loss": 1.0, "value": 0.1}) if state == "pruned" else ()
            history.add(Trial(number, architecture, state, metrics, curve))
    return history


def referee(case, history, sampler):
    """What an ordinary Optuna study suggests that was given the same trials."""
    _, ask, parameters, as_params = CASES[case]
    direction = "maximize" if history.objective.maximise else "minimize"
    study = optuna.create_study(direction=direction, sampler=sampler)
    states = {"complete": TrialState.COMPLETE, "running": TrialState.RUNNING, "pruned": TrialState.PRUNED}
    for trial in history.trials:
        params = as_params(trial.architecture)
        study.add_trial(
            create_trial(
                params=params,
                distributions={name: parameters[name] for name in params},
                state=states.get(trial.state, TrialState.FAIL),
                value=trial.metrics["value"] if trial.state == "complete" else None,
                intermediate_values={row["step"]: row["value"] for row in trial.curve},
            )
        )
    return ask(study.ask())


@pytest.fixture(autouse=True)
def _silent():
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


@pytest.mark.parametrize("objective", ["max value", "min value"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("sampler", "theirs"),
    [
        ("tpe", TPESampler),
        ("random", RandomSampler),
        (
            partial(TPESampler, multivariate=False, constant_liar=False),
            partial(TPESampler, multivariate=False, constant_liar=False),
        ),
        (partial(TPESampler, group=True), partial(TPESampler, group=True)),
    ],
    ids=["tpe", "random", "independent", "group"],
)
def test_it_suggests_what_optuna_suggests(sampler, theirs, case, objective):
    space = CASES[case][0]
    for count in (0, 1, 8, 20, 45):
        history = told(space, count, objective=objective)
        seed = int(np.random.default_rng([3, count]).integers(2**31))
        expected = space.canonical(referee(case, history, theirs(seed=seed)))
        assert Optuna(sampler).propose(space, history, np.random.default_rng([3, count])) == expected


def test_the_gaussian_process_suggests_what_optuna_suggests():
    history = told(NESTED, 24)
    seed = int(np.random.default_rng(4).integers(2**31))
    expected = NESTED.canonical(referee("nested", history, GPSampler(seed=seed)))
    assert Optuna("gp").propose(NESTED, history, np.random.default_rng(4)) == expected


def test_quasi_random_points_are_those_of_optuna_one_after_the_other():
    """Optuna counts the points in its study; here the number of trials tells which one is next."""
    study = optuna.create_study(sampler=QMCSampler(seed=0))
    history = History(Objective("value"))
    first = ask_flat(study.ask())
    for number in range(12):
        expected = SPACE.canonical(first if number == 0 else ask_flat(study.ask()))
        if number:
            assert Optuna("qmc").propose(SPACE, history, np.random.default_rng(number)) == expected
        history.add(Trial(number, expected))
        history.add(Trial(number, expected, "complete", {"value": 1.0}))
        study.tell(number, 1.0)


def test_asking_twice_gives_the_same():
    """What a sampler suggests does not depend on how often it was asked."""
    for sampler in ("tpe", "qmc"):
        strategy, history = Optuna(sampler), told(SPACE, 20)
        first = strategy.propose(SPACE, history, np.random.default_rng(1))
        strategy.propose(SPACE, history, np.random.default_rng(2))
        assert strategy.propose(SPACE, history, np.random.default_rng(1)) == first


def test_tpe_goes_where_the_good_trials_were():
    space = aw.Space(**{f"e{i}": aw.choice(*"abcdefgh") for i in range(8)})
    near = []
    for name in ("tpe", "random"):
        study = aw.Study(space, strategy=name, seed=1)
        for _ in range(60):
            trial = study.ask()
            study.tell(trial, sum(value == "c" for value in trial.architecture.values()))
        near.append(np.mean([t.metrics["value"] for t in study.trials[30:]]))
    assert near[0] > near[1] + 1


def test_nothing_is_suggested_twice_in_a_small_space():
    space = aw.Space(**{f"e{i}": aw.choice(*"abc") for i in range(4)})
    study = aw.Study(space, strategy="tpe", seed=0)
    for number in range(81):
        rng = np.random.default_rng([study.seed, number])
        proposed = study.strategy.propose(space, study.history, rng)  # before the study looks for duplicates
        assert not study.history.seen(proposed)
        study.tell(study.ask(), 1.0 if number % 5 else ValueError("no"))


# ---------------------------------------------------------------------- samplers that note something on trials


NUMBERS = aw.Space(
    width=aw.ordinal(*range(16, 80)), depth=aw.integer(1, 60), rate=aw.real(1e-4, 1e-1, log=True), x=aw.real(0.0, 1.0)
)


def ask_numbers(trial):
    return {
        "width": 16 + trial.suggest_int("width", 0, 63),
        "depth": trial.suggest_int("depth", 1, 60),
        "rate": trial.suggest_float("rate", 1e-4, 1e-1, log=True),
        "x": trial.suggest_float("x", 0.0, 1.0),
    }


def bowl(params):
    """Best in the middle of everything."""
    return -abs(params["width"] - 48) / 32 - abs(params["depth"] - 30) / 30 - abs(params["x"] - 0.5)


SEPARABLE = partial(CmaEsSampler, use_separable_cma=True)


def cmaes(seed):
    return CmaEsSampler(seed=seed, independent_sampler=TPESampler(seed=seed))


@pytest.mark.parametrize(
    ("sampler", "theirs", "space", "ask"),
    [
        ("cmaes", cmaes, NUMBERS, ask_numbers),
        (partial(CmaEsSampler, popsize=4), partial(CmaEsSampler, popsize=4), NUMBERS, ask_numbers),
        (
            partial(CmaEsSampler, use_separable_cma=True),
            partial(CmaEsSampler, use_separable_cma=True),
            NUMBERS,
            ask_numbers,
        ),
        (partial(NSGAIISampler, population_size=6), partial(NSGAIISampler, population_size=6), SPACE, ask_flat),
        (partial(NSGAIIISampler, population_size=6), partial(NSGAIIISampler, population_size=6), SPACE, ask_flat),
    ],
    ids=["cmaes", "cmaes-popsize", "cmaes-separable", "nsga2", "nsga3"],
)
def test_generations_are_those_of_optuna(sampler, theirs, space, ask):
    """An ordinary study of Optuna, asked and told one trial after the other, suggests the same."""
    study = optuna.create_study(direction="maximize")
    history, strategy = History(Objective("value")), Optuna(sampler)
    strategy.check(space)
    for number in range(40):
        study.sampler = theirs(seed=int(np.random.default_rng([3, number]).integers(2**31)))
        trial = study.ask()
        expected = space.canonical(ask(trial))
        proposed = strategy.propose(space, history, np.random.default_rng([3, number]))
        if not history.seen(expected):  # reals are kept to six digits here
            np.testing.assert_allclose(space.encode(proposed), space.encode(expected), atol=1e-4)
        value = bowl(expected) if space is NUMBERS else expected["rate"] + expected["depth"]
        study.tell(trial, value)
        history.add(Trial(number, expected, seed=number))
        history.add(Trial(number, expected, "complete", {"value": value}, seed=number))


@pytest.mark.parametrize("sampler", ["cmaes", partial(NSGAIISampler, population_size=8)], ids=["cmaes", "nsga2"])
def test_generations_lead_to_what_is_good(sampler):
    best = {}
    for name, strategy in {"theirs": Optuna(sampler), "random": "random"}.items():
        study = aw.Study(NUMBERS, strategy=strategy, seed=2)
        for _ in range(120):
            trial = study.ask()
            study.tell(trial, bowl(trial.architecture))
        best[name] = np.mean(sorted(study.history.scores)[-20:])
    assert best["theirs"] > best["random"] + 0.05


@pytest.mark.parametrize("sampler", ["cmaes", partial(NSGAIISampler, population_size=5)], ids=["cmaes", "nsga2"])
def test_conditional_and_unordered_decisions_are_no_obstacle(sampler):
    width = aw.ordinal(*range(8, 40), name="width")
    options = {"small": aw.real(0.0, 1.0, name="size"), "large": aw.integer(3, 900, name="height")}
    space = aw.Space(
        kind=aw.choice(options, name="kind"),
        width=width,
        depth=aw.repeat(lambda i: aw.integer(1, 20, name=f"layer_{i}"), 1, 4, name="depth"),
        parts=aw.subset("x", "y", "z", k=2, name="parts"),
    )
    strategy = Optuna(sampler)
    strategy.check(space)
    states = ("complete", "complete", "failed", "complete", "running", "pruned", "infeasible")
    first = proposals(strategy, space, 40, states=states)
    assert all(architecture in space for architecture in first)
    assert proposals(Optuna(sampler), space, 40, states=states) == first
    assert len({architecture["width"] for architecture in first}) > 5


def test_what_cma_es_can_move_is_what_every_architecture_has():
    numbers = moved(
        aw.Space(
            kind=aw.choice({"a": [aw.integer(1, 9, name="both"), aw.integer(1, 9, name="one")], "b": 3}, name="kind"),
            depth=aw.repeat(lambda i: aw.integer(1, 20, name=f"layer_{i}"), 2, 4, name="depth"),
            only=aw.choice("this"),
        )
    )
    assert sorted(numbers) == ["depth", "layer_0", "layer_1"]


@pytest.mark.parametrize(
    "space",
    [
        aw.Space(a=aw.choice(*"xyz"), b=aw.choice(*"xyz")),
        aw.Space(
            kind=aw.choice({"a": [aw.integer(1, 9, name="p"), aw.integer(1, 9, name="q")], "b": 3}), n=aw.integer(1, 9)
        ),
    ],
    ids=["unordered", "conditional"],
)
def test_a_space_in_which_cma_es_has_nothing_to_move_is_refused(space):
    with pytest.raises(StrategyError, match=r"moves two or more ordered decisions .* Take sampler='tpe' or 'nsga2'"):
        Optuna("cmaes").check(space)
    Optuna("nsga2").check(space)


def test_settings_are_checked_at_once():
    with pytest.raises(StrategyError, match=r"one of tpe, gp, random, qmc, cmaes, nsga2, or a function .*'cma' was"):
        Optuna("cma")
    with pytest.raises(StrategyError, match="returned 3, which is no sampler"):
        Optuna(lambda seed: 3)
    with pytest.raises(StrategyError, match="GridSampler wants a grid of its own; use the strategy 'grid'"):
        Optuna(lambda seed: GridSampler({"x": [1, 2]}, seed=seed))
    with pytest.raises(StrategyError, match=r"with_margin=True notes on each trial .* leave it out"):
        Optuna(partial(CmaEsSampler, with_margin=True))


def test_optuna_logs_and_warns_as_before():
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    filters = list(warnings.filters)
    TPE().propose(SPACE, told(SPACE, 3), np.random.default_rng(0))
    assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
    assert warnings.filters == filters


def test_the_gaussian_process_keeps_the_laws_that_are_its_own():
    """Its suite would take minutes: the same from the same seed, and whatever becomes of trials."""
    space = _SPACES["nested"]()
    states = ("complete", "complete", "failed", "running")
    first = proposals(Optuna("gp"), space, 24, states=states)
    assert all(architecture in space for architecture in first)
    assert proposals(Optuna("gp"), space, 24, states=states) == first
    large = proposals(Optuna("gp"), space, 14, value=lambda a: 1e300 * (int(a.id, 16) % 7 - 3))
    assert all(architecture in space for architecture in large)


class TestQuasiRandom(StrategySuite):
    trials = 20

    @pytest.fixture
    def strategy(self):
        return Optuna("qmc")


class TestEvolutionStrategy(StrategySuite):
    trials = 20

    @pytest.fixture
    def strategy(self):
        return Optuna("cmaes")


class TestGenetic(StrategySuite):
    trials = 60  # of which the first 50 are random

    @pytest.fixture
    def strategy(self):
        return Optuna("nsga2")
