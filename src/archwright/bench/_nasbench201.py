"""The table of NAS-Bench-201."""

from __future__ import annotations

from archwright import spaces
from archwright._files import Content
from archwright.bench._table import Table
from archwright.spaces.nasbench201 import from_string

_TASKS = {"cifar10": ("cifar10", 10, 32), "cifar100": ("cifar100", 100, 32), "imagenet16-120": ("imagenet", 120, 16)}
_PERCENT = 0.01


def read(content: Content, dataset: str) -> Table:
    """Return the table of a file; docs/tables.md describes its columns."""
    prefix, classes, size = _TASKS[dataset]
    columns = content.columns()
    return Table(
        spaces.create("nasbench201", classes=classes, input_shape=(3, size, size)),
        [from_string(text) for text in columns.texts("arch")],
        {epochs: columns.numbers(f"{prefix}_val{epochs}", _PERCENT) for epochs in (12, 200)},
        test=columns.numbers(f"{prefix}_test200", _PERCENT),
        seconds=columns.numbers(f"{prefix}_train_s_200ep"),
        metrics={
            "parameters": columns.numbers(f"{prefix}_params_mb", 1e6),
            "latency_ms": columns.numbers(f"{prefix}_latency_s", 1e3),
        },
    )
