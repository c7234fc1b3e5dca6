"""Mirror of torch.nn whose classes record calls instead of creating layers.

Every layer class of `torch.nn` is here under its own name, and its arguments are checked against its signature at once.
`functional` has the functions of `torch.nn.functional`, which are applied to values inside `aw.graph`.
"""

from typing import Any

from archwright.build import Functions, layer_names, write_layer

__all__: list[str] = []

functional = Functions()


def __getattr__(name: str) -> Any:
    """Return what writes down calls of `torch.nn.<name>`."""
    return write_layer(name)


def __dir__() -> list[str]:
    """List the names, for completion."""
    return ["functional", *layer_names()]
