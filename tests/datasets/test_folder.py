"""Folders of images."""

from __future__ import annotations

import builtins
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from archwright.datasets import data
from archwright.errors import DataError
from archwright.tasks import task

Image = pytest.importorskip("PIL.Image", reason="reading images needs Pillow")


def write(
    folder: Path, count: int = 8, shape: tuple[int, ...] = (6, 5, 3), suffix: str = ".png", first: int = 0
) -> None:
    """Write images of noise; the first pixel of each counts them."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        pixels[0, 0] = first + number
        Image.fromarray(pixels).save(folder / f"{number:02}{suffix}")


def test_one_folder_for_each_class(tmp_path):
    write(tmp_path / "cat")
    write(tmp_path / "dog", first=100)
    (tmp_path / "README.txt").write_text("not a class")
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "cat" / "._00.png").write_bytes(b"a hidden file of some other system")
    found = data(tmp_path, validation=2, test=4)
    assert found.classes == ("cat", "dog")
    assert (len(found.train), len(found.validation), len(found.test)) == (10, 2, 4)
    for part in (found.train, found.validation, found.test):
        assert part.inputs.shape[1:] == (3, 6, 5)
        assert part.inputs.dtype == torch.uint8
        assert ((part.inputs[:, 0, 0, 0] >= 100).long() == part.targets).all()


def test_pixels_arrive_as_they_were_saved(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b", first=100)
    found = data(tmp_path)
    for image in found.train.inputs:
        number = int(image[0, 0, 0])
        path = tmp_path / ("b" if number >= 100 else "a") / f"{number % 100:02}.png"
        assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(Image.open(path)))


def test_official_train_and_test_folders(tmp_path):
    for name in ("10", "9"):
        write(tmp_path / "train" / name, 10)
        write(tmp_path / "test" / name, 3)
    found = data(tmp_path, test=0.5)
    assert found.classes == ("9", "10")
    assert (len(found.train), len(found.validation), len(found.test)) == (18, 2, 6)
    assert found.test.targets.tolist() == [1, 1, 1, 0, 0, 0]


def test_a_train_folder_alone_is_split(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "train" / name, 10)
    assert len(data(tmp_path).test) == 4


def test_train_may_be_a_class(tmp_path):
    for name in ("bus", "train"):
        write(tmp_path / name)
    assert data(tmp_path).classes == ("bus", "train")


def test_grey_images_have_one_channel(tmp_path):
    write(tmp_path / "a", shape=(6, 5))
    write(tmp_path / "b", shape=(6, 5), suffix=".jpg")
    assert data(tmp_path).train.inputs.shape[1:] == (1, 6, 5)


def test_grey_and_colour_together_become_colour(tmp_path):
    write(tmp_path / "a", shape=(6, 5))
    write(tmp_path / "b", suffix=".JPEG")
    found = data(tmp_path)
    assert found.train.inputs.shape[1:] == (3, 6, 5)
    grey = found.train.inputs[found.train.targets == 0]
    assert torch.equal(grey[:, 0], grey[:, 2])


def test_transparency_is_dropped(tmp_path):
    write(tmp_path / "a", shape=(6, 5, 4))
    write(tmp_path / "b")
    assert data(tmp_path).train.inputs.shape[1:] == (3, 6, 5)


def test_images_that_differ_in_size_need_a_size(tmp_path):
    write(tmp_path / "a", shape=(6, 5, 3))
    write(tmp_path / "b", shape=(9, 12, 3))
    with pytest.raises(DataError, match=r"differ in size.*00\.png is 6x5 but .*00\.png is 9x12.*Give size="):
        data(tmp_path)
    assert data(tmp_path, size=4).train.inputs.shape[1:] == (3, 4, 4)
    found = data(tmp_path, size=(4, 7))
    assert found.example_input.shape == (3, 4, 7)
    again = data(**json.loads(json.dumps(found.spec)))
    assert torch.equal(found.train.inputs, again.train.inputs)
    assert again.spec == found.spec


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_resizing_keeps_the_picture(tmp_path, suffix):
    for name, level in (("dark", 40), ("bright", 200)):
        (tmp_path / name).mkdir()
        halves = np.full((128, 96, 3), level, dtype=np.uint8)
        halves[:, 48:] += 50  # the right half is brighter
        for number in range(6):
            Image.fromarray(halves).save(tmp_path / name / f"{number}{suffix}", quality=95)
    found = data(tmp_path, size=(8, 6))
    image = found.train.inputs[found.train.targets == found.classes.index("dark")][0].int()
    assert (image[:, :, :2] - 40).abs().max() <= 3
    assert (image[:, :, 4:] - 90).abs().max() <= 3


@pytest.mark.parametrize("size", [0, -3, 2.5, True, "8", (4,), (4, 5, 6), (4, 0)])
def test_a_size_that_is_none_is_refused(tmp_path, size):
    with pytest.raises(DataError, match=r"size=.*number of pixels or a pair"):
        data(tmp_path, size=size)


@pytest.mark.parametrize("kept", [0, 20, 200])
def test_a_damaged_image_is_named(tmp_path, kept):
    write(tmp_path / "a", shape=(32, 32, 3))
    write(tmp_path / "b", shape=(32, 32, 3), suffix=".jpg")
    for path in (tmp_path / "a" / "03.png", tmp_path / "b" / "03.jpg"):
        whole = path.read_bytes()
        path.write_bytes(whole[:kept])
        with pytest.raises(DataError, match=f"{path.name} cannot be decoded"):
            data(tmp_path)
        path.write_bytes(whole)


def test_a_text_that_calls_itself_an_image_is_named(tmp_path):
    write(tmp_path / "a")
    (tmp_path / "a" / "x.png").write_text("hello")
    with pytest.raises(DataError, match=r"x\.png cannot be decoded"):
        data(tmp_path)


def test_images_of_more_than_eight_bits_are_refused(tmp_path):
    write(tmp_path / "a")
    Image.fromarray(np.full((6, 5), 40000, dtype=np.uint16)).save(tmp_path / "a" / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png has more than 8 bits"):
        data(tmp_path)


def deep_png(pixels: np.ndarray, colour: int) -> bytes:
    """A PNG of 16 bits a channel, which Pillow does not write; `colour` is PNG's number for the kind of image."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_no_picture_of_sixteen_bits_loses_half_of_them(tmp_path, colour, channels):
    write(tmp_path / "a")
    (tmp_path / "a" / "deep.png").write_bytes(deep_png(np.full((6, 5, channels), 513), colour))
    with pytest.raises(DataError, match=r"deep\.png has more than 8 bits for a channel.* Convert it to 8 bits"):
        data(tmp_path)


