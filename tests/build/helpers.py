"""What the tests of written source share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import archwright as aw

RUFF = shutil.which("ruff") or os.path.join(os.path.dirname(sys.executable), "ruff")


def ruff(text):
    """Return what ruff has against a text, by its default rules and layout."""
    findings = []
    for command in (["format", "--check", "--diff"], ["check"]):
        ran = subprocess.run(
            [RUFF, *command, "--isolated", "--no-cache", "--stdin-filename", "model.py", "-"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            findings.append(ran.stdout + ran.stderr)
    return "\n".join(findings)


def write(model, decisions=None, example=None, **options):
    space = aw.Space(model=model, example_input=example, **options)
    return space.source(space.canonical(decisions or {}))


def executed(text):
    namespace = {"__name__": "written"}
    exec(compile(text, "written", "exec", dont_inherit=True), namespace)
    return namespace
