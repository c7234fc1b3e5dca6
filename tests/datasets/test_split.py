"""The split: laws that hold for any labels, and what cannot be split."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.processes import run

from archwright.datasets import Data, data
from archwright.datasets._split import choose, split, three_parts
from archwright.errors import DataError

class_sizes = st.lists(st.integers(2, 40), min_size=2, max_size=6)
seeds = st.integers(0, 2**32)


def labels_of(sizes: list[int], seed: int) -> np.ndarray:
    """Classes 0, 1, ... of the given sizes, mixed."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(seed).permutation(labels)


def numbered(labels: np.ndarray, **options: object) -> Data:
    """Data whose samples carry their own number."""
    return data((np.arange(len(labels), dtype=np.float32)[:, None], labels), **options)


@given(class_sizes, st.floats(0.05, 0.4), st.floats(0.05, 0.4), seeds)
def test_parts_are_disjoint_complete_and_hold_their_own_targets(sizes, validation, test, seed):
    labels = labels_of(sizes, seed)
    held = [round(share * len(labels)) for share in (validation, test)]
    assume(min(held) > 0 and len(labels) - sum(held) >= len(sizes))  # the rest is refused, see below
    found = numbered(labels, validation=validation, test=test, seed=seed)
    parts = (found.train, found.validation, found.test)
    numbers = torch.cat([part.inputs for part in parts]).flatten().long()
    assert sorted(numbers.tolist()) == list(range(len(labels)))
    assert [len(part) for part in parts[1:]] == held
    for part in parts:
        names = [found.classes[target] for target in part.targets]
        assert names == [str(labels[number]) for number in part.inputs.flatten().long()]
    assert set(found.train.targets.tolist()) == set(range(len(sizes)))


@given(class_sizes, st.floats(0.01, 0.5), seeds)
def test_choose_takes_each_class_in_proportion_to_within_one_sample(sizes, share, seed):
    labels = labels_of(sizes, seed)
    count = int(share * len(labels))
    taken = choose(labels, count, np.random.default_rng(seed))
    assert taken.sum() == count
    for place, size in enumerate(sizes):
        assert abs(taken[labels == place].sum() - count * size / len(labels)) < 1
        assert taken[labels == place].sum() < size


@given(class_sizes, st.integers(1, 200), seeds)
def test_choose_always_leaves_one_of_each_class(sizes, count, seed):
    labels = labels_of(sizes, seed)
    count = min(count, len(labels) - len(sizes))
    taken = choose(labels, count, np.random.default_rng(seed))
    assert taken.sum() == count
    assert set(labels[~taken]) == set(labels)


@given(class_sizes, seeds)
def test_the_same_seed_gives_the_same_split(sizes, seed):
    labels = labels_of(sizes, 0)
    first, second = (split(labels, validation=1, test=1, seed=seed) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_another_seed_gives_another_split():
    labels = labels_of([50, 50], 0)
    first, second = (numbered(labels, seed=seed).test.inputs for seed in (0, 1))
    assert not torch.equal(first, second)


def test_the_split_is_the_same_in_another_process_and_leaves_the_global_generators_alone():
    program = (
        "import numpy as np, torch\n"
        "from archwright.datasets import data\n"
        "np.random.seed(3); torch.manual_seed(3)\n"
        "x = np.arange(90.0)[:, None]\n"
        "d = data((x, np.arange(90) % 3), seed=11)\n"
        "print(d.test.inputs.flatten().int().tolist() + d.validation.inputs.flatten().int().tolist())"
    )
    done = run("-c", program)
    np.random.seed(7)
    before = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    here = numbered(np.arange(90) % 3, seed=11)
    assert (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()) == before
    numbers = here.test.inputs.flatten().int().tolist() + here.validation.inputs.flatten().int().tolist()
    assert done.stdout.strip() == str(numbers)


def test_a_known_split_stays_as_it_is():
    """Results that were published with a seed must be reproducible with the next release."""
    found = numbered(np.arange(20) % 2, validation=2, test=4, seed=0)
    assert found.test.inputs.flatten().int().tolist() == [5, 8, 12, 19]
    assert found.validation.inputs.flatten().int().tolist() == [7, 10]


def test_shares_may_be_counts_or_fractions():
    found = numbered(np.arange(100) % 2, validation=7, test=0.25)
    assert (len(found.train), len(found.validation), len(found.test)) == (68, 7, 25)


@pytest.mark.parametrize("share", [0, -1, 0.0, 1.0, 1.5, -0.1, float("nan"), True, "half", None])
@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_share_that_is_none_is_refused(part, share):
    with pytest.raises(DataError, match=f"{part}=.*fraction between 0 and 1"):
        numbered(np.arange(20) % 2, **{part: share})


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_share_that_rounds_to_nothing_is_refused(part):
    with pytest.raises(DataError, match=f"{part}=0.01 of 20 samples leaves nothing"):
        numbered(np.arange(20) % 2, **{part: 0.01})


@pytest.mark.parametrize("options", [{"test": 19}, {"test": 50}, {"validation": 0.5, "test": 0.5}])
def test_shares_that_leave_too_little_to_train_on_are_refused(options):
    with pytest.raises(DataError, match="to train on, for 2 classes"):
        numbered(np.arange(20) % 2, **options)


@pytest.mark.parametrize("seed", [-1, 0.5, True, "x"])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(DataError, match="seed="):
        numbered(np.arange(20) % 2, seed=seed)


def test_the_sample_of_a_class_with_one_alone_is_a_training_sample():
    data = numbered(np.array(["cat"] * 9 + ["lynx"] + ["dog"] * 9))
    lynx = data.classes.index("lynx")
    assert [int((part.targets == lynx).sum()) for part in (data.train, data.validation, data.test)] == [1, 0, 0]


def test_classes_of_which_most_have_one_sample_are_refused():
    with pytest.raises(DataError, match=r"classes 'lynx', 'owl' of the 3 classes have one sample each"):
        numbered(np.array(["cat"] * 9 + ["lynx", "owl"]))


def test_one_class_alone_is_refused():
    with pytest.raises(DataError, match="one class only, 'cat'"):
        numbered(np.array(["cat"] * 9))


def test_a_class_of_two_samples_is_always_learnt():
    labels = np.array(["rare"] * 2 + ["often"] * 50)
    for seed in range(20):
        found = numbered(labels, validation=0.4, test=0.4, seed=seed)
        assert found.classes.index("rare") in found.train.targets


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train": [], "validation": "ab", "test": "cd"}, "the training part is empty"),
        ({"": []}, "the training part is empty"),
        ({}, "the training part is empty"),
        ({"train": "abc", "validation": "de"}, "test=5 of 3 samples leaves none to train on"),
    ],
)
def test_parts_without_training_samples_are_refused(given, message):
    with pytest.raises(DataError, match=message):
        three_parts(given, validation=0.1, test=5, seed=0)
