"""Language models: the next token of a text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from archwright.datasets import LanguagePreprocess, Part, read_text, split_in_order, units_of, usual_tokens
from archwright.errors import DataError, EvaluationError
from archwright.space import TensorSpec
from archwright.tasks._baseline import ClassicalMethod
from archwright.tasks._registry import register
from archwright.tasks._text import checked_length
from archwright.tasks._tokens import TokenScores, TokenTask

_LENGTHS = {"characters": 128, "words": 64}
_LEAST, _MOST = {"characters": 1, "words": 2}, {"characters": 1_000, "words": 20_000}
_ORDER = 5  # of the n-grams of characters; of words they are pairs
_KEPT = 50_000_000  # probabilities of n-grams, of the contexts that came last


class LanguageModel(TokenTask):
    """Prediction of the next token of a text.

    A network gives scores of all tokens for each token of a sequence, shape (n, length, tokens), of which each may
    depend on the tokens up to its own only. The loss is the mean cross-entropy in nats. Metrics are "perplexity", its
    exponential; "bits", the loss in bits, which for characters are bits per character; and "accuracy", the share of
    tokens that are the most probable ones. Texts are cut into sequences that do not overlap, so the first tokens of
    each are predicted from few others.

    Args:
        train: Tokens, int64 (n, length), with the next ones, int64 (n, length).
        validation: Likewise.
        test: Likewise; may be empty.
        preprocess: The preprocessing, with the vocabulary.
        name: The name.

    Example:
        >>> from archwright.datasets import LanguagePreprocess
        >>> from archwright.tasks import LanguageModel
        >>> part = aw.datasets.Part(torch.randint(3, (8, 5)), torch.randint(3, (8, 5)))
        >>> LanguageModel(part, part, part, LanguagePreprocess("characters", ("a", "b"), 5)).objective
        'min loss'
    """

    space = "language"
    label_smoothing = 0.0
    metrics = frozenset(("loss", "perplexity", "bits", "accuracy"))
    batch_size = 32
    learning_rate = 3e-3
    is_ordered = True

    def __init__(
        self,
        train: Part,
        validation: Part,
        test: Part,
        preprocess: LanguagePreprocess,
        *,
        name: str = "language",
    ) -> None:
        self.preprocess = preprocess
        self.tokens = preprocess.tokens
        self.space_options = {
            "input_shape": (preprocess.length,),
            "classes": self.tokens,
            "vocabulary": self.tokens,
        }
        super().__init__(
            train=train,
            validation=validation,
            test=test,
            loss=F.cross_entropy,
            objective="min loss",
            example_input=TensorSpec((preprocess.length,), "int64"),
            name=name,
        )

    @property
    def baselines(self) -> Sequence[ClassicalMethod]:
        """N-grams with the smoothing of Witten and Bell: five characters, or two words."""
        order = _ORDER if self._is_of_characters else 2
        return [ClassicalMethod(f"{order}-grams", partial(_fit_ngrams, self, order))]

    @property
    def _is_of_characters(self) -> bool:
        return isinstance(self.preprocess, LanguagePreprocess) and self.preprocess.unit == "characters"

    def distillation(self, outputs: Tensor, teacher_outputs: Tensor) -> Tensor:
        """Return the mean cross-entropy against the probabilities of another network, a scalar."""
        return F.cross_entropy(outputs.flatten(0, 1), teacher_outputs.flatten(0, 1).softmax(1))

    def meter(self, device: str = "cpu") -> Perplexity:
        """Return the metrics of a part."""
        return Perplexity(device)

    def decode(self, outputs: Tensor) -> list[list[int]]:
        """Return the most probable next token after each token."""
        found: list[list[int]] = outputs.argmax(2).tolist()
        return found


class Perplexity(TokenScores):
    """The metrics of a language model."""

    def compute(self) -> dict[str, float]:
        """Return "perplexity", "bits" and "accuracy"."""
        entropy, _, count = self._sums.tolist()
        return {**super().compute(), "bits": entropy / count / math.log(2)}


def _fit_ngrams(task: LanguageModel, order: int, samples: Part, share: float) -> Callable[[Tensor], Tensor]:
    """Fit n-grams: p(token | context) = (count + kinds × p(token | shorter context)) / (all + kinds).

    Witten and Bell, "The zero-frequency problem", 1991: kinds is the number of different tokens seen after the context.
    """
    tables: list[dict[tuple[int, ...], dict[int, int]]] = [{} for _ in range(order)]
    rows = torch.cat([samples.inputs, samples.targets[:, -1:]], 1).tolist()
    for row in rows[: max(1, round(share * len(rows)))]:
        for place, token in enumerate(row):
            for size in range(min(order, place + 1)):
                counts = tables[size].setdefault(tuple(row[place - size : place]), {})
                counts[token] = counts.get(token, 0) + 1

    @lru_cache(max(1, _KEPT // task.tokens))
    def logarithms(context: tuple[int, ...]) -> Tensor:
        found = torch.full((task.tokens,), 1 / task.tokens, dtype=torch.float64)
        for size in range(min(order - 1, len(context)) + 1):
            counts = tables[size].get(context[len(context) - size :])
            if counts is None:
                break
            kinds, total = len(counts), sum(counts.values())
            found = found * (kinds / (total + kinds))
            found[list(counts)] += torch.tensor(list(counts.values()), dtype=torch.float64) / (total + kinds)
        return found.log().float()

    def predict(inputs: Tensor) -> Tensor:
        outputs = torch.empty((*inputs.shape, task.tokens))
        for place, row in enumerate(inputs.tolist()):
            for end in range(1, len(row) + 1):
                outputs[place, end - 1] = logarithms(tuple(row[max(0, end - order + 1) : end]))
        return outputs

    return predict


def _recognise(path: Path) -> str | None:
    return "a text" if path.is_file() and path.suffix.lower() == ".txt" else None


@register("language", recognise=_recognise)
def language(
    source: Path,
    *,
    validation: float = 0.1,
    test: float = 0.1,
    unit: str = "characters",
    length: int | None = None,
    validation_file: Path | None = None,
    test_file: Path | None = None,
    max_gigabytes: float = 4.0,
) -> LanguageModel:
    """Language modelling of a text file, by characters or words.

    Args:
        source: A text file.
        validation: Share of the text for validation, behind the training part.
        test: Share of the text for the test, at its end.
        unit: "characters" or "words".
        length: Tokens of a sequence; by default 128 characters or 64 words.
        validation_file: A file for validation, in place of a share.
        test_file: A file for the test, in place of a share.
        max_gigabytes: Files take a sixteenth of it at most.
    """
    if unit not in _LENGTHS:
        raise EvaluationError(f"unit must be one of {', '.join(_LENGTHS)}, not {unit!r}")
    length = checked_length(length) or _LENGTHS[unit]
    tokens = _tokens(source, unit, max_gigabytes)
    files = {"validation": validation_file, "test": test_file}
    official = {part: _tokens(file, unit, max_gigabytes) for part, file in files.items() if file}
    parts = split_in_order(tokens, validation=validation, test=test, official=official)
    preprocess = LanguagePreprocess(unit, usual_tokens(parts[0], least=_LEAST[unit], most=_MOST[unit]), length)
    made = []
    for part, found in zip(("training", "validation", "test"), parts, strict=True):
        if len(found) <= length:
            raise EvaluationError(
                f"the {part} part of {source} has {len(found):,} {unit}, and a sequence {length}: give a longer text, "
                "a larger share, or a smaller length="
            )
        rows = preprocess.encode_all(found).unfold(0, length + 1, length)
        made.append(Part(rows[:, :-1].contiguous(), rows[:, 1:].contiguous()))
    return LanguageModel(made[0], made[1], made[2], preprocess, name=source.stem)


def _tokens(path: Path, unit: str, gigabytes: float) -> list[str]:
    found = units_of(read_text(path, gigabytes), unit)
    if not found:
        raise DataError(f"{path} is empty; it should hold a text")
    return found
