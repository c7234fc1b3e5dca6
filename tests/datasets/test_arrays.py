"""Arrays in memory: shapes, types, labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from archwright.datasets import data
from archwright.errors import DataError
from archwright.space import TensorSpec

TEN = np.arange(20) % 2  # labels of 20 samples in two classes


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, *shape), dtype=np.uint8)


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ((6, 5), (1, 6, 5)),
        ((6, 5, 3), (3, 6, 5)),
        ((6, 5, 1), (1, 6, 5)),
        ((3, 6, 5), (3, 6, 5)),
        ((1, 6, 5), (1, 6, 5)),
        ((3, 6, 3), (3, 6, 3)),  # both axes fit: the second
    ],
)
def test_channels_are_found_by_their_number(given, seen):
    found = data((images(*given), TEN))
    assert found.kind == "image"
    assert found.train.inputs.shape[1:] == seen
    assert found.train.inputs.dtype == torch.uint8
    assert found.example_input == TensorSpec(seen, "float32")


def test_pixels_stay_where_they_are():
    pixels = images(6, 5, 3)
    pixels[:, 0, 0, 0] = np.arange(20)  # each image says which it is
    found = data((pixels, TEN))
    for image in found.test.inputs:
        assert np.array_equal(image.permute(1, 2, 0).numpy(), pixels[int(image[0, 0, 0])])


def test_float_images_stay_float32():
    found = data((images(3, 4, 4).astype(np.float64) / 255, TEN))
    assert found.train.inputs.dtype == torch.float32
    assert float(found.train.inputs.max()) <= 1


def test_images_in_nested_lists_become_uint8():
    assert data((images(4, 4).tolist(), TEN.tolist())).train.inputs.dtype == torch.uint8


@pytest.mark.parametrize("low", [-1, 256])
def test_whole_numbers_beyond_a_byte_are_refused(low):
    pixels = images(4, 4).astype(np.int64)
    pixels[3, 0, 0] = low
    with pytest.raises(DataError, match=r"0\.\.255"):
        data((pixels, TEN))


def test_tensors_tables_and_nested_lists():
    table = torch.arange(40.0).reshape(20, 2)
    for inputs in (table, table.double(), table.bfloat16(), table.numpy(), table.tolist(), table.numpy()[::-1]):
        found = data((inputs, torch.tensor(TEN)))
        assert found.kind == "table"
        assert found.train.inputs.dtype == torch.float32
        assert found.train.targets.dtype == torch.int64
        assert found.example_input == TensorSpec((2,), "float32")
    assert found.spec is None
    assert found.name == "arrays"


def test_the_arrays_given_are_not_shared():
    table = np.zeros((20, 2), dtype=np.float32)
    table.flags.writeable = False
    found = data((table, TEN))
    found.train.inputs.fill_(1)
    assert table.sum() == 0


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([10, 9, 2, -1], ("-1", "2", "9", "10")),
        ([1.0, 0.0, 3.0, 20.0], ("0", "1", "3", "20")),
        (["10", "9", "2", "1.5"], ("1.5", "2", "9", "10")),
        (["b", "a", "10", "c"], ("10", "a", "b", "c")),
        ([True, False], ("False", "True")),
        (np.array(["x", "y"], dtype=object), ("x", "y")),
        (np.array([3, 1], dtype=object), ("1", "3")),
        (np.array([b"x", b"y"]), ("x", "y")),
    ],
)
def test_classes_are_names_in_a_stable_order(labels, classes):
    targets = np.tile(np.asarray(labels), 20 // len(labels))
    found = data((np.arange(20.0)[:, None], targets))
    assert found.classes == classes
    assert found.train.targets.max() == len(classes) - 1


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        (np.zeros((20, 2)), TEN[:19], "20 inputs but 19 targets"),
        (np.zeros((20, 2)), TEN + 0.5, "Regression is not supported"),
        (np.zeros((20, 2)), np.where(TEN, 1.0, np.nan), "10 of 20 labels are missing"),
        (np.zeros((20, 2)), np.array(["a", None] * 10, dtype=object), "label at index 1 is missing"),
        (np.zeros((20, 2)), np.array(["a", 1] * 10, dtype=object), "mixture"),
        (np.zeros((20, 2)), np.eye(20), r"argmax"),
        (np.zeros((20, 2)), TEN * 1j, "complex128"),
        (np.zeros(20), TEN, "neither a table"),
        (np.zeros((20, 1, 2, 3, 4)), TEN, "neither a table"),
        (np.zeros((20, 4, 8, 8)), TEN, "size 1 or 3"),
        (np.zeros((20, 0)), TEN, "nothing to learn from"),
        (np.zeros((0, 2)), [], "nothing to learn from"),
        (np.full((20, 2), "a"), TEN, "must be numbers"),
        ([[1.0], [1.0, 2.0]] * 10, TEN, "same shape"),
        (np.full((20, 2), 1e300), TEN, "too large for float32"),
    ],
)
def test_arrays_that_cannot_be_learnt_from(inputs, targets, message):
    with pytest.raises(DataError, match=message):
        data((inputs, targets))


@pytest.mark.parametrize("shape", [(2,), (1, 4, 4)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_counted_and_placed(shape, value):
    inputs = np.zeros((20, *shape), dtype=np.float32)
    inputs[7].flat[0] = inputs[9].flat[0] = inputs[9].flat[1] = value
    with pytest.raises(DataError, match=r"3 values that are NaN, infinite .* in 2 of 20 samples, the first at index 7"):
        data((inputs, TEN))


@pytest.mark.parametrize("source", [np.zeros((20, 2)), (np.zeros((20, 2)),), {"x": 1}, 7, None])
def test_what_is_no_source_is_refused(source):
    with pytest.raises(DataError, match=r"is no data; give a name .*pair"):
        data(source)


@pytest.mark.parametrize("option", [{"size": 8}, {"target": "y"}, {"header": True}])
def test_options_that_do_not_apply_are_refused(option):
    with pytest.raises(DataError, match=f"takes no {next(iter(option))}="):
        data((np.zeros((20, 2)), TEN), **option)
