"""The evaluator that trains a supernet and evaluates architectures with its weights."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import torch

from archwright import _disk
from archwright._scalars import is_whole, scalar
from archwright._states import parse_state
from archwright.errors import EvaluationError, unknown
from archwright.evaluate import (
    Batch,
    Candidate,
    Evaluator,
    Feed,
    Learned,
    Preparation,
    Setup,
    Stopped,
    Training,
    compute_metrics,
    lay_out,
    positive_integer,
    seeded,
)
from archwright.supernet import _base
from archwright.supernet._base import Relaxation
from archwright.supernet._diagnose import degeneracy, entropy, nones, operations, skips
from archwright.supernet._perturb import perturb
from archwright.supernet._supernet import Supernet
from archwright.supernet._trainer import Trainer

if TYPE_CHECKING:
    from typing import Self

    from archwright.datasets import Data
    from archwright.space import Architecture, Space
    from archwright.strategies import OneShot
    from archwright.tasks import Task

JUDGES = ("shared", "alone")
SELECTIONS = ("strength", "perturbation")

_LONGER = 3  # times the epochs of a single network, for each architecture is trained by a part of the steps
_LONGEST = 30  # and at most where it is a deadline that ends it
_CALIBRATION = 8  # batches by which statistics of batch normalisation are measured anew
_PREFERRED = 20  # architectures that are put on record, best first
_CHECKPOINT = "supernet.pt"


class SupernetEvaluator(Evaluator):
    """Evaluator that trains a supernet before the first trial, and evaluates architectures with its weights.

    With `judge="shared"` a trial evaluates the architecture's path with the shared weights, after recalibrating batch
    normalisation. With evolution this is single path one-shot search (Guo et al. 2020). With `judge="alone"` a trial
    trains the architecture from scratch, as `Training` does; the supernet then determines the order of the proposals of
    a strategy such as "darts".

    A supernet is trained once, with fixed settings: the space may have no other decisions than those of the network,
    with `judge="shared"` or a one-shot strategy.

    Args:
        training: A `Training`, or a task or data for one with its defaults. The supernet is trained with its settings
            on the same training part.
        relaxation: The relaxation of the supernet: a name (`archwright.supernet.names()`) or a `Relaxation`.
        epochs: Training epochs of the supernet. `None` for three times those of a single network; with a deadline, for
            as many as fit, up to thirty times.
        judge: "shared" or "alone".
        early_stop: Number of skip connections in the derived architecture that ends the training (DARTS+, Liang et al.
            2019); 0 for never.
        selection: "strength" takes the option with the largest weight; "perturbation" the one whose removal costs the
            trained supernet most (DARTS-PT, Wang et al. 2021).
        arch_lr: Learning rate of the logits; `None` to derive it from the number of steps.

    Attributes:
        supernet: The supernet, once it is prepared.

    Raises:
        EvaluationError: A value is out of its range.
        UnknownName: No relaxation has that name.

    Example:
        >>> import archwright as aw
        >>> evaluator = aw.SupernetEvaluator(aw.data("iris"), "path", epochs=5)
        >>> evaluator.objective
        'max accuracy'
    """

    task: Task

    def __init__(
        self,
        training: Training | Task | Data,
        relaxation: str | Relaxation = "path",
        *,
        epochs: int | None = None,
        judge: str = "shared",
        early_stop: int = 0,
        selection: str = "strength",
        arch_lr: float | None = None,
    ) -> None:
        self.training = training if isinstance(training, Training) else Training(training)
        self.relaxation = _base.create(relaxation) if isinstance(relaxation, str) else relaxation
        if epochs is not None:
            epochs = positive_integer("epochs", epochs)
        if judge not in JUDGES:
            raise unknown("judge", judge, JUDGES)
        if selection not in SELECTIONS:
            raise unknown("selection", selection, SELECTIONS)
        early_stop, arch_lr = scalar(early_stop), scalar(arch_lr)
        if not is_whole(early_stop) or early_stop < 0:
            raise EvaluationError(f"early_stop is how many skips are too many, or 0 for never; not {early_stop!r}")
        if (early_stop or selection == "perturbation") and not self.relaxation.learns:
            raise EvaluationError(
                f"early_stop and selection are for relaxations that learn; {_base.name_of(self.relaxation)!r} does not"
            )
        self.epochs, self.judge, self.early_stop, self.selection = epochs, judge, early_stop, selection
        self.arch_lr = arch_lr
        self.task = self.training.task
        self.objective = self.training.objective
        self.settings = frozenset() if judge == "shared" else self.training.settings
        self.example_input = self.training.example_input
        self.device, self.processes = self.training.device, self.training.processes
        self.supernet: Supernet | None = None

    @classmethod
    def of(cls, training: Training, strategy: OneShot, *, judge: str) -> Self:
        """Return the evaluator that a strategy asks for.

        Args:
            training: How a network is trained.
            strategy: The strategy.
            judge: "shared" or "alone".
        """
        return cls(
            training,
            _base.create(strategy.relaxation, **strategy.relaxation_settings()),
            epochs=strategy.epochs,
            judge=judge,
            early_stop=strategy.early_stop,
            selection=strategy.selection,
        )

    # ------------------------------------------------------------------ the supernet

    def prepare(self, preparation: Preparation) -> Learned:
        """Train the supernet, or resume its training, and return the result.

        After each epoch a checkpoint is written into the run folder, and a point of the curve is reported: "loss",
        "arch_loss", "entropy" of the probabilities, in 0..1, and "seconds".

        Raises:
            RelaxationError: The space cannot be one network, or the relaxation cannot serve it.
            EvaluationError: The loss became NaN or infinite.
        """
        space, seed = preparation.space, preparation.seed
        supernet = Supernet(space, self.relaxation, example_input=self.example_input, seed=seed).to(self.device)
        setup = self._setup()
        lay_out(supernet, setup.layout)
        epochs = self._epochs(preparation.deadline)
        curve: list[dict[str, float]] = []
        shares: list[dict[str, tuple[float, ...]]] = []
        with seeded(seed, self.device):
            trainer = Trainer(
                supernet,
                self.task,
                self.training.recipe,
                setup,
                epochs=epochs,
                seed=seed,
                deadline=preparation.deadline,
                arch_lr=self.arch_lr,
            )
            checkpoint = _Checkpoint(preparation.folder, self._key(space, seed))
            state = checkpoint.read()
            is_over = False
            if state is not None:
                try:
                    trainer.load_state(state["trainer"])
                    steps = [{name: list(each) for name, each in step.items()} for step in state["probabilities"]]
                    done = Learned.from_json(
                        {"architectures": [], "probabilities": steps, "curve": state["curve"], "diagnosis": {}}
                    )
                    curve, shares = list(map(dict, done.curve)), list(map(dict, done.probabilities))
                    is_over = bool(state["is_over"])
                except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
                    checkpoint.dismiss(f"is damaged ({type(error).__name__})")
                    return self.prepare(preparation)
            while not is_over and trainer.epochs_done < epochs:
                start = time.monotonic()
                row = trainer.epoch()
                if supernet.logits:
                    row["entropy"] = entropy(supernet)
                row["seconds"] = time.monotonic() - start
                curve.append({"step": float(trainer.epochs_done), **row})
                shares.append({name: tuple(each.tolist()) for name, each in supernet.probabilities().items()})
                is_over = trainer.pace.late() or trainer.epochs_done >= epochs or self._has_collapsed(supernet)
                checkpoint.write(
                    {"trainer": trainer.state(), "curve": curve, "probabilities": shares, "is_over": is_over}
                )
                try:
                    preparation.report(trainer.epochs_done, row)
                except Stopped:
                    break
            found: list[Architecture] = []
            if self.relaxation.learns:
                found = trainer.preferred(_PREFERRED)
                if self.selection == "perturbation":
                    chosen = perturb(trainer, seed=seed)
                    found = [chosen, *(each for each in found if each != chosen)]
        supernet.eval()
        self.supernet = supernet
        self._calibration = [inputs for inputs, _ in _first(Feed(self.task, self.task.train, setup), seed)]
        return Learned(tuple(found), tuple(shares), tuple(curve), _diagnosis(supernet, found))

    def _has_collapsed(self, supernet: Supernet) -> bool:
        return bool(self.early_stop) and skips(supernet.space, supernet.derive()) >= self.early_stop

    def _epochs(self, deadline: float | None) -> int:
        single = self.training.recipe.epochs_for(self.task)
        return self.epochs or single * (_LONGER if deadline is None else _LONGEST)

    # ------------------------------------------------------------------ candidates

    def evaluate(self, candidate: Candidate) -> dict[str, float]:
        """Return the metrics of a candidate on the validation part.

        Returns:
            Those of `Training`. With `judge="alone"` also `shared_accuracy`, or `shared_` and another metric that the
            task's objective names: its value with the shared weights.

        Raises:
            EvaluationError: No supernet has been trained.
            Stopped: The candidate was stopped.
        """
        if self.judge == "shared":
            metrics = self.shared(candidate.architecture)
            network = self._ready().extract(candidate.architecture)
            candidate.adopt(network)
            return {**metrics, "parameters": float(sum(each.numel() for each in network.parameters()))}
        metric = self.training.objective.split()[-1]
        shared = self.shared(candidate.architecture)[metric]
        return {**self.training.evaluate(candidate), f"shared_{metric}": shared}

    def shared(self, architecture: Mapping[str, Any]) -> dict[str, float]:
        """Return an architecture's metrics on the validation part with the shared weights.

        Args:
            architecture: An architecture of the space; parts besides the model are ignored.

        Raises:
            EvaluationError: No supernet has been trained.
        """
        supernet, setup = self._ready(), self._setup()
        path = supernet.select(architecture)
        supernet.calibrate(path, self._calibration)
        return compute_metrics(path, Feed(self.task, self.task.validation, setup), setup)

    def check_ensemble(self) -> None:
        """Refuse networks with shared weights.

        Raises:
            EvaluationError: `judge` is "shared".
        """
        if self.judge == "shared":
            raise EvaluationError(
                "the networks of this search share the weights of a supernet, and an ensemble needs networks that were "
                'trained apart: take judge="alone", or a Training'
            )

    def retrain(self, candidate: Candidate) -> dict[str, float]:
        """Train the candidate's network from scratch, by itself, for longer, and test it once, as `Training` does."""
        return self.training.retrain(candidate)

    def held_out(self, candidate: Candidate, model: torch.nn.Module) -> dict[str, float]:
        """Test a network that was trained before, as `Training` does."""
        return self.training.held_out(candidate, model)

    # ------------------------------------------------------------------ on record

    def to_json(self) -> dict[str, Any] | None:
        """Return a JSON object from which the evaluator can be restored, or `None`."""
        training = self.training.to_json()
        if training is None:
            return None
        return {
            "type": "supernet",
            "training": training,
            "relaxation": _base.name_of(self.relaxation),
            "relaxation_settings": asdict(self.relaxation),
            "epochs": self.epochs,
            "judge": self.judge,
            "early_stop": self.early_stop,
            "selection": self.selection,
            "arch_lr": self.arch_lr,
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> SupernetEvaluator:
        """Return the evaluator that `to_json` wrote down.

        Raises:
            EvaluationError: It is not one that is written there.
        """
        options = dict(written)
        if options.pop("type", None) != "supernet" or "training" not in options:
            raise EvaluationError(f"this is not a supernet's evaluator written down: {written!r}")
        training = Training.from_json(options.pop("training"))
        settings = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in options.pop("relaxation_settings").items()
        }
        return cls(training, _base.create(options.pop("relaxation"), **settings), **options)

    def __repr__(self) -> str:
        return f"SupernetEvaluator({self.training!r}, {_base.name_of(self.relaxation)!r}, judge={self.judge!r})"

    # ------------------------------------------------------------------ inside

    def _ready(self) -> Supernet:
        if self.supernet is None:
            raise EvaluationError(
                "no supernet has been trained yet: a search does it before its first trial, and prepare() by hand"
            )
        return self.supernet

    def _setup(self) -> Setup:
        return self.training.setup(self.device)

    def _key(self, space: Space, seed: int) -> str:
        """Return what a checkpoint must agree in to be gone on with."""
        return f"{space.fingerprint} {seed} {self.relaxation!r} {self.epochs} {self.training.recipe!r} {self.task!r}"


