"""The programs in examples/ and in the pages of docs/ run as they stand."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NEEDS = {"stock_agent": "sb3_contrib"}  # examples of what an extra brings
SAY = {  # and what they have to print, if not just something
    "ask_and_tell": lambda printed: float(printed.split()[0]) > 2.9,
    "own_block": lambda printed: (
        "def build()" in printed and "archwright" not in printed.partition("validation accuracy")[0]
    ),
}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def run(script, cwd):
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, str(script)], cwd=cwd, env=env, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def blocks(page):
    """The Python of a page, block by block."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_example_runs(script, tmp_path):
    needed = NEEDS.get(script.stem)
    if needed is not None and importlib.util.find_spec(needed) is None:
        pytest.skip(f"{script.name} needs {needed}, which is not installed")
    printed = run(script, tmp_path)
    assert SAY.get(script.stem, bool)(printed), printed


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```python" in page.read_text()], ids=lambda page: page.stem
)
def test_the_code_of_a_page_runs(page, tmp_path):
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks(page)))
    run(script, tmp_path)


def test_the_strategy_of_the_guide_keeps_the_laws(tmp_path):
    """As a reader would check it: the page's own class of tests, in a folder that knows nothing of this project."""
    page = tmp_path / "own_strategy.py"
    page.write_text("\n".join(blocks(ROOT / "docs" / "own-strategy.md")))
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", page.name],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    summary = ran.stdout.splitlines()[-1]
    assert int(re.search(r"(\d+) passed", summary)[1]) > 50
    assert "skipped" not in summary


def test_the_strategy_of_the_guide_has_40_lines():
    first = blocks(ROOT / "docs" / "own-strategy.md")[0]
    assert "def propose" in first
    assert len(first.splitlines()) <= 40
