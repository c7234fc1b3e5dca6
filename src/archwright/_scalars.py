"""Scalars of numpy and torch, converted to Python's own.

Arithmetic with numpy or torch leaves `np.int64(3)`, `np.bool_(True)` or `torch.tensor(0.1)` where a plain number is
meant. Such values equal a plain number, but they are written to no JSON and to no source, and `isinstance(value, int)`
refuses them. So whatever takes a number from a caller passes it through `scalar` first.
"""

from __future__ import annotations

from typing import Any, TypeGuard

from archwright.errors import SpaceError

__all__ = ["is_number", "is_whole", "keep_scalars", "scalar", "scalars"]

_PLAIN = (bool, int, float, str)
_WITHIN: Any = object()


def scalar(value: Any) -> Any:
    """Return Python's own scalar for a scalar of numpy, or for an array or tensor without axes; all else as it is."""
    if type(value) in _PLAIN or getattr(value, "shape", None) != () or not hasattr(value, "item"):
        return value
    try:
        found = value.item()
    except (RuntimeError, ValueError):  # a tensor without data
        return value
    return found if type(found) in _PLAIN else value


def scalars(item: Any) -> Any:
    """Return an item with its scalars as Python's own, also those inside lists, tuples and dictionaries.

    Raises:
        SpaceError: A list or dictionary contains itself.
    """
    done: dict[int, Any] = {}  # what is met again is the same again

    def copied(item: Any) -> Any:
        if type(item) not in (list, tuple, dict):
            return scalar(item)
        if id(item) not in done:
            done[id(item)] = _WITHIN
            is_dict = type(item) is dict
            inside = {key: copied(value) for key, value in item.items()} if is_dict else type(item)(map(copied, item))
            done[id(item)] = inside
        if done[id(item)] is _WITHIN:
            raise SpaceError(f"a {type(item).__name__} contains itself")
        return done[id(item)]

    try:
        return copied(item)
    except RecursionError:
        raise SpaceError("lists or dictionaries are nested too deep") from None


def keep_scalars(settings: Any, *names: str) -> None:
    """Put Python's own scalars into fields of a frozen dataclass."""
    for name in names:
        object.__setattr__(settings, name, scalars(getattr(settings, name)))


def is_whole(value: object) -> TypeGuard[int]:
    """Tell whether a plain scalar is a whole number; a truth value is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell whether a plain scalar is a number; a truth value is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
