"""The mirrors of torch.nn and torch.optim: classes that write their calls down."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from archwright._scalars import scalars
from archwright.errors import SpaceError
from archwright.space import Apply, Call, parameter_names, write_function


@functools.cache
def write_layer(name: str) -> Callable[..., Call]:
    """Return a function that records calls of a layer class of torch.nn, as `archwright.nn` does.

    Raises:
        AttributeError: No layer class of torch.nn has that name.

    Example:
        >>> from archwright.build import write_layer
        >>> write_layer("Linear")(4, 3).target
        'torch.nn.Linear'
    """
    import torch

    layer = _class_in(torch.nn, name, torch.nn.Module, "layer")

    @functools.wraps(layer, updated=())
    def write(*args: Any, **kwargs: Any) -> Call:
        for value in _inside((args, kwargs)):
            if isinstance(value, torch.nn.Module):
                raise SpaceError(
                    f"nn.{name} holds {type(value).__name__}(...), an instantiated layer, which would be shared by "
                    f"every network; write it with archwright.nn, or aw.lazy for a class of your own"
                )
        return Call(f"torch.nn.{name}", scalars(args), scalars(kwargs), parameter_names(layer, args, kwargs))

    return write


@functools.cache
def write_optimizer(name: str) -> Callable[..., Call]:
    """Return a function that records calls of an optimizer class of torch.optim, without the parameters.

    Raises:
        AttributeError: No optimizer class of torch.optim has that name.

    Example:
        >>> from archwright.build import write_optimizer
        >>> write_optimizer("SGD")(lr=0.1).target
        'torch.optim.SGD'
    """
    import torch

    optimizer = _class_in(torch.optim, name, torch.optim.Optimizer, "optimizer")

    @functools.wraps(optimizer, updated=())
    def write(**kwargs: Any) -> Call:
        parameter_names(optimizer, (), kwargs, partial=True)
        return Call(f"torch.optim.{name}", (), scalars(kwargs))

    return write


def layer_names() -> list[str]:
    """Return the names of the layer classes of torch.nn.

    Example:
        >>> from archwright.build import layer_names
        >>> "LazyConv2d" in layer_names()
        True
    """
    import torch

    return _classes_in(torch.nn, torch.nn.Module)


def optimizer_names() -> list[str]:
    """Return the names of the optimizer classes of torch.optim.

    Example:
        >>> from archwright.build import optimizer_names
        >>> "AdamW" in optimizer_names()
        True
    """
    import torch

    return _classes_in(torch.optim, torch.optim.Optimizer)


class Functions:
    """The mirror of torch.nn.functional: its functions, applied to values of a graph.

    Example:
        >>> from archwright.build import Functions
        >>> aw.graph(lambda x: Functions().gelu(x)).output.module
        gelu(x0)
    """

    def __getattr__(self, name: str) -> Callable[..., Apply]:
        """Return what applies `torch.nn.functional.<name>` to values of a graph."""
        if name.startswith("_"):
            raise AttributeError(name)
        import torch

        found = getattr(torch.nn.functional, name, None)
        if found is None:
            near = difflib.get_close_matches(name, dir(torch.nn.functional), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise AttributeError(f"torch.nn.functional has no function {name!r}{hint}")
        return write_function(f"torch.nn.functional:{name}")

    def __dir__(self) -> list[str]:
        """List the functions that a graph can have, for completion."""
        import torch

        names = [name for name, item in vars(torch.nn.functional).items() if name[0] != "_" and inspect.isroutine(item)]
        return [name for name in names if _is_for_graphs(name)]


def _is_for_graphs(name: str) -> bool:
    try:
        write_function(f"torch.nn.functional:{name}")
    except SpaceError:
        return False
    return True


def _class_in(module: Any, name: str, base: type, kind: str) -> Any:
    found = getattr(module, name, None)
    if inspect.isclass(found) and issubclass(found, base):
        return found
    if name.startswith("__"):
        raise AttributeError(name)
    near = difflib.get_close_matches(name, _classes_in(module, base), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise AttributeError(f"{module.__name__} has no {kind} class {name!r}{hint}")


def _classes_in(module: Any, base: type) -> list[str]:
    return sorted(name for name, item in vars(module).items() if inspect.isclass(item) and issubclass(item, base))


def _inside(item: Any) -> Iterator[Any]:
    """Iterate over what stands in lists, tuples and dictionaries, each object once."""
    stack, visited = [item], set[int]()
    while stack:
        part = stack.pop()
        if isinstance(part, list | tuple | Mapping):
            if id(part) not in visited:
                visited.add(id(part))
                stack += part.values() if isinstance(part, Mapping) else part
        else:
            yield part
