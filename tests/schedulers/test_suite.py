"""The suite of schedulers, over every registered scheduler."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from archwright import schedulers
from archwright.schedulers import ASHA
from archwright.testing import SchedulerSuite


class TestRegistered(SchedulerSuite):
    @pytest.fixture(params=[name for name in schedulers.names() if name != "pasha"])
    def scheduler(self, request):
        return schedulers.create(request.param)


class TestProgressive(SchedulerSuite):
    """Where little training has told all, its ladder ends below the top."""

    to_the_top = False

    @pytest.fixture
    def scheduler(self):
        return schedulers.create("pasha")


@dataclass(frozen=True)
class _Counting(ASHA):
    """Counts its calls, which no resumed study can know."""

    calls: list[int] = field(default_factory=list, compare=False)

    def assign(self, ladder, history, rng, *, more=True):
        self.calls.append(1)
        return super().assign(ladder, history, rng, more=more and len(self.calls) % 7 > 0)


@dataclass(frozen=True)
class _Repeating(ASHA):
    """Lets the first trial go on again and again."""

    def assign(self, ladder, history, rng, *, more=True):
        found = super().assign(ladder, history, rng, more=more)
        if found is not None and found.origin is not None:
            return replace(found, level=1, origin=next(trial for trial in history.trials if trial.state == "complete"))
        return found


@dataclass(frozen=True)
class _Hoarding(ASHA):
    """Wants to keep everything."""

    def checkpoints(self, ladder, history):
        gone = {trial.origin for trial in history.trials}
        return frozenset(trial.number for trial in history.complete if trial.number not in gone)


@dataclass(frozen=True)
class _Forgetting(ASHA):
    """Keeps nothing."""

    def checkpoints(self, ladder, history):
        return frozenset()


@dataclass(frozen=True)
class _Hasty(ASHA):
    """Expects a complete trial."""

    def assign(self, ladder, history, rng, *, more=True):
        if len(history.finished) > 5 and not history.complete:
            raise IndexError
        return super().assign(ladder, history, rng, more=more)


@pytest.mark.parametrize(
    ("scheduler", "law", "arguments"),
    [
        (_Counting, "test_a_history_is_all_it_needs", ()),
        (_Counting, "test_one_scheduler_serves_several_studies", ()),
        (_Repeating, "test_a_trial_goes_on_once_and_as_it_began", (1,)),
        (_Hoarding, "test_checkpoints_are_kept_of_what_goes_on_and_of_little_else", (1,)),
        (_Forgetting, "test_checkpoints_are_kept_of_what_goes_on_and_of_little_else", (1,)),
    ],
)
def test_the_suite_finds_what_breaks_a_law(scheduler, law, arguments):
    with pytest.raises(AssertionError):
        getattr(SchedulerSuite(), law)(scheduler(), *arguments)


def test_the_suite_finds_a_scheduler_that_breaks():
    with pytest.raises(IndexError):
        SchedulerSuite().test_it_goes_on_where_nothing_is_complete(_Hasty(), "failed")
