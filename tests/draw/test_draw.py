"""Drawings: what stands in them, and that they can be read by others."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from rich.console import Console

import archwright as aw
from archwright import draw, nn
from archwright.build import drawn_for
from archwright.draw._block import Block, folded
from archwright.draw._difference import compared
from archwright.draw._read import read_architecture, read_space
from archwright.draw._svg import write_svg
from archwright.errors import ArchitectureError, SpaceError

OPTIONS: dict[str, dict[str, Any]] = {
    "audio": {"input_shape": (1000,)},
    "darts": {"C": 4, "layers": 5},
    "detector": {"input_shape": (3, 64, 64)},
    "forecaster": {"input_shape": (24, 3), "classes": 3, "horizon": 6},
    "language": {"input_shape": (12,), "vocabulary": 50},
    "mlp": {"input_shape": (8,)},
    "nasbench101": {"C": 8, "N": 2},
    "recommender": {"input_shape": (2,), "users": 5, "items": 7},
    "speech": {"input_shape": (4000,), "classes": 9},
    "tabular": {"input_shape": (8,)},
    "tagger": {"input_shape": (12,), "vocabulary": 20},
    "text": {"input_shape": (12,), "vocabulary": 20},
    "translator": {"input_shape": (12,), "encoder_layers": (2, 3), "decoder_layers": (1, 2)},
    "unet": {"input_shape": (3, 32, 32)},
}
LIMIT = 100_000  # characters of a drawing


@functools.cache
def ready_made(name: str) -> aw.Space:
    return aw.spaces.create(name, **OPTIONS.get(name, {}))


def leaves(block: Block) -> Iterator[Block]:
    """Yield the layers of a block, those of repetitions once."""
    if block.kind == "layer":
        yield block
    for part in block.parts:
        yield from leaves(part)


def read(text: str) -> list[str]:
    """Return the words of an SVG document, which has to be well-formed."""
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return [" ".join(item.itertext()) for item in root.iter("{http://www.w3.org/2000/svg}text")]


def printed(tree: Any) -> str:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(tree)
    return console.export_text()


def run_with_hooks(space: aw.Space, architecture: aw.Architecture) -> Counter[tuple[str, str]]:
    """Return the classes of the layers of a built network, and the shapes of what they give."""
    network, found = space.build(architecture).eval(), Counter[tuple[str, str]]()

    def note(module: torch.nn.Module, _: Any, out: torch.Tensor) -> None:
        found[type(module).__name__, " × ".join(map(str, out.shape[1:]))] += 1

    for module in network.modules():
        if type(module).__module__.startswith("torch.nn.modules") and not list(module.children()):
            module.register_forward_hook(note)
    with torch.no_grad():
        network(*drawn_for(space.example_input, size=3))
    return found


@pytest.mark.parametrize("name", ["darts", "digits-cells", "nasbench101", "resnet", "unet"])
def test_each_layer_of_the_network_is_drawn_with_its_shape(name: str) -> None:
    space = ready_made(name)
    architecture = space.sample(np.random.default_rng(1))
    drawn = Counter[tuple[str, str]]()
    for block in leaves(read_architecture(space, architecture)):
        kind = block.title if hasattr(torch.nn, block.title) else block.detail.split(" ")[0]
        drawn[kind, block.shape] += 1
    assert drawn == run_with_hooks(space, architecture)


@pytest.mark.parametrize("name", aw.spaces.names())
def test_each_ready_made_space_is_drawn(name: str) -> None:
    space = ready_made(name)
    architecture = space.sample(np.random.default_rng(0))
    for block in (read_space(space), read_architecture(space, architecture)):
        assert folded(block).layers == block.layers
        text = write_svg(folded(block), name)
        assert read(text)
        assert "prefers-color-scheme" in text
        assert len(text.encode()) < LIMIT


def test_what_repeats_is_drawn_once() -> None:
    pair = [nn.Linear(8, 8), nn.ReLU()]
    space = aw.Space(model=nn.Sequential(*pair * 100, nn.Linear(8, 3)), example_input=(8,))
    block = folded(read_architecture(space, {}))
    assert block.layers == 201
    assert [each.title for each in leaves(block)] == ["Linear", "ReLU", "Linear"]
    words = read(draw.svg(space, {}))
    assert "× 100" in words


def test_a_deep_network_without_repeats_is_still_small() -> None:
    widths = np.random.default_rng(0).permutation(np.arange(100, 400)).tolist()
    space = aw.Space(model=nn.Sequential(*map(nn.LazyLinear, widths)), example_input=(8,))
    block = folded(read_architecture(space, {}))
    assert block.layers == 300
    assert block.drawn <= 200
    text = draw.svg(space, {})
    assert len(text) < LIMIT
    assert any("more layers" in word for word in read(text))


def test_a_graph_of_very_many_edges_is_closed() -> None:
    space = aw.spaces.create("language", input_shape=(12,), vocabulary=50, nodes=12)
    assert len(draw.svg(space)) < LIMIT
    assert folded(read_space(space)).layers == read_space(space).layers


def test_blocks_of_a_stage_refer_to_those_alike() -> None:
    def block(width: int) -> Any:
        return aw.graph(lambda x: x + nn.Sequential(*[nn.Conv2d(width, width, 3, padding=1), nn.ELU()] * 3)(x))

    stages = [part for width in (4, 8, 16) for part in (nn.LazyConv2d(width, 1), *(block(width) for _ in range(5)))]
    space = aw.Space(model=nn.Sequential(*stages, nn.ReLU(), *[nn.Dropout(i / 50) for i in range(35)]))
    block_ = folded(read_architecture(space, {}, (3, 8, 8)))
    assert block_.layers == 3 + 3 * 5 * 6 + 1 + 35
    again = [part for part in block_.parts[0].parts if part.kind == "again"]
    assert [(part.times, part.layers, part.shape) for part in again] == [(5, 30, "8 × 8 × 8"), (5, 30, "16 × 8 × 8")]


def test_options_stand_in_their_places() -> None:
    width = aw.ordinal(8, 16, name="width")
    space = aw.Space(
        model=nn.Sequential(
            aw.repeat(lambda i: nn.LazyLinear(width), 1, 3),
            aw.choice(nn.ReLU(), nn.Tanh(), name="activation"),
            aw.choice({"wide": nn.LazyLinear(64), "deep": nn.Sequential(nn.LazyLinear(8), nn.LazyLinear(9))}),
            nn.Dropout(aw.real(0.1, 0.5)),
        ),
        optimizer=aw.optim.SGD(lr=aw.ordinal(0.1, 0.2)),
    )
    words = read(draw.svg(space))
    assert "repeat × 1–3" in words
    assert "Linear width: 8|16" in words
    assert "ReLU | Tanh activation: one of" in words
    assert "wide Linear 64" in words
    assert "Dropout 0.1–0.5" in words
    assert "optimizer SGD: lr 0.1|0.2" in words


def test_values_of_a_graph_are_joined_by_edges() -> None:
    space = aw.Space(model=aw.graph(lambda x: aw.merge(x, nn.ReLU()(x), nn.Tanh()(x), kind="concat")))
    block = read_architecture(space, {}, (4,)).parts[0].parts[-1]
    takes = {part.title: (part.shape, part.takes) for part in block.parts}
    assert takes == {
        "ReLU": ("4", ("<0",)),
        "Tanh": ("4", ("<0",)),
        "concat": ("12", ("<0", "relu", "tanh")),
    }


def test_folding_keeps_the_edges_of_a_graph() -> None:
    def twice(kind: Any) -> Any:
        return nn.Sequential(*[nn.Sequential(nn.Linear(4, 4), kind())] * 2)

    join = aw.graph(lambda a, b: aw.merge(a, b))
    space = aw.Space(model=aw.graph(lambda x: twice(nn.ReLU)(join(twice(nn.Tanh)(x, name="down"), x), name="up")))
    (graph,) = (part for part in folded(read_architecture(space, {}, (4,))).parts[0].parts if part.kind == "graph")
    assert [(part.name, part.kind, part.times, part.takes) for part in graph.parts] == [
        ("down", "row", 2, ("<0",)),
        ("graph", "join", 1, ("down", "<0")),
        ("up", "row", 2, ("graph",)),
    ]


def test_names_are_no_markup() -> None:
    options = {"<script>alert(1)</script>": nn.ReLU(), "b\x1b[2J&\x00": nn.Sequential(nn.Tanh(), nn.ReLU())}
    space = aw.Space(
        model=nn.Sequential(aw.choice(options, name="<b>&"), nn.Dropout(aw.choice(0.1, 0.2, name='"\x07<i>'))),
        name="<title>",
    )
    for text in (draw.svg(space), draw.svg(space, {"<b>&": "b\x1b[2J&\x00", '"\x07<i>': 0.1})):
        read(text)
        assert not {"<script", "<b>", "<i>", "\x1b", "\x00"} & {
            part for part in ("<script", "<b>", "<i>") if part in text
        }
        assert "\x1b" not in text
    assert "\x1b" not in printed(draw.tree(space))
    table = draw.difference({"<b>&": "<i>"}, {"<b>&": "x"})._repr_html_()
    assert "<b>" not in table
    assert "<i>" not in table
    assert "<b>" not in aw.Architecture({"<b>&": "<i>"})._repr_html_()


@pytest.mark.parametrize("name", ["darts", "language", "nasbench201", "resnet"])
def test_a_difference_has_the_decisions_that_differ(name: str) -> None:
    space, rng = ready_made(name), np.random.default_rng(3)
    first, second = space.sample(rng), space.sample(rng)
    found = {row[0]: row[1:] for row in draw.difference(first, second).rows}
    everything = {*first, *second}
    assert set(found) == {each for each in everything if first.get(each, "absent") != second.get(each, "absent")}
    for each, (before, now) in found.items():
        assert before == (repr(first[each]) if each in first else "")
        assert now == (repr(second[each]) if each in second else "")
    assert draw.difference(first, first).rows == ()
    assert read(draw.svg(space, first, other=second))


def marks(block: Block) -> list[tuple[str, str]]:
    own = [(block.mark, f"{block.title} {block.detail}".strip())] if block.mark else []
    return own + [mark for part in block.parts for mark in marks(part)]


def test_what_differs_is_marked_and_nothing_else() -> None:
    space = aw.Space(
        model=nn.Sequential(
            nn.Conv2d(3, 8, aw.ordinal(3, 5, name="kernel"), padding="same"),
            aw.choice(nn.ReLU(), nn.Tanh(), name="activation"),
            aw.repeat(lambda i: nn.Conv2d(8, 8, 1), 1, 2, name="depth"),
        ),
        example_input=(3, 8, 8),
    )
    base = {"kernel": 3, "activation": "ReLU()", "depth": 1}

    def marked(**changes: Any) -> list[tuple[str, str]]:
        both = [read_architecture(space, each) for each in (base, {**base, **changes})]
        return marks(compared(*both))

    assert marked() == []
    assert marked(kernel=5) == [("changed", "Conv2d 3 → 8, kernel 3 ⇒ 5, padding same")]
    assert marked(activation="Tanh()") == [("old", "ReLU"), ("new", "Tanh")]
    assert marked(depth=2) == [("new", "Conv2d 8 → 8, kernel 1")]


def layers_without(block: Block, mark: str) -> int:
    """Return the number of layers of a difference, without those of one side."""
    if block.mark == mark:
        return 0
    if not block.parts:
        return block.layers
    return block.times * sum(layers_without(part, mark) for part in block.parts)


@pytest.mark.parametrize("name", ["darts", "mobile", "nasbench201", "recommender", "unet"])
def test_a_difference_holds_both_networks(name: str) -> None:
    space, rng = ready_made(name), np.random.default_rng(5)
    old, new = (read_architecture(space, space.sample(rng)) for _ in range(2))
    both = compared(old, new)
    assert layers_without(both, "new") == old.layers
    assert layers_without(both, "old") == new.layers


def test_the_difference_of_two_cells_is_one_graph() -> None:
    space = ready_made("nasbench201")
    texts = ["|none~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|none~1|none~2|"]
    texts.append(texts[0].replace("skip_connect~0", "nor_conv_1x1~0").replace("none~2", "skip_connect~2"))
    both = [read_architecture(space, aw.spaces.nasbench201.from_string(text)) for text in texts]
    cell = next(part for part in compared(*both).parts[0].parts if part.title == "cell")
    told = {(part.mark, part.title) for part in cell.parts if part.mark}
    assert told == {("old", "skip_connect"), ("new", "nor_conv_1x1"), ("new", "skip_connect"), ("new", "+")}
    (skipped,) = (part for part in cell.parts if (part.mark, part.title) == ("new", "skip_connect"))
    assert skipped.takes == ("edge_0_2",)


def test_a_tree_has_layers_arguments_and_shapes() -> None:
    space = aw.Space(
        model=nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), aw.graph(lambda x: x + nn.Conv2d(8, 8, 1)(x))),
        example_input=(3, 8, 8),
    )
    text = printed(draw.tree(space, {}))
    assert "Conv2d  3 → 8, kernel 3  8 × 6 × 6" in text
    assert "sum: +  8 × 6 × 6  ← input, conv2d" in text


class Scaled(torch.nn.Module):
    """Looks at numbers, which the meta device does not have, and holds layers."""

    def __init__(self, body: torch.nn.Module, scale: float) -> None:
        super().__init__()
        self.body = body
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.isfinite().all().item()
        return self.scale * self.body(x)


def test_layers_of_a_module_of_your_own_are_drawn_inside_of_it() -> None:
    named = nn.Sequential({"first": nn.LazyLinear(5), "second": nn.ReLU()})
    space = aw.Space(
        model=nn.Sequential(aw.lazy(Scaled)(named, scale=aw.real(0.1, 1.0)), nn.LazyLinear(3)), example_input=(4,)
    )
    text = printed(draw.tree(space, {"model.0.scale": 0.5}))
    for line in ("Scaled  scale 0.5  5", "Linear  4 → 5  5", "ReLU  5", "Linear  5 → 3  3"):
        assert line in text
    assert "Scaled  scale 0.1–1" in printed(draw.tree(space))


def test_options_that_share_parts_do_not_unfold_without_end() -> None:
    model: Any = nn.Linear(4, 4)
    for depth in range(16):
        model = aw.choice({name: nn.Sequential(model, nn.ReLU()) for name in "ab"}, name=f"choice_{depth}")
    assert len(draw.svg(aw.Space(model=model))) < LIMIT


def test_without_an_input_there_are_no_shapes() -> None:
    space = aw.Space(model=nn.LazyLinear(3))
    assert read(draw.svg(space, {})) == ["Linear 3"]
    assert read(draw.svg(space, {}, example_input=(4,))) == ["input 4", "Linear 4 → 3", "3"]


def test_a_notebook_shows_drawings_and_tables() -> None:
    space = aw.Space(model=nn.Linear(4, aw.ordinal(2, 3, name="width")))
    assert space._repr_html_() == draw.svg(space)
    assert "<td>width</td><td>2</td>" in aw.Architecture({"width": 2})._repr_html_()
    assert len(repr(draw.svg(space))) < 80
    assert len(repr(ready_made("darts").sample(np.random.default_rng(0)))) < 1000
    assert len(repr(aw.Architecture({f"d{i}": i for i in range(1000)}))) < 400


def test_what_cannot_be_drawn_is_said() -> None:
    space = aw.Space(model=nn.Linear(4, aw.ordinal(2, 3, name="width")))
    with pytest.raises(SpaceError, match="other is an architecture"):
        draw.svg(space, other={"width": 2})
    with pytest.raises(ArchitectureError, match="width"):
        draw.tree(space, {"width": 7})
    assert "rate 1|2" in read(draw.svg(aw.Space(rate=aw.choice(1, 2, name="rate"))))[0].replace("rate: ", "")