@pytest.mark.parametrize("size", [None, (6, 4), (3, 2)])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_pictures_are_read_upright(tmp_path, suffix, size):
    """All eight ways in which a camera may lie, as EXIF counts them: the picture seen is the same."""
    upright = np.zeros((6, 4, 3), dtype=np.uint8)
    upright[:3, :2] = 250  # the upper left corner is bright
    turns = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for turn, stored in turns.items():
            exif = Image.Exif()
            exif[274] = turn
            options = {"lossless": True} if suffix == ".webp" else {"quality": 100}
            Image.fromarray(np.ascontiguousarray(stored)).save(
                tmp_path / name / f"{turn}{suffix}", exif=exif, **options
            )
    found = data(tmp_path, size=size)
    height, width = size or (6, 4)
    images = (found.train + found.validation + found.test).inputs.int()
    assert images.shape == (16, 3, height, width)
    assert (images[:, :, 0, 0] > 200).all()
    assert (images[:, :, 0, -1] < 90).all()
    assert (images[:, :, -1, 0] < 90).all()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_exif_data_turn_nothing(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, suffix=".jpg")
        content = (tmp_path / name / "00.jpg").read_bytes()
        damaged = b"Exif\0\0MM\0*\0\0\0\x08\0\x09" + b"\x01\x12\0\x03\xff\xff\xff\xff" * 3
        marker = b"\xff\xe1" + struct.pack(">H", len(damaged) + 2) + damaged
        (tmp_path / name / "00.jpg").write_bytes(content[:2] + marker + content[2:])
    assert data(tmp_path).train.inputs.shape[1:] == (3, 6, 5)


def test_a_picture_is_known_by_its_content(tmp_path):
    """No other program is started, whatever a file is called: Pillow hands PostScript to Ghostscript."""
    write(tmp_path / "a")
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 6\n%%EndComments\nshowpage\n"
    for content in (eps, b"P6 5 6 255 " + bytes(90), b"GIF89a" + bytes(40)):
        (tmp_path / "a" / "x.png").write_bytes(content)
        with pytest.raises(DataError, match=r"x\.png cannot be decoded: it is no BMP, JPEG, PNG or WebP file"):
            data(tmp_path)


