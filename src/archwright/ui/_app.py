"""The application of the dashboard: pages, and what they ask for as JSON."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from archwright.errors import ArchwrightError
from archwright.report import report
from archwright.study import find_studies
from archwright.ui._gate import Gate
from archwright.ui._resumed import Resumed
from archwright.ui._run import Run

_STATIC = Path(__file__).with_name("static")
_FILES = {
    "app.js": "text/javascript",
    "chart.js": "text/javascript",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
}
_SOON = 0.4  # seconds in which a list of runs is answered; runs that were not read by then follow
_LOOK = 2.0  # seconds between looks for new runs
_BODY = 10_000  # bytes of a request
_DRAWN = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"}


class Runs:
    """The studies of a folder or a database, by key.

    Args:
        place: As in `archwright.study.find_studies`.
        code: Files with the classes and functions of spaces, for searches that are continued.
    """

    def __init__(self, place: str, code: Sequence[Path] = ()) -> None:
        self.place = place
        self.code = code
        self._turn = threading.Lock()
        self._runs: dict[str, Run] = {}
        self._looked = 0.0
        self._resumed: dict[str, Resumed] = {}
        self.problem: str | None = None

    def all(self) -> list[Run]:
        """Return the runs that there are now, by name."""
        with self._turn:
            if time.monotonic() - self._looked > _LOOK:
                try:
                    runs = [Run(found) for found in find_studies(self.place)]
                    self._runs = {run.key: self._runs.get(run.key, run) for run in runs}
                    self.problem = None
                except (ArchwrightError, OSError) as error:
                    self.problem = str(error)
                self._looked = time.monotonic()
            return list(self._runs.values())

    def get(self, key: str) -> Run:
        """Return a run, as it is now.

        Raises:
            HTTPException: There is none.
        """
        run = self._runs.get(key) or {each.key: each for each in self.all()}.get(key)
        if run is None:
            raise HTTPException(404, "there is no such run any more")
        run.refresh()
        return run

    def listed(self) -> dict[str, Any]:
        """Return the list of runs; those that take long to read follow with a later one."""
        runs, until = self.all(), time.monotonic() + _SOON
        for run in sorted(runs, key=lambda each: not each.is_read):
            if time.monotonic() > until:
                break
            run.refresh()
        return {"place": self._shown, "problem": self.problem, "runs": [run.summary() for run in runs]}

    @property
    def _shown(self) -> str:
        if "://" not in self.place:
            return str(Path(self.place).absolute())
        from archwright.store import address

        return address(self.place)  # without a password

    def page(self, key: str, epoch: int, since: int) -> dict[str, Any]:
        """Return what the page of a run shows."""
        run = self.get(key)
        found, resumed = run.page(epoch, since), self._resumed.get(key)
        if resumed is not None and found.get("state") != "running":
            found["resume"] = "it is being continued" if resumed.is_running else found.get("resume")
            found["resume_problem"] = resumed.problem
            found["is_starting"] = resumed.is_running
        return found

    def stop(self, key: str) -> None:
        """Ask the process of a search to end it.

        Raises:
            ArchwrightError: That is not possible.
        """
        self.get(key).study.request_stop()

    def resume(self, key: str, trials: int | None) -> None:
        """Start a process that continues a search.

        Raises:
            ArchwrightError: That is not possible.
        """
        run = self.get(key)
        with self._turn:
            resumed = self._resumed.get(key)
            if resumed is not None and resumed.is_running:
                raise HTTPException(409, "it is being continued already")
            why = run.study.why_not_resumed()
            folder = run.place.path
            if why is not None or folder is None:
                raise HTTPException(409, f"the search cannot be continued here: {why}")
            self._resumed[key] = Resumed(folder, trials=trials, code=self.code, store=run.place.store)


def make_app(
    place: str,
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    cookie: str = "archwright",
    code: Sequence[Path] = (),
) -> Starlette:
    """Return the dashboard of the studies of a folder or a database, as an application of Starlette.

    Args:
        place: A run folder, a folder with run folders, the path of an SQLite file, or the URL of a database.
        host: The address that the server is bound to, by which other hosts are refused.
        token: The token that requests need; `None` for none.
        cookie: The name of the cookie that keeps the token.
        code: Python files with the classes and functions of spaces, for searches that are continued.

    Example:
        >>> from archwright.ui import make_app
        >>> sorted(route.path for route in make_app("runs").routes)[:3]
        ['/', '/api/resume/{key}', '/api/run/{key}']
    """
    runs = Runs(place, code)

    def of_key(call: Callable[[Request, str], Any]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            answer = await run_in_threadpool(call, request, request.path_params["key"])
            return answer if isinstance(answer, Response) else JSONResponse(answer)

        return endpoint

    async def page(request: Request) -> Response:
        return FileResponse(_STATIC / "index.html", media_type="text/html")

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _FILES:
            raise HTTPException(404, "there is no such file")
        return FileResponse(_STATIC / name, media_type=_FILES[name])

    async def listed(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(runs.listed))

    def run(request: Request, key: str) -> Any:
        return runs.page(key, _whole(request, "epoch"), _whole(request, "since"))

    def trial(request: Request, key: str) -> Any:
        return runs.get(key).trial(_whole(request, "number"))

    def drawing(request: Request, key: str) -> Any:
        drawn = runs.get(key).drawing(_whole(request, "number"))
        return Response(drawn, media_type="image/svg+xml", headers=_DRAWN)

    def full_report(request: Request, key: str) -> Any:
        study = runs.get(key).place.open()  # one of its own: this may take a while
        return HTMLResponse(report(study.searched()), headers=_DRAWN)

    async def stop(request: Request) -> Response:
        await _json(request)
        await run_in_threadpool(runs.stop, request.path_params["key"])
        return JSONResponse({})

    async def resume(request: Request) -> Response:
        trials = (await _json(request)).get("trials")
        if trials is not None and (
            isinstance(trials, bool) or not isinstance(trials, int) or not 1 <= trials <= 10**12
        ):
            raise HTTPException(422, f"the budget in trials is a whole number of 1 or more, not {str(trials)[:50]}")
        await run_in_threadpool(runs.resume, request.path_params["key"], trials)
        return JSONResponse({})

    return Starlette(
        routes=[
            Route("/", page),
            Route("/static/{name}", static),
            Route("/api/runs", listed),
            Route("/api/run/{key}", of_key(run)),
            Route("/api/trial/{key}", of_key(trial)),
            Route("/drawing/{key}", of_key(drawing)),
            Route("/report/{key}", of_key(full_report)),
            Route("/api/stop/{key}", stop, methods=["POST"]),
            Route("/api/resume/{key}", resume, methods=["POST"]),
        ],
        middleware=[Middleware(Gate, host=host, token=token, cookie=cookie)],
        exception_handlers={HTTPException: _told, ArchwrightError: _told, OSError: _told},
    )


async def _json(request: Request) -> dict[str, Any]:
    """Return the object that a request holds.

    Raises:
        HTTPException: It holds something else.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "the body is to be application/json")
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > _BODY:
            raise HTTPException(413, f"the body is larger than {_BODY} bytes")
    try:
        given = json.loads(content or b"{}")
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise HTTPException(400, "the body is to be a JSON object")
    return given


def _whole(request: Request, name: str) -> int:
    """Return a whole number of a request, 0 without one.

    Raises:
        HTTPException: It is something else.
    """
    given = request.query_params.get(name, "0")
    if not (given.isascii() and given.isdigit() and len(given) < 18):
        raise HTTPException(422, f"{name} is a whole number, not {given[:50]!r}")
    return int(given)


async def _told(request: Request, error: Any) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 409
    return JSONResponse({"error": str(getattr(error, "detail", error))}, status)
