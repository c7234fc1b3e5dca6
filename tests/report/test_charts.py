"""Charts: what is drawn lies where it should."""

import pytest
from tests.report.helpers import HOSTILE, SPACE, elements, evaluate, numbers

import archwright as aw
from archwright.errors import Inconclusive, StudyError
from archwright.report import best_so_far
from archwright.report._chart import Scale, apart, scale, short


def told(values, objective="max value", **options):
    """A study whose trials have these values, in this order."""
    study = aw.Study(aw.Space(x=aw.integer(0, 999)), strategy="grid", objective=objective, **options)
    for value in values:
        trial = study.ask()
        study.tell(trial, value if isinstance(value, dict | Exception) else float(value))
    return study


def centres(drawing, look="dot"):
    return [(float(each.get("cx")), float(each.get("cy"))) for each in elements(drawing, "circle", look)]


def test_a_scale_maps_values_to_pixels():
    linear = Scale(0.0, 10.0, 100.0, 0.0)
    assert [linear(value) for value in (0, 5, 10, -3, 12)] == [100.0, 50.0, 0.0, 100.0, 0.0]
    log = Scale(1.0, 100.0, 0.0, 200.0, log=True)
    assert log(10.0) == pytest.approx(100.0)
    assert [text for _, text in linear.ticks(5)] == ["0", "2", "4", "6", "8", "10"]
    assert [value for value, _ in Scale(0.81, 0.93, 0.0, 1.0).ticks(4)] == pytest.approx([0.85, 0.9])
    assert [text for _, text in Scale(1e-4, 1e-1, 0.0, 1.0, log=True).ticks(4)] == ["0.0001", "0.001", "0.01", "0.1"]


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        (0.85, 0.05, "0.85"),
        (12_000, None, "12k"),
        (3.4e6, None, "3.4M"),
        (2e9, None, "2G"),
        (0.0, 1.0, "0"),
        (1e-5, None, "1e-05"),
    ],
)
def test_numbers_of_axes(value, step, text):
    assert short(value, step) == text


def test_a_scale_leaves_out_what_is_far_on_the_bad_side():
    values = [0.9 + 0.001 * place for place in range(50)] + [-1e9]
    assert scale(values, 0.0, 1.0, best="high").low > 0.7
    assert scale(values, 0.0, 1.0, best="low").low < -1e8
    assert scale([0.5] * 20, 0.0, 1.0, best="high").low < 0.5 < scale([0.5] * 20, 0.0, 1.0).high


def test_labels_are_apart():
    placed = apart([50.0, 51.0, 52.0, 10.0], 12.0, 0.0, 60.0)
    assert placed == pytest.approx([36.0, 48.0, 60.0, 10.0])


def test_the_history_has_each_trial_and_the_best_so_far():
    study = told([3, 1, ValueError("no"), 7, 5])
    assert best_so_far(study.searched(), study.objective, "trials") == [(1.0, 3.0), (4.0, 7.0)]
    drawing = study.plot.history()
    dots = centres(drawing)
    # 1, 2, 4 and 5 of 5 trials on the horizontal axis, whose pixels go from 50 to 322.
    assert [x for x, _ in dots] == pytest.approx([50 + 272 * place / 5 for place in (1, 2, 4, 5)], abs=0.06)
    heights = [y for _, y in dots]
    assert (heights[0] - heights[3]) / (heights[1] - heights[2]) == pytest.approx(2 / 6, abs=0.01)  # 3..5 of 1..7
    line = elements(drawing, "path", "s0")[0].get("d")
    assert line.startswith(f"M{dots[0][0]:.1f} {dots[0][1]:.1f}H{dots[2][0]:.1f}V{dots[2][1]:.1f}H")
    assert float(line.rpartition("H")[2]) == 322.0
    assert elements(drawing, "circle", "dot")[0][0].text == "trial 0: 3"


def test_the_best_of_a_minimum_is_the_least():
    study = told([3, 1, 7, 0.5], "min value")
    assert best_so_far(study.searched(), study.objective, "trials") == [(1.0, 3.0), (2.0, 1.0), (4.0, 0.5)]
    seconds = best_so_far(study.searched(), study.objective, "seconds")
    assert [value for _, value in seconds] == [3.0, 1.0, 0.5]
    assert sorted(seconds) == seconds
    with pytest.raises(StudyError, match="by is 'trials' or 'seconds', not 'epochs'"):
        study.plot.history(by="epochs")


def test_trials_below_the_full_fidelity_are_left_out():
    study = aw.Study(
        aw.Space(x=aw.integer(0, 999)), strategy="random", scheduler="asha", fidelity={"epochs": (1, 9)}, seed=1
    )
    while sum(trial.share == 1 for trial in study.history.complete) < 2:
        trial = study.ask()
        study.tell(trial, 100.0 - trial.number if trial.share < 1 else float(trial.number))
    full = [trial for trial in study.history.complete if trial.share == 1]
    points = best_so_far(study.searched(), study.objective, "trials")
    assert [value for _, value in points] == [trial.metrics["value"] for trial in full]
    assert len(centres(study.plot.history())) == 2


