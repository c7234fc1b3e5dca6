"""The best trial of a study, and its saved network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from archwright.errors import StudyError
from archwright.space import Architecture, Space
from archwright.study._reduced import reduced
from archwright.trials import Trial

if TYPE_CHECKING:
    import torch

    from archwright.datasets import Preprocess
    from archwright.evaluate import Candidate, Spent
    from archwright.export import Members


@dataclass(frozen=True)
class Best:
    """The best trial of a study, and its trained network.

    Args:
        trial: The trial.

    Example:
        >>> study = aw.Study(aw.Space(x=aw.integer(0, 9)), strategy="grid")
        >>> study = study.run(lambda candidate: candidate.settings["x"], aw.Budget(trials=10))
        >>> study.best.architecture["x"], study.best.metrics
        (9, {'value': 9.0})
    """

    trial: Trial
    _load: Callable[[], torch.nn.Module] = field(repr=False, compare=False)

    @property
    def architecture(self) -> Architecture:
        """The architecture."""
        return self.trial.architecture

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics of the trial; those of the final training are in `Study.test`."""
        return self.trial.metrics

    def _repr_html_(self) -> str:
        """Return the trial as a table, for notebooks."""
        return self.trial._repr_html_()

    def load(self) -> torch.nn.Module:
        """Return the trained network: that of the final training, if there was one.

        It takes normalised inputs (`data.normalise`); `Study.predict` takes raw ones.

        Raises:
            StudyError: No network was trained, or it is no longer kept.
        """
        return self._load()


@dataclass(frozen=True)
class Pooled:
    """A network of the search from which the ensemble is selected."""

    architecture: Architecture
    network: torch.nn.Module
    preprocess: Preprocess | None


