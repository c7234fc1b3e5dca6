"""Who may ask the dashboard: its host names, its token, and its own pages."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL = ("localhost", "127.0.0.1", "::1")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Gate:
    """Middleware that lets requests through which name this server, have its token, and come from its own pages.

    A web page elsewhere can lead a name of its own to this server (DNS rebinding), or send requests to it. The first is
    refused by the host name, which has to be one of this server or an address, the second by the origin.

    Args:
        app: The application.
        host: The address that the server is bound to.
        token: What a request needs, as `?token=` or in a cookie; `None` for nothing.
        cookie: The name of the cookie.
    """

    def __init__(self, app: ASGIApp, host: str, token: str | None, cookie: str) -> None:
        self._app = app
        self._is_local = is_local(host)
        self._names = {"localhost"} if self._is_local else {"localhost", host, socket.gethostname(), socket.getfqdn()}
        self._token = token
        self._cookie = cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope)
        refused = self._refusal(request)
        await (refused or self._app)(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        """Return the answer to a request that is not passed on."""
        given = request.headers.get("host", "")
        if not self._is_ours(given):
            return PlainTextResponse(
                f"this server is not known as {given[:200]!r}: address it by the name or the address of its machine",
                400,
            )
        if self._token is not None:
            said = request.query_params.get("token")
            if said is not None and self._is_token(said):
                return self._welcome(request)
            if not self._is_token(self._cookie_of(request)):
                return PlainTextResponse(
                    "a token is needed: open the address that `archwright ui` has printed, which ends with ?token=...",
                    401,
                )
        if request.method not in ("GET", "HEAD") and request.headers.get("origin") not in (
            f"http://{given}",
            f"https://{given}",
        ):
            return PlainTextResponse("this request does not come from a page of this server", 403)
        return None

    def _welcome(self, request: Request) -> Response:
        """Put the token into a cookie, and lead to the address without it."""
        rest = urlencode([each for each in parse_qsl(request.url.query) if each[0] != "token"])
        answer = RedirectResponse("/" + request.url.path.lstrip("/") + (f"?{rest}" if rest else ""), 303)
        assert self._token is not None
        answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", max_age=30 * 86_400)
        return answer

    def _cookie_of(self, request: Request) -> str:
        try:
            found = SimpleCookie(request.headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return ""
        return "" if found is None else found.value

    def _is_token(self, said: str) -> bool:
        assert self._token is not None
        return hmac.compare_digest(said.encode(errors="replace"), self._token.encode())

    def _is_ours(self, given: str) -> bool:
        """Tell whether a `Host` header names this server."""
        name = given.rpartition(":")[0] if given.rpartition(":")[2].isdigit() else given
        name = name.strip("[]").lower()
        if name in {each.lower() for each in self._names}:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._is_local  # an address is no name that could be led elsewhere


def is_local(host: str) -> bool:
    """Tell whether an address is reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
