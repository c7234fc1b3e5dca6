"""The dashboard in headless Chromium: its first paint with 10,000 trials, and the time until an event is visible.

`python benchmarks/dashboard.py` needs the extra `ui`, Playwright and Chromium.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

import archwright as aw

SPACE = aw.Space(**{f"decision{place}": aw.choice(*"abcde") for place in range(20)})


def fill(folder: Path, trials: int) -> aw.Study:
    study = aw.Study(SPACE, strategy="random", objective=["max accuracy", "min size"], path=folder)
    for number in range(trials):
        trial = study.ask()
        share = int(trial.architecture.id, 16) % 1009 / 1009
        curve = [{"step": step, "accuracy": share * step / 5} for step in range(1, 6)]
        study.tell(
            trial, {"accuracy": share, "size": 1 + (number * 37) % 1009 * (0.5 + share)}, curve=curve, seconds=1.0
        )
    return study


def first_paint(browser: Browser, url: str) -> dict[str, float]:
    """Return the seconds from opening the address of a run to its heading, to its table and charts, and of a filter."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    link = page.get_by_role("link", name="large")
    link.wait_for()
    address = link.get_attribute("href")
    page.close()  # and a new one, which loads all anew
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    began = time.perf_counter()
    page.goto(f"{url}{address}")
    page.locator("h1").wait_for()
    shell = time.perf_counter() - began
    page.locator("path.front").wait_for()
    page.locator("tbody tr.row").first.wait_for()
    whole = time.perf_counter() - began
    began = time.perf_counter()
    page.get_by_label("Filter trials").fill("decision3=b accuracy>0.5")
    page.get_by_role("status").filter(has_text="of 10,000").wait_for()
    filtered = time.perf_counter() - began
    page.close()
    return {"title": shell, "table and charts": whole, "filter": filtered}


def event(browser: Browser, url: str, study: aw.Study, times: int) -> list[float]:
    """Return the seconds from the record of a trial to its row in the page, each."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    page.get_by_role("link", name="live").click()
    page.locator("tbody tr.row").first.wait_for()
    page.get_by_role("button", name="trial", exact=True).click()
    page.get_by_role("button", name="trial", exact=True).click()
    found = []
    for _ in range(times):
        trial = study.ask()
        study.tell(trial, {"accuracy": 0.5, "size": 2.0})
        began = time.perf_counter()
        page.locator(f"[data-trial='{trial.number}']").wait_for(state="attached")
        found.append(time.perf_counter() - began)
    page.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    fill(folder / "large", given.trials).close()
    live = fill(folder / "live", 20)
    server = subprocess.Popen(
        [sys.executable, "-m", "archwright", "ui", folder, "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        url = re.search(r"http\S+", server.stdout.readline())[0]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            cold = first_paint(browser, url)
            warm = [first_paint(browser, url) for _ in range(given.repeats)]
            seen = event(browser, url, live, 2 * given.repeats)
            browser.close()
    finally:
        server.terminate()
        server.wait(30)
        live.close()
        shutil.rmtree(folder)
    print(f"first page of a new server: {', '.join(f'{name} {value:.2f} s' for name, value in cold.items())}")
    for name in cold:
        values = [each[name] for each in warm]
        print(f"{name}: median {statistics.median(values):.2f} s, most {max(values):.2f} s")
    print(f"event visible: median {statistics.median(seen):.2f} s, most {max(seen):.2f} s")


if __name__ == "__main__":
    main()
