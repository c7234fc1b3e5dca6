"""An ensemble is one network: in this process, in model.py without archwright, and in ONNX."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

import archwright as aw
from archwright import nn
from archwright.errors import StudyError
from archwright.export import ENSEMBLE, Members, export_network, read_best, save_best
from archwright.tasks import MeanOutputs, MeanProbabilities

ALONE = """
import sys
sys.modules.update(dict.fromkeys(("archwright", "numpy", "safetensors", "scipy", "sklearn")))
"""


class Median(torch.nn.Module):
    """A combination of one's own, which uses no weights."""

    def __init__(self, weights: list[float]) -> None:
        super().__init__()
        self.count = len(weights)

    def forward(self, *outputs: Tensor) -> Tensor:
        assert len(outputs) == self.count
        return torch.stack(outputs).median(0).values


def two_inputs(numbers, token):
    hidden = aw.merge(numbers, nn.Embedding(5, 4)(token), kind="concat")
    return nn.LazyLinear(2)(nn.LazyLinear(aw.ordinal(4, 6, 8, name="width"))(hidden))


SPACES = {
    "nasbench201": aw.spaces.create("nasbench201", input_shape=(3, 8, 8), classes=4, C=4, N=1),
    "convnet": aw.spaces.create("convnet", input_shape=(1, 8, 8), classes=4, filters=(4, 8)),
    "two inputs": aw.Space(model=aw.graph(two_inputs), example_input=((6,), aw.TensorSpec((), "int64"))),
}


def inputs(space: aw.Space) -> tuple[Tensor, ...]:
    specs = space.example_input
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(7, *spec.shape, generator=generator) if spec.dtype == "float32" else torch.arange(7) % 5
        for spec in specs
    )


def save(
    folder: Path, space: aw.Space, weights: list[float], combination: type, seed: int = 0
) -> list[torch.nn.Module]:
    """Save an ensemble of random networks; return them."""
    rng = np.random.default_rng(seed)
    architectures = [space.sample(rng) for _ in weights]
    networks = [aw.Candidate(space, each, seed=place).model.eval() for place, each in enumerate(architectures)]
    members = Members(architectures, weights, combination)
    candidate = SimpleNamespace(model=members.join(space, networks))
    nothing = {"space": space, "architecture": aw.Architecture({}), "metrics": {"accuracy": 0.5}}
    assert save_best(folder, **nothing, candidate=candidate, name=ENSEMBLE, members=members) is None
    return networks


def ran_alone(folders: Sequence[Path]) -> list[Tensor]:
    """Return what exported folders make of the inputs beside them, in a process that has torch alone."""
    script = f"""{ALONE}
import json, runpy, struct, torch
for folder in sys.argv[1:]:
    content = open(folder + "/weights.safetensors", "rb").read()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    state = {{}}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            kind = {{"F32": torch.float32, "I64": torch.int64}}[entry["dtype"]]
            values = bytearray(content[8 + length + begin : 8 + length + end])
            state[name] = torch.frombuffer(values, dtype=kind).reshape(entry["shape"])
    network = runpy.run_path(folder + "/model.py")["build"]()
    network.load_state_dict(state)
    with torch.no_grad():
        torch.save(network.eval()(*torch.load(folder + "/../in.pt")), folder + "/../out.pt")
"""
    done = subprocess.run([sys.executable, "-I", "-c", script, *map(str, folders)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [torch.load(folder.parent / "out.pt") for folder in folders]


def test_the_exported_module_combines_the_networks_without_archwright(tmp_path):
    weights, expected = [0.5, 0.3, 0.2], {}
    for name, combination in [*((name, MeanProbabilities) for name in SPACES), ("convnet", Median)]:
        space, folder = SPACES[name], tmp_path / f"{name} {combination.__name__}"
        networks, given = save(folder / "run", space, weights, combination), inputs(space)
        with torch.no_grad():
            scores = [each(*given) for each in networks]
        if combination is Median:  # one's own goes with the network
            wanted = torch.stack(scores).median(0).values
        else:
            wanted = sum(weight * each.softmax(1) for weight, each in zip(weights, scores, strict=True)).log()
        files = export_network(folder / "run", folder / "out", ensemble=True)
        assert "archwright" not in (folder / "out" / "model.py").read_text()
        assert {"model.py", "weights.safetensors", "architecture.json", "metrics.json"} == {file.name for file in files}
        loaded = read_best(folder / "run", ENSEMBLE).network(space)
        assert torch.allclose(loaded(*given), wanted, atol=1e-5)
        assert not loaded.training
        torch.save(list(given), folder / "in.pt")
        expected[folder / "out"] = wanted
    for found, wanted in zip(ran_alone(list(expected)), expected.values(), strict=True):
        assert torch.allclose(found, wanted, atol=1e-5)


def test_a_record_combines_by_no_class_that_it_may_not_name(tmp_path):
    space = SPACES["two inputs"]
    save(tmp_path / "run", space, [0.5, 0.5], MeanOutputs)
    saved = read_best(tmp_path / "run", ENSEMBLE)
    for target, told in (("os:system", "no class of layers"), ("archwright.export._best:Path", "not a helper")):
        written = saved.members.to_json() | {"combination": {"import": target}}
        bad = replace(saved, members=Members.from_json(written))
        with pytest.raises(StudyError, match=told):
            bad.network(space)


@pytest.mark.slow
def test_onnx_gives_the_same(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    space = SPACES["two inputs"]
    networks = save(tmp_path / "run", space, [0.75, 0.25], MeanProbabilities)
    export_network(tmp_path / "run", tmp_path / "out", ensemble=True, space=space, onnx=True)
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    given = inputs(space)
    (found,) = session.run(None, {one.name: x.numpy() for one, x in zip(session.get_inputs(), given, strict=True)})
    with torch.no_grad():
        wanted = 0.75 * networks[0](*given).softmax(1) + 0.25 * networks[1](*given).softmax(1)
    assert np.allclose(np.exp(found), wanted, atol=1e-4)


def test_what_is_asked_for_is_one_or_the_other_and_there(tmp_path):
    space = SPACES["two inputs"]
    save(tmp_path / "run", space, [1.0], MeanOutputs)
    with pytest.raises(StudyError, match="trial=3 and ensemble=True"):
        export_network(tmp_path / "run", tmp_path / "out", trial=3, ensemble=True)
    (tmp_path / "other").mkdir()
    with pytest.raises(StudyError, match="holds no ensemble: a search with --ensemble 5"):
        export_network(tmp_path / "other", tmp_path / "out", ensemble=True)
