"""User-defined code in files, which is executed only if the user names the file."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from archwright.errors import SpaceError

_loaded: dict[str, ModuleType] = {}
"""The modules that were made from such files, by name."""


def load_code(path: str | os.PathLike[str]) -> ModuleType:
    """Execute a Python file, so that stored spaces can refer to its classes and functions; once in a process.

    It becomes a module with the name of the file, which replaces `__main__` in records written by the file as a
    program. Code under `if __name__ == "__main__":` is not executed. Imports are resolved in its folder.

    Args:
        path: The file.

    Raises:
        SpaceError: The file does not exist, cannot be executed, or its name is that of another module.

    Example:
        >>> from pathlib import Path
        >>> from archwright.space import load_code
        >>> _ = Path("my_layers.py").write_text("def twice(x): return x + x")
        >>> load_code("my_layers.py").twice(4)
        8
    """
    file = Path(path).resolve()
    if file.suffix != ".py" or not file.is_file():
        raise SpaceError(
            f"{os.fspath(path)} {'is not a Python file' if file.exists() else 'does not exist'}: give the Python file "
            "that defines the classes of the space"
        )
    name, root = _name_and_root(file)
    held = sys.modules.get(name)
    place = getattr(held, "__file__", None)
    if held is not None and place is not None and Path(place).resolve() == file:
        _loaded[name] = held
        return held
    if held is not None or name in sys.builtin_module_names:
        raise SpaceError(f"{file.name} is called like the module {name}, which is in use already: rename the file")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))  # as for a program
    try:
        above = name.rpartition(".")[0]
        if above:
            importlib.import_module(above)
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever a user's file raises
        sys.modules.pop(name, None)
        raise SpaceError(f"{file.name} cannot be executed: {_told(error, file)}") from error
    _loaded[name] = module
    return module


def loaded_code() -> Mapping[str, ModuleType]:
    """Return the modules that were made from files by `load_code`, by name."""
    return _loaded


def _name_and_root(file: Path) -> tuple[str, Path]:
    """Return what a file is imported as, which depends on the packages that it is in, and the folder above these."""
    name, folder = re.sub(r"\W", "_", file.stem), file.parent
    while (folder / "__init__.py").is_file():
        name, folder = f"{folder.name}.{name}", folder.parent
    return name.removesuffix(".__init__"), folder


def _told(error: BaseException, file: Path) -> str:
    """Return an error in one line, with the last line of the file that it passed through."""
    if isinstance(error, SystemExit):
        return 'it ends the program; let it do what it does as a program under `if __name__ == "__main__":`'
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    place = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {error}{place}"
