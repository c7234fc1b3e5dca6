"""Networks that label the tokens of sequences."""

from __future__ import annotations

from collections.abc import Sequence

from archwright import nn
from archwright.space import Space, TensorSpec, choice, ordinal
from archwright.spaces._blocks import activations
from archwright.spaces._encoders import checked_tokens, embedding, recurrent, transformer
from archwright.spaces._registry import register
from archwright.spaces.text import known_sequences

__all__ = ["tagger"]


@register("tagger", ranks=(1,), starts=known_sequences, special=True)
def tagger(
    *,
    input_shape: Sequence[int] = (64,),
    classes: int = 9,
    vocabulary: int = 10_000,
    widths: Sequence[int] = (32, 64, 128, 192, 256),
) -> Space:
    """Sequence taggers: recurrent and transformer encoders with scores for each token.

    The decisions are those of the space "text" without the pooling. The output is of shape (n, length, classes).

    Huang, Xu and Yu, "Bidirectional LSTM-CRF models for sequence tagging", 2015, here without the CRF; Vaswani et al.,
    "Attention is all you need", NeurIPS 2017.

    Args:
        input_shape: (length,), the tokens of a sequence.
        classes: The number of tags.
        vocabulary: The number of different tokens; 0 is padding.
        widths: The options for the width of the vectors of tokens, ascending; multiples of 8.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> space = aw.spaces.create("tagger", input_shape=(20,), classes=3, vocabulary=50)
        >>> space.build(aw.spaces.starts(space)[0])(torch.ones(2, 20, dtype=torch.int64)).shape
        torch.Size([2, 20, 3])
    """
    shape = checked_tokens("tagger", input_shape, classes, vocabulary, widths)
    width, dropout = ordinal(*widths, name="width"), ordinal(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, name="dropout")
    encoders = {
        "recurrent": recurrent(width, dropout),
        "transformer": transformer(width, shape[0], activations("ReLU", "GELU"), dropout),
    }
    model = nn.Sequential(
        embedding(vocabulary, width, dropout),
        choice(encoders, name="encoder"),
        nn.Dropout(dropout),
        nn.LazyLinear(classes),
    )
    return Space(model=model, example_input=TensorSpec(shape, "int64"), name="tagger")
