"""Networks that recommend items to users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Space, TensorSpec, choice, graph, lazy, merge, ordinal, repeat, template
from archwright.spaces._blocks import activations
from archwright.spaces._registry import checked_input, register

__all__ = ["recommender"]

_BLOCKS = 3  # of a cell


def _known(space: Space) -> Iterator[dict[str, Any]]:
    """Yield matrix factorisation with biases, DeepFM, and neural collaborative filtering."""
    values: dict[str, list[Any]] = {name: list(decision.values()) for name, decision in space.decisions.items()}
    for wide, shallow, depth, width in (("yes", "dot", 0, 4), ("yes", "dot", 2, 16), ("no", "product", 3, 16)):
        found: dict[str, Any] = {"wide": wide, "shallow": shallow, "deep": "perceptron", "depth": depth}
        found |= {
            "dropout": 0.2,
            "activation": "relu",
            "embedding": "shared",
            "combination": "concat" if depth else "product",
        }
        found["width"] = min((abs(each - width), each) for each in values.get("width", [width]))[1]
        found |= {f"layer_{index}.width": 64 for index in range(depth)}
        yield {name: value for name, value in found.items() if name in values}


@register("recommender", ranks=(1,), starts=_known, special=True)
def recommender(
    *,
    input_shape: Sequence[int] = (2,),
    classes: int = 1,
    users: int = 1000,
    items: int = 1000,
    widths: Sequence[int] = (2, 4, 8, 16, 32, 64),
) -> Space:
    """Networks that recommend items: embeddings, their interaction, and a multilayer perceptron.

    The output is the sum of a wide part (a number for each user and each item, or for all), a shallow part (the scalar
    product of the embeddings, a linear map of their product, or nothing), and a deep one on the same embeddings or its
    own. That is a multilayer perceptron with 0 to 4 hidden layers of searched widths on both embeddings, their product,
    or all of it; or a cell of three blocks. Each block takes two of the embeddings and the blocks before it, and adds
    them, multiplies them, maps them, lets one gate the other, or crosses them (Wang et al., "DCN V2", WWW 2021).
    Dropout of the terms of the scalar product keeps the rank low that is learned (Cavazza et al., "Dropout as a
    low-rank regularizer for matrix factorization", AISTATS 2018).

    Among the designs are matrix factorisation; neural collaborative filtering (He et al., WWW 2017): product and
    perceptron with embeddings of their own; wide and deep (Cheng et al., DLRS 2016): numbers and perceptron; and DeepFM
    (Guo et al., IJCAI 2017): numbers, scalar product, which is what a factorisation machine is for two fields, and
    perceptron with shared embeddings. Cells are as those of Song et al., "Towards automated neural interaction
    discovery for click-through rate prediction" (AutoCTR), KDD 2020, and Zhang et al., "NASRec", WWW 2023.

    Args:
        input_shape: (2,): the numbers of a user and an item, int64.
        classes: Not used; what a network gives is a number for each pair.
        users: The number of users, besides 0 for an unknown one.
        items: The number of items likewise.
        widths: The options for the width of an embedding, ascending.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> space = aw.spaces.create("recommender", users=10, items=20)
        >>> space.build(space.sample(np.random.default_rng(0)))(torch.tensor([[3, 20], [0, 1]])).shape
        torch.Size([2, 1])
    """
    shape = checked_input("recommender", input_shape, classes)
    if shape != (2,):
        raise SpaceError(f"space 'recommender': input_shape is (2,), a user and an item; {shape} was given")
    if users < 1 or items < 1 or not widths or min(widths) < 1:
        raise SpaceError(f"space 'recommender': users={users}, items={items} and widths={widths} are 1 or more")
    width = ordinal(*widths, name="width")
    dropout = ordinal(0.0, 0.1, 0.2, 0.3, 0.5, name="dropout")
    activation = activations("ReLU", "GELU", "SiLU")
    layer: Any = template(lambda size: nn.Sequential(nn.LazyLinear(size), activation, nn.Dropout(dropout)))
    fields, product = _part("Fields")(users, items, width), nn.Sequential(_part("Product")(), nn.Dropout(dropout))
    combined = choice({"concat": nn.Flatten(), "product": product, "both": _part("Joined")()}, name="combination")
    sizes = [ordinal(16, 32, 64, 128, 256, name=f"layer_{index}.width") for index in range(4)]
    perceptron = nn.Sequential(combined, repeat(lambda index: layer(sizes[index]), 0, 4, name="depth"))
    cell = nn.Sequential(graph(lambda x: _cell(x, width, activation)), nn.Dropout(dropout))
    deep = nn.Sequential(choice({"perceptron": perceptron, "cell": cell}, name="deep"), nn.LazyLinear(1))
    shallow = {
        "dot": nn.Sequential(product, _part("Total")()),
        "product": nn.Sequential(product, nn.LazyLinear(1, bias=False)),
        "none": None,
    }
    wide = choice({"yes": _part("Wide")(users, items), "no": None}, name="wide")

    def body(pairs: Any) -> Any:
        first = fields(pairs, name="fields")
        second = choice({"shared": first, "own": fields(pairs, name="own_fields")}, name="embedding")
        return merge(wide(pairs), choice(shallow, name="shallow")(first), deep(second, name="deep_part"))

    return Space(model=graph(body), example_input=TensorSpec((2,), "int64"), name="recommender")


def _cell(fields: Any, width: Any, activation: Any) -> Any:
    """Return the outputs of three blocks side by side, each of two of the embeddings and the blocks before."""
    known = {"user": _part("Field")(0)(fields), "item": _part("Field")(1)(fields)}
    for index in range(_BLOCKS):
        operation = choice(
            {
                "sum": _part("Plus")(),
                "product": _part("Times")(),
                "linear": graph(lambda one, other: activation(_part("Mapped")(width)(one, other))),
                "gate": _part("Gate")(width),
                "cross": _part("Cross")(width),
            },
            name=f"block_{index}.operation",
        )
        one, other = (choice(known, name=f"block_{index}.{side}") for side in ("left", "right"))
        known = {**known, f"block_{index}": operation(one, other)}
    return merge(*list(known.values())[2:], kind="concat")


def _part(name: str) -> Any:
    return lazy(f"archwright.spaces._recommend:{name}")
