"""Objects for other processes of the same search: code by value, tensors and arrays in a file that all of them map.

These are pickles, unlike all that is kept of a search: they hold what the user's own program holds, they go from a
process to its own children, on this machine or on others of the user's, and their file has no name that anybody could
put another one under.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
import tempfile
from typing import Any, BinaryIO

import cloudpickle
import numpy as np

_LARGE = 1 << 20  # bytes, from which an array is shared instead of copied
_DEEP = 3_000  # levels of an expression; the stack has room for some more


class Payload:
    """An object in a file, which is removed with the last process that uses it.

    Args:
        item: The object. Functions and classes of the main program, of notebooks and inside functions are stored by
            value, those of modules by name. Or bytes, the `content` of another payload.

    Attributes:
        path: The path of the file, for processes that inherit `descriptors`.
        descriptors: The open files that a process has to inherit.
    """

    def __init__(self, item: Any) -> None:
        if sys.platform == "linux":
            # Without a name: nothing of it can be left behind.
            self._hold(tempfile.TemporaryFile(prefix="archwright-"))  # noqa: SIM115 - `close` closes it
        else:
            self._file: Any = tempfile.NamedTemporaryFile(prefix="archwright-")  # noqa: SIM115
            self.descriptors: tuple[int, ...] = ()
            self.path: str = self._file.name
        try:
            if isinstance(item, bytes | memoryview):
                self._file.write(item)
            else:
                dump(item, self._file)
            self._file.flush()
        except BaseException:
            self.close()
            raise

    @classmethod
    def adopt(cls, descriptor: int) -> Payload:
        """Return the payload in an open file without a name."""
        payload = cls.__new__(cls)
        payload._hold(os.fdopen(descriptor, "rb"))
        return payload

    @property
    def public_path(self) -> str:
        """The path of the file for other processes of the same user, as long as this one holds it."""
        return self.path.replace("/proc/self/", f"/proc/{os.getpid()}/", 1)

    def content(self) -> bytes:
        """Return what the file holds."""
        self._file.seek(0)
        content: bytes = self._file.read()
        return content

    def _hold(self, file: Any) -> None:
        self._file, self.descriptors, self.path = file, (file.fileno(),), f"/proc/self/fd/{file.fileno()}"

    def close(self) -> None:
        """Remove the file, as soon as no process uses it."""
        self._file.close()


class _ToShare(Exception):
    """There are tensors, or large arrays."""


class _Plain(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Stores what holds nothing to share, so that a process need not load torch for it."""

    def reducer_override(self, item: Any) -> Any:
        torch = sys.modules.get("torch")
        if _is_large(item) or (torch is not None and isinstance(item, torch.Tensor)):
            raise _ToShare
        return super().reducer_override(item)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Stores large arrays as tensors, which torch puts beside the pickle, so that they can be mapped."""

    def reducer_override(self, item: Any) -> Any:
        if _is_large(item):
            import torch

            # A copy: torch refuses memory that is seen as two types of numbers, as that of a tensor would be.
            content = np.array(item, order="C", copy=True).reshape(-1).view(np.uint8)
            return _array, (torch.from_numpy(content), item.dtype, item.shape)
        return super().reducer_override(item)


class _Pickles:
    """What `torch.save` and `torch.load` use in place of the module `pickle`."""

    Pickler = _Pickler
    Unpickler = pickle.Unpickler


def dump(item: Any, file: BinaryIO) -> None:
    """Write an object to a file."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _DEEP))
    try:
        plain = io.BytesIO()
        _Plain(plain).dump(item)
        file.write(plain.getvalue())
    except _ToShare:
        import torch

        torch.save(item, file, pickle_module=_Pickles, pickle_protocol=pickle.HIGHEST_PROTOCOL)
    finally:
        sys.setrecursionlimit(limit)


def dumps(item: Any) -> bytes:
    """Return what `dump` writes."""
    content = io.BytesIO()
    dump(item, content)
    return content.getvalue()


def _is_large(item: Any) -> bool:
    return type(item) in (np.ndarray, np.memmap) and item.nbytes >= _LARGE and not item.dtype.hasobject


def load(source: str | bytes) -> Any:
    """Return the object that `dump` wrote.

    Args:
        source: The path of the file, whose tensors are mapped and read when they are used, or its content.
    """
    with open(source, "rb") if isinstance(source, str) else io.BytesIO(source) as file:
        if file.read(1) == b"\x80":
            file.seek(0)
            return pickle.load(file)
    import torch

    if isinstance(source, bytes):
        return torch.load(io.BytesIO(source), "cpu", _Pickles, weights_only=False)
    # What a process writes to is its own: the others do not see it.
    return torch.load(source, None, _Pickles, weights_only=False, mmap=True)


def _array(content: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    return content.numpy().view(dtype).reshape(shape)
