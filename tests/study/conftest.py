"""What the tests of studies share as fixtures."""

from __future__ import annotations

import signal

import pytest


@pytest.fixture
def ctrl_c():
    """Let Ctrl-C be what it is in a fresh process in the foreground."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
