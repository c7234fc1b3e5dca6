"""Pages: what all of them have in common, and the files that they are written to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from archwright._disk import write_own
from archwright._words import plain
from archwright.errors import StudyError

_MARK = "<!-- made by archwright: a report -->"
"""What a page of ours has in its first line; a file without it is not overwritten."""

_LONGEST = 300  # characters of a text of a record

_STYLE = """\
:root{color-scheme:light dark;--page:#fff;--ink:#1f2328;--mute:#57606a;--grid:#d8dee4;--tint:#f6f8fa;--link:#0969da;
--warn:#9a6700}
@media (prefers-color-scheme:dark){:root{--page:#0d1117;--ink:#e6edf3;--mute:#9da7b3;--grid:#2d333b;--tint:#151b23;
--link:#58a6ff;--warn:#d29922}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1080px;margin:0 auto;padding:16px 16px 48px}
h1{font-size:22px;line-height:1.25;margin:8px 0;overflow-wrap:anywhere}
h2{font-size:18px;margin:36px 0 8px;padding-top:12px;border-top:1px solid var(--grid)}
h3{font-size:14px;margin:14px 0 4px}
p{margin:6px 0;overflow-wrap:anywhere}
.mute,figcaption{color:var(--mute);font-size:13px}
.warn{color:var(--warn)}
.big{font-size:26px;font-weight:650;line-height:1.2;margin:4px 0}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}
th,td{padding:4px 10px 4px 0;text-align:left;border-bottom:1px solid var(--grid);vertical-align:top}
th{font-weight:600}
td.n,th.n{text-align:right}
td.n{white-space:nowrap}
th{vertical-align:bottom}
td.long{min-width:280px}
.own{font-weight:650}
pre{background:var(--tint);border:1px solid var(--grid);border-radius:6px;padding:10px;
font-size:12.5px;line-height:1.45;margin:6px 0;white-space:pre-wrap;overflow-wrap:anywhere}
details{margin:6px 0}
summary{cursor:pointer;color:var(--link)}
.charts,.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,320px),1fr));gap:18px 28px;
align-items:start}
.charts>*,.two>*{min-width:0}
figure{margin:0;max-width:520px}
figure svg{width:100%;height:auto;display:block}
figure.network svg{width:auto}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;margin:6px 0;font-size:14px}
dt{color:var(--mute)}
dd{margin:0;overflow-wrap:anywhere;min-width:0}
@media (max-width:480px){main{padding:10px 10px 40px}table{font-size:13px}
dl{grid-template-columns:1fr}dt{margin-top:4px}
td.long:last-child{min-width:720px}}
"""


def page(title: str, body: Iterable[str]) -> str:
    """Return an HTML document, which loads nothing and runs nothing."""
    head = (
        f"<!doctype html>{_MARK}\n"
        '<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{told(title)}</title><style>{_STYLE}</style></head><body><main>"
    )
    return "\n".join([head, *(each for each in body if each), "</main></body></html>\n"])


def told(text: object, longest: int = _LONGEST) -> str:
    """Return a text as HTML: escaped, without controls, and cut where it is too long."""
    shown = plain(str(text)) if len(str(text)) <= longest else f"{plain(str(text)[:longest])}…"
    return escape(shown)


def block(text: str, longest: int = 6_000) -> str:
    """Return lines as they are, such as commands or a traceback; of a long text the end."""
    shown = text if len(text) <= longest else f"…{text[-longest:]}"
    return f"<pre>{chr(10).join(escape(plain(line)) for line in shown.splitlines())}</pre>"


def table(
    names: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numbers: Iterable[int] = (),
    own: int | None = None,
    long: int | None = None,
) -> str:
    """Return a table; on a narrow screen it is scrolled.

    Args:
        names: The headings.
        rows: The cells of each row.
        numbers: The columns of numbers.
        own: A column that stands out.
        long: A column of long texts, which gets some width.
    """
    right = set(numbers)
    kinds = [[("n", place in right), ("own", place == own), ("long", place == long)] for place in range(len(names))]
    looks = [" ".join(name for name, holds in kind if holds) for kind in kinds]
    attributes = [f' class="{look}"' if look else "" for look in looks]
    head = "".join(f"<th{look}>{told(name)}</th>" for name, look in zip(names, attributes, strict=True))
    body = "".join(
        f"<tr>{''.join(f'<td{look}>{told(cell)}</td>' for cell, look in zip(row, attributes, strict=True))}</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def listed(items: Iterable[tuple[str, object]]) -> str:
    """Return names with what is said of each."""
    return f"<dl>{''.join(f'<dt>{told(name)}</dt><dd>{told(text, 2_000)}</dd>' for name, text in items)}</dl>"


def figure(svg: str, caption: str = "", look: str = "") -> str:
    """Return a drawing with what is said of it."""
    under = f"<figcaption>{told(caption, 1_000)}</figcaption>" if caption else ""
    return f"<figure{f' class={chr(34)}{look}{chr(34)}' if look else ''}>{svg}{under}</figure>"


def write(path: str | os.PathLike[str], document: str) -> Path:
    """Write a page into a new file, or over an earlier page of ours.

    Args:
        path: The file.
        document: The page.

    Raises:
        StudyError: There is something else in its place, or no folder to write into.

    Example:
        >>> from archwright.report import report, write
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 9)), strategy="grid")
        >>> write("report.html", report(study.searched())).name
        'report.html'
    """
    target = Path(path)
    if target.suffix.lower() not in (".html", ".htm"):
        raise StudyError(
            f"{target} is to be a page, whose name ends with .html: such as {target.name or 'report'}.html"
        )
    write_own(target, document, _MARK)
    return target
