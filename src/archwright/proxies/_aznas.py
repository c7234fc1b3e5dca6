"""AZ-NAS: the combined rank of several proxies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from archwright.errors import EvaluationError
from archwright.proxies._base import Proxy, register
from archwright.proxies._passes import Passes


@register("az-nas")
@dataclass(frozen=True)
class AzNas(Proxy):
    """AZ-NAS: combined rank of expressivity, progressivity, trainability and FLOPs in a set of networks.

    It ranks the networks of a set: `score` returns its parts instead, and `aggregate` combines them.

    Blocks are the submodules of the network: its stem, cells, stages, residual blocks (see `blocks_of`). The weights
    and the batch are those given.

    Lee and Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", CVPR 2024.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 2))
        >>> list(aw.proxies.score(model, torch.randn(8, 2), torch.arange(8) % 2, "az-nas"))
        ['expressivity', 'progressivity', 'trainability', 'flops']
    """

    parts = ("expressivity", "progressivity", "trainability", "flops")

    def score(self, passes: Passes) -> float:
        """Raise an error: a single network has no rank.

        Raises:
            EvaluationError: Always.
        """
        raise EvaluationError(
            f"it ranks the networks of a set: score its parts ({', '.join(self.parts)}), and give the rows to aggregate"
        )


def aggregate(rows: Sequence[Mapping[str, float]], names: Sequence[str] | None = None) -> NDArray[np.float64]:
    """Return the combined score of each network of a set, from its scores by several proxies.

    The score is the sum over the proxies of log(rank / n), where the rank is 1 for the worst of the n networks and n
    for the best; ties share their mean rank. One low rank dominates the sum. Scores are comparable only within the set.

    Lee and Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search", CVPR 2024.

    Args:
        rows: The scores of each network by name, as `score` gives them; -inf, for an undefined proxy, ranks below all
            others.
        names: The proxies to combine; `None` for all of the first row.

    Returns:
        (n,) scores of at most 0; greater is better.

    Raises:
        EvaluationError: There are no rows or no proxies, or a score is missing or nan.

    Example:
        >>> aw.proxies.aggregate([{"snip": 1.0, "zen": 5.0}, {"snip": 2.0, "zen": 7.0}]).round(2)
        array([-1.39,  0.  ])
    """
    chosen = tuple(names if names is not None else rows[0] if rows else ())
    if not rows or not chosen:
        raise EvaluationError("there is nothing to rank: one row of scores or more, by one proxy or more, is wanted")
    for place, row in enumerate(rows):
        lacking = [name for name in chosen if name not in row or np.isnan(row[name])]
        if lacking:
            raise EvaluationError(
                f"row {place} has no score by {', '.join(lacking)}; give -inf where a proxy is undefined"
            )
    ranks = np.array([scipy.stats.rankdata([row[name] for row in rows]) for name in chosen])
    total: NDArray[np.float64] = np.log(ranks / len(rows)).sum(axis=0)
    return total
