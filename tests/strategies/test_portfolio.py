from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import archwright as aw
from archwright.errors import StrategyError, UnknownName
from archwright.strategies import Portfolio, Strategy
from archwright.trials import History, Objective, Trial

SPACE = aw.Space(who=aw.integer(0, 9), what=aw.real(0.0, 1.0))


@dataclass(frozen=True)
class _Signs(Strategy):
    """Proposes random architectures that say who proposed them."""

    number: int
    asked: list[int] = field(default_factory=list)

    def propose(self, space, history, rng):
        self.asked.append(len(history.trials))
        return space.canonical({**space.sample(rng), "who": self.number})


def portfolio(count=2, **settings):
    made = Portfolio(members=["random"] * count, **settings)
    object.__setattr__(made, "_strategies", tuple(_Signs(number) for number in range(count)))
    return made


def turn(made, history, seed=0):
    """Whose turn it is."""
    return made.propose(SPACE, history, np.random.default_rng(seed))["who"]


def told(outcomes):
    """A history of complete trials; `None` fails, "running" runs."""
    history = History(Objective("a"))
    for outcome in outcomes:
        grow(history, outcome)
    return history


def grow(history, outcome, who=0):
    number = len(history.trials)
    architecture = SPACE.canonical({"who": who, "what": 0.5})
    history.add(Trial(number, architecture))
    if outcome is None:
        history.add(Trial(number, architecture, "failed"))
    elif outcome != "running":
        history.add(Trial(number, architecture, "complete", {"a": outcome}))


def turns(outcomes, **settings):
    """Whose turn it is before each outcome, and after the last."""
    return [turn(portfolio(**settings), told(outcomes[:n])) for n in range(len(outcomes) + 1)]


# ---------------------------------------------------------------------- credit, by hand


def test_each_member_has_a_turn_before_any_has_a_second():
    assert turns([0.0, 9.0, 5.0], count=4, exploration=0.0)[:4] == [0, 1, 2, 3]


def test_credit_is_the_share_that_is_beaten_and_one_more_for_a_new_best():
    # Trial 0 (member 0): a new best, credit 1. Trial 1 (member 1): beats nothing, credit 0. Member 0 leads by 1 to 0.
    # Trial 2 (0): beats one of two, 1/2; mean 3/4. Trial 3 (0): beats none of three; mean 1/2.
    # Trial 4 (0): none; 3/8. Trials 5, 6, 7: none; 3/10, 1/4, 3/14: above 0, always member 0.
    assert turns([5.0, 1.0, 3.0, 0.0, 0.0, 0.0, 0.0], exploration=0.0, discount=1.0) == [0, 1, 0, 0, 0, 0, 0, 0]
    # Trial 1 is a new best: it beats all of one, and credit is 2. Trial 2 (1): beats none of two: mean 1; equal to that
    # of member 0, and of equals the first has its turn. Trial 3 (0): beats one of three: mean 2/3. Trial 4: member 1.
    assert turns([5.0, 6.0, 1.0, 2.0], exploration=0.0, discount=1.0) == [0, 1, 1, 0, 1]


def test_equals_are_not_beaten():
    # Trial 1 is as good as trial 0: no credit. With 1/2 or more member 1 would lead after trials 2 and 3.
    assert turns([5.0, 5.0, 0.0, 0.0], exploration=0.0, discount=1.0) == [0, 1, 0, 0, 0]


def test_a_trial_that_is_not_complete_has_no_credit():
    # Trials 0 and 1: 1 and 2. Trial 2 (member 1) fails: mean 1, as member 0 has. Trial 3 (member 0) fails: mean 1/2.
    assert turns([5.0, 6.0, None, None], exploration=0.0, discount=1.0) == [0, 1, 1, 0, 1]


def test_old_credit_is_discounted():
    # With a discount of 1/2: member 1 has credit 2 from trial 1; trial 2 gives 0: (2/2 + 0) / (1/2 + 1) = 2/3 < 1.
    assert turns([5.0, 6.0, 0.0], exploration=0.0, discount=0.5) == [0, 1, 1, 0]
    # Member 0 is not touched by what others do: credit and weight fall together, so its mean stays 1.
    assert turns([5.0, 6.0, 0.0], exploration=0.0, discount=0.9) == [0, 1, 1, 0]


def test_exploration_is_an_upper_confidence_bound():
    # Credits after two trials: 1 and 0, weights g and 1 with g the discount. With c the exploration the bounds are
    # 1 + c sqrt(log(1 + g + 1) / g) and c sqrt(log(1 + g + 1)); without discount they differ by 1 whatever c is.
    assert turns([5.0, 1.0], exploration=9.0, discount=1.0)[-1] == 0
    # Then trial 2 (member 0) beats nothing: mean 1/2 of weight 2, against 0 of weight 1; total weight 3.
    # 1/2 + c sqrt(log 4 / 2) < c sqrt(log 4) where c > 1/2 / (1.1774 - 0.8326) = 1.4499.
    assert turns([5.0, 1.0, 0.0], exploration=1.44, discount=1.0)[-1] == 0
    assert turns([5.0, 1.0, 0.0], exploration=1.46, discount=1.0)[-1] == 1


# ---------------------------------------------------------------------- attribution


