"""The table of the sizes of NATS-Bench."""

from __future__ import annotations

from archwright import spaces
from archwright._files import Content
from archwright.bench._table import Table
from archwright.space import Architecture

_TASKS = {"cifar10": ("cifar10", 10, 32), "cifar100": ("cifar100", 100, 32), "imagenet16-120": ("imagenet", 120, 16)}
_PERCENT = 0.01


def read(content: Content, dataset: str) -> Table:
    """Return the table of a file; docs/tables.md describes its columns.

    A file without validation accuracies lets a search see the test accuracies.
    """
    prefix, classes, size = _TASKS[dataset]
    columns = content.columns()
    test = columns.numbers(f"{prefix}_test90", _PERCENT)
    validation = {90: test}
    if f"{prefix}_val90" in columns:
        validation = {
            epochs: columns.numbers(f"{prefix}_val{epochs}", _PERCENT)
            for epochs in (1, 12, 90)
            if f"{prefix}_val{epochs}" in columns
        }
    seconds = f"{prefix}_train_s_90ep"
    return Table(
        spaces.create("natsbench-size", classes=classes, input_shape=(3, size, size)),
        [
            Architecture({f"width_{place}": int(width) for place, width in enumerate(text.split(":"))})
            for text in columns.texts("arch")
        ],
        validation,
        test=test,
        seconds=columns.numbers(seconds) if seconds in columns else None,
        metrics={"parameters": columns.numbers(f"{prefix}_params")},
    )
