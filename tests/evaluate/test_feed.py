"""Batches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluate.stubs import images, table

from archwright.evaluate._device import Setup
from archwright.evaluate._feed import Feed, Share
from archwright.tasks import as_task


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(tensor: torch.Tensor) -> set[tuple[float, ...]]:
    return {tuple(row) for row in tensor.flatten(1).tolist()}


@given(st.integers(2, 70), st.integers(1, 40))
def test_batches_cover_everything_and_leave_no_single(count: int, size: int) -> None:
    feed = Feed(as_task(table((count, 1, 1))), table((count, 1, 1)).train, Setup("cpu"))
    sizes = [len(targets) for _, targets in feed.shuffled(size, generator())]
    assert sizes == feed.sizes(size)
    assert len(sizes) == feed.steps(size)
    assert sum(sizes) == count
    assert all(length == size for length in sizes[:-1])
    assert sizes[-1] <= size + 1
    assert size == 1 or 1 not in sizes


def test_each_sample_comes_once_with_its_target() -> None:
    data = table()
    feed = Feed(as_task(data), data.train, Setup("cpu"))
    pairs = [torch.cat([x, y[:, None]], 1) for x, y in feed.shuffled(7, generator())]
    wanted = torch.cat([data.normalise(data.train.inputs), data.train.targets[:, None]], 1)
    assert rows(torch.cat(pairs)) == rows(wanted)
    assert not torch.equal(torch.cat(pairs), wanted)


def test_order_follows_from_the_generator() -> None:
    data = table()
    feed = Feed(as_task(data), data.train, Setup("cpu"))

    def order(source: torch.Generator) -> torch.Tensor:
        return torch.cat([inputs for inputs, _ in feed.shuffled(16, source)])

    assert torch.equal(order(generator(3)), order(generator(3)))
    assert not torch.equal(order(generator(3)), order(generator(4)))
    again = generator(3)
    assert not torch.equal(order(again), order(again))


def test_in_order_is_the_part_as_it_is() -> None:
    data = images()
    batches = list(Feed(as_task(data), data.validation, Setup("cpu")).in_order(9))
    assert [len(targets) for _, targets in batches] == [9, 9, 9, 9, 4]
    assert torch.equal(torch.cat([x for x, _ in batches]), data.normalise(data.validation.inputs))
    assert torch.equal(torch.cat([y for _, y in batches]), data.validation.targets)


@pytest.mark.parametrize("channels_last", [True, False])
def test_images_lie_in_the_layout_of_the_setup(channels_last: bool) -> None:
    data = images(channels=3)
    setup = Setup("cpu", channels_last=channels_last)
    feed = Feed(as_task(data), data.train, setup)
    batches = [*feed.in_order(16), *feed.shuffled(16, generator(), augment=("crop", "flip", "cutout"))]
    for inputs, _ in batches:
        assert inputs.is_contiguous(memory_format=setup.layout)
        assert not inputs.is_contiguous(memory_format=Setup("cpu", channels_last=not channels_last).layout)


def test_augmentation_changes_images_and_comes_in_on_request() -> None:
    data = images()
    feed = Feed(as_task(data), data.train, Setup("cpu"))
    known = rows(data.normalise(data.train.inputs))
    plain = torch.cat([inputs for inputs, _ in feed.shuffled(16, generator())])
    assert rows(plain) == known
    for name in ("crop", "flip", "cutout"):
        changed = torch.cat([inputs for inputs, _ in feed.shuffled(16, generator(), augment=(name,))])
        assert rows(changed) - known


def test_what_cutout_takes_away_is_the_mean_and_what_crop_brings_is_black() -> None:
    data = images()
    feed = Feed(as_task(data), data.train, Setup("cpu"))
    black = data.normalise(torch.zeros(1, 1, 1, 1, dtype=torch.uint8)).item()
    (cut, _), *_ = feed.shuffled(16, generator(), augment=("cutout",))
    (shifted, _), *_ = feed.shuffled(16, generator(), augment=("crop",))
    mean = data.normalise(data.mean.round().to(torch.uint8).view(1, 1, 1, 1)).item()  # of bytes, a whole number
    assert abs(mean) < 0.5 / data.std.item()
    assert (cut == mean).flatten(1).any(1).all()
    borders = torch.cat([shifted[:, :, 0], shifted[:, :, -1]], 2).squeeze(1)
    black_rows = torch.isclose(borders, torch.tensor(black)).view(len(borders), 2, -1).all(2)
    assert black_rows.any()


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("augment", [(), ("crop", "flip")])
def test_shares_make_up_each_batch(count: int, augment: tuple[str, ...]) -> None:
    data = images((35, 9, 9))
    feed = Feed(as_task(data), data.train, Setup("cpu"))

    def of(place: int) -> list[tuple[torch.Tensor, torch.Tensor, int]]:
        return list(feed.shares(8, generator(), augment=augment, share=Share(place, count)))

    wholes = list(feed.shuffled(8, generator(), augment=augment))
    for (inputs, targets), shares in zip(wholes, zip(*map(of, range(count)), strict=True), strict=True):
        assert {samples for _, _, samples in shares} == {len(targets)}
        if len(targets) < 2 * count:
            assert all(torch.equal(share, inputs) for share, _, _ in shares)
        else:
            assert torch.equal(torch.cat([share for share, _, _ in shares]), inputs)
            assert torch.equal(torch.cat([each for _, each, _ in shares]), targets)


@given(samples=st.integers(1, 100), count=st.integers(1, 9))
def test_weighted_means_of_shares_are_the_mean(samples: int, count: int) -> None:
    values = torch.arange(samples, dtype=torch.float64)
    shares = [Share(place, count) for place in range(count)]
    total = sum(share.weight(samples) * values[share.of(samples)].mean() for share in shares)
    assert total.item() == pytest.approx(values.mean().item())
    assert all(len(values[share.of(samples)]) >= min(2, samples) for share in shares)
