"""What a study has learned about its space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archwright.space import Space
from archwright.trials import History

if TYPE_CHECKING:
    from archwright.explain import Importance


class Explained:
    """Mixin of results: explanations of the trials, as `archwright.explain` has them.

    They use complete trials at one fidelity: the highest of which there are 20 or more. A metric is named; by default
    it is that of the first objective. Metrics of other names need a direction, such as "min price".
    """

    @property
    def space(self) -> Space:
        """The search space."""
        raise NotImplementedError

    @property
    def history(self) -> History:
        """The history."""
        raise NotImplementedError

    def importance(
        self, metric: str | None = None, *, among: str = "all", method: str | None = None, seed: int = 0
    ) -> Importance:
        """Return what share of the variance of a metric each decision explains: `archwright.explain.importance`.

        Args:
            metric: The metric.
            among: "all", or "best": what distinguishes the best tenth of the trials within the best quarter.
            method: "fanova", the default, or "ped-anova", the default and the only one among the best.
            seed: The random seed.

        Raises:
            StudyError: There are too few trials, all have the same value, none has the metric, or an argument is
                unknown.
        """
        from archwright.explain import aim, importance

        objective = aim(self.history.objectives, metric)
        return importance(self.space, self.history.trials, objective, among=among, method=method, seed=seed)
