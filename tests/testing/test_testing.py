"""The room itself: what it needs, and what it says where that is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import archwright.testing

PROBE = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
import archwright.testing
try:
    archwright.testing.{wanted}
except ModuleNotFoundError as error:
    print(error)
"""


@pytest.mark.parametrize(("missing", "wanted"), [("hypothesis", "random_spaces"), ("pytest", "SpaceSuite")])
def test_what_is_missing_is_named(missing, wanted):
    code = PROBE.format(missing=missing, wanted=wanted)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"archwright.testing.{wanted} needs {missing}, which is not installed" in ran.stdout


@pytest.mark.parametrize("name", archwright.testing.__all__)
def test_every_name_is_there(name):
    assert getattr(archwright.testing, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="NoSuchSuite"):
        archwright.testing.NoSuchSuite


@pytest.mark.parametrize("name", ["SpaceSuite", "StrategySuite", "StoreSuite", "EvaluatorSuite"])
def test_every_test_of_a_suite_is_documented(name):
    suite = getattr(archwright.testing, name)
    tests = [member for member in vars(suite) if member.startswith("test_")]
    assert tests
    assert [test for test in tests if not getattr(suite, test).__doc__] == []
