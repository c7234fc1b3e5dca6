"""The documentation site: `make docs` builds it with Sphinx, from the pages of this folder and the docstrings."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import re
from pathlib import Path
from types import MethodType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
API = ROOT / "docs" / "api"

project = "Archwright"
author = "The Archwright authors"
copyright = "The Archwright authors, Apache License 2.0"
release = importlib.metadata.version("archwright")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# The source folder is the project, so that the links between pages are those that are followed on GitHub.
root_doc = "docs/index"
include_patterns = ["docs/*.md", "docs/api/*.rst", "CONTRIBUTING.md", "CHANGELOG.md"]
exclude_patterns = [".*", "build", "dist", "runs", "src", "tests", "benchmarks", "examples"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
suppress_warnings = ["ref.python"]  # a class that two packages name alike, in an annotation
default_role = "code"

toc_object_entries = False  # thousands of entries beside the pages of the API, each on every page
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes of the docstring beside those that autodoc finds: one entry, not two
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"Archwright {release}"
html_extra_path = ["_top"]  # index.html, which leads to docs/index.html
html_copy_source = False
html_show_sphinx = False


def entry(module: str, name: str, value: object, documented: dict[int, str]) -> str:
    """Return the entry of a public name; of one that another page documents, a link to it."""
    if inspect.ismodule(value):
        return f".. automodule:: {value.__name__}\n   :members:\n"
    if not isinstance(value, type) and not inspect.isroutine(value) and not hasattr(value, "__wrapped__"):
        return f".. py:data:: {module}.{name}\n   :type: {type(value).__name__}\n"
    if id(value) in documented:
        return f"``{module.replace('archwright', 'aw', 1)}.{name}``\n   :py:obj:`{documented[id(value)]}`\n"
    if not isinstance(value, MethodType):  # a bound method is made anew each time it is asked for
        documented[id(value)] = f"{module}.{name}"
    if isinstance(value, type):
        directive = "autoexception" if issubclass(value, BaseException) else "autoclass"
        return f".. {directive}:: {module}.{name}\n   :members:\n   :show-inheritance:\n"
    signature = str(inspect.signature(value)) if isinstance(value, MethodType) else ""
    return f".. autofunction:: {module}.{name}{signature}\n"


def title(text: str) -> str:
    """Return a heading."""
    return f"{text}\n{'=' * len(text)}\n"


def write_api() -> None:
    """Write a page for each public package, from the names in its `__all__`."""
    import archwright

    packages = {path.parent.name for path in (ROOT / "src" / "archwright").glob("[a-z]*/__init__.py")} | {"errors"}
    packages -= {"cli"}
    documented: dict[int, str] = {}
    pages, listed = {}, []
    for package in sorted(packages):
        module = importlib.import_module(f"archwright.{package}")
        names = getattr(module, "__all__", None) or sorted(name for name in vars(module) if name[0].isupper())
        entries = [entry(module.__name__, name, getattr(module, name), documented) for name in names]
        listed.append(f":doc:`archwright.{package} <{package}>`\n   {(module.__doc__ or '').splitlines()[0]}\n")
        pages[package] = "\n".join([title(module.__name__), f".. automodule:: {module.__name__}\n", *entries])
    names = []
    for name in archwright.__all__:
        value = getattr(archwright, name)
        if inspect.ismodule(value):
            page = f":doc:`archwright.{name} <{name}>`" if name in packages else f"The mirror of ``torch.{name}``."
            names.append(f"``aw.{name}``\n   {page}\n")
        else:
            names.append(entry("archwright", name, value, documented))
    contents = ".. toctree::\n   :hidden:\n\n" + "\n".join(f"   {package}" for package in sorted(packages)) + "\n"
    mirrors = [f".. automodule:: archwright.{name}\n" for name in ("nn", "optim")]
    pages["index"] = "\n".join(
        [title("API reference"), contents, *listed, ".. automodule:: archwright\n", *names, *mirrors]
    )
    API.mkdir(exist_ok=True)
    for name, text in pages.items():
        path = API / f"{name}.rst"
        if not path.exists() or path.read_text() != text:  # Sphinx reads again what changed
            path.write_text(text)


def setup(app: Any) -> None:
    """Write the API pages before Sphinx looks for pages."""
    write_api()
    # scikit-learn gives estimators methods of its own, whose text refers to its own pages
    app.connect("autodoc-skip-member", lambda app, what, name, *rest: re.fullmatch("set_.*_request", name) and True)
