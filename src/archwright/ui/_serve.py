"""The server of the dashboard."""

from __future__ import annotations

import secrets
import sys
import webbrowser
from collections.abc import Iterable
from pathlib import Path

from archwright._serving import listen, run
from archwright._words import counted, printable
from archwright.errors import StudyError
from archwright.space import load_code
from archwright.study import find_studies
from archwright.ui._app import make_app
from archwright.ui._gate import is_local

_SHORTEST = 12  # characters of a token


def dashboard(
    place: str | Path = "runs",
    *,
    host: str = "127.0.0.1",
    port: int = 8265,
    token: str | None = None,
    open_browser: bool = False,
    code: Iterable[Path] = (),
) -> None:
    """Serve the dashboard of the studies of a folder or a database until Ctrl-C.

    Args:
        place: A run folder, a folder with run folders up to three levels below it, the path of an SQLite file, or the
            URL of a database.
        host: The address; other machines reach the server at "0.0.0.0".
        port: The port; 0 for any that is free.
        token: What a browser needs to be let in, 12 characters or more; by default one is made where other machines
            reach the server, and none is needed elsewhere.
        open_browser: Whether to open the page in a browser.
        code: Python files with the classes and functions of spaces, which are executed.

    Raises:
        StudyError: There is no such folder or file, the port cannot be used, or the token is too short.
        StoreError: The database cannot be opened.

    Example:
        >>> from archwright.ui import dashboard
        >>> dashboard("runs", port=8080)  # doctest: +SKIP
    """
    if token is not None and len(token) < _SHORTEST:
        raise StudyError(f"the token has {counted(len(token), 'character')}; it needs {_SHORTEST} or more")
    files = list(code)
    for file in files:
        load_code(file)
    found = find_studies(place)
    if token is None and not is_local(host):
        token = secrets.token_urlsafe(24)
    with listen(host, port, StudyError) as listening:
        chosen = listening.getsockname()[1]
        app = make_app(str(place), host=host, token=token, cookie=f"archwright-{chosen}", code=files)
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{chosen}/" + ("" if token is None else f"?token={token}")
        sys.stdout.write(f"dashboard at {printable(url)} (Ctrl-C to end)\n")
        if not found:
            sys.stdout.write(
                f"there are no runs in {printable(place)} yet; they appear when a search begins, such as\n"
                f"  archwright search digits --minutes 1 --out {printable(Path(place) / 'digits')}\n"
                if "://" not in str(place)
                else "there are no studies in the database yet; they appear when a search begins\n"
            )
        sys.stdout.flush()
        if open_browser:
            webbrowser.open(url)
        run(app, listening)
