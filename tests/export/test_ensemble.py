"""An ensemble is one network: in this process, in model.py without archwright, and in ONNX."""

from __future__ import annotations

import subprocess
import sys
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
    "nasbench201": aw.spaces.create("nasbench201", input_shape=(3, 8, 8), classes=4),
    "convnet": aw.spaces.create("convnet", input_shape=(1, 8, 8), classes=4),
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


def ran_alone(folder: Path, given: tuple[Tensor, ...]) -> Tensor:
    """Return what an exported folder makes of inputs, in a process that has torch alone."""
    torch.save(list(given), folder.parent / "in.pt")
    script = f"""{ALONE}
sys.path.insert(0, sys.argv[1])
import torch, json, struct
from model import build
content = open(sys.argv[1] + "/weights.safetensors", "rb").read()
(length,) = struct.unpack("<Q", content[:8])
header = json.loads(content[8 : 8 + length])
state = {{}}
for name, entry in header.items():
    if name != "__metadata__":
        begin, end = entry["data_offsets"]
        kind = {{"F32": torch.float32, "I64": torch.int64}}[entry["dtype"]]
        values = bytearray(content[8 + length + begin : 8 + length + end])
        state[name] = torch.frombuffer(values, dtype=kind).reshape(entry["shape"])
network = build()
network.load_state_dict(state)
with torch.no_grad():
    torch.save(network.eval()(*torch.load(sys.argv[2])), sys.argv[3])
"""
    paths = [folder, folder.parent / "in.pt", folder.parent / "out.pt"]
    done = subprocess.run([sys.executable, "-I", "-c", script, *map(str, paths)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return torch.load(paths[-1])


@pytest.mark.parametrize("name", SPACES)
def test_the_exported_module_gives_the_mean_probabilities_without_archwright(name, tmp_path):
    space = SPACES[name]
    networks = save(tmp_path / "run", space, [0.5, 0.3, 0.2], MeanProbabilities)
    given = inputs(space)
    with torch.no_grad():
        wanted = sum(weight * each(*given).softmax(1) for weight, each in zip([0.5, 0.3, 0.2], networks, strict=True))
    files = export_network(tmp_path / "run", tmp_path / "out", ensemble=True)
    assert "archwright" not in (tmp_path / "out" / "model.py").read_text()
    assert {"model.py", "weights.safetensors", "architecture.json", "metrics.json"} == {file.name for file in files}
    assert torch.allclose(ran_alone(tmp_path / "out", given).exp(), wanted, atol=1e-5)
    loaded = read_best(tmp_path / "run", ENSEMBLE).network(space)
    assert torch.allclose(loaded(*given).exp(), wanted, atol=1e-5)
    assert not loaded.training


def test_a_combination_of_ones_own_goes_with_the_network(tmp_path):
    space = SPACES["convnet"]
    networks = save(tmp_path / "run", space, [0.4, 0.3, 0.3], Median)
    given = inputs(space)
    with torch.no_grad():
        wanted = torch.stack([each(*given) for each in networks]).median(0).values
    export_network(tmp_path / "run", tmp_path / "out", ensemble=True)
    assert torch.allclose(ran_alone(tmp_path / "out", given), wanted, atol=1e-5)
    assert torch.allclose(read_best(tmp_path / "run", ENSEMBLE).network(space)(*given), wanted, atol=1e-5)


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
@pytest.mark.parametrize("name", ["convnet", "two inputs"])
def test_onnx_gives_the_same(name, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    space = SPACES[name]
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
