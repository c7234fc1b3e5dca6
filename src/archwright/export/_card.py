"""Model cards: README.md of an export, in the layout of the Hugging Face Hub."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING

from archwright._words import counted

if TYPE_CHECKING:
    from archwright.datasets import Preprocess
    from archwright.export._saved import Saved

Measurements = Mapping[str, Mapping[str, float]]

_NORMAL = 1.959964  # the quantile of the standard normal distribution for an interval of 95 %
_TASKS = {  # of the Hub, by the kind of the preprocessing
    "audio": "audio-classification",
    "detection": "object-detection",
    "image": "image-classification",
    "language": "text-generation",
    "segmentation": "image-segmentation",
    "series": "time-series-forecasting",
    "speech": "automatic-speech-recognition",
    "table": "tabular-classification",
    "tags": "token-classification",
    "text": "text-classification",
    "translation": "translation",
}
_USES = {
    "predict.py": "Predict from files, with PyTorch (and Pillow for images): `python predict.py FILE...`. In Python: "
    "`from predict import load; load().predict([...])`.",
    "serve.py": "Serve over HTTP: `pip install -r requirements.txt; python serve.py`, or `docker build -t NAME .` and "
    "`docker run -p 8000:8000 NAME`.",
    "model.py": "`build()` in `model.py` makes the network; it takes normalised inputs.",
    "model.onnx": "`model.onnx` (ONNX) takes {raw} in batches of any size.",
    "model.int8.onnx": "`model.int8.onnx` is the same with integers of 8 bits.",
    "model.pt2": '`torch.export.load("model.pt2").module()` takes {raw} in batches of any size.',
    "model.pte": "`model.pte` (ExecuTorch) takes {raw}, one sample at a time.",
}


@dataclass(frozen=True)
class Card:
    """What a model card says besides what is saved with a network.

    Args:
        name: The title.
        data: The name of the data.
        samples: The numbers of "validation" and "test" samples, if accuracies are shares of them.
        search: How the network was found, a sentence each.
        seed: The random seed of the search.
        baselines: The metrics of classical methods on the same data, by name.
        licence: The licence of the network, an identifier of the Hub such as "apache-2.0"; `None` for none.

    Example:
        >>> from archwright.export import Card
        >>> Card("digits", data="digits", samples={"test": 359}, licence="apache-2.0").licence
        'apache-2.0'
    """

    name: str
    data: str | None = None
    samples: Mapping[str, int] = field(default_factory=dict)
    search: Sequence[str] = ()
    seed: int | None = None
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    licence: str | None = None

    def write(
        self,
        saved: Saved,
        preprocess: Preprocess | None,
        *,
        sizes: Mapping[str, int],
        costs: Mapping[str, float],
        measured: Measurements,
    ) -> str:
        """Return the text of README.md.

        Args:
            saved: The network.
            preprocess: Its preprocessing.
            sizes: The sizes of the other files of the export in bytes, by name.
            costs: The costs of the network: "parameters", "flops".
            measured: What was measured of files, by name: of a quantised network and of the one before.
        """
        parts = [
            self._header(saved, preprocess),
            f"# {_plain(self.name)}\n",
            f"A PyTorch network, found by neural architecture search with archwright {version('archwright')}.\n",
            f"## Data\n\n{self._data()}\n",
            f"## Metrics\n\n{self._metrics(saved)}\n",
            *([f"## Integers of 8 bits\n\n{_quantised(measured)}\n"] if "model.int8.onnx" in measured else []),
            f"## Cost\n\n{_cost(sizes, costs, measured)}\n",
            f"## Training\n\n{self._training(saved)}\n",
            f"## Use\n\n{_uses(preprocess, sizes)}\n",
            f"## Licence\n\n{self._licence()}\n",
        ]
        return "\n".join(parts)

    def _header(self, saved: Saved, preprocess: Preprocess | None) -> str:
        """Return the metadata in YAML, of which JSON is a part."""
        task = None if preprocess is None else _task(preprocess)
        found = [
            {"type": name.removeprefix("test_"), "name": name, "value": value}
            for name, value in saved.metrics.items()
            if math.isfinite(value) and name not in ("epochs", "parameters")
        ]
        result = {
            "task": {"type": task or "other"},
            "dataset": {"name": _plain(self.data or "unknown"), "type": _plain(self.data or "unknown")},
            "metrics": found,
        }
        told = {
            "license": self.licence,
            "library_name": "pytorch",
            "pipeline_tag": task,
            "tags": ["neural-architecture-search", "archwright"],
            "model-index": [{"name": _plain(self.name), "results": [result]}] if found else None,
        }
        lines = [
            f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in told.items() if value is not None
        ]
        return "\n".join(["---", *lines, "---", ""])

    def _data(self) -> str:
        named = f"`{_plain(self.data)}`" if self.data else "The data are not on record"
        sizes = ", ".join(f"{size} {name} samples" for name, size in self.samples.items())
        return f"{named}{': ' * bool(sizes)}{sizes}."

    def _metrics(self, saved: Saved) -> str:
        """Return a table of the network's metrics beside those of the baselines."""
        names = [name for name in saved.metrics if name not in ("epochs", "parameters")]
        rows = [["metric", "this network", *map(_plain, self.baselines)], ["---"] * (2 + len(self.baselines))]
        for name in names:
            figures = [saved.metrics, *self.baselines.values()]
            rows.append([name, *(self._figure(name, each[name]) if name in each else "" for each in figures)])
        notes = ["Accuracies: with the 95 % interval of a share (Wilson). Other metrics: without an interval."]
        if saved.stage == "final":
            notes.append("The network was trained on the training and the validation samples, and tested once.")
        else:
            notes.append("The network was selected by validation metrics, which are therefore optimistic.")
        if self.baselines:
            notes.append("The other columns are classical methods on the same data.")
        return "\n".join(f"| {' | '.join(row)} |" for row in rows) + f"\n\n{' '.join(notes)}"

    def _figure(self, name: str, value: float) -> str:
        samples = self.samples.get("test" if name.startswith("test_") else "validation")
        if name.removeprefix("test_") != "accuracy" or not samples:
            return f"{value:.4g}"
        low, high = interval(value, samples)
        return f"{value:.4f} ({low:.4f} to {high:.4f})"

    def _training(self, saved: Saved) -> str:
        stage = "trained again from scratch after the search" if saved.stage == "final" else "trained in the search"
        lines = [*map(_plain, self.search), f"The network is that of trial {saved.trial}, {stage}."]
        if saved.members is not None:
            lines[-1] = f"The network is an ensemble of {counted(len(saved.members.architectures), 'network')}."
        if self.seed is not None:
            lines.append(f"The random seed is {self.seed}.")
        return " ".join([*lines, "The decisions are in `architecture.json`."])

    def _licence(self) -> str:
        return f"`{self.licence}`" if self.licence else "None is stated. Ask the owner before you use the network."


