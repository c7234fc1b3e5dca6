"""The picture of what was learned before the first trial."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.errors import StudyError, require

if TYPE_CHECKING:
    from archwright.evaluate import Learned
    from archwright.space import Decision, Space

__all__ = ["draw_learned"]

# Paul Tol's muted palette, and line styles for what comes after nine.
_COLOURS = ("#332288", "#CC6677", "#117733", "#DDAA33", "#88CCEE", "#882255", "#44AA99", "#999933", "#AA4499")
_STYLES = ("-", "--", ":")
_ACROSS = 4  # panels in a row


def draw_learned(space: Space, learned: Learned | None, path: Path) -> None:
    """Draw how much each option of each decision was preferred, epoch by epoch.

    Args:
        space: The space that was searched.
        learned: What was learned about it.
        path: The file to write; its ending says what it is, such as ".png" or ".svg".

    Raises:
        StudyError: Nothing was learned that could be drawn, or the file cannot be of that kind.
        MissingExtra: Matplotlib is not installed.
    """
    if learned is None or not learned.probabilities or not learned.probabilities[-1]:
        raise StudyError(
            "nothing was learned epoch by epoch that could be drawn: the strategies darts, pc-darts, gdas, drnas and "
            "proxyless do"
        )
    figures = require("matplotlib.figure", extra="plots", purpose="drawing what was learned")
    names = list(learned.probabilities[-1])
    columns = min(_ACROSS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = figures.Figure(figsize=(3.6 * columns, 2.4 * rows + 0.6), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    epochs = [row["step"] for row in learned.curve]
    for axes, name in zip(panels, names, strict=False):
        _draw_decision(axes, space.decisions[name], epochs, [step[name] for step in learned.probabilities])
        axes.set_title(name, fontsize=9)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    figure.suptitle("How much each option is preferred, by epoch of the supernet")
    kinds = figure.canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in kinds:
        raise StudyError(f"a picture is a file of one of the kinds {', '.join(sorted(kinds))}; {path.name!r} is none")
    figure.savefig(path, dpi=120)


def _draw_decision(axes: Any, decision: Decision, epochs: list[float], shares: list[tuple[float, ...]]) -> None:
    labels = getattr(decision, "labels", None) or list(decision.values())
    for place, label in enumerate(labels):
        look = {"color": _COLOURS[place % 9], "linestyle": _STYLES[place // 9 % 3]}
        text = str(label) if len(str(label)) <= 20 else f"{str(label)[:19]}…"
        axes.plot(epochs, [each[place] for each in shares], marker="." if len(epochs) < 3 else None, label=text, **look)
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=6, frameon=False, ncols=2 if len(labels) > 4 else 1)
