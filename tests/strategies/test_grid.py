from __future__ import annotations

import pytest

import archwright as aw
from archwright.errors import Exhausted, StrategyError


def test_it_covers_the_space_exactly_in_order():
    space = aw.Space(
        kind=aw.choice({"a": aw.choice(1, 2, name="n"), "b": 0}, name="kind"),
        depth=aw.ordinal(1, 2, 3),
        where=lambda a: a["depth"] != 2,
    )
    study = aw.Study(space, strategy="grid", seed=9)
    for _ in range(6):
        study.tell(study.ask(), 0.0)
    with pytest.raises(Exhausted, match="all 6"):
        study.ask()
    assert [trial.architecture for trial in study.trials] == list(space.enumerate())


def test_it_refuses_reals_and_says_what_can_serve():
    with pytest.raises(StrategyError, match=r"real numbers.*evolution.*local-search.*random"):
        aw.Study(aw.Space(lr=aw.real(0.0, 1.0)), strategy="grid")
