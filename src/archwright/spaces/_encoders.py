"""Encoders of sequences in the language: they take and give (n, length, width), padded with rows of zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Choice, Graph, choice, graph, lazy, merge, ordinal, repeat, subset
from archwright.spaces._registry import checked_input

_LAYERS = "archwright.spaces._sequence:"


def checked_tokens(
    name: str, input_shape: Sequence[int], classes: int, vocabulary: int, widths: Sequence[int]
) -> tuple[int, ...]:
    """Return the shape of one sample of a space of token ids.

    Raises:
        SpaceError: An option is not allowed.
    """
    shape = checked_input(name, input_shape, classes)
    if vocabulary < 2:
        raise SpaceError(f"space {name!r}: vocabulary counts the tokens and the padding, 2 or more; not {vocabulary!r}")
    if not widths or any(width < 8 or width % 8 for width in widths):
        raise SpaceError(f"space {name!r}: widths are multiples of 8, as the heads divide them; {widths!r} was given")
    return shape


def embedding(vocabulary: int, width: Any, dropout: Any) -> Any:
    """Return the vectors of tokens; of int64 (n, length)."""
    return nn.Sequential(lazy(f"{_LAYERS}TokenEmbedding")(vocabulary, width), nn.Dropout(dropout))


def pooling() -> Choice:
    """Leave open how the rows of a sequence become one; the object is one decision, wherever it is used."""
    weighted = lazy(f"{_LAYERS}WeightedPooling")()
    options = {
        "max": lazy(f"{_LAYERS}MaxPooling")(),
        "mean": lazy(f"{_LAYERS}MeanPooling")(),
        "attention": graph(lambda x: weighted(x, nn.LazyLinear(1)(x, name="scores"), name="weighted")),
    }
    return choice(options, name="pooling")


def convolutional(width: Any, activation: Choice, pool: Choice) -> Graph:
    """Return convolutions of several lengths side by side, each pooled over the sequence: (n, features).

    Kim, "Convolutional neural networks for sentence classification", EMNLP 2014.
    """
    maps = ordinal(50, 100, 150, 200, 300, name="cnn.maps")

    def body(x: Any) -> Any:
        def part(kernel: int) -> Any:
            convolution = lazy(f"{_LAYERS}Convolution")(width, maps, kernel)
            return pool(activation(convolution(x, name=f"convolution_{kernel}"), name=f"activation_{kernel}"))

        parts = {kernel: part(kernel) for kernel in range(2, 8)}
        return merge(subset(parts, k=(1, 3), name="cnn.kernels"), kind="concat", name="features")

    return graph(body, name="cnn")


def recurrent(width: Any, dropout: Any) -> Any:
    """Return one or two recurrent layers, in one or both directions.

    Hochreiter and Schmidhuber, "Long short-term memory", 1997; Cho et al., "Learning phrase representations using RNN
    encoder-decoder for statistical machine translation", EMNLP 2014.
    """
    cell = choice("gru", "lstm", name="recurrent.cell")
    hidden = ordinal(32, 64, 128, 256, name="recurrent.hidden")
    directions = ordinal(1, 2, name="recurrent.directions")

    def layer(index: int) -> Any:
        inputs = hidden * directions if index else width
        made = lazy(f"{_LAYERS}Recurrent")(inputs, hidden, directions=directions, cell=cell)
        return nn.Sequential(nn.Dropout(dropout), made) if index else made

    return repeat(layer, 1, 2, name="recurrent.layers")


def transformer(width: Any, length: int, activation: Choice, dropout: Any, *, causal: bool = False) -> Any:
    """Return one to four layers of attention and feed-forward networks, with the norm before or after them.

    Vaswani et al., "Attention is all you need", NeurIPS 2017; the norm as in Xiong et al., "On layer normalization in
    the transformer architecture", ICML 2020.

    Args:
        width: Features of a token.
        length: Tokens of a sequence, at most.
        activation: The activation.
        dropout: The dropout.
        causal: Whether tokens attend to those before them alone.
    """
    heads = ordinal(2, 4, 8, name="transformer.heads")
    inner = width * ordinal(2, 3, 4, name="transformer.feed_forward")
    masked = lazy(f"{_LAYERS}Masked")()
    positions = {
        "learned": lazy(f"{_LAYERS}Positions")(length, width),
        "sinusoidal": lazy(f"{_LAYERS}Waves")(length, width),
    }

    def attention(x: Any, like: Any) -> Any:
        attended = lazy(f"{_LAYERS}SelfAttention")(width, heads, causal=causal)(x, like, name="attention")
        return nn.Dropout(dropout)(attended, name="dropped")

    def feed_forward(x: Any) -> Any:
        layers = nn.Linear(width, inner), activation, nn.Dropout(dropout), nn.Linear(inner, width), nn.Dropout(dropout)
        return nn.Sequential(*layers)(x, name="feed_forward")

    def before(x: Any) -> Any:
        y = merge(x, attention(nn.LayerNorm(width)(x, name="norm_1"), x), name="attended")
        return merge(y, masked(feed_forward(nn.LayerNorm(width)(y, name="norm_2")), y), name="added")

    def after(x: Any) -> Any:
        y = masked(nn.LayerNorm(width)(merge(x, attention(x, x), name="attended"), name="norm_1"), x, name="masked_1")
        return masked(nn.LayerNorm(width)(merge(y, feed_forward(y), name="added"), name="norm_2"), y, name="masked_2")

    block = choice({"before": graph(before), "after": graph(after)}, name="transformer.norm")
    return nn.Sequential(
        choice(positions, name="transformer.position"),
        repeat(lambda _: block, 1, 4, name="transformer.layers"),
        graph(lambda x: masked(nn.LayerNorm(width)(x, name="norm"), x)),
    )
