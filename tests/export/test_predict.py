"""A saved network takes raw files, in a process that has torch and Pillow alone."""

from __future__ import annotations

import ast
import gzip
import json
import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import archwright as aw
from archwright import nn
from archwright.datasets import Column, Estimate, ImagePreprocess, InputError, TablePreprocess, load_preprocess
from archwright.errors import DataError, StudyError
from archwright.export import Predictor, _predict, export_network
from archwright.export._predict import read_weights
from archwright.export._preprocess import preprocess_files

Image = pytest.importorskip("PIL.Image", reason="reading images needs Pillow")

ALONE = """
import sys
absent = ("archwright", "numpy", "safetensors", "scipy", "sklearn", "sqlalchemy", "rich", "typer")
sys.modules.update(dict.fromkeys(absent))  # importing any of them is an error
"""
"""What makes a fresh interpreter one that has torch and Pillow alone."""


def alone(script: str, *arguments: object, cwd: Path | str = "/") -> subprocess.CompletedProcess[str]:
    """Run a script where nothing but torch and Pillow is installed."""
    return subprocess.run(
        [sys.executable, "-I", "-c", ALONE + script, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )


def search(data: aw.Data, path: Path | None = None, *, epochs: int = 2) -> aw.Study:
    """Search for a moment, the final training and the test included."""
    width = aw.ordinal(16, 24, name="width")
    layers = nn.Flatten(), nn.LazyLinear(width), nn.ReLU(), nn.LazyLinear(len(data.classes))
    training = aw.Training(data, epochs=epochs, final_epochs=epochs)
    return aw.search(
        aw.Space(model=nn.Sequential(*layers)), training, strategy="random", budget=aw.Budget(trials=1), path=path
    )


def draw(folder: Path, count: int, seed: int) -> None:
    """Write photographs, bright above in one class and below in the other; every third by a turned camera."""
    rng = np.random.default_rng(seed)
    for label in ("day", "night"):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            height, width = int(rng.integers(20, 40)), int(rng.integers(20, 40))
            pixels = rng.integers(0, 120, (height, width, 3), dtype=np.uint8)
            pixels[: height // 2 if label == "day" else None] += 20
            pixels[height // 2 if label == "night" else height :] += 60
            exif = Image.Exif()
            exif[274] = 6 if number % 3 == 0 else 1
            stored = np.rot90(pixels) if number % 3 == 0 else pixels
            Image.fromarray(np.ascontiguousarray(stored)).save(folder / label / f"{number}.jpg", exif=exif)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> tuple[Path, Path, aw.Study]:
    """Photographs with an official test part, the run folder of a search on them, and the study."""
    root = tmp_path_factory.mktemp("photographs")
    draw(root / "data" / "train", 20, seed=0)
    draw(root / "data" / "test", 12, seed=1)
    return root / "data", root / "run", search(aw.data(root / "data", size=(12, 10)), root / "run")


@pytest.fixture(scope="module")
def fruit(tmp_path_factory) -> tuple[Path, Path, aw.Study]:
    """The same of a table of numbers and texts."""
    root = tmp_path_factory.mktemp("fruit")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(200):
        kind, colour = ("apple", "pear")[number % 2], ("red", "green", "?")[int(rng.integers(3))]
        size = 1000.5 + 4 * ((kind == "pear") != (rng.random() < 0.2)) + rng.random()
        rows.append(f"{number};{colour};{kind};{size}")
    (root / "fruit.csv").write_text("\n".join(["number;colour;kind;size", *rows]) + "\n")
    return root / "fruit.csv", root / "run", search(aw.data(root / "fruit.csv", target="kind"), root / "run")


def share(labels: list[str], right: list[str]) -> float:
    assert len(labels) == len(right)
    return sum(one == other for one, other in zip(labels, right, strict=True)) / len(right)


# ---------------------------------------------------------------------- in a process of its own


def test_new_photographs_are_classified_where_there_is_torch_and_pillow_alone(photographs, tmp_path):
    data, run, study = photographs
    export_network(run, tmp_path / "network")
    files = sorted((data / "test").glob("*/*.jpg"))
    script = "import runpy; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = alone(script, tmp_path / "network" / "predict.py", *files, tmp_path / "none.jpg", "--json")
    found = json.loads(done.stdout)
    assert [each["file"] for each in found["predictions"]] == list(map(str, files))
    labels = [each["label"] for each in found["predictions"]]
    assert share(labels, [file.parent.name for file in files]) == pytest.approx(study.test["test_accuracy"])
    assert found["errors"] == [done.stderr.strip().splitlines()[-1]]
    assert "none.jpg cannot be opened" in done.stderr
    assert done.returncode == 1


def test_raw_files_give_the_test_metrics_where_there_is_torch_alone(fruit, tmp_path):
    """A table with categories, idx files, grey levels in memory and floats of an npz, in one fresh process."""
    table, run, study = fruit
    rng = np.random.default_rng(0)
    wanted, tasks = [study.test["test_accuracy"]], [(run, table, None)]
    tested = aw.data(table, target="kind").test
    rows = {str(int(number)): ("apple", "pear")[int(number) % 2] for number in tested.inputs[:, 0]}
    truths: list[object] = [rows]

    labels = rng.integers(0, 3, 90)
    pixels = rng.integers(0, 90, (90, 5, 4), dtype=np.uint8)
    pixels[np.arange(90), labels] += 40
    mnist = tmp_path / "mnist"
    mnist.mkdir()
    for part, chosen in (("train", slice(0, 60)), ("t10k", slice(60, 90))):
        for name, array in (("images-idx3", pixels[chosen]), ("labels-idx1", labels[chosen])):
            head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
            (mnist / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes()))
    wanted.append(search(aw.data(mnist), tmp_path / "idx").test["test_accuracy"])
    tasks.append((tmp_path / "idx", mnist / "t10k-images-idx3-ubyte.gz", None))
    truths.append(labels[60:].astype(str).tolist())

    np.savez(tmp_path / "floats.npz", x=pixels / 7.0, y=labels)
    for name, data in (("digits", aw.data("digits")), ("floats", aw.data(tmp_path / "floats.npz"))):
        wanted.append(search(data, tmp_path / name).test["test_accuracy"])
        (tmp_path / f"{name}.raw").write_bytes(data.test.inputs.numpy().tobytes())
        tasks.append(
            (tmp_path / name, tmp_path / f"{name}.raw", [str(data.test.inputs.dtype), *data.test.inputs.shape])
        )
        truths.append([data.classes[target] for target in data.test.targets])

    script = """
import importlib, json, torch
found = []
for run, file, raw in json.loads(sys.argv[1]):
    sys.path.insert(0, run + "/best")
    predict = importlib.reload(importlib.import_module("predict"))
    sys.path.pop(0)
    inputs = file
    if raw is not None:
        dtype = getattr(torch, raw[0].removeprefix("torch."))
        inputs = torch.frombuffer(bytearray(open(file, "rb").read()), dtype=dtype).view(*raw[1:])
    found.append([(each.row, each.label) for each in predict.load(run + "/best").predict(inputs, batch_size=50)])
print(json.dumps(found))
"""
    done = alone(script, json.dumps([[str(run), str(file), raw] for run, file, raw in tasks]))
    assert done.returncode == 0, done.stderr
    for accuracy, truth, predicted in zip(wanted, truths, json.loads(done.stdout), strict=True):
        if isinstance(truth, dict):  # row 1 of the file holds the names
            predicted = [[row, label] for row, label in predicted if str(row - 2) in truth]
            truth = [truth[str(row - 2)] for row, _ in predicted]
        assert share([label for _, label in predicted], truth) == pytest.approx(accuracy)


def test_the_script_needs_nothing_but_torch(tmp_path):
    source = preprocess_files(IMAGES)["predict.py"].decode()
    tree = ast.parse(source)
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} - sys.stdlib_module_names == {"torch", "PIL"}
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert len(names) == len(set(names))
    (tmp_path / "predict.py").write_text(source)
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E9,F", tmp_path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


# ---------------------------------------------------------------------- what is saved


def test_the_source_of_a_network_carries_its_preprocessing(photographs):
    data, run, study = photographs
    scope = {"__name__": "model"}
    exec((run / "best" / "model.py").read_text(), scope)
    loaded = aw.data(data, size=(12, 10))
    assert scope["CLASSES"] == loaded.classes
    assert torch.equal(scope["preprocess"](loaded.test.inputs), loaded.normalise(loaded.test.inputs))
    network = study.best.load()
    scores = study.predictor().scores(loaded.test.inputs)
    assert torch.allclose(network(scope["preprocess"](loaded.test.inputs)), scores, atol=1e-5)


def test_without_its_preprocessing_a_network_is_wrong(tmp_path):
    data = aw.data("digits")
    study = search(data, epochs=1)
    with torch.no_grad():
        bare = (study.best.load()(data.test.inputs.float()).argmax(1) == data.test.targets).float().mean()
    right = [data.classes[target] for target in data.test.targets]
    labels = [each.label for each in study.predict(data.test.inputs)]
    assert share(labels, right) == pytest.approx(study.test["test_accuracy"], abs=1e-6)
    assert bare < study.test["test_accuracy"]


@pytest.mark.slow
def test_an_onnx_file_takes_raw_inputs(photographs, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    data, run, study = photographs
    export_network(run, tmp_path / "network", space=study.space, onnx=True)
    session = onnxruntime.InferenceSession(tmp_path / "network" / "model.onnx")
    raw = aw.data(data, size=(12, 10)).test.inputs
    (scores,) = session.run(None, {"input": raw.float().numpy()})
    assert np.allclose(scores, study.predictor().scores(raw), atol=1e-4)
    written = json.loads(session.get_modelmeta().custom_metadata_map["preprocess"])
    assert written == json.loads((tmp_path / "network" / "preprocess.json").read_text())
    assert written["classes"] == ["day", "night"]


IMAGES = ImagePreprocess(("cat", "dog"), 3, 6, 4, (1.5, 0.1, 200.0), (2.0, 1.0, 0.3), resize=True)
TABLE = TablePreprocess(
    ("a", "b", "c"),
    (Column("size", mean=3.0, std=2.0), Column("colour", ("green", "red")), Column("age", mean=-1.0, std=0.5)),
    named=True,
    target="kind",
)


@pytest.mark.parametrize("preprocess", [IMAGES, TABLE], ids=["images", "table"])
def test_preprocessing_comes_back_from_json(tmp_path, preprocess):
    (tmp_path / "preprocess.json").write_bytes(preprocess_files(preprocess)["preprocess.json"])
    assert load_preprocess(tmp_path / "preprocess.json") == preprocess


@pytest.mark.parametrize(
    ("base", "change"),
    [
        (IMAGES, {"version": 2}),
        (IMAGES, {"kind": "sound"}),
        (IMAGES, {"channels": 2}),
        (IMAGES, {"height": 10**9}),
        (IMAGES, {"height": 0}),
        (IMAGES, {"height": "6"}),
        (IMAGES, {"width": True}),
        (IMAGES, {"mean": [1.0]}),
        (IMAGES, {"std": [1.0, 0.0, 1.0]}),
        (IMAGES, {"std": [1.0, float("nan"), 1.0]}),
        (IMAGES, {"mean": [1e300, 0.0, 1.0]}),
        (IMAGES, {"classes": []}),
        (IMAGES, {"classes": ["a", "a"]}),
        (IMAGES, {"classes": [1, 2]}),
        (IMAGES, {"resize": 1}),
        (TABLE, {"columns": []}),
        (TABLE, {"columns": [{"name": "x", "mean": 0, "std": 1}] * 2}),
        (TABLE, {"columns": ["x"]}),
        (TABLE, {"columns": [{"name": 1, "mean": 0, "std": 1}]}),
        (TABLE, {"columns": [{"name": "x", "categories": {"a": 1}}]}),
        (TABLE, {"columns": [{"name": "x"}]}),
        (TABLE, {"named": None}),
        (TABLE, {"named": False, "target": "-1"}),
    ],
)
def test_what_is_no_preprocessing_is_told_in_a_sentence(tmp_path, base, change):
    path = tmp_path / "preprocess.json"
    path.write_text(json.dumps({**base.to_json(), **change}))
    with pytest.raises(InputError, match=r"preprocess\.json cannot be used"):
        load_preprocess(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_preprocessing(tmp_path, content):
    (tmp_path / "preprocess.json").write_bytes(content)
    with pytest.raises(InputError, match=r"preprocess\.json cannot be used"):
        load_preprocess(tmp_path / "preprocess.json")


DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64")


def test_weights_are_read_as_safetensors_reads_them(tmp_path):
    tensors = {dtype: torch.randn(3, 2).mul(50).abs().to(getattr(torch, dtype)) for dtype in DTYPES}
    tensors |= {"scalar": torch.tensor(7), "empty": torch.empty(0, 3)}
    save_file(tensors, tmp_path / "weights.safetensors", metadata={"some": "thing"})
    found = read_weights(tmp_path / "weights.safetensors")
    assert found.keys() == tensors.keys()
    assert all(
        torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype for name, tensor in tensors.items()
    )


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b"[]",
        b'{"w": 1}',
        b'{"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
        b'{"w": {"dtype": "F31", "shape": [1], "data_offsets": [0, 4]}}',
        b'{"w": {"dtype": "F32", "shape": [100000000000], "data_offsets": [0, 400000000000]}}',
    ],
)
def test_damaged_weights_are_told_in_a_sentence(tmp_path, header):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(InputError, match="is damaged or no safetensors file"):
        read_weights(path)
    path.write_bytes(b"\xff" * 8)
    with pytest.raises(InputError, match="is damaged or no safetensors file"):
        read_weights(path)


# ---------------------------------------------------------------------- what goes in


class Features(torch.nn.Module):
    """Gives its normalised inputs back as scores."""

    def forward(self, inputs):
        return inputs.flatten(1)[:, :3]


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_columns_are_found_by_name_whatever_else_a_table_holds(tmp_path):
    predictor = Predictor(Features(), TABLE)
    path = table(tmp_path / "t.csv", "colour,id,age,size,kind", "red,7,-1,4,?", "green,8,0,1,")
    one, other = predictor.predict(path)
    assert [one.label, other.label] == ["c", "b"]  # size, green, red: 0.5, 0, 1; then -1, 1, 0
    assert (one.row, other.row) == (2, 3)
    assert one.file == str(path)
    assert other.probability == max(other.probabilities.values())
    assert sum(one.probabilities.values()) == pytest.approx(1)
    rows = [{"size": 4, "colour": "red", "age": -1}, {"colour": "green", "age": 0.0, "size": "1"}]
    again = list(predictor.predict(rows))
    assert [each.probabilities for each in again] == [one.probabilities, other.probabilities]
    assert [each.row for each in again] == [0, 1]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["size,age", "1,2"], "lacks the column 'colour', which the network needs"),
        (["5,red,3", "1,red,2"], "whose first row should name its columns, lacks the columns 'size', 'colour', 'age'"),
        (["size,colour,age", "1,red,x"], r"t\.csv, row 2: column 'age' holds 'x' where a number is required"),
        (["size,colour,age", "1,red,"], r"t\.csv, row 2: column 'age' is missing"),
        (["size,colour,age", "1,red,inf"], "row 2: a number is infinite"),
        (["size,colour,age", "1,red,1e39"], "row 2: a number is infinite or too large"),
        (["size,colour,age", "1,red,1,4"], "row 2 has 4 cells, but row 1 has 3"),
        ([""], "is empty"),
    ],
)
def test_tables_that_do_not_fit_are_told(tmp_path, lines, message):
    with pytest.raises(InputError, match=message):
        list(Predictor(Features(), TABLE).predict(table(tmp_path / "t.csv", *lines)))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"size": 1, "colour": "red"}, "a row lacks the column 'age'"),
        ({"size": 1, "colour": "red", "age": None}, "column 'age' is missing"),
        ({"size": float("nan"), "colour": "red", "age": 2}, "column 'size' is missing"),
    ],
)
def test_rows_that_do_not_fit_are_told(row, message):
    with pytest.raises(InputError, match=message):
        list(Predictor(Features(), TABLE).predict(row))


