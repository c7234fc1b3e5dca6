"""The best of a study, and where its network is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from archwright.errors import StudyError
from archwright.space import Architecture, Space
from archwright.study._shrink import shrunk
from archwright.trials import Trial

if TYPE_CHECKING:
    import torch

    from archwright.evaluate import Candidate, Spent

__all__ = ["Best", "Shelf"]


@dataclass(frozen=True)
class Best:
    """The best that a study has found.

    Args:
        trial: The trial that found it.
    """

    trial: Trial
    _load: Callable[[], torch.nn.Module] = field(repr=False, compare=False)

    @property
    def architecture(self) -> Architecture:
        """Its architecture."""
        return self.trial.architecture

    @property
    def metrics(self) -> Mapping[str, float]:
        """What the search measured; `Study.test` has the metrics of the final training."""
        return self.trial.metrics

    def load(self) -> torch.nn.Module:
        """Return its trained network: that of the final training once there was one.

        Raises:
            StudyError: No network was trained, or it is not kept any more.
        """
        return self._load()


class Shelf:
    """Holds the best network: in the run folder, or in memory where there is none.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._kept: tuple[Architecture, torch.nn.Module] | None = None

    def keep(
        self,
        candidate: Candidate,
        metrics: Mapping[str, float],
        stage: Literal["search", "final"],
        trial: int,
    ) -> str | None:
        """Take in a network, in place of the one before.

        Args:
            candidate: What was evaluated; where its model was never built, there is no network.
            metrics: What was measured.
            stage: Whether it comes from the search or from the final training.
            trial: The number of the trial that found it.

        Returns:
            Why its source could not be written, where that is so.
        """
        model = candidate.built
        if self._folder is None:
            self._kept = None if model is None else (candidate.architecture, model)
            return None
        from archwright.export import save_best

        return save_best(
            self._folder,
            space=candidate.space,
            architecture=candidate.architecture,
            candidate=None if model is None else candidate,
            metrics=metrics,
            stage=stage,
            trial=trial,
        )

    def load(self, space: Space, architecture: Architecture, fidelity: Spent | None = None) -> torch.nn.Module:
        """Return the network of an architecture, or the smaller one by which the search judged it.

        Raises:
            StudyError: It is not there.
        """
        either = (architecture, shrunk(space, architecture, fidelity))
        if self._folder is not None:
            from archwright.export import load_best, read_best

            saved = read_best(self._folder)
            if saved is not None and saved.architecture not in either:
                raise StudyError(
                    f"{self._folder / 'best'} holds the network of {saved.architecture.id}, not that of "
                    f"{architecture.id}, the best on record; after a process was killed between the two, "
                    "study.resume() puts it right"
                )
            return load_best(self._folder, space)
        if self._kept is None or self._kept[0] not in either:
            raise StudyError(
                "no trained network is kept: the evaluator trained none, or the study was told its "
                "results from outside. space.build(architecture) makes one, untrained."
            )
        return self._kept[1]
