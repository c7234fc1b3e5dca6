"""Vision transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Graph, Space, choice, graph, lazy, merge, ordinal, repeat
from archwright.spaces._registry import checked_input, register

__all__ = ["vit"]

_LAYERS = "archwright.spaces._vision:"
_SIDES = (2, 4, 7, 8, 14, 16, 32)


def _plain(space: Space) -> Iterator[dict[str, Any]]:
    """Yield the design of the papers in several sizes: four times as wide inside, as many heads as there may be."""
    values = {name: list(decision.values()) for name, decision in space.decisions.items()}
    depths = values.get("layers", [1])
    for depth, width, pooling in ((len(depths) // 2, 2, "mean"), (0, 1, "mean"), (-1, -1, "token")):
        found: dict[str, Any] = {"pooling": pooling, "dropout": 0.0}
        for name, each in values.items():
            if name == "patch":
                found[name] = "16" if "16" in each else each[0]
            elif name == "layers":
                found[name] = each[depth]
            elif name == "width":
                found[name] = each[min(width, len(each) - 1)]
            elif name.startswith("layer_"):
                found[name] = each[-1]
        yield {name: value for name, value in found.items() if name in values}


@register("vit", ranks=(3,), starts=_plain)
def vit(
    *,
    input_shape: Sequence[int] = (3, 224, 224),
    classes: int = 1000,
    widths: Sequence[int] = (48, 64, 96, 128),
    layers: tuple[int, int] = (2, 6),
    heads: Sequence[int] = (2, 3, 4),
    head_size: int = 32,
    expansions: Sequence[int] = (2, 3, 4),
    patches: Sequence[int] | None = None,
) -> Space:
    """Vision transformers: patches of the image as tokens, with searched width, depth, heads and feed-forward networks.

    The decisions are those of AutoFormer: the width (the embedding), the number of layers, and for each layer its heads
    and how many times as wide as the tokens its feed-forward network is. Heads have one size, so that their number is
    free of the width. Further decisions are the side of the patches, whether the classes are told from a class token or
    from the mean of the tokens, and the dropout. Positions are learned, and norms come before the layers.

    The default sizes are for small images. As published, ViT-Tiny has patches of 16 pixels, the width 192, 12 layers, 3
    heads of size 64 and the expansion 4; and AutoFormer-Tiny has widths of 192 to 240, 12 to 14 layers and 3 or 4 heads
    of size 64.

    Dosovitskiy et al., "An image is worth 16x16 words: Transformers for image recognition at scale", ICLR 2021; Chen et
    al., "AutoFormer: Searching transformers for visual recognition", ICCV 2021.

    Args:
        input_shape: (channels, height, width).
        classes: The number of classes.
        widths: The options for the width, ascending.
        layers: The minimum and maximum number of layers.
        heads: The options for the heads of a layer, ascending.
        head_size: Features of a head.
        expansions: The options for the expansion of the feed-forward networks, ascending.
        patches: The options for the sides of the patches, in pixels; by default those that divide the image into 4 to 8
            rows, and into up to 16 above 64 pixels.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> space = aw.spaces.create("vit", input_shape=(1, 28, 28), classes=10)
        >>> list(space.decisions["patch"].values())
        ['4', '7']
    """
    shape = checked_input("vit", input_shape, classes)
    size = min(shape[1:])
    if not 1 <= layers[0] <= layers[1]:
        raise SpaceError(f"space 'vit': layers={layers} hold 1 <= least <= greatest")
    for name, given in (("widths", widths), ("heads", heads), ("expansions", expansions), ("head_size", (head_size,))):
        if not given or min(given) < 1:
            raise SpaceError(f"space 'vit': {name} are 1 or more; {given!r} was given")
    rows = 8 if size <= 64 else 16
    suiting = [side for side in _SIDES if size % side == 0 and 4 <= size // side <= rows]
    sides = patches or suiting or [max(1, size // 7)]
    if not 1 <= min(sides) <= max(sides) <= size:
        raise SpaceError(f"space 'vit': patches of {sides} pixels do not fit {shape[1]}x{shape[2]}")
    width = ordinal(*widths, name="width")
    dropout = ordinal(0.0, 0.1, 0.2, name="dropout")
    pooling = choice("mean", "token", name="pooling")

    def stem(side: int) -> Any:
        tokens = lazy(f"{_LAYERS}PatchTokens")(width, shape[1] // side, shape[2] // side, pooling)
        return nn.Sequential(nn.Conv2d(shape[0], width, side, stride=side), tokens)

    stems = {side: stem(side) for side in sides}
    model = nn.Sequential(
        choice(stems, name="patch") if len(stems) > 1 else stems[sides[0]],
        nn.Dropout(dropout),
        repeat(lambda index: _layer(index, width, heads, head_size, expansions, dropout), *layers, name="layers"),
        nn.LayerNorm(width, eps=1e-6),
        lazy(f"{_LAYERS}Pooled")(pooling),
        nn.Linear(width, classes),
    )
    return Space(model=model, example_input=shape, name="vit")


def _layer(index: int, width: Any, heads: Sequence[int], size: int, expansions: Sequence[int], dropout: Any) -> Graph:
    attention = lazy(f"{_LAYERS}TokenAttention")(width, ordinal(*heads, name=f"layer_{index}.heads"), size)
    inner = width * ordinal(*expansions, name=f"layer_{index}.expansion")
    attended = nn.Sequential(nn.LayerNorm(width, eps=1e-6), attention, nn.Dropout(dropout))
    feed_forward = nn.Sequential(
        nn.LayerNorm(width, eps=1e-6), nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width), nn.Dropout(dropout)
    )

    def body(x: Any) -> Any:
        y = merge(x, attended(x, name="attention"), name="attended")
        return merge(y, feed_forward(y, name="feed_forward"), name="added")

    return graph(body, name="layer")
