"""Interactions of users with items: reading, preprocessing, results; a part of the `predict.py` of such networks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archwright.datasets._preprocess import Estimate, Noted, Preprocess, Result, Sample, Target, field, moments, texts
from archwright.datasets._reading import GIGABYTES, InputError, read_rows

__all__ = ["InteractionPreprocess", "Ranking", "RawInteractions", "interaction_rows"]

_ROLES = {
    "user": ("user", "userid", "uid", "customer", "customerid", "visitor", "visitorid"),
    "item": ("item", "itemid", "iid", "movie", "movieid", "product", "productid", "article", "articleid", "bookid"),
    "target": ("rating", "score", "stars", "click", "clicked", "label", "value", "target", "interaction"),
    "time": ("time", "timestamp", "date", "datetime", "unixtime"),
}
"""Names of columns, in lower case and without signs, by what they hold."""

_ALL = -1  # in place of an item: all of them


@dataclass(frozen=True)
class Ranking(Result):
    """The items that suit a user best.

    Args:
        user: The user.
        items: The items, best first.
        scores: The expected rating of each, or the probability of a click.

    Example:
        >>> Ranking(None, 0, "ann", ["tea", "jam"], [4.5, 4.0]).cells()
        {'user': 'ann', 'items': 'tea, jam'}
    """

    user: str
    items: list[str]
    scores: list[float]

    def cells(self) -> dict[str, str]:
        """Return the items."""
        return {"user": self.user, "items": ", ".join(self.items)}


@dataclass(frozen=True)
class InteractionPreprocess(Preprocess):
    """Preprocessing of pairs of users and items.

    A network takes their numbers from 1; 0 is a user or an item that is not in the training part.

    Args:
        users: The users of the training part.
        items: The items of the training part.
        target: The rating, with mean and standard deviation; or the probability of a click, with 0 and 1.
        user: The name of the column of users, or its position, from 1, if columns have no names.
        item_column: The same of the items.
        is_click: Whether the target is the probability of a click.
        top: The number of items in a ranking.

    Example:
        >>> preprocess = InteractionPreprocess(("ann", "bob"), ("jam",), Target("rating", mean=3.0, std=1.0))
        >>> preprocess.item({"user": "bob", "item": "tea"})
        tensor([2, 0])
    """

    kind = "interactions"
    takes = "tables with users and items (CSV)"
    is_numbered = True
    classes = ()

    users: tuple[str, ...]
    items: tuple[str, ...]
    target: Target
    user: str = "user"
    item_column: str = "item"
    is_click: bool = False
    top: int = 10

    def __post_init__(self) -> None:
        for name, each in (("_user_numbers", self.users), ("_item_numbers", self.items)):
            object.__setattr__(self, name, {text: number for number, text in enumerate(each, 1)})

    @property
    def targets(self) -> tuple[Target, ...]:  # type: ignore[override]
        """The rating or the probability."""
        return (self.target,)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return (2,)

    def numbers(self, user: str, item: str | None) -> list[int]:
        """Return the numbers of a user and an item, 0 for unknown ones; without an item they stand for all."""
        users: dict[str, int] = vars(self)["_user_numbers"]
        items: dict[str, int] = vars(self)["_item_numbers"]
        return [users.get(user, 0), _ALL if item is None else items.get(item, 0)]

    def read(self, path: str | os.PathLike[str], *, gigabytes: float = GIGABYTES) -> Iterator[Sample]:
        """Yield the numbers of user and item of each row, int64 (2,); without a column of items the user's number.

        Raises:
            InputError: The file cannot be read, or has no column of users.
        """
        wanted = {"user": self.user, "item": self.item_column}
        places, _, rows = interaction_rows(Path(path), wanted, gigabytes=gigabytes, needed=("user",))
        unknown: dict[str, list[str]] = {"user": [], "item": []}
        for row, cells in rows:
            names = [cells[places[role]] if role in places else None for role in unknown]
            numbers = self.numbers(str(names[0]), names[1])
            for others, name, number in zip(unknown.values(), names, numbers, strict=True):
                if not number:
                    others.append(f"{name!r:.40} in row {row}")
            yield row, torch.tensor(numbers)
        for role, others in unknown.items():
            if others:
                told = f"{', '.join(others[:3])}{f' and {len(others) - 3} more' * (len(others) > 3)}"
                warnings.warn(f"{path}: {role}s that are not in the training part: {told}", stacklevel=2)

    def item(self, given: Any) -> Tensor | Noted:
        """Return the numbers of a user and an item, int64 (2,).

        Args:
            given: A mapping with "user" and "item", or the names of the columns; without an item the result is a
                ranking of all items.

        Raises:
            InputError: It is no mapping, or has no user.
        """
        if not isinstance(given, Mapping):
            return super().item(given)
        user = given.get("user", given.get(self.user))
        if user is None:
            raise InputError("a pair needs a user, and an item unless all are ranked: {'user': ..., 'item': ...}.")
        item = given.get("item", given.get(self.item_column))
        return torch.tensor(self.numbers(str(user), None if item is None else str(item)))

    def batch(self, raw: Tensor) -> Tensor:
        """Return numbers of users and items (n, 2) unchanged, after a check.

        Raises:
            InputError: The shape or type is wrong, or there is no such user or item.
        """
        if raw.ndim != 2 or raw.shape[1] != 2 or raw.is_floating_point() or raw.is_complex():
            raise InputError(f"the network takes numbers of users and items, int64 (n, 2), not {tuple(raw.shape)}.")
        raw = raw.long()
        low, high = torch.tensor([0, _ALL]), torch.tensor([len(self.users), len(self.items)])
        if bool(((raw.cpu() < low) | (raw.cpu() > high)).any()):
            raise InputError(f"users are 0 to {high[0]} and items 0 to {high[1]}, where 0 is an unknown one.")
        return raw

    def adapted(self, network: nn.Module) -> nn.Module:
        """Return a network whose outputs are ratings or probabilities, and which ranks items."""
        return RawInteractions(network, self)

    def checked(self, outputs: Any, size: int) -> Any:
        """Return values (n, 1), or the pairs of users and scores of all items where there are rankings."""
        return outputs if isinstance(outputs, list) else super().checked(outputs, size)

    def results(self, outputs: Any, places: Sequence[Any]) -> list[Result]:
        """Return the rating or the probability of each pair, or the ranking of items for a user."""
        found: list[Result] = []
        for (file, row, *_), output in zip(places, outputs, strict=True):
            user, scores = output if isinstance(output, tuple) else (0, output)
            if len(scores) == 1 and not isinstance(output, tuple):
                value = float(scores[0])
                found.append(Estimate(file, row, value, {self.target.name: value}))
                continue
            best = scores.argsort(descending=True, stable=True)[: self.top].tolist()
            name = self.users[user - 1] if user else "unknown"
            found.append(Ranking(file, row, name, [self.items[each] for each in best], scores[best].tolist()))
        return found

    def source(self) -> str:
        """Return the source of the constants."""
        lines = [
            "# Inputs: numbers of users and items, int64 (n, 2), from 1 in the order of preprocess.json; 0 is unknown.",
            f"TARGET = {self.target.name!r}",
            f"TARGET_MEAN, TARGET_STD = {self.target.mean!r}, {self.target.std!r}",
        ]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return the content of `preprocess.json`."""
        target = {"name": self.target.name, "mean": self.target.mean, "std": self.target.std}
        columns = {"user": self.user, "item": self.item_column}
        ids = {"users": list(self.users), "items": list(self.items)}
        flags = {"is_click": self.is_click, "top": self.top}
        return {"version": 1, "kind": self.kind, "target": target, "columns": columns, **flags, **ids}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> InteractionPreprocess:
        """Return the preprocessing written by `to_json`.

        Raises:
            InputError: The value is not a preprocessing of interactions.
        """
        target, columns = field(data, "target", dict), field(data, "columns", dict)
        known = Target(field(target, "name", str), *moments(target.get("mean"), target.get("std")))
        user, item = field(columns, "user", str), field(columns, "item", str)
        is_click, top = field(data, "is_click", bool), field(data, "top", int)
        if top < 1:
            raise InputError(f"a ranking has 1 item or more, not {top}.")
        return cls(texts(data, "users"), texts(data, "items"), known, user, item, is_click, top)


