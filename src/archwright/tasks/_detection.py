"""Object detection: boxes around the objects in an image, with their classes."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archwright._words import counted
from archwright.datasets import (
    DetectionPreprocess,
    Part,
    class_names_of,
    decode_boxes,
    find_objects,
    fitted_to_images,
    image_size,
    locations,
    read_objects,
    tensors_of,
    three_parts,
)
from archwright.errors import DataError, EvaluationError
from archwright.tasks._augment import crop, flip
from archwright.tasks._classification import check_floats
from archwright.tasks._precision import MeanPrecision
from archwright.tasks._registry import register
from archwright.tasks._task import Task

_SIDE, _MULTIPLE = 256, 32  # of an image at most, unless a size is given; and what a side is a multiple of
_RADIUS = 1.5  # strides from the middle of an object, within which locations learn of it
_REACH = 8.0  # strides that the side of a box at most is away in the finest level; objects of more are for the next
_ALPHA, _GAMMA = 0.25, 2.0  # of the focal loss


class Detection(Task):
    """Detection of objects in images.

    A network gives for each location of three levels, of strides 8, 16 and 32, the scores of the classes, a score of
    being central, and the distances to the four sides of the box, shape (n, locations, classes + 5): see
    `spaces.create("detector")`. The loss is that of Tian et al., "FCOS: Fully convolutional one-stage object
    detection", ICCV 2019: the focal loss of the classes, the generalised IoU loss of the boxes, weighted by
    centrality, and the cross-entropy of centrality. Metrics are "map50" and "map", the mean average precision over the
    classes at an IoU of 0.5, and averaged over 0.5, 0.55, ..., 0.95, as COCO computes them, in 0..1.

    Args:
        train: Images, uint8 (n, channels, height, width), with objects, float32 (n, objects, 5): class, left, upper,
            right and lower side in pixels; rows of -1 are none.
        validation: Likewise.
        test: Likewise; may be empty.
        classes: The names of the classes.
        name: The name.

    Raises:
        DataError: No image of a part has an object, so that there is nothing to learn, or precision is not defined.

    Example:
        >>> from archwright.tasks import Detection
        >>> images = torch.randint(256, (8, 1, 32, 32), dtype=torch.uint8)
        >>> part = aw.datasets.Part(images, torch.tensor([[[0.0, 4.0, 4.0, 20.0, 20.0]]]).repeat(8, 1, 1))
        >>> Detection(part, part, part.select(torch.arange(0)), ("cat",)).objective
        'max map50'
    """

    kind = "image"
    augmentations = ("crop", "flip")
    space = "detector"
    metrics = frozenset(("loss", "map50", "map"))
    least_steps = 1_500
    batch_size = 8
    preprocess: DetectionPreprocess

    def __init__(
        self,
        train: Part,
        validation: Part,
        test: Part,
        classes: tuple[str, ...],
        *,
        name: str = "detection",
    ) -> None:
        for part, each in (("training", train), ("validation", validation), ("test", test)):
            if len(each) and not bool((each.targets[..., 0] >= 0).any()):
                raise DataError(
                    f"no object is in {counted(len(each), f'{part} image')} of {name}: give the part images with "
                    "objects, or have another split drawn (seed=, or a larger validation= or test=)"
                )
        self.classes = classes
        self.preprocess = fitted_to_images(DetectionPreprocess, train.inputs, classes)
        self._centres, self._strides = locations(self.preprocess.shape[1:])
        self.space_options = {"input_shape": self.preprocess.shape, "classes": len(classes)}
        super().__init__(
            train=train,
            validation=validation,
            test=test,
            loss=self._loss_of,
            objective="max map50",
            example_input=self.preprocess.shape,
            name=name,
        )

    def prepare(self, inputs: Any) -> Tensor:
        """Return normalised images."""
        return self.preprocess.normalise(inputs)

    def augment(
        self, inputs: Any, targets: Any, names: Collection[str], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return images and boxes with the same random shifts and flips; boxes are cut off at the border."""
        height, width = self.preprocess.shape[1:]
        # Where each pixel comes from tells how an image was moved: two channels of coordinates go along.
        rows = torch.arange(1, height + 1, dtype=torch.float32)[:, None].expand(height, width)
        columns = torch.arange(1, width + 1, dtype=torch.float32).expand(height, width)
        grid = torch.stack([rows, columns]).expand(len(inputs), -1, -1, -1).to(inputs.device)
        both = torch.cat([inputs.float(), grid], 1)
        if "crop" in names:
            both = crop(both, generator)
        if "flip" in names:
            both = flip(both, generator)
        images, moved = both[:, :-2].to(inputs.dtype), both[:, -2:]
        middle = moved[:, :, height // 2, width // 2]  # which is never beyond the border: shifts are by an eighth
        mirrored = moved[:, 1, height // 2, width // 2 - 1] > middle[:, 1]
        down = height // 2 + 1 - middle[:, 0]
        boxes, empty = targets[..., 1:], targets[..., :1] < 0
        across = torch.where(mirrored, width // 2 + middle[:, 1], width // 2 + 1 - middle[:, 1])
        left = torch.where(mirrored[:, None], across[:, None] - boxes[..., 2], across[:, None] + boxes[..., 0])
        right = torch.where(mirrored[:, None], across[:, None] - boxes[..., 0], across[:, None] + boxes[..., 2])
        found = torch.stack([left, boxes[..., 1] + down[:, None], right, boxes[..., 3] + down[:, None]], -1)
        found = found.clamp(min=0).minimum(found.new_tensor([width, height, width, height]))
        gone = empty | ((found[..., 2:] - found[..., :2]) <= 1).any(-1, keepdim=True)
        return images, torch.where(gone, -1.0, torch.cat([targets[..., :1], found], -1))

    def check_outputs(self, outputs: Any, size: int) -> None:
        """Check that the outputs are floating-point numbers for each location.

        Raises:
            EvaluationError: The shape or type is wrong.
        """
        meaning = "for each location the scores of the classes, one of being central, and four distances"
        check_floats(outputs, (size, self.preprocess.locations, len(self.classes) + 5), meaning)

    def meter(self, device: str = "cpu") -> MeanPrecision:
        """Return the metrics of a part."""
        return MeanPrecision(len(self.classes), self.preprocess.shape[1:])

    def decode(self, outputs: Tensor) -> list[Any]:
        """Return boxes (k, 4), scores (k,) and classes (k,) of each image."""
        return decode_boxes(outputs.float().cpu(), self.preprocess.shape[1:])

    def _loss_of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        outputs = outputs.float()
        labels, sides = self._assigned(targets)
        found = labels >= 0
        count = found.sum().clamp(min=1)
        truth = F.one_hot(labels.clamp(min=0), len(self.classes)) * found[..., None]
        scores = outputs[..., :-5]
        entropy = F.binary_cross_entropy_with_logits(scores, truth.to(scores.dtype), reduction="none")
        missed = torch.where(truth > 0, 1 - scores.sigmoid(), scores.sigmoid())
        focal = (torch.where(truth > 0, _ALPHA, 1 - _ALPHA) * missed**_GAMMA * entropy).sum() / count
        if not bool(found.any()):
            return focal + 0 * outputs.sum()
        wanted = sides[found]
        across, along = wanted[:, [0, 2]], wanted[:, [1, 3]]
        ratio = (across.min(1).values / across.max(1).values) * (along.min(1).values / along.max(1).values)
        central = ratio.clamp(min=0).sqrt()
        centre = F.binary_cross_entropy_with_logits(outputs[..., -5][found], central)
        boxes = (_unlike(F.softplus(outputs[..., -4:][found]), wanted) * central).sum() / central.sum().clamp(min=1e-6)
        return focal + centre + boxes

    def _assigned(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return for each location the class of its object (n, locations), or -1, and the distances in strides."""
        centres, strides = self._centres.to(targets.device), self._strides.to(targets.device)
        boxes, exists = targets[:, None, :, 1:], targets[:, None, :, 0] >= 0  # (n, 1, objects, ...)
        near, far = centres[:, None] - boxes[..., :2], boxes[..., 2:] - centres[:, None]
        sides = torch.cat([near, far], -1) / strides[:, None, None]  # (n, locations, objects, 4)
        middle = (boxes[..., :2] + boxes[..., 2:]) / 2
        close = ((centres[:, None] - middle).abs() <= _RADIUS * strides[:, None, None]).all(-1)
        reach = sides.amax(-1)
        finest, coarsest = strides == strides.min(), strides == strides.max()
        fits = (reach > torch.where(finest, 0.0, _REACH / 2)[:, None]) & (
            reach <= torch.where(coarsest, torch.inf, _REACH)[:, None]
        )
        area = (boxes[..., 2:] - boxes[..., :2]).prod(-1).expand(reach.shape)
        allowed = exists & (sides.amin(-1) > 0) & close & fits
        smallest, place = torch.where(allowed, area, torch.inf).min(2)
        labels = torch.gather(targets[..., 0].long(), 1, place)
        labels = torch.where(smallest.isfinite(), labels, -1)
        return labels, torch.gather(sides, 2, place[..., None, None].expand(-1, -1, 1, 4))[:, :, 0]


def _unlike(sides: Tensor, wanted: Tensor) -> Tensor:
    """Return 1 - generalised IoU of boxes around the same points, given by the distances of their sides (k, 4)."""
    common = torch.minimum(sides, wanted)
    around = torch.maximum(sides, wanted)
    areas = [(each[:, 0] + each[:, 2]) * (each[:, 1] + each[:, 3]) for each in (sides, wanted, common, around)]
    union = areas[0] + areas[1] - areas[2]
    return 1 - areas[2] / union.clamp(min=1e-6) + (areas[3] - union) / areas[3].clamp(min=1e-6)


def _recognise(path: Path) -> str | None:
    kind = find_objects(path)
    return None if kind is None else f"boxes in the layout of {kind}"


@register("detection", recognise=_recognise)
def detection(
    source: Path,
    *,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    size: Any = None,
    max_gigabytes: float = 4.0,
) -> Detection:
    """Detection of objects in images, in folders of the layout of Pascal VOC or COCO.

    Args:
        source: A folder with JPEGImages/ and Annotations/, and perhaps ImageSets/Main/; or with annotations/ of COCO.
        validation: Share or number of images for validation, unless they are listed.
        test: Likewise for the test.
        seed: Of the split.
        size: To resize images to: a number of pixels, or (height, width), multiples of 32. By default about their own
            shape, with up to 256 pixels.
        max_gigabytes: The most memory that the images may take.
    """
    found = read_objects(source, gigabytes=max_gigabytes)
    classes = class_names_of(found)
    images, places = three_parts(found, validation=validation, test=test, seed=seed)
    given = size
    if given is None:
        given = image_size(images[0].image, most=_SIDE, multiple=_MULTIPLE, gigabytes=max_gigabytes)
    inputs, targets, left_out = tensors_of(images, classes, size=given, gigabytes=max_gigabytes)
    if any(side % _MULTIPLE for side in inputs.shape[2:]):
        raise EvaluationError(f"size={size!r}: the sides are multiples of {_MULTIPLE}")
    train, held, final = (Part(inputs[chosen], targets[chosen]) for chosen in places)
    task = Detection(train, held, final, classes, name=source.name)
    if left_out:
        told = f"boxes: {len(left_out):,} empty or outside their image are left out, the first of {left_out[0].name}"
        task.told = (told,)
    return task
