import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import archwright as aw
from archwright import nn
from archwright.errors import StudyError
from archwright.evaluate import Candidate
from archwright.export import export_network, load_best, read_best, save_best

SPACE = aw.Space(
    model=nn.Sequential(nn.Flatten(), nn.LazyLinear(aw.ordinal(4, 8, name="width")), nn.ReLU(), nn.LazyLinear(3)),
    example_input=(1, 4, 4),
    name="little",
)


def candidate(seed=0):
    architecture = SPACE.sample(np.random.default_rng(seed))
    return Candidate(SPACE, architecture, seed=seed)


def save(folder, made, **changed):
    given = {"metrics": {"accuracy": 0.5}, "trial": 3, **changed}
    return save_best(folder, space=SPACE, architecture=made.architecture, candidate=made, **given)


def test_the_loaded_network_is_the_saved_one(tmp_path):
    made = candidate()
    x = torch.randn(5, 1, 4, 4)
    before = made.model.eval()(x)
    assert save(tmp_path, made) is None
    assert torch.equal(load_best(tmp_path, SPACE)(x), before)
    assert not load_best(tmp_path, SPACE).training


def test_the_exported_files_make_the_network_without_archwright(tmp_path):
    made = candidate()
    save(tmp_path, made)
    files = export_network(tmp_path, tmp_path / "out")
    assert sorted(file.name for file in files) == [
        "architecture.json",
        "metrics.json",
        "model.py",
        "weights.safetensors",
    ]
    x = torch.randn(5, 1, 4, 4)
    torch.save(x, tmp_path / "x.pt")
    script = (
        "import sys, torch; from safetensors.torch import load_file; sys.modules['archwright'] = None\n"
        "from model import build; model = build(); model.load_state_dict(load_file('weights.safetensors'))\n"
        "print(model.eval()(torch.load('../x.pt', weights_only=True)).sum().item())"
    )
    out = tmp_path / "out"
    env = {**os.environ, "PYTHONPATH": str(out)}
    done = subprocess.run([sys.executable, "-c", script], cwd=out, env=env, capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(made.model.eval()(x).sum().item(), rel=1e-5)


def test_what_is_read_is_what_was_said(tmp_path):
    made = candidate()
    save(tmp_path, made, stage="final")
    saved = read_best(tmp_path)
    assert saved.architecture == made.architecture
    assert (saved.metrics, saved.stage, saved.trial) == ({"accuracy": 0.5}, "final", 3)
    assert saved.example_input == SPACE.example_input


def test_a_better_network_takes_the_place_of_the_one_before(tmp_path):
    first, second = candidate(0), candidate(1)
    save(tmp_path, first)
    save(tmp_path, second, metrics={"accuracy": 0.75})
    assert read_best(tmp_path).metrics == {"accuracy": 0.75}
    assert {path.name for path in tmp_path.iterdir()} == {"best"}


@pytest.mark.parametrize("moment", ["before the second rename", "while the new one is written"])
def test_a_process_killed_while_saving_leaves_a_whole_network(tmp_path, moment):
    made = candidate()
    save(tmp_path, made)
    if moment == "before the second rename":
        (tmp_path / "best").rename(tmp_path / "best.old")
    half = tmp_path / "best.new"
    half.mkdir()
    (half / "architecture.json").write_text("{")
    assert read_best(tmp_path).architecture == made.architecture
    load_best(tmp_path, SPACE)
    save(tmp_path, candidate(2))
    assert {path.name for path in tmp_path.iterdir()} == {"best"}


def test_tied_weights_are_saved_and_loaded(tmp_path):
    made = candidate()
    made.model.register_module("again", made.model[1])  # the same tensor under two names
    save(tmp_path, made)
    assert (tmp_path / "best" / "weights.safetensors").stat().st_size > 0


def test_without_a_network_there_are_decisions_and_figures(tmp_path):
    architecture = SPACE.sample(np.random.default_rng(0))
    save_best(tmp_path, space=SPACE, architecture=architecture, metrics={"value": 1.0})
    assert {path.name for path in (tmp_path / "best").iterdir()} == {"architecture.json", "metrics.json", "model.py"}
    with pytest.raises(StudyError, match="no weights"):
        load_best(tmp_path, SPACE)


def test_source_that_cannot_be_written_is_said_and_loses_nothing(tmp_path):
    namespace = {"torch": torch}
    exec("class Typed(torch.nn.ReLU):\n    pass", namespace)  # a class without a file
    namespace["Typed"].__module__ = "nowhere"
    space = aw.Space(model=nn.Sequential(nn.Flatten(), aw.lazy(namespace["Typed"])()), example_input=(4,))
    made = Candidate(space, space.sample(np.random.default_rng(0)), seed=0)
    assert made.model is not None
    reason = save_best(tmp_path, space=space, architecture=made.architecture, candidate=made, metrics={})
    assert "Typed" in reason
    assert {path.name for path in (tmp_path / "best").iterdir()} == {
        "architecture.json",
        "metrics.json",
        "weights.safetensors",
    }


def test_nothing_found_is_an_error_with_its_reason(tmp_path):
    assert read_best(tmp_path) is None
    for call in (lambda: load_best(tmp_path, SPACE), lambda: export_network(tmp_path, tmp_path / "out")):
        with pytest.raises(StudyError, match="no network yet"):
            call()


def test_an_export_overwrites_nothing(tmp_path):
    save(tmp_path, candidate())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("mine")
    with pytest.raises(StudyError, match="not empty"):
        export_network(tmp_path, tmp_path / "out")
    assert json.loads((tmp_path / "best" / "metrics.json").read_text())["trial"] == 3
