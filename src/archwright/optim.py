"""Mirror of torch.optim whose classes record optimizers; the parameters are supplied by the training.

`optim.AdamW(lr=aw.real(1e-4, 1e-1, log=True))` is the `optimizer` part of a space.
"""

from typing import Any

from archwright.build import optimizer_names, write_optimizer

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    """Return what writes down calls of `torch.optim.<name>`."""
    return write_optimizer(name)


def __dir__() -> list[str]:
    """List the names, for completion."""
    return optimizer_names()
