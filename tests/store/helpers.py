"""What the tests of stores share."""

from __future__ import annotations

from contextlib import closing

from archwright.store import SQLStore


def content(place, name="study"):
    """Return what is stored of a study."""
    with closing(SQLStore(place, name, readonly=True)) as store:
        return store.read()
