"""What the tests of reports share."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import archwright as aw

HOSTILE = "<script>alert(1)</script>"
SPACE = aw.Space(
    width=aw.ordinal(16, 32, 64, name="width"),
    rate=aw.real(1e-4, 1e-1, log=True, name="rate"),
    kind=aw.choice("plain", aw.choice("a", "b", name="variant"), name="kind"),
    other=aw.choice(1, 2, 3, name=HOSTILE),
)


def evaluate(candidate):
    a = candidate.architecture
    if candidate.seed % 5 == 0:
        raise ValueError(f"<b>broken</b> \x1b[31m at {candidate.seed}")
    value = a["width"] / 100 + 0.1 * (a.get("variant") == "a") + candidate.seed % 100 / 1e5
    for epoch in (1, 2):
        candidate.record(epoch, value=value * epoch / 2)
    return {"value": value, "cost": a["width"] * a["rate"]}


class Page(HTMLParser):
    """A page as it is parsed: its elements, the text outside styles, and what its attributes name."""

    VOID = ("meta", "br", "circle", "path", "rect")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.links = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]
        assert not [name for name, _ in attributes if name.startswith("on")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data.strip())

    @property
    def text(self):
        return " ".join(filter(None, self.texts))


def elements(drawing, tag, look=None):
    """Return the elements of a drawing with a tag and a class."""
    root = ElementTree.fromstring(drawing)
    found = root.iter(f"{{http://www.w3.org/2000/svg}}{tag}")
    return [each for each in found if look is None or look in each.get("class", "").split()]


def numbers(text):
    return [float(each) for each in re.findall(r"-?\d+\.?\d*", text)]
