"""Another process, for what holds across processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing import get_context, util
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def elsewhere(function: Callable[P, R], *arguments: P.args, **options: P.kwargs) -> R:
    """Return what a function of a module returns in another process, or raise what it raises there."""
    try:
        return _process().submit(function, *arguments, **options).result()
    except BrokenProcessPool:
        _process.cache_clear()
        raise


@cache
def _process() -> ProcessPoolExecutor:
    """Return a process started from nothing, which hashes strings to something else; one for all, as it loads torch."""
    held = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = "1"
    try:
        process = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        process.submit(int).result()
    finally:
        if held is None:
            del os.environ["PYTHONHASHSEED"]
        else:
            os.environ["PYTHONHASHSEED"] = held
    # Where this process is itself one of multiprocessing's, it waits for its children before the executor ends them;
    # the executor's queues, which it ends them with, are closed with priority 10.
    util.Finalize(process, process.shutdown, exitpriority=100)
    return process