def test_a_category_that_training_did_not_have_is_none_of_them_and_said(tmp_path):
    path = table(tmp_path / "t.csv", "size,colour,age", "5,blue,2")
    with pytest.warns(
        UserWarning, match="column 'colour' holds the unknown category 'blue' \\(known are 'green', 'red'\\)"
    ):
        (found,) = Predictor(Features(), TABLE).predict(path)
    assert found.label == "a"


def test_columns_without_names_are_found_by_place(tmp_path):
    columns = (Column("1"), Column("3"))
    predictor = Predictor(Features(), TablePreprocess(("a", "b"), columns, target="2"))
    for lines in (["1,x,2", "3,y,1"], ["1,2", "3,1"], ["left,right", "1,2", "3,1"]):
        assert [each.label for each in predictor.predict(table(tmp_path / "t.csv", *lines))] == ["b", "a"]
    with pytest.raises(InputError, match="has 4 columns; the network takes 2"):
        list(predictor.predict(table(tmp_path / "t.csv", "1,2,3,4")))


def test_what_cannot_be_used_is_passed_over_where_that_is_asked_for(tmp_path):
    path = table(tmp_path / "t.csv", "size,colour,age", *(f"{'x' if row % 4 == 1 else row},red,1" for row in range(10)))
    errors: list[InputError] = []
    files = [tmp_path / "none.csv", path]
    found = list(Predictor(Features(), TABLE).predict(files, batch_size=3, on_error=errors.append))
    assert [each.row for each in found] == [2, 4, 5, 6, 8, 9, 10]
    assert len(errors) == 4
    assert "none.csv cannot be opened" in str(errors[0])


