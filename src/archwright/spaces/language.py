"""Language models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Space, TensorSpec, choice, graph, lazy, merge, ordinal, repeat
from archwright.spaces._registry import checked_input, register

__all__ = ["language"]

_LAYERS = "archwright.spaces._decoder:"


def _plain(space: Space) -> Iterator[dict[str, Any]]:
    """Yield small transformers as they are common today, and an LSTM."""
    values = {name: list(decision.values()) for name, decision in space.decisions.items()}
    widths = values["width"]
    modern = {"model": "transformer", "positions": "rotary", "norm": "rms", "shared": 1, "feed_forward": 4}
    modern |= {"activation": "gelu", "dropout": 0.1}
    for place, layers, heads in ((len(widths) // 2, 4, 4), (0, 2, 2), (-1, 4, 8)):
        found = {**modern, "width": widths[place], "layers": layers, "heads": heads}
        yield {name: value for name, value in found.items() if name in values and value in values[name]}
    recurrent = {"model": "recurrent", "width": widths[len(widths) // 2], "dropout": 0.1, "cell": "lstm", "depth": 2}
    yield {name: value for name, value in recurrent.items() if name in values}


@register("language", ranks=(1,), starts=_plain, special=True)
def language(
    *,
    input_shape: Sequence[int] = (64,),
    vocabulary: int = 100,
    classes: int | None = None,
    widths: Sequence[int] = (64, 96, 128, 192, 256),
    layers: tuple[int, int] = (2, 6),
) -> Space:
    """Language models: decoders of transformers, and recurrent networks.

    A network gives scores of the next token for each token of a sequence, (n, length, vocabulary), and uses the vectors
    of tokens for both (Press and Wolf 2017). The decisions are the width, the model and the dropout. Transformer
    (Vaswani et al. 2017; Radford et al., GPT-2, 2019): layers, heads, how many of them share keys and values (Ainslie
    et al. 2023), positions (learned, or rotary: Su et al. 2021), the norm (layer or root mean square: Zhang and
    Sennrich 2019), the size of the feed-forward network and its activation. Recurrent: the cell (GRU or LSTM) and its
    layers.

    Args:
        input_shape: (length,), the tokens of a sequence.
        vocabulary: The number of different tokens.
        classes: Not used; what a network gives are scores of tokens.
        widths: The options for the width, ascending; multiples of 16.
        layers: The minimum and maximum number of layers of a transformer.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> space = aw.spaces.create("language", input_shape=(16,), vocabulary=30)
        >>> space.build(aw.spaces.starts(space)[0])(torch.ones(2, 16, dtype=torch.int64)).shape
        torch.Size([2, 16, 30])
    """
    shape = checked_input("language", input_shape, 1 if classes is None else classes)
    if vocabulary < 2:
        raise SpaceError(f"space 'language': vocabulary is 2 or more, not {vocabulary!r}")
    if not widths or any(width < 16 or width % 16 for width in widths):
        raise SpaceError(f"space 'language': widths are multiples of 16; {widths!r} was given")
    if not 1 <= layers[0] <= layers[1]:
        raise SpaceError(f"space 'language': layers={layers} hold 1 <= least <= greatest")
    width, dropout = ordinal(*widths, name="width"), ordinal(0.0, 0.1, 0.2, 0.3, name="dropout")
    models = {"transformer": _transformer(width, shape[0], dropout, layers), "recurrent": _recurrent(width, dropout)}
    body = nn.Sequential(nn.Dropout(dropout), choice(models, name="model"))
    model = lazy(f"{_LAYERS}TiedModel")(body, vocabulary, width)
    return Space(model=model, example_input=TensorSpec(shape, "int64"), name="language")


def _transformer(width: Any, length: int, dropout: Any, layers: tuple[int, int]) -> Any:
    heads, shared = ordinal(2, 4, 8, name="heads"), ordinal(1, 2, name="shared")
    inner = width * ordinal(2, 3, 4, name="feed_forward")
    activation = choice({"relu": nn.ReLU(), "gelu": nn.GELU(), "silu": nn.SiLU()}, name="activation")
    norm = choice({"layer": nn.LayerNorm(width), "rms": nn.RMSNorm(width)}, name="norm")
    positions = choice("learned", "rotary", name="positions")
    attention = lazy(f"{_LAYERS}CausalAttention")(width, heads, shared, positions)
    places = lazy(f"{_LAYERS}Places")(length, width, positions)

    def block(x: Any) -> Any:
        attended = nn.Sequential(norm, attention, nn.Dropout(dropout))
        y = merge(x, attended(x, name="attention"), name="attended")
        feed_forward = nn.Sequential(
            norm, nn.Linear(width, inner), activation, nn.Linear(inner, width), nn.Dropout(dropout)
        )
        return merge(y, feed_forward(y, name="feed_forward"), name="added")

    return nn.Sequential(places, repeat(lambda _: graph(block), *layers, name="layers"), norm)


def _recurrent(width: Any, dropout: Any) -> Any:
    cells = {"gru": nn.GRU(width, width, batch_first=True), "lstm": nn.LSTM(width, width, batch_first=True)}
    layer = choice({name: _outputs(cell) for name, cell in cells.items()}, name="cell")
    return repeat(lambda _: nn.Sequential(layer, nn.Dropout(dropout)), 1, 3, name="depth")


def _outputs(cell: Any) -> Any:
    """Return a recurrent layer without its last state."""
    return graph(lambda x: cell(x, name="layer")[0], name="outputs")
