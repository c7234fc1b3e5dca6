"""Trained modules as parts of a space: their weights, what is frozen, and the learning rates of fine-tuning."""

from __future__ import annotations

import pytest
import torch

import archwright as aw
from archwright import nn
from archwright.errors import BuildError, EvaluationError, SpaceError
from archwright.evaluate import make_optimizer


def backbone() -> torch.nn.Module:
    """Weights and statistics that nothing would draw; the normalisation is frozen."""
    body = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU())
    with torch.no_grad():
        body[0].weight.copy_(torch.linspace(-1, 1, 32).view(8, 4))
        body[0].bias.zero_()
        body[1].running_mean.fill_(0.25)
    body[1].requires_grad_(False)
    return body


def space(body: torch.nn.Module, lr: object = 1.0) -> aw.Space:
    head = nn.LazyLinear(aw.ordinal(3, 5, name="classes"))
    return aw.Space(model=nn.Sequential(aw.pretrained(body, lr=lr), head), example_input=(4,))


def task(samples: int = 96) -> aw.Task:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(samples, 4, generator=generator) + 3.0
    return aw.Training(aw.data((x, (x[:, 0] > 3).long()), validation=0.25, test=0.25), device="cpu").task


def test_every_network_begins_with_a_copy() -> None:
    body = backbone()
    one = space(body)
    networks = [one.build({"classes": 3}), one.build({"classes": 5})]
    supernet = aw.Supernet(one, "path")
    networks.append(supernet.extract({"classes": 5}))
    networks.append(aw.morphism.inherit(one, {"classes": 5}, {"classes": 3}, networks[0].state_dict(), seed=1)[0])
    for network in networks:
        for name, tensor in body.state_dict().items():
            torch.testing.assert_close(network[0].state_dict()[name], tensor, rtol=0, atol=0)
            assert network[0].state_dict()[name].data_ptr() != tensor.data_ptr()
        assert [each.requires_grad for each in network[0].parameters()] == [True, True, False, False]
    x = torch.randn(3, 4)
    torch.testing.assert_close(supernet.eval().select({"classes": 5})(x), networks[2].eval()(x))


def test_what_is_frozen_is_what_it_was_after_training() -> None:
    body = backbone()
    training = aw.Training(task(), epochs=2, batch_size=16, device="cpu", label_smoothing=0.0)
    part = aw.Space(model=nn.Sequential(aw.pretrained(body), nn.Linear(8, 2)), example_input=(4,))
    candidate = aw.Candidate(part, part.sample(0), seed=0)
    training.evaluate(candidate)
    trained = candidate.model[0]
    assert not torch.equal(trained[0].weight, body[0].weight)
    for name, tensor in body[1].state_dict().items():  # its statistics too, though the inputs have another mean
        assert torch.equal(trained[1].state_dict()[name], tensor), name


def test_a_supernet_does_not_move_frozen_statistics() -> None:
    body = backbone()
    part = aw.Space(
        model=nn.Sequential(aw.pretrained(body), aw.choice(nn.ReLU(), nn.Tanh(), name="f"), nn.Linear(8, 2)),
        example_input=(4,),
    )
    evaluator = aw.SupernetEvaluator(aw.Training(task(), batch_size=16, device="cpu"), "path", epochs=2)
    study = aw.search(part, evaluator, strategy="random", budget=aw.Budget(trials=1), final=False)
    assert len(study.trials) == 1
    assert evaluator.supernet is not None
    found = evaluator.supernet.extract({"f": "Tanh()"})[0]
    evaluator.supernet.calibrate(evaluator.supernet.select({"f": "Tanh()"}), [torch.randn(8, 4)])
    assert not torch.equal(found[0].weight, body[0].weight)
    for name, tensor in body[1].state_dict().items():
        assert torch.equal(found[1].state_dict()[name], tensor), name


def test_the_backbone_learns_at_a_rate_of_its_own() -> None:
    network = space(backbone(), lr=0.1).build({"classes": 3})
    for name, peak in (("adamw", 0.01), ("sgd", 0.01), ("muon", 0.01)):
        rates = {
            id(parameter): group["lr"]
            for group in make_optimizer(network, name, lr=0.01).param_groups
            for parameter in group["params"]
        }
        first, last = rates[id(network[0][0].bias)], rates[id(network[1].bias)]
        assert first == pytest.approx(0.1 * last), name
        assert len(rates) == 4
        assert last <= peak
    with pytest.raises(EvaluationError, match="learning rate of their own"):
        make_optimizer(network, lambda parameters: torch.optim.SGD(parameters, lr=0.1))
    bank = aw.Supernet(space(backbone(), lr=0.1), "path").bank
    groups = make_optimizer(bank, "adamw", lr=0.01).param_groups
    assert sorted({group["lr"] for group in groups}) == pytest.approx([0.001, 0.01])


def test_a_rate_of_zero_freezes_and_may_be_searched() -> None:
    searched = space(backbone(), lr=aw.choice(0, 0.1, name="rate"))
    frozen = searched.build({"classes": 3, "rate": 0})
    assert [each.requires_grad for each in frozen[0].parameters()] == [False] * 4
    assert searched.build({"classes": 3, "rate": 0.1})[0].lr_scale == 0.1


def test_other_weights_make_another_space() -> None:
    body, other = backbone(), backbone()
    assert space(body).fingerprint == space(other).fingerprint
    with torch.no_grad():
        other[0].weight[0, 0] += 1
    assert space(body).fingerprint != space(other).fingerprint
    with pytest.raises(SpaceError, match="give the space"):
        aw.Space.from_json(space(body).to_json())


def test_what_cannot_be_kept_is_said() -> None:
    with pytest.raises(BuildError, match=r"weights of the pretrained Sequential cannot be written as source"):
        space(backbone()).source({"classes": 3})
    with pytest.raises(SpaceError, match="never ran"):
        aw.pretrained(torch.nn.LazyLinear(3))
    with pytest.raises(SpaceError, match="instantiated"):
        aw.pretrained(nn.Linear(4, 3))
    with pytest.raises(SpaceError, match="0 or more"):
        aw.pretrained(backbone(), lr=-1)
