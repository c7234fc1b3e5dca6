"""What a decision cannot be used for while a space is written, each with a message that says what to write instead."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

from archwright.errors import SpaceError

_LAYER = (
    "a layer of torch.nn needs a value, and a decision has none yet: use the same layer of archwright "
    "(`from archwright import nn`), or aw.lazy(YourClass)(...) for your own class"
)
_NUMBER = (
    "a decision has no value while the space is defined; +, -, * and // are possible, for everything else write your "
    "own class that takes it as an argument: aw.lazy(YourClass)(...)"
)
_TEST = (
    "a decision has no value while the space is defined, so `if` cannot depend on it. Choose between parts with "
    "aw.choice(part, other); express constraints between decisions with Space(where=...)"
)
_COUNT = "a decision has no value while the space is defined; for a variable number of parts use aw.repeat(body, 1, 4)"
_SEVERAL = (
    "how many values it holds is not known while the space is defined: index it (outputs[0]), or unpack it into names "
    "(outputs, state = gru(x)); for a variable number of parts use aw.repeat(body, 1, 4)"
)
_TEXT = "a decision has no value while the space is defined; without a format specification its expression is shown"


class Undecided:
    """Base of what is written down: refuses what needs a value."""

    __array_ufunc__ = None  # numpy leaves arithmetic with its scalars to this class

    @property
    def is_setting(self) -> bool:
        """Whether it stands for a number or another constant, rather than for a layer or a value of a graph."""
        return False

    def __bool__(self) -> bool:
        """Refuse `if`, `and`, `or` and `not`; what stands for a layer is true, as any object is."""
        return True if not self.is_setting else self._refuse("is tested by if, and, or or not", _TEST)

    def __eq__(self, other: object) -> bool:
        """Compare by identity; refuse to compare a number that is left open with one that is known."""
        if self.is_setting and isinstance(other, bool | int | float | str):
            self._refuse(f"is compared with {other!r}", _TEST)
        return self is other

    __hash__ = object.__hash__

    def __lt__(self, other: Any) -> bool:
        return self._refuse(f"is compared with {other!r}", _TEST)

    __le__ = __gt__ = __ge__ = __lt__

    def __index__(self) -> int:
        return self._refuse("is taken for a whole number, as range() and indices do", _COUNT)

    def __len__(self) -> int:
        return self._refuse("is asked for its length", _COUNT)

    def __iter__(self) -> Iterator[Any]:
        return self._refuse("is iterated over", _COUNT if self.is_setting else _SEVERAL)

    def __float__(self) -> float:
        return self._refuse("is taken for a number", _NUMBER)

    __int__ = __complex__ = __index__

    def __neg__(self) -> NoReturn:
        self._refuse("has its sign or its fraction changed", _NUMBER)

    __pos__ = __abs__ = __invert__ = __round__ = __floor__ = __ceil__ = __trunc__ = __neg__

    def __truediv__(self, other: Any) -> NoReturn:
        self._refuse(f"is calculated with {other!r}", _NUMBER)

    __rtruediv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __divmod__ = __rdivmod__ = __truediv__
    __matmul__ = __rmatmul__ = __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = __truediv__
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __truediv__

    def __format__(self, spec: str) -> str:
        """Show what was written; refuse to be formatted as a number."""
        return self._refuse(f"is formatted by {spec!r}", _TEXT) if spec and self.is_setting else format(str(self), spec)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> NoReturn:
        """Refuse to be an argument of torch's functions, where layers of torch give theirs."""
        given = [part for value in args for part in (value if isinstance(value, list | tuple) else (value,))]
        told = ", ".join(repr(part) for part in given if isinstance(part, Undecided)) or "a part of a space"
        raise SpaceError(
            f"torch's {getattr(func, '__name__', 'function')} was given {told}, which is not decided yet: {_LAYER}. To "
            f"values of a graph layers are applied, such as nn.ReLU()(x), and functions by archwright: "
            f"nn.functional.relu(x), aw.lazy(torch.roll)(x, 1)"
        )

    def _refuse(self, what: str, remedy: str) -> NoReturn:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_globals.get("__name__", "").startswith("archwright.space."):
            frame = frame.f_back
        caller = "" if frame is None else str(frame.f_globals.get("__name__", ""))
        raise SpaceError(f"{self!r} {what}: {_LAYER if caller.partition('.')[0] == 'torch' else remedy}")


def unpacked(frame: FrameType) -> int | None:
    """Return into how many names a frame unpacks what it is about to iterate over; None where it does something else.

    How many outputs a layer has is not known before it runs; the names on the left say how many are meant.
    """
    at = next((each for each in dis.get_instructions(frame.f_code) if each.offset == frame.f_lasti), None)
    return at.argval if at is not None and at.opname == "UNPACK_SEQUENCE" else None
