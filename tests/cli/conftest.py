"""What the tests of the command share."""

import sys

import pytest

from archwright.cli import main


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