class _Checkpoint:
    """A file that holds the training of a supernet after its last epoch."""

    def __init__(self, folder: FilePath | None, key: str) -> None:
        self.file = None if folder is None else folder / _CHECKPOINT
        self._key = key

    def read(self) -> dict[str, Any] | None:
        """Return what was written last; None where there is nothing, or nothing of use, which is said."""
        if self.file is None or not os.path.lexists(self.file):
            return None
        content = _disk.read(self.file)
        try:
            state = parse_state(content)
        except ValueError as error:
            self.dismiss(str(error))
            return None
        if state.get("key") != self._key:
            self.dismiss("is that of another supernet")
            return None
        return state

    def write(self, state: dict[str, Any]) -> None:
        """Put a state in place of the one before, at once and as a whole."""
        if self.file is None:
            return
        _disk.write(self.file, lambda file: torch.save({**state, "key": self._key}, file))

    def dismiss(self, why: str) -> None:
        """Give a file that is of no use another name, and say so."""
        assert self.file is not None
        kept = _disk.set_aside(self.file)
        warnings.warn(
            f"the checkpoint {self.file} {why} and is kept as {kept.name}; the supernet is trained from the start",
            stacklevel=4,
        )


def _diagnosis(supernet: Supernet, preferred: list[Architecture]) -> dict[str, Any]:
    """Return what there is to say about the first of the architectures that are preferred."""
    if not preferred:
        return {}
    space, derived = supernet.space, preferred[0]
    count = max(1, operations(space, derived))
    found: dict[str, Any] = {
        "derived": derived.id,
        "skips": skips(space, derived) / count,
        "nothing": nones(space, derived) / count,
        "degenerate": degeneracy(space, derived) or None,
    }
    return {**found, "entropy": entropy(supernet)} if supernet.logits else found


def _first(feed: Feed, seed: int) -> Iterator[Batch]:
    """Yield some batches in an order of their own."""
    batches = feed.shuffled(min(128, len(feed)), torch.Generator().manual_seed(seed))
    for _, batch in zip(range(_CALIBRATION), batches, strict=False):
        yield batch
