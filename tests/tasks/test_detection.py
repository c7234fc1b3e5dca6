"""Object detection: files, boxes, loss, metric, and networks that are shipped."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.processes import run_alone

import archwright as aw
from archwright.datasets import Box, Boxes, InputError, Part, decode_boxes, locations, overlaps
from archwright.errors import DataError, EvaluationError
from archwright.export import export_network
from archwright.tasks import Detection

XML = "<annotation>{}</annotation>"
OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


def voc(root: Path, count: int = 12) -> Path:
    """Write images with a bright square, or a dark one, and their annotations."""
    rng = np.random.default_rng(0)
    for folder in ("JPEGImages", "Annotations"):
        (root / folder).mkdir(parents=True)
    for number in range(count):
        image, objects = np.full((64, 64), 120, dtype=np.uint8), []
        for label, value in (("light", 250), ("dark", 5)):
            top, left = rng.integers(0, 40, 2)
            image[top : top + 20, left : left + 20] = value
            objects.append(OBJECT.format(label, left, top, left + 20, top + 20))
        Image.fromarray(image).save(root / "JPEGImages" / f"{number}.png")
        (root / "Annotations" / f"{number}.xml").write_text(XML.format("".join(objects)))
    return root


def lists(root: Path, **parts: str | bytes) -> None:
    """Write lists of the names of the images of parts."""
    folder = root / "ImageSets" / "Main"
    folder.mkdir(parents=True)
    for part, names in parts.items():
        (folder / f"{part}.txt").write_bytes(names if isinstance(names, bytes) else names.encode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return voc(tmp_path_factory.mktemp("voc") / "squares")


def task_of(boxes: list[list[list[float]]], size: int = 64) -> Detection:
    """A task of two classes whose training images have these objects."""
    most = max(map(len, boxes))
    targets = torch.tensor([each + [[-1.0] * 5] * (most - len(each)) for each in boxes])
    part = Part(torch.randint(256, (len(boxes), 1, size, size), dtype=torch.uint8), targets)
    return Detection(part, part, part, ("a", "b"))


def test_pascal_voc_is_read(folder: Path) -> None:
    task = aw.task(folder)
    assert task.classes == ("dark", "light")
    assert [len(part) for part in (task.train, task.validation, task.test)] == [9, 1, 2]
    image, objects = task.train.inputs[0, 0], task.train.targets[0]
    for label, left, upper, right, lower in objects.tolist():
        inside = image[int(upper) : int(lower), int(left) : int(right)]
        assert inside.float().median() == (5 if label == 0 else 250)
    assert torch.equal(aw.task(**task.spec).train.targets, task.train.targets)


def test_lists_of_names_are_the_parts_and_coco_is_read(tmp_path: Path) -> None:
    root = voc(tmp_path / "voc")
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for name, numbers in (("train", range(6)), ("val", range(6, 8)), ("test", range(8, 12))):
        (lists / f"{name}.txt").write_text("\n".join(map(str, numbers)))
    task = aw.task(root)
    assert [len(part) for part in (task.train, task.validation, task.test)] == [6, 2, 4]
    other = tmp_path / "coco"
    (other / "annotations").mkdir(parents=True)
    (root / "JPEGImages").rename(other / "images")
    found = {"images": [], "annotations": [], "categories": [{"id": 7, "name": "dark"}, {"id": 3, "name": "light"}]}
    for place, row in enumerate(task.train.targets.tolist()):
        found["images"].append({"id": place, "file_name": f"{place}.png"})
        for label, left, upper, right, lower in row:
            box = [left, upper, right - left, lower - upper]
            found["annotations"].append({"image_id": place, "category_id": 3 if label else 7, "bbox": box})
    (other / "annotations" / "instances_train2017.json").write_text(json.dumps(found))
    again = aw.task(other, validation=1, test=1, seed=0)
    assert again.classes == task.classes
    whole = torch.cat([again.train.targets, again.validation.targets, again.test.targets])
    assert sorted(whole.flatten(1).tolist()) == sorted(task.train.targets.flatten(1).tolist())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: (root / "Annotations" / "3.xml").write_text("<annotation>"), r"3\.xml is no XML"),
        (lambda root: (root / "JPEGImages" / "3.png").unlink(), r"3\.xml has no image JPEGImages/3\.jpg"),
        (
            lambda root: (root / "Annotations" / "3.xml").write_text(XML.format(OBJECT.format("a", 1, 2, "x", 4))),
            r"3\.xml: object 1 needs a name and a bndbox",
        ),
        (
            lambda root: (root / "Annotations" / "3.xml").write_text(XML.format(OBJECT.format("a", 1, 2, "nan", 4))),
            r"3\.xml: object 1 needs a name and a bndbox",
        ),
        (lambda root: (root / "JPEGImages" / "3.png").write_bytes(b"none"), r"3\.png cannot be decoded"),
        (
            lambda root: [file.write_text(XML.format("")) for file in (root / "Annotations").iterdir()],
            "no image has an object",
        ),
        (
            lambda root: (root / "Annotations" / "3.xml").write_text(XML.format(OBJECT.format("a", 1, 2, 3, 4) * 1001)),
            r"3\.png has 1,001 objects; up to 1,000 are possible",
        ),
        (
            lambda root: (root / "Annotations" / "3.xml").write_text("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"),
            r"3\.xml declares a document type",
        ),
        (
            lambda root: (root / "Annotations" / "3.xml").write_text(XML.format(""), encoding="utf-16"),
            r"3\.xml declares a document type, or is in UTF-16",
        ),
        (
            lambda root: (root / "Annotations" / "3.xml").write_text(XML.format(" " * 2_000_000)),
            r"3\.xml has more than 2,000,000 bytes",
        ),
        *(
            (
                lambda root, name=name: (root / "Annotations" / "3.xml").write_bytes(
                    f'<?xml version="1.0" encoding="{name}"?><annotation/>'.encode()
                ),
                r"3\.xml is no XML",
            )
            for name in ("gbk", "nothing")
        ),
        (lambda root: lists(root, train="", val="1\n2", test="3\n4"), "the training part is empty"),
        (
            lambda root: (
                lists(root, train="1\n2", val="3", test="4"),
                (root / "Annotations" / "3.xml").write_text(XML.format("")),
            ),
            r"no object is in 1 validation image of voc: .*another split",
        ),
        (lambda root: lists(root, train="\ufeff1\n".encode("utf-16")), r"train\.txt, line 1: .* is not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path, change, message: str) -> None:
    root = voc(tmp_path / "voc")
    change(root)
    with pytest.raises((DataError, InputError), match=message):
        aw.task(root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bbox": [10**400, 0, 5, 5]}, "annotation 2 needs .* a bbox of four numbers"),
        ({"bbox": [1, 2, 3]}, "annotation 2 needs .* a bbox of four numbers"),
        ({"bbox": [1, 2, 3, float("nan")]}, "annotation 2 needs .* a bbox of four numbers"),
        ({"category_id": 9}, "annotation 2: category 9 is not in categories$"),
        ({"image_id": 7}, "annotation 2: image 7 is not in images$"),
        ({"file_name": "x" * 300}, "names the image 'xxx"),
        ({"file_name": "a\0b"}, "names the image 'a"),
    ],
)
def test_what_is_wrong_with_a_coco_file_is_said(tmp_path: Path, change: dict[str, object], message: str) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images").mkdir()
    Image.new("L", (64, 64)).save(tmp_path / "images" / "0.png")
    image = {"id": 0, "file_name": "0.png"}
    known = {"image_id": 0, "category_id": 1, "bbox": [1, 2, 20, 20]}
    found = {"images": [image | change], "annotations": [known, known | change]}
    file = tmp_path / "annotations" / "instances_train.json"
    file.write_text(json.dumps({**found, "categories": [{"id": 1, "name": "cat"}]}))
    with pytest.raises(DataError, match=rf"instances_train\.json.*{message}"):
        aw.task(tmp_path)


def test_boxes_outside_their_image_are_left_out_and_told(tmp_path: Path) -> None:
    root = voc(tmp_path / "voc")
    boxes = [("light", 70, 5, 90, 20), ("light", 9, 9, 9, 20), ("dark", 50, 50, 99, 99)]
    written = "".join(OBJECT.format(*each) for each in boxes)
    (root / "Annotations" / "0.xml").write_text(XML.format(written))
    task = aw.task(root, validation=1, test=1)
    assert "boxes: 2 empty or outside their image are left out, the first of 0.png" in task.told
    whole = torch.cat([part.targets for part in (task.train, task.validation, task.test)])
    assert any(row == [0.0, 50.0, 50.0, 64.0, 64.0] for image in whole.tolist() for row in image)


def test_images_without_annotation_and_of_another_size_are_warned_of(tmp_path: Path) -> None:
    root = voc(tmp_path / "voc")
    (root / "Annotations" / "5.xml").unlink()
    written = (root / "Annotations" / "3.xml").read_text()
    size = "<size><width>640</width><height>640</height></size></annotation>"
    (root / "Annotations" / "3.xml").write_text(written.replace("</annotation>", size))
    with (
        pytest.warns(UserWarning, match=r"1 image without a file in Annotations left out, 5\.png"),
        pytest.warns(UserWarning, match=r"3\.png has 64 x 64 pixels, and 640 x 640 by its annotation"),
    ):
        task = aw.task(root, validation=1, test=1)
    assert len(task.train) == 9


def test_a_perfect_network_has_no_loss_and_full_precision() -> None:
    task = task_of([[[0, 8, 8, 24, 24], [1, 30, 30, 62, 60]], [[1, 4, 20, 40, 44]]])
    targets = task.train.targets
    labels, sides = task._assigned(targets)
    assert (labels >= 0).any(1).all()
    outputs = torch.full((2, task.preprocess.locations, 7), -20.0)
    for image, place in torch.nonzero(labels >= 0).tolist():
        outputs[image, place, labels[image, place]] = 20.0
        distances = sides[image, place]
        central = (distances[::2].min() / distances[::2].max() * distances[1::2].min() / distances[1::2].max()).sqrt()
        outputs[image, place, 2] = torch.logit(central.clamp(1e-6, 1 - 1e-6))
        outputs[image, place, 3:] = torch.log(torch.expm1(distances))
    best = task.loss(outputs, targets).item()
    meter = task.meter()
    meter.update(outputs, targets)
    assert meter.compute() == pytest.approx({"map50": 1.0, "map": 1.0})
    worse = outputs.clone()
    worse[..., 3:] += 0.5
    assert task.loss(worse, targets).item() > best
    assert task.loss(torch.zeros_like(outputs), targets).item() > 5 * best
    nothing = torch.full_like(targets, -1.0)
    assert task.loss(outputs, nothing).isfinite()
    empty = task.meter()
    empty.update(outputs, nothing)
    with pytest.raises(EvaluationError, match="none of 2 images has an object"):
        empty.compute()


def test_the_precision_of_a_known_case() -> None:
    # One object of each class; of the first a sure hit, of the second a miss that is surer than its hit.
    task = task_of([[[0, 8, 8, 24, 24], [1, 32, 32, 48, 48]]] * 2)
    centres, strides = locations((64, 64))
    outputs = torch.full((1, len(centres), 7), -20.0)

    def say(x: float, y: float, label: int, score: float) -> None:
        place = int(((centres - torch.tensor([x, y])).abs().sum(1) + strides * 0.001).argmin())
        outputs[0, place, label], outputs[0, place, 2] = score, 20.0
        half = torch.tensor(8.0) / strides[place]
        shift = (centres[place] - torch.tensor([x, y])) / strides[place]
        sides = torch.cat([half + shift, half - shift])
        outputs[0, place, 3:] = torch.log(torch.expm1(sides))

    say(16, 16, 0, 3.0)
    say(20, 52, 1, 2.0)
    say(40, 40, 1, 1.0)
    meter = task.meter()
    meter.update(outputs, task.train.targets[:1])
    assert meter.compute()["map50"] == pytest.approx((1.0 + 0.5) / 2, abs=0.01)


def test_without_boxes_the_precision_is_zero() -> None:
    task = task_of([[[0, 8, 8, 24, 24]]] * 2)
    meter = task.meter()
    meter.update(torch.full((2, task.preprocess.locations, 7), -20.0), task.train.targets)
    assert meter.compute() == {"map50": 0.0, "map": 0.0}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_boxes_are_drawn_where_exif_data_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("L", (64, 32)).save(path)
    content = path.read_bytes()
    damaged = b"Exif\0\0MM\0*\0\0\0\x08\0\x09" + b"\x01\x12\0\x03\xff\xff\xff\xff" * 3
    path.write_bytes(content[:2] + b"\xff\xe1" + struct.pack(">H", len(damaged) + 2) + damaged + content[2:])
    (written,) = Boxes(str(path), None, (Box("cat", 0.9, (4.0, 4.0, 20.0, 20.0)),)).save(tmp_path)
    assert Image.open(written).size == (64, 32)


def test_images_of_an_idx_file_have_boxes_and_no_picture(tmp_path: Path) -> None:
    task = task_of([[[0, 8, 8, 24, 24]]] * 2)
    outputs = torch.full((1, task.preprocess.locations, 7), -20.0)
    outputs[0, 9, [0, 2]] = 5.0
    (found,) = task.preprocess.results(outputs, [(str(tmp_path / "digits-idx3-ubyte"), 1)])
    assert len(found.objects) == 1
    assert found.save(tmp_path) == []


def test_overlaps_and_suppression() -> None:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 15.0, 10.0], [20.0, 20.0, 30.0, 30.0]])
    wanted = torch.tensor([[1.0, 1 / 3, 0.0], [1 / 3, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert torch.allclose(overlaps(boxes, boxes), wanted)
    outputs = torch.full((1, 84, 6), -20.0)
    outputs[0, 9, :2] = 5.0
    outputs[0, 10, :2] = 4.0  # a stride beside it
    outputs[0, 9, 2:] = outputs[0, 10, 2:] = 6.0  # with boxes of six strides to each side: nearly the same
    ((found, scores, labels),) = decode_boxes(outputs, (64, 64))
    assert len(found) == len(scores) == len(labels) == 1


def test_boxes_move_with_their_images() -> None:
    rng = np.random.default_rng(0)
    images = torch.zeros((40, 1, 64, 64), dtype=torch.uint8)
    targets = torch.full((40, 2, 5), -1.0)
    for place in range(40):
        top, left = rng.integers(10, 40, 2)
        images[place, 0, top : top + 12, left : left + 9] = 255
        targets[place, 0] = torch.tensor([1.0, left, top, left + 9, top + 12])
    task = task_of([[[0, 8, 8, 24, 24]]] * 2)
    changed, moved = task.augment(images, targets, ("crop", "flip"), torch.Generator().manual_seed(0))
    assert not torch.equal(moved, targets)
    for image, (box, none) in zip(changed[:, 0], moved.tolist(), strict=True):
        rows, columns = torch.nonzero(image, as_tuple=True)
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert box == [1.0, *(float(side) for side in seen)]
        assert none == [-1.0] * 5


def test_a_network_is_searched_shipped_and_draws_boxes(folder: Path, tmp_path: Path) -> None:
    task = aw.task(folder)
    one = {"blocks": (1, 1), "repeats": (1, 1), "depths": (1, 1)}
    space = aw.spaces.create("detector", **task.space_options, widths=(8,), necks=(16,), **one)
    training = aw.Training(task, epochs=1, final_epochs=1)
    study = aw.search(space, training, budget=aw.Budget(trials=1), path=tmp_path / "run", baseline=False)
    assert {"test_map50", "test_map"} <= study.test.keys()
    file = folder / "JPEGImages" / "0.png"
    (found,) = study.predict(file)
    assert isinstance(found, Boxes)
    assert [path.name for path in found.save(tmp_path)] == ["0-boxes.png"]
    export_network(tmp_path / "run", tmp_path / "network", space=study.space, onnx=True)
    done = run_alone(tmp_path / "network" / "predict.py", file, "--json")
    (told,) = json.loads(done.stdout)["predictions"]
    assert len(told["objects"]) == len(found.objects)
    for one, other in zip(told["objects"], found.objects, strict=True):
        assert one["label"] == other.label
        assert one["box"] == pytest.approx(other.box, abs=0.1)


def test_a_picture_is_in_one_part(tmp_path: Path) -> None:
    lists = voc(tmp_path / "squares") / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("1\n2\n3\n")
    (lists / "test.txt").write_text("3\n4\n")
    with pytest.raises(aw.errors.DataError, match="name '3' 2 times"):
        aw.task(tmp_path / "squares")
