"""Registries of named functions and classes: spaces, strategies, data sets."""

from __future__ import annotations

import fnmatch
import inspect
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from archwright.errors import ArchwrightError, unknown

_SETTING = re.compile(r"[,;](?=\s*\w+\s*=)|[,;]\s*$")

T = TypeVar("T", bound=Callable[..., Any])
K = TypeVar("K")
C = TypeVar("C", bound=type[Any])


def split_settings(text: str, *, error: type[ArchwrightError]) -> tuple[str, dict[str, str]]:
    """Return the name and the settings of a text such as "evolution:population=20,sample=5".

    Settings follow a colon, separated by commas or semicolons.

    Args:
        text: The text.
        error: The class of errors.

    Raises:
        ArchwrightError: A setting does not have the form name=value, or is given twice.
    """
    name, _, rest = text.partition(":")
    settings: dict[str, str] = {}
    for part in filter(None, map(str.strip, _SETTING.split(rest))):
        key, given, value = (each.strip() for each in part.partition("="))
        if not given or not key:
            raise error(f"{text!r}: a setting reads name=value, not {part!r}")
        if key in settings:
            raise error(f"{text!r}: the setting {key!r} is given twice")
        settings[key] = value
    return name.strip(), settings


@dataclass(frozen=True)
class Entry(Generic[T]):
    """A registered function or class with its summary."""

    name: str
    make: T
    summary: str


class Registry(Generic[T]):
    """Functions and classes by name.

    Args:
        kind: What the makers create, in the singular, for error messages.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, Entry[T]] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers a class or function under `name`.

        The first line of its docstring becomes its summary.

        Raises:
            ValueError: `name` is taken by another maker.
        """

        def decorate(make: T) -> T:
            held = self._entries.get(name)
            if held is not None and held.make is not make:
                raise ValueError(f"{self.kind} {name!r} is registered already, as {held.make!r}")
            summary = (make.__doc__ or "").strip().partition("\n")[0]
            self._entries[name] = Entry(name, make, summary)
            return make

        return decorate

    def entry(self, name: str) -> Entry[T]:
        """Return the entry of `name`.

        Raises:
            UnknownName: The name is not registered; the message lists the names and the nearest one.

        Example:
            >>> aw.spaces.entry("mlp").summary
            'Multilayer perceptrons, for tables and flattened inputs.'
        """
        try:
            return self._entries[name]
        except KeyError:
            raise unknown(self.kind, name, self._entries) from None

    def create(self, name: str, options: Mapping[str, Any], *, error: type[ArchwrightError]) -> Any:
        """Call the maker that is registered under `name`.

        Args:
            name: The maker's name.
            options: Its keyword arguments.
            error: The error for an unknown option.

        Raises:
            UnknownName: The name is not registered.
        """
        make = self.entry(name).make
        known = inspect.signature(make).parameters
        takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
        for option in options:
            if option not in known and not takes_all:
                allowed = ", ".join(known) or "none"
                raise error(f"{self.kind} {name!r} has no option {option!r}; it has: {allowed}")
        return make(**options)

    def names(self, pattern: str = "*") -> list[str]:
        """Return the names that match a shell-style pattern, sorted.

        Example:
            >>> aw.spaces.names("nas*")
            ['nasbench101', 'nasbench201']
        """
        return sorted(fnmatch.filter(self._entries, pattern))

    def __iter__(self) -> Iterator[Entry[T]]:
        """Iterate over the entries in the order of their names."""
        return iter(self._entries[name] for name in sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        """Tell whether `name` is registered."""
        return name in self._entries


class Classes(Generic[K]):
    """Classes of settings by name: strategies, schedulers and the like, whose packages export these methods.

    Args:
        kind: The kind of the objects, in the singular, for error messages.
        error: The error for an unknown setting.
        replaced: Names of earlier versions with their replacements.
    """

    def __init__(
        self, kind: str, error: type[ArchwrightError], replaced: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._registry: Registry[type[K]] = Registry(kind)
        self._error = error
        self._replaced = replaced

    def register(self, name: str) -> Callable[[C], C]:
        """Return a decorator that registers a class under a name.

        Args:
            name: What users write, such as "local-search".

        Raises:
            ValueError: The name is taken.

        Example:
            >>> strategies = Classes("strategy", ArchwrightError)
            >>> strategies.register("mine")(type("Mine", (), {})).registered_as
            'mine'
        """

        def decorate(made: C) -> C:
            filed: Any = self._registry.register(name)(made)
            filed.registered_as = name  # what messages about its settings begin with
            return made

        return decorate

    def create(self, name: str, **settings: Any) -> K:
        """Create an object of the class that is registered under a name.

        Args:
            name: One of `names()`.
            **settings: Its settings.

        Raises:
            UnknownName: No class is registered under that name; the message names the nearest one.
            ArchwrightError: A setting is unknown, or its value is not allowed; the error of the room.

        Warns:
            FutureWarning: The name is one of an earlier version.

        Example:
            >>> aw.strategies.create("evolution", population=20).population
            20
        """
        if name in self._replaced:
            new = self._replaced[name]
            message = f"the {self._registry.kind} {name!r} is no longer available, and {new!r} is used in its place"
            warnings.warn(message, FutureWarning, stacklevel=2)
            name = new
        made: K = self._registry.create(name, settings, error=self._error)
        return made

    def names(self, pattern: str = "*") -> list[str]:
        """Return the names that match a shell-style pattern, sorted.

        Example:
            >>> aw.strategies.names("*bo")
            ['bo', 'mo-bo']
        """
        return self._registry.names(pattern)

    def entries(self) -> list[Entry[type[K]]]:
        """Return the registered classes with their descriptions, sorted by name.

        Example:
            >>> [entry.name for entry in aw.strategies.entries()][:2]
            ['annealing', 'bananas']
        """
        return list(self._registry)

    def name_of(self, made: K) -> str | None:
        """Return the name under which the class of an object is registered, or `None`.

        Example:
            >>> aw.strategies.name_of(aw.strategies.Evolution())
            'evolution'
        """
        return next((entry.name for entry in self._registry if entry.make is type(made)), None)

    def options(self, made: K) -> dict[str, Any]:
        """Return the settings of an object by name, as `create` takes them; empty if it is not a dataclass.

        Example:
            >>> aw.strategies.options(aw.strategies.Evolution(population=20))
            {'population': 20, 'sample': 10}
        """
        held: Any = made
        return {one.name: getattr(held, one.name) for one in fields(held) if one.init} if is_dataclass(held) else {}
