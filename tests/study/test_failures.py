"""A search ends when trials fail whatever the architecture is, and only then."""

from __future__ import annotations

import pytest
import torch
from tests.evaluate.stubs import table
from tests.study.helpers import SPACE, value

import archwright as aw
from archwright import nn

LETTERS = aw.Space(**{f"e{i}": aw.choice(*"abcde") for i in range(12)})


def broken(candidate):
    return undefined_name  # noqa: F821


def numbered(candidate):
    raise RuntimeError(f"shapes {candidate.seed} and 7 at 0x{candidate.seed:x} do not fit")


def search(evaluator, trials=200, **options):
    return aw.search(
        options.pop("space", SPACE), evaluator, strategy="random", budget=aw.Budget(trials=trials), **options
    )


@pytest.mark.parametrize(
    ("evaluator", "cause"),
    [(broken, "NameError: name 'undefined_name'"), (numbered, "RuntimeError: shapes"), (lambda _: "a", "returned 'a'")],
)
def test_failures_of_one_kind_from_the_beginning_end_the_search(evaluator, cause, tmp_path):
    with pytest.warns(UserWarning, match=f"the first 30 trials failed with the same error.*{cause}"):
        study = search(evaluator, path=tmp_path)
    assert study.stopped_by == "failures"
    assert [trial.state for trial in study.trials] == ["failed"] * 30
    assert cause in (tmp_path / "log.txt").read_text().splitlines()[-2]


def test_a_metric_that_is_never_measured_ends_the_search_at_once():
    with pytest.warns(UserWarning, match=r"the first 5 trials .* came are: acc"):
        study = search(lambda candidate: {"acc": 0.5}, objective="max accuracy")
    assert (study.stopped_by, len(study.trials)) == ("failures", 5)


def test_once_it_is_mended_resume_goes_on(tmp_path):
    with pytest.warns(UserWarning, match="failed with the same error"):
        study = search(broken, path=tmp_path)
    study.run(lambda candidate: value(candidate.architecture), aw.Budget(trials=40))
    assert (study.stopped_by, len(study.history.complete)) == ("trials", 10)


@pytest.mark.parametrize("share", [0.15, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_where_others_succeed_failures_do_not_end_a_search(share, seed):
    def picky(candidate):
        if value(candidate.architecture) > share:
            raise ValueError("too large")
        return value(candidate.architecture)

    study = search(picky, space=LETTERS, seed=seed, trials=300)
    assert study.stopped_by == "trials"
    assert 10 < len(study.history.complete) < 290


def test_two_kinds_of_failures_from_the_beginning_end_the_search():
    def varied(candidate):
        raise [ValueError, TypeError][len(study.trials) % 2]("no")

    study = aw.Study(LETTERS, strategy="random")
    with pytest.warns(UserWarning, match="the first 60 trials failed with two errors"):
        study.run(varied, aw.Budget(trials=200))
    assert (study.stopped_by, len(study.trials)) == ("failures", 60)


def test_failures_of_several_kinds_do_not_end_a_search():
    def varied(candidate):
        raise [ValueError, TypeError, OSError][candidate.seed % 3]("no")

    with pytest.warns(UserWarning, match="no trial of 100 is complete"):
        assert search(varied, trials=100).stopped_by == "trials"


@pytest.mark.parametrize("good", [20, 200])
def test_what_breaks_in_the_middle_ends_the_search_too(good):
    def breaks(candidate):
        if len(study.trials) > good:
            raise OSError("no space left on device")
        return value(candidate.architecture)

    study = aw.Study(LETTERS, strategy="random")
    with pytest.warns(UserWarning, match="30 trials in a row failed with the same error.*OSError: no space left"):
        study.run(breaks, aw.Budget(trials=400))
    assert (study.stopped_by, len(study.trials)) == ("failures", good + 30)
    assert study.best is not None


def test_the_rarer_success_was_the_longer_it_takes():
    def rare(candidate):
        if len(study.trials) > 100 or value(candidate.architecture) > 0.2:
            raise ValueError("too large")
        return 0.5

    study = aw.Study(LETTERS, strategy="random")
    with pytest.warns(UserWarning, match=r"trials in a row failed with the same error"):
        study.run(rare, aw.Budget(trials=1000))
    row = len(study.trials) - max(trial.number for trial in study.history.complete) - 1
    assert row > 60
    assert (1 - len(study.history.complete) / 100) ** row == pytest.approx(1e-9, abs=1e-8)


# --------------------------------------------------------------------------- before the first trial

WIDTHS = aw.integer(4, 4000)


class Whole(torch.nn.Module):
    def forward(self, inputs):
        return inputs[:, :3].long()


@pytest.mark.parametrize(
    ("last", "cause"),
    [
        (nn.LazyLinear(10), r"batch of \d+ is of shape \(\d+, 10\); expected is shape \(\d+, 3\)"),
        (nn.Sequential(nn.LazyLinear(3), nn.Unflatten(1, (3, 1))), r"is of shape \(\d+, 3, 1\)"),
        (aw.lazy(Whole)(), r"is of shape \(\d+, 3\) and type torch.int64"),
    ],
)
@pytest.mark.parametrize("scheduler", ["full", "asha"])
def test_an_output_that_does_not_fit_the_data_is_told_after_one_trial(last, cause, scheduler):
    space = aw.Space(model=nn.Sequential(nn.LazyLinear(WIDTHS), last))
    with pytest.warns(UserWarning, match=f"the first trial and 29 networks tested before them.*{cause}"):
        study = aw.search(
            space, aw.Training(table(), epochs=4), strategy="random", scheduler=scheduler, budget=aw.Budget(trials=100)
        )
    assert (study.stopped_by, len(study.trials)) == ("failures", 1)


def test_the_first_network_that_can_be_trained_will_do():
    tried = []

    class Watched(aw.Training):
        def try_out(self, candidate):
            tried.append(candidate.architecture)
            super().try_out(candidate)

    space = aw.Space(model=nn.Sequential(nn.LazyLinear(8), nn.LazyLinear(aw.choice(3, 4, 5))))
    study = aw.search(
        space, Watched(table(), epochs=1), scheduler="full", strategy="random", budget=aw.Budget(trials=3), final=False
    )
    assert sorted(trial.state for trial in study.trials) == ["complete", "failed", "failed"]
    assert 1 <= len(tried) < 29
    count = len(tried)
    study.resume(aw.Budget(trials=4))
    assert len(tried) == count  # what has been evaluated can be


def test_a_metric_that_is_known_not_to_be_measured_is_refused():
    study = aw.Study(aw.Space(model=nn.LazyLinear(3)), objective="max acuracy", constraints=["parameters <= 1e6"])
    with pytest.raises(aw.errors.StudyError, match=r"unknown metric 'acuracy'.*Did you mean 'accuracy'"):
        study.run(aw.Training(table()), aw.Budget(trials=2))
