"""Serve the trained network of this folder over HTTP: `python serve.py`.

It is a demonstration: without encryption, without users, and one prediction at a time.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import torch
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from archwright._serving import listen, run
from archwright.datasets import GIGABYTES, InputError, to_gigabytes
from archwright.export._predict import Predictor, load

__all__ = ["main", "make_app", "serve"]

_SHARE = 16  # of the limit that an upload may take, as an image may
_LONGEST = 100  # characters of a file name
_LOCAL = ("127.0.0.1", "localhost")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def make_app(predictor: Predictor, *, max_gigabytes: float = GIGABYTES, hosts: tuple[str, ...] = ("*",)) -> Starlette:
    """Return the application: `GET /schema`, `POST /predict`, and a page to try a file at `/`.

    Args:
        predictor: The network with its preprocessing.
        max_gigabytes: The limit of the uncompressed size of a file; an upload may take a sixteenth of it.
        hosts: The names by which the server may be addressed; "*" for any.

    Raises:
        InputError: The limit is none.

    Example:
        >>> app = make_app(load("network"))  # doctest: +SKIP
    """
    gigabytes = to_gigabytes(max_gigabytes)
    most = int(gigabytes * 1e9 / _SHARE)
    turn = threading.Lock()  # one prediction at a time: two would share the cores and double the memory

    def predicted(inputs: Any) -> dict[str, Any]:
        errors: list[str] = []
        with turn:
            found = predictor.predict(inputs, max_gigabytes=gigabytes, on_error=lambda error: errors.append(str(error)))
            try:
                predictions = [each.to_json() for each in found]
            except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
                raise HTTPException(422, f"the input cannot be used: {error}") from error
        if errors and not predictions:
            raise HTTPException(422, errors[0])
        return {"predictions": predictions, "errors": errors}

    def of_file(name: str, content: Any) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="served-") as folder:
            path = Path(folder) / name
            content.seek(0)
            with path.open("wb") as file:
                shutil.copyfileobj(content, file)
            try:
                found = predicted([path])
            except HTTPException as error:
                raise HTTPException(error.status_code, error.detail.replace(str(path), name)) from error
        for each in found["predictions"]:
            each["file"] = name
        found["errors"] = [each.replace(str(path), name) for each in found["errors"]]
        return found

    async def predict(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            raise HTTPException(415, "send the file alone: curl --data-binary @FILE 'URL/predict?name=FILE'")
        with tempfile.SpooledTemporaryFile(max_size=2**20) as content:
            size = 0
            async for chunk in request.stream():
                size += len(chunk)
                if size > most:
                    raise HTTPException(413, f"the upload is larger than {most} bytes")
                content.write(chunk)
            if not size:
                raise HTTPException(400, "the upload is empty: send a file, or JSON")
            if kind == "application/json":
                content.seek(0)
                inputs = _from_json(content.read())
                return JSONResponse(await run_in_threadpool(predicted, inputs))
            name = safe_name(request.query_params.get("name", ""))
            return JSONResponse(await run_in_threadpool(of_file, name, content))

    async def schema(request: Request) -> Response:
        return JSONResponse(_schema(predictor, most))

    async def page(request: Request) -> Response:
        return HTMLResponse(_PAGE, headers=_HEADERS)

    return Starlette(
        routes=[Route("/", page), Route("/schema", schema), Route("/predict", predict, methods=["POST"])],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={HTTPException: _told, ClientDisconnect: _gone},
    )


def serve(predictor: Predictor, *, host: str = "127.0.0.1", port: int = 8000, max_gigabytes: float = GIGABYTES) -> None:
    """Serve a network until Ctrl-C.

    Args:
        predictor: The network with its preprocessing.
        host: The address; other machines reach the server at "0.0.0.0".
        port: The port; 0 for any that is free.
        max_gigabytes: As in `make_app`.

    Raises:
        InputError: The address or the port cannot be used.

    Example:
        >>> serve(load("network"), port=8080)  # doctest: +SKIP
    """
    app = make_app(predictor, max_gigabytes=max_gigabytes, hosts=_LOCAL if host in _LOCAL else ("*",))
    with listen(host, port, InputError) as listening:
        sys.stdout.write(f"serving at http://{host}:{listening.getsockname()[1]}/ (Ctrl-C to end)\n")
        sys.stdout.flush()
        run(app, listening)


def safe_name(name: str) -> str:
    """Return the name of a file that a client has sent, as the name of a file in a folder.

    Raises:
        HTTPException: Nothing is left of it.
    """
    last = re.split(r"[/\\]", name)[-1][-_LONGEST:]
    found = re.sub(r"[^A-Za-z0-9._-]", "_", last).lstrip(".")
    if not found:
        raise HTTPException(400, "the name of the file is missing: POST /predict?name=photo.jpg, or send JSON")
    return found


def _from_json(content: bytes) -> Any:
    """Return rows by column, or a tensor of raw inputs.

    Raises:
        HTTPException: The content is neither.
    """
    try:
        given = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from error
    match given:
        case {"rows": [*rows]} if rows and all(isinstance(row, dict) for row in rows):
            return rows
        case {"inputs": [*inputs]} if inputs:
            try:
                return torch.tensor(inputs, dtype=torch.float32)
            except (TypeError, ValueError, RuntimeError) as error:
                raise HTTPException(422, f"'inputs' is no array of numbers: {error}") from error
    raise HTTPException(422, 'the body must be {"rows": [{"COLUMN": VALUE, ...}, ...]} or {"inputs": [NUMBERS, ...]}')


def _schema(predictor: Predictor, most: int) -> dict[str, Any]:
    preprocess = predictor.preprocess
    return {
        "kind": preprocess.kind,
        "takes": preprocess.takes,
        "suffixes": list(preprocess.suffixes),
        "shape": list(preprocess.shape),
        "columns": [each.name for each in getattr(preprocess, "columns", ())],
        "classes": list(preprocess.classes),
        "targets": [each.name for each in preprocess.targets],
        "max_bytes": most,
    }


async def _told(request: Request, error: Any) -> Response:
    return JSONResponse({"error": str(error.detail)}, error.status_code, headers=error.headers)


async def _gone(request: Request, error: Any) -> Response:
    return Response(status_code=400)  # which nobody reads


def main(arguments: list[str] | None = None) -> int:
    """Run the command `python serve.py`."""
    parser = argparse.ArgumentParser(description="Serve the trained network of this folder over HTTP.")
    parser.add_argument("--host", default="127.0.0.1", help="address; 0.0.0.0 for other machines")
    parser.add_argument("--port", type=int, default=8000, help="port; 0 for a free one")
    parser.add_argument(
        "--max-gigabytes", type=float, default=GIGABYTES, help="limit of the uncompressed size of a file"
    )
    given = parser.parse_args(arguments)
    try:
        serve(load(), host=given.host, port=given.port, max_gigabytes=given.max_gigabytes)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Prediction</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
textarea { width: 100%; box-sizing: border-box; font: 14px monospace; }
pre { background: #f4f4f4; padding: 1rem; overflow: auto; }
.error { color: #a00; }
</style>
<h1>Prediction</h1>
<p id="takes"></p>
<p><label>File: <input type="file" id="file"></label></p>
<p><label>or JSON: <textarea id="json" rows="4"></textarea></label><br><button id="send">Predict</button></p>
<pre id="out" hidden></pre>
<script>
const at = id => document.getElementById(id);
async function ask(url, options) {
  at("out").hidden = false;
  at("out").className = "";
  at("out").textContent = "...";
  try {
    const answer = await fetch(url, options);
    at("out").className = answer.ok ? "" : "error";
    at("out").textContent = JSON.stringify(await answer.json(), null, 2);
  } catch (error) {
    at("out").className = "error";
    at("out").textContent = String(error);
  }
}
at("file").onchange = () => {
  const file = at("file").files[0];
  if (file) ask("predict?name=" + encodeURIComponent(file.name),
    { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
};
at("send").onclick = () =>
  ask("predict", { method: "POST", body: at("json").value, headers: { "Content-Type": "application/json" } });
fetch("schema").then(answer => answer.json()).then(schema => {
  at("takes").textContent = "The network takes " + schema.takes + ".";
  const row = Object.fromEntries(schema.columns.map(name => [name, ""]));
  at("json").value = schema.columns.length ? JSON.stringify({ rows: [row] }) : "";
});
</script>
</html>
"""
