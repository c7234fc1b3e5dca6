"""The pictures of docs/ that show pages: the report, the dashboard and a notebook of a real search, in Chromium.

`python docs/screenshots.py [FOLDER] [TRIALS]` makes them; by default in docs/, of 40 trials. It needs `chromium`
(Debian: apt-get install chromium) and `pip install "archwright[dev]"`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from playwright.sync_api import Page, sync_playwright

CELLS = [
    """import archwright as aw
from archwright import nn

width = aw.ordinal(8, 16, 32, name="width")
space = aw.Space(
    model=nn.Sequential(
        nn.LazyConv2d(width, kernel_size=aw.choice(3, 5, name="kernel"), padding="same"),
        aw.choice(nn.ReLU(), nn.SiLU(), name="activation"),
        nn.AdaptiveAvgPool2d(aw.ordinal(1, 2, 4, name="pooling")), nn.Flatten(), nn.LazyLinear(10)),
    example_input=(1, 8, 8))
space""",
    """study = aw.search(
    space, aw.Training(aw.data("digits"), epochs=4), scheduler="full", baseline=True, seed=0, path="runs/digits",
    objective=["max accuracy", "min parameters"], strategy="nsga2", budget=aw.Budget(trials=TRIALS))""",
    "study",
    "study.plot.front()",
    "study.best.architecture",
]


def notebook(folder: Path, trials: int) -> Path:
    """Run the notebook, which makes the search, and return it as a page."""
    cells = [nbformat.v4.new_code_cell(cell.replace("TRIALS", str(trials))) for cell in CELLS]
    run = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(run, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    exporter = HTMLExporter(mathjax_url="", require_js_url="", jquery_url="", widget_renderer_url="", mermaid_js_url="")
    page = folder / "notebook.html"
    page.write_text(exporter.from_notebook_node(run)[0])
    return page


@contextmanager
def dashboard(folder: Path) -> Iterator[str]:
    """Serve the dashboard of a folder, and give its address."""
    command = [sys.executable, "-m", "archwright", "ui", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[2]  # dashboard at ADDRESS
        finally:
            process.terminate()


def main(out: Path, trials: int) -> None:
    """Make a search and take the pictures."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("there is no chromium (Debian: apt-get install chromium)")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="archwright-") as made, sync_playwright() as playwright:
        folder = Path(made)
        written = notebook(folder, trials)
        subprocess.run([sys.executable, "-m", "archwright", "report", folder / "runs" / "digits"], check=True)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])

        def opened(address: str, width: int, height: int) -> Page:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(address)
            return page

        page = opened(written.as_uri(), 1100, 1000)
        page.get_by_text("trials, best").first.wait_for()
        page.screenshot(path=out / "notebook.png", full_page=True)
        page = opened((folder / "runs" / "digits" / "report.html").as_uri(), 1100, 1400)
        page.get_by_text("Pareto front").first.wait_for()
        page.screenshot(path=out / "report.png")
        with dashboard(folder / "runs") as address:
            page = opened(address, 1400, 900)
            page.get_by_text("digits").first.click()
            page.locator("tbody [data-trial]").first.click()
            page.get_by_text("Learning curve").wait_for()
            page.screenshot(path=out / "dashboard.png")
            page.close()  # the server waits for those who watch
        browser.close()


if __name__ == "__main__":
    given = sys.argv[1:]
    main(Path(given[0]) if given else Path(__file__).parent, int(given[1]) if given[1:] else 40)