def test_pictures_are_resized_as_in_training_or_refused(tmp_path):
    pixels = np.full((9, 8, 3), (10, 20, 30), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "large.png")
    Image.fromarray(pixels[:6, :4]).save(tmp_path / "right.png")
    (found,) = Predictor(Mean(), IMAGES).predict(tmp_path / "large.png")
    (same,) = Predictor(Mean(), IMAGES).predict(str(tmp_path / "right.png"))
    assert found.probabilities == pytest.approx(same.probabilities)
    fixed = Predictor(Mean(), replace(IMAGES, resize=False))
    assert len(list(fixed.predict(tmp_path / "right.png"))) == 1
    with pytest.raises(InputError, match=r"large\.png is 9 x 8 pixels \(height x width\); the network takes 6 x 4"):
        list(fixed.predict(tmp_path / "large.png"))
    with pytest.raises(InputError, match="trained on float arrays"):
        list(Predictor(Mean(), replace(IMAGES, bytes=False)).predict(tmp_path / "right.png"))


class Mean(torch.nn.Module):
    """Scores of two classes: the mean of the first channel and of the last."""

    def forward(self, inputs):
        return inputs.mean((2, 3))[:, [0, -1]]


def test_folders_of_pictures_and_grey_ones_are_taken(tmp_path):
    Image.fromarray(np.full((6, 4), 90, dtype=np.uint8)).save(tmp_path / "b.png")
    Image.fromarray(np.full((6, 4, 3), 90, dtype=np.uint8)).save(tmp_path / "a.png")
    (tmp_path / ".hidden.png").write_text("")
    (tmp_path / "notes.txt").write_text("")
    one, other = Predictor(Mean(), IMAGES).predict([tmp_path])
    assert (one.file, other.file) == (str(tmp_path / "a.png"), str(tmp_path / "b.png"))
    assert one.probabilities == other.probabilities
    grey = ImagePreprocess(("cat", "dog"), 1, 6, 4, (0.0,), (1.0,))
    assert len({each.probability for each in Predictor(Mean(), grey).predict(tmp_path)}) == 1
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"none contains no file of the kinds .*webp$"):
        list(Predictor(Mean(), IMAGES).predict(tmp_path / "none"))
    (tmp_path / "none" / "cat").mkdir()
    with pytest.raises(InputError, match=r"none contains no file .*; give the folders inside it"):
        list(Predictor(Mean(), IMAGES).predict(tmp_path / "none"))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (torch.rand(5, 3, 6, 4), "fractions within 0..1: multiply by 255"),
        (torch.full((5, 3, 6, 4), 256), "pixels of 0..255; these are 256..256"),
        (torch.full((5, 3, 6, 4), float("nan")), "NaN"),
        (torch.zeros(5, 3, 4, 6), r"of shape \(n, 3, 6, 4\) or \(n, 6, 4, 3\), not \(5, 3, 4, 6\)"),
        (torch.zeros(3, 6, 4), "pictures of shape"),
    ],
)
def test_tensors_that_do_not_fit_are_told(raw, message):
    with pytest.raises(InputError, match=message):
        list(Predictor(Mean(), IMAGES).predict(raw))


