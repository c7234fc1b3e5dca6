"""The evaluator that trains."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from archwright._scalars import scalar
from archwright._words import counted
from archwright.datasets import TASKS
from archwright.errors import EvaluationError, SpaceError, UnknownName, unknown
from archwright.evaluate._best_epoch import BestEpoch, train_to_the_end
from archwright.evaluate._candidate import Candidate
from archwright.evaluate._device import Setup, choose_device, has_bf16, lay_out, seeded
from archwright.evaluate._distributed import Team
from archwright.evaluate._evaluator import Evaluator, decided_settings
from archwright.evaluate._feed import TIMED_SAMPLES, Feed, compute_metrics, seconds_to_validate
from archwright.evaluate._fidelity import LONGER
from archwright.evaluate._loop import TrainingLoop, TrainingProgress, seconds_per_step
from archwright.evaluate._optimizers import MakeOptimizer
from archwright.evaluate._recipe import Recipe, as_names, positive_integer
from archwright.evaluate._splits import evaluate_on_splits, split_again
from archwright.evaluate._stages import Cuts, fidelities, keep_back, stages
from archwright.tasks import as_task
from archwright.tasks import task as load_task

if TYPE_CHECKING:
    from archwright.datasets import Data
    from archwright.evaluate._fidelity import Spent
    from archwright.space import Space
    from archwright.tasks import Task

PRECISIONS = ("float32", "bf16", "auto")
_LISTED = 64  # values of a setting that are checked before a search
_AT_MOST = 2  # times the epochs of a full training, where it is a deadline that ends the final one, for images


class Training(Evaluator):
    """Train the network of a candidate on a task, and evaluate it on the validation data after each epoch.

    Parts of a space with the names of the arguments in `settings`, such as `lr=aw.real(1e-3, 1e-1, log=True)`, override
    the arguments. The fidelities are "epochs", "seconds" of training time, the fraction "data" of the training data,
    the "resolution" of images, their height in pixels, and, with fewer than 500 validation samples, the number of
    "splits" into training and validation data that a candidate is trained on. With "seconds" networks are compared
    after equal wall-clock time, so the results are not reproducible by the seed.

    Otherwise the same seed gives the same metrics, bit for bit on the CPU with the same number of threads. The trained
    network is `candidate.model`, in evaluation mode.

    Args:
        task: The task: data loaded by `aw.data(...)`, or a `Task`.
        epochs: Number of epochs; `None` for 3 to 30, fewer for more data: 800 over the square root of the number of
            training samples.
        batch_size: Batch size; `None` for 128, or less if an epoch had fewer than 32 steps, down to 16.
        optimizer: "muon" (Jordan et al. 2024), "adamw", "adam", "sgd" (with Nesterov momentum 0.9); "auto" for "muon"
            with images and "adamw" otherwise; or a function of the parameters that returns a `torch.optim.Optimizer`.
        lr: Peak learning rate; `None` for that of the task (`Task.learning_rate`), or the default of the named
            optimizer. Not used with an optimizer function.
        weight_decay: Weight decay; `None` for the default of the named optimizer. Biases and normalisation layers are
            not decayed. Not used with an optimizer function.
        schedule: Learning rate schedule: "one-cycle" (Smith and Topin 2018), "cosine" (Loshchilov and Hutter 2017) or
            "constant".
        label_smoothing: Label smoothing, 0 or more and below 1; `None` for 0.1 in classification. Not used for other
            tasks.
        augment: Augmentation of training images: any of "flip", "crop" and "cutout" (DeVries and Taylor 2017); `()` for
            none. "auto" is "crop", with "flip" if mirrored images of the training data are recognised by their nearest
            neighbours, unlike digits or text.
        clip: Maximum norm for gradient clipping; `None` for no clipping.
        precision: "float32", "bf16" for autocast, or "auto": "bf16" for images and on GPUs where the device has
            instructions for it, else "float32".
        channels_last: Whether to use the channels-last memory format; `None` for yes, except on "mps".
        device: Device name, or "auto" for the first available of cuda, mps and cpu.
        processes: Number of processes that train a network together, each on a share of every batch, with the mean of
            their gradients; on CUDA each uses a GPU of its own. Batch normalisation uses the statistics of a share.
        final_epochs: Epochs of the final training. `None` for three times `epochs`; with a time budget, for as many as
            fit into it, up to three times the default number of `epochs`, and six times with images.

    Raises:
        EvaluationError: A value is out of range or does not suit the data, or the device is not available.
        UnknownName: A name is not known.

    Example:
        >>> import archwright as aw
        >>> aw.Training(aw.data("iris"), epochs=5, device="cpu")
        Training('iris', epochs=5, batch_size=16, device='cpu')
    """

    task: Task
    settings = frozenset(field.name for field in dataclasses.fields(Recipe))

    def __init__(
        self,
        task: Task | Data,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        optimizer: str | MakeOptimizer = "auto",
        lr: float | None = None,
        weight_decay: float | None = None,
        schedule: str = "one-cycle",
        label_smoothing: float | None = None,
        augment: str | Iterable[str] | None = "auto",
        clip: float | None = None,
        precision: str = "float32",
        channels_last: bool | None = None,
        device: str = "auto",
        processes: int = 1,
        final_epochs: int | None = None,
    ) -> None:
        task = as_task(task)
        if precision not in PRECISIONS:
            raise unknown("precision", precision, PRECISIONS)
        if final_epochs is not None:
            final_epochs = positive_integer("final_epochs", final_epochs)
        self.task = task
        self.objective = task.objective
        self.metrics = task.metrics | {"train_loss", "epochs", "parameters"}
        unused = {
            *([] if task.augmentations else ["augment"]),
            *([] if task.label_smoothing is not None else ["label_smoothing"]),
        }
        self.settings = type(self).settings - unused
        self.example_input = task.example_input
        if optimizer == "auto":
            optimizer = "muon" if task.kind == "image" else "adamw"
        self.recipe = Recipe(
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            schedule=schedule,
            label_smoothing=label_smoothing,
            augment=task.suited if augment == "auto" else as_names(augment),
            clip=clip,
        )
        self.device = choose_device(device)
        self.processes = positive_integer("processes", processes)
        self._team = None if self.processes == 1 else Team(self.processes, self.device)
        self._check(self.recipe)
        if precision == "auto":
            is_suited = (task.kind == "image" or self.device != "cpu") and has_bf16(self.device)
            precision = "bf16" if is_suited else "float32"
        self.precision = precision
        self.channels_last = scalar(channels_last)
        self.final_epochs = final_epochs
        self._asked_device = device
        self.fidelities = fidelities(task, self.recipe.epochs_for(task), self.recipe.batch_for(task))
        self._cuts = Cuts(task)

    def check(self, space: Space) -> None:
        """Check before a search that a space can be trained, with allowed values of all settings.

        Raises:
            SpaceError: A part is not a setting, or a value of a setting is not allowed.
            ShapeError: The networks do not fit the data.
        """
        super().check(space)
        for name in decided_settings(space):
            alone = type(space)(**{name: space.parts[name]})
            rng = np.random.default_rng(0)
            few = alone.size <= _LISTED
            for architecture in alone.enumerate() if few else (alone.sample(rng) for _ in range(_LISTED)):
                try:
                    self._recipe_of(Candidate(alone, architecture, seed=0))
                except (EvaluationError, UnknownName) as error:
                    raise SpaceError(f"the space decides {name!r}, and {error}") from error

    def try_out(self, candidate: Candidate) -> None:
        """Run the candidate's network on two samples.

        Raises:
            EvaluationError: The output does not fit the data, or a setting is invalid.
        """
        self._recipe_of(candidate)
        train = self.task.train
        with self._running(candidate.model.eval(), candidate) as setup, torch.no_grad():
            feed = Feed(self.task, train.select(torch.arange(2)), setup)
            for inputs, _ in feed.in_order(2):
                feed.run(candidate.model, inputs)

    def evaluate(self, candidate: Candidate) -> dict[str, float]:
        """Train the candidate's network, and return its metrics.

        The metrics are reported after each epoch. At the candidate's deadline the epoch is cut short, its metrics are
        reported, and `Stopped` is raised.

        A candidate at a lower fidelity that may be continued is trained in stages. The learning rate is annealed in
        each stage and restarts in the next (Loshchilov and Hutter, "SGDR", 2017), so that the results of a stage are
        comparable. A training that is continued from a checkpoint gives the same result as one without interruption.

        With the fidelity "splits" it is trained that many times, each time with other validation samples of the same
        number, and the metrics are means; the network is that of the first split, the task's own.

        The weights are those of the last epoch, or of the best one of the last stage if that is clearly better: by the
        objective, or by the loss with fewer than 500 validation samples, and by a share of 2 / sqrt(n) of its value for
        n validation samples. A stage ends early, in its last quarter, if 40 % of it have passed since such an epoch.

        Returns:
            The metrics of the task on the validation set, such as "accuracy" and "loss" (without label smoothing);
            "train_loss", the training loss; "epochs"; "parameters", the number of parameters.

        Raises:
            EvaluationError: The loss became NaN or infinite, the network's output does not fit, or a setting is
                invalid.
            Stopped: The candidate was stopped.
        """
        if "splits" in candidate.stages[-1]:
            return evaluate_on_splits(candidate, lambda number, other: self._on_split(number).evaluate(other))
        recipe = self._recipe_of(candidate)
        size = recipe.batch_for(self.task)
        state = candidate.restore()
        model = candidate.model
        way = stages(candidate.stages, recipe.epochs_for(self.task))
        done, reached = (0, 0.0) if state is None else (int(state["stages"]), float(state["epochs"]))
        metrics: dict[str, float] = {}
        trainer: TrainingLoop | None = None
        with self._running(model, candidate) as setup:
            for number, stage in enumerate(way[done:], start=done):
                train, validation = (Feed(self.task, part, setup) for part in self._cuts.of(stage))
                full, seed = train.steps(size), candidate.seed + number
                cut = stage.seconds is not None and candidate.remaining() < stage.seconds
                pace = stage.pace(full, candidate.deadline)
                if trainer is None:
                    trainer = self._loop(model, train, setup, recipe, batch_size=size, seed=seed, pace=pace)
                    if state is not None:
                        trainer.load_state(state)
                else:
                    trainer.begin(train, seed=seed, pace=pace)
                over, begun, best = False, reached, BestEpoch(self.task, len(validation))
                with seeded(seed, candidate.device):
                    while not over:
                        train_loss = trainer.epoch(limit=pace.left(trainer.step))
                        progress = pace.progress(trainer.step)
                        over = pace.done(trainer.step)
                        if stage.seconds is not None and not over and not best.due(progress):
                            continue  # the time is for learning
                        trainer.settle()
                        validated = compute_metrics(model, validation, setup, seconds=stage.seconds_to_validate)
                        metrics = {"train_loss": train_loss, **validated}
                        best.offer(model, metrics, progress)
                        over = over or best.stalled()
                        reached = begun + trainer.step / full
                        # What is complete is not stopped, even if it was the deadline's last moment.
                        last = over and number == len(way) - 1 and not cut
                        tell = candidate.record if last else candidate.report
                        tell(_tidy(reached), **metrics)
                best.restore(model)
                metrics = best.metrics
            assert trainer is not None
            candidate.save({"stages": len(way), "epochs": reached, **trainer.state()})
        return {**metrics, "epochs": _tidy(reached), "parameters": _size(model)}

    def retrain(self, candidate: Candidate) -> dict[str, float]:
        """Train the candidate's network from scratch on the training and most of the validation set, and test it once.

        Half of the validation set, at most 1,000 samples, is kept for choosing the best epoch, as in `evaluate`. If the
        network that the search has trained (`candidate.searched`) is clearly better there, it is the result, with a
        warning.

        With a deadline the learning rate follows the time or the steps, whichever is further, so that it is fully
        annealed at the end; the test ends before the deadline. The training loss of each epoch is reported; if a
        listener raises `Stopped`, the training ends, and the network is tested.

        Returns:
            The metrics of the task on the test set, if there is one, named `test_...`; "parameters"; and of a network
            that is not that of the search "train_loss" and "epochs", possibly fractional.

        Raises:
            EvaluationError: As in `evaluate`; or the time is too short for any training.
        """
        recipe = self._recipe_of(candidate)
        epochs = self.final_epochs or LONGER * recipe.epochs_for(self.task)
        if candidate.deadline is not None:
            epochs = self._most_epochs(recipe)
        size = recipe.batch_for(self.task)
        kept, others = keep_back(self.task.validation, is_ordered=self.task.is_ordered)
        model = candidate.rebuild()
        with self._running(model, candidate) as setup:
            feed, held = Feed(self.task, self.task.train + others, setup), Feed(self.task, kept, setup)
            deadline = candidate.deadline
            if deadline is not None:
                # The test, the step under way when the time is up, and as much again: machines waver.
                tested = round(self.task.test_passes * len(self.task.test))
                timed = self.task.train.select(torch.arange(min(len(self.task.train), TIMED_SAMPLES)))
                probe = Feed(self.task, timed, setup.exact)
                spare = 2 * seconds_to_validate(model, probe, setup.exact, samples=tested + len(kept) + 4 * size)
                if candidate.remaining() <= spare:
                    few = f"{candidate.remaining():.3g} seconds are too few for a final training"
                    searched = candidate.searched()
                    if searched is None:
                        raise EvaluationError(f"{few}: its test alone may take {spare:.3g}")
                    candidate.problem(
                        f"{few}, whose test alone may take {spare:.3g}: the network of the search is kept"
                    )
                    model.load_state_dict(searched.state_dict())
                    return {**self._tested(model, setup), "parameters": _size(model)}
                deadline -= spare
            pace = TrainingProgress(epochs * feed.steps(size), deadline=deadline, by_time=True)
            trainer = self._loop(model, feed, setup, recipe, batch_size=size, seed=candidate.seed, pace=pace)
            best = BestEpoch(self.task, len(kept))
            train_loss = train_to_the_end(trainer, pace, candidate, lambda: compute_metrics(model, held, setup), best)
            trained = trainer.step / feed.steps(size)
            searched = candidate.searched()
            if searched is not None:
                before = compute_metrics(searched.to(candidate.device), held, setup)
                if best.is_clearly_better(before, best.metrics):
                    name = best.compared_by
                    candidate.problem(
                        f"the final training is behind the search: {name} {best.metrics[name]:.4f} against "
                        f"{before[name]:.4f} on {counted(len(kept), 'validation sample')} that it did not learn from. "
                        "The network of the search is kept"
                    )
                    model.load_state_dict(searched.state_dict())
                    return {**self._tested(model, setup), "parameters": _size(model)}
            found = self._tested(model, setup)
        return {**found, "train_loss": train_loss, "epochs": trained, "parameters": _size(model)}

    @property
    def most_final_epochs(self) -> float:
        """The largest number of epochs of a final training in a time budget."""
        return self._most_epochs(self.recipe)

    def _most_epochs(self, recipe: Recipe) -> int:
        if self.final_epochs is not None:
            return self.final_epochs
        enough = recipe.enough_epochs(self.task) * (_AT_MOST if self.task.kind == "image" else 1)
        return max(LONGER * recipe.epochs_for(self.task), enough)

    def held_out(self, candidate: Candidate, model: torch.nn.Module) -> dict[str, float]:
        """Test a trained network.

        Returns:
            The metrics of the task on the test set, if there is one, named `test_...`; "parameters".
        """
        model.to(candidate.device)
        with self._running(model, candidate) as setup:
            return {**self._tested(model, setup), "parameters": _size(model)}

    def _tested(self, model: torch.nn.Module, setup: Setup) -> dict[str, float]:
        if not len(self.task.test):
            return {}
        setup = setup.exact  # as the network is shipped
        tested = compute_metrics(model, Feed(self.task, self.task.test, setup), setup)
        with torch.no_grad():
            tested |= self.task.test_metrics(partial(setup.run, model), setup.device)
        return {f"test_{name}": value for name, value in tested.items()}

    def seconds_per_epoch(self, candidate: Candidate) -> float:
        """Return an estimate of the seconds per epoch of the candidate's training, from a few steps."""
        recipe = self._recipe_of(candidate)
        with self._running(candidate.model, candidate) as setup:
            feed = Feed(self.task, self.task.train, setup)

            def make(size: int, pace: TrainingProgress) -> TrainingLoop:
                return self._loop(candidate.model, feed, setup, recipe, batch_size=size, seed=0, pace=pace)

            size = recipe.batch_for(self.task)
            return seconds_per_step(make, size, processes=self.processes) * feed.steps(size)

    def check_fidelities(self, space: Space, rungs: Sequence[Spent]) -> None:
        """Check that the networks of a space run in a lower resolution, which those that end in a flattening do not.

        Raises:
            EvaluationError: A network of the space does not run; or the space decides epochs and the fidelity is the
                time.
        """
        if "epochs" in space.parts and any("seconds" in rung and "epochs" not in rung for rung in rungs):
            raise EvaluationError(
                "the space decides the number of epochs, which trainings of so many seconds do not go by: take another "
                "fidelity than seconds, such as epochs, or leave epochs out of the space"
            )
        sides = sorted({int(rung["resolution"]) for rung in rungs if "resolution" in rung})
        if not sides:
            return
        architecture = space.sample(np.random.default_rng(0))
        candidate = Candidate(space, architecture, seed=0, example_input=self.example_input)
        channels, height, width = self.task.train.inputs.shape[1:]
        for side in sides:
            images = torch.zeros(2, channels, side, max(1, round(side * width / height)))
            try:
                with torch.no_grad():
                    candidate.model.eval()(images)
            except Exception as error:  # whatever a layer raises
                raise EvaluationError(
                    f"networks of the space {space.name or 'custom'!r} do not run on images of {side} instead of "
                    f"{height} pixels ({error}): take another fidelity than the resolution, or let them end in a "
                    "global pooling"
                ) from error

    def to_json(self) -> dict[str, Any] | None:
        """Return the settings with the source of the data; the inverse is `from_json`.

        Returns:
            A JSON object, or `None` if the data are in memory or the optimizer is a function.
        """
        if self.task.spec is None or not isinstance(self.recipe.optimizer, str):
            return None
        return {
            **self._settings(data=dict(self.task.spec)),
            "channels_last": self.channels_last,
            "device": self._asked_device,
        }

    def describe(self) -> dict[str, Any]:
        """Return the settings, also of a training that cannot be restored, with the task in one line."""
        optimizer = self.recipe.optimizer
        named = optimizer if isinstance(optimizer, str) else getattr(optimizer, "__qualname__", "custom")
        return self.to_json() or {**self._settings(task=repr(self.task)), "optimizer": named}

    def _settings(self, **trained: Any) -> dict[str, Any]:
        return {
            "type": "training",
            **trained,
            **dataclasses.asdict(self.recipe),
            "augment": list(self.recipe.augment),
            "precision": self.precision,
            "processes": self.processes,
            "final_epochs": self.final_epochs,
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Training:
        """Return the evaluator written by `to_json`, and load its data.

        Raises:
            EvaluationError: The object is not a training.
        """
        options = dict(written)
        if options.pop("type", None) != "training" or "data" not in options:
            raise EvaluationError(f"this is not a training written down: {written!r}")
        return cls(load_task(**{"task": TASKS[0], **options.pop("data")}), **options)  # as it was, not guessed again

    def _on_split(self, number: int) -> Training:
        """Return the same training on another split of the data."""
        other = copy.copy(self)
        other.task = split_again(self.task, number)
        other._cuts = Cuts(other.task)
        return other

    @property
    def _loop(self) -> Callable[..., TrainingLoop]:
        return partial(TrainingLoop, team=self._team)

    def _recipe_of(self, candidate: Candidate) -> Recipe:
        """Return the recipe with the candidate's settings in it."""
        recipe = self.recipe.with_settings(candidate.settings)
        self._check(recipe)
        return recipe

    def _check(self, recipe: Recipe) -> None:
        """Refuse a recipe that does not suit the task or the processes."""
        recipe.check(self.task)
        if self._team is not None:
            self._team.check(recipe.batch_for(self.task))

    def setup(self, device: str) -> Setup:
        """Return memory format and precision for a device."""
        channels_last = torch.device(device).type != "mps" if self.channels_last is None else self.channels_last
        return Setup(
            device,
            channels_last=channels_last and self.task.kind == "image",
            bf16=self.precision == "bf16",
        )

    @contextmanager
    def _running(self, model: torch.nn.Module, candidate: Candidate) -> Iterator[Setup]:
        """Put a network into the layout to run in and seed what it draws; put it back afterwards."""
        setup = self.setup(candidate.device)
        lay_out(model, setup.layout)
        try:
            with seeded(candidate.seed, candidate.device):
                yield setup
        finally:
            if self._team is not None:
                self._team.rest()
            # Whatever ended the training: ready for use, and laid out as files of weights want it.
            model.eval()
            lay_out(model, torch.contiguous_format)

    def __repr__(self) -> str:
        size, epochs = self.recipe.batch_for(self.task), self.recipe.epochs_for(self.task)
        return f"Training({self.task.name!r}, epochs={epochs}, batch_size={size}, device={self.device!r})"


def _tidy(epochs: float) -> float:
    """Return a number of epochs without the traces of its sums: 3 rather than 2.9999999999999996."""
    return round(epochs, 9)


def _size(model: torch.nn.Module) -> float:
    """Return how many numbers a network learns."""
    return float(sum(weight.numel() for weight in model.parameters()))
