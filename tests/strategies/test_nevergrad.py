from __future__ import annotations

import random
import warnings

import nevergrad as ng
import numpy as np
import pytest

import archwright as aw
from archwright.errors import StrategyError
from archwright.strategies import Nevergrad
from archwright.testing._strategies import _SPACES, _told, proposals
from archwright.trials import History, Objective, Trial

SPACE = aw.Space(
    **{f"e{i}": aw.choice(*"abcdef") for i in range(5)},
    width=aw.ordinal(1, 2, 4, 8),
    units=aw.integer(1, 500),
    large=aw.integer(1, 5000, log=True),
    rate=aw.real(1e-4, 1e-1, log=True),
    share=aw.real(0.0, 1.0),
)
EVERY = ["DiscreteLenglerOnePlusOne", "NGOpt", "TwoPointsDE", "PSO", "CMA", "TBPSA", "RandomSearch"]


def theirs(seed, optimizer, workers=1, budget=None):
    """An optimiser of Nevergrad over the same space, as one would write it."""
    parametrization = ng.p.Tuple(
        ng.p.TransitionChoice(range(6), ordered=False, repetitions=5),
        ng.p.TransitionChoice(range(4), repetitions=1),
        ng.p.Scalar(lower=1, upper=500).set_integer_casting(),
        ng.p.Log(lower=1, upper=5000).set_integer_casting(),
        ng.p.Log(lower=1e-4, upper=1e-1),
        ng.p.Scalar(lower=0.0, upper=1.0),
    )
    parametrization.random_state.seed(seed)
    return ng.optimizers.registry[optimizer](parametrization, budget=budget, num_workers=workers)


def as_ours(candidate):
    kinds, (width,), units, large, rate, share = candidate.value
    return SPACE.canonical(
        {
            **{f"e{i}": "abcdef"[kind] for i, kind in enumerate(kinds)},
            "width": (1, 2, 4, 8)[width],
            "units": units,
            "large": large,
            "rate": rate,
            "share": share,
        }
    )


def worth(architecture):
    """A hill over the reals, and steps of it for the rest."""
    kinds = sum(architecture[f"e{i}"] == "c" for i in range(5))
    return kinds + architecture["width"] / 8 - (architecture["share"] - 0.3) ** 2 + 10 * architecture["rate"]


@pytest.fixture(autouse=True)
def _silent():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("optimizer", EVERY)
def test_it_asks_and_tells_as_one_would_by_hand(optimizer):
    """One trial at a time, from Nevergrad's own first candidate on; every seventh trial fails."""
    by_hand, strategy, history, worst = theirs(77, optimizer), Nevergrad(optimizer), History(Objective("value")), None
    for number in range(30):
        candidate = by_hand.ask()
        expected = as_ours(candidate)
        if number:
            proposed = strategy.propose(SPACE, history, np.random.default_rng(number))
            assert proposed == expected or history.seen(expected)
            assert not history.seen(proposed)
            if proposed != expected:
                break
        history.add(Trial(number, expected, seed=77))
        if number % 7 == 5:
            history.add(Trial(number, expected, "failed", seed=77))
            by_hand.tell(candidate, worst)
        else:
            history.add(Trial(number, expected, "complete", {"value": worth(expected)}, seed=77))
            by_hand.tell(candidate, -worth(expected))
            worst = max(-worth(expected), worst if worst is not None else -np.inf)
    assert number >= 10


def test_several_workers_are_asked_ahead():
    """Three candidates are out at any time, and are told in whatever order they end."""
    by_hand, strategy, history = (
        theirs(5, "TwoPointsDE", workers=3),
        Nevergrad("TwoPointsDE", workers=3),
        History(Objective("value")),
    )
    out = {number: by_hand.ask() for number in range(3)}
    order = np.random.default_rng(0)
    for number in range(3):
        if number:
            assert strategy.propose(SPACE, history, np.random.default_rng(number)) == as_ours(out[number])
        history.add(Trial(number, as_ours(out[number]), seed=5))
    for number in range(3, 30):
        ended = int(order.choice(sorted(out)))
        candidate = out.pop(ended)
        architecture = as_ours(candidate)
        history.add(Trial(ended, architecture, "complete", {"value": worth(architecture)}, seed=5))
        by_hand.tell(candidate, -worth(architecture))
        out[number] = by_hand.ask()
        fresh = Nevergrad("TwoPointsDE", workers=3) if number % 9 == 0 else strategy
        assert fresh.propose(SPACE, history, np.random.default_rng(number)) == as_ours(out[number])
        history.add(Trial(number, as_ours(out[number]), seed=5))


