"""Numbers with nouns, figures, times and names, for messages."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["clock", "counted", "differing", "figure", "figures", "last_lines", "plain", "printable"]

_DIGITS = 4  # of a figure
_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
_COUNTS = ("epochs", "parameters", "flops")  # metrics that may be 1 or 0 of something


def counted(number: float | str, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun in the singular or the plural: "1 trial", "1,200 trials", "2.5 minutes".

    Args:
        number: How many; a number that is written already as it is.
        noun: The noun in the singular, with what stands before it: "full evaluation".
        plural: The plural, where it is not the singular with an "s".
    """
    told = number if isinstance(number, str) else f"{number:,}" if isinstance(number, int) else f"{number:,.6g}"
    return f"{told} {noun if told == '1' else plural or noun + 's'}"


def figure(name: str, value: float) -> str:
    """Return the value of a metric: "0.9750", "28,522", "15.85", "3.2e-05"."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if float(value).is_integer() and (size > 1 or name in _COUNTS):
        return f"{value:,.0f}" if size < 1e15 else f"{value:.3g}"
    if size >= 10:
        return f"{value:,.{max(0, _DIGITS - 1 - math.floor(math.log10(size)))}f}"
    return f"{value:.{_DIGITS}f}" if size >= 1e-3 or not value else f"{value:.{_DIGITS - 1}g}"


def figures(metrics: Mapping[str, float]) -> str:
    """Return metrics in one line: "loss 0.1398, accuracy 0.9750"."""
    return ", ".join(f"{name} {figure(name, value)}" for name, value in metrics.items())


def clock(seconds: float) -> str:
    """Return a duration as minutes and seconds, "0:07", or hours, minutes and seconds, "1:02:03"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def differing(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return mappings without what all have in common; whole where they are equal."""
    first = rows[0] if rows else {}
    shared = {name for name in first if all(name in row and row[name] == first[name] for row in rows)}
    if all(row.keys() <= shared for row in rows):
        shared = set()
    return [{name: value for name, value in row.items() if name not in shared} for row in rows]


def printable(text: object) -> str:
    """Return a text with its control characters, and what is no text, escaped; a stranger may have chosen it."""
    return "".join(each if each.isprintable() or each in "\n\t" else repr(each)[1:-1] for each in str(text))


def plain(text: str) -> str:
    """Return a text without controls, which could not stand in XML, and would be obeyed by a terminal."""
    return "".join(each if each.isprintable() else "·" for each in text)


def last_lines(content: bytes, count: int) -> list[str]:
    """Return the last lines of what was printed, without the control sequences of terminals."""
    text = _SEQUENCES.sub("", content.decode(errors="replace"))
    # Of a line that was written over again and again, as by a progress bar, the last state.
    return [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n") if line.strip()][-count:]
