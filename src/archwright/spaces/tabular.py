"""Networks for tables: multilayer perceptrons, residual networks and FT-Transformers, with embeddings of columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import Any

from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Graph, Space, choice, graph, lazy, merge, ordinal, repeat
from archwright.spaces._registry import checked_input, register

__all__ = ["tabular"]

_HEADS = 8
_BINS = 16  # that the given quantiles are the edges of


def _plain(space: Space) -> Iterator[dict[str, Any]]:
    """Yield a perceptron without embeddings and with periodic ones, a residual network, and a small FT-Transformer."""
    values: dict[str, list[Any]] = {name: list(decision.values()) for name, decision in space.decisions.items()}
    common: dict[str, Any] = {"dropout": 0.1, "embedding.width": 16, "frequencies": 32, "sigma": 0.1, "bins": 8}
    common |= {"mlp.depth": 2, "mlp.width": 256, "resnet.depth": 2, "resnet.width": 128, "resnet.factor": 2}
    common |= {"resnet.dropout": 0.0, "transformer.depth": 2, "transformer.width": 64, "transformer.factor": 4}
    common |= {"attention.dropout": 0.2, "transformer.dropout": 0.0, "tokens": "linear"}
    numbers = "periodic" if "periodic" in values["embedding"] else "linear"
    for family, embedding in (("mlp", "none"), ("mlp", numbers), ("resnet", "none"), ("transformer", "none")):
        found = {**common, "family": family, "embedding": embedding}
        yield {name: value for name, value in found.items() if name in values}


@register("tabular", ranks=(1,), starts=_plain)
def tabular(
    *,
    input_shape: Sequence[int] = (16,),
    classes: int = 10,
    columns: Sequence[int] | None = None,
    quantiles: Sequence[Sequence[float]] | None = None,
) -> Space:
    """Networks for tables: perceptrons, residual networks and FT-Transformers, with searched embeddings of the columns.

    The first decision is the family. A multilayer perceptron has 1 to 8 layers of 32 to 512; a residual network 1 to 8
    blocks of 64 to 512 with an inner layer 1 to 4 times as wide; both take the features as they are, or an embedding of
    4 to 64 numbers for each column. An FT-Transformer has 1 to 4 blocks of 8 heads on a token of 64 to 512 for each
    column, with an inner layer 2/3 to 8/3 times as wide. The embedding of a number is linear; or linear with ReLU in
    the sines and cosines of 8 to 64 learned frequencies (drawn with a standard deviation of 0.01 to 3); or in its
    piecewise linear encoding by 4 to 16 bins between quantiles. That of a category is learned. Dropouts are decisions.

    Gorishniy, Rubachev, Khrulkov and Babenko, "Revisiting deep learning models for tabular data", NeurIPS 2021;
    Gorishniy, Rubachev and Babenko, "On embeddings for numerical features in tabular deep learning", NeurIPS 2022.

    Args:
        input_shape: (features,), which are standardised.
        classes: The number of classes, or of the target values of a regression.
        columns: For each column, in the order of the features, 0 if it is one number, and else its number of
            categories, each of which is a 0/1 feature; by default all features are numbers. A search on `aw.data` takes
            it from there.
        quantiles: For each column of numbers 17 ascending numbers, the edges of 16 bins with as many samples each; by
            default those of the normal distribution. A search on `aw.data` takes those of the training part.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> space = aw.spaces.create("tabular", input_shape=(5,), classes=2, columns=(0, 0, 3))
        >>> space.build(space.sample(np.random.default_rng(0)))(torch.zeros(2, 5)).shape
        torch.Size([2, 2])
    """
    shape = checked_input("tabular", input_shape, classes)
    sizes = (0,) * shape[0] if columns is None else tuple(columns)
    if min(sizes, default=-1) < 0 or sum(max(1, size) for size in sizes) != shape[0]:
        raise SpaceError(
            f"space 'tabular': columns={columns} are 0 for a number and else a number of categories, {shape[0]} "
            "features in all"
        )
    numbers = sizes.count(0)
    edges = (_normal(),) * numbers if quantiles is None else tuple(map(tuple, quantiles))
    if len(edges) != numbers or any(len(row) != _BINS + 1 or list(row) != sorted(row) for row in edges):
        raise SpaceError(
            f"space 'tabular': quantiles are {_BINS + 1} ascending numbers for each of the {numbers} columns of numbers"
        )
    frequencies = ordinal(8, 16, 32, 64, name="frequencies")
    bins = ordinal(4, 8, 16, name="bins")
    encodings: dict[str, tuple[Any, Any]] = {"linear": (nn.Unflatten(1, (numbers, 1)), 1)}  # and its size
    if numbers:
        sigma = ordinal(0.01, 0.03, 0.1, 0.3, 1.0, 3.0, name="sigma")
        encodings["periodic"] = _own("Periodic")(numbers, frequencies, sigma), 2 * frequencies
        encodings["piecewise"] = _own("Piecewise")(edges, bins), bins

    def embeddings(width: Any, *, relu: bool) -> dict[str, Any]:
        """Return the ways to make vectors of the columns: numbers first, then categories."""
        return {name: graph(lambda x, name=name: vectors(x, name, width, relu), name=name) for name in encodings}

    def vectors(x: Any, name: str, width: Any, relu: bool) -> Any:
        encoding, size = encodings[name]
        found = []
        if numbers:
            each = _own("ColumnLinear")(numbers, size, width)
            found.append(nn.Sequential(_own("Numbers")(sizes), encoding, each)(x, name="numbers"))
        if any(sizes):
            found.append(_own("CategoryEmbedding")(sizes, width)(x, name="categories"))
        joined = merge(*found, kind="concat", name="columns")
        return nn.ReLU()(joined, name="relu") if relu or name != "linear" else joined

    dense = embeddings(ordinal(4, 8, 16, 32, 64, name="embedding.width"), relu=True)
    flat = {name: nn.Sequential(each, nn.Flatten()) for name, each in dense.items()}
    embedded = choice({"none": nn.Identity(), **flat}, name="embedding")
    dropout = ordinal(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, name="dropout")
    width = ordinal(64, 128, 192, 256, 384, 512, name="transformer.width")
    vectors_of = embeddings(width, relu=False)
    tokens = choice(vectors_of, name="tokens") if numbers else vectors_of["linear"]
    families = {
        "mlp": nn.Sequential(embedded, _perceptron(dropout)),
        "resnet": nn.Sequential(embedded, _residual(dropout)),
        "transformer": nn.Sequential(tokens, _transformer(width, dropout)),
    }
    network = nn.Sequential(choice(families, name="family"), nn.LazyLinear(classes))
    return Space(model=network, example_input=shape, name="tabular")


def _perceptron(dropout: Any) -> Any:
    width = ordinal(32, 64, 128, 256, 512, name="mlp.width")
    layer = nn.Sequential(nn.LazyLinear(width), nn.ReLU(), nn.Dropout(dropout))
    return repeat(lambda _: layer, 1, 8, name="mlp.depth")


def _residual(dropout: Any) -> Any:
    width = ordinal(64, 128, 256, 512, name="resnet.width")
    hidden = width * ordinal(1, 2, 3, 4, name="resnet.factor")
    branch = nn.Sequential(
        nn.BatchNorm1d(width),
        nn.Linear(width, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, width),
        nn.Dropout(ordinal(0.0, 0.1, 0.2, 0.3, name="resnet.dropout")),
    )

    def block(_: int) -> Graph:
        return graph(lambda x: merge(x, branch(x, name="branch"), name="added"), name="residual")

    return nn.Sequential(
        nn.LazyLinear(width), repeat(block, 1, 8, name="resnet.depth"), nn.BatchNorm1d(width), nn.ReLU()
    )


def _transformer(width: Any, dropout: Any) -> Any:
    hidden = width * ordinal(2, 4, 6, 8, name="transformer.factor") // 3  # of which ReGLU takes twice as many
    weights = ordinal(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, name="attention.dropout")
    added = nn.Dropout(ordinal(0.0, 0.1, 0.2, name="transformer.dropout"))
    attention = nn.Sequential(_own("ColumnAttention")(width, _HEADS, weights), added)
    feed_forward = nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, 2 * hidden),
        graph(_reglu, name="reglu"),
        nn.Dropout(dropout),
        nn.Linear(hidden, width),
        added,
    )

    def block(index: int) -> Graph:
        def body(x: Any) -> Any:
            inner = nn.LayerNorm(width)(x, name="norm") if index else x  # the first is not normalised
            y = merge(x, attention(inner, name="attention"), name="attended")
            return merge(y, feed_forward(y, name="feed_forward"), name="added")

        return graph(body, name="block")

    return nn.Sequential(
        _own("SummaryToken")(width),
        repeat(block, 1, 4, name="transformer.depth"),
        graph(lambda x: x[:, 0], name="first"),
        nn.LayerNorm(width),
        nn.ReLU(),
    )


def _reglu(x: Any) -> Any:
    """Return one half of the features times the ReLU of the other (Shazeer 2020)."""
    inner, gate = lazy("torch:chunk")(x, 2, -1)
    return inner * nn.functional.relu(gate)


def _own(name: str) -> Any:
    return lazy(f"archwright.spaces._tabular:{name}")


def _normal() -> tuple[float, ...]:
    """Return the quantiles of the normal distribution, the outer ones at three deviations."""
    inner = [round(NormalDist().inv_cdf(place / _BINS), 4) for place in range(1, _BINS)]
    return (-3.0, *inner, 3.0)
