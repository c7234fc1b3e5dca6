"""Zero-cost proxies predicted from a few scored networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from archwright.space import Architecture, Space
from archwright.surrogates._network import views
from archwright.surrogates._ridge import Ridge

PROXIES = ("naswot", "synflow", "expressivity", "progressivity")
"""The proxies: those that look at no class, and that follow from the architecture well."""

_SAMPLES = 8  # of the batch: more of them say the same, and take longer
_PENALTIES = (1e-8, 1e-4, 1e-2)  # a proxy depends on the initial weights too, which no architecture tells of


class ProxyModel:
    """Prediction of the zero-cost proxies of all architectures of a space from those of a few.

    The few are built and scored on the CPU, with initial weights on a batch of Gaussian noise; the rest are predicted
    by ridge regression, as in `CostModel`. The proxies are NASWOT (Mellor et al., ICML 2021), SynFlow (Tanaka et al.,
    NeurIPS 2020), and the expressivity and progressivity of AZ-NAS (Lee and Ham, CVPR 2024). Networks for which a proxy
    is undefined are ignored for that proxy; a proxy that is undefined for all of them is dropped.

    Args:
        space: A space of networks that take one tensor of real numbers: see `scorable`.
        scored: Number of scored architectures.
        seed: The random seed of architectures, weights and batch.

    Attributes:
        names: The names of the defined proxies, of `PROXIES`.

    Example:
        >>> network = nn.Sequential(nn.LazyLinear(aw.integer(4, 8, name="n")), nn.ReLU(), nn.LazyLinear(2))
        >>> model = aw.surrogates.ProxyModel(aw.Space(model=network, example_input=(3,)), scored=4)
        >>> model.names, model.predict([aw.Architecture({"n": 4})]).shape
        (('synflow', 'expressivity'), (1, 2))
    """

    def __init__(self, space: Space, *, scored: int = 48, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        some = list(dict.fromkeys(space.sample(rng) for _ in range(scored)))
        scores = np.array([_scored(space, architecture, seed) for architecture in some]).reshape(-1, len(PROXIES))
        defined = ~np.isnan(scores).all(axis=0)
        self.names = tuple(name for name, one in zip(PROXIES, defined, strict=True) if one)
        self._ridge = Ridge(partial(views, space), some, scores[:, defined], costs=False, penalties=_PENALTIES)

    def predict(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return (n, proxies) scores, in the order of `names`; greater is better."""
        return self._ridge.predict(architectures)


def scorable(space: Space) -> bool:
    """Tell whether a space has networks that take one tensor of real numbers."""
    return (
        "model" in space.parts
        and space.example_input is not None
        and [spec.dtype[:5] for spec in space.example_input] == ["float"]
    )


def _scored(space: Space, architecture: Architecture, seed: int) -> list[float]:
    """Return the scores of a network; nan where they are undefined, or where the network cannot be built or run."""
    import torch

    from archwright import proxies
    from archwright.evaluate import seeded

    (spec,) = space.example_input or ()
    try:
        with seeded(seed, "cpu"), torch.device("cpu"):
            inputs = torch.randn((_SAMPLES, *spec.shape), dtype=getattr(torch, spec.dtype))
            model = space.build(architecture)
        targets = torch.zeros(_SAMPLES, dtype=torch.int64, device="cpu")
        found = proxies.score(model, inputs, targets, PROXIES, seed=seed, undefined=math.nan)
    except Exception:  # a layer of the user's may raise anything; a trial of it will say why
        return [math.nan] * len(PROXIES)
    return [found[name] for name in PROXIES]
