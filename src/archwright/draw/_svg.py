"""Blocks as SVG: a vertical flow in cards, with graphs in ranks and skip connections as curves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from archwright._words import plain
from archwright.draw._block import Block

_STYLE = (
    """\
.aw{--page:#fff;--ink:#1f2328;--mute:#57606a;--line:#8c959f;--card:#d0d7de;--tint:#f6f8fa;--plain:#eef1f4;--conv:#d8e8fb;\
--norm:#eceff2;--act:#fdeac2;--pool:#d8f2dc;--dense:#e6defa;--mix:#fbdcea;--open:#8250df;--old:#cf222e;--new:#1a7f37;\
--changed:#9a6700;font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
@media (prefers-color-scheme:dark){.aw{--page:#0d1117;--ink:#e6edf3;--mute:#9da7b3;--line:#6e7681;--card:#3d444d;\
--tint:#151b23;--plain:#262c36;--conv:#17365a;--norm:#2a3038;--act:#4d3a0c;--pool:#14402a;--dense:#372a63;\
--mix:#55203c;--open:#b794f6;--old:#f85149;--new:#3fb950;--changed:#d29922}}
.aw text{fill:var(--ink)}.aw .t{font-weight:600}.aw .m{fill:var(--mute);font-size:10.5px}
.aw .g{fill:var(--tint);stroke:var(--card)}.aw .q{stroke-dasharray:4 3}.aw path{fill:none;stroke:var(--line)}
"""
    + "".join(
        f".aw .{name}{{fill:var(--{name})}}"
        for name in ("page", "plain", "conv", "norm", "act", "pool", "dense", "mix")
    )
    + "".join(f".aw .{name}{{stroke:var(--{name});stroke-width:1.5}}" for name in ("open", "changed", "new", "old"))
)
_CLASSES = {
    "norm": ("norm",),
    "conv": ("conv", "depthwise", "shortcut"),
    "mix": ("attention", "gru", "lstm", "rnn", "transformer", "recurrent"),
    "pool": ("pool", "upsample", "interpolate", "flatten"),
    "act": ("relu", "gelu", "silu", "tanh", "sigmoid", "softmax", "elu", "swish", "mish", "dropout"),
    "dense": ("linear", "embedding"),
}
_SIGNS = {"old": "− ", "new": "+ "}
_GAP, _PAD, _LANE = 16, 7, 8
_WIDE, _SLIM = 344, 128  # the widest layer, by itself and beside others
_NARROW = set("iljtfrI.,:;|'()[]! ")


@dataclass
class _Box:
    """The size of a block, and what draws it in a place."""

    width: float
    height: float
    draw: Callable[[float, float, float], list[str]]


def write_svg(block: Block, title: str) -> str:
    """Return an SVG document.

    Args:
        block: What is drawn.
        title: A description, for screen readers.
    """
    box = _box(block, _WIDE)
    width, height = max(box.width, 300) + 2 * _PAD, box.height + 2 * _PAD
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="aw" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" style="max-width:100%;height:auto" role="img">',
        f"<title>{_safe(title)}</title><style>{_STYLE}</style>",
        f'<rect class="page" width="{width:.0f}" height="{height:.0f}" rx="6"/>',
        *box.draw(_PAD, _PAD, width - 2 * _PAD),
        "</svg>\n",
    ]
    return "\n".join(lines)


def _box(block: Block, room: float) -> _Box:
    """Return how a block is drawn in a room, in which its layers fit; beside each other blocks may need more."""
    if block.kind in ("layer", "again"):
        return _layer(block, room)
    if block.kind == "join":
        return _join(block)
    has_card = _has_card(block)
    room = max(room - 2 * _PAD * has_card, _SLIM)
    inner = _graph(block, room) if block.kind == "graph" else _row(block, room)
    return _card(block, inner) if has_card else inner


def _has_card(block: Block) -> bool:
    return bool(block.title or block.times > 1 or block.mark or block.kind in ("graph", "options"))


# ---------------------------------------------------------------------- layers


def _layer(block: Block, most: float) -> _Box:
    times = f" × {block.times}" if block.times > 1 else ""
    title, detail = _SIGNS.get(block.mark, "") + block.title + times, block.detail
    if block.kind == "again" or (block.hidden and block.kind == "layer"):
        detail = "as above" if block.kind == "again" else f"{block.hidden:,} layers"
    slim = most <= _SLIM + 20
    wide = _width(title, 1.14)
    one = wide + _width(detail, 0.88) + _width(block.shape, 0.88) + 36
    # Each line: its text on the left, and on the right.
    if one <= most or not (detail or block.shape):
        lines = [(title, detail, block.shape)]
        width = one
    else:
        below = _wrapped(detail, most - 16)
        below += [block.shape] if slim and block.shape else []
        lines = [(title, "", "" if slim else block.shape), *(("", text, "") for text in below)]
        beside = 0 if slim or not block.shape else _width(block.shape, 0.88) + 12
        width = max(wide + beside, *(_width(text, 0.88) for text in below), 0) + 16
    width, height = min(width, most), 10 + 15.0 * len(lines)

    def draw(x: float, y: float, across: float) -> list[str]:
        look = f"{'g q' if block.kind == 'again' else _class(block)}{_marks(block)}"
        shown = [_rectangle(x, y, across, height, look, _cut(f"{title} {block.detail} {block.shape}", 2_000, 1))]
        for place, (bold, light, right) in enumerate(lines):
            at = y + 16 + 15 * place
            room = across - 16 - (_width(right, 0.88) + 10 if right else 0)
            bold = _cut(bold, room, 1.14)
            text = f'<tspan class="t">{_safe(bold)}</tspan>' if bold else ""
            if light:
                start = _width(bold, 1.14) + 6 if bold else 0
                light = _safe(_cut(light, room - start, 0.88))
                text += f'<tspan class="m"{" dx=" + chr(34) + "6" + chr(34) if bold else ""}>{light}</tspan>'
            shown.append(f'<text x="{x + 8:.0f}" y="{at:.0f}">{text}</text>')
            if right:
                shown.append(
                    f'<text class="m" x="{x + across - 8:.0f}" y="{at:.0f}" text-anchor="end">{_safe(right)}</text>'
                )
        return shown

    return _Box(width, height, draw)


def _join(block: Block) -> _Box:
    title = _cut(block.title, 150, 1.14) + (f" × {block.times}" if block.times > 1 else "")
    shown = " · ".join(filter(None, (block.detail, block.shape)))
    wide = _width(title, 1.14)
    width = min(max(26, wide + (_width(shown, 0.88) + 6 if shown else 0) + 19), _WIDE)
    shown = _cut(shown, width - wide - 24, 0.88)

    def draw(x: float, y: float, across: float) -> list[str]:
        left = x + (across - width) / 2
        text = f'<tspan class="t">{_safe(title)}</tspan>'
        if shown:
            text += f'<tspan class="m" dx="6">{_safe(shown)}</tspan>'
        return [
            _rectangle(left, y, width, 22, f"plain{_marks(block)}", f"{title} {shown}", 11),
            f'<text x="{left + width / 2:.0f}" y="{y + 15:.0f}" text-anchor="middle">{text}</text>',
        ]

    return _Box(width, 22, draw)


# ---------------------------------------------------------------------- several


def _card(block: Block, inner: _Box) -> _Box:
    times = f"× {block.times}" if block.times > 1 else ""
    head = 20 if block.title or block.detail or times else _PAD
    needed = _width(block.title, 1.14) + _width(block.detail, 0.88) + _width(times, 1.14) + 40
    width = max(inner.width + 2 * _PAD, min(needed, _WIDE))
    height = inner.height + head + _PAD

    def draw(x: float, y: float, across: float) -> list[str]:
        look = f"g{' q' if block.kind == 'options' else ''}{_marks(block)}"
        shown = [_rectangle(x, y, across, height, look, f"{block.caption} {block.detail} {times}", 8)]
        room = across - 16 - _width(times, 1.14)
        title = _cut(_SIGNS.get(block.mark, "") + block.title, room, 1.14)
        text = f'<tspan class="t">{_safe(title)}</tspan>' if title else ""
        detail = _cut(block.detail, room - _width(title, 1.14) - 6, 0.88)
        text += f'<tspan class="m" dx="{6 if title else 0}">{_safe(detail)}</tspan>' if detail else ""
        if text:
            shown.append(f'<text x="{x + 8:.0f}" y="{y + 14:.0f}">{text}</text>')
        if times:
            at = f'x="{x + across - 8:.0f}" y="{y + 14:.0f}" text-anchor="end"'
            shown.append(f'<text class="t" {at}>{times}</text>')
        return shown + inner.draw(x + _PAD, y + head, across - 2 * _PAD)

    return _Box(width, height, draw)


def _row(block: Block, room: float) -> _Box:
    boxes = [_box(part, room) for part in block.parts]
    gap = 10 if block.kind == "row" else 6
    height = sum(box.height for box in boxes) + gap * max(0, len(boxes) - 1)

    def draw(x: float, y: float, across: float) -> list[str]:
        shown: list[str] = []
        for place, (box, part) in enumerate(zip(boxes, block.parts, strict=True)):
            if place and block.kind == "row" and (block.parts[place - 1].mark, part.mark) != ("old", "new"):
                shown.append(_edge(x + across / 2, y - gap, x + across / 2, y))
            shown += box.draw(x, y, across)
            y += box.height + gap
        return shown

    return _Box(max((box.width for box in boxes), default=20), height, draw)


def _graph(block: Block, room: float) -> _Box:
    ranks = _ranks(block, room + 2 * _PAD)
    boxes = {part.name: _box(part, _SLIM if len(rank) > 1 else room - _LANE - 4) for rank in ranks for part in rank}
    place = {part.name: number for number, rank in enumerate(ranks) for part in rank}
    inputs = [f"<{index}" for index in range(block.inputs)]
    place |= dict.fromkeys(inputs, -1)
    # Edges over more than one rank take a lane at the right side, one for each value that they come from.
    ends: dict[str, int] = {}
    for rank in ranks:
        for part in rank:
            for name in _names(part):
                if place[part.name] - place[name] > 1:
                    ends[name] = max(ends.get(name, 0), place[part.name])
    lanes: dict[str, int] = {}
    for name, end in ends.items():
        taken = {lanes[o] for o in lanes if place[o] < end and place[name] < ends[o]}
        lanes[name] = next(lane for lane in range(len(ends)) if lane not in taken)
    side = (max(lanes.values()) + 1) * _LANE + 4 if lanes else 0
    widths = [sum(boxes[part.name].width + 8 for part in rank) - 8 for rank in ranks]
    heights = [max(boxes[part.name].height for part in rank) for rank in ranks]
    marks: dict[str, str] = {part.name: part.mark for part in block.parts if part.mark in ("old", "new")}
    looks = {"?": "q", "-": "old q", "+": "new"}
    top = 10.0
    height = top + sum(heights) + _GAP * len(ranks)

    def draw(x: float, y: float, across: float) -> list[str]:
        room, shown, edges = across - side, list[str](), list[str]()
        out: dict[str, tuple[float, float]] = {}
        into: dict[str, tuple[float, float]] = {}
        floors: dict[str, float] = {}
        for index, name in enumerate(inputs):
            out[name] = x + room * (index + 1) / (len(inputs) + 1), y + 4
            shown.append(f'<circle class="page" cx="{out[name][0]:.0f}" cy="{y + 4:.0f}" r="3" stroke="var(--line)"/>')
        at = y + top + _GAP - 6
        for rank, width, tall in zip(ranks, widths, heights, strict=True):
            alone = len(rank) == 1 and rank[0].kind != "join"
            left = x + (0 if alone else (room - width) / 2)
            for part in rank:
                box = boxes[part.name]
                wide = room if alone else box.width
                shown += box.draw(left, at, wide)
                into[part.name], out[part.name] = (left + wide / 2, at), (left + wide / 2, at + box.height)
                floors[part.name] = at + tall
                left += wide + 8
            at += tall + _GAP
        for rank in ranks:
            for part in rank:
                for name, taken in zip(_names(part), part.takes, strict=True):
                    (x1, y1), (x2, y2) = out[name], into[part.name]
                    look = looks.get(taken[-1]) or marks.get(part.name) or marks.get(name, "")
                    if name in lanes and place[part.name] - place[name] > 1:
                        lane = x + room + 4 + lanes[name] * _LANE
                        edges.append(_lane(x1, y1, floors.get(name, y1), x2, y2, lane, look))
                    else:
                        edges.append(_edge(x1, y1, x2, y2, look))
        (last, bottom) = out[block.parts[-1].name]
        return [*edges, *shown, f'<path d="M{last:.0f} {bottom:.0f}V{y + height + _PAD:.0f}"/>']

    return _Box(max(widths) + side, height, draw)


def _names(part: Block) -> list[str]:
    return [name.rstrip("?-+") for name in part.takes]


def _ranks(block: Block, room: float) -> list[list[Block]]:
    """Return the blocks of a graph in ranks, each after all that it takes; a rank that is wide enough takes no more."""
    ranks: list[list[Block]] = []
    widths: dict[str, float] = {}
    place: dict[str, int] = {f"<{index}": -1 for index in range(block.inputs)}
    for part in block.parts:
        at = 1 + max((place[name] for name in _names(part)), default=-1)
        widths[part.name] = _box(part, _SLIM).width
        while at < len(ranks) and widths[part.name] + sum(widths[other.name] + 8 for other in ranks[at]) > room:
            at += 1
        while at >= len(ranks):
            ranks.append([])
        ranks[at].append(part)
        place[part.name] = at
    centre: dict[str, float] = {f"<{index}": (index + 1) / (block.inputs + 1) for index in range(block.inputs)}
    for rank in ranks:
        rank.sort(key=lambda part: sum(centre[n] for n in _names(part)) / max(1, len(part.takes)))
        centre |= {part.name: (index + 0.5) / len(rank) for index, part in enumerate(rank)}
    return ranks


# ---------------------------------------------------------------------- shapes and text


def _edge(x1: float, y1: float, x2: float, y2: float, look: str = "") -> str:
    middle = (y1 + y2) / 2 if y2 - y1 < 40 else y2 - _GAP / 2
    curve = f"C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} " if abs(x1 - x2) > 1 else "L"
    start = f"V{y2 - _GAP:.0f}" if y2 - y1 >= 40 else ""
    return f'<path{_look(look)} d="M{x1:.0f} {y1:.0f}{start}{curve}{x2:.0f} {y2:.0f}m-3-4l3 4 3-4"/>'


def _lane(x1: float, y1: float, floor: float, x2: float, y2: float, lane: float, look: str) -> str:
    """Return the curve of a skip connection, out to a lane and back."""
    out, back = floor + _GAP - 6, y2 - _GAP + 4
    curve = f"M{x1:.0f} {y1:.0f}V{floor:.0f}C{x1:.0f} {out:.0f} {lane:.0f} {floor:.0f} {lane:.0f} {out + 6:.0f}"
    curve += f"V{back - 6:.0f}C{lane:.0f} {y2 - 2:.0f} {x2:.0f} {back - 4:.0f} {x2:.0f} {y2:.0f}"
    return f'<path{_look(look)} d="{curve}m-3-4l3 4 3-4"/>'


def _look(look: str) -> str:
    return f' class="{look}"' if look else ""


def _rectangle(x: float, y: float, width: float, height: float, look: str, told: str, rx: int = 5) -> str:
    size = f'x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="{rx}"'
    return f'<rect class="{look}" {size}><title>{_safe(" ".join(told.split()))}</title></rect>'


def _class(block: Block) -> str:
    text = f"{block.title} {block.detail.split(' ')[0]}".lower()
    return next((kind for kind, words in _CLASSES.items() if any(word in text for word in words)), "plain")


def _marks(block: Block) -> str:
    return (f" {block.mark}" if block.mark else " open" if block.is_open else "") + " q" * (block.mark == "old")


def _width(text: str, size: float) -> float:
    """Return about how wide a text is in a font of a size, in 12 pixels."""
    return size * sum(4.2 if c in _NARROW else 9.0 if c.isupper() or c in "mwMW@→⇒…×" else 7.3 for c in text)


def _cut(text: str, room: float, size: float) -> str:
    if not text or _width(text, size) <= room:
        return text
    while text and _width(text, size) > room - 8:
        text = text[:-1]
    return f"{text}…"


def _wrapped(text: str, room: float) -> list[str]:
    """Return a list of arguments in up to three lines."""
    lines: list[str] = []
    words: list[str] = []
    for word in text.split(", ") if text else ():
        source, arrow, target = word.partition(" → ")
        words += [f"{source} →", target] if arrow and _width(word, 0.88) > room else [word]
    for word in words:
        if lines and (len(lines) == 3 or _width(f"{lines[-1]}, {word}", 0.88) <= room):
            lines[-1] += f", {word}"
        else:
            lines.append(word)
    return lines


def _safe(text: str) -> str:
    return escape(plain(text))
