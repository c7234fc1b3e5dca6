"""What stands on the command line, read."""

from __future__ import annotations

import pytest

from archwright.cli._named import parse_fidelity, parse_scheduler
from archwright.errors import SchedulerError, UnknownName
from archwright.schedulers import ASHA, Hyperband


def test_schedulers_with_settings():
    assert parse_scheduler("asha") == ASHA()
    assert parse_scheduler("asha:eta=4") == ASHA(eta=4)
    assert parse_scheduler(" hyperband : eta = 2 ") == Hyperband(eta=2)
    with pytest.raises(SchedulerError, match="depth"):
        parse_scheduler("asha:depth=4")
    with pytest.raises(UnknownName, match="asha"):
        parse_scheduler("ash")


def test_fidelities():
    assert parse_fidelity("epochs=1:9") == {"epochs": (1, 9)}
    found = parse_fidelity(" epochs = 0.5 : 9 ,data=0.25:1,*.width=0.25:1")
    assert found == {"epochs": (0.5, 9), "data": (0.25, 1), "*.width": (0.25, 1)}
    assert [type(end) for end in found["epochs"]] == [float, int]  # whole numbers stay whole


@pytest.mark.parametrize(
    "text",
    ["", "epochs", "epochs=", "epochs=1", "epochs=1:", "=1:9", "epochs=a:b", "epochs=true:9", "n=1:9,n=1:3", "n=1:9,"],
)
def test_what_does_not_read_as_one(text):
    with pytest.raises(SchedulerError, match=r"name=least:full, each name once, such as epochs=1:9"):
        parse_fidelity(text)