def test_the_front_is_a_staircase():
    pairs = [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (0.5, 3.0)]  # the last is beaten
    study = told([{"value": a, "cost": b} for a, b in pairs], ["max value", "min cost"])
    drawing = study.plot.front()
    (beaten,) = centres(drawing)
    front = centres(drawing, "f0")
    assert len(front) == 3
    line = numbers(elements(drawing, "path", "s0")[0].get("d"))
    spots = list(zip(line[::2], line[1::2], strict=True))
    (x0, y0), (x1, y1), (x2, y2) = front
    assert spots == [(x0, y0), (x1, y0), (x1, y1), (x2, y1), (x2, y2)]  # for less cost there is only the value before
    assert (x1 - x0, y0 - y1) == pytest.approx((x2 - x1, y1 - y2), abs=0.15)
    assert beaten[0] == x2
    other = elements(study.plot.front(x="value", y="cost"), "path", "s0")[0].get("d")
    assert len(numbers(other)) == 10
    with pytest.raises(StudyError, match="needs two objectives"):
        told([1]).plot.front()


def test_parallel_coordinates_pass_through_the_values():
    study = aw.Study(aw.Space(x=aw.ordinal(1, 2, 4, name="x"), y=aw.choice("a", "b", name="y")), strategy="grid")
    for _ in range(6):
        trial = study.ask()
        study.tell(trial, trial.architecture["x"] + (trial.architecture["y"] == "b"))
    drawing = study.plot.parallel()
    best = numbers(elements(drawing, "path", "s1")[0].get("d"))
    width = 340 - 28
    assert best[:4] == pytest.approx([14 + width * 5 / 6, 30, 14 + width * 3 / 4, 80], abs=0.06)  # x=4, y="b"
    lines = [numbers(each.get("d")) for each in elements(drawing, "path", "faint")]
    assert len(lines) == 5
    assert min(line[4] for line in lines) < best[4]
    with pytest.raises(StudyError, match="no trial has a decision 'z'"):
        study.plot.parallel(decisions=["z"])


def test_learning_curves_have_their_names_at_their_ends():
    study = aw.Study(aw.Space(x=aw.ordinal(1, 2, 3)), strategy="grid").run(
        lambda candidate: (
            [candidate.record(step, value=candidate.settings["x"] * step) for step in (1, 2, 3)]
            and candidate.settings["x"] * 3.0
        ),
        aw.Budget(trials=3),
    )
    drawing = study.plot.curves()
    first = numbers(elements(drawing, "path", "line")[0].get("d"))
    assert first[0] == 50.0
    assert len(first) == 6
    names = [each.text for each in elements(drawing, "text") if (each.text or "").startswith("trial")]
    assert names == ["trial 2", "trial 1", "trial 0"]
    with pytest.raises(
        StudyError, match="no trial has a learning curve of 'loss'; those that were reported are 'value'"
    ):
        study.plot.curves(metric="loss")
    with pytest.raises(StudyError, match="count is a number of trials from 1 to 8, not 9"):
        study.plot.curves(count=9)


def test_importance_is_drawn_as_it_is_found():
    study = aw.Study(SPACE, strategy="random").run(evaluate, aw.Budget(trials=60))
    found, drawing = study.importance(), study.plot.importance()
    bars = [*elements(drawing, "rect", "bar"), *elements(drawing, "rect", "weak")]
    widths = sorted((float(each.get("width")) for each in bars), reverse=True)
    shares = [row.share for row in found.rows]
    assert widths[0] / widths[1] == pytest.approx(shares[0] / shares[1], rel=0.02)
    assert HOSTILE in [each.text for each in elements(drawing, "text")]
    with pytest.raises(Inconclusive):
        told([1, 2]).plot.importance()


def test_a_drawing_is_saved_over_a_drawing_alone(tmp_path):
    drawing = told([1, 2]).plot.history()
    file = tmp_path / "chart.svg"
    drawing.save(file)
    drawing.save(file)
    assert file.read_text() == drawing
    file.write_text("mine")
    with pytest.raises(StudyError, match="archwright did not write it"):
        drawing.save(file)
    assert file.read_text() == "mine"
    with pytest.raises(StudyError, match=r"is to end with \.svg"):
        drawing.save(tmp_path / "chart.png")
    (tmp_path / "link.svg").symlink_to(tmp_path / "elsewhere.svg")
    with pytest.raises(StudyError, match="archwright did not write it"):
        drawing.save(tmp_path / "link.svg")
    with pytest.raises(StudyError, match="there is no folder"):
        drawing.save(tmp_path / "none" / "chart.svg")


def test_nothing_to_draw_is_said():
    study = aw.Study(aw.Space(x=aw.integer(0, 9)))
    for plot in (study.plot.history, study.plot.parallel):
        with pytest.raises(StudyError, match="no trial is complete"):
            plot()


@pytest.mark.parametrize(
    "values", [[1e308, -1e308, 0.0], [5e-324, 0.0], [1e300] * 12, [1e-308, 1.0], [-0.0, 0.0], [1e15, 1e15 + 1]]
)
def test_any_numbers_are_drawn_inside(values):
    study = told(values)
    for drawing in (study.plot.history(), study.plot.history(by="seconds"), study.plot.parallel()):
        drawn = [each.get("d") for each in elements(drawing, "path")]
        assert "nan" not in " ".join(drawn)
        assert "inf" not in " ".join(drawn)
    assert all(24 <= y <= 186 and 50 <= x <= 322 for x, y in centres(study.plot.history()))


def test_long_options_are_told_apart():
    names = ["nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "skip_connect", "none"]
    study = aw.Study(aw.Space(x=aw.choice(*names, name="x")), strategy="grid")
    for value in range(5):
        study.tell(study.ask(), float(value))
    texts = [each.text for each in elements(study.plot.parallel(), "text")]
    assert set(names) <= set(texts)
