"""Networks from one sequence of tokens to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Graph, Space, TensorSpec, choice, graph, lazy, merge, ordinal
from archwright.spaces._encoders import embedding, recurrent
from archwright.spaces._registry import checked_input, register

__all__ = ["translator"]

_LAYERS, _SEQUENCE = "archwright.spaces._translator:", "archwright.spaces._sequence:"
_KEPT = 3  # layers of an encoder, the last ones, that a decoder may attend to


def _plain(space: Space) -> Iterator[dict[str, Any]]:
    """Yield a GRU with attention, which learns fastest, and small transformers."""
    values = {name: list(decision.values()) for name, decision in space.decisions.items()}
    common = {"dropout": 0.1, "recurrent.cell": "gru", "recurrent.hidden": 128, "recurrent.directions": 2}
    common |= {"recurrent.layers": 1, "gru.layers": 1}
    for model, place, layers in (("recurrent", -2, 0), ("transformer", -2, 3), ("transformer", 0, 2)):
        found = {**common, "model": model}
        for name, options in values.items():
            if name in ("encoder.layers", "decoder.layers"):
                found[name] = min(options, key=lambda each: abs(int(str(each)) - layers))
            elif name.endswith(".width"):
                found[name] = options[max(place, -len(options))]
            elif name.endswith((".heads", ".feed_forward", ".attended")):
                found[name] = options[0] if place == 0 or not name.endswith(".feed_forward") else options[1]
        yield {name: value for name, value in found.items() if name in values}


@register("translator", ranks=(1,), starts=_plain, special=True)
def translator(
    *,
    input_shape: Sequence[int] = (32,),
    length: int = 32,
    read: int = 1_000,
    classes: int = 1_000,
    widths: Sequence[int] = (64, 128, 160),
    encoder_layers: tuple[int, int] = (2, 6),
    decoder_layers: tuple[int, int] = (1, 6),
) -> Space:
    """Encoders and decoders for translation and summarisation: transformers, and a GRU with attention.

    A network takes the tokens of the source, (n, source length), and those of the target so far, (n, target length),
    int64 with 0 as padding, and gives scores of the next token of the target, (n, target length, classes). The vectors
    of the target's tokens are used for both.

    The transformers are those of Wang et al., "HAT: Hardware-aware transformers for efficient natural language
    processing", ACL 2020, at a quarter of the size: the widths of encoder and decoder and their layers; in each layer
    the heads and the size of the feed-forward network; and how many of the last layers of the encoder a layer of the
    decoder attends to. The norm stands before each part. The other model is the one of Luong, Pham and Manning,
    "Effective approaches to attention-based neural machine translation", EMNLP 2015, with one or two layers.

    Args:
        input_shape: (length,), the tokens of a source, at most.
        length: The tokens of a target, at most.
        read: The number of different tokens of the source, with padding.
        classes: The number of different tokens of the target, with padding.
        widths: The options for the widths, ascending; multiples of 8.
        encoder_layers: The minimum and maximum number of layers of an encoder; 2 or more.
        decoder_layers: The same of a decoder; 1 or more.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> space = aw.spaces.create("translator", input_shape=(9,), length=7, read=30, classes=20, widths=(16,))
        >>> network = space.build(aw.spaces.starts(space)[0])
        >>> network(torch.ones(2, 9, dtype=torch.int64), torch.ones(2, 7, dtype=torch.int64)).shape
        torch.Size([2, 7, 20])
    """
    shape = checked_input("translator", input_shape, classes)
    if length < 1 or read < 2:
        raise SpaceError(f"space 'translator': length is 1 or more, and read 2 or more; not {length!r} and {read!r}")
    if not widths or any(width < 8 or width % 8 for width in widths):
        raise SpaceError(f"space 'translator': widths are multiples of 8, as the heads divide them; not {widths!r}")
    if not _KEPT - 1 <= encoder_layers[0] <= encoder_layers[1] or not 1 <= decoder_layers[0] <= decoder_layers[1]:
        raise SpaceError(
            f"space 'translator': encoder_layers={encoder_layers} hold 2 <= least <= greatest, and decoder_layers="
            f"{decoder_layers} 1 <= least <= greatest"
        )
    inside, outside = ordinal(*widths, name="encoder.width"), ordinal(*widths, name="decoder.width")
    dropout = ordinal(0.0, 0.1, 0.2, 0.3, name="dropout")
    models = {
        "transformer": _transformer(inside, outside, (shape[0], length), dropout, (encoder_layers, decoder_layers)),
        "recurrent": _recurrent(inside, outside, dropout),
    }
    model, source_vectors = choice(models, name="model"), embedding(read, inside, dropout)

    def network(source: Any, target: Any) -> Any:
        vectors = lazy(f"{_LAYERS}Vectors")(classes, outside)(target, name="vectors")
        is_word = lazy("torch:ne")(target, 0)[..., None]
        y = nn.Dropout(dropout)(nn.functional.embedding(target, vectors) * is_word, name="target")
        return nn.functional.linear(model(source_vectors(source, name="source"), y, name="model"), vectors)

    specs = [TensorSpec(shape, "int64"), TensorSpec((length,), "int64")]
    return Space(model=graph(network), example_input=specs, name="translator")


def _recurrent(inside: Any, outside: Any, dropout: Any) -> Graph:
    attending = lazy(f"{_LAYERS}AttendingGRU")(outside, ordinal(1, 2, name="gru.layers"))
    masked, to_width = lazy(f"{_SEQUENCE}Masked")(), nn.LazyLinear(outside)
    encoder = recurrent(inside, dropout)

    def body(source: Any, target: Any) -> Any:
        memory = masked(to_width(encoder(source, name="encoder"), name="width"), source, name="memory")
        return attending(target, memory, name="decoder")

    return graph(body, name="gru")


def _transformer(
    inside: Any, outside: Any, lengths: tuple[int, int], dropout: Any, layers: tuple[tuple[int, int], tuple[int, int]]
) -> Graph:
    waves = [lazy(f"{_SEQUENCE}Waves")(length, width) for length, width in zip(lengths, (inside, outside), strict=True)]
    masked = lazy(f"{_SEQUENCE}Masked")()

    def attention(width: Any, name: str, *, causal: bool) -> Any:
        own = lazy(f"{_SEQUENCE}SelfAttention")(width, ordinal(4, 8, name=f"{name}.heads"), causal=causal)
        normed, dropped = nn.LayerNorm(width), nn.Dropout(dropout)
        return graph(lambda y: merge(y, dropped(own(normed(y, name="norm"), y, name="attention"))))

    def feed_forward(width: Any, name: str) -> Any:
        inner = ordinal(256, 512, 768, name=f"{name}.feed_forward")
        parts = nn.LayerNorm(width), nn.Linear(width, inner), nn.ReLU(), nn.Dropout(dropout), nn.Linear(inner, width)
        row = nn.Sequential(*parts, nn.Dropout(dropout))
        return graph(lambda y: merge(y, masked(row(y, name="row"), y)))

    def reading(name: str) -> Any:
        return nn.Sequential(attention(inside, name, causal=False), feed_forward(inside, name))

    def writing(name: str) -> Graph:
        heads, attended = ordinal(4, 8, name=f"{name}.attention.heads"), ordinal(1, 2, 3, name=f"{name}.attended")
        cross, own = lazy(f"{_LAYERS}CrossAttention")(outside, inside, heads, attended), feed_forward(outside, name)
        before, normed, dropped = attention(outside, name, causal=True), nn.LayerNorm(outside), nn.Dropout(dropout)

        def body(y: Any, memory: Any) -> Any:
            y = before(y, name="self")
            given = dropped(cross(normed(y, name="norm"), memory, name="attention"))
            return own(merge(y, masked(given, y)), name="rest")

        return graph(body)

    read = [reading(f"encoder.{place}") for place in range(layers[0][1])]
    write = [writing(f"decoder.{place}") for place in range(layers[1][1])]

    def encoder(count: int) -> Graph:
        def body(x: Any) -> Any:
            outputs = [waves[0](x, name="waves")]
            for place, layer in enumerate(read[:count]):
                outputs.append(layer(outputs[-1], name=f"layer_{place}"))
            memory = merge(*outputs[: -_KEPT - 1 : -1], kind="concat", name="memory")
            return masked(nn.LayerNorm(inside)(memory, name="norm"), memory, name="masked")

        return graph(body)

    def decoder(count: int) -> Graph:
        def body(y: Any, memory: Any) -> Any:
            y = waves[1](y, name="waves")
            for place, layer in enumerate(write[:count]):
                y = layer(y, memory, name=f"layer_{place}")
            return nn.LayerNorm(outside)(y, name="norm")

        return graph(body)

    encode, decode = (_deep(*each) for each in ((encoder, layers[0], "encoder"), (decoder, layers[1], "decoder")))
    return graph(lambda source, y: decode(y, encode(source, name="encoder"), name="decoder"), name="transformer")


def _deep(part: Callable[[int], Graph], layers: tuple[int, int], name: str) -> Any:
    options = {count: part(count) for count in range(layers[0], layers[1] + 1)}
    return ordinal(options, name=f"{name}.layers") if len(options) > 1 else options[layers[0]]
