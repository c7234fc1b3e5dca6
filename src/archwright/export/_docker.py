"""The files of an export that serve its network in a container: serve.py, requirements.txt, Dockerfile."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from archwright.errors import BuildError, require
from archwright.export._best import SOURCE
from archwright.export._saved import PREPROCESS, SCRIPT, WEIGHTS

SERVER = "serve.py"

_NEEDED = (SOURCE, WEIGHTS, SCRIPT, PREPROCESS)
_DOCKERFILE = """FROM python:{python}-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY {files} ./
RUN useradd --no-create-home app
USER app
EXPOSE 8000
CMD ["python", "serve.py", "--host", "0.0.0.0"]
"""


def docker_files(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files that serve the network of an export without archwright, by name.

    Args:
        files: The other files of the export.

    Raises:
        BuildError: The network cannot be served: it has no source, weights or preprocessing.
        MissingExtra: The server is not installed, so that its version is not known.
    """
    for name in _NEEDED:
        if name not in files:
            told = f"a Dockerfile needs the format 'torch' and its {name}, which this export does not have"
            raise BuildError(f"{told}; add --format torch, in Python formats=[..., 'torch'], if it was left out")
    for module in ("starlette", "uvicorn"):
        require(module, extra="serve", purpose="a Dockerfile")
    server = _standalone(*(_text(module) for module in ("archwright.export._serve", "archwright._serving")))
    named = [*_NEEDED, SERVER]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {
        SERVER: server.encode(),
        "requirements.txt": _requirements([files[SOURCE].decode(), files[SCRIPT].decode(), server]).encode(),
        "Dockerfile": _DOCKERFILE.format(python=python, files=" ".join(named)).encode(),
    }


def _text(module: str) -> str:
    found = find_spec(module)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).read_text(encoding="utf-8")


def _standalone(text: str, serving: str) -> str:
    """Return the module of the server as a script, with what it imports of archwright from the predict.py beside it.

    Args:
        text: The module.
        serving: The module `_serving`, which becomes part of the script.
    """
    lines = text.splitlines()
    ours = [
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("archwright.")
    ]
    names = sorted({name.name for node in ours if node.module != "archwright._serving" for name in node.names})
    for node in reversed(ours):
        del lines[node.lineno - 1 : node.end_lineno]
    body = serving.partition("from __future__ import annotations\n")[2].replace('__all__ = ["listen", "run"]\n', "")
    lines[ours[0].lineno - 1 : ours[0].lineno - 1] = [f"from predict import {', '.join(names)}", *body.splitlines()]
    return "\n".join([*lines, "", "", 'if __name__ == "__main__":', "    sys.exit(main())", ""])


def _requirements(sources: list[str]) -> str:
    """Return the packages that sources import, with the versions that are installed here."""
    modules: set[str] = set()
    for node in (node for source in sources for node in ast.walk(ast.parse(source))):
        if isinstance(node, ast.Import):
            modules.update(name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add((node.module or "").partition(".")[0])
    known = packages_distributions()
    # A module that is not installed is one that this network does without, such as one for another kind of files.
    packages = {known[name][0] for name in modules - set(sys.stdlib_module_names) if name in known}
    return "".join(f"{name}=={version(name).partition('+')[0]}\n" for name in sorted(packages, key=str.lower))
