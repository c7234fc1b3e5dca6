"""Global state of the process, restored after a candidate."""

from __future__ import annotations

import gc
import io
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any

import numpy as np

if sys.platform != "win32":
    import resource


@contextmanager
def restored(seed: int | None = None) -> Iterator[None]:
    """Put global state back after a block, so that what one candidate leaves behind is no part of the next.

    These are the working directory, the mode of new files, environment variables, random states, warning filters,
    signal handlers, blocked signals and the alarm, standard streams with their descriptors, the limits of the system,
    the recursion limit, garbage collection and numpy's floating-point errors; and of torch the modes that change its
    functions, the default dtype and device, whether gradients are recorded, the number of threads, the precision of
    products of matrices, hooks of all modules, and the flags for deterministic algorithms, anomaly detection, autocast
    and cuDNN. torch is not loaded for it.

    Args:
        seed: Of the global generators of Python, numpy and torch inside the block, also where torch is loaded in it;
            `None` leaves them as they are.
    """
    torch = sys.modules.get("torch")
    settings = [*_SETTINGS, *_torch_settings(torch)]
    before = [(each, each.read()) for each in settings]
    loads = None if seed is None or torch is not None else _SeedsTorch(seed)
    if seed is not None:
        _seed(seed, torch)
    if loads is not None:
        sys.meta_path.insert(0, loads)
    try:
        yield
    finally:
        if loads in sys.meta_path:
            sys.meta_path.remove(loads)
        if torch is None and "torch" in sys.modules:
            _make_as_new(sys.modules["torch"])
        for setting, value in before:
            if setting.always or setting.read() != value:
                setting.write(value)


@dataclass(frozen=True)
class _Setting:
    """Something global."""

    read: Callable[[], Any]  # returns it
    write: Callable[[Any], object]  # takes what `read` returned before
    # Whether to write it in any case: for what cannot be compared. Else it is written where it has changed, since
    # writing may have effects: when its filters change, Python shows each warning once more.
    always: bool = False


def _attribute(owner: Any, name: str) -> _Setting:
    return _Setting(lambda: getattr(owner, name), lambda value: setattr(owner, name, value))


def _folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was removed
        return None


def _set_folder(folder: str | None) -> None:
    with suppress(OSError):  # where it is gone there is nothing to go back to
        if folder is not None:
            os.chdir(folder)


# As bytes, where the system has them: a copy of all variables as text takes longer than all other settings.
_VARIABLES: Any = os.environb if os.supports_bytes_environ else os.environ


def _set_environment(variables: dict[Any, Any]) -> None:
    for name in _VARIABLES.keys() - variables.keys():
        del _VARIABLES[name]
    _VARIABLES.update(variables)


def _set_filters(filters: list[Any]) -> None:
    warnings.resetwarnings()  # which also tells Python that there are others now
    warnings.filters[:] = filters  # type: ignore[index]  # typeshed: a sequence; it is a list


def _descriptors() -> list[int | None]:
    """Return copies of the descriptors of standard input, output and error; `None` for what is closed."""
    copies: list[int | None] = []
    for number in range(3):
        try:
            copies.append(os.dup(number))
        except OSError:  # closed, or there is room for no more
            copies.append(None)
    return copies


def _set_descriptors(copies: list[int | None]) -> None:
    for number, copy in enumerate(copies):
        if copy is not None:
            with suppress(OSError):  # the block has closed the copy too
                os.dup2(copy, number)
                os.close(copy)


def _open_streams() -> list[str]:
    return [name for name in ("stdin", "stdout", "stderr") if not getattr(getattr(sys, name), "closed", False)]


