"""Text classification: one of several classes for each text."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archwright._words import counted
from archwright.datasets import (
    UNKNOWN,
    Part,
    TextPreprocess,
    Texts,
    find_texts,
    holds_texts,
    padded,
    read_texts,
    usual_length,
    vocabulary_of,
    words_of,
)
from archwright.errors import DataError
from archwright.space import TensorSpec
from archwright.tasks._baseline import ClassicalMethod
from archwright.tasks._classification import ClassTask
from archwright.tasks._registry import register

_LONGEST = 100_000  # tokens of a sequence, at most
_FORGOTTEN = 0.1  # of the words, by the augmentation


class TextClassification(ClassTask):
    """Classification of texts.

    Inputs are the ids of the words of a text, in lower case: 0 for padding, 1 for words that are not in the vocabulary
    of the training part. A network gives a score for each class, shape (n, classes). Loss and metrics are those of
    `Classification`. The augmentation "words" makes each word of a training text unknown with a probability of 0.1.

    Args:
        texts: The texts with their classes, in three parts.
        length: The number of words of a text, at most; by default that of the longest but 5 % of the training texts, at
            most 256. Longer ones are cut.
        least: How often a word of the vocabulary occurs in the training part at least.
        most: The number of words of the vocabulary at most.
        encoding: The encoding of files.
        name: The name.

    Example:
        >>> from archwright.datasets import Text, read_texts
        >>> from archwright.tasks import TextClassification
        >>> texts = [Text(f"this film is {word}", word, "row 1") for word in ("good", "bad") * 20]
        >>> TextClassification(read_texts({"": texts})).preprocess.vocabulary
        ('film', 'is', 'this', 'bad', 'good')
    """

    kind = "text"
    augmentations = ("words",)
    space = "text"
    batch_size = 64
    learning_rate = 3e-3
    preprocess: TextPreprocess

    def __init__(
        self,
        texts: Texts,
        *,
        length: int | None = None,
        least: int = 2,
        most: int = 50_000,
        encoding: str = "utf-8",
        name: str = "texts",
    ) -> None:
        self.classes = texts.classes
        words = [words_of(text) for text in texts.texts]
        training = [words[place] for place in texts.places[0].tolist()]
        vocabulary = vocabulary_of(training, least=least, most=most)
        length = checked_length(length) or usual_length([len(each) for each in training])
        self.preprocess = TextPreprocess(texts.classes, vocabulary, length, texts.column, texts.named, encoding)
        ids = self.preprocess.ids
        inputs = torch.stack([padded([ids.get(word, UNKNOWN) for word in each[:length]], length) for each in words])
        train, validation, test = (Part(inputs[places], texts.targets[places]) for places in texts.places)
        cut = sum(len(each) > length for each in words)
        self.told = (*texts.told, f"vocabulary: {counted(len(vocabulary), 'word')}, length: {length}")
        if cut:
            self.told += (f"length: {counted(cut, 'text')} of {len(words):,} longer than {length} words cut (length=)",)
        self.space_options = {
            "input_shape": (length,),
            "classes": len(texts.classes),
            "vocabulary": len(vocabulary) + UNKNOWN + 1,
        }
        super().__init__(
            train=train,
            validation=validation,
            test=test,
            loss=F.cross_entropy,
            objective="max accuracy",
            example_input=TensorSpec((length,), "int64"),
            name=name,
        )

    @property
    def baselines(self) -> Sequence[ClassicalMethod]:
        """Naive Bayes, and logistic regression weighted by it, on words and pairs of words."""
        from archwright.tasks._classical_text import text_classifiers

        return text_classifiers(self)

    def prepare(self, inputs: Any) -> Tensor:
        """Return a batch, cut to its longest text."""
        return shortened(inputs)

    def augment(
        self, inputs: Any, targets: Any, names: Collection[str], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return texts with random words made unknown."""
        return (forgetful(inputs, generator) if "words" in names else inputs), targets


def shortened(ids: Tensor) -> Tensor:
    """Return ids of tokens (n, length), cut to the longest sequence.

    Example:
        >>> shortened(torch.tensor([[3, 4, 0, 0], [5, 0, 0, 0]]))
        tensor([[3, 4],
                [5, 0]])
    """
    used = ids.ne(0).any(0).nonzero()
    return ids[:, : int(used.max()) + 1] if len(used) else ids[:, :1]


def forgetful(ids: Tensor, generator: torch.Generator) -> Tensor:
    """Return ids of tokens (n, length) with random ones made unknown; padding stays."""
    drawn = torch.rand(ids.shape, generator=generator).to(ids.device) < _FORGOTTEN
    return ids.masked_fill(drawn & ids.ne(0), UNKNOWN)


def checked_length(length: object, name: str = "length") -> int | None:
    """Return a length that was given, by the name of its option.

    Raises:
        DataError: It is no whole number of 1 to 100,000.
    """
    if length is not None and (isinstance(length, bool) or not isinstance(length, int) or not 1 <= length <= _LONGEST):
        raise DataError(f"{name}={length!r} must be a whole number of tokens, 1 or more, and {_LONGEST:,} at most")
    return length


@register("text-classification", recognise=holds_texts)
def text_classification(
    source: Path,
    *,
    text: str | None = None,
    target: str | None = None,
    header: bool | None = None,
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
) -> TextClassification:
    """Classification of texts in tables, in files whose lines begin with a class, and in folders.

    Args:
        source: A table (.csv, .tsv, also .gz) with a column of texts and one of classes; or another text file, whose
            lines are a class and a text; or a folder FOLDER/class/*.txt, or FOLDER/train/class/*.txt with validation/
            and test/ beside train/; or a folder with the tables train.*, dev.* and test.*.
        text: The column of the texts, by name or by position from 1; by default that of the longest ones.
        target: The column of the classes likewise; by default the one with the fewest different values.
        header: Whether the first row of a table has names; by default that is found out.
        validation: Share or number of texts for validation, unless there is an official part.
        test: Likewise for the test.
        validation_file: A file with the validation part, written as the source.
        test_file: Likewise for the test.
        seed: Of the split.
        length: The number of words of a text, at most; see `TextClassification`.
        least: How often a word of the vocabulary occurs at least.
        most: The number of words of the vocabulary at most.
        encoding: The encoding of the files.
        max_gigabytes: The most memory that the texts may take.
    """
    options: dict[str, Any] = {"text": text, "target": target, "header": header, "encoding": encoding}
    files: dict[str, Any] = {"validation_file": validation_file, "test_file": test_file}
    given, columns = find_texts(source, **options, **files, gigabytes=max_gigabytes)
    texts = read_texts(given, validation=validation, test=test, seed=seed, **columns)
    return TextClassification(texts, length=length, least=least, most=most, encoding=encoding, name=source.name)