class RawInteractions(nn.Module):
    """A network on numbers of users and items, whose outputs are ratings or probabilities.

    Args:
        network: The network.
        preprocess: Its preprocessing.
    """

    def __init__(self, network: nn.Module, preprocess: InteractionPreprocess) -> None:
        super().__init__()
        self.network = network
        self.mean, self.std = preprocess.target.mean, preprocess.target.std
        self.is_click = preprocess.is_click
        self.items = len(preprocess.items)

    def forward(self, raw: Tensor) -> Any:
        """Return values (n, 1) of pairs (n, 2); or for each of them user and scores, where an item stands for all."""
        if torch.compiler.is_compiling() or not bool((raw[:, 1] == _ALL).any()):
            return self.values(raw)
        items = torch.arange(1, self.items + 1, device=raw.device)
        found: list[Any] = []
        for pair in raw:
            if pair[1] == _ALL:
                pairs = torch.stack([pair[0].expand(self.items), items], 1)
                found.append((int(pair[0]), self.values(pairs)[:, 0].float().cpu()))
            else:
                found.append(self.values(pair[None])[0].float().cpu())
        return found

    def values(self, pairs: Tensor) -> Tensor:
        """Return ratings or probabilities (n, 1) of pairs."""
        outputs: Tensor = self.network(pairs)
        return outputs.sigmoid() if self.is_click else outputs * self.std + self.mean


