"""Semantic segmentation: files, metrics, and networks that are shipped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from tests.processes import run_alone

import archwright as aw
from archwright.datasets import IGNORED, InputError, Mask, image_size
from archwright.errors import DataError, EvaluationError, UnknownName
from archwright.export import export_network
from archwright.tasks._segmentation import Overlap

RNG = np.random.default_rng(0)
STORED = {  # what turns a picture into one that is stored in an orientation of EXIF
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_90",
    7: "TRANSVERSE",
    8: "ROTATE_270",
}


def pair(folder: Path, name: str, *, size: tuple[int, int] = (32, 32), values: tuple[int, ...] = (0, 255)) -> None:
    """Write an image with a bright rectangle, and its mask."""
    height, width = size
    image = RNG.integers(0, 60, (height, width), dtype=np.uint8)
    mask = np.full((height, width), values[0], dtype=np.uint8)
    for index, value in enumerate(values[1:], start=1):
        top, left = RNG.integers(0, height // 2), RNG.integers(0, width // 2)
        image[top : top + height // 3, left : left + width // 3] += np.uint8(60 * index)
        mask[top : top + height // 3, left : left + width // 3] = value
    for kind, array in (("images", image), ("masks", mask)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(folder / kind / f"{name}.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(12):
        pair(tmp_path / "cells", str(number))
    return tmp_path / "cells"


def test_the_task_is_recognised_and_its_images_are_split(folder: Path) -> None:
    task = aw.task(folder)
    assert task.told == (
        "task: segmentation, because cells holds images with masks of the same names; name another with task=, or "
        "--task",
    )
    assert [len(part) for part in (task.train, task.validation, task.test)] == [9, 1, 2]
    assert task.classes == ("background", "foreground")
    assert set(task.train.targets.unique().tolist()) == {0, 1}
    assert (task.space, task.objective) == ("unet", "max iou")
    again = aw.task(**task.spec)
    assert torch.equal(again.test.inputs, task.test.inputs)


def test_folders_of_parts_values_and_names_are_used(tmp_path: Path) -> None:
    for part, count in (("train", 4), ("val", 2), ("test", 3)):
        for number in range(count):
            pair(tmp_path / part, str(number), values=(0, 1, 2, IGNORED))
    (tmp_path / "classes.txt").write_text("none\nroad\ncar\n")
    task = aw.task(tmp_path)
    assert [len(part) for part in (task.train, task.validation, task.test)] == [4, 2, 3]
    assert task.classes == ("none", "road", "car")
    assert IGNORED in task.train.targets


def test_names_outside_of_the_folder_are_not_read(folder: Path) -> None:
    (folder.parent / "classes.txt").write_text("one\n")
    assert aw.task(folder).classes == ("background", "foreground")


def test_masks_count_in_the_limit_with_a_byte_for_each_pixel(folder: Path) -> None:
    pairs = [(folder / "images" / "0.png", folder / "masks" / "0.png")] * 40
    assert aw.datasets.read_pairs(pairs, gigabytes=9e-5)[1].shape == (40, 32, 32)
    with pytest.raises(InputError, match="40 images and masks of 32x32 pixels take more than the limit of 6e-05"):
        aw.datasets.read_pairs(pairs, gigabytes=6e-5)


def test_colours_are_classes(tmp_path: Path) -> None:
    pair(tmp_path, "a")
    pair(tmp_path, "b")
    for file in (tmp_path / "masks").iterdir():
        grey = np.array(Image.open(file))
        Image.fromarray(np.stack([grey, 0 * grey, 255 - grey], 2)).save(file)
    files = [(tmp_path / "images" / f"{name}.png", tmp_path / "masks" / f"{name}.png") for name in "ab"]
    assert len(aw.datasets.read_pairs(files)[2]) == 2


def test_images_of_other_sizes_are_resized_and_masks_keep_their_values(tmp_path: Path) -> None:
    pair(tmp_path, "a", size=(64, 96))
    pair(tmp_path, "b", size=(50, 40))
    pair(tmp_path, "c", size=(50, 40))
    images, masks, classes = aw.datasets.read_pairs(
        [(tmp_path / "images" / f"{name}.png", tmp_path / "masks" / f"{name}.png") for name in "abc"], size=(32, 64)
    )
    assert images.shape == (3, 1, 32, 64)
    assert masks.shape == (3, 32, 64)
    assert set(masks.unique().tolist()) == {0, 1}
    assert classes == ("background", "foreground")
    assert image_size(tmp_path / "images" / "a.png", most=64, multiple=32) == (32, 64)


@pytest.mark.parametrize(
    ("values", "names", "wanted"),
    [
        ((0, 2), "none road car", ("none", "car")),  # by their values, where there is no road
        ((0, 1), "none road car", ("none", "road")),
        ((0, IGNORED), "none road", ("none", "road")),
        ((10, 20), "none road", ("none", "road")),
    ],
)
def test_classes_have_the_names_of_their_values(
    tmp_path: Path, values: tuple[int, ...], names: str, wanted: tuple[str, ...]
) -> None:
    pair(tmp_path, "a", values=values)
    (tmp_path / "classes.txt").write_text("\n".join(names.split()))
    files = [(tmp_path / "images" / "a.png", tmp_path / "masks" / "a.png")]
    assert aw.datasets.read_pairs(files)[2] == wanted


@pytest.mark.parametrize("turn", range(1, 9))
def test_masks_lie_over_images_as_they_are_seen(tmp_path: Path, turn: int) -> None:
    seen = Image.fromarray(RNG.integers(0, 256, (6, 4), dtype=np.uint8))
    stored = seen if turn == 1 else seen.transpose(Image.Transpose[STORED[turn]])
    exif = Image.Exif()
    exif[274] = turn
    stored.save(tmp_path / "image.png", exif=exif)
    assert ImageOps.exif_transpose(Image.open(tmp_path / "image.png")).tobytes() == seen.tobytes()
    bright = np.array(seen) > 128
    Image.fromarray(bright.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    images, masks, _ = aw.datasets.read_pairs([(tmp_path / "image.png", tmp_path / "mask.png")])
    assert np.array_equal(images[0, 0].numpy(), np.array(seen))
    assert np.array_equal(masks[0].numpy(), bright)
    found = Mask(str(tmp_path / "image.png"), None, {}, masks[0].long())
    mask, overlay = found.save(tmp_path)
    assert np.array_equal(np.array(Image.open(mask)), bright)
    assert np.array_equal(np.array(Image.open(overlay))[..., 0][~bright], np.array(seen)[~bright])
    if turn > 4:
        Image.fromarray(bright.T.astype(np.uint8)).save(tmp_path / "mask.png")
        with pytest.raises(InputError, match=r"has 6x4 pixels, but its mask .* 4x6; .* as they are seen"):
            aw.datasets.read_pairs([(tmp_path / "image.png", tmp_path / "mask.png")])


def test_the_mask_of_an_image_in_an_idx_file_is_written_alone(tmp_path: Path) -> None:
    written = Mask("digits-idx3-ubyte", 3, {}, torch.eye(4, dtype=torch.int64)).save(tmp_path)
    assert [path.name for path in written] == ["digits-idx3-ubyte-3-mask.png"]
    assert np.array_equal(np.array(Image.open(written[0])), np.eye(4))


def test_the_limit_of_memory_holds_for_the_first_image(folder: Path) -> None:
    with pytest.raises(InputError, match="a sixteenth of the limit"):
        image_size(folder / "images" / "0.png", most=64, multiple=32, gigabytes=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "masks" / "3.png").unlink(), r"images/3\.png has no mask of the same name"),
        (lambda folder: (folder / "images" / "3.png").unlink(), r"masks/3\.png has no image of the same name"),
        (
            lambda folder: Image.new("L", (8, 8)).save(folder / "masks" / "3.png"),
            r"3\.png has 32x32 pixels, but its mask .*3\.png 8x8",
        ),
        (lambda folder: (folder / "masks" / "3.png").write_bytes(b"no image"), r"masks/3\.png cannot be decoded"),
        (
            lambda folder: [Image.new("L", (32, 32)).save(file) for file in (folder / "masks").iterdir()],
            "hold 1 class; 2 to 254 are possible",
        ),
        (lambda folder: (folder / "classes.txt").write_text("one\n"), "has to name 2 class"),
        (lambda folder: (folder / "classes.txt").write_text("one\ntwo\nthree\n"), "has to name 2 class.*0, 255"),
        (
            lambda folder: (folder / "classes.txt").write_bytes("one\ntwo\n".encode("utf-16")),
            r"classes\.txt, line 1: .* is not UTF-8",
        ),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(folder: Path, change, message: str) -> None:
    change(folder)
    with pytest.raises((DataError, InputError), match=message):
        aw.task(folder)


def test_other_data_and_options_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="holds no folders of images and masks"):
        aw.task(tmp_path, "segmentation")
    with pytest.raises(EvaluationError, match="has no option 'sizes'"):
        aw.task(folder, sizes=3)
    with pytest.raises(UnknownName, match="'segmentatoin'"):
        aw.task(folder, "segmentatoin")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 4))
def test_the_metrics_are_those_of_scikit_learn(seed: int, classes: int) -> None:
    from sklearn.metrics import accuracy_score, f1_score, jaccard_score

    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn((3, classes, 5, 4), generator=generator)
    targets = torch.randint(classes, (3, 5, 4), generator=generator).to(torch.uint8)
    targets[0, 0] = IGNORED
    meter = Overlap(classes)
    meter.update(outputs[:1], targets[:1])
    meter.update(outputs[1:], targets[1:])
    seen = targets != IGNORED
    true, predicted = targets[seen].numpy(), outputs.argmax(1)[seen].numpy()
    found = meter.compute()
    assert found["iou"] == pytest.approx(jaccard_score(true, predicted, average="macro", zero_division=0))
    assert found["dice"] == pytest.approx(f1_score(true, predicted, average="macro", zero_division=0))
    assert found["accuracy"] == pytest.approx(accuracy_score(true, predicted))


def test_what_is_ignored_has_no_loss_and_no_gradient(folder: Path) -> None:
    task = aw.task(folder)
    outputs = torch.randn((2, 2, 32, 32), requires_grad=True)
    targets = torch.randint(2, (2, 32, 32)).to(torch.uint8)
    targets[:, :16] = IGNORED
    task.loss(outputs, targets).backward()
    assert outputs.grad is not None
    assert not outputs.grad[:, :, :16].any()
    assert outputs.grad[:, :, 16:].any()
    perfect = torch.nn.functional.one_hot(targets.long().clamp(max=1), 2).movedim(-1, 1) * 50.0
    assert task.loss(perfect, targets).item() == pytest.approx(0, abs=0.01)


def test_masks_move_with_their_images(folder: Path) -> None:
    task = aw.task(folder)
    images = (task.train.targets[:, None] * 100).to(torch.uint8)
    generator = torch.Generator().manual_seed(0)
    changed, masks = task.augment(images, task.train.targets, ("crop", "flip"), generator)
    assert not torch.equal(masks, task.train.targets)
    seen = masks != IGNORED
    assert torch.equal(changed[:, 0][seen], (masks * 100)[seen])
    assert (changed[:, 0][~seen] == 0).all()


def test_a_network_is_searched_shipped_and_draws_masks(folder: Path, tmp_path: Path) -> None:
    task = aw.task(folder)
    space = aw.spaces.create("unet", **task.space_options, depths=(2, 2), widths=(8,))
    training = aw.Training(task, epochs=1, final_epochs=1)
    study = aw.search(space, training, strategy="random", budget=aw.Budget(trials=1), path=tmp_path / "run")
    assert {"test_iou", "test_dice", "test_accuracy"} <= study.test.keys()
    file = folder / "images" / "0.png"
    (mask,) = study.predict(file)
    assert isinstance(mask, Mask)
    assert sum(mask.shares.values()) == pytest.approx(1)
    assert mask.classes.shape == (32, 32)
    first, second = mask.save(tmp_path), mask.save(tmp_path)
    assert [path.name for path in first] == ["0-mask.png", "0-overlay.png"]
    assert [path.name for path in second] == ["0-mask-2.png", "0-overlay-2.png"]
    assert np.array_equal(np.array(Image.open(first[0])), mask.classes.numpy())
    export_network(tmp_path / "run", tmp_path / "network", space=study.space, onnx=True)
    done = run_alone(tmp_path / "network" / "predict.py", file, "--json", "--out", "pictures", cwd=tmp_path)
    (told,) = json.loads(done.stdout)["predictions"]
    assert told["shares"] == pytest.approx(mask.shares, abs=1e-4)
    assert (tmp_path / "pictures" / "0-mask.png").is_file()
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(tmp_path / "network" / "model.onnx")
    raw = torch.from_numpy(np.array(Image.open(file)))[None, None].float()
    (scores,) = session.run(None, {session.get_inputs()[0].name: raw.numpy()})
    assert (scores.argmax(1)[0] == mask.classes.numpy()).mean() > 0.99
