"""The registry of ready-made spaces, and checks of their input."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from archwright._registry import Entry, Registry
from archwright.errors import ArchitectureError, SpaceError
from archwright.space import Architecture, Space

Maker: TypeAlias = Callable[..., Space]
Starts: TypeAlias = Callable[[Space], Iterable[Mapping[str, Any]]]
M = TypeVar("M", bound=Maker)

_COLUMNS = 1_000  # of a table at most, for each of which a network is to have weights of its own
_registry: Registry[Maker] = Registry("space")
_ranks: dict[str, frozenset[int] | None] = {}
_starts: dict[str, Starts] = {}
_special: set[str] = set()


def register(
    name: str, *, ranks: Collection[int] | None = None, starts: Starts | None = None, special: bool = False
) -> Callable[[M], M]:
    """Return a decorator that registers a function which creates a space.

    Args:
        name: The name, such as "convnet".
        ranks: The ranks of the supported input shapes, such as `(3,)` for images; `None` for any.
        starts: A function that returns known good architectures of such a space, best first.
        special: Whether inputs are neither tables nor images, or outputs neither scores of classes nor values.

    Raises:
        ValueError: The name is taken.

    Example:
        >>> @aw.spaces.register("linear", ranks=(1,))  # doctest: +SKIP
        ... def linear(*, input_shape=(4,), classes=3):
        ...     return aw.Space(model=nn.LazyLinear(classes), example_input=input_shape)
    """
    file = _registry.register(name)

    def decorate(make: M) -> M:
        file(make)
        _ranks[name] = None if ranks is None else frozenset(ranks)
        if starts is not None:
            _starts[name] = starts
        if special:
            _special.add(name)
        return make

    return decorate


def create(name: str, **options: Any) -> Space:
    """Create the space that is registered under a name.

    Args:
        name: One of `names()`.
        **options: Its options; all ready-made spaces take `input_shape` (without the batch) and `classes`.

    Raises:
        UnknownName: No space is registered under that name; the message names the nearest one.
        SpaceError: An option is unknown, or its value is not allowed.

    Example:
        >>> aw.spaces.create("nasbench201").size
        15625
    """
    made: Space = _registry.create(name, options, error=SpaceError)
    return made


def fitting(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a task that a space takes; the shape of the input and the number of classes in any case.

    Args:
        name: One of `names()`.
        options: Those that the task has for spaces, by name.

    Raises:
        UnknownName: No space is registered under that name.

    Example:
        >>> aw.spaces.fitting("mlp", {"input_shape": (4,), "classes": 3, "columns": (0, 0, 2)})
        {'input_shape': (4,), 'classes': 3}
    """
    taken = {"input_shape", "classes", *inspect.signature(_registry.entry(name).make).parameters}
    return {option: value for option, value in options.items() if option in taken}


def starts(space: Space) -> list[Architecture]:
    """Return known good architectures of a ready-made space, best first.

    Empty for other spaces, and for ready-made ones without such knowledge.

    Example:
        >>> aw.spaces.starts(aw.Space(x=aw.integer(0, 9)))
        []
    """
    known = _starts.get(space.name or "")
    if known is None:
        return []
    try:
        return list(dict.fromkeys(map(space.canonical, known(space))))
    except (ArchitectureError, KeyError):
        return []  # a space of somebody's own that has that name


names = _registry.names
entry = _registry.entry


def entries() -> list[Entry[Maker]]:
    """Return the registered spaces with their descriptions, sorted by name.

    Example:
        >>> next(entry.name for entry in aw.spaces.entries())
        'accel-nasbench'
    """
    return list(_registry)


def suiting(rank: int) -> list[str]:
    """Return the names of the spaces for inputs of numbers of a rank: 1 for vectors, 3 for images.

    Example:
        >>> aw.spaces.suiting(1)
        ['mlp', 'tabular']
    """
    return [name for name in names() if _takes(name, rank) and name not in _special]


def default_for(input_shape: Sequence[int]) -> str:
    """Return the name of the default space for an input shape.

    It is "resnet" for images, "convnet" for those below 16 pixels, "tabular" for vectors of at most 1,000 numbers, and
    "mlp" otherwise.

    Args:
        input_shape: The shape of one sample, without the batch.

    Example:
        >>> aw.spaces.default_for((3, 32, 32)), aw.spaces.default_for((8,))
        ('resnet', 'tabular')
    """
    if len(input_shape) != 3:
        return "tabular" if len(input_shape) == 1 and input_shape[0] <= _COLUMNS else "mlp"
    return "resnet" if min(input_shape[1:]) >= 16 else "convnet"


def checked_input(name: str, input_shape: Sequence[int], classes: int) -> tuple[int, ...]:
    """Return the shape of one sample, without the batch, for the space that is filed under a name.

    SpaceError where it has sizes below 1 or a rank that the space does not take, or there is no class.
    """
    try:
        shape = tuple(map(operator.index, input_shape))
    except TypeError:
        raise SpaceError(f"space {name!r}: input_shape is a tuple of whole numbers, not {input_shape!r}") from None
    if not shape or min(shape) < 1:
        raise SpaceError(f"space {name!r}: input_shape holds sizes of 1 or more, not {input_shape!r}")
    if classes < 1:
        raise SpaceError(f"space {name!r}: classes is 1 or more, not {classes!r}")
    if not _takes(name, len(shape)):
        ranks = " or ".join(map(str, sorted(_ranks[name] or ())))
        raise SpaceError(
            f"space {name!r} takes inputs of rank {ranks} such as (channels, height, width), and "
            f"input_shape={shape} has rank {len(shape)}; spaces for it: {', '.join(suiting(len(shape))) or 'none'}"
        )
    return shape


def _takes(name: str, rank: int) -> bool:
    ranks = _ranks[name]
    return ranks is None or rank in ranks
