"""The suite of schedulers, over every registered scheduler."""

from __future__ import annotations

import pytest

from archwright import schedulers
from archwright.testing import SchedulerSuite

OWN = {"extrapolation", "freeze-thaw", "pasha"}


class TestRegistered(SchedulerSuite):
    @pytest.fixture(params=sorted({*schedulers.names()} - OWN))
    def scheduler(self, request):
        return schedulers.create(request.param)


class TestWithAModel(SchedulerSuite):
    """Shorter: they fit a model again and again."""

    trials = 40
    reaches = 60

    @pytest.fixture(params=["extrapolation", "freeze-thaw"])
    def scheduler(self, request):
        return schedulers.create(request.param)


class TestProgressive(SchedulerSuite):
    """Where little training has told all, its ladder ends below the top."""

    to_the_top = False

    @pytest.fixture
    def scheduler(self):
        return schedulers.create("pasha")
