"""What every proxy is, and the registry of those that have a name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from archwright._registry import Entry, Registry
from archwright.errors import EvaluationError

if TYPE_CHECKING:
    from archwright.evaluate.proxies._passes import Passes

__all__ = ["Proxy", "create", "entries", "name_of", "names", "register"]

_registry: Registry[type[Proxy]] = Registry("proxy")


class Proxy(ABC):
    """Says of a network that was not trained how good it may become; greater is better, always.

    A frozen dataclass of its settings.

    Attributes:
        needs: The properties of `Passes` that it looks at. All proxies that are scored together share them.
        parts: The proxies that it stands for, where it ranks the networks of a set by several; `aggregate` does that.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    parts: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def score(self, passes: Passes) -> float:
        """Return the score.

        Args:
            passes: The network, a batch, and what passes over them gave.

        Raises:
            EvaluationError: It is undefined for this network; the message says which trait of the network is the
                cause, and what to do.
        """


def register(name: str) -> Callable[[type[Proxy]], type[Proxy]]:
    """Return a decorator that files a proxy class under a name.

    Args:
        name: What users write, such as "grad-norm".

    Raises:
        ValueError: The name is taken.
    """
    return _registry.register(name)


def create(name: str, **settings: Any) -> Proxy:
    """Make the proxy that is filed under a name.

    Args:
        name: One of `names()`.
        **settings: Its settings.

    Raises:
        UnknownName: Nothing is filed under that name; the message names the nearest one.
        EvaluationError: A setting is unknown, or its value is not allowed.
    """
    made: Proxy = _registry.create(name, settings, error=EvaluationError)
    return made


def names(pattern: str = "*") -> list[str]:
    """Return the names of the proxies that match a shell-style pattern, sorted."""
    return _registry.names(pattern)


def entries() -> list[Entry[type[Proxy]]]:
    """Return the registered proxies with the line that describes each, sorted by name."""
    return list(_registry)


def name_of(proxy: Proxy) -> str | None:
    """Return the name under which a proxy's class is filed, or `None` if it is not."""
    return next((entry.name for entry in _registry if entry.make is type(proxy)), None)
