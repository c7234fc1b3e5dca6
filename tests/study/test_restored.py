"""What a candidate changes in the process is put back after its trial."""

from __future__ import annotations

import gc
import os
import random
import resource
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from tests.study.helpers import SMALL
from torch.overrides import TorchFunctionMode

import archwright as aw


def umask():
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def descriptors():
    found = []
    for number in range(3):
        try:
            found.append(os.fstat(number).st_ino)
        except OSError:
            found.append(None)
    return found


class Refusing(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        raise RuntimeError("no")


CHANGES = {
    "a mode": (torch._C._len_torch_function_stack, lambda: Refusing().__enter__()),
    "folder": (os.getcwd, lambda: os.chdir("/")),
    "environment": (lambda: dict(os.environ), lambda: os.environ.update(HOME="/nowhere", EXTRA="1")),
    "a variable less": (lambda: dict(os.environ), lambda: os.environ.pop("PATH")),
    "filters": (lambda: list(warnings.filters), lambda: warnings.simplefilter("error")),
    "showwarning": (lambda: warnings.showwarning, lambda: setattr(warnings, "showwarning", print)),
    "interrupts": (lambda: signal.getsignal(signal.SIGINT), lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)),
    "alarm": (lambda: signal.getitimer(signal.ITIMER_REAL), lambda: signal.alarm(1000)),
    "blocked signals": (
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, []),
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT]),
    ),
    "the mode of new files": (umask, lambda: os.umask(0o777)),
    "stdout": (lambda: sys.stdout, lambda: setattr(sys, "stdout", None)),
    "descriptors less": (descriptors, lambda: os.closerange(0, 3)),
    "a descriptor that leads elsewhere": (descriptors, lambda: os.dup2(os.open("/", os.O_RDONLY), 1)),
    "limits": (
        lambda: resource.getrlimit(resource.RLIMIT_NOFILE),
        lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (99, resource.getrlimit(resource.RLIMIT_NOFILE)[1])),
    ),
    "recursion": (sys.getrecursionlimit, lambda: sys.setrecursionlimit(300)),
    "collection": (gc.isenabled, gc.disable),
    "numpy's errors": (np.geterr, lambda: np.seterr(all="raise")),
    "random": (random.getstate, lambda: random.seed(3)),
    "numpy's random": (lambda: np.random.get_state()[1].tolist(), lambda: np.random.seed(3)),
    "torch's random": (lambda: torch.get_rng_state().tolist(), lambda: torch.manual_seed(3)),
    "generator": (lambda: torch.default_generator, lambda: setattr(torch, "default_generator", torch.Generator())),
    "dtype": (torch.get_default_dtype, lambda: torch.set_default_dtype(torch.float64)),
    "device": (torch.get_default_device, lambda: torch.set_default_device("meta")),
    "gradients": (torch.is_grad_enabled, lambda: torch.set_grad_enabled(False)),
    "threads": (torch.get_num_threads, lambda: torch.set_num_threads(torch.get_num_threads() + 1)),
    "deterministic": (torch.are_deterministic_algorithms_enabled, lambda: torch.use_deterministic_algorithms(True)),
    "anomalies": (torch.is_anomaly_enabled, lambda: torch.autograd.set_detect_anomaly(True)),
    "products": (torch.get_float32_matmul_precision, lambda: torch.set_float32_matmul_precision("medium")),
    "hooks": (
        lambda: dict(torch.nn.modules.module._global_forward_hooks),
        lambda: torch.nn.modules.module.register_module_forward_hook(print),
    ),
    "cudnn": (lambda: torch.backends.cudnn.benchmark, lambda: setattr(torch.backends.cudnn, "benchmark", True)),
    "autocast": (lambda: torch.is_autocast_enabled("cpu"), lambda: torch.set_autocast_enabled("cpu", True)),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("fails", [False, True], ids=["returns", "raises"])
def test_global_state_is_that_of_before(name, fails):
    read, change = CHANGES[name]
    seen = []

    def evaluate(candidate):
        random.seed(0), np.random.seed(0), torch.default_generator.manual_seed(0)
        seen.append(read())
        change()
        assert read() != seen[-1]
        if fails:
            raise ValueError("changed and gone")
        return 0.5

    before = read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inner = read()
        study = aw.Study(SMALL).run(evaluate, aw.Budget(trials=3))
        assert read() == inner
    assert read() == before
    assert [trial.state for trial in study.trials] == ["failed" if fails else "complete"] * 3
    assert seen[1:] == seen[:1] * 2


def test_what_is_drawn_from_global_generators_follows_from_the_trials_seed():
    def draw(candidate):
        return {"value": random.random(), "numpy": np.random.random(), "torch": torch.rand(()).item()}

    first, second = (aw.Study(SMALL, strategy="random").run(draw, aw.Budget(trials=4)) for _ in range(2))
    assert [trial.metrics for trial in first.trials] == [trial.metrics for trial in second.trials]
    assert len({value for trial in first.trials for value in trial.metrics.values()}) == 12


def test_a_warning_is_shown_once_however_many_trials_there_are():
    def warn(candidate):
        warnings.warn("only once", stacklevel=1)
        return 0.5

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        aw.Study(SMALL).run(warn, aw.Budget(trials=5))
    assert [str(each.message) for each in caught] == ["only once"]


def test_torch_that_a_trial_loads_is_as_in_a_fresh_process():
    code = """
import sys
import archwright as aw

def evaluate(candidate):
    had = "torch" in sys.modules
    import torch
    found = float(torch.get_default_dtype() == torch.float32 and torch.is_grad_enabled())
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    return {"value": found, "had": had}

study = aw.Study(aw.Space(x=aw.choice(1, 2, 3))).run(evaluate, aw.Budget(trials=3))
print([dict(trial.metrics) for trial in study.trials])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found == "[{'value': 1.0, 'had': 0.0}, {'value': 1.0, 'had': 1.0}, {'value': 1.0, 'had': 1.0}]\n"


def test_a_relative_run_folder_stays_where_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()

    def leave(candidate):
        os.chdir(tmp_path / "elsewhere")
        candidate.report(1, value=0.1)
        return 0.5

    study = aw.Study(SMALL, path="run").run(leave, aw.Budget(trials=3))
    assert [trial.state for trial in study.trials] == ["complete"] * 3
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert aw.load("run").trials == study.trials
    assert "trial 2 step 1" in (tmp_path / "run" / "log.txt").read_text()


def test_a_folder_that_is_gone_is_no_obstacle(tmp_path, monkeypatch):
    (tmp_path / "working").mkdir()
    monkeypatch.chdir(tmp_path / "working")

    def remove(candidate):
        if os.path.isdir(tmp_path / "working"):
            os.rmdir(tmp_path / "working")
        return 0.5

    study = aw.Study(SMALL, path=tmp_path / "run").run(remove, aw.Budget(trials=3))
    assert [trial.state for trial in study.trials] == ["complete"] * 3
