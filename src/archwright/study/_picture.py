"""Plots of a study: probabilities by epoch, and the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.errors import StudyError, require
from archwright.trials import Objective

if TYPE_CHECKING:
    from archwright.evaluate import Learned
    from archwright.space import Decision, Space
    from archwright.trials import History, Trial

# Paul Tol's muted palette, and line styles for what comes after nine.
_COLOURS = ("#332288", "#CC6677", "#117733", "#DDAA33", "#88CCEE", "#882255", "#44AA99", "#999933", "#AA4499")
_STYLES = ("-", "--", ":")
_ACROSS = 4  # panels in a row
_PANELS = 400  # in a picture


def draw_learned(space: Space, learned: Learned | None, path: Path) -> None:
    """Draw how much each option of each decision was preferred, epoch by epoch."""
    if learned is None or not learned.probabilities or not learned.probabilities[-1]:
        raise StudyError(
            "this search learned no option probabilities to plot; the strategies darts, pc-darts, gdas, drnas and "
            "proxyless do"
        )
    names = list(learned.probabilities[-1])
    if not _fits(space, learned):
        raise StudyError("the learned probabilities cannot be plotted: their decisions are not those of the space")
    if len(names) > _PANELS:
        raise StudyError(f"{len(names):,} decisions cannot be plotted in one picture: at most {_PANELS}")
    figures = require("matplotlib.figure", extra="plots", purpose="drawing what was learned")
    columns = min(_ACROSS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = figures.Figure(figsize=(3.6 * columns, 2.4 * rows + 0.6), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    epochs = [row["step"] for row in learned.curve]
    for axes, name in zip(panels, names, strict=False):
        _draw_decision(axes, space.decisions[name], epochs, [step[name] for step in learned.probabilities])
        axes.set_title(name, fontsize=9, parse_math=False)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    figure.supxlabel("supernet epoch", fontsize=9)
    figure.supylabel("probability of each option", fontsize=9)
    _save(figure, path)


def _fits(space: Space, learned: Learned) -> bool:
    """Tell whether there is a share of each option of the same decisions in each epoch."""
    first = learned.probabilities[0]
    options = {name: space.decisions[name].size for name in first if name in space.decisions}
    return len(learned.curve) == len(learned.probabilities) and all(
        "step" in row and {name: len(shares) for name, shares in step.items()} == options
        for row, step in zip(learned.curve, learned.probabilities, strict=True)
    )


def draw_front(history: History, path: Path) -> None:
    """Draw the trials by their first two objectives, with the front, and the hypervolume over the trials beside it.

    A third objective is the colour of the trials.
    """
    objectives = history.objectives
    if len(objectives) < 2:
        raise StudyError(f"a Pareto front needs two objectives or more; this search has one, {str(objectives[0])!r}")
    if not history.complete:
        raise StudyError("there is no Pareto front yet: no trial is complete")
    figures = require("matplotlib.figure", extra="plots", purpose="drawing a front")
    figure = figures.Figure(figsize=(9, 4), layout="constrained")
    axes, beside = figure.subplots(1, 2, width_ratios=(3, 2))
    front = history.front
    whole = max(trial.share for trial in history.complete)
    rest = [trial for trial in history.complete if trial not in front and trial.share == whole]
    missed = [
        trial for trial in history.infeasible if all(objective.metric in trial.metrics for objective in objectives[:2])
    ]

    def spots(trials: Sequence[Trial], number: int) -> list[float]:
        objective = objectives[number]
        if type(objective) is Objective:
            return [trial.metrics[objective.metric] for trial in trials]
        return [objective.score(trial.metrics) for trial in trials]

    if missed:
        axes.scatter(spots(missed, 1), spots(missed, 0), marker="x", color="#BBBBBB", label="infeasible")
    colours = {"color": "#88CCEE"} if len(objectives) == 2 else {"c": spots(rest, 2), "cmap": "viridis"}
    drawn = axes.scatter(spots(rest, 1), spots(rest, 0), s=18, label="trials", **colours)
    if len(objectives) > 2:
        figure.colorbar(drawn, ax=axes, label=objectives[2].metric)
    line = sorted(zip(spots(front, 1), spots(front, 0), strict=True))
    where = "pre" if objectives[1].maximise else "post"
    axes.step(*zip(*line, strict=True), where=where, color="#CC6677", marker="o", label="Pareto front")
    axes.set_xlabel(str(objectives[1]), parse_math=False)
    axes.set_ylabel(str(objectives[0]), parse_math=False)
    axes.legend(frameon=False, fontsize=8)
    volumes = history.hypervolumes()
    if volumes:
        numbers, values = zip(*[*volumes, (len(history.trials), volumes[-1][1])], strict=True)
        beside.step(numbers, values, where="post", color="#332288")
    else:
        beside.text(0.5, 0.5, "shown from 10 trials on", ha="center", transform=beside.transAxes, color="#777777")
        beside.set_xlim(0, 10)
    beside.set_xlabel("trials")
    beside.set_ylabel("hypervolume")
    for each in (axes, beside):
        each.locator_params(axis="x", nbins=5)
        each.ticklabel_format(scilimits=(-3, 6))
        each.grid(alpha=0.25)
        each.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    kinds = figure.canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in kinds:
        raise StudyError(f"{path.name!r}: the file type must be one of {', '.join(sorted(kinds))}")
    figure.savefig(path, dpi=120)


def _draw_decision(axes: Any, decision: Decision, epochs: list[float], shares: list[tuple[float, ...]]) -> None:
    labels = getattr(decision, "labels", None) or list(decision.values())
    for place, label in enumerate(labels):
        look = {"color": _COLOURS[place % 9], "linestyle": _STYLES[place // 9 % 3]}
        text = str(label) if len(str(label)) <= 20 else f"{str(label)[:19]}…"
        axes.plot(epochs, [each[place] for each in shares], marker="." if len(epochs) < 3 else None, label=text, **look)
    axes.set_ylim(0, 1)
    axes.locator_params(axis="x", integer=True)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)
    for text in axes.legend(fontsize=6, frameon=False, ncols=2 if len(labels) > 4 else 1).get_texts():
        text.set_parse_math(False)
