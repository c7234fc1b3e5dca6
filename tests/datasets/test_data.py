"""What a `Data` offers, whatever it came from."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.utils.data import DataLoader, Dataset, TensorDataset

from archwright.datasets import Data, data, registry
from archwright.errors import DataError, EvaluationError, UnknownName
from archwright.evaluate import Training, as_evaluator


def same(first: Data, second: Data) -> bool:
    parts = ("train", "validation", "test")
    return first.classes == second.classes and all(
        torch.equal(getattr(getattr(first, part), field), getattr(getattr(second, part), field))
        for part in parts
        for field in ("inputs", "targets")
    )


def test_digits():
    found = data("digits")
    assert (found.name, found.kind) == ("digits", "image")
    assert found.classes == tuple("0123456789")
    assert (len(found.train), len(found.validation), len(found.test)) == (1258, 180, 359)
    assert found.train.inputs.shape == (1258, 1, 8, 8)
    assert found.train.inputs.dtype == torch.uint8
    assert (int(found.train.inputs.min()), int(found.train.inputs.max())) == (0, 255)
    # all 17 grey levels are kept apart
    assert len(found.train.inputs.unique()) == 17


@pytest.mark.parametrize(
    ("name", "features", "classes", "total"),
    [
        ("iris", 4, ("setosa", "versicolor", "virginica"), 150),
        ("wine", 13, ("class_0", "class_1", "class_2"), 178),
        ("breast-cancer", 30, ("benign", "malignant"), 569),
    ],
)
def test_tables_by_name(name, features, classes, total):
    found = data(name)
    assert found.kind == "table"
    assert found.classes == classes
    assert found.train.inputs.shape[1] == features
    assert len(found.train) + len(found.validation) + len(found.test) == total


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer"])
def test_data_by_name_are_those_of_scikit_learn(name):
    theirs = getattr(sklearn.datasets, f"load_{name}")()
    inputs, targets = registry.entry(name.replace("_", "-")).make()
    if name == "digits":
        assert np.array_equal(inputs, np.rint(theirs.images * 255 / 16))
        assert np.array_equal(targets, theirs.target)
    else:
        assert np.array_equal(inputs, theirs.data)
        assert targets.tolist() == theirs.target_names[theirs.target].tolist()


@pytest.mark.parametrize("name", registry.names())
def test_everything_registered_loads_and_comes_back_from_its_spec(name):
    first = data(name, validation=0.15, test=np.float64(0.25), seed=np.int64(3))
    again = data(**json.loads(json.dumps(first.spec)))
    assert same(first, again)
    assert first.spec == again.spec
    assert registry.entry(name).summary


def test_mean_and_deviation_come_from_the_training_part_alone():
    images = np.zeros((20, 4, 4, 3), dtype=np.uint8)
    images[..., 1] = 10
    images[::2, ..., 2] = 200
    found = data((images, np.arange(20) % 2))
    pixels = found.train.inputs.double()
    assert found.mean.dtype == found.std.dtype == torch.float32
    assert torch.allclose(found.mean.double(), pixels.mean((0, 2, 3)))
    assert found.mean[:2].tolist() == [0, 10]
    assert found.std[:2].tolist() == [1, 1]  # constant channels
    assert float(found.std[2]) == pytest.approx(float(pixels[:, 2].std(correction=0)), rel=1e-6)


def test_normalise_gives_mean_zero_and_deviation_one_on_the_training_part():
    found = data("digits")
    seen = found.normalise(found.train.inputs)
    assert seen.dtype == torch.float32
    assert seen.shape == found.train.inputs.shape
    assert float(seen.mean()) == pytest.approx(0, abs=1e-5)
    assert float(seen.std(correction=0)) == pytest.approx(1, abs=1e-5)
    assert found.train.inputs.dtype == torch.uint8


def test_normalise_leaves_its_argument_alone():
    found = data("iris")
    before = found.train.inputs.clone()
    seen = found.normalise(found.train.inputs)
    assert torch.equal(found.train.inputs, before)
    assert seen.mean(0).abs().max() < 1e-5
    assert (seen.std(0, correction=0) - 1).abs().max() < 1e-5


def test_a_small_spread_far_from_zero_is_kept():
    table = np.stack([1e6 + np.arange(40) % 4, np.full(40, 0.1)], axis=1)
    found = data((table, np.arange(40) % 2))
    assert float(found.std[0]) == pytest.approx(float(found.train.inputs[:, 0].double().std(correction=0)), rel=1e-5)
    assert float(found.std[1]) == 1


@given(arrays(np.float32, (12, 3), elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_normalised_training_samples_are_always_finite(table):
    found = data((table, np.arange(12) % 2), validation=1, test=1)
    assert found.normalise(found.train.inputs).isfinite().all()


def test_parts_are_joined():
    found = data("iris")
    both = found.train + found.validation
    assert len(both) == len(found.train) + len(found.validation)
    assert torch.equal(both.inputs[: len(found.train)], found.train.inputs)
    assert torch.equal(both.targets[len(found.train) :], found.validation.targets)


def test_data_prints_itself_in_one_line():
    assert str(data("digits")) == (
        "Data('digits': 1x8x8 images, 10 classes, 1,258 training + 180 validation + 359 test samples)"
    )
    assert str(data("iris")) == (
        "Data('iris': a table of 4 features, 3 classes, 105 training + 15 validation + 30 test samples)"
    )
    assert repr(data("digits").test) == "Part(359 x 1x8x8, uint8)"


def test_data_travels_to_another_process():
    found = data("iris")
    assert same(found, pickle.loads(pickle.dumps(found)))


def test_an_unknown_name_tells_the_nearest_and_what_else_is_understood():
    with pytest.raises(UnknownName, match=r"'digit'.*Did you mean 'digits'\?.*iris.*idx.*images.*\.csv"):
        data("digit")


@pytest.mark.parametrize("path", ["no/such/folder", "table.csv", "./digits"])
def test_a_path_that_is_not_there(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"does not exist.*idx files.*\.npz"):
        data(path)


def test_a_file_of_another_kind(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"notes\.txt is not a supported type of file"):
        data(tmp_path / "notes.txt")


def test_an_empty_folder(tmp_path):
    with pytest.raises(DataError, match="is empty"):
        data(tmp_path)


def test_a_data_set_of_ones_own_can_be_registered():
    @registry.register("two-points")
    def two_points():
        """Two points, over and over."""
        return [[0.0], [1.0]] * 10, ["low", "high"] * 10

    try:
        found = data("two-points")
        assert found.classes == ("high", "low")
        assert found.spec == {"source": "two-points", "validation": 0.1, "test": 0.2, "seed": 0}
    finally:
        del registry._entries["two-points"]


class Samples(Dataset):
    """A torch data set of one's own."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.zeros(2), index


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (Samples(), r"zip\(\*dataset\).*torch\.stack.*a function of the candidate"),
        (DataLoader(Samples()), r"zip\(\*loader\.dataset\)"),
        (TensorDataset(torch.zeros(3)), r"aw\.data\(dataset\.tensors\)"),
        (DataLoader(TensorDataset(torch.zeros(3))), r"aw\.data\(loader\.dataset\.tensors\)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_torch_loads_is_told_how_to_become_data(given, told):
    for take in (data, Training, as_evaluator):
        with pytest.raises((DataError, EvaluationError), match=told):
            take(given)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("digits", r"not 'digits' \(str\)\. Load it: aw\.data\('digits'\)"),
        (Path("a/b"), r"Load it: aw\.data\('a/b'\)"),
        ((torch.zeros(9, 2), torch.zeros(9)), r"Load the pair: aw\.data\(\(inputs, targets\)\)"),
    ],
    ids=["name", "path", "pair"],
)
def test_what_is_not_loaded_yet_is_told_how(given, told):
    for take in (Training, as_evaluator):
        with pytest.raises(EvaluationError, match=told) as caught:
            take(given)
        assert "\n" not in str(caught.value)


def test_loaded_data_are_not_loaded_again():
    with pytest.raises(DataError, match="It is loaded already"):
        data(data("iris"))
