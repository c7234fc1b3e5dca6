"""Folders of idx files, written here byte by byte."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from archwright.datasets import data
from archwright.errors import DataError

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx(array: np.ndarray) -> bytes:
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write(folder: Path, *, packed: bool = False, test: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Write 30 + 10 images of 4 x 5 pixels in three classes; return the test pair."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 30), ("t10k", 10))[: 2 if test else 1]:
        images, labels = rng.integers(0, 256, (count, 4, 5)), np.arange(count) % 3
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            content = idx(array)
            path = folder / f"{part}-{name}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(content) if packed else content)
    return images, labels


@pytest.mark.parametrize("packed", [False, True])
def test_the_official_test_part_is_the_test_part(tmp_path, packed):
    images, labels = write(tmp_path, packed=packed)
    found = data(tmp_path, validation=0.2, test=0.5)
    assert (found.kind, found.name) == ("image", tmp_path.name)
    assert (len(found.train), len(found.validation), len(found.test)) == (24, 6, 10)
    assert torch.equal(found.test.inputs, torch.tensor(images, dtype=torch.uint8).unsqueeze(1))
    assert found.test.targets.tolist() == labels.tolist()
    assert found.classes == ("0", "1", "2")
    assert found.spec == {"source": str(tmp_path.resolve()), "validation": 0.2, "test": 0.5, "seed": 0}


def test_without_an_official_part_a_test_part_is_split_off(tmp_path):
    write(tmp_path, test=False)
    found = data(str(tmp_path))
    assert (len(found.train), len(found.validation), len(found.test)) == (21, 3, 6)


@pytest.mark.parametrize("absent", [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS])
def test_a_missing_file_of_a_pair_is_named(tmp_path, absent):
    write(tmp_path)
    (tmp_path / absent).unlink()
    with pytest.raises(DataError, match=f"has no {absent}"):
        data(tmp_path)


@pytest.mark.parametrize("kept", [0, 3, 10, 100])
def test_a_truncated_file_is_named(tmp_path, kept):
    write(tmp_path)
    path = tmp_path / TRAIN_IMAGES
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=f"{TRAIN_IMAGES}.*(cut short|magic number)"):
        data(tmp_path)


def test_a_truncated_compressed_file_is_named(tmp_path):
    write(tmp_path, packed=True)
    path = tmp_path / f"{TRAIN_LABELS}.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match=f"{TRAIN_LABELS}.gz cannot be read"):
        data(tmp_path)


def test_a_file_that_is_not_compressed_although_its_name_says_so(tmp_path):
    write(tmp_path, packed=True)
    (tmp_path / f"{TRAIN_LABELS}.gz").write_bytes(idx(np.zeros(30)))
    with pytest.raises(DataError, match=f"{TRAIN_LABELS}.gz cannot be read"):
        data(tmp_path)


def test_bytes_after_the_end_are_refused(tmp_path):
    write(tmp_path)
    path = tmp_path / TEST_LABELS
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DataError, match="11 follow its header"):
        data(tmp_path)


@pytest.mark.parametrize("magic", [b"\0\0\x0d\x03", b"\0\0\x08\x01", b"\x89PNG"])
def test_a_wrong_magic_number_is_shown(tmp_path, magic):
    write(tmp_path)
    path = tmp_path / TRAIN_IMAGES
    path.write_bytes(magic + path.read_bytes()[4:])
    with pytest.raises(DataError, match=f"magic number {magic.hex()}.*00000803"):
        data(tmp_path)


def test_images_and_labels_that_differ_in_number(tmp_path):
    write(tmp_path)
    (tmp_path / TRAIN_LABELS).write_bytes(idx(np.zeros(29)))
    with pytest.raises(DataError, match=r"30 images but .* 29 labels"):
        data(tmp_path)


def test_parts_that_differ_in_size(tmp_path):
    write(tmp_path)
    (tmp_path / TEST_IMAGES).write_bytes(idx(np.zeros((10, 4, 6))))
    with pytest.raises(DataError, match=r"\(1, 4, 5\), but test samples \(1, 4, 6\)"):
        data(tmp_path)


def test_a_test_class_that_training_never_shows(tmp_path):
    write(tmp_path)
    (tmp_path / TEST_LABELS).write_bytes(idx(np.full(10, 7)))
    with pytest.raises(DataError, match="test part holds class '7', which the training part never shows"):
        data(tmp_path)


def test_a_file_with_no_images(tmp_path):
    (tmp_path / TRAIN_IMAGES).write_bytes(idx(np.zeros((0, 4, 5))))
    (tmp_path / TRAIN_LABELS).write_bytes(idx(np.zeros(0)))
    with pytest.raises(DataError, match="holds no images"):
        data(tmp_path)


def test_one_file_alone_is_no_source(tmp_path):
    write(tmp_path)
    with pytest.raises(DataError, match="Give the folder that holds the idx files"):
        data(tmp_path / TRAIN_IMAGES)


def test_options_of_other_kinds_are_refused(tmp_path):
    write(tmp_path)
    with pytest.raises(DataError, match="idx files, takes no size="):
        data(tmp_path, size=28)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    write(tmp_path)
    (tmp_path / TRAIN_IMAGES).unlink()
    bomb = bytes((0, 0, 8, 3)) + struct.pack(">3I", 1000, 100, 200) + bytes(20_000_000)
    (tmp_path / f"{TRAIN_IMAGES}.gz").write_bytes(gzip.compress(bomb))
    with pytest.raises(DataError, match=r"1000 x 100 x 200 = 20000000 bytes, .* the limit of 0\.01 gig.*max_gigabytes"):
        data(tmp_path, max_gigabytes=0.01)
    (tmp_path / f"{TRAIN_IMAGES}.gz").write_bytes(gzip.compress(idx(np.zeros((30, 4, 5))) + bytes(20_000_000)))
    with pytest.raises(DataError, match=r"= 600 bytes, but 601 follow its header or more"):
        data(tmp_path)


def test_labels_of_tiny_images_count_in_the_limit(tmp_path):
    (tmp_path / TRAIN_IMAGES).write_bytes(idx(np.zeros((1000, 1, 1))))
    (tmp_path / TRAIN_LABELS).write_bytes(idx(np.arange(1000) % 3))
    with pytest.raises(DataError, match="holds 1,000 labels, which take more than the limit of 1e-05 gigabytes"):
        data(tmp_path, max_gigabytes=1e-5)
