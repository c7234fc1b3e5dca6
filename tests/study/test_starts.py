"""Architectures that are tried before the strategy is asked."""

from __future__ import annotations

import itertools

import pytest
from tests.evaluate.stubs import images
from tests.study.helpers import SPACE, function

import archwright as aw
from archwright.errors import ArchitectureError, StudyError
from archwright.evaluate import Training
from archwright.study._auto import choose

FIRST = list(SPACE.enumerate())[3:9:2]
DATA = images()
RESNET = aw.spaces.create("resnet", input_shape=DATA.example_input.shape, classes=len(DATA.classes))


def tried(study):
    return [trial.architecture for trial in study.trials]


def test_they_come_first_and_then_the_strategy():
    study = aw.search(SPACE, function, strategy="random", starts=FIRST, budget=aw.Budget(trials=8), seed=1)
    assert tried(study)[:3] == FIRST
    assert len(set(tried(study))) == 8
    without = aw.search(SPACE, function, strategy="random", budget=aw.Budget(trials=3), seed=1)
    assert tried(without) != FIRST


def test_a_study_that_goes_on_knows_them(tmp_path):
    whole = aw.search(SPACE, function, strategy="random", starts=FIRST, budget=aw.Budget(trials=6))
    aw.search(SPACE, function, strategy="random", starts=FIRST, budget=aw.Budget(trials=1), path=tmp_path)
    study = aw.load(tmp_path, evaluator=function)
    assert study.starts == tuple(FIRST)
    study.resume(budget=aw.Budget(trials=4))
    again = aw.search(SPACE, function, strategy="random", budget=aw.Budget(trials=6), path=tmp_path, resume=True)
    assert tried(again) == tried(whole)
    with pytest.raises(StudyError, match="starts="):
        aw.search(SPACE, function, strategy="random", starts=[], budget=aw.Budget(trials=9), path=tmp_path, resume=True)


def test_those_that_break_a_bound_are_left_out():
    space = aw.Space(model=aw.nn.LazyLinear(aw.ordinal(1, 2, 3, 4, name="width")), example_input=(3,))
    starts = [{"width": width} for width in (4, 2, 3, 1)]
    study = aw.search(
        space, lambda candidate: 1.0, starts=starts, constraints=["parameters <= 12"], budget=aw.Budget(trials=3)
    )
    assert [architecture["width"] for architecture in tried(study)] == [2, 3, 1]


def test_what_is_not_of_the_space_is_refused():
    with pytest.raises(ArchitectureError, match="decides nothing named 'depht'"):
        aw.search(SPACE, function, starts=[{"depht": 3}], budget=aw.Budget(trials=3))


def chosen(space, strategy="auto", starts=None, constraints=()):
    return choose(
        space,
        Training(DATA, epochs=1),
        aw.Budget(trials=9),
        strategy=strategy,
        scheduler="auto",
        fidelity=None,
        constraints=tuple(map(aw.trials.Constraint.parse, constraints)),
        starts=starts,
    )


def test_auto_tries_what_is_known_of_a_ready_made_space():
    known = aw.spaces.starts(RESNET)
    plan = chosen(RESNET)
    assert plan.starts == tuple(known[:3])
    assert any(line.startswith("starts 3: ") for line in plan.why)
    assert chosen(RESNET, strategy="random").starts == ()
    assert chosen(RESNET, starts=()).starts == ()
    assert chosen(aw.Space(model=aw.nn.Sequential(aw.nn.Flatten(), aw.nn.LazyLinear(3)))).starts == ()
    flops = {architecture: aw.cost.measures(RESNET, architecture)[1] for architecture in known}
    bound = sorted(flops.values())[len(known) // 3]
    within = [architecture for architecture in known if flops[architecture] <= bound]
    assert within[:3] != known[:3]
    assert chosen(RESNET, constraints=[f"flops <= {bound}"]).starts == tuple(within[:3])


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 64), (3, 8, 8)])
def test_what_is_known_of_residual_networks_is_the_design_of_the_paper(shape):
    space = aw.spaces.create("resnet", input_shape=shape)
    known = aw.spaces.starts(space)
    assert len(known) > 8
    for architecture in known:
        assert architecture in space
        widths = [architecture[f"stage_{index}.width"] for index in range(architecture.get("stages", 2))]
        assert all(after == 2 * before for before, after in itertools.pairwise(widths))
        assert {value for name, value in architecture.items() if name.endswith(".block")} == {"basic"}


def test_nothing_is_known_of_a_space_of_ones_own_whatever_its_name():
    assert aw.spaces.starts(SPACE) == []
    assert aw.spaces.starts(aw.Space(x=aw.choice(1, 2), name="resnet")) == []
