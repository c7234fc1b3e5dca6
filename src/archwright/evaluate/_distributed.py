"""Training of one network by several processes, each on a share of every batch.

The process of the trial paces the training, validates the network and reports. It starts the others, the ranks of
`torch.distributed`, and tells each the same, step by step. So all of them make a step or none does, whatever ends the
training; and since this process takes part in no collective operation, nothing that happens there can block it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from multiprocessing import Pipe, connection
from typing import TYPE_CHECKING, Any

import torch

from archwright._payload import Payload, dumps, load
from archwright._python import end_with_parent, how_it_ended, start
from archwright._words import counted
from archwright.errors import EvaluationError
from archwright.evaluate._feed import Feed, Share
from archwright.evaluate._learner import Learner, Loss

if TYPE_CHECKING:
    from archwright.evaluate._device import Setup
    from archwright.evaluate._recipe import Recipe

_PATIENCE = 300.0  # seconds in which some rank has to say something
_GRACE = 0.5  # seconds that other ranks have to say what is wrong, once one has
_IDLE = 60.0  # seconds without a training, after which ranks end
_APART = 104_729  # between the seeds of ranks
_LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
_DEFAULTS = {
    "GLOO_SOCKET_IFNAME": _LOOPBACK,  # other machines are not to reach them
    "NCCL_SOCKET_IFNAME": _LOOPBACK,
    "TORCH_CPP_LOG_LEVEL": "ERROR",  # below that they are told that a network leaves no weights out
}


class Team:
    """Processes that train a network together; started when they are needed, and ended by a minute without a training.

    Args:
        count: The number of processes, 2 or more.
        device: The torch device: on CUDA each process uses a GPU of its own, from the first on.

    Raises:
        EvaluationError: The device is no place for so many processes.
    """

    def __init__(self, count: int, device: str) -> None:
        self.count, self.device = count, device
        self._kind = torch.device(device).type
        wanted = f"processes={count}"
        if sys.platform == "win32" or not torch.distributed.is_available():
            raise EvaluationError(f"{wanted}: torch.distributed has no such processes here: take processes=1")
        if self._kind not in ("cpu", "cuda") or device.partition(":")[2] not in ("", "0"):
            raise EvaluationError(f"{wanted} are for device='cuda', from the first GPU on, or 'cpu', not {device!r}")
        if self._kind == "cuda" and count > torch.cuda.device_count():
            there = counted(torch.cuda.device_count(), "GPU")
            raise EvaluationError(
                f"{wanted} want a GPU each, and this process sees {there}: take fewer, or give a worker of a cluster "
                f"gpus={count}"
            )
        self._ranks: list[_Rank] = []
        self._used = 0.0
        self._data: tuple[Any, Any] | None = None
        weakref.finalize(self, _end_all, self._ranks)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let each process of a search have a team of its own."""
        return Team, (self.count, self.device)

    def check(self, batch_size: int) -> None:
        """Refuse batches that cannot be shared out.

        Raises:
            EvaluationError: They have less than two samples for each process.
        """
        if batch_size < 2 * self.count:
            raise EvaluationError(
                f"batch_size={batch_size} is too small for processes={self.count}: give at least {2 * self.count}, two "
                "samples for each"
            )

    def ask(self, name: str, *arguments: Any) -> list[Any]:
        """Let all ranks call a method of `_Member`, and return what it gives, by rank.

        Raises:
            EvaluationError: A rank has died or does not answer.
            Exception: Whatever a rank has raised.
        """
        try:
            for rank in self._ranks:
                rank.send(name, *arguments)
            answers = self._answers()
        except BaseException:  # also Ctrl-C: they are left somewhere in between
            self.close()
            raise
        self._used = time.monotonic()
        return answers

    def get_ready(self, task: Any, part: Any) -> None:
        """Start the ranks, if there are none, and give them the data, if they have other ones."""
        is_late = time.monotonic() > self._used + _IDLE / 2  # they may be about to end
        if is_late or any(rank.connection.poll() for rank in self._ranks):  # unasked a rank says that it has ended
            self.close()
        if not self._ranks:
            self._start()
        if self._data is None or self._data[0] is not task or self._data[1] is not part:
            payload = Payload((task, part))
            try:
                self.ask("take", payload.public_path)
            finally:
                payload.close()
            self._data = task, part

    def rest(self) -> None:
        """Let the ranks forget the network."""
        self.ask("rest")

    def close(self) -> None:
        """End the ranks."""
        _end_all(self._ranks)
        self._data = None

    # ------------------------------------------------------------------ inside

    def _start(self) -> None:
        threads = str(max(1, torch.get_num_threads() // self.count))
        environment = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        for name, value in _DEFAULTS.items():
            environment[name] = os.environ.get(name, value)
        meeting = Payload(b"")  # the file in which they find each other
        try:
            for place in range(self.count):
                self._ranks.append(_Rank(place, self.count, self._kind, meeting, environment))
            self.ask("join")
        finally:
            meeting.close()

    def _answers(self) -> list[Any]:
        answers: dict[int, Any] = {}
        errors: dict[int, BaseException] = {}
        met: set[int] = set()  # ranks that wait for the gradients of the others
        silent = list(self._ranks)
        while silent:
            handles = [rank.connection for rank in silent]
            ready = connection.wait(handles, _GRACE if errors else _PATIENCE)
            for rank in [rank for rank in silent if rank.connection in ready]:
                try:
                    kind, content = rank.connection.recv()
                except (EOFError, OSError):
                    kind, content = "died", None
                if kind == "met":
                    met.add(rank.place)
                    continue
                silent.remove(rank)
                if kind == "done":
                    answers[rank.place] = content
                elif kind == "died":
                    told = f"rank {rank.place} of {self.count} processes that train the network {rank.kill(_GRACE)}"
                    errors[rank.place] = _Died(told)
                else:
                    errors[rank.place] = _raised(content, f"rank {rank.place} of {self.count} processes")
            if not ready:
                break
        if errors:  # the others miss one that died, and say so in many ways
            raise next((error for error in errors.values() if isinstance(error, _Died)), min(errors.items())[1])
        if silent:
            late = [str(rank.place) for rank in silent if rank.place not in met] or [str(rank.place) for rank in silent]
            raise EvaluationError(
                f"rank {' and rank '.join(late)} of {self.count} processes that train the network did not answer for "
                f"{_PATIENCE:g} seconds; all were ended"
            )
        return [answer for _, answer in sorted(answers.items())]


class TeamLearner:
    """What a `Learner` is, in the processes of a team; the network of this process is set by `settle`.

    Args:
        team: The team.
        model: The network.
        feed: What it learns from.
        setup: How it is run.
        recipe: How it is trained.
        batch_size: How many samples a step takes, of all processes together.
    """

    def __init__(
        self, team: Team, model: torch.nn.Module, feed: Feed, setup: Setup, recipe: Recipe, *, batch_size: int
    ) -> None:
        self._team, self._model = team, model
        team.get_ready(feed.task, feed.part)
        team.ask("make", dumps((model, setup, recipe, batch_size)))

    def begin(self, feed: Feed, seed: int) -> None:
        """Begin a stage, with other data, and with the weights that the network has now."""
        self._team.get_ready(feed.task, feed.part)
        self._team.ask("begin", dumps(self._model.state_dict()), seed)

    def start(self) -> None:
        """Begin a pass through the data."""
        self._team.ask("start")

    def step(self, progress: float) -> None:
        """Make a step, at a progress of the stage from 0 to 1."""
        self._team.ask("step", progress)

    def losses(self) -> list[Loss]:
        """Return the losses of the steps since the last call."""
        shares = zip(*self._team.ask("losses"), strict=True)
        return [(sum(loss for loss, _, _ in each), *each[0][1:]) for each in shares]

    def settle(self, steps: int) -> None:
        """Set the network to that of the first rank, with its batch normalisation settled."""
        self._model.load_state_dict(load(self._team.ask("settle", steps)[0]))

    def state(self) -> dict[str, Any]:
        """Return what a further stage needs besides the network."""
        state: dict[str, Any] = load(self._team.ask("state")[0])
        return state

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._team.ask("load_state", dumps(dict(state)))


class _Died(EvaluationError):
    """A rank has died."""


class _Rank:
    """A process of a team, as the process that has started it sees it."""

    def __init__(self, place: int, count: int, kind: str, meeting: Payload, environment: Mapping[str, str]) -> None:
        self.place = place
        self.connection: Any
        self.connection, theirs = Pipe()
        with theirs:
            self._process = start(
                __name__,
                *(theirs.fileno(), place, count, kind, meeting.path),
                files=(theirs.fileno(), *meeting.descriptors),
                environment=environment,
            )

    def send(self, *message: Any) -> None:
        """Tell it something; that it is dead is noticed when it does not answer."""
        with suppress(OSError):
            self.connection.send(message)

    def kill(self, grace: float = 0.0) -> str:
        """End it, if it does not end by itself within some seconds; return how it has ended, to follow its name."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(grace)
        self._process.kill()
        status = self._process.wait()
        self.connection.close()
        assert self._process.stdin is not None
        self._process.stdin.close()
        return how_it_ended(status)


def _end_all(ranks: list[_Rank]) -> None:
    while ranks:
        ranks.pop().kill()


def _raised(content: bytes, who: str) -> BaseException:
    """Return the exception of a rank, with its traceback as the cause."""
    error: BaseException
    error, text = load(content)
    error.__cause__ = RuntimeError(f"in {who}\n{text}")
    return error


# ---------------------------------------------------------------------- in the process of a rank


def main(channel: int, place: int, count: int, kind: str, meeting: str) -> None:
    """Do what the process of the trial asks for, until it has nothing to do; never return.

    Args:
        channel: The descriptor of the connection to the process of the trial.
        place: The rank.
        count: The number of ranks.
        kind: "cpu" or "cuda".
        meeting: The path of the file in which ranks find each other.
    """
    end_with_parent(lambda: os._exit(1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process of the trial decides what comes of it
    caller: Any = connection.Connection(channel)
    member = _Member(caller, Share(place, count), kind, meeting)
    with suppress(EOFError, OSError):
        while caller.poll(_IDLE if member.is_at_rest else None):
            name, *arguments = caller.recv()
            try:
                answer = "done", getattr(member, name)(*arguments)
            except Exception as error:  # of a network, an optimizer or a loss, which may be anybody's
                answer = "failed", _packed(error)
            caller.send(answer)
    os._exit(0)  # not waiting for ranks that have ended before


class _Member:
    """The part of a team that is in one of its processes."""

    def __init__(self, caller: Any, share: Share, kind: str, meeting: str) -> None:
        self._caller, self._share, self._kind, self._meeting = caller, share, kind, meeting
        self._device = f"cuda:{share.place}" if kind == "cuda" else "cpu"
        self._feeds: dict[Setup, Feed] = {}  # of the data that it has
        self._model: Any = None
        self._learner: Any = None

    @property
    def is_at_rest(self) -> bool:
        return self._learner is None

    def join(self) -> None:
        if self._kind == "cuda":
            torch.cuda.set_device(self._device)
        torch.distributed.init_process_group(
            "nccl" if self._kind == "cuda" else "gloo",
            init_method=f"file://{self._meeting}",
            rank=self._share.place,
            world_size=self._share.count,
        )

    def take(self, path: str) -> None:
        self._task, self._part = load(path)
        self._feeds.clear()

    def make(self, content: bytes) -> None:
        from torch.nn.parallel import DistributedDataParallel

        self.rest()
        model, setup, recipe, batch_size = load(content)
        self._model, self._setup = model.to(self._device), replace(setup, device=self._device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of another name for `broadcast_buffers` since torch 2.13
            together = DistributedDataParallel(
                self._model,
                init_sync=False,  # all have the same weights
                broadcast_buffers=False,  # those of the first rank are taken in the end
                find_unused_parameters=True,  # a network may leave some out
            )
        together.register_forward_hook(lambda *_: self._caller.send(("met", None)))
        self._learner = Learner(
            self._model, self._feed(), self._setup, recipe, batch_size=batch_size, share=self._share, call=together
        )

    def begin(self, weights: bytes, seed: int) -> None:
        self._model.load_state_dict(load(weights))
        torch.manual_seed(seed + _APART * self._share.place)  # of dropout: shares are not to lose the same
        self._learner.begin(self._feed(), seed)

    def start(self) -> None:
        self._learner.start()

    def step(self, progress: float) -> None:
        self._learner.step(progress)

    def losses(self) -> list[Loss]:
        losses: list[Loss] = self._learner.losses()
        return losses

    def settle(self, steps: int) -> bytes | None:
        self._learner.settle(steps)
        return self._of_first(self._model.state_dict())

    def state(self) -> bytes | None:
        return self._of_first(self._learner.state())

    def load_state(self, state: bytes) -> None:
        self._learner.load_state(load(state))

    def rest(self) -> None:
        self._model = self._learner = None
        if self._kind == "cuda":
            torch.cuda.empty_cache()

    def _feed(self) -> Feed:
        if self._setup not in self._feeds:
            self._feeds[self._setup] = Feed(self._task, self._part, self._setup)
        return self._feeds[self._setup]

    def _of_first(self, item: Any) -> bytes | None:
        return None if self._share.place else dumps(item)


def _packed(error: Exception) -> bytes:
    """Return an exception and its traceback; of one that cannot be sent, what it says."""
    text = traceback.format_exc()
    try:
        content = dumps((error, text))
        load(content)
    except Exception as problem:  # of a class of anybody's
        told = f"{type(error).__name__}: {error} (not sent as it was: {problem})"
        content = dumps((EvaluationError(told), text))
    return content