@settings(max_examples=20)
@given(
    st.lists(st.one_of(st.none(), st.integers(0, 5).map(float)), max_size=40),
    st.sampled_from([0.5, 0.97, 1.0]),
    st.sampled_from([0.0, 0.3, 2.0]),
)
def test_who_proposed_a_trial_can_be_worked_out_again(outcomes, discount, exploration):
    """One that saw the history grow, one that is given it at once, and credit that goes to who really proposed."""
    grown = portfolio(3, discount=discount, exploration=exploration)
    history = told([])
    credits, weights, scores = [0.0] * 3, [0.0] * 3, []
    for outcome in outcomes:
        who = turn(grown, history)
        assert turn(portfolio(3, discount=discount, exploration=exploration), history) == who
        total = np.log1p(sum(weights))
        bounds = [
            c / w + exploration * np.sqrt(total / w) if w else np.inf for c, w in zip(credits, weights, strict=True)
        ]
        assert bounds[who] == pytest.approx(max(bounds))
        credit = 0.0
        if outcome is not None:
            beaten = sum(outcome > score for score in scores)
            credit = beaten / max(1, len(scores)) + (beaten == len(scores))
            scores.append(outcome)
        credits = [discount * c + credit * (i == who) for i, c in enumerate(credits)]
        weights = [discount * w + (i == who) for i, w in enumerate(weights)]
        grow(history, outcome, who)


def search(value, workers, trials, *, order="first", **settings):
    """Who proposes what, where some trials run at one time and the oldest, or any of them, ends first."""
    made, history = portfolio(**settings), told([])
    rng, proposed, running = np.random.default_rng(0), [], []
    while len(proposed) < trials:
        while len(running) < workers:
            who = turn(made, history, len(proposed))
            running.append((len(proposed), who))
            grow(history, "running", who)
            proposed.append(who)
        number, who = running.pop(0 if order == "first" else int(rng.integers(workers)))
        trial = history.trials[number]
        history.add(Trial(number, trial.architecture, "complete", {"a": value(who, number, rng)}))
    return proposed


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("good", [0, 1, 2])
def test_the_member_that_pays_has_most_of_the_trials(good, workers):
    """However many trials run at one time: credit goes to who proposed them."""
    proposed = search(lambda who, _, rng: rng.random() + (who == good), workers, 150, count=3)
    shares = Counter(proposed[30:])
    assert shares[good] > 0.6 * 120
    assert set(shares) == {0, 1, 2}  # nobody is given up


@pytest.mark.parametrize("good", [0, 1, 2])
def test_and_where_trials_overtake_one_another_it_has_most_all_the_same(good):
    proposed = search(lambda who, _, rng: rng.random() + (who == good), 4, 150, order="any", count=3)
    assert Counter(proposed[30:])[good] > 0.6 * 120


@pytest.mark.parametrize("workers", [1, 4])
def test_a_member_that_ceases_to_pay_loses_its_turns(workers):
    proposed = search(
        lambda who, number, rng: rng.random() + (number < 100) * (who == 0) + 2 * (number >= 100) * (who == 1),
        workers,
        300,
        count=2,
    )
    assert Counter(proposed[20:100])[0] > 48
    assert Counter(proposed[200:])[1] > 60


def test_trials_that_run_are_spread_over_the_members():
    made, history = portfolio(3), told([])
    for expected in (0, 1, 2):
        assert turn(made, history) == expected
        grow(history, "running", expected)


def test_a_trial_that_never_ends_does_not_stop_the_learning():
    made, history = portfolio(2, exploration=0.3), told([])
    grow(history, "running")
    rng, proposed = np.random.default_rng(0), []
    for _ in range(100):
        who = turn(made, history)
        grow(history, rng.random() + who, who)
        proposed.append(who)
    assert Counter(proposed)[1] > 65
    assert turn(portfolio(2, exploration=0.3), history) == turn(made, history)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_order_in_which_trials_end_it_is_a_function_of_the_history(seed):
    grown, history, running = portfolio(3, exploration=0.1), told([]), []
    rng = np.random.default_rng(seed)
    for _ in range(60):
        if rng.random() < 0.5 or len(running) < 2:
            running.append(len(history.trials))
            grow(history, "running", turn(grown, history))
        else:  # the younger is likelier to end first
            ended = history.trials[running.pop(-1 if rng.random() < 0.8 else 0)]
            history.add(Trial(ended.number, ended.architecture, "complete", {"a": rng.random()}))
        assert turn(grown, history) == turn(portfolio(3, exploration=0.1), history)


def test_a_member_sees_the_whole_history_and_is_asked_only_in_its_turn():
    made, history = portfolio(2), told([])
    for number in range(20):
        who = turn(made, history)
        assert made._strategies[who].asked[-1] == number
        grow(history, float(number % 7), who)
    assert sorted(made._strategies[0].asked + made._strategies[1].asked) == list(range(20))


# ---------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": []}, "members names no strategy"),
        ({"members": "random"}, "members must be a list of names of strategies, not 'random'"),
        ({"members": [aw.strategies.create("random")]}, "members must be a list of names of strategies"),
        ({"members": None}, "members must be a list of names of strategies, not None"),
        ({"discount": 0}, "discount must be a number above 0"),
        ({"discount": 1.01}, "discount must be a number above 0 and at most 1, not 1.01"),
        ({"discount": "much"}, "discount must be a number above 0 and at most 1, not 'much'"),
        ({"exploration": -0.1}, "exploration must be a number of 0 or more, not -0.1"),
        ({"exploration": float("inf")}, "exploration must be a number of 0 or more, not inf"),
    ],
)
def test_settings_are_checked(options, message):
    with pytest.raises(StrategyError, match=message):
        Portfolio(**options)


def test_members_are_checked():
    with pytest.raises(UnknownName, match="Did you mean 'evolution'"):
        Portfolio(members=["evolutoin"])
    with pytest.raises(StrategyError, match="real numbers"):
        Portfolio(members=["random", "grid"]).check(SPACE)
    assert Portfolio(members=["random"]) == Portfolio(members=("random",))
