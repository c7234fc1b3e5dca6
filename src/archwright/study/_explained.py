"""What a study has learned about its space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from archwright.study._subject import Subject
from archwright.trials import Objective

if TYPE_CHECKING:
    from archwright.explain import Effects, Explanation, Importance, WhatIf


class Explained(Subject):
    """Mixin of results: explanations of the trials, as `archwright.explain` has them.

    They use complete trials at one fidelity: the highest of which there are 20 or more. A metric is named; by default
    it is that of the first objective. Metrics of other names need a direction, such as "min price".
    """

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

    def effects(
        self, metric: str | None = None, *, decisions: Iterable[str] | None = None, top: int = 5, seed: int = 0
    ) -> Effects:
        """Return the mean of a metric by option, and the strongest interactions: `archwright.explain.effects`.

        Args:
            metric: The metric.
            decisions: The decisions; by default the `top` most important ones.
            top: The number of decisions.
            seed: The random seed.

        Raises:
            StudyError: As in `importance`, or a decision is unknown.
        """
        from archwright.explain import aim, effects

        objective = aim(self.history.objectives, metric)
        return effects(self.space, self.history.trials, objective, decisions=decisions, top=top, seed=seed)

    def what_if(self, metric: str | None = None, *, of: Mapping[str, Any] | None = None, seed: int = 0) -> WhatIf:
        """Return what one changed decision does to the best network: `archwright.explain.what_if`.

        Args:
            metric: The metric.
            of: The architecture that is changed; by default the best.
            seed: The random seed.

        Raises:
            StudyError: As in `importance`.
            ArchitectureError: The architecture does not belong to the space.
        """
        from archwright.explain import aim, what_if

        objective = aim(self.history.objectives, metric)
        of = self._leading(objective) if of is None else of
        return what_if(self.space, self.history.trials, objective, of=of, seed=seed)

    def explain(self, metric: str | None = None, *, seed: int = 0) -> Explanation:
        """Return in words which decisions matter, and what a change would do: `archwright.explain.explain`.

        If the trials are too few, or all have the same value, the text says so.

        Args:
            metric: The metric.
            seed: The random seed.

        Raises:
            StudyError: No trial has the metric.
        """
        from archwright.explain import aim, explain

        objective = aim(self.history.objectives, metric)
        return explain(self.space, self.history.trials, objective, of=self._leading(objective), seed=seed)

    def _leading(self, objective: Objective) -> Mapping[str, Any] | None:
        """Return the best architecture, if it is the best by this objective."""
        best = self.history.best
        return best.architecture if best is not None and objective == self.history.objective else None
