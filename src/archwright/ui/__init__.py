"""The dashboard: searches of a folder or a database in a browser, also while they run."""

from typing import TYPE_CHECKING

from archwright._lazy import lazy

if TYPE_CHECKING:
    from archwright.ui._app import make_app
    from archwright.ui._serve import dashboard

__all__ = ["dashboard", "make_app"]

__getattr__ = lazy(__name__, {"_app": ["make_app"], "_serve": ["dashboard"]})  # these load Starlette
