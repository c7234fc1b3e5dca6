"""Every public name has an example, and the examples give what they show."""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import numpy
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
    found = doctest.testmod(module, extraglobs={"aw": archwright, "nn": archwright.nn, "torch": torch, "np": numpy})
    assert found.attempted
    assert not found.failed


PACKAGES = sorted(path.parent.name for path in ROOT.glob("[a-z]*/__init__.py"))
EXCEPTIONS = {
    "build.write_onnx",  # an export takes seconds
    "build.write_pt2",
    "build.write_executorch",
    "cost.time_files",  # so it does here
    "cli.main",  # it reads the command line
}


def without_example():
    for name in PACKAGES:
        package = importlib.import_module(f"archwright.{name}")
        for public in package.__all__:
            value = getattr(package, public)
            is_error = isinstance(value, type) and issubclass(value, Exception)
            described = isinstance(value, type) or inspect.isroutine(value) or hasattr(value, "__wrapped__")
            ours = described and value.__module__.startswith("archwright")
            if ours and not is_error and ">>>" not in (value.__doc__ or "") and f"{name}.{public}" not in EXCEPTIONS:
                yield f"{name}.{public}"


def test_every_public_name_has_an_example():
    assert not list(without_example())
