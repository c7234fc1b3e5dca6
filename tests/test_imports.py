"""`import archwright` and `archwright --help` answer without loading what only a search needs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import archwright

# Names the modules that a fresh interpreter holds after running the statements.
PROBE = """
import sys
try:
    {statements}
except SystemExit as end:
    if end.code:
        raise
print("modules:", *sorted(sys.modules))
"""

HEAVY = {"torch", "sklearn", "scipy", "sqlalchemy"}


def modules_after(statements: str) -> set[str]:
    """Return the names of the modules loaded in a fresh interpreter after `statements`."""
    code = PROBE.format(statements=statements)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return set(ran.stdout.splitlines()[-1].removeprefix("modules:").split())


def command(*arguments: str) -> str:
    """Return the statements that run the command."""
    return f"sys.argv[1:] = {list(arguments)!r}; from archwright.cli import main; main()"


def test_the_probe_sees_torch() -> None:
    assert "torch" in modules_after("import torch")


def test_importing_archwright_loads_no_room_and_nothing_heavy() -> None:
    modules = modules_after("import archwright")
    assert not modules & HEAVY
    assert not {name for name in modules if name.startswith("archwright.")}


def test_the_command_help_loads_nothing_heavy() -> None:
    assert not modules_after(command("--help")) & HEAVY


def test_a_subcommand_help_loads_no_torch() -> None:
    assert "torch" not in modules_after(command("search", "--help"))


ROOMS = ["errors", "space", "build", "spaces", "draw", "evaluate", "trials", "cost", "strategies", "callbacks", "cli"]


SEARCH = """
    import archwright as aw
    training = aw.Training(aw.data("digits"), epochs=1, device="cpu")
    options = dict(strategy="random", final=False, constraints=["flops <= 1e12"])
    for name in ("convnet", "resnet", "mlp"):
        assert len(aw.search(name, training, budget=aw.Budget(trials=2), **options).history.complete) == 2
"""


def test_a_search_loads_neither_the_compiler_of_torch_nor_scipy() -> None:
    assert not modules_after(SEARCH) & {"torch._dynamo", "sympy", "scipy.stats", "scipy.optimize", "sklearn"}


@pytest.mark.parametrize("room", ROOMS)
def test_these_rooms_load_no_torch(room: str) -> None:
    assert "torch" not in modules_after(f"import archwright.{room}")


def test_every_public_name_is_there() -> None:
    assert [name for name in archwright.__all__ if not hasattr(archwright, name)] == []
    assert set(archwright.__all__) <= set(dir(archwright))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        archwright.no_such_name


def test_the_version_is_the_installed_one() -> None:
    assert archwright.__version__ == version("archwright")


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the full name of all that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


def private_elsewhere(name: str, package: str) -> bool:
    """Tell whether a name is private in another package of archwright than the one given."""
    root, _, rest = name.partition(".")
    home, *parts = rest.split(".")
    return root == "archwright" and home != package and any(part.startswith("_") for part in parts)


def test_no_package_imports_what_is_private_in_another() -> None:
    root = Path(archwright.__file__).parent
    found = [
        f"{path.relative_to(root)}:{line}: {name}"
        for path in sorted(root.rglob("*.py"))
        for line, name in imported(ast.parse(path.read_text()))
        if private_elsewhere(name, path.relative_to(root).parts[0].removesuffix(".py"))
    ]
    assert not found, "give it a public name in the package's __init__.py"
    assert private_elsewhere("archwright.build._make", "supernet")
    assert not private_elsewhere("archwright.build._make", "build")
    assert not private_elsewhere("archwright._files", "build")


def test_the_architecture_page_and_its_picture_have_every_package() -> None:
    root = Path(archwright.__file__).parent
    packages = sorted(path.parent.name for path in root.glob("*/__init__.py"))
    docs = Path(__file__).parents[1] / "docs"
    page, picture = ((docs / name).read_text() for name in ("architecture.md", "rooms.svg"))
    assert [name for name in packages if f"| `{name}/`" not in page] == []
    assert [name for name in packages if f'font-weight="bold">{name}</text>' not in picture] == []
