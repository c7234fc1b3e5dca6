"""Stratified, seeded splits, the same in every process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from archwright._scalars import is_whole, scalar
from archwright.errors import DataError

Indices = npt.NDArray[np.int64]
T = TypeVar("T")


def split(
    targets: Indices, *, validation: float | None, test: float | None, seed: int
) -> tuple[Indices, Indices, Indices]:
    """Return the indices of the training, validation and test samples, each in ascending order.

    Shares, fractions (float) or numbers of samples (int), are taken of all samples given; no part is taken that comes
    with the data (None). The test part is drawn first and the validation part from what is left; each draw
    is stratified by the (n,) classes, see `choose`. DataError where a share comes to no sample, or both leave less than
    one training sample for each class.
    """
    total = len(targets)
    tested = 0 if test is None else _count("test", test, total)
    validated = 0 if validation is None else _count("validation", validation, total)
    classes = len(np.unique(targets))
    left = total - tested - validated
    if left < classes:
        shares = {"validation": validation, "test": test}
        taken = " and ".join(f"{name}={share}" for name, share in shares.items() if share is not None) or "none"
        raise DataError(
            f"{taken} of {total} samples leave {max(left, 0)} to train on, for {classes} classes; "
            "lower the shares so that each class keeps at least one."
        )
    rng = np.random.default_rng(seed)
    everything = np.arange(total, dtype=np.int64)
    in_test = choose(targets, tested, rng)
    rest = everything[~in_test]
    in_validation = choose(targets[rest], validated, rng)
    return rest[~in_validation], rest[in_validation], everything[in_test]


def three_parts(
    given: Mapping[str, Sequence[T]], *, validation: float, test: float, seed: int, strata: Indices | None = None
) -> tuple[list[T], list[torch.Tensor]]:
    """Return all samples in one list, and the places of the training, validation and test samples in it.

    Args:
        given: The samples by part: "train", and where they are official "validation" and "test"; or all of them under
            "", which are split. Where there is an official part, none is split off for it.
        validation: A share (float) or number (int) of samples.
        test: Likewise.
        seed: The seed of the split.
        strata: The (n,) classes of the samples to split, which are taken in proportion; `None` for one class.

    Raises:
        DataError: There are no training samples, or a share is out of range or leaves a part without samples.

    Example:
        >>> from archwright.datasets import three_parts
        >>> samples, places = three_parts({"": "abcdefghij"}, validation=0.1, test=0.2, seed=0)
        >>> [len(each) for each in places]
        [7, 1, 2]
    """
    train = list(given.get("train", given.get("", ())))
    if not train:
        raise DataError("the training part is empty: give it samples, or give all samples undivided, to be split")
    held, final = list(given.get("validation", ())), list(given.get("test", ()))
    classes = np.zeros(len(train), dtype=np.int64) if strata is None else strata
    places = list(
        split(
            classes,
            validation=to_share("validation", validation),
            test=None if final else to_share("test", test),
            seed=to_seed(seed),
        )
        if not held
        else _tested(len(train), None if final else _count("test", to_share("test", test), len(train)), to_seed(seed))
    )
    if held:
        places[1] = len(train) + np.arange(len(held))
    if final:
        places[2] = len(train) + len(held) + np.arange(len(final))
    return train + held + final, [torch.from_numpy(each) for each in places]


def split_in_order(
    samples: Sequence[T], *, validation: float, test: float, official: Mapping[str, Sequence[T]]
) -> tuple[Sequence[T], Sequence[T], Sequence[T]]:
    """Return the training, validation and test samples of a sequence, which follow each other in this order.

    Args:
        samples: The sequence.
        validation: A share (float) or number (int) of samples.
        test: Likewise.
        official: "validation" and "test" samples that are given; nothing is split off for them.

    Raises:
        DataError: A share is out of range, or leaves a part without samples.

    Example:
        >>> from archwright.datasets import split_in_order
        >>> split_in_order("abcdefghij", validation=0.1, test=2, official={})
        ('abcdefg', 'h', 'ij')
    """
    shares = {"validation": validation, "test": test}
    counts = {
        part: 0 if part in official else _count(part, to_share(part, share), len(samples))
        for part, share in shares.items()
    }
    end = len(samples) - counts["test"]
    start = end - counts["validation"]
    if start < 1:
        raise DataError(f"validation={validation} and test={test} of {len(samples)} samples leave none to train on")
    held = official.get("validation", samples[start:end])
    return samples[:start], held, official.get("test", samples[end:])


def _tested(total: int, count: int | None, seed: int) -> tuple[Indices, Indices, Indices]:
    """Return the indices of the training and test samples, where the validation samples are given."""
    if count is not None and count >= total:
        raise DataError(f"test={count} of {total} samples leaves none to train on; lower it")
    in_test = choose(np.zeros(total, dtype=np.int64), count or 0, np.random.default_rng(seed))
    everything = np.arange(total, dtype=np.int64)
    return everything[~in_test], everything[:0], everything[in_test]


def to_share(part: str, given: object) -> float:
    """Return a share as a fraction between 0 and 1 (float), or as a number of samples of 1 or more (int)."""
    share = scalar(given)
    if is_whole(share) and share >= 1:
        return share
    if isinstance(share, float) and 0 < share < 1:
        return share
    raise DataError(
        f"{part}={given!r} must be a fraction between 0 and 1, or a whole number of samples, 1 or "
        f"more: without samples the {part} part would be of no use."
    )


def to_seed(given: object) -> int:
    """Return a seed, a whole number of 0 or more, as Python's own number."""
    seed = scalar(given)
    if is_whole(seed) and seed >= 0:
        return seed
    raise DataError(f"seed={given!r} must be a whole number of 0 or more.")


def _count(part: str, share: float, total: int) -> int:
    """Return how many of `total` samples a share means, at least one."""
    count = share if isinstance(share, int) else round(share * total)
    if count < 1:
        raise DataError(
            f"{part}={share} of {total} samples leaves nothing in the {part} part; raise it so "
            "that it comes to at least one sample."
        )
    return count


def choose(targets: Indices, count: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return which (n,) samples to take, `count` of them, so that each class is taken in proportion.

    Each class gives its exact share to within one sample (the classes with the largest remainders round up), unless
    that would take a class whole: one sample of each always stays behind, so `count` is at most n less the number of
    classes.

    Example:
        >>> from archwright.datasets import choose
        >>> taken = choose(np.array([0, 0, 0, 0, 1, 1]), 3, np.random.default_rng(0))
        >>> int(taken[:4].sum()), int(taken[4:].sum())
        (2, 1)
    """
    _, inverse, sizes = np.unique(targets, return_inverse=True, return_counts=True)
    quota, remainder = np.divmod(count * sizes, len(targets))
    quota = np.minimum(quota, sizes - 1)
    order = np.argsort(-remainder, kind="stable")
    while quota.sum() < count:  # once round is enough unless classes were capped
        room = order[quota[order] < sizes[order] - 1]
        quota[room[: count - quota.sum()]] += 1
    taken = np.zeros(len(targets), dtype=np.bool_)
    for place, number in enumerate(quota):
        members = np.flatnonzero(inverse == place)
        taken[rng.permutation(members)[:number]] = True
    return taken
