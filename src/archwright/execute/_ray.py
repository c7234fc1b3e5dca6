"""Trials on the machines of a Ray cluster."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from archwright._checks import check_numbers
from archwright.errors import StudyError, require
from archwright.execute._agent import Setting, Ticket, serve
from archwright.execute._cluster import CLUSTERS, Cluster, Launcher, check_text
from archwright.execute._remote import Agent
from archwright.trials import last_line

_GRACE = 5.0  # seconds that agents have to return, once their processes have ended
_CONNECT = 10.0  # seconds in which the head of a cluster has to answer
_started = False  # whether Ray was started, or joined, for a search, and is to be left after it


@CLUSTERS.register("ray")
@dataclass(frozen=True)
class Ray(Cluster):
    """Settings of trials on a Ray cluster: a worker is an actor of Ray Core, with a process beside it.

    Ray is joined for the search, and left after it; if the program has called `ray.init` before, that is used and kept.
    All machines need archwright with the same versions as this one.

    Args:
        address: The address of the cluster, such as "10.0.0.1:6379"; "auto" for the one that this machine belongs to;
            "local" for a new one on this machine alone; `None` for that of the environment variable RAY_ADDRESS, or
            else a new one.
        cpus: The CPUs of a trial; it uses as many threads. May be a fraction.
        gpus: The GPUs of a trial; 0.5 for two trials on each GPU.
        checkpoints: The URL of a folder for the checkpoints that trials leave for others, such as "s3://bucket/run";
            `None` for the run folder, which is then on storage that all machines share.

    Example:
        >>> from archwright.execute import Ray
        >>> Ray(cpus=4, gpus=0.5).threads
        4
    """

    address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    checkpoints: str | None = None

    def __post_init__(self) -> None:
        check_numbers(self, "cpus", "gpus", allowed="of 0 or more", holds=lambda value: value >= 0)
        if not self.cpus and not self.gpus:
            raise StudyError("ray: a trial needs cpus or gpus, and both are 0")
        check_text(self, "address", "10.0.0.1:6379")
        check_text(self, "checkpoints", "s3://bucket/run")

    def launcher(self, content: bytes, setting: Setting) -> Launcher:
        """Return what starts actors."""
        return _Launcher(self, content, setting)

    def room(self) -> int:
        """Return for how many trials at a time the cluster has CPUs and GPUs."""
        there = _join(self).cluster_resources()
        needed = {"CPU": self.cpus, "GPU": self.gpus}
        return max(1, int(min(there.get(name, 0.0) / each for name, each in needed.items() if each)))

    @property
    def threads(self) -> int:
        """The number of threads of a trial."""
        return max(1, int(self.cpus))


class _Program:
    """What an actor runs."""

    def run(self, ticket: Ticket, content: Any, setting: Setting) -> None:
        serve(ticket, lambda: memoryview(content), setting)


class _Launcher(Launcher):
    def __init__(self, settings: Ray, content: bytes, setting: Setting) -> None:
        self._ray = _join(settings)
        self._setting = setting
        try:
            self.host = self._ray.util.get_node_ip_address()
            # Once for the cluster: each of its machines fetches it once.
            self._content = self._ray.put(np.frombuffer(content, np.uint8))
            options = {"num_cpus": settings.cpus, "num_gpus": settings.gpus, "max_restarts": 0}
            self._program = self._ray.remote(**options)(_Program)
        except BaseException:
            _leave()
            raise
        self._agents: list[_Actor] = []

    def launch(self, tickets: Sequence[Ticket], ring: Callable[[], None]) -> list[Agent]:
        """Start an actor for each ticket."""
        self._agents = [agent for agent in self._agents if agent.over() is None]
        started = []
        for ticket in tickets:
            actor = self._program.remote()
            ended = actor.run.remote(ticket, self._content, self._setting)
            started.append(_Actor(self._ray, actor, ended, ring))
        self._agents += started
        return [*started]

    def close(self) -> None:
        """End what is left of the actors, and leave the cluster, if it was joined for the search."""
        left = [agent.ended for agent in self._agents]
        if left:
            self._ray.wait(left, num_returns=len(left), timeout=_GRACE, fetch_local=False)
        for agent in self._agents:
            agent.cancel()
        _leave()


class _Actor:
    """An actor that runs an agent."""

    def __init__(self, ray: Any, actor: Any, ended: Any, ring: Callable[[], None]) -> None:
        self.ended = ended
        self._ray, self._actor = ray, actor
        self._future = ended.future()

        def release(future: Any) -> None:
            self._actor = None  # the last reference: it ends, and its CPUs and GPUs are free for another
            ring()

        self._future.add_done_callback(release)

    def over(self) -> str | None:
        """Return how it has ended."""
        if not self._future.done():
            return None
        error = self._future.exception()
        return "has ended" if error is None else f"has ended: {last_line(str(error))}"

    def cancel(self) -> None:
        """End it."""
        actor = self._actor
        if actor is not None:
            self._ray.kill(actor)


def _join(settings: Ray) -> Any:
    """Return Ray, which has joined the cluster."""
    global _started
    ray = require("ray", extra="ray", purpose="the executor 'ray'")
    if not ray.is_initialized():
        # Ray sets a handler of its own for the signal that ends a search cleanly.
        is_main = threading.current_thread() is threading.main_thread()
        handler = signal.getsignal(signal.SIGTERM)
        address = settings.address or os.environ.get("RAY_ADDRESS") or "local"
        if address.startswith("ray://"):
            raise StudyError(
                f"ray: {address!r} is the address of a Ray Client, and workers do not reach the search there: run it "
                "on a machine of the cluster (`ray job submit`), with the address 'auto'"
            )
        host, _, port = address.rpartition(":")
        try:
            if port.isdecimal():  # Ray would try for minutes
                socket.create_connection((host, int(port)), _CONNECT).close()
            ray.init(address=address, logging_level=logging.WARNING)
        except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            raise StudyError(f"the Ray cluster {address!r} cannot be joined: {error}") from error
        finally:
            if is_main:
                signal.signal(signal.SIGTERM, handler)
        _started = True
    return ray


def _leave() -> None:
    """Leave Ray, if it was joined for a search."""
    global _started
    if _started:
        _started = False
        sys.modules["ray"].shutdown()
