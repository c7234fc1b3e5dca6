"""Plots of a comparison."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archwright.errors import require

if TYPE_CHECKING:
    from archwright.bench._comparison import Comparison

# Paul Tol's muted palette, and line styles for what comes after nine.
_COLOURS = ("#332288", "#CC6677", "#117733", "#DDAA33", "#88CCEE", "#882255", "#44AA99", "#999933", "#AA4499")
_STYLES = ("-", "--", ":")
_LINEAR = 0.1  # below this a regret is drawn on a linear scale, so that zero is on the picture


def draw(comparison: Comparison, folder: Path, *, title: str) -> list[Path]:
    """Draw regret against evaluations, where they are counted, and simulated time, and the mean ranks.

    Returns:
        The PNG, the SVG, and an HTML page that holds the picture and the table.
    """
    figures = require("matplotlib.figure", extra="plots", purpose="drawing a comparison")
    figure = figures.Figure(figsize=(13, max(4.6, 1.4 + 0.26 * len(comparison.results))), layout="constrained")
    timed = comparison.seconds is not None
    widths = (2, 0.9) if timed else (1, 1, 0.9)
    *by_trials, by_time, by_rank = figure.subplots(1, len(widths), width_ratios=widths)
    order = sorted(comparison.results, key=lambda label: comparison.ranking.ranks[label])
    looks = {
        label: {"color": _COLOURS[place % 9], "linestyle": _STYLES[place // 9 % 3]} for place, label in enumerate(order)
    }
    tested = any(result.test_regret is not None for result in comparison.results.values())
    kind = "test regret" if tested else "regret"
    ends = {
        label: float(np.median(result.clock[:, -1])) if comparison.seconds is None else comparison.seconds
        for label, result in comparison.results.items()
    }
    unit, word = (3600, "hours") if max(ends.values()) > 7200 else (1, "seconds")
    for label in order:
        result = comparison.results[label]
        times = np.linspace(0, ends[label], 200)
        steps = np.arange(1, comparison.trials + 1)
        held = result.at(times) if timed else result.final
        mean, error = held.mean(0), held.std(0) / np.sqrt(max(1, len(held) - 1))
        first, across = (by_time, times / unit) if timed else (by_trials[0], steps)
        first.plot(across, mean, label=label, **looks[label])
        first.fill_between(across, mean - error, mean + error, color=looks[label]["color"], alpha=0.15, linewidth=0)
        if not timed:
            by_time.plot(times / unit, result.at(times).mean(0), **looks[label])
    for axes, name in (*((axes, "evaluations") for axes in by_trials), (by_time, f"simulated {word}")):
        axes.set_yscale("symlog", linthresh=_LINEAR)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(name)
        axes.set_ylabel(f"{kind} of the best so far")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    _draw_ranks(by_rank, comparison, order, looks)
    figure.suptitle(title, x=0.01, ha="left")
    paths = [folder / f"curves.{ending}" for ending in ("png", "svg")]
    for path in paths:
        figure.savefig(path, dpi=130)
    page = folder / "report.html"
    page.write_text(_page(title, paths[1].read_text(), str(comparison)))
    return [*paths, page]


def _draw_ranks(axes: Any, comparison: Comparison, order: list[str], looks: dict[str, dict[str, str]]) -> None:
    """Draw the mean rank of each strategy with its name, and how far apart ranks must be to differ."""
    ranks = [comparison.ranking.ranks[label] for label in order]
    places = np.arange(len(order))[::-1]
    for label, rank, place in zip(order, ranks, places, strict=True):
        axes.plot([0, rank], [place, place], linewidth=2.5, **looks[label])
        axes.annotate(f"{rank:.1f}", (rank, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(places, order)
    axes.set_xlim(0, 1.12 * max(ranks))
    axes.set_xlabel("mean rank at the end (1 is best)")
    axes.spines[["top", "right"]].set_visible(False)
    apart = comparison.ranking.critical_difference
    if np.isfinite(apart):
        axes.set_title(f"ranks {apart:.2f} apart differ (Nemenyi, 0.05)", fontsize=9)


def _page(title: str, svg: str, table: str) -> str:
    picture = svg[svg.index("<svg") :]
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{html.escape(title)}</title>"
        f"<body style='font-family:sans-serif;max-width:1300px;margin:2em auto'><h1>{html.escape(title)}</h1>"
        f"{picture}<pre>{html.escape(table)}</pre></body></html>\n"
    )