def test_tensors_may_have_their_channels_last():
    raw = torch.randint(0, 256, (5, 3, 6, 4), dtype=torch.uint8)
    predictor = Predictor(Mean(), IMAGES)
    assert list(predictor.predict(raw)) == list(predictor.predict(raw.permute(0, 2, 3, 1)))
    assert [each.label for each in predictor.predict(raw.float())] == [each.label for each in predictor.predict(raw)]


def test_a_network_for_other_classes_is_told():
    with pytest.raises(InputError, match=r"returned \(1, 2\), and not a score for each of the 3 classes"):
        Predictor(Mean(), replace(IMAGES, classes=("a", "b", "c"))).scores(torch.zeros(1, 3, 6, 4))


# ---------------------------------------------------------------------- from a study


def test_a_study_predicts_from_files_and_from_memory(fruit):
    path, run, study = fruit
    found = aw.load(run).predict(path)
    assert len(found) == 200
    assert {each.label for each in found} == {"apple", "pear"}
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(path, sep=";")
    assert [each.probabilities for each in study.predict(frame)] == [each.probabilities for each in found]
    assert [each.label for each in study.predict(str(path), batch_size=7)] == [each.label for each in found]
    (row,) = study.predict({"number": 3, "colour": "red", "size": 1001.0})
    assert row.label in {"apple", "pear"}
    with pytest.warns(UserWarning, match="column 'colour' holds the unknown category ''"):
        study.predict({"number": 3, "colour": None, "size": 1001.0})
    with pytest.warns(UserWarning, match="column 'size' has missing cells, but had none in training"):
        study.predict({"number": 3, "colour": "red", "size": None})


