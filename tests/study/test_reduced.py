"""Decisions of the space as fidelities: networks are judged by smaller ones first."""

from __future__ import annotations

from fnmatch import fnmatchcase

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluate.stubs import images
from tests.study.helpers import function

import archwright as aw
from archwright.errors import SchedulerError, UnknownName
from archwright.evaluate import Fidelity
from archwright.schedulers import ASHA, Full, Ladder
from archwright.study._reduced import as_ladder, reduced, wanted_ranges

WIDTH = aw.ordinal(4, 6, 8, 12, 16, name="width")
SPACE = aw.Space(
    model=aw.nn.Sequential(aw.nn.Flatten(), aw.nn.LazyLinear(WIDTH), aw.nn.ReLU(), aw.nn.LazyLinear(3)),
    example_input=aw.TensorSpec((1, 8, 8)),
)
MIXED = aw.Space(
    width=aw.integer(3, 40),
    depth=aw.ordinal(1, 2, 4, 8),
    bias=aw.choice(True, False),
    kind=aw.choice("a", "b", 3),
    rate=aw.real(1e-3, 1.0, log=True),
    huge=aw.integer(1, 10**9, log=True),
    nested=aw.choice({"on": aw.integer(2, 9, name="nested.width"), "off": 0}),
)


@given(st.integers(0, 1000), st.floats(0.01, 1.0), st.sampled_from(["*", "*width", "depth", "w*h", "nested*"]))
def test_what_is_shrunk_is_at_most_its_share_and_of_the_space(seed, share, pattern):
    architecture = MIXED.sample(np.random.default_rng(seed))
    smaller = reduced(MIXED, architecture, {pattern: share, "epochs": 3})
    assert smaller in MIXED
    assert MIXED.canonical(smaller) == smaller
    assert smaller.keys() == architecture.keys()
    for name, value in architecture.items():
        if name not in ("width", "depth", "nested.width") or not fnmatchcase(name, pattern):
            assert smaller[name] == value
            continue
        options = list(MIXED.decisions[name].values())
        allowed = [option for option in options if option <= share * value]
        assert smaller[name] == (max(allowed) if allowed else min(options))
    assert reduced(MIXED, architecture, {pattern: 1.0}) == architecture
    assert reduced(MIXED, architecture, None) is architecture


def test_of_several_patterns_the_smallest_share_counts():
    architecture = MIXED.sample(np.random.default_rng(0))
    assert reduced(MIXED, architecture, {"*": 0.9, "width": 0.3}) == reduced(
        MIXED, reduced(MIXED, architecture, {"depth": 0.9, "nested.width": 0.9}), {"width": 0.3}
    )


def test_a_smaller_form_that_is_none_of_the_space_is_refused():
    space = aw.Space(x=aw.integer(1, 8), y=aw.integer(1, 8), where=lambda a: a["x"] + a["y"] > 8)
    with pytest.raises(
        SchedulerError, match=r"cannot be made smaller by \{'\*': 0.5\}: the space's constraints refuse"
    ):
        reduced(space, space.canonical({"x": 5, "y": 5}), {"*": 0.5})
    assert reduced(space, space.canonical({"x": 8, "y": 8}), {"x": 0.5}) == space.canonical({"x": 4, "y": 8})


def test_some_that_have_no_smaller_form_are_failed_trials_and_the_search_goes_on():
    space = aw.Space(x=aw.integer(1, 8), y=aw.integer(1, 8), where=lambda a: a["x"] + a["y"] > 8)
    options = {"strategy": "random", "scheduler": "asha", "fidelity": {"x": (0.5, 1)}}
    study = aw.search(space, function, budget=aw.Budget(trials=12), **options)
    failed = [trial for trial in study.trials if trial.state == "failed"]
    assert 0 < len(failed) < len(study.trials)
    assert all("cannot be made smaller" in trial.error for trial in failed)


# --------------------------------------------------------------------------- ranges


@pytest.mark.parametrize(
    ("range_", "message"),
    [
        ((0.5, 2), r"up to 1, such as \(0.25, 1\); \(0.5, 2\) was given"),
        ((1, 0.5), "up to 1"),
        ((0, 1), "up to 1"),
        ((1, 1), "up to 1"),
        (0.5, r"'width': decisions .* such as \(0.25, 1\); 0.5 was given"),
        ((0.5,), "up to 1"),
        (("a", 1), "up to 1"),
    ],
)
def test_ranges_are_checked(range_, message):
    with pytest.raises(SchedulerError, match=message):
        aw.Study(SPACE, scheduler="asha", fidelity={"width": range_})
    with pytest.raises(SchedulerError, match=message):
        aw.search(
            SPACE, aw.Training(images()), scheduler="asha", fidelity={"width": range_}, budget=aw.Budget(trials=9)
        )


