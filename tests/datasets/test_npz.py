"""Arrays in numpy files."""

from __future__ import annotations

import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch

from archwright.datasets import data
from archwright.errors import DataError


class Trap:
    """Sets off when unpickled."""

    sprung = False

    def __reduce__(self):
        return (setattr, (Trap, "sprung", True))


def test_x_and_y(tmp_path):
    table, labels = np.random.default_rng(0).normal(size=(30, 4)), np.array(["a", "b", "c"] * 10)
    np.savez(tmp_path / "t.npz", x=table, y=labels)
    found, known = data(tmp_path / "t.npz", seed=2), data((table, labels), seed=2)
    assert found.name == "t"
    assert torch.equal(found.test.inputs, known.test.inputs)
    assert torch.equal(found.test.inputs, data(**found.spec).test.inputs)


def test_an_official_test_part(tmp_path):
    images = np.zeros((20, 5, 5), dtype=np.uint8)
    labels = np.arange(20) % 2
    np.savez_compressed(tmp_path / "t.npz", x_train=images, y_train=labels, x_test=images[:6] + 9, y_test=labels[:6])
    found = data(tmp_path / "t.npz")
    assert (len(found.train), len(found.validation), len(found.test)) == (18, 2, 6)
    assert (found.test.inputs == 9).all()


def test_parts_of_different_types_are_refused(tmp_path):
    images, labels = np.zeros((20, 5, 5), dtype=np.uint8), np.arange(20) % 2
    np.savez(tmp_path / "t.npz", x_train=images, y_train=labels, x_test=images / 255, y_test=labels)
    with pytest.raises(DataError, match=r"uint8, but test samples torch\.float32"):
        data(tmp_path / "t.npz")


@pytest.mark.parametrize("names", [("x",), ("a", "b"), ("x", "y", "z"), ("x_train", "y_train")])
def test_other_names_are_refused(tmp_path, names):
    np.savez(tmp_path / "t.npz", **{name: np.zeros(4) for name in names})
    with pytest.raises(DataError, match=f"holds the arrays {', '.join(sorted(names))}; it should hold x and y"):
        data(tmp_path / "t.npz")


def test_no_pickle_is_opened(tmp_path):
    np.savez(tmp_path / "t.npz", x=np.zeros((4, 2)), y=np.array([Trap()] * 4, dtype=object))
    (tmp_path / "u.npz").write_bytes(pickle.dumps(Trap()))
    for name in ("t.npz", "u.npz"):
        with pytest.raises(DataError, match="cannot be read as arrays") as caught:
            data(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not Trap.sprung


def test_a_pickle_in_an_array_is_told_in_a_sentence(tmp_path):
    np.savez(tmp_path / "t.npz", x=np.zeros((4, 2)), y=np.array([Trap()] * 4, dtype=object))
    with pytest.raises(
        DataError, match=r"the array 'y': it holds Python objects \(a pickle\), and opening .* runs code"
    ):
        data(tmp_path / "t.npz")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    np.savez_compressed(tmp_path / "t.npz", x=np.zeros((100_000, 4)), y=np.arange(100_000) % 2)
    assert (tmp_path / "t.npz").stat().st_size < 100_000
    with pytest.raises(DataError, match=r"unpacks to 0\.004 gigabytes, more than the limit of 0\.001 .*max_gigabytes"):
        data(tmp_path / "t.npz", max_gigabytes=0.001)
    assert len(data(tmp_path / "t.npz", max_gigabytes=0.005).test) == 20_000


def test_a_header_that_promises_too_much(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as packed:
        for name in ("x", "y"):
            header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 4), }"
            content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(64)
            packed.writestr(f"{name}.npy", content)
    with pytest.raises(DataError, match=r"t\.npz cannot be read as arrays"):
        data(tmp_path / "t.npz")


def test_a_damaged_file_is_named(tmp_path):
    np.savez(tmp_path / "t.npz", x=np.zeros((4, 2)), y=np.zeros(4))
    whole = (tmp_path / "t.npz").read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2]):
        (tmp_path / "t.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"t\.npz cannot be read"):
            data(tmp_path / "t.npz")


@pytest.mark.parametrize("header", [b"{'descr': '<f8', 'shape': (4L, '''", b"  {'a'\n :\n\t\t  1L}\n 2"])
def test_a_header_that_is_no_python_is_told(tmp_path, header):
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as packed:
        for name in ("x", "y"):
            packed.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(64))
    with pytest.raises(DataError, match=r"t\.npz cannot be read as arrays.*the array 'x'"):
        data(tmp_path / "t.npz")


def test_what_numpy_does_not_pack_is_refused(tmp_path):
    pytest.importorskip("lzma")
    np.savez(tmp_path / "s.npz", x=np.zeros((4, 2)), y=np.zeros(4))
    with zipfile.ZipFile(tmp_path / "s.npz") as source, zipfile.ZipFile(tmp_path / "t.npz", "w") as packed:
        for name in source.namelist():
            packed.writestr(name, source.read(name), zipfile.ZIP_LZMA)
    with pytest.raises(DataError, match=r"t\.npz: 'x\.npy' is packed as numpy does not pack"):
        data(tmp_path / "t.npz")