def test_a_study_in_memory_predicts_from_arrays():
    rng = np.random.default_rng(0)
    inputs, labels = rng.normal(size=(60, 4)), np.array(["x", "y"] * 30)
    study = search(aw.data((inputs, labels)))
    kinds = [inputs, inputs.astype(np.float32), inputs.tolist(), torch.tensor(inputs)]
    first, *others = [[each.label for each in study.predict(kind)] for kind in kinds]
    assert all(other == first for other in others)
    assert study.predict([]) == []
    with pytest.raises(DataError, match="takes 4 features"):
        study.predict(inputs[:, :3])
    with pytest.raises(DataError, match="numbers"):
        study.predict([["a", "b"]])


def test_a_study_without_data_says_what_to_do():
    space = aw.Space(model=nn.Sequential(nn.Linear(2, aw.ordinal(2, 3, name="width"))), example_input=(2,))

    def evaluate(candidate):
        return float(candidate.model.weight.shape[0]) if hasattr(candidate.model, "weight") else 1.0

    study = aw.search(space, evaluate, strategy="random", budget=aw.Budget(trials=1))
    with pytest.raises(StudyError, match=r"preprocessed is not known.*candidate\.preprocess"):
        study.predict([[1.0, 2.0]])
    with pytest.raises(StudyError, match="there is no trial 7"):
        study.predict([[1.0, 2.0]], trial=7)


