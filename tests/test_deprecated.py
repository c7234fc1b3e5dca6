"""Names that have changed are still found by their old ones, with a warning."""

from __future__ import annotations

import importlib

import pytest

import archwright as aw

MOVED = {
    "archwright.evaluate": {"ProxyEvaluator": "archwright.proxies", "proxies": "archwright"},
    "archwright.supernet": {"Inherited": "archwright.morphism", "inherit": "archwright.morphism"},
}


@pytest.mark.parametrize(
    ("module", "name", "home"), [(module, *pair) for module, names in MOVED.items() for pair in names.items()]
)
def test_a_name_that_has_moved_is_still_found_where_it_was(module: str, name: str, home: str) -> None:
    with pytest.warns(FutureWarning, match=f"{module}.{name} is now {home}.{name}") as told:
        found = getattr(importlib.import_module(module), name)
    assert found is getattr(importlib.import_module(home), name)
    assert told[0].filename == __file__


def test_a_name_that_never_was_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"'archwright\.supernet' has no attribute 'inherits'"):
        importlib.import_module("archwright.supernet").inherits


@pytest.mark.parametrize(
    ("room", "old", "new"),
    [
        (aw.strategies, "nevergrad", "mu-plus-lambda"),
        (aw.schedulers, "freeze-thaw", "asha"),
        (aw.schedulers, "extrapolation", "median"),
    ],
)
def test_names_that_are_gone_say_what_is_used(room, old, new):
    with pytest.warns(FutureWarning, match=f"'{old}' is no longer available, and '{new}' is used in its place"):
        assert room.create(old) == room.create(new)
    assert old not in room.names()
