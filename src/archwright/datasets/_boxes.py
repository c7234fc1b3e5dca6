"""Preprocessing and results of object detection; a part of the `predict.py` of such networks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archwright.datasets._image_preprocess import ImagePreprocess
from archwright.datasets._preprocess import Result, free_path
from archwright.datasets._reading import InputError, open_image, orientation, pillow, turned

__all__ = ["STRIDES", "Box", "Boxes", "DetectionPreprocess", "decode_boxes", "locations", "overlaps"]

STRIDES = (8, 16, 32)
"""The pixels between the locations of each level of a network's outputs."""

_SCORE, _OVERLAP, _MOST = 0.05, 0.6, 100  # of a box at least; of two boxes of a class at most; boxes of an image
_SHOWN = 0.3  # the score from which a box is drawn and counted
_COLOURS = ("#e6194b", "#3cb44b", "#0082c8", "#f58231", "#911eb4", "#46f0f0", "#f032e6", "#d2f53c")


@dataclass(frozen=True)
class Box:
    """An object in an image.

    Args:
        label: Its class.
        score: How certain the network is, in 0..1.
        box: Left, upper, right and lower side, in pixels of the image.

    Example:
        >>> Box("cat", 0.9, (1.0, 1.0, 5.0, 8.0)).label
        'cat'
    """

    label: str
    score: float
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Boxes(Result):
    """The objects in an image.

    Args:
        objects: The objects, the most certain ones first.

    Example:
        >>> boxes = Boxes("a.png", None, (Box("cat", 0.9, (1.0, 1.0, 5.0, 8.0)), Box("cat", 0.1, (0.0, 0.0, 2.0, 2.0))))
        >>> boxes.cells()
        {'objects': '1 cat'}
    """

    objects: tuple[Box, ...]

    def cells(self) -> dict[str, str]:
        """Return how many objects of each class have a score of 0.3 or more."""
        counts = Counter(each.label for each in self.objects if each.score >= _SHOWN)
        return {"objects": ", ".join(f"{count} {label}" for label, count in counts.most_common()) or "none"}

    def save(self, folder: Path) -> list[Path]:
        """Draw the objects with a score of 0.3 or more into the image.

        Args:
            folder: A folder that exists. Files in it are not overwritten: new names get a number.

        Returns:
            `NAME-boxes.png`; nothing without a picture of its own, such as in an idx file.
        """
        if self.file is None or self.row is not None:
            return []
        pillow()
        from PIL import ImageDraw

        with open_image(Path(self.file), math.inf) as opened:  # the limit was that of its reading
            image = turned(opened.convert("RGB"), orientation(opened))
        draw = ImageDraw.Draw(image)
        labels = sorted({each.label for each in self.objects})
        for each in self.objects:
            if each.score >= _SHOWN:
                colour = _COLOURS[labels.index(each.label) % len(_COLOURS)]
                draw.rectangle(each.box, outline=colour, width=max(1, max(image.size) // 300))
                draw.text((each.box[0] + 3, each.box[1] + 1), f"{each.label} {each.score:.2f}", fill=colour)
        path = free_path(folder / f"{Path(self.file).stem}-boxes.png")
        image.save(path)
        return [path]


class DetectionPreprocess(ImagePreprocess):
    """Preprocessing of images in which objects are found.

    Example:
        >>> DetectionPreprocess(("cat",), 1, 32, 32, mean=(127.5,), std=(127.5,)).locations
        21
    """

    kind = "detection"
    takes = "images or folders of images"
    uses = (ImagePreprocess,)

    @property
    def locations(self) -> int:
        """The number of locations at which a network looks for objects."""
        return sum((self.height // stride) * (self.width // stride) for stride in STRIDES)

    def checked(self, outputs: Any, size: int) -> Tensor:
        """Return outputs (n, locations, classes + 5), after a check of their shape."""
        wanted = (size, self.locations, len(self.classes) + 5)
        if not isinstance(outputs, Tensor) or outputs.shape != wanted:
            got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise InputError(f"the network returned {got}, and not scores and sides of boxes, {wanted}.")
        return outputs.float().cpu()

    def results(self, outputs: Tensor, places: Sequence[tuple[str | None, int | None]]) -> list[Boxes]:
        """Return the objects of each image, in pixels of its file, or of the network for a tensor."""
        found = []
        for place, (boxes, scores, labels) in zip(places, decode_boxes(outputs, self.shape[1:]), strict=True):
            file, number = place  # the number of an image in an idx file
            width, height = _size(file) if file is not None and number is None else self.shape[:0:-1]
            scale = torch.tensor([width / self.width, height / self.height] * 2)
            objects = zip(labels.tolist(), scores.tolist(), (boxes * scale).tolist(), strict=True)
            found.append(Boxes(*place, tuple(Box(self.classes[k], s, (b[0], b[1], b[2], b[3])) for k, s, b in objects)))
        return found


def locations(size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the centres (locations, 2), as x and y in pixels, and the strides (locations,) of all locations.

    Args:
        size: Height and width of the images; multiples of 32.

    Example:
        >>> centres, strides = locations((32, 32))
        >>> centres[0].tolist(), strides[0].item(), len(centres)
        ([4.0, 4.0], 8.0, 21)
    """
    centres, strides = [], []
    for stride in STRIDES:
        y, x = (torch.arange(side // stride) * stride + stride / 2 for side in size)
        grid = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], -1).reshape(-1, 2)
        centres.append(grid)
        strides.append(torch.full((len(grid),), float(stride)))
    return torch.cat(centres), torch.cat(strides)


def decode_boxes(outputs: Tensor, size: Sequence[int]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return for each image the boxes (k, 4), scores (k,) and classes (k,) in the outputs of a network.

    An output has for each location the scores of the classes, that of its being central, and the distances to the four
    sides in strides before softplus. The score of a box is the geometric mean of the sigmoids of the first two. Of
    boxes of a class that overlap by more than 0.6 the best is kept.

    Args:
        outputs: (n, locations, classes + 5).
        size: Height and width of the images.

    Example:
        >>> outputs = torch.full((1, 21, 6), -9.0)
        >>> outputs[0, 5, :2] = 9.0
        >>> decode_boxes(outputs, (32, 32))[0][0].round().tolist()
        [[12.0, 12.0, 12.0, 12.0]]
    """
    centres, strides = locations(size)
    sides = nn.functional.softplus(outputs[..., -4:]) * strides[:, None]
    boxes = torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], -1)
    limit = torch.tensor([size[1], size[0]] * 2)
    boxes = boxes.clamp(min=0).minimum(limit)
    scores = (outputs[..., :-5].sigmoid() * outputs[..., -5:-4].sigmoid()).sqrt()
    return [_kept(*each) for each in zip(boxes, scores, strict=True)]


def overlaps(first: Tensor, second: Tensor) -> Tensor:
    """Return the intersections over the unions (n, m) of boxes (n, 4) and (m, 4).

    Example:
        >>> overlaps(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 0.0, 3.0, 2.0]])).round(decimals=3)
        tensor([[0.3330]])
    """
    corner = torch.maximum(first[:, None, :2], second[None, :, :2])
    other = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    common = (other - corner).clamp(min=0).prod(-1)
    areas = [(each[:, 2:] - each[:, :2]).prod(-1) for each in (first, second)]
    return common / (areas[0][:, None] + areas[1][None] - common).clamp(min=1e-9)


def _kept(boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    places, labels = torch.nonzero(scores > _SCORE, as_tuple=True)
    order = scores[places, labels].argsort(descending=True, stable=True)[: 10 * _MOST]
    places, labels = places[order], labels[order]
    found, certain = boxes[places], scores[places, labels]
    close = (overlaps(found, found) > _OVERLAP) & (labels[:, None] == labels)
    kept: list[int] = []
    left = torch.ones(len(found), dtype=torch.bool)
    for place in range(len(found)):
        if left[place] and len(kept) < _MOST:
            kept.append(place)
            left &= ~close[place]
    chosen = torch.tensor(kept, dtype=torch.int64)
    return found[chosen], certain[chosen], labels[chosen]


def _size(file: str) -> tuple[int, int]:
    """Return width and height of an image as it is seen."""
    with open_image(Path(file), math.inf) as image:
        size: tuple[int, int] = image.size
        return size if orientation(image) < 5 else size[::-1]
