"""Networks that classify texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archwright import nn
from archwright.space import Space, TensorSpec, choice, ordinal
from archwright.spaces._blocks import activations
from archwright.spaces._encoders import checked_tokens, convolutional, embedding, pooling, recurrent, transformer
from archwright.spaces._registry import register

__all__ = ["text"]


def known_sequences(space: Space) -> Iterator[dict[str, Any]]:
    """Yield the published designs of the encoders that a space has: convolutional, recurrent, transformer."""
    values = {name: list(decision.values()) for name, decision in space.decisions.items()}
    widths = values["width"]
    plain: dict[str, Any] = {"width": 128 if 128 in widths else widths[len(widths) // 2], "pooling": "max"}
    plain |= {"dropout": 0.5, "activation": "relu"}
    designs: dict[str, dict[str, Any]] = {
        "cnn": {"cnn.maps": 100, "cnn.kernels": ("3", "4", "5")},
        "recurrent": {
            "recurrent.cell": "lstm",
            "recurrent.layers": 1,
            "recurrent.hidden": 128,
            "recurrent.directions": 2,
        },
        "transformer": {
            "transformer.position": "learned",
            "transformer.layers": 2,
            "transformer.heads": 4,
            "transformer.feed_forward": 4,
            "transformer.norm": "before",
            "dropout": 0.2,
        },
    }
    for encoder, design in designs.items():
        if encoder in values["encoder"]:
            found = {**plain, "encoder": encoder, **design}
            yield {name: value for name, value in found.items() if name in values}


@register("text", ranks=(1,), starts=known_sequences, special=True)
def text(
    *,
    input_shape: Sequence[int] = (64,),
    classes: int = 2,
    vocabulary: int = 10_000,
    widths: Sequence[int] = (32, 64, 128, 192, 256),
) -> Space:
    """Text classifiers: convolutional, recurrent and transformer encoders of token ids.

    The decisions are the width of the vectors of tokens; the encoder; how its outputs become those of the text (the
    greatest, the mean, or a mean weighted by attention); the dropout; and for each encoder its own. Convolutional: one
    to three of the kernels 2 to 7 side by side, and their number of maps (Kim, "Convolutional neural networks for
    sentence classification", EMNLP 2014). Recurrent: the cell (GRU or LSTM), its layers, its size, and one or both
    directions. Transformer: the layers, heads, size of the feed-forward network, place of the norm, and kind of the
    positions (Vaswani et al., "Attention is all you need", NeurIPS 2017).

    Args:
        input_shape: (length,), the tokens of a text.
        classes: The number of classes.
        vocabulary: The number of different tokens; 0 is padding.
        widths: The options for the width, ascending; multiples of 8.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> space = aw.spaces.create("text", input_shape=(20,), classes=3, vocabulary=50)
        >>> space.build(aw.spaces.starts(space)[0])(torch.ones(2, 20, dtype=torch.int64)).shape
        torch.Size([2, 3])
    """
    shape = checked_tokens("text", input_shape, classes, vocabulary, widths)
    width, dropout = ordinal(*widths, name="width"), ordinal(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, name="dropout")
    activation, pool = activations("ReLU", "GELU"), pooling()
    encoders = {
        "cnn": convolutional(width, activation, pool),
        "recurrent": nn.Sequential(recurrent(width, dropout), pool),
        "transformer": nn.Sequential(transformer(width, shape[0], activation, dropout), pool),
    }
    model = nn.Sequential(
        embedding(vocabulary, width, dropout),
        choice(encoders, name="encoder"),
        nn.Dropout(dropout),
        nn.LazyLinear(classes),
    )
    return Space(model=model, example_input=TensorSpec(shape, "int64"), name="text")
