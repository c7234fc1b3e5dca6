"""The programs in examples/ and in the pages of docs/ run as they stand."""

import importlib.util
import re
from pathlib import Path

import pytest
from tests import processes

ROOT = Path(__file__).resolve().parent.parent
NEEDS = {  # examples of what an extra brings
    "stock_agent": "sb3_contrib",
    "lightning_module": "lightning",
    "hugging_face_trainer": "transformers",
}
SAY = {  # and what they have to print, if not just something
    "ask_and_tell": lambda printed: float(printed.split()[0]) > 2.9,
    "own_block": lambda printed: (
        "def build()" in printed and "archwright" not in printed.partition("validation accuracy")[0]
    ),
}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


# A tenth of the digits and of the minutes, and a fifth of the steps of Muon's iteration, which is most of a training of
# wide layers: programs run as they stand, in less time.
FEWER = """
import runpy, sys
from archwright.study import _budget
checked = _budget.Budget.__post_init__
def shorter(budget):
    if budget.minutes is not None:
        object.__setattr__(budget, "minutes", budget.minutes / 10)
    checked(budget)
_budget.Budget.__post_init__ = shorter
from archwright.evaluate import _muon
_muon._STEPS = 1
import sklearn.datasets
whole = sklearn.datasets.load_digits
sklearn.datasets.load_digits = lambda **options: tuple(part[:180] for part in whole(**options))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(*program, cwd):
    result = processes.run(*program, cwd=cwd, timeout=300)
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
    printed = run("-c", FEWER, script, cwd=tmp_path)
    assert SAY.get(script.stem, bool)(printed), printed


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```python" in page.read_text()], ids=lambda page: page.stem
)
def test_the_code_of_a_page_runs(page, tmp_path):
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks(page)))
    run("-c", FEWER, script, cwd=tmp_path)


def test_the_strategy_of_the_guide_keeps_the_laws(tmp_path):
    """As a reader would check it: the page's own class of tests, in a folder that knows nothing of this project."""
    page = tmp_path / "own_strategy.py"
    page.write_text("\n".join(blocks(ROOT / "docs" / "own-strategy.md")))
    printed = run("-m", "pytest", "-q", "-p", "no:cacheprovider", page.name, cwd=tmp_path)
    summary = printed.splitlines()[-1]
    assert int(re.search(r"(\d+) passed", summary)[1]) > 50
    assert "skipped" not in summary


def test_the_strategy_of_the_guide_has_40_lines():
    first = blocks(ROOT / "docs" / "own-strategy.md")[0]
    assert "def propose" in first
    assert len(first.splitlines()) <= 40


BENCHMARKS = """
import runpy, sys
for path in sys.argv[1:]:
    runpy.run_path(path, run_name="imported")
print("imported", len(sys.argv) - 1)
"""


def test_what_benchmarks_import_is_there(tmp_path):
    scripts = [*sorted((ROOT / "benchmarks").glob("*.py")), *sorted((ROOT / "benchmarks" / "tables").glob("*.py"))]
    assert run("-c", BENCHMARKS, *scripts, cwd=tmp_path).split() == ["imported", str(len(scripts))]