class Artifacts:
    """Holds the best network, and those beside it: in the run folder, or in memory where there is none.

    Beside the best are the networks of the front, with several objectives; with one, the few best that are trained
    again. In the pool are networks of the search, from which the ensemble is selected.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._kept: tuple[int, Architecture, torch.nn.Module | None] | None = None
        self._beside: dict[int, torch.nn.Module | None] = {}
        self._pool: dict[int, Pooled] = {}
        self._ensemble: torch.nn.Module | None = None
        self._preprocess: Preprocess | None = None

    def keep(
        self,
        candidate: Candidate,
        metrics: Mapping[str, float],
        stage: Literal["search", "final"],
        trial: int,
        *,
        beside: Literal["front", "top", "pool"] | None = None,
    ) -> str | None:
        """Take in a network, in place of the best one before, beside it, or in the pool.

        Returns:
            Why its source could not be written, where that is so.
        """
        model = candidate.built
        self._preprocess = candidate.preprocess
        if self._folder is None:
            if beside is None:
                self._kept = trial, candidate.architecture, model
            elif beside == "pool":
                assert model is not None
                self._pool[trial] = Pooled(candidate.architecture, model, candidate.preprocess)
            else:
                self._beside[trial] = model
            return None
        from archwright.export import BEST, save_best

        return save_best(
            self._folder,
            space=candidate.space,
            architecture=candidate.architecture,
            candidate=None if model is None else candidate,
            metrics=metrics,
            stage=stage,
            trial=trial,
            name=BEST if beside is None else f"{beside}/{trial}",
            source=beside != "pool",  # nobody uses these networks one by one
        )

    def clear(self, beside: Literal["front", "top", "pool"], keep: Collection[int]) -> None:
        """Remove the networks of other trials from those beside the best, or from the pool."""
        held: dict[int, Any] = self._pool if beside == "pool" else self._beside
        for number in held.keys() - keep:
            del held[number]
        if self._folder is not None and (self._folder / beside).exists():
            from archwright.export import clear_all_but

            clear_all_but(self._folder, beside, keep)

    def holds(self, trial: Trial, *, is_best: bool) -> bool:
        """Tell whether the network of a trial is kept."""
        if self._folder is None:
            best = self._kept is not None and self._kept[0] == trial.number
            return best if is_best else trial.number in self._beside
        from archwright.export import BEST, FRONT, TOP, read_best

        names = [BEST] if is_best else [f"{FRONT}/{trial.number}", f"{TOP}/{trial.number}"]
        try:
            return any((saved := read_best(self._folder, name)) and saved.trial == trial.number for name in names)
        except StudyError:
            return False  # what is damaged is as good as lost

    def pooled(self, space: Space, trial: int) -> Pooled:
        """Return the network of a trial in the pool.

        Raises:
            StudyError: There is none, or it is damaged.
        """
        if self._folder is None:
            held = self._pool.get(trial)
        else:
            from archwright.export import POOL, read_best

            saved = read_best(self._folder, f"{POOL}/{trial}")
            held = None if saved is None else Pooled(saved.architecture, saved.network(space), saved.preprocess())
        if held is None:
            raise StudyError(f"no network of trial {trial} is kept for an ensemble")
        return held

    def keep_ensemble(self, members: Members, network: Candidate, metrics: Mapping[str, float]) -> str | None:
        """Take in the network of an ensemble, in place of the one before.

        Returns:
            Why its source could not be written, where that is so.
        """
        self._preprocess = network.preprocess
        if self._folder is None:
            self._ensemble = network.model
            return None
        from archwright.export import ENSEMBLE, save_best

        return save_best(
            self._folder,
            space=network.space,
            architecture=network.architecture,
            candidate=network,
            metrics=metrics,
            name=ENSEMBLE,
            members=members,
        )

    def load_ensemble(self, space: Space) -> tuple[torch.nn.Module, Preprocess | None]:
        """Return the network of the ensemble, with the preprocessing of its inputs.

        Raises:
            StudyError: There is none, or it is damaged.
        """
        if self._folder is None:
            if self._ensemble is None:
                raise StudyError(
                    "no ensemble is kept: the search made none (ensemble=5), or it has no run folder and another "
                    "process made it: give path=, and it is kept on disk"
                )
            return self._ensemble, self._preprocess
        from archwright.export import ENSEMBLE, read_best

        saved = read_best(self._folder, ENSEMBLE)
        if saved is None:
            raise StudyError(f"{self._folder} holds no ensemble: a search with ensemble=5 makes one at its end")
        return saved.network(space), saved.preprocess()

    def load(
        self, space: Space, architecture: Architecture, fidelity: Spent | None = None, trial: int | None = None
    ) -> tuple[torch.nn.Module, Preprocess | None]:
        """Return the network of an architecture, or the smaller one that the search evaluated in its place.

        With it comes the preprocessing of its inputs; `None` where none was kept with it.
        """
        either = (architecture, reduced(space, architecture, fidelity))
        if self._folder is None:
            model = None if trial is None else self._beside.get(trial)
            if model is None and self._kept is not None and self._kept[1] in either:
                model = self._kept[2]
            if model is None:
                raise StudyError(
                    "no trained network is kept: the evaluator trained none, or the study was told its "
                    "results from outside, or it has no run folder and another process trained it: `resume` trains it "
                    "again, then. space.build(architecture) makes one, untrained."
                )
            return model, self._preprocess
        from archwright.export import BEST, FRONT, TOP, read_best

        for name in (f"{FRONT}/{trial}", f"{TOP}/{trial}", BEST):
            saved = read_best(self._folder, name)
            if saved is not None and saved.architecture in either:
                return saved.network(space), saved.preprocess()
        if saved is None:
            raise StudyError(f"{self._folder} holds no network: the evaluator of this study trained none")
        raise StudyError(
            f"{self._folder / BEST} holds the network of {saved.architecture.id}, not that of {architecture.id}. Kept "
            "are the best, the front of several objectives, and with final=3 the three best. Load the study again "
            "where its search goes on beside. Where the network was lost, as on a full disk, resume with a final= that "
            "includes its trial trains it again"
        )