def interval(share: float, samples: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share of independent samples (Wilson 1927)."""
    squared = _NORMAL**2
    centre = (share + squared / (2 * samples)) / (1 + squared / samples)
    half = _NORMAL / (1 + squared / samples) * math.sqrt(share * (1 - share) / samples + squared / (4 * samples**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def _cost(sizes: Mapping[str, int], costs: Mapping[str, float], measured: Measurements) -> str:
    units = {"parameters": "parameters", "flops": "FLOPs for a sample, 2 per multiply-add"}
    lines = [f"- {value:,.0f} {units[name]}" for name, value in costs.items()]
    for name, size in sizes.items():
        arena = measured.get(name, {}).get("arena_bytes")
        told = "" if arena is None else f", and an arena of {arena:,} bytes for inputs, activations and outputs"
        lines.append(f"- `{name}`: {size:,} bytes{told}")
    return "\n".join(lines)


def _task(preprocess: Preprocess) -> str | None:
    if preprocess.kind in ("table", "interactions") and preprocess.targets:
        return "tabular-regression"
    return _TASKS.get(preprocess.kind)


def _uses(preprocess: Preprocess | None, sizes: Mapping[str, int]) -> str:
    raw = "normalised inputs" if preprocess is None else "raw inputs, as `preprocess.json` describes them,"
    return "\n".join(f"- {told.format(raw=raw)}" for name, told in _USES.items() if name in sizes)


def _quantised(measured: Measurements) -> str:
    measured = {name: figures for name, figures in measured.items() if name.endswith(".onnx")}
    names = list(dict.fromkeys(name for figures in measured.values() for name in figures))
    rows = [["", *(f"`{name}`" for name in measured)], ["---"] * (1 + len(measured))]
    rows += [[name, *(f"{figures[name]:.6g}" for figures in measured.values())] for name in names]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _plain(text: str) -> str:
    """Return a text of a record without what has a meaning in Markdown, and without control characters."""
    return "".join(each if each.isprintable() and each not in "`|<>[]*\\" else " " for each in text)
