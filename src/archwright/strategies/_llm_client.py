"""A call of an OpenAI-compatible server, in a thread of its own."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archwright._words import printable
from archwright.errors import require

_MOST = 4_000_000  # bytes of a response
_TOLD = 300  # characters of what a server says about an error
_FIRST_PAUSE = 1.0  # seconds before the second attempt; twice as many before each further one
_LONGEST_PAUSE = 30.0  # seconds, whatever a server asks for
_AGAIN = {408, 409, 425, 429, 500, 502, 503, 504, 529}  # states that may pass
_NO_FORMAT = {400, 415, 422, 501}  # answers to a request with a response format that a server does not support


class CallError(Exception):
    """A call has failed.

    Attributes:
        is_final: Whether it would fail again: a wrong key, an unknown model.
    """

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class _Passing(CallError):
    """A failure that may pass."""

    pause = 0.0


@dataclass(frozen=True)
class Server:
    """Where and how a server is asked.

    Args:
        base_url: The URL without "/chat/completions".
        model: The name of the model.
        key_env: The environment variable with the key, or `None`.
        temperature: The temperature of sampling; `None` for the server's default.
        timeout: Seconds of an attempt.
        retries: Further attempts.
    """

    base_url: str
    model: str
    key_env: str | None
    temperature: float | None
    timeout: float
    retries: int

    @property
    def longest(self) -> float:
        """The seconds after which a call is over, whatever the server does."""
        return (self.retries + 1) * self.timeout + self.retries * _LONGEST_PAUSE


class Call(threading.Thread):
    """A call that is under way; the process does not wait for it at its end.

    Attributes:
        asked: The digest of what was asked.
        reply: The text of the reply, once there is one.
        error: Why there is none.
        took_format: Whether the server supports the response format.
    """

    def __init__(
        self,
        server: Server,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any] | None,
        asked: str,
        *,
        seed: int,
    ) -> None:
        super().__init__(name="archwright-llm", daemon=True)
        self.asked = asked
        self.reply: str | None = None
        self.error: CallError | None = None
        self.took_format = schema is not None
        self._server, self._messages, self._schema, self._seed = server, messages, schema, seed
        self._httpx = require("httpx", extra="llm", purpose="the strategy 'llm'")
        self._end = time.monotonic() + server.longest

    def run(self) -> None:
        """Make the call."""
        try:
            self.reply = self._with_retries()
        except CallError as error:
            self.error = error
        except Exception as error:  # whatever a server makes of the client is a failed call
            self.error = CallError(self._told(f"{type(error).__name__}: {error}"))

    def wait(self) -> None:
        """Wait until it is over."""
        self.join(max(0.0, self._end - time.monotonic()))

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or should have."""
        if self.is_alive() and time.monotonic() >= self._end:
            self.error = CallError(f"the server did not answer within {self._server.longest:g} seconds")
            return True
        return not self.is_alive()

    def _with_retries(self) -> str:
        for attempt in range(self._server.retries + 1):
            try:
                return self._attempt()
            except _Passing as error:
                if attempt == self._server.retries:
                    raise
                # Spread, so that searches side by side do not come again at the same time.
                pause = _FIRST_PAUSE * 2**attempt * random.Random().uniform(0.5, 1.0)
                time.sleep(min(_LONGEST_PAUSE, max(pause, error.pause)))
        raise AssertionError

    def _attempt(self) -> str:
        server, httpx = self._server, self._httpx
        body: dict[str, Any] = {"model": server.model, "messages": list(self._messages), "seed": self._seed}
        if server.temperature is not None:
            body["temperature"] = server.temperature
        if self.took_format:
            described = {"name": "architectures", "schema": self._schema}
            body["response_format"] = {"type": "json_schema", "json_schema": described}
        try:
            status, headers, content = self._post(body)
        except httpx.TimeoutException:
            raise _Passing(f"the server did not answer within {server.timeout:g} seconds") from None
        except httpx.HTTPError as error:
            raise _Passing(self._told(f"the server cannot be reached: {error or type(error).__name__}")) from None
        if status in _NO_FORMAT and self.took_format:
            self.took_format = False
            return self._attempt()
        if status != 200:
            raise self._failure(status, headers, content)
        return _text(content)

    def _post(self, body: Mapping[str, Any]) -> tuple[int, Mapping[str, str], bytes]:
        httpx, seconds = self._httpx, self._server.timeout
        end, content = time.monotonic() + seconds, bytearray()
        headers = {"Authorization": f"Bearer {key}"} if (key := self._key) else {}
        url = f"{self._server.base_url.rstrip('/')}/chat/completions"
        with (
            httpx.Client(timeout=seconds, follow_redirects=False) as client,
            client.stream("POST", url, json=body, headers={**headers, "Accept-Encoding": "identity"}) as response,
        ):
            for part in response.iter_raw():
                content += part
                if len(content) > _MOST:
                    raise CallError(f"the response is longer than {_MOST:,} bytes")
                if time.monotonic() > end:
                    raise httpx.ReadTimeout("")
            return response.status_code, response.headers, bytes(content)

    def _failure(self, status: int, headers: Mapping[str, str], content: bytes) -> CallError:
        server = self._server
        if status in (401, 403):
            name = server.key_env
            key = "no key was sent: name its environment variable as key_env" if name is None else f"see {name}"
            key = f"the environment variable {name} is not set" if name is not None and not self._key else key
            return CallError(f"the server refuses access (status {status}); {key}", is_final=True)
        said = self._told(_message(content))
        said = f": {said}" if said else ""
        if status == 404:
            told = f"the server knows no model {server.model!r}, or serves no /chat/completions (status 404){said}"
            return CallError(told, is_final=True)
        told = f"the server answers with status {status}{said}"
        if status not in _AGAIN:
            return CallError(told)
        error = _Passing(told)
        after = headers.get("retry-after", "")
        error.pause = float(after) if after.isdecimal() and len(after) < 6 else 0.0
        return error

    @property
    def _key(self) -> str:
        name = self._server.key_env
        key = os.environ.get(name, "") if name else ""
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise CallError(f"the key in the environment variable {name} holds blanks or is no ASCII", is_final=True)
        return key

    def _told(self, text: str) -> str:
        """Return a message that may be shown: short, printable, and without the key."""
        name = self._server.key_env
        key = os.environ.get(name, "") if name else ""
        return printable(text.replace(key, "***") if key else text)[:_TOLD]


def _text(content: bytes) -> str:
    """Return the text of a chat completion."""
    try:
        message = json.loads(content)["choices"][0]["message"]["content"]
        if isinstance(message, list):
            message = "".join(part["text"] for part in message)
        if not isinstance(message, str):
            raise TypeError
    except (ValueError, LookupError, TypeError, RecursionError):
        raise CallError("the response is no chat completion in the format of OpenAI") from None
    return message


def _message(content: bytes) -> str:
    """Return what a server says about an error; empty where it says nothing."""
    try:
        error = json.loads(content)["error"]
        said = error if isinstance(error, str) else error["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return said if isinstance(said, str) else ""
