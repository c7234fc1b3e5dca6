"""Language models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Graph, Space, TensorSpec, choice, graph, lazy, merge, ordinal, repeat
from archwright.spaces._registry import checked_input, register

__all__ = ["language"]

_LAYERS = "archwright.spaces._decoder:"
_PLACES = ("first", "second", "third")
# The operation of each node, and what it takes: a value by name, or the node so many before.
_GRU: tuple[tuple[str | int, ...], ...] = (
    *(("linear", "x", "state"), ("sigmoid", 1)) * 2,
    *(("product", 1, "state"), ("linear", "x", 1), ("tanh", 1), ("blend", 6, "state", 1)),
)


def _plain(space: Space) -> Iterator[dict[str, Any]]:
    """Yield small transformers as they are common today, an LSTM, and a GRU written as a cell."""
    values = {name: list(decision.values()) for name, decision in space.decisions.items()}
    widths = values["width"]
    modern = {"model": "transformer", "positions": "rotary", "norm": "rms", "shared": 1, "feed_forward": 4}
    modern |= {"activation": "gelu", "dropout": 0.1}
    for place, layers, heads in ((len(widths) // 2, 4, 4), (0, 2, 2), (-1, 4, 8)):
        found = {**modern, "width": widths[place], "layers": layers, "heads": heads}
        yield {name: value for name, value in found.items() if name in values and value in values[name]}
    recurrent = {"model": "recurrent", "width": widths[len(widths) // 2], "dropout": 0.1, "cell": "lstm", "depth": 2}
    yield {name: value for name, value in recurrent.items() if name in values}
    nodes = sum(name.endswith(".operation") for name in values)
    if nodes >= len(_GRU):
        found = {**recurrent, "cell": "searched", "memory": "none"}
        for node, (operation, *taken) in enumerate(_GRU, nodes - len(_GRU) + 1):
            found[f"node_{node}.operation"] = operation
            for role, source in zip(_PLACES, taken, strict=False):
                found[f"node_{node}.{role}"] = source if isinstance(source, str) else f"node_{node - source}"
        yield {name: value for name, value in found.items() if name in values}


@register("language", ranks=(1,), starts=_plain, special=True)
def language(
    *,
    input_shape: Sequence[int] = (64,),
    vocabulary: int = 100,
    classes: int | None = None,
    widths: Sequence[int] = (64, 96, 128, 192, 256),
    layers: tuple[int, int] = (2, 6),
    nodes: int = 8,
) -> Space:
    """Language models: decoders of transformers, and recurrent networks.

    A network gives scores of the next token for each token of a sequence, (n, length, vocabulary), and uses the vectors
    of tokens for both (Press and Wolf 2017). The decisions are the width, the model and the dropout. Transformer
    (Vaswani et al. 2017; Radford et al., GPT-2, 2019): layers, heads, how many of them share keys and values (Ainslie
    et al. 2023), positions (learned, or rotary: Su et al. 2021), the norm (layer or root mean square: Zhang and
    Sennrich 2019), the size of the feed-forward network and its activation. Recurrent: the layers and their cell, which
    is a GRU, an LSTM, or searched.

    A searched cell is one of NAS-Bench-NLP (Klyuchnikov et al., "NAS-Bench-NLP: Neural architecture search benchmark
    for natural language processing", IEEE Access 2022), with fewer nodes than its 24. Each node has an operation, the
    linear layer (W1 a + b1 + W2 b + b2), the blend (a b + (1 - a) c), the product, the sum, tanh, sigmoid or leaky
    ReLU, and takes earlier nodes, the token ("x"), and as b and c also the two states of the step before ("state",
    "memory"). So that each node sees the token, a is not a state. The last node is the output and the new state; the
    new memory is one of the nodes, or there is none. All layers have the same cell, with weights of their own.

    Args:
        input_shape: (length,), the tokens of a sequence.
        vocabulary: The number of different tokens.
        classes: Not used; what a network gives are scores of tokens.
        widths: The options for the width, ascending; multiples of 16.
        layers: The minimum and maximum number of layers of a transformer.
        nodes: The number of nodes of a searched cell, from 2 to 12; those that nothing takes are left out.

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
    if not 2 <= nodes <= 12:
        raise SpaceError(f"space 'language': nodes is 2 to 12, not {nodes!r}")
    width, dropout = ordinal(*widths, name="width"), ordinal(0.0, 0.1, 0.2, 0.3, name="dropout")
    transformer, recurrent = _transformer(width, shape[0], dropout, layers), _recurrent(width, dropout, nodes)
    models = {"transformer": transformer, "recurrent": recurrent}
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


def _recurrent(width: Any, dropout: Any, nodes: int) -> Any:
    layers = {"gru": nn.GRU(width, width, batch_first=True), "lstm": nn.LSTM(width, width, batch_first=True)}
    cells = {name: _outputs(layer) for name, layer in layers.items()}
    cells["searched"] = lazy(f"{_LAYERS}Recurrence")(_cell(width, nodes))
    layer = choice(cells, name="cell")
    return repeat(lambda _: nn.Sequential(layer, nn.Dropout(dropout)), 1, 3, name="depth")


def _outputs(layer: Any) -> Any:
    """Return a recurrent layer without its last state."""
    return graph(lambda x: layer(x, name="layer")[0], name="outputs")


def _cell(width: Any, nodes: int) -> Graph:
    """Return a step of a cell of NAS-Bench-NLP: from a token and two states to new ones."""

    def step(x: Any, state: Any, memory: Any) -> Any:
        found: dict[str, Any] = {}
        for node in range(1, nodes + 1):
            seeing, every = {"x": x, **found}, {"x": x, "state": state, "memory": memory, **found}
            places = zip(_PLACES, (seeing, every, every), strict=True)
            a, b, c = (_one_of(values, f"node_{node}.{place}") for place, values in places)
            one = nn.Linear(width, width)(a, name=f"first_{node}")
            other = nn.Linear(width, width)(b, name=f"second_{node}")
            operations = {"linear": one + other, "blend": a * b + (1 - a) * c, "product": a * b, "sum": a + b}
            operations |= {"tanh": nn.Tanh()(a), "sigmoid": nn.Sigmoid()(a), "leaky_relu": nn.LeakyReLU()(a)}
            # A sum of one, which is no operation in a network, but computed once in a supernet, whoever takes it.
            found[f"node_{node}"] = merge(choice(operations, name=f"node_{node}.operation"), name=f"node_{node}")
        return found[f"node_{nodes}"], choice({"none": memory, **found}, name="memory")

    return graph(step, name="cell")


def _one_of(values: dict[str, Any], name: str) -> Any:
    return choice(values, name=name) if len(values) > 1 else next(iter(values.values()))
