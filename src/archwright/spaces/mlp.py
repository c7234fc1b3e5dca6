"""Multilayer perceptrons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from archwright import nn
from archwright.errors import SpaceError
from archwright.space import Space, choice, ordinal, repeat, template
from archwright.spaces._blocks import activations, initialised
from archwright.spaces._registry import checked_input, register

__all__ = ["mlp"]


def _plain(space: Space) -> Iterator[dict[str, Any]]:
    """Yield networks of two equal layers with batch normalisation, of a medium, a small and a great width."""
    values: dict[str, list[Any]] = {name: list(decision.values()) for name, decision in space.decisions.items()}
    widths = values["layer_0.width"]
    depth = min(2, max(values.get("depth", [1])))
    for place, dropout in ((len(widths) // 2, 0.2), (0, 0.0), (len(widths) - 1, 0.4)):
        found: dict[str, Any] = {"activation": "relu", "normalisation": "batch", "initialisation": "kaiming_normal"}
        found |= {"depth": depth, "dropout": dropout}
        found |= {f"layer_{index}.width": widths[place] for index in range(depth)}
        yield {name: value for name, value in found.items() if name in values}


@register("mlp", starts=_plain)
def mlp(
    *,
    input_shape: Sequence[int] = (64,),
    classes: int = 10,
    depth: tuple[int, int] = (1, 4),
    widths: Sequence[int] = (32, 64, 128, 256, 512),
) -> Space:
    """Multilayer perceptrons, for tables and flattened inputs.

    The decisions are the number of hidden layers and the width of each; and for all layers together the activation, the
    normalisation, the dropout and the initialisation.

    Args:
        input_shape: The shape of one sample, of any rank; images are flattened.
        classes: The number of classes.
        depth: The minimum and maximum number of hidden layers.
        widths: The options for the width of a hidden layer, ascending.

    Raises:
        SpaceError: An option is not allowed.

    Example:
        >>> space = aw.spaces.create("mlp", input_shape=(4,), classes=3, depth=(1, 2), widths=(8, 16))
        >>> space.build(space.sample(np.random.default_rng(0)))(torch.zeros(2, 4)).shape
        torch.Size([2, 3])
    """
    shape = checked_input("mlp", input_shape, classes)
    if not 1 <= depth[0] <= depth[1] or not widths or min(widths) < 1:
        raise SpaceError(f"space 'mlp': depths and widths are 1 or more; depth={depth}, widths={widths} was given")
    activation = activations("ReLU", "GELU", "SiLU", "Tanh")
    dropout = ordinal(0.0, 0.1, 0.2, 0.3, 0.4, name="dropout")

    def body(width: Any) -> Any:
        options = {"none": nn.Identity(), "batch": nn.LazyBatchNorm1d(), "layer": nn.LayerNorm(width)}
        return nn.Sequential(
            nn.LazyLinear(width), choice(options, name="normalisation"), activation, nn.Dropout(dropout)
        )

    layer = template(body)
    network = nn.Sequential(
        nn.Flatten(),
        repeat(lambda index: layer(ordinal(*widths, name=f"layer_{index}.width")), *depth, name="depth"),
        nn.LazyLinear(classes),
    )
    return Space(model=initialised(network), example_input=shape, name="mlp")
