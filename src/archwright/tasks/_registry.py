"""The registry of tasks: how the data of each is recognised and loaded."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from archwright._registry import Entry, Registry

Load = Callable[..., Any]
Recognise = Callable[..., "str | None"]
L = TypeVar("L", bound=Load)

registry: Registry[Load] = Registry("task")
_recognise: dict[str, Recognise] = {}


def register(name: str, *, recognise: Recognise | None = None) -> Callable[[L], L]:
    """Return a decorator that registers a function which loads data as a task.

    The function takes the path of a file or folder and options by name, and returns a `Task`. `aw.task` hands it full
    paths where an option is annotated by `Path`, and notes the arguments in `Task.spec`.

    Args:
        name: The name, such as "segmentation".
        recognise: A function that says what a path holds, in words, where it looks like data of this task, and else
            returns `None`. It must be quick. It may take options of the task, such as the encoding of files.

    Raises:
        ValueError: The name is taken.

    Example:
        >>> @aw.tasks.register("segmentation")  # doctest: +SKIP
        ... def segmentation(source, *, size=None):
        ...     return Segmentation(...)
    """
    file = registry.register(name)

    def decorate(load: L) -> L:
        file(load)
        if recognise is not None:
            _recognise[name] = recognise
        return load

    return decorate


def recognised(path: Path, options: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the name of the task whose data a path looks like, and what it holds; `None` for none of them."""
    for name, look in _recognise.items():
        given = {option: options[option] for option in inspect.signature(look).parameters if option in options}
        if (found := look(path, **given)) is not None:
            return name, found
    return None


def entries() -> list[Entry[Load]]:
    """Return the registered tasks with their descriptions, sorted by name.

    Example:
        >>> "segmentation" in [entry.name for entry in aw.tasks.entries()]
        True
    """
    return list(registry)