def test_each_network_of_a_front_can_be_asked(tmp_path):
    width = aw.ordinal(2, 32, name="width")
    space = aw.Space(model=nn.Sequential(nn.LazyLinear(width), nn.ReLU(), nn.LazyLinear(3)))
    study = aw.search(
        space,
        aw.Training(aw.data("iris"), epochs=1),
        objective=["max accuracy", "min parameters"],
        strategy="random",
        budget=aw.Budget(trials=2),
        path=tmp_path,
        final=False,
    )
    inputs = aw.data("iris").test.inputs
    for best in study.front:
        scores = best.load()(aw.data("iris").normalise(inputs)).argmax(1)
        labels = [each.label for each in aw.load(tmp_path).predict(inputs, trial=best.trial.number)]
        assert labels == [aw.data("iris").classes[place] for place in scores]


def test_a_reader_that_has_seen_enough_is_no_error(photographs, monkeypatch):
    data, _, study = photographs
    monkeypatch.setattr(_predict, "load", study.predictor)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        monkeypatch.setattr("sys.stdout", closed)
        assert _predict.main([str(next(path for path in Path(data).rglob("*.jpg")))]) == 1


def test_files_with_other_columns_get_heads_of_their_own(capsys):
    results = [Estimate("a.csv", 1, 1.0, {"x": 1.0}), Estimate("b.csv", 1, 1.0, {"x": 1.0, "long name": 2.0})]
    _predict._write_table([*results, *results], [Path("a.csv"), Path("b.csv")], numbered=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [["file", "x"], ["a.csv", "1"], ["file", "x", "long", "name"], ["b.csv", "1", "2"]] * 2
