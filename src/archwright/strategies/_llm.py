"""Proposals by a language model on an OpenAI-compatible server."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy as np

from archwright._checks import check_counts, check_numbers, check_positive
from archwright.errors import ArchitectureError, StrategyError, require
from archwright.space import Architecture, Space
from archwright.strategies._base import Strategy, register
from archwright.strategies._bo import BayesianOptimisation
from archwright.strategies._llm_client import Call, CallError, Server
from archwright.strategies._llm_prompt import base_of, messages, response_schema
from archwright.strategies._llm_reply import take
from archwright.strategies._mobo import MultiObjectiveBO
from archwright.trials import History

_GIVEN_UP = 3  # calls in a row that fail, after which the server is not asked any more
_KEPT = 64_000  # characters of a reply that are put on record
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass
class _State:
    """What a process knows about a search besides its history."""

    call: Call | None = None
    takes_format: bool = True
    has_answered: bool = False
    failures: int = 0  # in a row
    said: set[str] = field(default_factory=set)
    rng: np.random.Generator | None = None  # of the present proposal
    asks: int = 0  # how often it was asked for
    known: list[Architecture] = field(default_factory=list)  # taken from the first events
    events: int = 0  # so many


@register("llm")
@dataclass(frozen=True)
class LLM(Strategy):
    """Proposals by a language model on any OpenAI-compatible server; Bayesian optimisation afterwards.

    The server gets the decisions of the space, the objectives and constraints, and the best and latest trials with
    their metrics; never data, paths or names of machines. It is asked for several architectures at a time. Each is
    validated and run on the meta device; values that are not allowed are replaced by the nearest, missing ones by those
    of the best architecture, and what cannot be repaired is dropped. The replies are on record: a resumed search does
    not ask for them again, and `archwright verify` replays them without the server.

    "bo" ("mo-bo" for several objectives) proposes instead if a call fails or, while trials run, is not over yet; for
    the rest of the search after three failed calls in a row, after `until` proposals, or if none of the last `patience`
    is among the best. Whether a model's proposals are better than those of "bo" depends on the model; this was not
    measured.

    Language models as a generator of candidates: Chen, Dohan and So, "EvoPrompting: language models for code-level
    neural architecture search", NeurIPS 2023; Liu et al., "Large language models to enhance Bayesian optimization",
    ICLR 2024.

    Args:
        base_url: The URL of the server without "/chat/completions", such as "http://localhost:8000/v1".
        model: The name of the model.
        key_env: The name of the environment variable with the key. By default no key is sent.
        about: What the model is told about the problem, such as "images of digits, 8 x 8, 10 classes".
        proposals: Number of architectures per call, 1 to 64.
        until: Number of proposals of the model, after which "bo" takes over.
        patience: Number of its complete trials in a row without one of the best, after which "bo" takes over.
        temperature: The temperature of sampling, 0 to 2; `None` for the server's default.
        timeout: Seconds that the server has for a reply.
        retries: Further attempts of a call that fails, 0 or more.

    Raises:
        StrategyError: A setting is out of range; in a search: the server refuses the key, or knows no such model.
        MissingExtra: httpx is not installed.

    Example:
        >>> strategy = aw.LLM(base_url="http://localhost:8000/v1", model="qwen3", about="images of digits")
        >>> strategy.proposals, strategy.until
        (8, 30)
    """

    multi_objective: ClassVar[bool] = True
    base_url: str = ""
    model: str = ""
    key_env: str | None = None
    about: str = ""
    proposals: int = 8
    until: int = 30
    patience: int = 16
    temperature: float | None = None
    timeout: float = 120.0
    retries: int = 2
    _is_trusted: bool = field(init=False, repr=False, compare=False, default=True)

    def __post_init__(self) -> None:
        check_counts(self, "proposals", "until", "patience")
        check_numbers(self, "proposals", allowed="from 1 to 64", holds=lambda value: value <= 64)
        check_counts(self, "retries", least=0)
        check_positive(self, "timeout", most=86_400)
        if self.temperature is not None:
            check_numbers(self, "temperature", allowed="from 0 to 2", holds=lambda value: 0 <= value <= 2)
        for each in ("base_url", "model", "about"):
            if not isinstance(getattr(self, each), str):
                raise StrategyError(f"llm: {each} must be a text, not {getattr(self, each)!r}")
        name: Any = self.key_env
        if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
            # What was given may be the key itself, and is not repeated.
            raise StrategyError("llm: key_env must be the name of an environment variable, such as OPENAI_API_KEY")
        if self.base_url:
            _check_url(self.base_url)

    def check(self, space: Space) -> None:
        """Check that there is a server to ask.

        Raises:
            StrategyError: No server or no model is named.
        """
        for name, example in (("base_url", "http://localhost:8000/v1"), ("model", "qwen3")):
            if not getattr(self, name):
                raise StrategyError(f"llm: {name} is not set: give base_url and model, such as {name}={example}")
        require("httpx", extra="llm", purpose="the strategy 'llm'")
        for one in (BayesianOptimisation(), MultiObjectiveBO()):
            one.check(space)

    def restored(self) -> LLM:
        """Return a strategy that asks no server: the address on record may be a stranger's."""
        made = replace(self)
        object.__setattr__(made, "_is_trusted", False)
        return made

    def propose(self, space: Space, history: History, rng: np.random.Generator) -> Architecture:
        """Return the next architecture that the model has proposed, or a proposal of Bayesian optimisation."""
        outside, state = history.outside, self.state_of(history.outside, _State)
        state.rng, state.asks = rng, state.asks + 1 if state.rng is rng else 0
        seed = int(rng.integers(2**31))
        known = self._known(space, history, state)
        if not self._is_over(history, known):
            outside.meet(lambda: self._arrived(space, history, state, known, seed))
            known = self._known(space, history, state)
            left = [one for one in known if not history.seen(one)]
            if state.asks < len(left):
                return left[state.asks]
        fallback = self.state_of(history, lambda: _fallback(history))
        return fallback.propose(space, history, rng)

    def _known(self, space: Space, history: History, state: _State) -> list[Architecture]:
        """Return the architectures of all replies, in order."""
        events = list(history.outside)
        for event in events[state.events :]:
            for one in event.get("architectures", ()):
                try:
                    architecture = Architecture.from_json(one)
                except (ArchitectureError, TypeError, ValueError, AttributeError):  # of a record that was changed
                    continue
                if architecture in space:
                    state.known.append(architecture)
        state.events = len(events)
        return state.known

    def _is_over(self, history: History, known: Sequence[Architecture]) -> bool:
        """Tell whether it is the turn of Bayesian optimisation, for the rest of the search."""
        if sum(map(history.seen, known)) >= self.until:
            return True
        mine, front = {*known}, {trial.number for trial in history.front}
        latest = [trial.number for trial in history.complete if trial.architecture in mine][-self.patience :]
        return len(latest) >= self.patience and front.isdisjoint(latest)

    def _arrived(
        self, space: Space, history: History, state: _State, known: Sequence[Architecture], seed: int
    ) -> Mapping[str, Any] | None:
        """Return the outcome of a call that is over; make one where few architectures are left.

        Where nothing runs, the call is waited for.
        """
        running = history.outside.count_running
        left = sum(not history.seen(one) for one in known)
        if state.call is None and left <= running and state.failures < _GIVEN_UP:
            if not self._is_trusted:
                _say(state, f"the server on record, {self.base_url}, is not asked without being named again")
                return None
            state.call = self._begun(space, history, state, seed)
        call = state.call
        if call is None:
            return None
        if not running and not left:
            call.wait()
        if not call.is_over:
            return None
        state.call = None
        return self._outcome(space, history, state, call)

    def _begun(self, space: Space, history: History, state: _State, seed: int) -> Call:
        asked = messages(space, history, count=self.proposals, about=self.about)
        schema = response_schema(space, self.proposals) if state.takes_format else None
        server = Server(self.base_url, self.model, self.key_env, self.temperature, self.timeout, self.retries)
        digest = hashlib.sha256(json.dumps([self.model, asked]).encode()).hexdigest()
        call = Call(server, asked, schema, digest, seed=seed)
        call.start()
        return call

    def _outcome(self, space: Space, history: History, state: _State, call: Call) -> Mapping[str, Any]:
        """Return what is put on record of a call."""
        error, reply = call.error, call.reply
        if state.takes_format and not call.took_format and response_schema(space, 1) is not None and error is None:
            state.takes_format = False
            _say(state, "the server supports no response format with a JSON schema, and is asked without one", "")
        if error is not None or reply is None:
            error = error or CallError("the call gave nothing")
            if error.is_final and not state.has_answered:
                raise StrategyError(f"llm: {error}")
            return self._failed(state, call, str(error), {})
        state.has_answered = True
        taken = take(
            reply,
            space,
            most=self.proposals,
            base=base_of(history),
            seen=history.seen,
            seed=int(call.asked[:8], 16),
        )
        counts = taken.counts
        if not taken.architectures:
            told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
            return self._failed(
                state, call, f"the reply holds no new architecture ({told or 'no JSON'})", counts, reply
            )
        state.failures = 0
        architectures = [one.to_json() for one in taken.architectures]
        return {"asked": call.asked, "reply": reply[:_KEPT], "architectures": architectures, "counts": counts}

    def _failed(
        self, state: _State, call: Call, error: str, counts: Mapping[str, int], reply: str | None = None
    ) -> Mapping[str, Any]:
        state.failures += 1
        _say(state, error)
        if state.failures == _GIVEN_UP:
            _say(state, f"{_GIVEN_UP} calls in a row failed, so the server is not asked any more in this session")
        answered = {} if reply is None else {"reply": reply[:_KEPT]}
        return {"asked": call.asked, "error": error, **answered, "counts": dict(counts)}


def _fallback(history: History) -> Strategy:
    return BayesianOptimisation() if len(history.objectives) == 1 else MultiObjectiveBO()


def _say(state: _State, told: str, then: str = "; bo proposes instead") -> None:
    """Warn of something, once in a search."""
    if told not in state.said:
        state.said.add(told)
        # By `warn`, Python would show it once in a process, so that a second search would be silent.
        warnings.warn_explicit(f"llm: {told}{then}", UserWarning, "archwright", 0)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_right = False
    if not is_right:
        raise StrategyError(f"llm: base_url must be a URL such as http://localhost:8000/v1, not {url[:200]!r}")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        # It may hold a key, and is not repeated.
        raise StrategyError(
            "llm: base_url must have no user, password, query or fragment; a key stands in the environment variable "
            "that key_env names"
        )
