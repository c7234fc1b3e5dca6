from __future__ import annotations

import numpy as np

import archwright as aw
from archwright.strategies import Evolution
from archwright.trials import History, Objective, Trial

SPACE = aw.Space(**{f"e{i}": aw.choice(*range(5)) for i in range(6)})


def architecture(digit, last=0):
    return SPACE.canonical({f"e{i}": digit for i in range(5)} | {"e5": last})


def add(history, architecture, state="complete", **metrics):
    number = len(history.trials)
    history.add(Trial(number, architecture))
    history.add(Trial(number, architecture, state, metrics))


def distance(first, second):
    return sum(first[name] != second[name] for name in first)


def parents(strategy, history, count=200):
    """The digits of the parents: of five equal decisions out of six, a mutation leaves at least four."""
    found = set()
    for seed in range(count):
        child = strategy.propose(SPACE, history, np.random.default_rng(seed))
        digits = [child[f"e{i}"] for i in range(5)]
        found.add(max(set(digits), key=digits.count))
    return found


def test_the_oldest_dies_and_not_the_worst():
    history = History(Objective("a"))
    add(history, architecture(0), a=100.0)  # by far the best, and the oldest
    for digit, score in ((1, 1.0), (2, 2.0), (3, 3.0)):
        add(history, architecture(digit), a=score)
    strategy = Evolution(population=3, sample=1)
    assert parents(strategy, history) == {1, 2, 3}
    add(history, architecture(4), a=0.0)  # the worst comes in, 1 goes out
    assert parents(strategy, history) == {2, 3, 4}


def test_running_trials_keep_as_many_of_the_older_ones_in():
    history = History(Objective("a"))
    for digit in range(5):
        add(history, architecture(digit), a=-float(digit))
    strategy = Evolution(population=2, sample=40)
    assert parents(strategy, history) == {3}
    for running in (1, 2):
        history.add(Trial(len(history.trials), architecture(0, last=running)))
        assert parents(strategy, history) == {3 - running}


def test_the_parent_is_the_best_of_the_sample():
    history = History(Objective("a"))
    for digit, score in ((1, 1.0), (2, 3.0), (3, 2.0)):
        add(history, architecture(digit), a=score)
    assert parents(Evolution(population=3, sample=50), history) == {2}
    lower = History(Objective("a", maximise=False))
    for digit, score in ((1, 1.0), (2, 3.0), (3, 2.0)):
        add(lower, architecture(digit), a=score)
    assert parents(Evolution(population=3, sample=50), lower) == {1}


def test_the_sample_is_drawn_with_replacement_and_evenly():
    history = History(Objective("a"))
    for digit in range(4):
        add(history, architecture(digit), a=float(digit))
    strategy, counts = Evolution(population=4, sample=2), [0] * 4
    for seed in range(2000):
        child = strategy.propose(SPACE, history, np.random.default_rng(seed))
        digits = [child[f"e{i}"] for i in range(5)]
        counts[max(set(digits), key=digits.count)] += 1
    # The best of two draws from four, with replacement: 1, 3, 5, 7 sixteenths.
    assert np.allclose(np.array(counts) / 2000, np.array([1, 3, 5, 7]) / 16, atol=0.03)


def test_a_child_is_one_mutation_away():
    history = History(Objective("a"))
    add(history, architecture(1), a=1.0)
    for seed in range(50):
        child = Evolution(population=1, sample=1).propose(SPACE, history, np.random.default_rng(seed))
        assert distance(child, architecture(1)) == 1


def test_only_complete_trials_enter_and_proposals_are_random_before():
    history = History(Objective("a"))
    add(history, architecture(1), a=1.0)
    for state in ("failed", "pruned", "infeasible"):
        add(history, architecture(2), state, a=9.0)
    history.add(Trial(len(history.trials), architecture(3)))
    strategy = Evolution(population=2, sample=5)
    for seed in range(20):
        drawn = strategy.propose(SPACE, history, np.random.default_rng(seed))
        assert drawn == SPACE.sample(np.random.default_rng(seed))
    assert parents(Evolution(population=1, sample=5), history) == {1}


def test_it_climbs_where_random_search_does_not():
    found = {"evolution": [], "random": []}
    for name, scores in found.items():
        for seed in range(5):
            study = aw.Study(SPACE, strategy=name, seed=seed)
            for _ in range(300):
                trial = study.ask()
                study.tell(trial, sum(trial.architecture.values()))
            scores.append(study.best.metrics["value"])
    assert min(found["evolution"]) == 24 > np.mean(found["random"])


def test_a_child_that_was_proposed_before_is_mutated_again():
    history = History(Objective("a"))
    add(history, architecture(1), a=1.0)
    for near in SPACE.neighbours(architecture(1)):
        add(history, near, "failed", a=0.0)
    for seed in range(50):
        child = Evolution(population=1, sample=1).propose(SPACE, history, np.random.default_rng(seed))
        assert distance(child, architecture(1)) == 2
