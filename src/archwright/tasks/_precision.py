"""The mean average precision of object detection."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from archwright.datasets import decode_boxes
from archwright.errors import EvaluationError


class MeanPrecision:
    """Mean average precision as COCO computes it, by faster-coco-eval.

    Args:
        classes: The number of classes.
        size: Height and width of the images.

    Raises:
        EvaluationError: The library is not installed.
    """

    def __init__(self, classes: int, size: Sequence[int]) -> None:
        try:
            import faster_coco_eval  # noqa: F401 - here, rather than after the first epoch
        except ImportError as error:
            raise EvaluationError(
                "the mean average precision needs faster-coco-eval: pip install 'archwright[detection]'"
            ) from error
        self._classes, self._size = classes, size
        self._objects: list[dict[str, object]] = []
        self._found: list[dict[str, object]] = []
        self._images = 0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in outputs (n, locations, classes + 5) and objects (n, objects, 5)."""
        for image, rows in enumerate(targets.cpu().tolist(), start=self._images):
            for label, left, upper, right, lower in (row for row in rows if row[0] >= 0):
                box = [left, upper, right - left, lower - upper]
                number = len(self._objects) + 1
                self._objects.append(
                    {"id": number, "image_id": image, "category_id": int(label), "bbox": box, "iscrowd": 0}
                    | {"area": box[2] * box[3]}
                )
        for image, each in enumerate(decode_boxes(outputs.float().cpu(), self._size), start=self._images):
            for (left, upper, right, lower), score, label in zip(*(part.tolist() for part in each), strict=True):
                self._found.append(
                    {"image_id": image, "category_id": label, "bbox": [left, upper, right - left, lower - upper]}
                    | {"score": score}
                )
        self._images += len(targets)

    def compute(self) -> dict[str, float]:
        """Return "map50" and "map", means over the classes that have objects; 0 where no box is found.

        Raises:
            EvaluationError: There is no object.
        """
        if not self._objects:
            raise EvaluationError(f"none of {self._images} images has an object: precision is not defined")
        if not self._found:
            return {"map50": 0.0, "map": 0.0}  # the library takes no empty list
        from faster_coco_eval import COCO, COCOeval_faster

        height, width = self._size
        truth = COCO(
            {
                "images": [{"id": image, "height": height, "width": width} for image in range(self._images)],
                "categories": [{"id": label, "name": str(label)} for label in range(self._classes)],
                "annotations": self._objects,
            }
        )
        evaluation = COCOeval_faster(truth, truth.loadRes(self._found), "bbox", print_function=lambda *_: None)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return {"map50": float(evaluation.stats[1]), "map": float(evaluation.stats[0])}
