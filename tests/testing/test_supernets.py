"""The suite of supernets, over every registered space and every registered relaxation."""

from __future__ import annotations

import functools

import pytest

import archwright as aw
from archwright import supernet as room
from archwright.supernet import Supernet
from archwright.testing import SupernetSuite

IMAGE = {"input_shape": (3, 16, 16), "classes": 3}
SMALL = {  # options that make a registered space quick to compile
    "accel-nasbench": {"input_shape": (3, 32, 32), "classes": 3},
    "convnet": {**IMAGE, "filters": (4, 8)},
    "darts": {**IMAGE, "C": 4, "layers": 3},
    "digits-cells": {},
    "mlp": {"input_shape": (12,), "classes": 3},
    "nasbench101": {**IMAGE, "N": 1, "C": 6},
    "nasbench201": {**IMAGE, "N": 1, "C": 4},
    "natsbench-size": IMAGE,
    "resnet": {**IMAGE, "widths": (4, 8), "blocks": (1, 2)},
}


@functools.cache
def _space(name: str) -> aw.Space:
    return aw.spaces.create(name, **SMALL.get(name, {}))


@functools.lru_cache(maxsize=1)
def _supernet(name: str, relaxation: str) -> Supernet:
    return Supernet(_space(name), relaxation).double()


@pytest.mark.parametrize("relaxation", room.names())
@pytest.mark.parametrize("name", aw.spaces.names())
class TestRegistered(SupernetSuite):
    @pytest.fixture
    def supernet(self, name, relaxation) -> Supernet:
        return _supernet(name, relaxation)
