"""Charts as SVG: scales with ticks, and what is drawn on them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from archwright._words import plain
from archwright.draw import Drawing

WIDTH = 340.0
"""The width of a chart, which fits a phone, in pixels; a page may show it larger."""

COLOURS = 8
"""The number of colours of lines."""

_LIGHT = ("0969da", "bc4c00", "1a7f37", "8250df", "bf3989", "946600", "1b7c83", "57606a")
_DARK = ("58a6ff", "f0883e", "3fb950", "bc8cff", "f778ba", "d29922", "39c5cf", "9da7b3")
_STYLE = (
    ".awc{--page:#fff;--ink:#1f2328;--mute:#57606a;--grid:#d8dee4;--dot:#8c959f;"
    + "".join(f"--s{n}:#{colour};" for n, colour in enumerate(_LIGHT))
    + 'font:11px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}'
    + "@media (prefers-color-scheme:dark){.awc{--page:#0d1117;--ink:#e6edf3;--mute:#9da7b3;--grid:#2d333b;"
    + "--dot:#6e7681;"
    + "".join(f"--s{n}:#{colour};" for n, colour in enumerate(_DARK))
    + "}}.awc text{fill:var(--ink)}.awc .m{fill:var(--mute)}"
    + ".awc .halo text{paint-order:stroke;stroke:var(--page);stroke-width:3px}.awc .page{fill:var(--page)}"
    + ".awc .grid{stroke:var(--grid);fill:none}.awc .line{fill:none;stroke-width:1.8;stroke-linejoin:round}"
    + ".awc .dash{stroke-dasharray:5 3;stroke-width:1.3}.awc .dot{fill:var(--dot);fill-opacity:.55}"
    + ".awc .faint{fill:none;stroke:var(--dot)}"
    + ".awc .some{fill:none;stroke:var(--s0)}"
    + ".awc .cross{stroke:var(--dot);fill:none}.awc .bar{fill:var(--s0)}.awc .weak{fill:var(--dot);fill-opacity:.6}"
    + ".awc .whisker{stroke:var(--ink);fill:none;stroke-width:1.3}"
    + "".join(f".awc .s{n}{{stroke:var(--s{n})}}.awc .f{n}{{fill:var(--s{n})}}" for n in range(COLOURS))
)
_LETTER = 6.1  # pixels of a character, on average
_STEPS = (1, 2, 5, 10)
_HUGE = 1e150


@dataclass(frozen=True)
class Scale:
    """A map from values to pixels; what lies outside is drawn at the edge.

    Args:
        low: The value at `start`.
        high: The value at `end`, above `low`.
        start: A pixel.
        end: A pixel.
        log: Whether the scale is logarithmic; `low` is above 0 then.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        low, high, at = (math.log(each) if self.log else each for each in (self.low, self.high, self._inside(value)))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Return about as many round values of the scale, with their texts."""
        if self.log and self.high / self.low >= 10:
            powers = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
            every = max(1, math.ceil(len(powers) / count))
            found = [10.0**power for power in powers[::every]]
            if len(found) < 3:
                found = [each * step for each in [10.0 ** (powers[0] - 1), *found] for step in (1, 2, 5)]
            return [
                (each, short(each))
                for each in found
                if self.low <= each * (1 + 1e-9) and each <= self.high * (1 + 1e-9)
            ]
        step = _step((self.high - self.low) / count)
        first = math.ceil(self.low / step - 1e-9)
        values = [number * step for number in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return [(value, short(value, step)) for value in values]

    def _inside(self, value: float) -> float:
        return min(max(value, self.low), self.high)


def _step(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, ... times a power of ten that is not below a number."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((each * power for each in _STEPS if each * power >= least * (1 - 1e-9)), 10 * power)


def short(value: float, step: float | None = None) -> str:
    """Return a number in few characters: "0.85", "12k", "3.4M"; with a step, in as many decimals as that has."""
    size = abs(value)
    for least, unit, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if least <= size < 1e12:
            return f"{value / unit:.4g}{letter}"
    if size and (size < 1e-3 or size >= 1e12):
        return f"{value:.2g}"
    if step is None:
        return f"{value:.4g}"
    return f"{value:.{min(6, max(0, math.ceil(-math.log10(step) - 1e-9)))}f}"


def scale(values: Iterable[float], start: float, end: float, *, log: bool = False, best: str | None = None) -> Scale:
    """Return the scale on which values are drawn, with some room on both sides.

    Args:
        values: The values; finite.
        start: The pixel of the lowest.
        end: The pixel of the highest.
        log: Whether to make it logarithmic where the values are positive and differ by a factor of 20.
        best: "high" or "low": values at the other end that are far from nearly all others are left outside.
    """
    held = sorted(values) or [0.0, 1.0]
    low, high = held[0], held[-1]
    if best is not None and len(held) >= 10:
        tenth = held[len(held) // 10], held[-1 - len(held) // 10]
        room = 1.5 * (tenth[1] - tenth[0])
        if room > 0:
            low = max(low, tenth[0] - room) if best == "high" else low
            high = min(high, tenth[1] + room) if best == "low" else high
    low, high = distinct(low, high)
    if log and low > 0 and high / low >= 20:
        return Scale(low / 1.15, high * 1.15, start, end, True)
    room = (high - low) / 25
    return Scale(low - room, high + room, start, end)


def distinct(low: float, high: float) -> tuple[float, float]:
    """Return the ends of a scale: numbers that can be told apart, and that can be reckoned with."""
    low, high = (min(max(value, -_HUGE), _HUGE) for value in (low, high))
    if high - low > 1e-12 * max(abs(low), abs(high), 1 / _HUGE):
        return low, high
    room = abs(low) / 20 if abs(low) > 1 / _HUGE else 1.0
    return low - room, high + room


def text(x: float, y: float, told: str, look: str = "", *, anchor: str = "start", room: float | None = None) -> str:
    """Return a text, cut where it is longer than its room; the whole of it is shown under the pointer."""
    told = plain(told)
    shown = told if room is None else cut(told, room)
    hint = f"<title>{escape(told[:300])}</title>" if shown != told else ""
    end = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}"{end}{_class(look)}>{escape(shown)}{hint}</text>'


def cut(told: str, room: float) -> str:
    """Return a text that is at most so many pixels wide."""
    most = max(1, int(room / _LETTER))
    return told if len(told) <= most else f"{told[: max(1, most - 1)]}…"


def width_of(told: str) -> float:
    """Return about how wide a text is."""
    return len(told) * _LETTER


def path(points: Iterable[tuple[float, float]], look: str) -> str:
    """Return a line through points."""
    told = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path{_class(look)} d="M{told}"/>'


def steps(points: Sequence[tuple[float, float]], end: float, look: str) -> str:
    """Return a line that keeps each height until the next point, and the last until `end`."""
    told = f"M{points[0][0]:.1f} {points[0][1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in points[1:])
    return f'<path{_class(look)} d="{told}H{end:.1f}"/>'


def dot(x: float, y: float, told: str = "", look: str = "dot", radius: float = 2.6) -> str:
    """Return a point, with a text under the pointer."""
    hint = f"><title>{escape(plain(told))}</title></circle>" if told else "/>"
    return f'<circle{_class(look)} cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"{hint}'


def cross(x: float, y: float, told: str) -> str:
    """Return a point of what was not allowed."""
    lines = f"M{x - 3:.1f} {y - 3:.1f}l6 6m0-6l-6 6"
    return f'<path class="cross" d="{lines}"><title>{escape(plain(told))}</title></path>'


def axes(across: Scale, up: Scale, names: tuple[str, str], *, marks: tuple[int, int] = (5, 5)) -> list[str]:
    """Return the lines and texts of two axes, with their names below, and above on the left."""
    shown = []
    for value, told in up.ticks(marks[1]):
        y = up(value)
        shown.append(f'<path class="grid" d="M{across.start:.1f} {y:.1f}H{across.end:.1f}"/>')
        shown.append(text(across.start - 5, y + 4, told, "m", anchor="end"))
    for value, told in across.ticks(marks[0]):
        x = across(value)
        shown.append(f'<path class="grid" d="M{x:.1f} {up.start:.1f}v4"/>')
        shown.append(text(x, up.start + 15, told, "m", anchor="middle"))
    shown.append(f'<path class="grid" d="M{across.start:.1f} {up.start:.1f}H{across.end:.1f}"/>')
    shown.append(text((across.start + across.end) / 2, up.start + 30, names[0], "m", anchor="middle", room=240))
    shown.append(text(4, 12, names[1], room=WIDTH - 16))
    return shown


def apart(heights: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Return heights of labels as near as possible to those given, in their order, and at least so far apart."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    placed = dict.fromkeys(order, 0.0)
    at = low
    for index in order:
        placed[index] = at = max(heights[index], at)
        at += least
    over = max(0.0, at - least - high)
    for index in reversed(order):  # push back from the end what has gone too far
        if over <= 0:
            break
        moved = placed[index] - over
        placed[index] = moved
        before = [placed[other] for other in order[: order.index(index)]]
        over = before[-1] + least - moved if before else 0.0
    return [placed[index] for index in range(len(heights))]


def drawing(parts: Iterable[str], height: float, title: str, *, width: float = WIDTH) -> Drawing:
    """Return a chart as an SVG document.

    Args:
        parts: What is drawn.
        height: Its height in pixels.
        title: A description, for screen readers.
        width: Its width in pixels.
    """
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="awc" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" style="max-width:100%;height:auto" role="img">',
        f"<title>{escape(plain(title))}</title><style>{_STYLE}</style>",
        f'<rect class="page" width="{width:.0f}" height="{height:.0f}" rx="6"/>',
        *parts,
        "</svg>\n",
    ]
    return Drawing("\n".join(lines))


def _class(look: str) -> str:
    return f' class="{look}"' if look else ""
