"""Images with boxes around objects: Pascal VOC and COCO folders."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch
from torch import Tensor

from archwright._words import counted
from archwright.datasets._images import read_images, to_size
from archwright.datasets._reading import GIGABYTES, IMAGES, check_file, limit_text, open_image, orientation
from archwright.datasets._text_preprocess import text_of_file
from archwright.errors import DataError

_PARTS = {"train": "train", "val": "validation", "valid": "validation", "test": "test"}
_LARGEST = 2_000_000  # bytes of an annotation of one image; real ones have some thousands
_MOST = 1_000  # objects in an image: all images take memory for as many as one has
_LAYOUT = (
    "Pascal VOC has JPEGImages/NAME.jpg and Annotations/NAME.xml, and lists of names in ImageSets/Main/train.txt, "
    "val.txt and test.txt if the parts are given; COCO has annotations/instances_train.json (and _val, _test) beside a "
    "folder of images"
)


@dataclass(frozen=True)
class Annotated:
    """An image and the objects in it.

    Args:
        image: The file.
        objects: The name of the class and the left, upper, right and lower side in pixels, of each object.
        size: The width and height that the annotation says, if it does.

    Example:
        >>> Annotated(Path("image.png"), (("cat", (0.0, 0.0, 32.0, 80.0)),)).objects[0][0]
        'cat'
    """

    image: Path
    objects: tuple[tuple[str, tuple[float, float, float, float]], ...]
    size: tuple[float, ...] | None = None


def find_objects(root: Path) -> str | None:
    """Return "Pascal VOC" or "COCO" where a folder has that layout.

    Example:
        >>> find_objects(Path("nothing")) is None
        True
    """
    if not root.is_dir():
        return None
    if (root / "Annotations").is_dir() and (root / "JPEGImages").is_dir():
        return "Pascal VOC"
    return "COCO" if any(_instances(root)) else None


def read_objects(root: Path, *, gigabytes: float = GIGABYTES) -> dict[str, list[Annotated]]:
    """Return the images with their objects by part, "" where they are not divided.

    Raises:
        DataError: The folder has another layout, an annotation is damaged, or an image has more than 1,000 objects.
        InputError: A file cannot be opened.

    Example:
        >>> read_objects(Path("nothing"))
        Traceback (most recent call last):
        ...
        archwright.errors.DataError: nothing has no boxes: Pascal VOC has JPEGImages/NAME.jpg and Annotations/NAME.xml, and lists of names in ImageSets/Main/train.txt, val.txt and test.txt if the parts are given; COCO has annotations/instances_train.json (and _val, _test) beside a folder of images
    """  # noqa: E501
    kind = find_objects(root)
    if kind is None:
        raise DataError(f"{root} has no boxes: {_LAYOUT}")
    found = _voc(root) if kind == "Pascal VOC" else _coco(root, gigabytes)
    crowded = next((each for part in found.values() for each in part if len(each.objects) > _MOST), None)
    if crowded is not None:
        raise DataError(f"{crowded.image} has {len(crowded.objects):,} objects; up to {_MOST:,} are possible")
    if not any(each.objects for part in found.values() for each in part):
        raise DataError(f"{root}: no image has an object; {_LAYOUT}")
    return found


def tensors_of(
    annotated: Sequence[Annotated], classes: Sequence[str], *, size: object, gigabytes: float = GIGABYTES
) -> tuple[Tensor, Tensor, list[Path]]:
    """Return images, targets, and the images of boxes that were left out.

    Args:
        annotated: The images.
        classes: The names of the classes.
        size: Height and width to resize to.
        gigabytes: The most memory that the images may take.

    Returns:
        uint8 (n, channels, height, width); float32 (n, objects, 5) with the class and the four sides in pixels of the
        resized images, and rows of -1 behind the objects of an image; and for each box that is empty or outside
        its image the file of that. Boxes that reach beyond the image are cut off.

    Warns:
        UserWarning: An annotation says another size than its image has.

    Example:
        >>> from PIL import Image
        >>> from archwright.datasets import Annotated, tensors_of
        >>> Image.new("L", (64, 64)).save("image.png")
        >>> image = Annotated(Path("image.png"), (("cat", (0.0, 0.0, 32.0, 80.0)),))
        >>> tensors_of([image], ["cat"], size=32)[1]
        tensor([[[ 0.,  0.,  0., 16., 32.]]])
    """
    height, width = to_size(size)
    images = read_images([each.image for each in annotated], size=(height, width), gigabytes=gigabytes)
    rows, left_out, other = list[Tensor](), list[Path](), list[str]()
    for each in annotated:
        with open_image(each.image, gigabytes) as image:
            sides = image.size if orientation(image) < 5 else image.size[::-1]
        if each.size is not None and sorted(each.size) != sorted(sides):
            said = " x ".join(f"{side:g}" for side in each.size)
            other.append(f"{each.image} has {sides[0]} x {sides[1]} pixels, and {said} by its annotation")
        scale = torch.tensor([width / sides[0], height / sides[1]] * 2)
        boxes = torch.tensor([box for _, box in each.objects]).reshape(-1, 4) * scale
        boxes = boxes.clamp(min=0).minimum(torch.tensor([width, height] * 2))
        labels = torch.tensor([classes.index(label) for label, _ in each.objects], dtype=torch.float32)
        kept = ((boxes[:, 2:] - boxes[:, :2]) > 0.5).all(1)
        left_out += [each.image] * int((~kept).sum())
        rows.append(torch.cat([labels[:, None], boxes], 1)[kept])
    if other:
        more = f" (the first of {len(other):,} such images)" if len(other) > 1 else ""
        warnings.warn(f"{other[0]}: boxes are taken as pixels of the image as it is{more}", stacklevel=2)
    most = max(1, *(len(row) for row in rows))
    targets = torch.full((len(rows), most, 5), -1.0)
    for place, row in enumerate(rows):
        targets[place, : len(row)] = row
    return images, targets, left_out


def _voc(root: Path) -> dict[str, list[Annotated]]:
    lists = [(part, root / "ImageSets" / "Main" / f"{name}.txt") for name, part in _PARTS.items()]
    named = {
        part: [name for line in text_of_file(path).splitlines() if (name := line.strip())]
        for part, path in lists
        if path.is_file()
    }
    for name, count in Counter(name for names in named.values() for name in names).items():
        if count > 1:
            raise DataError(f"{root}/ImageSets/Main: the lists name {name!r} {count} times; once is right")
    if "train" not in named:
        files = sorted(path.stem for path in (root / "Annotations").iterdir() if path.suffix == ".xml")
        named = {"": files}
        images = sorted(path for path in (root / "JPEGImages").iterdir() if path.suffix.lower() in IMAGES)
        if alone := [path for path in images if path.stem not in set(files)]:
            told = f"{counted(len(alone), 'image')} without a file in Annotations left out"
            warnings.warn(f"{root}: {told}, {'such as ' * (len(alone) > 1)}{alone[0].name}", stacklevel=2)
    return {part: [_voc_image(root, name) for name in names] for part, names in named.items()}


def _voc_image(root: Path, name: str) -> Annotated:
    if Path(name).name != name:
        raise DataError(f"{root}/ImageSets: {name!r} is no name of a file in Annotations/")
    path = root / "Annotations" / f"{name}.xml"
    check_file(path)
    if path.stat().st_size > _LARGEST:
        raise DataError(f"{path} has more than {_LARGEST:,} bytes, and is no annotation of one image")
    content = path.read_bytes()
    if b"<!DOCTYPE" in content or b"\0" in content:  # entities make megabytes of kilobytes; UTF-16 would hide them
        raise DataError(f"{path} declares a document type, or is in UTF-16, and is no annotation of Pascal VOC")
    try:
        tree = ElementTree.fromstring(content)
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # the latter two of an encoding
        raise DataError(f"{path} is no XML: {error}") from error
    suffixes = [*IMAGES, *map(str.upper, IMAGES)]
    image = next((file for suffix in suffixes if (file := root / "JPEGImages" / f"{name}{suffix}").is_file()), None)
    if image is None:
        raise DataError(f"{path} has no image JPEGImages/{name}.jpg")
    objects = []
    for number, found in enumerate(tree.iter("object"), start=1):
        label, sides = (found.findtext("name") or "").strip(), [found.findtext(f"bndbox/{side}") for side in _SIDES]
        try:
            box = tuple(float(side or "") for side in sides)
        except ValueError:
            box = ()
        if not label or len(box) != 4 or not all(map(math.isfinite, box)):
            raise DataError(f"{path}: object {number} needs a name and a bndbox with {', '.join(_SIDES)} as numbers")
        objects.append((label.strip(), (box[0], box[1], box[2], box[3])))
    try:
        size = tuple(float(tree.findtext(f"size/{side}") or "") for side in ("width", "height"))
    except ValueError:
        size = None
    return Annotated(image, tuple(objects), size)


_SIDES = ("xmin", "ymin", "xmax", "ymax")


def _instances(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of annotations in a COCO folder, with their part."""
    folder = root / "annotations"
    for path in sorted(folder.glob("instances_*.json")) if folder.is_dir() else ():
        name = path.stem.removeprefix("instances_")
        part = next((part for start, part in _PARTS.items() if name.startswith(start)), None)
        if part is not None:
            yield part, path


