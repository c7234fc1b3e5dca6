from __future__ import annotations

import math

import pytest
import torch

from archwright import nn, spaces
from archwright.space import Space, choice, template
from archwright.supernet import Supernet, degeneracy, entropy, nones, share_of_skips, skips

DIGITS = spaces.create("digits-cells")
EDGES = [name for name in DIGITS.decisions if "edge" in name]


def cell(*operations: str) -> dict[str, object]:
    return {"width": 4, **dict(zip(EDGES, operations, strict=True))}


def test_skips_are_counted_inside_of_templates() -> None:
    architecture = cell("skip_connect", "none", "skip_connect", "nor_conv_3x3", "none", "skip_connect")
    assert (skips(DIGITS, architecture), nones(DIGITS, architecture)) == (3, 2)
    assert share_of_skips(DIGITS, architecture) == pytest.approx(5 / 6)
    assert degeneracy(DIGITS, architecture) == "5 of its 6 operations are skips or nothing"
    assert degeneracy(DIGITS, architecture, most=0.9) == ""


def test_a_good_network_is_not_degenerate() -> None:
    assert degeneracy(DIGITS, cell(*["nor_conv_3x3"] * 6)) == ""
    assert share_of_skips(DIGITS, cell(*["nor_conv_3x3"] * 6)) == 0.0


@pytest.mark.parametrize("operations", [["none"] * 6, ["nor_conv_3x3", "nor_conv_3x3", "none", "none", "none", "none"]])
def test_an_output_without_an_input_is_found(operations: list[str]) -> None:
    by_name = dict(zip(sorted(EDGES), sorted(EDGES), strict=True))
    architecture = {"width": 4, **dict.fromkeys(EDGES, "none")}
    if operations[0] != "none":  # all that leads to node 1 and node 2, and nothing to the output
        architecture |= {name: "nor_conv_3x3" for name in by_name if not name.endswith("_3")}
    assert degeneracy(DIGITS, architecture) == "its output does not depend on its input"
    model = DIGITS.build(architecture).eval()
    assert torch.equal(model(torch.zeros(1, 1, 8, 8)), model(torch.ones(1, 1, 8, 8)))


def test_only_choices_that_could_be_skipped_count() -> None:
    op = template(lambda width: choice({"skip": nn.Sequential(nn.Identity()), "full": nn.Linear(width, width)}))
    space = Space(model=nn.Sequential(op(4), choice(nn.ReLU(), nn.Tanh(), name="act"), op(4)), example_input=(4,))
    (name,) = (name for name in space.decisions if name != "act")
    for act in space.decisions["act"].values():
        assert share_of_skips(space, {name: "skip", "act": act}) == 1.0
        assert degeneracy(space, {name: "skip", "act": act}) == ""  # of one operation no share is taken


def test_the_entropy_falls_from_one_to_zero() -> None:
    supernet = Supernet(DIGITS, "softmax")
    assert entropy(supernet) == pytest.approx(1.0, abs=1e-4)
    with torch.no_grad():
        for logits in supernet.logits.values():
            logits[0] = 100.0
    assert entropy(supernet) == pytest.approx(0.0, abs=1e-6)
    with torch.no_grad():
        for logits in supernet.logits.values():
            logits.zero_()
            logits[:2] = 50.0
    counts = [len(logits) for logits in supernet.logits.values()]
    assert entropy(supernet) == pytest.approx(sum(math.log(2) / math.log(n) for n in counts) / len(counts))
    assert entropy(Supernet(DIGITS, "path")) == 0.0
