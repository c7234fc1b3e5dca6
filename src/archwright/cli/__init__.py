"""The command line. Importing it loads neither torch nor numpy: each command imports what it uses."""

from archwright.cli._app import app, main

__all__ = ["app", "main"]