def _open_again(names: list[str]) -> None:
    """Open standard streams that are closed, on their descriptors."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if name in names and isinstance(stream, io.TextIOWrapper) and stream.closed:
            with suppress(OSError):
                mode, buffering = "w" if number else "r", 1 if stream.line_buffering else -1
                again = open(number, mode, buffering, stream.encoding, stream.errors, closefd=False)  # noqa: SIM115
                setattr(sys, name, again)


def _limits() -> dict[int, tuple[int, int]]:
    if sys.platform == "win32":
        return {}
    kinds = {value for name, value in vars(resource).items() if name.startswith("RLIMIT_")}
    return {kind: resource.getrlimit(kind) for kind in kinds}


def _set_limits(limits: dict[int, tuple[int, int]]) -> None:
    for kind, (soft, hard) in limits.items():
        with suppress(OSError, ValueError):  # a hard limit that was lowered cannot be raised
            resource.setrlimit(kind, (soft, hard))


def _alarm() -> bool:
    return hasattr(signal, "getitimer") and signal.getitimer(signal.ITIMER_REAL)[0] > 0


def _set_alarm(armed: bool) -> None:
    if not armed:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in SIGNALS}


def _set_handlers(handlers: dict[int, Any]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return  # Python sets them in the main thread alone
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)


def _blocked() -> set[int]:
    return signal.pthread_sigmask(signal.SIG_BLOCK, []) if hasattr(signal, "pthread_sigmask") else set()


def _umask() -> int:
    mask = os.umask(0o077)  # which is the only way to read it
    os.umask(mask)
    return mask


SIGNALS = [
    getattr(signal, f"SIG{name}")
    for name in (
        *("INT", "TERM", "HUP", "QUIT", "ABRT", "ALRM", "VTALRM", "PROF"),
        *("USR1", "USR2", "CHLD", "PIPE", "CONT", "TSTP", "WINCH"),
    )
    if hasattr(signal, f"SIG{name}")
]
"""The signals for which programs have handlers."""

_SETTINGS = (
    _Setting(_alarm, _set_alarm),  # before the handler of its signal
    _Setting(_handlers, _set_handlers),
    _Setting(_blocked, lambda blocked: signal.pthread_sigmask(signal.SIG_SETMASK, blocked)),
    _Setting(_umask, os.umask),
    _Setting(_folder, _set_folder),
    _Setting(lambda: dict(_VARIABLES._data), _set_environment),
    _Setting(lambda: list(warnings.filters), _set_filters),
    _attribute(warnings, "showwarning"),
    _Setting(_descriptors, _set_descriptors, always=True),
    _attribute(sys, "stdin"),
    _attribute(sys, "stdout"),
    _attribute(sys, "stderr"),
    _Setting(_open_streams, _open_again),
    _Setting(_limits, _set_limits),
    _Setting(sys.getrecursionlimit, sys.setrecursionlimit),
    _Setting(gc.isenabled, lambda enabled: gc.enable() if enabled else gc.disable()),
    _Setting(np.geterr, lambda errors: np.seterr(**errors)),
    _Setting(random.getstate, random.setstate, always=True),
    _Setting(np.random.get_state, np.random.set_state, always=True),
)


def _torch_settings(torch: Any) -> list[_Setting]:
    if torch is None:
        return []
    cudnn, cuda = torch.backends.cudnn, torch.cuda
    settings = [
        # First, for what a mode does to functions of torch would be done to those that follow.
        _Setting(partial(_modes, torch), partial(_set_modes, torch)),
        _attribute(torch, "default_generator"),
        _Setting(torch.get_rng_state, torch.set_rng_state, always=True),
        _Setting(torch.get_default_dtype, torch.set_default_dtype),
        # The CPU is what it is without one; to set it would cost time at each call of torch.
        _Setting(torch.get_default_device, lambda at: torch.set_default_device(None if at.type == "cpu" else at)),
        _Setting(torch.is_grad_enabled, torch.set_grad_enabled),
        _Setting(torch.get_num_threads, torch.set_num_threads),
        _Setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        _Setting(partial(_hooks, torch), partial(_set_hooks, torch)),
        _Setting(torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
        _Setting(torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
        *(_attribute(cudnn, name) for name in ("enabled", "benchmark", "deterministic")),
        *(
            _Setting(partial(torch.is_autocast_enabled, kind), partial(torch.set_autocast_enabled, kind))
            for kind in ("cpu", "cuda")
        ),
    ]
    if cuda.is_initialized():
        settings.append(_Setting(cuda.get_rng_state_all, cuda.set_rng_state_all, always=True))
    return settings


def _modes(torch: Any) -> list[Any]:
    """Return the modes that change what functions of torch do, the outermost first, without that of a device."""
    modes = torch.overrides._get_current_function_mode_stack()
    return [mode for mode in modes if not isinstance(mode, torch.utils._device.DeviceContext)]


def _set_modes(torch: Any, modes: list[Any]) -> None:
    held = [torch.overrides._pop_mode() for _ in range(torch._C._len_torch_function_stack())]
    for mode in reversed(held):
        if isinstance(mode, torch.utils._device.DeviceContext) or mode in modes:
            torch.overrides._push_mode(mode)


def _hooks(torch: Any) -> dict[str, dict[Any, Any]]:
    """Return the hooks that run for all modules, by kind."""
    found = vars(torch.nn.modules.module).items()
    return {name: dict(value) for name, value in found if name.startswith("_global_") and isinstance(value, dict)}


def _set_hooks(torch: Any, hooks: dict[str, dict[Any, Any]]) -> None:
    for name, known in hooks.items():
        held = getattr(torch.nn.modules.module, name)
        held.clear()
        held.update(known)


def _seed(seed: int, torch: Any) -> None:
    random.seed(seed)
    np.random.seed(seed)
    if torch is not None:
        # Not `torch.manual_seed`: it would also seed devices that are not in use yet, and are not put back.
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)


class _SeedsTorch(MetaPathFinder):
    """Seeds torch when it is loaded, so that a trial draws the same whether one before it has loaded torch or not."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return how torch is loaded and then seeded; `None` for other modules, which are found elsewhere."""
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                load(module)
                module.default_generator.manual_seed(self._seed)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # of this loader, for torch alone
        return spec


def _make_as_new(torch: Any) -> None:
    """Give torch the settings with which it is loaded: it was loaded inside the block."""
    _set_modes(torch, [])
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_grad_enabled(True)
    torch.use_deterministic_algorithms(False)
