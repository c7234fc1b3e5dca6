"""Uploads of exports to the Hugging Face Hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from archwright.errors import StudyError, require

_NAME = re.compile(r"[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}", re.ASCII)


def check_repository(name: str) -> None:
    """Refuse what is not the name of a repository of the Hub.

    Raises:
        StudyError: It is not.
        MissingExtra: The client of the Hub is not installed.

    Example:
        >>> from archwright.export import check_repository
        >>> check_repository("me/digits") is None
        True
    """
    if not _NAME.fullmatch(name):
        raise StudyError(f"{name!r} is no repository of the Hub: give USER/NAME, such as me/digits")
    _client()


def push(files: Sequence[Path], name: str) -> str:
    """Upload the files of an export to a new, private repository of the Hugging Face Hub.

    The user is that of the client: `hf auth login`, or the environment variable HF_TOKEN.

    Args:
        files: The files, in one folder.
        name: The repository, "user/name"; one that exists is left as it is.

    Returns:
        Its address.

    Raises:
        StudyError: The name is none, or the Hub refuses the repository or the upload.
        MissingExtra: The client of the Hub is not installed.

    Example:
        >>> push(study.export("digits"), "me/digits")  # doctest: +SKIP
        'https://huggingface.co/me/digits'
    """
    check_repository(name)
    hub = _client()
    # Which library speaks HTTP depends on the version of the client: the error of that library is a base of its own.
    problems = (*import_module("huggingface_hub.errors").HfHubHTTPError.__bases__, OSError, ValueError)
    api = hub.HfApi()
    try:
        address = api.create_repo(name, private=True, exist_ok=False)
        operations = [hub.CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=file) for file in files]
        api.create_commit(name, operations, commit_message="Add the network")
    except problems as error:
        told = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise StudyError(f"the Hub does not take {name}: {told}. The export is in {files[0].parent}") from error
    return str(address)


def _client() -> Any:
    return require("huggingface_hub", extra="hub", purpose="an upload to the Hugging Face Hub")
