"""What the tests of the command share."""

import sys

import pytest
from tests.processes import run

from archwright.cli import main


@pytest.fixture(scope="session")
def command():
    """Run the command in a process of its own; return its `returncode`, `stdout` and `stderr`."""

    def call(*arguments, env=None, **options):
        return run("-m", "archwright", *arguments, env={"COLUMNS": "200", **(env or {})}, **options)

    return call


@pytest.fixture
def in_process(monkeypatch, capsys):
    """Run the command in this process, which has torch loaded already; return its status and what it printed."""

    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["archwright", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return call
