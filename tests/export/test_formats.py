"""Exports in each format, held to the trained network from raw inputs, and their model card."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from scipy import stats

import archwright as aw
from archwright import nn
from archwright.datasets._series_preprocess import RawSeries
from archwright.errors import BuildError, StudyError, UnknownName
from archwright.export import Card, _verify, export_network, read_best, save_best
from archwright.export._int8 import check_same_data, quantise

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def trained(few_digits, tmp_path_factory) -> aw.Study:
    """A search on pictures with its run folder."""
    width = aw.ordinal(4, 6, name="width")
    layers = nn.LazyConv2d(width, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10)
    training = aw.Training(aw.data(few_digits), epochs=2, final_epochs=2)
    path = tmp_path_factory.mktemp("trained") / "run"
    budget = aw.Budget(trials=1)
    return aw.search(aw.Space(model=nn.Sequential(*layers)), training, strategy="random", budget=budget, path=path)


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """The folder of an export in all formats."""
    out = tmp_path_factory.mktemp("exported") / "digits"
    trained.export(out, formats=["torch", "onnx", "pt2"], quantise="int8", licence="apache-2.0")
    return out


RAW = torch.rand(7, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 16


def test_each_format_gives_the_scores_of_the_trained_network(trained, exported):
    wanted = trained.predictor().scores(RAW)
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    program = torch.export.load(str(exported / "model.pt2"), extra_files=(extra := {"preprocess.json": ""}))
    for some in (RAW, RAW[:1]):  # the batch is free
        scores = wanted[: len(some)]
        assert np.allclose(session.run(None, {"input": some.numpy()})[0], scores, atol=1e-4)
        assert torch.allclose(program.module()(some), scores, atol=1e-4)
    assert json.loads(extra["preprocess.json"]) == json.loads((exported / "preprocess.json").read_text())
    assert wanted.argmax(1).unique().numel() > 1


def test_only_what_was_asked_for_is_written(trained, tmp_path):
    always = {"README.md", "architecture.json", "metrics.json", "preprocess.json"}
    before = os.umask(0o027)
    try:
        for formats, files in ((["source"], {"model.py"}), (["pt2"], {"model.pt2"})):
            found = trained.export(tmp_path / formats[0], formats=formats)
            assert {file.name for file in found} == always | files
            assert {file.stat().st_mode & 0o777 for file in found} == {0o640}
    finally:
        os.umask(before)
    with pytest.raises(UnknownName, match=r"tensorrt.*onnx"):
        trained.export(tmp_path / "none", formats=["tensorrt"])
    with pytest.raises(StudyError, match="licence='MIT licence'"):
        trained.export(tmp_path / "none", licence="MIT licence")
    assert not (tmp_path / "none").exists()


def test_files_are_held_to_the_network_in_a_new_process(trained, exported, tmp_path, monkeypatch):
    monkeypatch.setattr(_verify, "run_python", _verify.run_python.__wrapped__)
    saved = read_best(trained.path)
    network = saved.preprocess().adapted(saved.network(trained.space)).eval()
    folder = shutil.copytree(exported, tmp_path / "copy")
    formats = ["torch", "onnx", "pt2"]
    _verify.check_files(folder, network, saved.example_input, formats)
    monkeypatch.undo()
    source = (folder / "model.py").read_text()
    (folder / "model.py").write_text(source.replace("ReLU()", "Tanh()"))
    with pytest.raises(BuildError, match="'torch' cannot carry this network: its files give other outputs"):
        _verify.check_files(folder, network, saved.example_input, formats)
    (folder / "model.py").write_text("import archwright\n" + source)
    with pytest.raises(BuildError, match="'torch' cannot carry this network: its files do not run"):
        _verify.check_files(folder, network, saved.example_input, formats)


def test_integers_of_8_bits_are_measured_beside_the_network(trained, exported):
    figures = json.loads((exported / "metrics.json").read_text())["measured"]
    assert set(figures) == {"model.onnx", "model.int8.onnx"}
    before, after = figures["model.onnx"], figures["model.int8.onnx"]
    for name in ("accuracy", "f1", "loss"):  # of the file itself: as the training has tested the network
        assert before[f"test_{name}"] == pytest.approx(trained.test[f"test_{name}"], abs=1e-4)
    task = trained.evaluator.task
    session = onnxruntime.InferenceSession(exported / "model.int8.onnx")
    for part, prefix in ((task.validation, ""), (task.test, "test_")):
        (scores,) = session.run(None, {"input": part.inputs.float().numpy()})
        right = (scores.argmax(1) == part.targets.numpy()).mean()
        assert after[f"{prefix}accuracy"] == pytest.approx(right)
    assert 0 < after["loss"] != before["loss"]
    assert abs(after["loss"] - before["loss"]) < 0.1 * before["loss"]
    assert after["bytes"] == (exported / "model.int8.onnx").stat().st_size < before["bytes"]
    assert min(after["latency_ms"], before["latency_ms"]) > 0
    assert "preprocess" in session.get_modelmeta().custom_metadata_map
    card = (exported / "README.md").read_text()
    assert f"| test_accuracy | {before['test_accuracy']:.6g} | {after['test_accuracy']:.6g} |" in card


def test_integers_of_8_bits_of_a_table_keep_columns_of_any_size_and_the_units(tmp_path):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(300, 3, generator=generator)
    targets = 100 + 50 * (inputs[:, :1] - inputs[:, 1:2])
    data = aw.data((inputs * torch.tensor([1.0, 1000.0, 1e6]), targets.double()), task="regression")
    space = aw.Space(model=nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 1)), example_input=(3,))
    training = aw.Training(data, epochs=15)
    budget = aw.Budget(trials=1)
    study = aw.search(space, training, strategy="random", budget=budget, final=False, path=tmp_path / "run")
    study.export(tmp_path / "out", formats=["onnx"], quantise="int8")
    figures = json.loads((tmp_path / "out" / "metrics.json").read_text())["measured"]
    before, after = (figures[name]["rmse"] for name in ("model.onnx", "model.int8.onnx"))
    assert before == pytest.approx(study.best.metrics["rmse"], rel=1e-3)
    assert before < 5
    assert after < before + 2
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.int8.onnx")
    (found,) = session.run(None, {"input": study.evaluator.task.validation.inputs.numpy()})
    assert np.sqrt(((found - study.evaluator.task.validation.targets.numpy()) ** 2).mean()) == pytest.approx(
        after, rel=1e-3
    )


def test_integers_of_8_bits_need_the_data_of_the_training_and_raw_outputs(trained, tmp_path):
    with pytest.raises(StudyError, match="have changed since"):
        check_same_data(trained.evaluator.task, None)
    series = RawSeries.__new__(RawSeries)
    with pytest.raises(BuildError, match=r"int8 cannot carry this network: .*RawSeries"):
        quantise(tmp_path / "a", tmp_path / "b", series, trained.evaluator.task, ())
    with pytest.raises(UnknownName, match=r"int4.*int8"):
        trained.export(tmp_path / "none", quantise="int4")


def test_a_program_of_executorch_runs_in_the_arena_that_is_told(trained, tmp_path):
    runtime = pytest.importorskip("executorch.runtime")
    trained.export(tmp_path / "out", formats=["executorch"])
    program = runtime.Runtime.get().load_program(tmp_path / "out" / "model.pte")
    method, wanted = program.load_method("forward"), trained.predictor().scores(RAW)
    for place in range(len(RAW)):
        assert torch.allclose(method.execute([RAW[place : place + 1]])[0], wanted[place], atol=1e-4)
    figures = json.loads((tmp_path / "out" / "metrics.json").read_text())["measured"]["model.pte"]
    width = trained.best.architecture["width"]
    least = 4 * (64 + width * 36)  # the picture and what the convolution makes of it, which are needed at once
    assert least <= figures["arena_bytes"] <= 4 * least + 4 * 360 * width  # and the last weights, transposed
    assert f"an arena of {figures['arena_bytes']:,} bytes" in (tmp_path / "out" / "README.md").read_text()


class ByTheData(torch.nn.Module):
    """A layer whose way depends on the values of its input."""

    def forward(self, x):
        return x * 2 if x.sum() > 0 else x


def test_a_format_that_cannot_carry_a_network_is_refused_with_the_reason(tmp_path):
    space = aw.Space(model=nn.Sequential(nn.Linear(4, 3), aw.lazy(ByTheData)()), example_input=(4,))
    made = aw.Candidate(space, space.canonical({}), seed=0)
    save_best(tmp_path, space=space, architecture=made.architecture, candidate=made, metrics={})
    formats = [("pt2", "as a pt2 file"), ("onnx", "as an ONNX file")]
    formats += [("executorch", "as a program of ExecuTorch")] * (find_spec("executorch") is not None)
    for name, told in formats:
        with pytest.raises(BuildError, match=f"{told}: its forward pass depends on the values of the data"):
            export_network(tmp_path, tmp_path / "out", space=space, formats=["torch", name])
        assert not (tmp_path / "out").exists()
    export_network(tmp_path, tmp_path / "out", space=space, formats=["torch"])


def test_a_network_without_source_or_weights_is_refused_as_such(tmp_path):
    space = aw.Space(model=aw.lazy(lambda: torch.nn.Tanh())(), example_input=(2,))
    save_best(tmp_path, space=space, architecture=space.canonical({}), metrics={})
    with pytest.raises(BuildError, match="'source' cannot carry this network: its source cannot be written"):
        export_network(tmp_path, tmp_path / "out", formats=["source"])
    space = aw.Space(model=nn.Linear(4, 3), example_input=(4,))
    save_best(tmp_path / "bare", space=space, architecture=space.canonical({}), metrics={})
    with pytest.raises(BuildError, match="'torch' cannot carry this network: it has no weights"):
        export_network(tmp_path / "bare", tmp_path / "out", space=space, formats=["torch"])
    assert not (tmp_path / "out").exists()


def test_code_in_a_run_folder_is_neither_run_nor_exported(trained, tmp_path):
    run = shutil.copytree(trained.path, tmp_path / "run")
    trap = tmp_path / "executed"
    for name in ("model.py", "predict.py"):
        (run / "best" / name).write_text(f"open({str(trap)!r}, 'w')\n")
    aw.load(run).export(tmp_path / "out")
    assert not trap.exists()
    assert "executed" not in (tmp_path / "out" / "model.py").read_text()


# ---------------------------------------------------------------------- the card


def test_the_card_is_one_of_the_hub(trained, exported):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard.load(exported / "README.md")
    assert (card.data.license, card.data.library_name) == ("apache-2.0", "pytorch")
    assert card.data.pipeline_tag == "image-classification"
    results = {each.metric_name: each.metric_value for each in card.data.eval_results}
    assert results["test_accuracy"] == trained.test["test_accuracy"]
    test = trained.samples["test"]
    share = trained.test["test_accuracy"]
    low, high = stats.binomtest(round(share * test), test).proportion_ci(method="wilson")
    assert f"| {share:.4f} ({low:.4f} to {high:.4f}) |" in card.text
    assert f"{test} test samples" in card.text
    assert f"- {trained.test['parameters']:,.0f} parameters\n" in card.text
    assert "The random seed is 0." in card.text


def test_names_of_a_record_stay_text_in_a_card(trained):
    hub = pytest.importorskip("huggingface_hub")
    name = 'a"\n---\nlicense: mit\x07 | `x` <script> é'
    card = Card(name, data=name, samples={"test": 9}, baselines={name: {"test_accuracy": 1.0}})
    saved = replace(read_best(trained.path), metrics={"test_accuracy": 1.0, "loss": float("nan")})
    text = card.write(saved, None, sizes={}, costs={}, measured={})
    read = hub.ModelCard(text).data.to_dict()
    assert "license" not in read
    assert read["model-index"][0]["results"][0]["metrics"] == [
        {"type": "accuracy", "name": "test_accuracy", "value": 1.0}
    ]
    body = text.split("---\n", 2)[2]
    assert not set("<>\x07") & set(body)
    assert "é" in body
