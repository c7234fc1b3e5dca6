"""Random changes to images."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import archwright as aw
from archwright.tasks import as_task
from archwright.tasks._augment import crop, flip
from archwright.tasks._augment import cutout as cutout_with

Change = Callable[[Tensor, torch.Generator], Tensor]


def cutout(images: Tensor, generator: torch.Generator) -> Tensor:
    return cutout_with(images, generator, torch.zeros(images.shape[1]))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some(count: int = 200, channels: int = 3, height: int = 8, width: int = 12) -> Tensor:
    """Bytes from 1 to 255: a 0 can only come from outside."""
    return torch.randint(1, 256, (count, channels, height, width), generator=generator(9)).to(torch.uint8)


@pytest.mark.parametrize("change", [crop, cutout, flip])
def test_shape_type_and_input_are_kept(change: Change) -> None:
    images = some()
    before = images.clone()
    for given in (images, images.float(), images.contiguous(memory_format=torch.channels_last)):
        changed = change(given, generator())
        assert changed.shape == given.shape
        assert changed.dtype == given.dtype
        assert torch.equal(given, before.to(given.dtype))
        assert torch.equal(changed, change(images, generator()).to(given.dtype))


@pytest.mark.parametrize("change", [crop, cutout, flip])
def test_only_the_given_generator_is_used(change: Change) -> None:
    images = some()
    state = torch.get_rng_state()
    assert not torch.equal(change(images, generator(1)), change(images, generator(2)))
    assert torch.equal(torch.get_rng_state(), state)


def test_flip_mirrors_about_half_of_the_images() -> None:
    images = some()
    mirrored = 0
    for before, after in zip(images, flip(images, generator()), strict=True):
        if not torch.equal(after, before):
            assert torch.equal(after, before.flip(2))
            mirrored += 1
    assert 70 < mirrored < 130


@pytest.mark.parametrize(("height", "width", "tall", "wide"), [(8, 12, 1, 1), (32, 16, 4, 2), (4, 28, 1, 3)])
def test_crop_shifts_each_image_by_itself(height: int, width: int, tall: int, wide: int) -> None:
    images = some(height=height, width=width, count=400)
    padded = F.pad(images, (wide, wide, tall, tall))
    shifts = set()
    for before, after in zip(padded, crop(images, generator()), strict=True):
        found = [
            (top, left)
            for top in range(2 * tall + 1)
            for left in range(2 * wide + 1)
            if torch.equal(after, before[:, top : top + height, left : left + width])
        ]
        assert len(found) == 1
        shifts.add(found[0])
    assert {top for top, _ in shifts} == set(range(2 * tall + 1))
    assert {left for _, left in shifts} == set(range(2 * wide + 1))


def test_cutout_zeroes_one_rectangle_of_half_the_sides() -> None:
    images = some(count=400)
    sizes = set()
    for before, after in zip(images, cutout(images, generator()), strict=True):
        hole = (after == 0).all(0)
        assert torch.equal(after[:, ~hole], before[:, ~hole])
        rows, columns = hole.any(1), hole.any(0)
        assert torch.equal(hole, rows[:, None] & columns[None, :])
        for line in (rows, columns):
            places = line.nonzero().flatten().tolist()
            assert places == list(range(places[0], places[-1] + 1))
        sizes.add((int(rows.sum()), int(columns.sum())))
    # Whole within the image, and cut off by its borders.
    assert max(sizes) == (4, 6)
    assert {rows for rows, _ in sizes} == {2, 3, 4}
    assert {columns for _, columns in sizes} == {3, 4, 5, 6}


def shapes(sided: bool) -> aw.Data:
    """A dot: which half it is in is the class, left or right, or else upper or lower."""
    centres = torch.randint(2, 14, (300, 2), generator=generator(3))
    images = torch.randint(40, (300, 1, 16, 16), generator=generator(4))
    images[torch.arange(300), 0, centres[:, 0], centres[:, 1]] += 200
    classes = (centres[:, 1 if sided else 0] > 7).long()
    return aw.data((images.to(torch.uint8), classes))


@pytest.mark.parametrize(("data", "wanted"), [(lambda: shapes(True), False), (lambda: shapes(False), True)])
def test_images_are_mirrored_where_their_class_stays(data: Callable[[], aw.Data], wanted: bool) -> None:
    names = as_task(data()).suited
    assert ("flip" in names) == wanted
    assert aw.Training(data(), epochs=1).recipe.augment == names
    assert "crop" in names


def test_digits_are_not_mirrored_and_tables_not_augmented() -> None:
    assert as_task(aw.data("digits")).suited == ("crop",)
    assert as_task(aw.data("iris")).suited == ()
    assert aw.Training(aw.data("digits"), augment=()).recipe.augment == ()


def test_values_to_be_estimated_may_be_places() -> None:
    images, places = some(60, 1), torch.rand(60)
    assert "flip" not in as_task(aw.data((images, places), task="regression")).suited
