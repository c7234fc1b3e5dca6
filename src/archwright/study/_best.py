"""The best of a study, and where its network is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from archwright.errors import StudyError
from archwright.space import Architecture, Space
from archwright.study._shrink import shrunk
from archwright.trials import Trial

if TYPE_CHECKING:
    import torch

    from archwright.datasets import Preprocess
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
        self._front: dict[int, torch.nn.Module] = {}
        self._preprocess: Preprocess | None = None

    def keep(
        self,
        candidate: Candidate,
        metrics: Mapping[str, float],
        stage: Literal["search", "final"],
        trial: int,
        *,
        on_front: bool = False,
    ) -> str | None:
        """Take in a network, in place of the best one before, or beside those of the front.

        Args:
            candidate: What was evaluated; where its model was never built, there is no network.
            metrics: What was measured.
            stage: Whether it comes from the search or from the final training.
            trial: The number of the trial that found it.
            on_front: Whether it is one of the front.

        Returns:
            Why its source could not be written, where that is so.
        """
        model = candidate.built
        self._preprocess = candidate.preprocess
        if self._folder is None:
            if on_front and model is not None:
                self._front[trial] = model
            elif not on_front:
                self._kept = None if model is None else (candidate.architecture, model)
            return None
        from archwright.export import FRONT, save_best

        return save_best(
            self._folder,
            space=candidate.space,
            architecture=candidate.architecture,
            candidate=None if model is None else candidate,
            metrics=metrics,
            stage=stage,
            trial=trial,
            **({"name": f"{FRONT}/{trial}"} if on_front else {}),
        )

    def clear(self, front: Sequence[Trial]) -> None:
        """Remove the networks that are not on the front any more."""
        keep = {trial.number for trial in front}
        for number in self._front.keys() - keep:
            del self._front[number]
        if self._folder is not None and (self._folder / "front").is_dir():
            from archwright.export import clear_front

            clear_front(self._folder, keep)

    def load(
        self, space: Space, architecture: Architecture, fidelity: Spent | None = None, trial: int | None = None
    ) -> torch.nn.Module:
        """Return the network of an architecture, or the smaller one by which the search judged it.

        Args:
            space: The space.
            architecture: The architecture.
            fidelity: What its trial was given.
            trial: The number of the trial, by which networks of the front are kept.

        Raises:
            StudyError: It is not there.
        """
        either = (architecture, shrunk(space, architecture, fidelity))
        if trial in self._front:
            return self._front[trial]
        if self._folder is not None:
            from archwright.export import FRONT, load_best, read_best

            if read_best(self._folder, f"{FRONT}/{trial}") is not None:
                return load_best(self._folder, space, f"{FRONT}/{trial}")
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

    def preprocess(self, trial: int) -> Preprocess | None:
        """Return the preprocessing of the network of a trial; `None` where none was kept with it.

        Raises:
            StudyError: There is no network, or its preprocessing is damaged.
        """
        if self._folder is None:
            return self._preprocess
        from archwright.export import FRONT, read_best, read_preprocess

        on_front = f"{FRONT}/{trial}"
        if read_best(self._folder, on_front) is not None:
            return read_preprocess(self._folder, on_front)
        return read_preprocess(self._folder)
