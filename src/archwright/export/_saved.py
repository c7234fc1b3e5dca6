"""A saved network of a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from archwright import _disk
from archwright._fields import fields, items, text, whole
from archwright.errors import ArchwrightError, StudyError
from archwright.export._ensemble import Members
from archwright.export._folder import INDEX
from archwright.space import Architecture, Space, TensorSpec
from archwright.trials import metrics_from_json

if TYPE_CHECKING:
    import torch

    from archwright.datasets import Preprocess

FIGURES = "metrics.json"
PREPROCESS = "preprocess.json"
SCRIPT = "predict.py"
WEIGHTS = "weights.safetensors"

_LONGEST = 300  # characters of what torch says


@dataclass(frozen=True)
class Saved:
    """The saved files of a network of a run folder.

    Args:
        place: The folder.
        architecture: The network's decisions.
        example_input: The input of the network, if known.
        metrics: Its metrics.
        stage: "search", or "final" after the longer training on train and validation data.
        trial: The number of its trial.
        files: The content of its files, by name.
        members: The members, if it is an ensemble.

    Example:
        >>> from archwright.export import read_best, save_best
        >>> space = aw.Space(model=nn.Linear(4, aw.ordinal(2, 3, name="width")), example_input=(4,))
        >>> save_best("run", space=space, architecture=aw.Architecture({"width": 3}), metrics={}, trial=7)
        >>> saved = read_best("run")
        >>> saved.trial, "model.py" in saved.files
        (7, True)
    """

    place: Path
    architecture: Architecture
    example_input: tuple[TensorSpec, ...] | None
    metrics: dict[str, float]
    stage: str
    trial: int | None
    files: Mapping[str, bytes] = field(repr=False)
    members: Members | None = None

    @classmethod
    def parse(cls, place: Path, files: Mapping[str, bytes]) -> Saved:
        """Return the network of files.

        Raises:
            StudyError: They are damaged; the message names the file and the field.
        """
        try:
            name = INDEX
            said = fields(_disk.parse_json(files[name], name), "the file", "decisions", "example_input")
            architecture = Architecture.from_json(said["decisions"])
            specs = said["example_input"] and tuple(map(_spec, items(said["example_input"], "'example_input'")))
            members = Members.from_json(said["ensemble"]) if "ensemble" in said else None
            name = FIGURES
            if name not in files:
                raise ValueError("the file is missing")
            figures = fields(_disk.parse_json(files[name], name), "the file", "metrics", "stage", "trial")
            return cls(
                place,
                architecture,
                specs or None,
                metrics_from_json(figures["metrics"]),
                text(figures["stage"], "'stage'"),
                None if figures["trial"] is None else whole(figures["trial"], "'trial'"),
                files,
                members,
            )
        except (ArchwrightError, ValueError) as error:
            raise StudyError(f"{place / name} is damaged: {error}") from error

    def network(self, space: Space) -> torch.nn.Module:
        """Return the trained network, in evaluation mode, on the CPU.

        It is built from the space; the code in `model.py` is not executed.

        Args:
            space: The space that was searched.

        Raises:
            StudyError: The search kept no weights, or they are damaged or those of another network.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        if WEIGHTS not in self.files:
            raise StudyError(
                f"{self.place} holds no weights: the evaluator of this study trained no network (candidate.model)"
            )
        weights = self.place / WEIGHTS
        try:
            tensors = load(self.files[WEIGHTS])
        except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OverflowError) as error:
            raise StudyError(f"{weights} is damaged: {error}") from error
        self._check_shapes(space, tensors)
        try:
            model = self._built(space)
        except ArchwrightError as error:
            raise StudyError(f"{self.place / INDEX} does not describe a network of the space: {error}") from error
        try:
            model.load_state_dict(tensors)
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            told = " ".join(str(error).split())  # torch says it in several lines, one for each layer
            told = told if len(told) < _LONGEST else f"{told[:_LONGEST]}..."
            raise StudyError(f"{weights} does not hold the weights of this network: {told}") from error
        return model.eval()

    def _built(self, space: Space) -> torch.nn.Module:
        if self.members is not None:
            return self.members.build(space, self.example_input)
        return space.build(self.architecture, self.example_input)

    def _check_shapes(self, space: Space, tensors: Mapping[str, torch.Tensor]) -> None:
        """Refuse weights of another network before memory is taken for this one, which may be of any size."""
        import torch

        try:
            with torch.device("meta"), torch.random.fork_rng(devices=[]):
                state = self._built(space).state_dict()
        except (ArchwrightError, NotImplementedError, RuntimeError):
            return  # perhaps because the meta device does not serve a class of the user's own
        wanted, given = ({name: tuple(each.shape) for name, each in of.items()} for of in (state, tensors))
        if wanted != given and not any(map(torch.nn.parameter.is_lazy, state.values())):
            name = next(name for name in {**wanted, **given} if wanted.get(name) != given.get(name))
            told = f"{name} has shape {given.get(name, 'none')} there, and {wanted.get(name, 'none')} in the network"
            raise StudyError(f"{self.place / WEIGHTS} does not hold the weights of this network: {told}")

    def preprocess(self) -> Preprocess | None:
        """Return the preprocessing of the network's inputs; `None` where none was saved with it.

        Raises:
            StudyError: It is damaged.
        """
        if PREPROCESS not in self.files:
            return None
        from archwright.datasets import InputError, preprocess_from_json

        place = self.place / PREPROCESS
        try:
            return preprocess_from_json(_disk.parse_json(self.files[PREPROCESS], place))
        except (InputError, ValueError) as error:
            raise StudyError(f"{place} cannot be used: {error}") from error


def _spec(written: object) -> TensorSpec:
    said = fields(written, "an input of 'example_input'", "shape", "dtype")
    sizes = [whole(size, "a size of 'example_input'", least=1) for size in items(said["shape"], "'shape'")]
    return TensorSpec(tuple(sizes), text(said["dtype"], "'dtype'"))
