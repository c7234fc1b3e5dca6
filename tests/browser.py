"""A headless Chromium for tests of pages, where one is installed: the system's own, driven by Playwright.

    with chromium.page(url, width=360) as page:
        page.get_by_role("button", name="Stop").click()

Playwright's `page` waits until what is asked for is there. When the block ends, errors of the page (exceptions, console
errors, requests to other machines) fail the test.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_HERE = ("127.0.0.1", "localhost", "")
_SECONDS = 30  # for an element to appear


def program() -> str | None:
    """Return the path of the installed Chromium, or `None`."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Chromium:
    """A running browser."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    @contextmanager
    def page(
        self, url: str, *, width: int = 1280, height: int = 800, dark: bool = False, allowed: str | None = None
    ) -> Iterator[Page]:
        """Open a page with a history and cookies of its own, and close it.

        Args:
            url: Its address.
            width: The width of the window in pixels; that of a phone is 360.
            height: Its height.
            dark: Whether the user prefers dark colours.
            allowed: A regular expression of errors that are expected, such as the answer 404 to a request.
        """
        errors: list[str] = []
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        context.set_default_timeout(1000 * _SECONDS)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda told: errors.append(told.text) if told.type == "error" else None)
        page.on("request", lambda sent: errors.append(f"request to {sent.url}") if not _is_here(sent.url) else None)
        try:
            page.goto(url)
            yield page
        finally:
            context.close()
        found = [error for error in errors if allowed is None or not re.search(allowed, error)]
        assert not found, found


@contextmanager
def started() -> Iterator[Chromium]:
    """Start the browser, and end it; skip the test where none is installed."""
    path = program()
    if path is None:
        absent(f"there is no browser: none of {', '.join(_NAMES)} is installed (Debian: apt-get install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        absent(f"no browser can be driven: {error}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield Chromium(browser)
        finally:
            browser.close()


def absent(message: str) -> NoReturn:
    """Skip the test; fail where `ARCHWRIGHT_CHROMIUM_REQUIRED` is set."""
    if os.environ.get("ARCHWRIGHT_CHROMIUM_REQUIRED"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def _is_here(url: str) -> bool:
    """Return whether a request stays on this machine."""
    return (urlsplit(url).hostname or "") in _HERE
