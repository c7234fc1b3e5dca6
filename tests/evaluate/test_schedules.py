"""Learning-rate schedules, with torch's own as referees."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from archwright.evaluate._optimizers import SCHEDULES, constant, cosine, one_cycle

STEPS = 101
PEAK = 0.4


def rates(make: type[LRScheduler], **options: float) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=PEAK)
    schedule = make(optimizer, **options)
    seen = []
    for _ in range(STEPS):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(seen) < STEPS:
            schedule.step()
    return seen


def test_one_cycle_is_torchs() -> None:
    # Torch counts its peak in steps, one early: this share puts it where a quarter of the way is.
    quarter = ((STEPS - 1) / 4 + 1) / STEPS
    wanted = rates(
        OneCycleLR,
        max_lr=PEAK,
        total_steps=STEPS,
        pct_start=quarter,
        div_factor=25,
        final_div_factor=1e4,
        cycle_momentum=False,
    )
    ours = [PEAK * one_cycle(step / (STEPS - 1)) for step in range(STEPS)]
    assert ours == pytest.approx(wanted, rel=1e-9, abs=1e-12)


def test_cosine_is_torchs() -> None:
    wanted = rates(CosineAnnealingLR, T_max=STEPS - 1)
    ours = [PEAK * cosine(step / (STEPS - 1)) for step in range(STEPS)]
    assert ours == pytest.approx(wanted, rel=1e-6, abs=1e-9)


def test_known_points() -> None:
    assert one_cycle(0.0) == pytest.approx(1 / 25)
    assert one_cycle(0.25) == 1.0
    assert one_cycle(1.0) == pytest.approx(4e-6)
    assert [cosine(0.0), cosine(0.5), cosine(1.0)] == pytest.approx([1.0, 0.5, 0.0])
    assert [constant(0.0), constant(1.0)] == [1.0, 1.0]


@pytest.mark.parametrize("name", sorted(SCHEDULES))
@given(st.floats(0, 1), st.floats(0, 1))
def test_a_schedule_is_a_share_and_has_no_jump(name: str, first: float, second: float) -> None:
    schedule = SCHEDULES[name]
    assert 0 <= schedule(first) <= 1
    # The steepest is the warm-up: pi/2 over a quarter of the way.
    assert abs(schedule(first) - schedule(second)) <= 6.3 * abs(first - second) + 1e-12
