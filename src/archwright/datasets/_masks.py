"""Preprocessing and results of semantic segmentation; a part of the `predict.py` of such networks."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archwright.datasets._image_preprocess import ImagePreprocess
from archwright.datasets._preprocess import Result, free_path
from archwright.datasets._reading import InputError, open_image, orientation, pillow, turned

__all__ = ["COLOURS", "Mask", "SegmentationPreprocess"]

COLOURS = (
    *((0, 0, 0), (230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48), (145, 30, 180)),
    *((70, 240, 240), (240, 50, 230), (210, 245, 60), (250, 190, 212), (0, 128, 128), (220, 190, 255), (170, 110, 40)),
)
"""Colours of classes in pictures; further classes begin again with the second one."""


@dataclass(frozen=True)
class Mask(Result):
    """The class of each pixel of an image.

    Args:
        shares: The share of the pixels of each class.
        classes: The classes, int64 of shape (height, width), in the resolution of the network.

    Example:
        >>> mask = Mask("cell.png", None, {"background": 0.75, "cell": 0.25}, torch.tensor([[0, 0], [0, 1]]))
        >>> mask.cells()
        {'background': '75.0 %', 'cell': '25.0 %'}
    """

    shares: dict[str, float]
    classes: Tensor = dataclasses.field(repr=False, compare=False)

    def cells(self) -> dict[str, str]:
        """Return the shares."""
        return {name: f"{share:.1%}".replace("%", " %") for name, share in self.shares.items()}

    def to_json(self) -> dict[str, Any]:
        """Return the shares; the mask itself is a picture."""
        return {"file": self.file, "row": self.row, "shares": self.shares}

    def save(self, folder: Path) -> list[Path]:
        """Write the mask in the size of the image, and the image with the mask over it.

        Args:
            folder: A folder that exists. Files in it are not overwritten: new names get a number.

        Returns:
            `NAME-mask.png`, with the index of a class for each pixel and colours to see them by, and
            `NAME-overlay.png`; without a picture of its own, such as in an idx file, only the mask.
        """
        library = pillow()
        mask = library.fromarray(self.classes.to(torch.uint8).numpy())
        name, image = "sample" if self.file is None else Path(self.file).stem, None
        if self.row is not None:
            name = f"{name}-{self.row}"
        elif self.file is not None:
            with open_image(Path(self.file), math.inf) as opened:  # the limit was that of its reading
                image = turned(opened.convert("RGB"), orientation(opened))
            mask = mask.resize(image.size, library.Resampling.NEAREST)
        mask.putpalette([part for index in range(256) for part in _colour(index)])
        written = [free_path(folder / f"{name}-mask.png")]
        mask.save(written[0])
        if image is not None:
            written.append(free_path(folder / f"{name}-overlay.png"))
            visible = library.frombytes("L", mask.size, mask.tobytes()).point([0, *[128] * 255])  # not the first class
            library.composite(mask.convert("RGB"), image, visible).save(written[1])
        return written


class SegmentationPreprocess(ImagePreprocess):
    """Preprocessing of images whose pixels are classified.

    Example:
        >>> preprocess = SegmentationPreprocess(("background", "cell"), 1, 32, 32, mean=(127.5,), std=(127.5,))
        >>> preprocess.results(torch.eye(2)[None, :, :, None], [(None, 0)])[0].shares
        {'background': 0.5, 'cell': 0.5}
    """

    kind = "segmentation"
    takes = "images or folders of images"
    uses = (ImagePreprocess,)

    def checked(self, outputs: Any, size: int) -> Tensor:
        """Return scores of the classes (n, classes, height, width), after a check of their shape."""
        wanted = (size, len(self.classes), self.height, self.width)
        if not isinstance(outputs, Tensor) or outputs.shape != wanted:
            got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            raise InputError(f"the network returned {got}, and not scores of the classes of each pixel, {wanted}.")
        return outputs.float().cpu()

    def results(self, outputs: Tensor, places: Sequence[tuple[str | None, int | None]]) -> list[Mask]:
        """Return the mask of each image."""
        found = []
        for place, mask in zip(places, outputs.argmax(1), strict=True):
            counts = torch.bincount(mask.flatten(), minlength=len(self.classes))
            shares = (counts / mask.numel()).tolist()
            found.append(Mask(*place, dict(zip(self.classes, shares, strict=True)), mask))
        return found


def _colour(index: int) -> tuple[int, int, int]:
    return COLOURS[index if index < len(COLOURS) else (index - 1) % (len(COLOURS) - 1) + 1]
