"""Sequence labelling: a tag for each token of a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archwright._scalars import is_whole
from archwright._words import counted
from archwright.datasets import (
    UNKNOWN,
    Part,
    Sentence,
    TagPreprocess,
    holds_tags,
    read_tags,
    shape_of,
    spans,
    tag_files,
    tag_names,
    three_parts,
    usual_length,
    vocabulary_of,
)
from archwright.errors import DataError
from archwright.space import TensorSpec
from archwright.tasks._baseline import ClassicalMethod
from archwright.tasks._classification import check_floats
from archwright.tasks._registry import register
from archwright.tasks._task import Task
from archwright.tasks._text import checked_length, forgetful, shortened

_NONE = -100  # the target where there is no token
_LEAST = 1e-3  # of a probability of the baseline
_MOST_TAGS = 1_000


class Tagging(Task):
    """Labelling of the tokens of sentences.

    Inputs are the ids of the tokens (see `archwright.datasets.TagPreprocess`), padded with 0. A network gives a score
    for each token and tag, shape (n, length, tags). The loss is the mean cross-entropy of tokens in nats. Metrics are
    "f1", that of spans, see `SpanF1`, and "accuracy", the share of tokens whose tag is right; both in 0..1. Where tags
    mark no spans, such as parts of speech, there is no "f1".

    Args:
        sentences: The sentences.
        places: The indices of those for training, validation and test, int64 each; the last one may be empty.
        length: The number of tokens of a sentence, at most; by default that of the longest of the training part, at
            most 256. Longer ones are cut.
        least: How often a token of the vocabulary occurs in the training part at least.
        most: The number of tokens of the vocabulary at most.
        encoding: The encoding of files.
        name: The name.

    Example:
        >>> from archwright.datasets import Sentence
        >>> from archwright.tasks import Tagging
        >>> sentences = [Sentence(("in", "Berlin"), ("O", "B-LOC"), "row 1")] * 20
        >>> Tagging(sentences, [torch.arange(10), torch.arange(10, 20), torch.arange(0)]).objective
        'max f1'
    """

    kind = "text"
    augmentations = ("words",)
    space = "tagger"
    batch_size = 32
    preprocess: TagPreprocess

    def __init__(
        self,
        sentences: Sequence[Sentence],
        places: Sequence[Tensor],
        *,
        length: int | None = None,
        least: int = 2,
        most: int = 50_000,
        encoding: str = "utf-8",
        name: str = "sentences",
    ) -> None:
        training = [sentences[place] for place in places[0].tolist()]
        self.classes = tag_names(training)
        if len(self.classes) < 2:
            raise DataError(f"there is one tag only, {self.classes[0]!r}; at least two are needed to learn from")
        if len(self.classes) > _MOST_TAGS:
            raise DataError(
                f"{training[0].where}: there are {len(self.classes):,} different tags, such as {self.classes[-1]!r}; "
                f"up to {_MOST_TAGS:,} are possible. The tag of a token has to stand in the last column"
            )
        self.has_spans = any(spans(each.tags) for each in training)
        vocabulary = _vocabulary([each.tokens for each in training], least, most)
        length = checked_length(length) or usual_length([len(each.tokens) for each in training], share=1.0)
        self.preprocess = TagPreprocess(self.classes, vocabulary, length, encoding)
        positions = {tag: place for place, tag in enumerate(self.classes)}
        targets = torch.full((len(sentences), length), _NONE)
        for row, each in enumerate(sentences):
            if unknown := set(each.tags) - positions.keys():
                raise DataError(f"{each.where}: the training part has no tag {min(unknown)!r}; it has {self.classes}")
            targets[row, : len(each.tags)] = torch.tensor([positions[tag] for tag in each.tags[:length]])
        inputs = torch.stack([self.preprocess.encode(each.tokens[:length]) for each in sentences])
        train, validation, test = (Part(inputs[chosen], targets[chosen]) for chosen in places)
        cut = sum(len(each.tokens) > length for each in sentences)
        self.told = (f"vocabulary: {len(vocabulary):,} tokens and shapes, length: {length}",)
        if cut:
            self.told += (f"length: {counted(cut, 'sentence')} of more than {length} tokens cut (length=)",)
        self.space_options = {
            "input_shape": (length,),
            "classes": len(self.classes),
            "vocabulary": len(vocabulary) + UNKNOWN + 1,
        }
        super().__init__(
            train=train,
            validation=validation,
            test=test,
            loss=self._loss_of,
            objective="max f1" if self.has_spans else "max accuracy",
            example_input=TensorSpec((length,), "int64"),
            name=name,
        )

    @property
    def metrics(self) -> frozenset[str]:
        """The names of the metrics."""
        return frozenset(("loss", "accuracy", *(["f1"] if self.has_spans else [])))

    @property
    def baselines(self) -> Sequence[ClassicalMethod]:
        """The most frequent tag of each token."""
        return [ClassicalMethod("most frequent tags", partial(_fit_frequencies, len(self.classes)))]

    def prepare(self, inputs: Any) -> Tensor:
        """Return a batch, cut to its longest sentence."""
        return shortened(inputs)

    def augment(
        self, inputs: Any, targets: Any, names: Collection[str], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return sentences with random tokens made unknown."""
        return (forgetful(inputs, generator) if "words" in names else inputs), targets

    def check_outputs(self, outputs: Any, size: int) -> None:
        """Check that the outputs are floating-point scores for each token and tag.

        Raises:
            EvaluationError: The shape or type is wrong.
        """
        check_floats(outputs, (size, "tokens", len(self.classes)), "a score for each token and tag")

    def _loss_of(self, outputs: Tensor, targets: Tensor) -> Tensor:
        targets = targets[:, : outputs.shape[1]]
        total = F.cross_entropy(outputs.float().transpose(1, 2), targets, ignore_index=_NONE, reduction="sum")
        return total / targets.ne(_NONE).sum().clamp(min=1)

    def meter(self, device: str = "cpu") -> SpanF1:
        """Return the metrics of a part."""
        return SpanF1(self.classes)

    def decode(self, outputs: Tensor) -> list[list[str]]:
        """Return the tags of each sentence, also where it is padded."""
        return [[self.classes[place] for place in row] for row in outputs.argmax(-1).tolist()]