def test_what_is_no_mapping_or_has_no_range_is_refused():
    for given_ in (5, [("epochs", (1, 9))], "epochs"):
        with pytest.raises(SchedulerError, match="fidelity is a mapping such as"):
            aw.Study(SPACE, scheduler="asha", fidelity=given_)
    for given_ in ({}, None):
        with pytest.raises(SchedulerError, match="the evaluator has no lower fidelity"):
            aw.Study(SPACE, scheduler="asha", fidelity=given_)
    with pytest.raises(SchedulerError, match="reversed"):
        aw.Study(SPACE, scheduler="asha", fidelity={"epochs": (9, 1)})
    known = {"epochs": Fidelity(1, 9, whole=True)}
    with pytest.raises(UnknownName, match=r"fidelity 'epoch'.*Did you mean 'epochs'"):
        wanted_ranges(known, {"epoch": (1, 9)}, SPACE)
    with pytest.raises(UnknownName, match="fidelity 'bias'"):
        wanted_ranges(known, {"bias": (0.5, 1)}, MIXED)  # it has no numbers
    assert wanted_ranges(known, {"width": (0.5, 1), "epochs": (1, 3)}, SPACE).keys() == {"width", "epochs"}


def test_a_name_that_the_evaluator_knows_is_the_evaluators():
    space = aw.Space(epochs=aw.integer(1, 9))
    known = {"epochs": Fidelity(1, 27, whole=True)}
    ladder = as_ladder(ASHA(), wanted_ranges(known, {"epochs": (1, 27)}, space), space)
    assert [rung["epochs"] for rung in ladder.rungs] == [1, 3, 9, 27]
    assert as_ladder(ASHA(), ladder, space) is ladder
    assert as_ladder(Full(), {"epochs": (1, 27)}, space) == Ladder()


# --------------------------------------------------------------------------- in a search


class Watched(aw.Training):
    """Keeps what each candidate was and the weights that it began and ended with."""

    def __init__(self):
        super().__init__(images(), epochs=1)
        self.seen = []

    def evaluate(self, candidate):
        architecture, restore = candidate.architecture, candidate.restore
        began = {}

        def looking():
            state = restore()
            began.update({name: weight.clone() for name, weight in candidate.model.state_dict().items()})
            return state

        candidate.restore = looking
        metrics = super().evaluate(candidate)
        self.seen.append((architecture, began, candidate.model.state_dict()))
        return metrics


def test_a_network_that_grows_begins_with_the_weights_of_the_smaller_one():
    training = Watched()
    options = {"strategy": "random", "scheduler": "asha", "fidelity": {"width": (0.25, 1)}}
    study = aw.search(SPACE, training, budget=aw.Budget(trials=3), final=False, **options)
    assert study.ladder.costs[-1] == 1
    grown = 0
    for trial in study.trials:
        architecture, began, _ = training.seen[trial.number]
        assert architecture == reduced(SPACE, trial.architecture, trial.fidelity)
        if trial.origin is None:
            continue
        former, _, ended = training.seen[trial.origin]
        grown += architecture["width"] > former["width"]
        for name, weight in ended.items():
            corner = tuple(slice(size) for size in weight.shape)
            assert torch.equal(began[name][corner], weight), name
        if architecture["width"] > former["width"]:
            assert not torch.equal(began["1.weight"][former["width"] :], torch.zeros(1))
            assert began["1.weight"][former["width"] :].abs().sum() > 0  # what is new is no zero
    assert grown
    assert study.best.trial.fidelity == {"width": 1.0}


@pytest.mark.parametrize("folder", [True, False])
def test_the_best_may_be_a_smaller_network_until_the_final_training(tmp_path, folder):
    path = tmp_path if folder else None
    ladder = Ladder(({"width": 0.5}, {"width": 1.0}), (0.5, 1.0))
    study = aw.Study(SPACE, strategy="random", scheduler="asha", fidelity=ladder, objective="max accuracy", path=path)
    study.run(aw.Training(images(), epochs=1), aw.Budget(trials=1), final=False)  # two on the lower rung
    best = study.best.trial
    assert best.fidelity == {"width": 0.5}
    width = reduced(SPACE, best.architecture, best.fidelity)["width"]
    assert study.best.load()[1].out_features == width
    assert width <= best.architecture["width"] / 2 or width == 4
    study.resume(final=True)
    assert study.best.load()[1].out_features == best.architecture["width"]
    assert "test_accuracy" in study.test


def test_children_inherit_from_the_smaller_forms():
    training = Watched()
    options = {"strategy": "random", "scheduler": "asha", "fidelity": {"width": (0.5, 1)}, "inherit": True}
    two = aw.Space(
        model=aw.nn.Sequential(
            aw.nn.Flatten(),
            aw.nn.LazyLinear(WIDTH),
            aw.choice(aw.nn.ReLU(), aw.nn.Tanh(), aw.nn.GELU(), name="act"),
            aw.nn.LazyLinear(3),
        ),
        example_input=aw.TensorSpec((1, 8, 8)),
    )
    study = aw.search(two, training, budget=aw.Budget(trials=6), final=False, **options)
    heirs = [t for t in study.trials if t.origin is not None and study.history.before(t) is None]
    assert heirs
    for trial in heirs:
        _, began, _ = training.seen[trial.number]
        _, _, ended = training.seen[trial.origin]
        for name, weight in began.items():
            corner = tuple(slice(min(sizes)) for sizes in zip(weight.shape, ended[name].shape, strict=True))
            assert torch.equal(weight[corner], ended[name][corner])
