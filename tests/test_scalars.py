"""Scalars of numpy and torch are taken wherever a number is, and kept as Python's own."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st

import archwright as aw
from archwright import nn
from archwright._checks import check_counts, check_options, check_positive, check_shares, check_switches
from archwright._scalars import scalar, scalars
from archwright.errors import RelaxationError, StrategyError
from archwright.evaluate import Fidelity, Repeats
from archwright.evaluate._recipe import Recipe
from archwright.schedulers import ASHA, Ladder, Patience
from archwright.strategies import Evolution, Genetic, QLearning
from archwright.supernet import Sandwich

PLAIN = (bool, int, float, str)


KINDS = ("?", *"bhilqBHILQefd", "U5")


@given(st.sampled_from(KINDS).flatmap(lambda kind: np_st.from_dtype(np.dtype(kind))))
def test_a_scalar_becomes_the_number_that_it_is(value):
    found = scalar(value)
    assert type(found) in PLAIN
    assert found == value or found != found


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (np.array(3), 3),
        (torch.tensor(3), 3),
        (torch.tensor(True), True),
        (torch.nn.Parameter(torch.tensor(0.5)), 0.5),
        (np.bool_(False), False),
        (np.str_("relu"), "relu"),
    ],
)
def test_what_has_no_axes_is_a_scalar(given, wanted):
    assert scalar(given) == wanted
    assert type(scalar(given)) is type(wanted)


@pytest.mark.parametrize(
    "item", [None, 3, "3", [1], np.array([1]), torch.zeros(1), np.datetime64("2020"), 1j, object()]
)
def test_everything_else_stays_what_it_is(item):
    assert scalar(item) is item


def test_a_tensor_without_data_stays_what_it_is():
    item = torch.zeros((), device="meta")
    assert scalar(item) is item


def test_lists_tuples_and_dictionaries_are_looked_into():
    item = [np.int64(1), (np.float64(2.0), {"a": torch.tensor(3)}), "b", None]
    assert json.dumps(scalars(item)) == '[1, [2.0, {"a": 3}], "b", null]'


@pytest.mark.parametrize("whole", [np.int64, np.uint8, torch.tensor, np.array])
def test_settings_are_kept_as_plain_numbers(whole):
    real = np.float32 if whole is not torch.tensor else torch.tensor
    pairs = [
        (aw.Budget(trials=whole(5), seconds=real(1.5)), aw.Budget(trials=5, seconds=1.5)),
        (Evolution(population=whole(20), sample=whole(5)), Evolution(population=20, sample=5)),
        (Genetic(crossover_rate=real(0.5)), Genetic(crossover_rate=0.5)),
        (ASHA(eta=whole(4)), ASHA(eta=4)),
        (Patience(points=whole(4), least=real(0.5)), Patience(points=4, least=0.5)),
        (Sandwich(random=whole(3)), Sandwich(random=3)),
        (Fidelity(whole(1), whole(9), whole=True), Fidelity(1, 9, whole=True)),
        (Fidelity(1, 9).between(whole(2), whole(4)), Fidelity(1, 9).between(2, 4)),
        (Recipe(epochs=whole(2), clip=real(0.5)), Recipe(epochs=2, clip=0.5)),
        (aw.cost.Target(threads=whole(2)), aw.cost.Target(threads=2)),
        (aw.TensorSpec((whole(3), whole(8))), aw.TensorSpec((3, 8))),
        (Ladder.of({"epochs": (whole(1), whole(9))}, eta=whole(3)), Ladder.of({"epochs": (1, 9)}, eta=3)),
    ]
    for made, wanted in pairs:
        assert made == wanted
        assert repr(made) == repr(wanted)


def test_a_study_takes_them_all():
    space = aw.Space(a=aw.integer(np.int64(1), np.int64(4)))
    study = aw.Study(space, strategy="random", seed=np.int64(3), starts=[{"a": np.int64(2)}])
    study.run(
        lambda candidate: torch.tensor(candidate.architecture["a"]), aw.Budget(trials=np.int64(2)), final=np.int64(1)
    )
    plain = aw.Study(space, strategy="random", seed=3, starts=[{"a": 2}])
    plain.run(lambda candidate: candidate.architecture["a"], aw.Budget(trials=2), final=1)
    assert [trial.architecture for trial in study.trials] == [trial.architecture for trial in plain.trials]
    trial = study.ask()
    told = study.tell(
        trial, np.float32(0.5), curve=[{"step": np.int64(1), "value": np.float32(0.5)}], seconds=np.float64(2)
    )
    json.dumps([dict(told.metrics), [dict(row) for row in told.curve], told.seconds])


@pytest.mark.parametrize("true", [np.bool_(True), torch.tensor(True)])
def test_flags_are_kept_as_truth_values(true, tmp_path):
    cell = aw.cell(lambda i, j: aw.choice(nn.Identity(), nn.Tanh()), nodes=2, keep_unused=true)
    space = aw.Space(model=cell, a=aw.integer(1, 64, log=true), b=aw.real(1.0, 9.0, log=true))
    assert aw.Space.from_json(json.loads(json.dumps(space.to_json()))).fingerprint == space.fingerprint
    aw.Study(space, path=tmp_path, inherit=true).close()
    with aw.load(tmp_path) as study:
        assert study.space.fingerprint == space.fingerprint
    assert QLearning(shaped=true) == QLearning(shaped=True)
    data = aw.data((np.eye(20), [0, 1] * 10), test=torch.tensor(0.2), seed=torch.tensor(1), validation=torch.tensor(4))
    assert [len(part.targets) for part in (data.train, data.validation, data.test)] == [12, 4, 4]
    json.dumps(aw.Training(data, channels_last=true).channels_last)


def test_evaluators_take_them():
    inner = aw.evaluate.FunctionEvaluator(lambda candidate: 1.0)
    assert Repeats(inner, np.int64(3)).repeats == 3


@dataclass(frozen=True)
class Settings:
    settings_error: ClassVar = StrategyError

    value: object


@pytest.mark.parametrize(
    ("check", "right", "wrong", "allowed"),
    [
        (check_counts, [1, np.int64(3)], [0, 1.0, True, "1"], "an integer of 1 or more"),
        (partial(check_counts, least=0), [0], [-1, None], "an integer of 0 or more"),
        (check_shares, [0, 1, torch.tensor(0.5)], [-0.1, 1.1, False, float("nan")], "a number from 0 to 1"),
        (check_positive, [1e-9, 10**400], [0, float("inf")], "a number above 0"),
        (partial(check_positive, most=1), [1], [1.5], "a number above 0 and at most 1"),
        (check_switches, [True, np.bool_(False)], [1, "yes"], "True or False"),
        (
            lambda settings, name: check_options(settings, **{name: ["a", "b"]}),
            ["a"],
            ["c", ["a"], 1],
            "one of 'a', 'b'",
        ),
    ],
)
def test_settings_are_checked_and_kept_as_plain_scalars(check, right, wrong, allowed):
    for value in right:
        settings = Settings(value)
        check(settings, "value")
        assert type(settings.value) in PLAIN
    for value in wrong:
        with pytest.raises(StrategyError, match=rf"^Settings: value must be {allowed}, not {re.escape(repr(value))}$"):
            check(Settings(value), "value")


def test_a_message_about_a_setting_begins_with_the_name_that_users_write():
    with pytest.raises(StrategyError, match=r"^pc-darts: channels must be an integer of 1 or more, not 0$"):
        aw.strategies.PCDARTS(channels=0)
    with pytest.raises(StrategyError, match=r"^darts: early_stop must be an integer of 0 or more, not -1$"):
        aw.strategies.DARTS(early_stop=-1)
    with pytest.raises(RelaxationError, match=r"^gumbel: warmup must be a number from 0 to below 1, not 1$"):
        aw.supernet.Gumbel(warmup=1)
