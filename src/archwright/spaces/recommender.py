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

_MODULE = "archwright.spaces._recommend"


def _known(space: Space) -> Iterator[dict[str, Any]]:
    """Yield DeepFM, matrix factorisation with biases, and neural collaborative filtering."""
    values = {name: list(decision.values()) for name, decision in space.decisions.items()}
    for wide, shallow, depth, width in (("yes", "dot", 2, 16), ("yes", "dot", 0, 32), ("no", "product", 3, 16)):
        found = {"wide": wide, "shallow": shallow, "depth": depth, "dropout": 0.2, "activation": "relu"}
        found |= {"embedding": "shared", "combination": "concat"}
        found["width"] = min(values["width"], key=lambda each, wanted=width: abs(each - wanted))
        found |= {f"layer_{index}.width": 64 for index in range(depth)}
        yield {name: value for name, value in found.items() if name in values}


@register("recommender", ranks=(), starts=_known)
def recommender(
    *,
    input_shape: Sequence[int] = (2,),
    classes: int = 1,
    users: int = 1000,
    items: int = 1000,
    widths: Sequence[int] = (4, 8, 16, 32, 64, 128),
) -> Space:
    """Networks that recommend items: embeddings, their interaction, and a multilayer perceptron.

    The output is the sum of a wide part (a number for each user and each item, or nothing), a shallow part (the scalar
    product of the embeddings, a linear map of their product, or nothing), and a deep one: a multilayer perceptron with
    0 to 4 hidden layers of searched widths on both embeddings, their product, or all of it. The embeddings of the deep
    part are those of the shallow one, or its own.

    Among the designs are matrix factorisation; neural collaborative filtering (He et al., WWW 2017): product and
    perceptron with embeddings of their own; wide and deep (Cheng et al., DLRS 2016): numbers and perceptron; and DeepFM
    (Guo et al., IJCAI 2017): numbers, scalar product, which is what a factorisation machine is for two fields, and
    perceptron with shared embeddings. The choices are those of Song et al., "Towards automated neural interaction
    discovery for click-through rate prediction" (AutoCTR), KDD 2020, and Zhang et al., "NASRec", WWW 2023.

    Args:
        input_shape: (2,): the numbers of a user and an item, int64.
        classes: 1, the number for each pair.
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
    if shape != (2,) or classes != 1:
        raise SpaceError(f"space 'recommender': input_shape is (2,) and classes is 1; {shape} and {classes} were given")
    if users < 1 or items < 1 or not widths or min(widths) < 1:
        raise SpaceError(f"space 'recommender': users={users}, items={items} and widths={widths} are 1 or more")
    width = ordinal(*widths, name="width")
    dropout = ordinal(0.0, 0.1, 0.2, 0.3, 0.5, name="dropout")
    activation = activations("ReLU", "GELU", "SiLU")
    layer = template(lambda size: nn.Sequential(nn.LazyLinear(size), activation, nn.Dropout(dropout)))
    fields = lazy(f"{_MODULE}:Fields")
    combined = choice(
        {
            "concat": nn.Flatten(),
            "product": lazy(f"{_MODULE}:Product")(),
            "both": lazy(f"{_MODULE}:Joined")(),
        },
        name="combination",
    )
    shallow = {
        "dot": lazy(f"{_MODULE}:Dot")(),
        "product": nn.Sequential(lazy(f"{_MODULE}:Product")(), nn.LazyLinear(1, bias=False)),
        "none": None,
    }

    def body(pairs: Any) -> Any:
        first = fields(users, items, width)(pairs, name="fields")
        own = {"shared": first, "own": fields(users, items, width)(pairs, name="own_fields")}
        second = choice(own, name="embedding")
        deep = nn.Sequential(
            combined,
            repeat(lambda index: layer(ordinal(16, 32, 64, 128, 256, name=f"layer_{index}.width")), 0, 4, name="depth"),
            nn.LazyLinear(1),
        )
        wide = choice({"yes": lazy(f"{_MODULE}:Wide")(users, items), "no": None}, name="wide")
        return merge(wide(pairs), choice(shallow, name="shallow")(first), deep(second, name="deep"))

    return Space(model=graph(body), example_input=TensorSpec((2,), "int64"), name="recommender")
