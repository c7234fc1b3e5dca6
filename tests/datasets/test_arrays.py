"""Arrays in memory: shapes, types, labels."""

from __future__ import annotations

import warnings

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
        (np.zeros((20, 2)), TEN + 0.5, "values themselves give task=.regression."),
        (np.zeros((20, 2)), np.where(TEN, 1.0, np.nan), "10 of 20 labels are missing"),
        (
            np.zeros((20, 2)),
            np.array(["a", None] * 10, dtype=object),
            "10 of 20 labels are missing .None., the first at index 1",
        ),
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


@pytest.mark.parametrize(
    "labels",
    [
        [None, "a", "b"] * 20,
        [float("nan"), "a", "b"] * 20,
        [float("nan"), 1, 2] * 20,
        [None, 1, 2] * 20,
        [None, True, False] * 20,
        np.array([None, b"a", b"b"] * 20, dtype=object),
        np.array([float("nan"), "a", "b"] * 20),
        np.array(["", "a", "b"] * 20),
        ["<NA>", "a", "b"] * 20,
        np.ma.masked_equal([0, 1, 2] * 20, 0),
        torch.tensor([float("nan"), 1, 2] * 20),
        np.array([np.datetime64("NaT"), "a", "b"] * 20, dtype=object),
    ],
)
def test_labels_that_are_missing_are_no_class(labels):
    with pytest.raises(DataError, match=r"missing"):
        data((np.zeros((60, 2)), labels))


@pytest.mark.parametrize("dtype", ["object", "Int64", "string", "boolean", "category", "str"])
def test_labels_of_pandas(dtype):
    pandas = pytest.importorskip("pandas")
    known = {"Int64": [1, 2], "boolean": [False, True]}.get(dtype, ["a", "b"])
    whole = pandas.Series(known * 30, dtype=dtype)
    assert data((np.arange(60.0)[:, None], whole)).classes == tuple(map(str, known))
    with pytest.raises(DataError, match=r"20 of 60 labels are missing \(.*\), the first at index 0"):
        data((np.zeros((60, 2)), pandas.Series([None, *known] * 20, dtype=dtype)))


def test_sparse_tensors_are_taken_and_tensors_without_data_are_not():
    with pytest.raises(DataError, match="inputs are a tensor on the meta device, which holds no data"):
        data((torch.zeros(20, 2, device="meta"), TEN))
    assert torch.equal(data((torch.eye(20).to_sparse(), TEN)).test.inputs, data((torch.eye(20), TEN)).test.inputs)


def test_inputs_behind_a_mask_are_missing():
    with pytest.raises(DataError, match="inputs hold masked values"):
        data((np.ma.masked_equal(np.arange(40.0).reshape(20, 2), 3), TEN))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([b"caf\xe9", b"tea"] * 10), r"label b'caf\\xe9' at index 0 is not UTF-8 .*decode"),
        ([b"tea", "tea"] * 10, "mixture"),
        (["1", 1] * 10, "mixture"),
        ([1, "1"] * 10, "mixture"),
        ([[1, 2]] * 20, "argmax"),
        ([2**70, 1] * 10, "mixture"),
        (["tea", "coffee" * 50] * 10, r"the label 'coffee.*\(index 1\) has 300 characters"),
    ],
)
def test_labels_that_are_no_names(labels, message):
    with pytest.raises(DataError, match=message):
        data((np.zeros((20, 2)), labels))


def test_labels_in_lists_are_what_they_are_in_arrays():
    inputs = np.arange(20.0)[:, None]
    for labels, classes in (
        ([True, False], ("False", "True")),
        ([b"x", b"y"], ("x", "y")),
        ([10**17, 10**17 + 1], ("100000000000000000", "100000000000000001")),
        ([np.int64(3), np.float64(4)], ("3", "4")),
        ([torch.tensor(3), torch.tensor(4)], ("3", "4")),
    ):
        assert data((inputs, labels * 10)).classes == classes


@pytest.mark.parametrize("kind", ["int64", "uint8", "list"])
def test_whole_numbers_that_may_be_codes_are_said(kind):
    tokens = np.random.default_rng(0).integers(0, 200, (20, 6))
    given = tokens.tolist() if kind == "list" else tokens.astype(kind)
    with pytest.warns(UserWarning, match=r"inputs are whole numbers .* are taken as measurements.*token ids.*float32"):
        data((given, TEN))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data((tokens.astype(np.float32), TEN))
        data((tokens % 2, TEN))


def test_ratings_in_memory_are_said_to_become_classes():
    with pytest.warns(UserWarning, match=r"the targets are whole numbers from 10 to 50, and are taken as 5 classes"):
        data((np.zeros((50, 2)), 10 + np.arange(50) % 5 * 10))


def test_too_little_memory_is_told():
    class Vast:
        def __array__(self, dtype=None, copy=None):
            raise MemoryError

    with pytest.raises(DataError, match="take more memory than there is"):
        data((Vast(), TEN))