def test_a_jpeg_may_be_called_png(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b", suffix=".jpg")
    (tmp_path / "b" / "00.jpg").rename(tmp_path / "b" / "00.png")
    found = data(tmp_path)
    assert len(found.train + found.validation) == 13


@pytest.mark.parametrize(("make", "told"), [(os.mkfifo, "a pipe"), (os.mkdir, "a folder")])
def test_what_is_no_file_is_not_opened(tmp_path, make, told):
    write(tmp_path / "a")
    make(tmp_path / "a" / "x.png")
    with pytest.raises(DataError, match=rf"x\.png is {told}, not a file"):
        data(tmp_path)


def test_a_picture_that_is_a_bomb_is_refused_unless_it_is_asked_for(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b")
    Image.new("RGB", (3000, 2000)).save(tmp_path / "a" / "x.png")
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(
        DataError, match=r"x\.png has 2000 x 3000 pixels; .* a sixteenth of the limit of 0\.2 gig.*max_gigabytes"
    ):
        data(tmp_path, size=4, max_gigabytes=0.2)
    found = data(tmp_path, size=4, max_gigabytes=0.3)
    assert found.spec["max_gigabytes"] == 0.3
    assert limit == Image.MAX_IMAGE_PIXELS
    (tmp_path / "a" / "x.png").unlink()
    with pytest.raises(DataError, match=r"16 images of 3x2000x3000 bytes take more than the limit of 0\.1"):
        data(tmp_path, size=(2000, 3000), max_gigabytes=0.1)


def test_a_folder_with_neither_images_nor_classes(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match="neither images nor class folders; an image folder looks like"):
        data(tmp_path)


def test_images_without_class_folders(tmp_path):
    write(tmp_path)
    with pytest.raises(DataError, match="8 images but no class folders"):
        data(tmp_path)


def test_images_beside_class_folders(tmp_path):
    for name in ("a", "b", "."):
        write(tmp_path / name)
    with pytest.raises(DataError, match="8 images beside its class folders"):
        data(tmp_path)


def test_class_folders_without_images(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=r"2 class folders .* hold no images"):
        data(tmp_path)
    write(tmp_path / "a")
    with pytest.raises(DataError, match="'b' hold no images"):
        data(tmp_path)


def test_an_empty_test_folder(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "train" / name)
    (tmp_path / "test").mkdir()
    with pytest.raises(DataError, match="test is empty"):
        data(tmp_path)


@pytest.mark.parametrize("name", ["val", "validation"])
def test_a_validation_folder_is_the_validation_part(tmp_path, name):
    for number, part in enumerate(("train", name)):
        for label in ("a", "b"):
            write(tmp_path / part / label, 10 - 6 * number, first=100 * number)
    found = data(tmp_path, test=4)
    assert (len(found.train), len(found.validation), len(found.test)) == (16, 8, 4)
    numbers = [part.inputs[:, 0, 0, 0] for part in (found.validation, found.train + found.test)]
    assert numbers[0].min() >= 100 > numbers[1].max()
    for label in ("a", "b"):
        write(tmp_path / "test" / label, 3)
    found = data(tmp_path, validation=0.5)
    assert (len(found.train), len(found.validation), len(found.test)) == (20, 8, 6)


def test_folders_beside_train_are_not_passed_over(tmp_path):
    for part in ("train", "val", "validation"):
        for name in ("a", "b"):
            write(tmp_path / part / name)
    with pytest.raises(DataError, match="also val, validation/"):
        data(tmp_path)
    for name in ("a", "b"):
        write(tmp_path / "dev" / name)
    with pytest.raises(DataError, match="also dev/"):
        data(tmp_path)


def test_a_class_with_one_image_is_named(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "lone", 1)
    with pytest.raises(DataError, match=r"class 'lone'.*one sample"):
        data(tmp_path)


@pytest.mark.parametrize(("folder", "part"), [("test", "test"), ("val", "validation")])
def test_a_class_that_training_never_shows(tmp_path, folder, part):
    for name in ("a", "b"):
        write(tmp_path / "train" / name)
    write(tmp_path / folder / "c")
    message = rf"the {part} part holds class 'c', which the training part never shows. Training classes: .* 'a', 'b'"
    with pytest.raises(DataError, match=message):
        data(tmp_path)


def test_without_pillow_the_message_says_what_to_install(tmp_path, monkeypatch):
    write(tmp_path / "a")
    write(tmp_path / "b")
    real = builtins.__import__

    def without(name, *rest, **options):
        if name.partition(".")[0] == "PIL":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r"pip install 'archwright\[images\]'"):
        data(tmp_path)


def break_off(path: Path) -> None:
    """Leave the first half of a file: its header is whole, its pixels are not."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_broken_images_are_left_out_where_that_is_asked_for(tmp_path):
    for name in ("cat", "dog"):
        write(tmp_path / name, 9, first=100 * (name == "dog"))
    break_off(tmp_path / "cat" / "00.png")  # the first of all: others are compared with it
    (tmp_path / "dog" / "03.png").write_text("no image")
    told = r"cat/00\.png cannot be decoded.*leave out all .*skip_broken=True, or --skip-broken|dog/03"
    with pytest.raises(DataError, match=told):
        data(tmp_path)
    with pytest.warns(UserWarning, match=r"left out: 2 of 18 images cannot be decoded: dog/03\.png, cat/00\.png$"):
        found = data(tmp_path, skip_broken=True)
    parts = (found.train, found.validation, found.test)
    counts = torch.cat([part.inputs[:, 0, 0, 0] for part in parts])
    assert sorted(counts.tolist()) == [*range(1, 9), *(number for number in range(100, 109) if number != 103)]
    for part in parts:
        assert ((part.inputs[:, 0, 0, 0] >= 100).long() == part.targets).all()
    assert found.spec["skip_broken"] is True
    with pytest.warns(UserWarning, match="left out"):
        again = data(**found.spec)
    assert torch.equal(again.train.inputs, found.train.inputs)


def test_broken_images_stay_in_their_part_and_only_the_first_are_named(tmp_path):
    for part, count in (("train", 10), ("val", 4), ("test", 4)):
        for name in ("a", "b"):
            write(tmp_path / part / name, count)
    for number in range(7):
        break_off(tmp_path / "train" / "a" / f"{number:02}.png")
    break_off(tmp_path / "test" / "b" / "03.png")
    with pytest.warns(UserWarning, match=r"8 of 36 images .*: train/a/00\.png, .*train/a/04\.png and 3 more$"):
        found = data(tmp_path, skip_broken=True)
    assert found.train.targets.tolist() == [0] * 3 + [1] * 10
    assert found.validation.targets.tolist() == [0] * 4 + [1] * 4
    assert found.test.targets.tolist() == [0] * 4 + [1] * 3


def test_a_class_without_a_sound_image_and_other_errors_are_not_skipped(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b", 1)
    break_off(tmp_path / "b" / "00.png")
    with pytest.raises(DataError, match=r"no image of the class 'b' in .* can be decoded"):
        data(tmp_path, skip_broken=True)
    write(tmp_path / "b")
    Image.new("1", (3000, 2000)).save(tmp_path / "b" / "x.png")
    with pytest.raises(DataError, match=r"x\.png has 2000 x 3000 pixels"):
        data(tmp_path, size=4, max_gigabytes=0.2, skip_broken=True)
    with pytest.raises(DataError, match="images differ in size"):
        data(tmp_path, skip_broken=True)
    for path in tmp_path.glob("*/*"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"none of the 17 images can be decoded, such as .*00\.png"):
        data(tmp_path, skip_broken=True)


def test_only_folders_of_images_have_broken_ones():
    with pytest.raises(DataError, match="takes no skip_broken="):
        data("digits", skip_broken=True)


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((32, 32, 3), "32x32 colour images (default space: resnet)"),
        ((8, 6), "8x6 grey images (default space: convnet)"),
    ],
)
def test_what_a_folder_is_taken_for_is_told(tmp_path, shape, told):
    for name in ("a", "b", "c"):
        write(tmp_path / "pets" / name, shape=shape)
    line = f"task: image classification, because pets holds 3 folders of {told}; name another with task=, or --task"
    assert task(tmp_path / "pets").told == (line,)
    assert task(tmp_path / "pets", "classification").told == ()
