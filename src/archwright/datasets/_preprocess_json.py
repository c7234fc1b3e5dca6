"""Preprocessing read from `preprocess.json`; also a part of the `predict.py` beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archwright.datasets._preprocess import Column, ImagePreprocess, Preprocess, TablePreprocess, Target
from archwright.datasets._reading import InputError, check_file

__all__ = ["load_preprocess", "preprocess_from_json"]

_MOST_VALUES = 2**28  # of one sample, so that a damaged file asks for no terabytes


def load_preprocess(path: str | os.PathLike[str]) -> Preprocess:
    """Return the preprocessing in a `preprocess.json`.

    Raises:
        InputError: The file cannot be read, or is not a preprocessing.

    Example:
        >>> table = TablePreprocess(("yes", "no"), (Column("age", mean=40.0, std=10.0),))
        >>> _ = Path("preprocess.json").write_text(json.dumps(table.to_json()))
        >>> load_preprocess("preprocess.json") == table
        True
    """
    try:
        check_file(Path(path))
        return preprocess_from_json(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be used: {error}") from error


def preprocess_from_json(data: Any) -> Preprocess:
    """Return the preprocessing written by `to_json`.

    Raises:
        InputError: The value is not a preprocessing.

    Example:
        >>> table = TablePreprocess(("yes", "no"), (Column("age", mean=40.0, std=10.0),))
        >>> preprocess_from_json(table.to_json()) == table
        True
    """
    if not isinstance(data, dict) or data.get("version") != 1:
        raise InputError("it is no preprocessing of version 1.")
    targets = tuple(map(_target, _get(data, "targets", list))) if "targets" in data else ()
    classes = () if targets else _texts(data, "classes")
    if data.get("kind") == "image":
        channels, height, width = (_get(data, name, int) for name in ("channels", "height", "width"))
        if channels not in (1, 3) or min(height, width) < 1 or channels * height * width > _MOST_VALUES:
            raise InputError(f"pictures of {height} x {width} pixels and {channels} channels are not possible.")
        mean, std = (_get(data, name, list) for name in ("mean", "std"))
        if len(mean) != channels or len(std) != channels:
            raise InputError(f"there are {channels} channels but {len(mean)} means and {len(std)} deviations.")
        moments = [_moments(*pair) for pair in zip(mean, std, strict=True)]
        return ImagePreprocess(
            classes,
            channels,
            height,
            width,
            mean=tuple(mean for mean, _ in moments),
            std=tuple(std for _, std in moments),
            bytes=_get(data, "bytes", bool),
            resize=_get(data, "resize", bool),
            targets=targets,
        )
    if data.get("kind") == "table":
        columns = tuple(_column(each) for each in _get(data, "columns", list))
        if not columns or len({each.name for each in columns}) < len(columns):
            raise InputError("a table needs columns, each with a name of its own.")
        named, target = _get(data, "named", bool), data.get("target")
        if not (target is None or (isinstance(target, str) and (named or target.isdecimal()))):
            raise InputError(f"the target {target!r} is no column.")
        return TablePreprocess(classes, columns, named, target, targets)
    raise InputError(f"its kind is {data.get('kind')!r}, and not 'image' or 'table'.")


def _target(data: Any) -> Target:
    if not isinstance(data, dict):
        raise InputError(f"{data!r} is no target.")
    return Target(_get(data, "name", str), *_moments(data.get("mean"), data.get("std")))


def _column(data: Any) -> Column:
    if not isinstance(data, dict):
        raise InputError(f"{data!r} is no column.")
    name = _get(data, "name", str)
    if "categories" in data:
        return Column(name, _texts(data, "categories"))
    return Column(name, None, *_moments(data.get("mean"), data.get("std")))


def _get(data: Mapping[str, Any], name: str, kind: type) -> Any:
    if type(data.get(name)) is not kind:
        raise InputError(f"{name!r} should be of type {kind.__name__}; it is {data.get(name)!r}.")
    return data[name]


def _texts(data: Mapping[str, Any], name: str) -> tuple[str, ...]:
    texts = _get(data, name, list)
    if not texts or not all(isinstance(text, str) for text in texts) or len(set(texts)) < len(texts):
        raise InputError(f"{name!r} should be a list of different texts.")
    return tuple(texts)


def _moments(mean: Any, std: Any) -> tuple[float, float]:
    for value in (mean, std):
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 3.5e38:
            raise InputError(f"{value!r} is no mean or deviation.")
    if std <= 0:
        raise InputError(f"the deviation {std!r} is not above zero.")
    return float(mean), float(std)