def test_more_trials_may_run_than_there_are_workers():
    space = aw.Space(**{f"e{i}": aw.choice(*"abcd") for i in range(4)})
    study = aw.Study(space, strategy="nevergrad", seed=3)
    running = [study.ask() for _ in range(6)]
    for number in range(40):
        trial = running.pop((5 * number) % 6)
        study.tell(trial, sum(value == "c" for value in trial.architecture.values()))
        running.append(study.ask())
    assert len({trial.architecture for trial in study.trials}) == len(study.trials) == 46
    at_once = History(study.objective)
    for trial in study.trials:
        at_once.add(Trial(trial.number, trial.architecture, seed=trial.seed))
    for trial in study.history.finished:
        at_once.add(trial)
    rngs = [np.random.default_rng(1) for _ in range(2)]
    assert Nevergrad().propose(space, at_once, rngs[0]) == study.strategy.propose(space, study.history, rngs[1])


def test_a_trial_counts_with_its_own_decisions():
    """The optimiser goes on from the good trial that somebody else proposed, not from the point it had asked for."""
    space = aw.Space(**{f"e{i}": aw.choice(*"abcdefgh") for i in range(10)})
    good = space.canonical({f"e{i}": "h" for i in range(10)})
    history, strategy = History(Objective("value")), Nevergrad()
    for number in range(20):
        architecture = good if number == 8 else space.sample(np.random.default_rng(number))
        history.add(Trial(number, architecture))
        history.add(Trial(number, architecture, "complete", {"value": float(number == 8)}))
        proposed = strategy.propose(space, history, np.random.default_rng(0))
        kept = sum(proposed[name] == "h" for name in proposed)
        assert kept >= 5 if number >= 8 else kept <= 5


@pytest.mark.parametrize("optimizer", [*EVERY[1:], "DiscreteDoerrOnePlusOne", "LognormalDiscreteOnePlusOne"])
@pytest.mark.parametrize("kind", ["nested", "real", "constrained"])
def test_other_optimisers_keep_the_laws(optimizer, kind):
    space, states = _SPACES[kind](), ("complete", "complete", "failed", "complete", "running")
    first = proposals(Nevergrad(optimizer), space, 20)
    assert all(architecture in space for architecture in first)
    assert proposals(Nevergrad(optimizer), space, 8, after=_told(first[:12])) == first[12:]
    mixed = proposals(Nevergrad(optimizer), space, 20, states=states)
    np.random.seed(1)
    random.seed(1)
    assert proposals(Nevergrad(optimizer), space, 20, states=states) == mixed
    after = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    assert (random.random(), np.random.random()) == after
    huge = proposals(Nevergrad(optimizer), space, 12, value=lambda a: 1e300 * (int(a.id, 16) % 7 - 3))
    assert all(architecture in space for architecture in huge)


def test_it_climbs():
    space = aw.Space(**{f"e{i}": aw.choice(*"abcdefgh") for i in range(8)})
    study = aw.Study(space, strategy="nevergrad", seed=0)
    for _ in range(100):
        trial = study.ask()
        study.tell(trial, sum(value == "c" for value in trial.architecture.values()))
    assert study.best.metrics["value"] >= 5  # the best of 100 random ones has 4, seldom 5


def test_what_cannot_be_served_is_refused():
    with pytest.raises(StrategyError, match=r"no optimiser 'DiscreteOnePlus'; near are .*'DiscreteOnePlusOne'"):
        Nevergrad("DiscreteOnePlus")
    with pytest.raises(StrategyError, match="NelderMead runs in a thread of its own"):
        Nevergrad("NelderMead")
    with pytest.raises(StrategyError, match="workers must be an integer of 1 or more, not 0"):
        Nevergrad(workers=0)
    with pytest.raises(StrategyError, match="budget must be an integer of 1 or more, not 0"):
        Nevergrad(budget=0)
    alone = next(name for name, kind in ng.optimizers.registry.items() if kind.no_parallelization and not kind.recast)
    with pytest.raises(StrategyError, match=f"{alone} serves one worker, not 2"):
        Nevergrad(alone, workers=2)


def test_an_optimiser_that_needs_a_budget_says_so():
    with pytest.raises(StrategyError, match="ScrHammersleySearch cannot begin here with budget=None"):
        aw.Study(SPACE, strategy=Nevergrad("ScrHammersleySearch"))
    study = aw.Study(SPACE, strategy=Nevergrad("ScrHammersleySearch", budget=20))
    for _ in range(20):
        study.tell(study.ask(), 1.0)
    assert len({trial.architecture for trial in study.trials}) == 20