class SpanF1:
    """The F1 of spans, and the accuracy of tokens.

    A span, such as a name, counts as found if its first token, its last token and its kind are right. With the numbers
    of spans that are found, predicted and true, F1 is 2 found / (predicted + true), over all sentences together (micro
    average), as in conlleval (Tjong Kim Sang and De Meulder, "Introduction to the CoNLL-2003 shared task", 2003).

    Args:
        tags: The names of the tags, see `archwright.datasets.spans`.

    Example:
        >>> from archwright.tasks import SpanF1
        >>> meter = SpanF1(("O", "B-LOC"))
        >>> meter.update(torch.eye(2)[torch.tensor([[0, 1, 1]])], torch.tensor([[0, 1, 0]]))
        >>> {name: round(value, 3) for name, value in meter.compute().items()}
        {'accuracy': 0.667, 'f1': 0.667}
    """

    def __init__(self, tags: Sequence[str]) -> None:
        self._tags = tags
        self._right = self._tokens = self._found = self._marked = 0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count, from scores (n, length, tags) and targets (n, length or more), below 0 where there is no token."""
        predicted, true = outputs.argmax(-1).cpu(), targets[:, : outputs.shape[1]].cpu()
        for guess, row in zip(predicted, true, strict=True):
            kept = row >= 0
            pair = [[self._tags[place] for place in each[kept].tolist()] for each in (guess, row)]
            self._tokens += len(pair[0])
            self._right += sum(one == other for one, other in zip(*pair, strict=True))
            guessed, marked = map(spans, pair)
            self._found += len(guessed & marked)
            self._marked += len(guessed) + len(marked)

    def compute(self) -> dict[str, float]:
        """Return "accuracy" and "f1"; the latter not where tags mark no spans."""
        found = {"accuracy": self._right / max(1, self._tokens)}
        has_spans = any(spans([tag]) for tag in self._tags)
        return {**found, "f1": 2 * self._found / max(1, self._marked)} if has_spans else found


def _vocabulary(sentences: Sequence[Sequence[str]], least: int, most: int) -> tuple[str, ...]:
    """Return the tokens that occur often enough, and the shapes of all, see `TagPreprocess`."""
    if not is_whole(least):
        raise DataError(f"least={least!r} must be a whole number of 1 or more")
    counts = Counter(token for each in sentences for token in each)
    kept = vocabulary_of(
        [[token if counts[token] >= least else shape_of(token) for token in each] for each in sentences],
        least=1,
        most=most,
    )
    return tuple(dict.fromkeys((*kept, *sorted({shape_of(token) for token in counts}))))


def _fit_frequencies(tags: int, samples: Part, share: float) -> Callable[[Tensor], Tensor]:
    """Count the tags of each token; there are no iterations."""
    seen = samples.targets.ge(0)
    tokens, targets = samples.inputs[seen], samples.targets[seen]
    counts = torch.zeros(int(tokens.max()) + 1, tags)
    counts.index_put_((tokens, targets), torch.ones(len(tokens)), accumulate=True)
    frequencies = counts.sum(0) / counts.sum()
    scores = ((counts + frequencies) / (counts.sum(1, keepdim=True) + 1)).clamp(min=_LEAST).log()

    def predict(inputs: Tensor) -> Tensor:
        known = inputs < len(scores)
        return torch.where(known[..., None], scores[inputs.where(known, 0)], frequencies.clamp(min=_LEAST).log())

    return predict


@register("tagging", recognise=holds_tags)
def tagging(
    source: Path,
    *,
    validation: float = 0.1,
    test: float = 0.2,
    validation_file: Path | None = None,
    test_file: Path | None = None,
    seed: int = 0,
    length: int | None = None,
    least: int = 2,
    most: int = 50_000,
    encoding: str = "utf-8",
    max_gigabytes: float = 4.0,
) -> Tagging:
    """Sequence labelling of sentences in files as those of CoNLL.

    Args:
        source: A file with a token in each line, its tag in the last column, and an empty line between sentences; or a
            folder with such files named train.*, dev.* and test.*.
        validation: Share or number of sentences for validation, unless there is an official part.
        test: Likewise for the test.
        validation_file: A file with the validation part.
        test_file: Likewise for the test.
        seed: Of the split.
        length: The number of tokens of a sentence, at most; see `Tagging`.
        least: How often a token of the vocabulary occurs at least.
        most: The number of tokens of the vocabulary at most.
        encoding: The encoding of the files.
        max_gigabytes: The limit of the size of a file.
    """
    files = tag_files(source) if source.is_dir() else {"train": source}
    if "train" not in files:
        raise DataError(f"{source} holds no train.conll; give a file, or a folder with train.*, dev.* and test.*")
    files |= {part: file for part, file in (("validation", validation_file), ("test", test_file)) if file is not None}
    parts = {part: read_tags(path, encoding=encoding, gigabytes=max_gigabytes) for part, path in files.items()}
    sentences, places = three_parts(parts, validation=validation, test=test, seed=seed)
    return Tagging(sentences, places, length=length, least=least, most=most, encoding=encoding, name=source.name)
