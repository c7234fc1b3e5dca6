"""The folder of real data, which is not part of the project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(os.environ.get("ARCHWRIGHT_DATA") or Path(__file__).resolve().parent.parent.parent / "shared" / "data")


def absent(what: object) -> NoReturn:
    """Skip the test, for data that it needs are not there; fail where `ARCHWRIGHT_DATA_REQUIRED` is set."""
    message = f"{what}; set ARCHWRIGHT_DATA to the folder that holds the data"
    if os.environ.get("ARCHWRIGHT_DATA_REQUIRED"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