def _coco(root: Path, gigabytes: float) -> dict[str, list[Annotated]]:
    found = {part: _coco_part(root, path, gigabytes) for part, path in _instances(root)}
    return found if "train" in found else {"": [each for part in found.values() for each in part]}


def _coco_part(root: Path, path: Path, gigabytes: float) -> list[Annotated]:
    check_file(path)
    if path.stat().st_size > gigabytes / 4 * 1e9:
        raise DataError(f"{path} takes more than a quarter of {limit_text(gigabytes)}")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON: {error}") from error
    try:
        names = {each["id"]: str(each["name"]) for each in data["categories"]}
        files = {each["id"]: str(each["file_name"]) for each in data["images"]}
        annotations = list(data["annotations"])
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path} is no COCO file of instances: an object with the lists categories (each with id and name), images "
            "(each with id and file_name) and annotations"
        ) from error
    objects: dict[Any, list[Any]] = {key: [] for key in files}
    for number, each in enumerate(annotations, start=1):
        where = f"{path}, annotation {number}"
        try:
            x, y, width, height = box = tuple(map(float, each["bbox"]))
            if not all(map(math.isfinite, box)):
                raise ValueError(box)
            image, category = each["image_id"], each["category_id"]
            lacks = [f"image {image!r:.40} is not in images"] * (image not in files)
            lacks += [f"category {category!r:.40} is not in categories"] * (category not in names)
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise DataError(
                f"{where} needs an image_id, a category_id and a bbox of four numbers: x, y, width, height"
            ) from error
        if lacks:
            raise DataError(f"{where}: {lacks[0]}")
        objects[image].append((names[category], (x, y, x + width, y + height)))
    part = path.stem.removeprefix("instances_")
    places = [root / part, root / "images" / part, root / "images", root]
    return [Annotated(_image(path, name, places), tuple(objects[key])) for key, name in files.items()]


def _image(annotations: Path, name: str, places: Sequence[Path]) -> Path:
    """Return the file of an image, which lies in one of some folders."""
    for place in places:
        file = place / name
        if os.path.isfile(file) and file.resolve().is_relative_to(place.resolve()):
            return file
    raise DataError(f"{annotations} names the image {name!r}, which is in none of {', '.join(map(str, places))}")


def class_names_of(parts: Mapping[str, Sequence[Annotated]]) -> tuple[str, ...]:
    """Return the names of all classes, sorted.

    Raises:
        DataError: There are none.

    Example:
        >>> from archwright.datasets import Annotated, class_names_of
        >>> class_names_of({"": [Annotated(Path("a.png"), (("dog", (0, 0, 1, 1)), ("cat", (0, 0, 1, 1))))]})
        ('cat', 'dog')
    """
    names = sorted({label for part in parts.values() for each in part for label, _ in each.objects})
    if not names:
        raise DataError(f"{counted(sum(map(len, parts.values())), 'image')} without a single object")
    return tuple(names)
