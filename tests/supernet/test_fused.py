from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.supernet._fused import weighted_sum

torch.manual_seed(0)
LAYOUTS = {"plain": lambda x: x, "pixels": lambda x: x.contiguous(memory_format=torch.channels_last)}


def terms(pattern, layouts):
    generator = torch.Generator().manual_seed(len(pattern))
    draw = {"dtype": torch.float64, "generator": generator}
    weights = [torch.rand((), **draw).requires_grad_() if weighed else None for weighed in pattern]
    tensors = [LAYOUTS[layout](torch.randn(2, 3, 4, 2, **draw)).requires_grad_() for layout in layouts]
    return weights, tensors


cases = st.lists(st.tuples(st.booleans(), st.sampled_from(sorted(LAYOUTS))), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(cases)
def test_it_is_the_plain_sum_and_so_are_its_gradients(case):
    pattern, layouts = zip(*case, strict=True)
    weights, tensors = terms(pattern, layouts)
    plain = sum(tensor if weight is None else weight * tensor for weight, tensor in zip(weights, tensors, strict=True))
    fused = weighted_sum(weights, tensors)
    torch.testing.assert_close(fused, plain, rtol=1e-12, atol=1e-12)
    learned = [each for each in (*weights, *tensors) if each is not None]
    slope = torch.randn(plain.shape, dtype=torch.float64)
    for ours, theirs in zip(
        torch.autograd.grad(fused, learned, slope), torch.autograd.grad(plain, learned, slope), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@settings(max_examples=10, deadline=None)
@given(cases)
def test_first_and_second_derivatives_are_finite_differences(case):
    pattern, layouts = zip(*case, strict=True)
    weights, tensors = terms(pattern, layouts)
    known = [each for each in weights if each is not None]

    def run(*items):
        given_weights = iter(items[: len(known)])
        return weighted_sum([next(given_weights) if w else None for w in pattern], items[len(known) :])

    inputs = (*known, *tensors)
    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


def test_terms_stay_as_they_were():
    weights, tensors = terms((True, False, True), ("plain", "pixels", "plain"))
    before = [tensor.detach().clone() for tensor in tensors]
    weighted_sum(weights, tensors)
    weighted_sum([None, weights[0]], tensors[:2])
    assert all(map(torch.equal, before, tensors))


def test_one_term_of_weight_one_is_itself():
    _, (tensor,) = terms((False,), ("plain",))
    assert weighted_sum([None], [tensor]) is tensor


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_keeps_the_precision_of_the_terms(dtype):
    weights = [torch.rand(()) for _ in range(2)]
    tensors = [torch.randn(5, dtype=dtype) for _ in range(2)]
    found = weighted_sum(weights, tensors)
    assert found.dtype == dtype
    torch.testing.assert_close(found, weights[0].to(dtype) * tensors[0] + weights[1].to(dtype) * tensors[1])


def test_terms_of_two_types_are_promoted():
    weight = torch.rand((), requires_grad=True)
    first = torch.randn(5, dtype=torch.bfloat16, requires_grad=True)
    second = torch.randn(5, requires_grad=True)
    found = weighted_sum([weight, None], [first, second])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, weight * first.float() + second)
    found.sum().backward()
    assert first.grad.dtype == torch.bfloat16
    torch.testing.assert_close(second.grad, torch.ones(5))
