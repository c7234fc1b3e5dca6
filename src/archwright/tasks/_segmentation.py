"""Semantic segmentation: a class for each pixel of an image."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archwright.datasets import (
    IGNORED,
    Part,
    SegmentationPreprocess,
    find_pairs,
    fitted_to_images,
    image_size,
    read_pairs,
    three_parts,
)
from archwright.errors import EvaluationError
from archwright.tasks._augment import crop, flip
from archwright.tasks._baseline import ClassicalMethod
from archwright.tasks._classification import check_floats
from archwright.tasks._registry import register
from archwright.tasks._task import Task

_SIDE, _MULTIPLE = 256, 32  # of an image at most, unless a size is given; and what a side is a multiple of


class Segmentation(Task):
    """Semantic segmentation of images.

    A network gives a score for each class and pixel, shape (n, classes, height, width). The loss is the cross-entropy
    in nats plus one minus the Dice coefficient of the probabilities (Milletari, Navab and Ahmadi, "V-Net", 2016).
    Metrics are "iou", the mean over the classes of the intersection over the union of all pixels of the part; "dice",
    the mean of `2 |A and B| / (|A| + |B|)`; and "accuracy", the share of pixels; all in 0..1. Pixels whose mask is 255
    are not looked at.

    Args:
        train: Images, uint8 (n, channels, height, width), with masks, uint8 (n, height, width).
        validation: Likewise.
        test: Likewise; may be empty.
        classes: The names of the classes.
        name: The name.

    Example:
        >>> from archwright.tasks import Segmentation
        >>> images = torch.randint(256, (12, 1, 32, 32), dtype=torch.uint8)
        >>> part = aw.datasets.Part(images, (images[:, 0] > 128).byte())
        >>> Segmentation(part, part, part.select(torch.arange(0)), ("dark", "bright")).objective
        'max iou'
    """

    kind = "image"
    augmentations = ("crop", "flip")
    space = "unet"
    metrics = frozenset(("loss", "iou", "dice", "accuracy"))
    least_steps = 1_000
    batch_size = 8
    preprocess: SegmentationPreprocess

    def __init__(
        self,
        train: Part,
        validation: Part,
        test: Part,
        classes: tuple[str, ...],
        *,
        name: str = "segmentation",
    ) -> None:
        self.classes = classes
        self.preprocess = fitted_to_images(SegmentationPreprocess, train.inputs, classes)
        self.space_options = {"input_shape": self.preprocess.shape, "classes": len(classes)}
        super().__init__(
            train=train,
            validation=validation,
            test=test,
            loss=self._loss_of,
            objective="max iou",
            example_input=self.preprocess.shape,
            name=name,
        )

    @property
    def baselines(self) -> Sequence[ClassicalMethod]:
        """Gradient boosting on a filter bank; of scikit-learn, which is loaded for it."""
        from archwright.tasks._pixels import pixel_classifiers

        return pixel_classifiers(self)

    def prepare(self, inputs: Any) -> Tensor:
        """Return normalised images."""
        return self.preprocess.normalise(inputs)

    def augment(
        self, inputs: Any, targets: Any, names: Collection[str], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return images and masks with the same random shifts and flips; what comes in is not looked at."""
        # Masks go along as a channel of bytes. One more makes 0 of what is ignored, which is what comes in at a border.
        both = torch.cat([inputs, (targets + 1)[:, None]], 1)
        if "crop" in names:
            both = crop(both, generator)
        if "flip" in names:
            both = flip(both, generator)
        return both[:, :-1], both[:, -1] - 1

    def check_outputs(self, outputs: Any, size: int) -> None:
        """Check that the outputs are floating-point scores for each class and pixel.

        Raises:
            EvaluationError: The shape or type is wrong.
        """
        shape = (size, len(self.classes), *self.preprocess.shape[1:])
        check_floats(outputs, shape, "a score for each class and pixel")

    def _loss_of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        outputs, targets = outputs.float(), targets.long()
        seen = targets != IGNORED
        entropy = F.cross_entropy(outputs, targets, ignore_index=IGNORED, reduction="sum") / seen.sum().clamp(min=1)
        truth = F.one_hot(targets.where(seen, 0), len(self.classes)).movedim(-1, 1)
        shares, kept = outputs.softmax(1), seen[:, None]
        overlap = (shares * truth * kept).sum((0, 2, 3))
        size = ((shares + truth) * kept).sum((0, 2, 3))
        return entropy + 1 - ((2 * overlap + 1) / (size + 1)).mean()

    def meter(self, device: str = "cpu") -> Overlap:
        """Return the metrics of a part, computed from one confusion matrix of pixels."""
        return Overlap(len(self.classes), device)

    def decode(self, outputs: Tensor) -> list[Tensor]:
        """Return the mask of each image, int64 (height, width)."""
        return list(outputs.argmax(1))


class Overlap:
    """The metrics of a segmentation, from one confusion matrix of pixels.

    Args:
        classes: The number of classes.
        device: Where the counts are kept.
    """

    def __init__(self, classes: int, device: str = "cpu") -> None:
        self._counts = torch.zeros((classes, classes), dtype=torch.int64, device=device)

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count pixels, from scores (n, classes, height, width) and targets (n, height, width)."""
        classes = len(self._counts)
        seen = targets != IGNORED
        pairs = targets[seen].long() * classes + outputs.argmax(1)[seen]
        self._counts += torch.bincount(pairs, minlength=classes * classes).view(classes, classes)

    def compute(self) -> dict[str, float]:
        """Return "iou", "dice" and "accuracy"; a class that is neither a target nor predicted is left out."""
        counts = self._counts.cpu().double()
        hits, total = counts.diagonal(), counts.sum(0) + counts.sum(1)
        present = total > 0
        return {
            "iou": (hits / (total - hits).clamp(min=1))[present].mean().item(),
            "dice": (2 * hits / total.clamp(min=1))[present].mean().item(),
            "accuracy": (hits.sum() / counts.sum().clamp(min=1)).item(),
        }


def _recognise(path: Path) -> str | None:
    return "images with masks of the same names" if path.is_dir() and find_pairs(path) is not None else None


@register("segmentation", recognise=_recognise)
def segmentation(
    source: Path,
    *,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    size: Any = None,
    max_gigabytes: float = 4.0,
) -> Segmentation:
    """Semantic segmentation of images in folders.

    Args:
        source: A folder with images/ and masks/ (or labels/), or with these two in train/, val/ and test/. Each value
            or colour of the masks is a class; 255 beside several others is not looked at.
        validation: Share or number of images for validation, unless they have a folder.
        test: Likewise for the test.
        seed: Of the split.
        size: To resize images to: a number of pixels, or (height, width). By default their own size, or a smaller one
            of the same shape, up to 256 pixels; sides become multiples of 32.
        max_gigabytes: The most memory that the images may take.
    """
    pairs = find_pairs(source)
    if pairs is None:
        raise EvaluationError(f"{source} holds no folders of images and masks; give FOLDER/images and FOLDER/masks")
    files, places = three_parts(pairs, validation=validation, test=test, seed=seed)
    given = size
    if given is None:
        given = image_size(files[0][0], most=_SIDE, multiple=_MULTIPLE, gigabytes=max_gigabytes)
    images, masks, classes = read_pairs(files, size=given, gigabytes=max_gigabytes, root=source)
    train, held, final = (Part(images[chosen], masks[chosen]) for chosen in places)
    return Segmentation(train, held, final, classes, name=source.name)
