"""Several objectives, costs and devices from the command line."""

import importlib.util
import json
import shlex
import shutil

import pytest
import torch
from safetensors.torch import load_file

AIMS = ["--objective", "max accuracy", "--objective", "min latency_ms", "--constraint", "parameters<=3000"]
has_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="the extra onnx is not installed",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished search for two objectives under a bound. Its latency is believed whatever the machine does."""
    from archwright import datasets, search
    from archwright.cost import Latency
    from archwright.evaluate import Training
    from archwright.study import Budget

    path = tmp_path_factory.mktemp("front") / "run"
    search(
        "mlp",
        Training(datasets.data("iris"), epochs=2),
        objective=["max accuracy", "min latency_ms"],
        constraints=["parameters <= 3000"],
        costs=[Latency(limit=1e9)],
        budget=Budget(trials=8),
        path=path,
    )
    return path


def test_a_search_for_two_objectives(in_process, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "archwright.cost._latency.time_networks", lambda models, *args, **options: [_timing(each) for each in models]
    )
    status, out, err = in_process(
        "search", "iris", "--space", "mlp", "--epochs", 1, "--trials", 6, *AIMS, "--out", tmp_path / "run"
    )
    assert status == 0, err
    assert "max accuracy, min latency_ms" in out
    assert "parameters <= 3000" in out
    assert "latency_ms" in err
    assert f"`archwright front {tmp_path / 'run'}` lists them" in out


def test_the_front_is_printed_drawn_and_json(in_process, folder, tmp_path):
    pytest.importorskip("matplotlib")
    status, out, _ = in_process("front", folder, "--picture", tmp_path / "front.png")
    assert status == 0
    assert (tmp_path / "front.png").read_bytes()[:4] == b"\x89PNG"
    status, printed, _ = in_process("front", folder, "--json")
    document = json.loads(printed)
    assert document["front"]
    for row in document["front"]:
        assert row["metrics"]["parameters"] <= 3000
        assert f"\n{row['trial']:>5}  " in out or f"{row['trial']}" in out


def test_the_command_that_is_told_can_be_copied(in_process, folder, tmp_path):
    run = shutil.copytree(folder, tmp_path / "the run's")
    _, out, _ = in_process("front", run)
    told = shlex.split(out.partition("export one: ")[2])
    assert told[:4] == ["archwright", "export", str(run), "--trial"]


def test_any_point_of_the_front_is_exported(in_process, folder, tmp_path):
    _, printed, _ = in_process("front", folder, "--json")
    for row in json.loads(printed)["front"]:
        out = tmp_path / str(row["trial"])
        status, _, err = in_process("export", folder, "--trial", row["trial"], "--out", out)
        assert status == 0, err
        names: dict = {}
        exec((out / "model.py").read_text(), names)
        model = names["build"]()
        model.load_state_dict(load_file(out / "weights.safetensors"))
        assert sum(weight.numel() for weight in model.parameters()) == row["metrics"]["parameters"]
        assert json.loads((out / "architecture.json").read_text())["id"] == row["id"]
    status, _, err = in_process("export", folder, "--trial", 999, "--out", tmp_path / "none")
    assert status == 2
    assert "holds no network of trial 999; networks are kept of trial" in err


def test_networks_are_measured_again_here(in_process, folder):
    status, printed, err = in_process("cost", folder, "--limit", 1e9, "--json")
    assert status == 0, err
    rows = json.loads(printed)
    _, front, _ = in_process("front", folder, "--json")
    assert {row["trial"] for row in rows} == {row["trial"] for row in json.loads(front)["front"]}
    assert all(row["latency_ms"] > 0 and row["on_record"]["latency_ms"] > 0 for row in rows)
    status, out, _ = in_process("cost", folder, "--limit", 1e9)
    assert "MFLOPs" in out


@has_onnx
def test_onnx_files_are_measured_and_exported_and_the_run_stays_as_it_is(in_process, folder, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "study.db-" not in path.name}
    status, printed, err = in_process("cost", folder, "--on", "onnx:threads=1", "--limit", 1e9, "--json")
    assert status == 0, err
    trial = json.loads(printed)[0]["trial"]
    status, _, err = in_process("export", folder, "--trial", trial, "--onnx", "--out", tmp_path / "out")
    assert status == 0, err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path in files or path.suffix == ".onnx"} == files
    names: dict = {}
    exec((tmp_path / "out" / "model.py").read_text(), names)
    model = names["build"]()
    model.load_state_dict(load_file(tmp_path / "out" / "weights.safetensors"))
    x = torch.randn(7, 4)
    session = onnxruntime.InferenceSession(str(tmp_path / "out" / "model.onnx"))
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), model.eval()(names["preprocess"](x)), rtol=1e-4, atol=1e-5)


def test_devices_are_listed(in_process):
    status, out, _ = in_process("devices")
    assert status == 0
    assert "eager" in out
    assert "Google Pixel 3" in out
    _, printed, _ = in_process("devices", "--json")
    assert "raspi4" in json.loads(printed)["published"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--objective", "min latency"], "Did you mean 'latency_ms'"),
        (["--objective", "max accuracy", "--objective", "min accuracy"], "contradict"),
        (["--constraint", "parameters<=1"], "is the closest of"),
        (["--on", "pixel9", "--objective", "min latency_ms"], "pixel9"),
        (["--on", "pixl3", "--objective", "min latency_ms"], "unknown device 'pixl3'. Did you mean 'pixel3'?"),
        (["--on", "pixel3", "--objective", "max accuracy", "--objective", "min latency_ms"], "NAS-Bench-201"),
    ],
)
def test_bad_use_is_told_in_a_line(in_process, tmp_path, arguments, said):
    status, _, err = in_process(
        "search", "iris", "--space", "mlp", "--epochs", 1, "--trials", 2, "--out", tmp_path / "run", *arguments
    )
    assert status == 2
    assert said in err
    assert "Traceback" not in err


def _timing(model):
    from archwright.cost import Timing

    return Timing(sum(weight.numel() for weight in model.parameters()) / 1e4, 0.0, 1)
