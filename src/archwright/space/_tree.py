"""Architectures as trees of decisions, and what is counted in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from archwright.space._decisions import Choice, Decision, Value
from archwright.space._program import Program

_HEIGHT = 2  # of the subtrees that are counted
_BINS = 8  # of a number's range
_LENGTH = 512


def tree_counts(program: Program, values: Mapping[str, Value], height: int = _HEIGHT) -> Counter[str]:
    """Return how often each subtree of up to some height occurs in the tree of an architecture's decisions.

    A decision and its value are a node; the decisions that the value activates stand below it, in their order. In a
    rule a decision is the same in all uses, wherever they stand. A long range of numbers counts as eight values. The
    inner product of two counts is a Weisfeiler-Lehman subtree kernel (Shervashidze et al., "Weisfeiler-Lehman graph
    kernels", JMLR 2011) on ordered trees, with subtrees cut at each height instead of all fragments (Collins and Duffy,
    "Convolution kernels for natural language", NIPS 2001).

    Example:
        >>> from archwright.space import tree_counts
        >>> block = aw.recursive(lambda block: aw.choice({"a": nn.ReLU(), "b": nn.Sequential(block, block)}), depth=2)
        >>> values = {"model": "b", "model.b.0": "a", "model.b.1": "a"}
        >>> tree_counts(aw.Space(model=block).program, values, height=0)
        Counter({'0 block=a': 2, '0 block=b': 1})
    """
    found: Counter[str] = Counter()
    above: dict[str, tuple[str, ...]] = {}

    def seen(decision: Decision) -> tuple[str, ...]:
        """Return the subtrees below a decision, cut at height 0, 1, ..."""
        name = program.names[decision]
        if name not in above:  # a decision that is tied to another place counts once
            value = values[name]
            is_range = not isinstance(decision, Choice) and decision.width == 1 and decision.size > _BINS
            told = int(decision.encode(value)[0] * (_BINS - 1) + 0.5) if is_range else value
            above[name] = ()
            inner = [seen(each) for each in program.opened(decision, value)]
            cuts = [f"{program.place(name)}={told}"]
            for level in range(1, height + 1):
                text = repr((cuts[0], [each[min(level - 1, len(each) - 1)] for each in inner if each]))
                cuts.append(blake2b(text.encode(), digest_size=8).hexdigest())
            above[name] = tuple(cuts)
            found.update(f"{level} {cut}" for level, cut in enumerate(cuts))
        return above[name]

    for root in program.roots:
        seen(root)
    return found


def tree_vector(program: Program, values: Mapping[str, Value]) -> NDArray[np.float64]:
    """Return the (512,) counts of subtrees by their hash, each with a sign that follows from the hash.

    Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009.
    """
    vector = np.zeros(_LENGTH)
    for text, count in tree_counts(program, values).items():
        number = int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
        vector[number // 2 % _LENGTH] += count if number % 2 else -count
    return vector
