"""The examples in docstrings give what they show."""

import doctest
import importlib
import re
from pathlib import Path

import pytest
import torch

import archwright

ROOT = Path(archwright.__file__).parent
WITH_EXAMPLES = sorted(
    path for path in ROOT.rglob("*.py") if re.search(r"^\s*>>> (?!.*\+SKIP)", path.read_text(), re.MULTILINE)
)


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_examples_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(".".join(["archwright", *path.relative_to(ROOT).with_suffix("").parts]))
    found = doctest.testmod(module, extraglobs={"aw": archwright, "nn": archwright.nn, "torch": torch})
    assert found.attempted
    assert not found.failed
