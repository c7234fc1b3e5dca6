"""What is sent to another process arrives as it was, and tensors are shared."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
import torch
from tests.execute.helpers import SPACE, job, run

import archwright as aw
from archwright._payload import Payload, load
from archwright.errors import EvaluationError

LARGE = 1 << 22  # bytes


def sent(item):
    payload = Payload(item)
    try:
        return load(payload.path)
    finally:
        payload.close()


def test_functions_of_any_kind_arrive():
    step = 3
    assert sent(lambda value: value + step)(4) == 7

    class Local:
        def value(self):
            return step

    assert sent(Local()).value() == 3


def test_tensors_arrive_with_what_they_share():
    whole = torch.arange(LARGE)
    first, second, weight = sent((whole[:10], whole[5:], torch.nn.Parameter(torch.ones(3))))
    assert torch.equal(first, whole[:10])
    assert torch.equal(second, whole[5:])
    first[5] = -1
    assert second[0] == -1  # one storage
    assert weight.requires_grad
    assert whole[5] == 5  # and another one than that of the sender


@pytest.mark.parametrize(
    "array",
    [
        np.arange(LARGE, dtype=np.int16).reshape(2, -1)[:, ::-2],
        np.zeros(LARGE // 16, dtype=[("a", "f8"), ("b", "i4"), ("c", "S4")]),
        np.arange(LARGE // 8).astype("datetime64[s]"),
        np.asfortranarray(np.random.default_rng(0).random((1000, 300))),
        np.array(["text", None, {}] * 100_000, dtype=object),
        np.float32(3.5) * np.ones(()),
    ],
    ids=["strided", "records", "dates", "columns", "objects", "scalar"],
)
def test_arrays_arrive(array):
    found = sent({"array": array})["array"]
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert np.array_equal(found, array)


def test_an_array_that_is_seen_as_a_tensor_too_arrives_in_both_forms():
    tensor = torch.rand(LARGE // 4)
    found, array = sent((tensor, tensor.numpy()))
    assert np.array_equal(found.numpy(), array)


def test_a_space_keeps_its_fingerprint():
    space = aw.Space(x=aw.integer(0, 9), where=lambda one: one["x"] > 2)
    found = sent(space)
    assert found.fingerprint == space.fingerprint
    assert aw.Architecture({"x": 1}) not in found


def test_a_deep_expression_arrives():
    def chain(x):
        for _ in range(150):
            x = x + 1
        return x

    space = aw.Space(model=aw.graph(chain), width=aw.ordinal(1, 2))
    assert sent(space).fingerprint == space.fingerprint


def test_data_are_in_memory_once():
    data = torch.ones(1 << 25, dtype=torch.uint8)  # 32 MB

    def evaluate(candidate):
        from archwright.execute._process import _memory

        before = _memory(os.getpid())
        total = data.sum().item()
        return {"value": total, "more": _memory(os.getpid()) - before}

    found = run(evaluate, [job(number) for number in range(4)])
    for report in found.values():
        assert report.metrics["value"] == 1 << 25, report.error
        assert report.metrics["more"] < 1 << 23


def test_what_cannot_be_sent_is_told():
    lock = threading.Lock()

    def evaluate(candidate):
        with lock:
            return 1.0

    with pytest.raises(EvaluationError, match=r"workers=2: the evaluator .* cannot be sent .*lock.*workers=1"):
        run(evaluate, [job(0)])


def test_what_cannot_be_made_there_is_told():
    class Fragile:
        def __reduce__(self):
            return divide, (1, 0)

    def divide(one, other):
        return one / other

    fragile = Fragile()
    with pytest.raises(EvaluationError, match=r"(?s)a worker process cannot run this search.*ZeroDivisionError"):
        run(lambda candidate: bool(fragile), [job(0)])


def test_the_space_of_helpers_is_sent_by_name():
    found = run(lambda candidate: float(SPACE.size), [job(0)])
    assert found[0].metrics == {"value": 100.0}
