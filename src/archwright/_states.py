"""States saved by torch, loaded without executing code and without unbounded memory."""

from __future__ import annotations

import io
import zipfile
from typing import Any

__all__ = ["parse_state"]


def parse_state(content: bytes) -> dict[str, Any]:
    """Return the state that `torch.save` wrote, with its tensors on the CPU.

    Args:
        content: The content of the file.

    Raises:
        ValueError: It is none; the message says why, as the end of a sentence.
    """
    import torch

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ValueError("cannot be read (it is no file of torch.save)") from error
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("cannot be read (it is compressed, which torch.save does not do)")
    if sum(entry.file_size for entry in entries) > len(content):
        raise ValueError("cannot be read (it unpacks to more than it holds)")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if archive.testzip() is not None:  # torch does not compare the checksums that it writes
                raise zipfile.BadZipFile
        state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")  # tensors and plain values alone
    except Exception as error:  # whatever a damaged file makes others raise
        raise ValueError(f"cannot be read ({type(error).__name__})") from error
    if not isinstance(state, dict):
        raise ValueError(f"cannot be read (it is a {type(state).__name__})")
    return state
