"""The pages of the dashboard in a real browser, beside searches that run in other processes."""

from __future__ import annotations

import re
from contextlib import contextmanager

import pytest
from tests import processes

import archwright as aw
from archwright import nn

pytest.importorskip("uvicorn")
playwright = pytest.importorskip("playwright.sync_api")
playwright.expect.set_options(timeout=30_000)

HOSTILE = "<script>document.title='taken'</script><img src=x onerror=alert(1)>"
WIDTH = aw.ordinal(4, 8, 16, name="width")
SPACE = aw.Space(
    model=nn.Sequential(nn.Linear(8, WIDTH), aw.choice(nn.ReLU(), nn.Tanh(), name="act"), nn.Linear(WIDTH, 2)),
    rate=aw.real(0, 1, name="rate"),
    example_input=(8,),
)


@contextmanager
def served(folder):
    """Serve the dashboard of a folder; its address."""
    process = processes.start("-m", "archwright", "ui", folder, "--port", "0")
    line = process.stdout.readline()
    assert line.startswith("dashboard at "), process.stderr.read()
    try:
        yield line.split()[2]
    finally:
        process.send_signal(15)
        process.stdin.close()
        process.wait(30)


def evaluate(candidate):
    decided = candidate.architecture
    if candidate.seed % 5 == 0:
        raise ValueError(HOSTILE)
    accuracy = decided["width"] / 20 + decided["rate"] / 10
    for epoch in (1, 2, 3):
        candidate.record(epoch, accuracy=accuracy * epoch / 3)
    return {"accuracy": accuracy, "latency_ms": decided["width"] * (2 - decided["rate"])}


def numbers(page):
    return [int(each) for each in page.locator("tbody [data-trial]").all_inner_texts()]


def test_an_ended_search_on_a_desktop_and_a_phone(chromium, tmp_path):
    name = HOSTILE.replace("/", "|")
    study = aw.Study(SPACE, strategy="random", objective=["max accuracy", "min latency_ms"], path=tmp_path / name)
    study.run(evaluate, aw.Budget(trials=60))
    failed = [trial.number for trial in study.trials if trial.state == "failed"]
    front = sorted(best.trial.number for best in study.front)
    expect = playwright.expect
    with served(tmp_path) as url, chromium.page(url) as page:
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        assert page.title().startswith(name)
        expect(page.get_by_role("button", name=f"failed {len(failed)}")).to_be_visible()
        # sorted by the first objective, the best first; then by another column, both ways
        assert numbers(page)[0] == study.best.trial.number
        page.get_by_role("button", name="rate", exact=True).click()
        by_rate = sorted(study.trials, key=lambda trial: trial.architecture["rate"])
        expect(page.locator("tbody [data-trial]").first).to_have_text(str(by_rate[0].number))
        assert numbers(page) == [trial.number for trial in by_rate][: len(numbers(page))]
        page.get_by_role("button", name="rate", exact=True).click()
        expect(page.locator("tbody [data-trial]").first).to_have_text(str(by_rate[-1].number))
        # filters
        page.get_by_role("button", name=re.compile("^Pareto front")).click()
        assert sorted(numbers(page)) == front
        page.get_by_role("button", name=re.compile("^all")).click()
        page.get_by_label("Filter trials").fill("width=16 rate>0.5 complete")
        wanted = [
            trial.number
            for trial in study.history.complete
            if trial.architecture["width"] == 16 and trial.architecture["rate"] > 0.5
        ]
        expect(page.get_by_role("status")).to_have_text(f"{len(wanted)} of 60 trials")
        assert sorted(numbers(page)) == sorted(wanted)
        # a trial: its curve and its network; then one that failed, whose reason is text
        page.locator(f"[data-trial='{wanted[0]}']").press("Enter")
        panel = page.get_by_label("Trial", exact=True)
        expect(panel.get_by_role("heading", level=2)).to_have_text(f"Trial {wanted[0]}")
        expect(panel.get_by_role("img", name="Learning curve: accuracy over 3 steps")).to_be_visible()
        drawing = panel.get_by_role("img", name=f"The network of trial {wanted[0]}")
        expect(drawing).to_be_visible()
        drawing.evaluate("each => each.decode()")  # an error if it is no picture
        page.keyboard.press("Escape")
        expect(panel).to_have_count(0)
        page.get_by_label("Filter trials").fill(f"trial={failed[0]}")
        page.locator("tbody tr.row").click()
        expect(panel.locator("p.bad")).to_have_text(f"ValueError: {HOSTILE}")
        # a click on the front opens its nearest trial
        page.get_by_role("button", name="Close").click()
        chart = page.get_by_role("img", name=re.compile("^Pareto front of"))
        x, y = re.match(r"M([\d.]+) ([\d.]+)", page.locator("path.front").get_attribute("d")).groups()
        factor = chart.bounding_box()["width"] / float(chart.get_attribute("viewBox").split()[2])
        at = {"x": float(x) * factor, "y": float(y) * factor}
        chart.hover(position=at)
        expect(page.locator(".tip").nth(1)).to_contain_text("latency_ms")
        chart.click(position=at)
        expect(panel.get_by_role("heading", level=2)).to_have_text(f"Trial {study.front[0].trial.number}")
        with page.context.expect_page() as opened:
            page.get_by_role("link", name="Full report").click()
        expect(opened.value.get_by_role("heading", level=1)).to_have_text(name)
        assert page.locator("script").count() == 1
        shown = re.search("#/[0-9a-f]+", page.url)[0]
        for width in (360, 1280):
            page.set_viewport_size({"width": width, "height": 700})
            for place in ("#/", shown, f"{shown}/{front[0]}"):
                page.evaluate(f"location.hash = '{place}'")
                page.locator("tbody tr.row").first.wait_for()
                assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_search_that_runs_is_followed_stopped_and_resumed(chromium, tmp_path):
    expect = playwright.expect
    search = processes.start(
        "-m", "archwright", "search", "iris", "--space", "mlp", "--strategy", "random", "--scheduler", "full",
        "--trials", "5000", "--epochs", "8", "--no-final", "--no-baseline", "--out", tmp_path / "live",
    )  # fmt: skip
    with served(tmp_path) as url, chromium.page(url) as page:
        page.get_by_role("link", name="live").click()
        expect(page.locator(".badge.running").first).to_be_visible()
        page.locator("tbody [data-trial='1']").wait_for()  # trials appear without anybody doing anything
        before = max(numbers(page))
        page.locator(f"tbody [data-trial='{before + 2}']").wait_for()
        page.get_by_role("button", name="Stop …").click()
        page.get_by_role("button", name="Stop the search").click()
        expect(page.locator(".badge.interrupted").first).to_be_visible()
        search.communicate()
        study = aw.load(tmp_path / "live")
        ended = len(study.history.finished)
        assert not study.is_held
        assert ended < 5000
        page.get_by_role("button", name="Resume …").click()
        page.get_by_label("New budget in trials").fill(str(ended + 3))
        page.get_by_role("button", name="Resume the search").click()
        expect(page.locator(".badge.ended").first).to_be_visible(timeout=90_000)
        study = aw.load(tmp_path / "live")
        assert len(study.history.finished) == ended + 3
        assert (tmp_path / "live" / "resume.log").is_file()
