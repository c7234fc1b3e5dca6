"""A search ends when trials fail whatever the architecture is, and only then."""

from __future__ import annotations

import pytest
from tests.study.helpers import SPACE, value

import archwright as aw

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
    with pytest.warns(UserWarning, match=f"the first 30 trials failed in the same way.*{cause}"):
        study = search(evaluator, path=tmp_path)
    assert study.stopped_by == "failures"
    assert [trial.state for trial in study.trials] == ["failed"] * 30
    assert cause in (tmp_path / "log.txt").read_text().splitlines()[-2]


def test_a_metric_that_is_never_measured_ends_the_search_at_once():
    with pytest.warns(UserWarning, match=r"the first 5 trials .* came are: acc"):
        study = search(lambda candidate: {"acc": 0.5}, objective="max accuracy")
    assert (study.stopped_by, len(study.trials)) == ("failures", 5)


def test_once_it_is_mended_resume_goes_on(tmp_path):
    with pytest.warns(UserWarning, match="failed in the same way"):
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


def test_failures_of_several_kinds_do_not_end_a_search():
    def varied(candidate):
        raise [ValueError, TypeError, OSError][candidate.seed % 3]("no")

    with pytest.warns(UserWarning, match="no trial of 100 gave a result"):
        assert search(varied, trials=100).stopped_by == "trials"


@pytest.mark.parametrize("good", [20, 200])
def test_what_breaks_in_the_middle_ends_the_search_too(good):
    def breaks(candidate):
        if len(study.trials) > good:
            raise OSError("no space left on device")
        return value(candidate.architecture)

    study = aw.Study(LETTERS, strategy="random")
    with pytest.warns(UserWarning, match="30 trials in a row failed in the same way.*OSError: no space left"):
        study.run(breaks, aw.Budget(trials=400))
    assert (study.stopped_by, len(study.trials)) == ("failures", good + 30)
    assert study.best is not None


def test_the_rarer_success_was_the_longer_it_takes():
    def rare(candidate):
        if len(study.trials) > 100 or value(candidate.architecture) > 0.2:
            raise ValueError("too large")
        return 0.5

    study = aw.Study(LETTERS, strategy="random")
    with pytest.warns(UserWarning, match=r"trials in a row failed in the same way"):
        study.run(rare, aw.Budget(trials=1000))
    row = len(study.trials) - max(trial.number for trial in study.history.complete) - 1
    assert row > 60
    assert (1 - len(study.history.complete) / 100) ** row == pytest.approx(1e-9, abs=1e-8)
