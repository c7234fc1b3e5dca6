"""A candidate: its network, its settings, its reports."""

from __future__ import annotations

import functools
import math
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from tests.evaluate.stubs import OneSpace, candidate, convnet, linear

import archwright as aw
from archwright.errors import EvaluationError
from archwright.evaluate import Candidate, Stopped


def weights(one: Candidate) -> torch.Tensor:
    return torch.cat([weight.flatten() for weight in one.model.parameters()])


def test_weights_follow_from_the_seed_alone() -> None:
    torch.manual_seed(11)
    first = weights(candidate(convnet, seed=5))
    torch.manual_seed(12)
    torch.rand(3)
    assert torch.equal(weights(candidate(convnet, seed=5)), first)
    assert not torch.equal(weights(candidate(convnet, seed=6)), first)


def test_building_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    assert weights(candidate(convnet)).numel() > 0
    assert torch.equal(torch.get_rng_state(), before)


def test_the_network_is_built_once_and_only_when_used() -> None:
    built = []

    def network() -> torch.nn.Module:
        built.append(linear())
        return built[-1]

    one = candidate(network)
    assert built == []
    assert one.model is one.model is built[0]
    assert len(built) == 1


def test_rebuild_forgets_what_was_learnt() -> None:
    one = candidate(linear)
    fresh = weights(one).clone()
    with torch.no_grad():
        one.model[1].weight.zero_()
    assert one.rebuild() is one.model
    assert torch.equal(weights(one), fresh)


def test_the_network_lies_on_the_device() -> None:
    assert next(candidate(linear, device="meta").model.parameters()).device.type == "meta"


def test_the_space_builds_for_the_evaluators_input() -> None:
    asked = []

    class Asked(OneSpace):
        def build(self, architecture: object, example_input: object = None) -> torch.nn.Module:
            asked.append((architecture, example_input))
            return linear()

    spec = aw.TensorSpec((1, 8, 8))
    assert Candidate(Asked(linear), "this", seed=0, example_input=spec).model is not None
    assert asked == [("this", spec)]


def test_settings_are_the_other_parts_made_usable() -> None:
    space = aw.Space(
        model=aw.nn.Linear(4, 2),
        optimizer=aw.optim.AdamW(lr=aw.real(1e-3, 1e-1, log=True), weight_decay=0.5),
        batch_size=aw.ordinal(32, 64),
        schedule="cosine",
    )
    architecture = space.sample(np.random.default_rng(0))
    settings = Candidate(space, architecture, seed=0).settings
    assert set(settings) == {"optimizer", "batch_size", "schedule"}
    assert settings["batch_size"] in (32, 64)
    assert settings["schedule"] == "cosine"
    optimizer = settings["optimizer"]
    assert isinstance(optimizer, functools.partial)
    made = optimizer(torch.nn.Linear(4, 2).parameters())
    assert isinstance(made, torch.optim.AdamW)
    assert made.param_groups[0]["weight_decay"] == 0.5
    assert made.param_groups[0]["lr"] in architecture.values()


def test_reports_make_the_curve_and_reach_the_listener() -> None:
    heard = []
    one = candidate(linear, listener=lambda step, metrics: heard.append((step, dict(metrics))))
    one.report(1, accuracy=np.float32(0.5))
    one.report(2, accuracy=torch.tensor(0.75), loss=1)
    assert one.curve == [{"step": 1, "accuracy": 0.5}, {"step": 2, "accuracy": 0.75, "loss": 1.0}]
    assert heard == [(1, {"accuracy": 0.5}), (2, {"accuracy": 0.75, "loss": 1.0})]


def test_a_listener_that_stops_comes_after_the_row() -> None:
    def stop(step: int, metrics: object) -> None:
        raise Stopped("enough")

    one = candidate(linear, listener=stop)
    with pytest.raises(Stopped, match="enough"):
        one.report(1, loss=2.0)
    assert one.curve == [{"step": 1, "loss": 2.0}]


def test_report_stops_after_the_deadline_and_record_does_not() -> None:
    one = candidate(linear, deadline=time.monotonic() - 1)
    assert one.remaining() == 0
    one.record(1, loss=2.0)
    with pytest.raises(Stopped, match="out of time"):
        one.report(2, loss=1.0)
    assert [row["step"] for row in one.curve] == [1, 2]


def test_remaining_time() -> None:
    assert candidate(linear).remaining() == math.inf
    assert 50 < candidate(linear, deadline=time.monotonic() + 60).remaining() <= 60


def test_what_is_no_number_is_not_recorded() -> None:
    one = candidate(linear)
    with pytest.raises(EvaluationError, match="'accuracy' must be a number, not 'high'"):
        one.report(1, accuracy="high")
    assert one.curve == []


def test_a_candidate_without_its_network_needs_no_torch() -> None:
    program = """
import sys
from archwright.evaluate import Candidate, as_evaluator
class Space:
    def resolve(self, architecture): return {"model": None}
one = Candidate(Space(), None, seed=0, deadline=1e12, listener=lambda step, metrics: None)
def value(candidate):
    candidate.report(1, value=2.0)
    return len(candidate.settings)
assert as_evaluator(value).evaluate(one) == {"value": 0.0}
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