def interaction_rows(
    path: Path,
    names: Mapping[str, str | None],
    *,
    gigabytes: float = GIGABYTES,
    needed: Sequence[str] = ("user", "item", "target"),
) -> tuple[dict[str, int], list[str], Iterator[tuple[int, list[str]]]]:
    r"""Return where the columns of a table stand by what they hold, the names of all columns, and the rows after.

    Cells may also be separated by two colons, as in the `ratings.dat` of MovieLens. Without a row of names the columns
    are user, item, target and time.

    Args:
        path: The file.
        names: The names of columns by role ("user", "item", "target", "time"), or positions, from 1, as texts; `None`
            for common names, such as "userId".
        gigabytes: The limit of its size.
        needed: The roles that have to be there.

    Raises:
        InputError: The file cannot be read, a column is missing, or a row has too few cells.

    Example:
        >>> _ = Path("ratings.csv").write_text("userId,movieId,rating\n1,7,4.5\n")
        >>> places, names, rows = interaction_rows(Path("ratings.csv"), {})
        >>> places, names[0], list(rows)
        ({'user': 0, 'item': 1, 'target': 2}, 'userId', [(2, ['1', '7', '4.5'])])
    """
    rows = ((row, cells[0].split("::") if len(cells) == 1 else cells) for row, cells in read_rows(path, gigabytes))
    first = next(rows, None)
    if first is None:
        raise InputError(f"{path} is empty; it should hold users, items and ratings or clicks.")
    heads = first[1]
    plain = ["".join(filter(str.isalnum, head.lower())) for head in heads]
    given = {role: name for role, name in names.items() if name is not None}
    has_names = any(not name.isdecimal() for name in given.values())  # with positions alone the first row is data
    places: dict[str, int] = {}
    for role, common in _ROLES.items():
        name = given.get(role)
        if name is None:
            matching = [place for place, head in enumerate(plain) if head in common and (has_names or not given)]
            places |= {role: matching[0]} if matching else {}
        elif name.isdecimal() and 1 <= int(name) <= len(heads):
            places[role] = int(name) - 1
        elif not name.isdecimal() and name in heads:
            places[role] = heads.index(name)
        elif role in needed:
            held = f"{len(heads)} columns, 1 to {len(heads)}" if name.isdecimal() else ", ".join(map(repr, heads[:20]))
            raise InputError(f"{path} has no column {name!r}; it has {held}.")
    has_names = has_names or (not given and bool(places))
    if not has_names:
        for place, role in enumerate(_ROLES):
            if role not in given and place < len(heads) and place not in places.values():
                places[role] = place
    missing = [role for role in needed if role not in places]
    if missing:
        held = "names no column of" if has_names else f"has {len(heads)} columns, and none for"
        options = ", ".join(f"{role}=" for role in missing)
        raise InputError(f"{path} {held} the {missing[0]}; tell which one it is: {options} (--option)")
    found = _complete(path, rows if has_names else chain([first], rows), max(places.values()) + 1)
    return places, heads if has_names else [str(place + 1) for place in range(len(heads))], found


def _complete(path: Path, rows: Iterable[tuple[int, list[str]]], least: int) -> Iterator[tuple[int, list[str]]]:
    """Yield rows with at least so many cells."""
    for row, cells in rows:
        if len(cells) < least:
            raise InputError(f"{path}, row {row}: there are {len(cells)} cells; {least} are needed.")
        yield row, cells
