"""Translation and summarisation: a text for a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archwright.datasets import (
    BEGIN,
    FIRST,
    Part,
    TranslationPreprocess,
    find_text_pairs,
    languages_in,
    three_parts,
    tokens_of,
    vocabulary_of,
)
from archwright.errors import EvaluationError
from archwright.space import TensorSpec
from archwright.tasks._registry import register
from archwright.tasks._text import checked_length
from archwright.tasks._tokens import TokenTask

_COVERED = 0.98  # of the texts, which are not cut
_BATCH = 64  # texts that are written at a time

Pairs = Sequence[tuple[str, str]]


class Translation(TokenTask):
    """Translation: a text in another language for a text.

    A network takes the tokens of the source, (n, source length), and those of the target before each place, (n, target
    length), int64 with 0 as padding, and gives scores of the token at each place, (n, target length, tokens). The loss
    is the mean cross-entropy of the tokens in nats. Metrics are "perplexity", its exponential, and "accuracy", the
    share of tokens that are the most probable ones, given the true ones before them. In the test the network writes the
    targets, the most probable token each time, which gives "test_bleu" (Papineni et al. 2002) and "test_chrf" (Popović
    2015) of sacrebleu, 0 to 100.

    Args:
        train: Sources and targets.
        validation: Likewise.
        test: Likewise; may be empty.
        preprocess: The preprocessing, with the vocabularies.
        name: The name.

    Example:
        >>> from archwright.datasets import TranslationPreprocess
        >>> from archwright.tasks import Translation
        >>> pairs = [("ein Hund", "a dog"), ("eine Katze", "a cat")] * 4
        >>> preprocess = TranslationPreprocess(("ein", "eine", "Hund", "Katze"), ("a", "dog", "cat"), (4, 4))
        >>> Translation(pairs, pairs, [], preprocess).train
        Part(8 x 4, int64 + 4, int64)
    """

    space = "translator"
    padding = 0
    label_smoothing = 0.1
    metrics = frozenset(("loss", "perplexity", "accuracy"))
    batch_size = 64

    def __init__(
        self,
        train: Pairs,
        validation: Pairs,
        test: Pairs,
        preprocess: TranslationPreprocess,
        *,
        name: str = "translation",
    ) -> None:
        self.preprocess: TranslationPreprocess = preprocess
        self.tokens = len(preprocess.written_words) + FIRST
        self.references = [target for _, target in test]
        # A token takes a pass over the source and half of the target; most texts are far shorter than the longest.
        self.test_passes = 1 + preprocess.lengths[1] / 6
        self.space_options = {
            "input_shape": preprocess.lengths[:1],
            "length": preprocess.lengths[1],
            "read": len(preprocess.read_words) + FIRST,
            "classes": self.tokens,
        }
        super().__init__(
            train=self._part(train),
            validation=self._part(validation),
            test=self._part(test),
            loss=F.cross_entropy,
            objective="min loss",
            example_input=[TensorSpec((length,), "int64") for length in preprocess.lengths],
            name=name,
        )

    def _part(self, pairs: Pairs) -> Part:
        source = self.preprocess.encode([source for source, _ in pairs])
        target = self.preprocess.encode([target for _, target in pairs], is_source=False)
        before = torch.cat([torch.full((len(target), 1), BEGIN), target[:, :-1]], 1)
        return Part((source, before * (target != 0)), target)

    def prepare(self, inputs: Any) -> Any:
        """Return tokens without the columns that are padding in the whole batch."""
        return tuple(each[:, : max(1, int(each.ne(0).sum(1).max()))] for each in inputs)

    def lengths(self, part: Part) -> Tensor:
        """Return the tokens of the target of each sample, and then of the source, as one number."""
        source, target = part.inputs
        found: Tensor = target.ne(0).sum(1) * (source.shape[1] + 1) + source.ne(0).sum(1)
        return found

    def decode(self, outputs: Tensor) -> list[str]:
        """Return the text of the most probable tokens."""
        return [self.preprocess.text(row) for row in outputs.argmax(2).tolist()]

    def test_metrics(self, run: Callable[[Any], Any], device: str) -> dict[str, float]:
        """Return the metrics of the texts that a network writes for the sources of the test part."""
        sources, greedy = self.test.inputs[0], replace(self.preprocess, beams=1)
        found: list[str] = [""] * len(sources)
        for places in sources.ne(0).sum(1).argsort(stable=True).split(_BATCH):  # of about one length at a time
            rows = greedy.run(_Called(run), sources[places].to(device)).tolist()
            for place, row in zip(places.tolist(), rows, strict=True):
                found[place] = self.preprocess.text(row)
        return self.compared(found)

    def compared(self, found: Sequence[str]) -> dict[str, float]:
        """Return the metrics of texts that were written for the test part.

        Raises:
            EvaluationError: sacrebleu is not installed.
        """
        try:
            import sacrebleu
        except ImportError as error:
            raise EvaluationError("BLEU and chrF need sacrebleu: pip install 'archwright[text]'") from error
        bleu, chrf = sacrebleu.corpus_bleu, sacrebleu.corpus_chrf
        return {name: float(f(found, [self.references]).score) for name, f in (("bleu", bleu), ("chrf", chrf))}


class Summarisation(Translation):
    """Summarisation: a short text for a long one.

    All is as in `Translation`, but for the metric of the test: "test_rouge_l", the mean of `rouge_l`, 0 to 1.

    Example:
        >>> from archwright.datasets import TranslationPreprocess
        >>> from archwright.tasks import Summarisation
        >>> pairs = [("rain in the north, sun in the south", "rain in the north")] * 4
        >>> preprocess = TranslationPreprocess(("rain", "in", "the"), ("rain", "in", "the"), (10, 6))
        >>> Summarisation(pairs, pairs, pairs, preprocess).compared(["rain in the north"] * 4)
        {'rouge_l': 1.0}
    """

    def compared(self, found: Sequence[str]) -> dict[str, float]:
        """Return the metrics of texts that were written for the test part."""
        return {"rouge_l": float(np.mean(list(map(rouge_l, found, self.references))))}


class _Called(nn.Module):
    """A network that a function calls."""

    def __init__(self, run: Callable[[Any], Any]) -> None:
        super().__init__()
        self.run = run

    def forward(self, *inputs: Tensor) -> Any:
        return self.run(inputs)


def rouge_l(found: str, wanted: str) -> float:
    """Return the F1 of the longest common subsequence of words, without case and marks: 0 to 1.

    Lin, "ROUGE: A package for automatic evaluation of summaries", 2004.

    Example:
        >>> from archwright.tasks import rouge_l
        >>> rouge_l("The cat sat.", "the cat ran")
        0.6666666666666666
    """
    first, second = (re.findall(r"[^\W_]+", text.lower()) for text in (found, wanted))
    if not first or not second:
        return 0.0
    above = [0] * (len(second) + 1)
    for word in first:
        row = [0]
        for place, other in enumerate(second):
            row.append(above[place] + 1 if word == other else max(above[place + 1], row[place]))
        above = row
    return 2 * above[-1] / (len(first) + len(second))


def _load(
    kind: type[Translation],
    source: Path,
    pair: str | None,
    test_file: str | None,
    longest: int,
    gigabytes: float,
    **options: Any,
) -> Translation:
    """Load pairs of texts; the options are those of the split and of the vocabularies."""
    checked_length(longest, "longest")
    found, chosen = find_text_pairs(source, pair=pair, test_file=test_file, gigabytes=gigabytes)
    pairs, places = three_parts(found, **{each: options[each] for each in ("validation", "test", "seed")})
    train, held, final = ([pairs[place] for place in part.tolist()] for part in places)
    vocabularies, lengths = [], []
    for side, most in ((0, longest), (1, min(longest, 64))):
        tokens = [tokens_of(texts[side]) for texts in train]
        vocabularies.append(vocabulary_of(tokens, least=options["least"], most=options["most"]))
        lengths.append(min(most, int(np.quantile([len(each) for each in tokens], _COVERED, method="higher"))) + 1)
    preprocess = TranslationPreprocess(vocabularies[0], vocabularies[1], (lengths[0], lengths[1]))
    return kind(train, held, final, preprocess, name=f"{source.stem} {chosen}".rstrip())


def _recognise(path: Path) -> str | None:
    languages = languages_in(path)
    return f"parallel texts ({', '.join(languages)})" if len(languages) > 1 else None


@register("translation", recognise=_recognise)
def translation(
    source: Path,
    *,
    pair: str | None = None,
    test_file: str | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    longest: int = 64,
    least: int = 2,
    most: int = 8_000,
    max_gigabytes: float = 4.0,
) -> Translation:
    """Translation of pairs of texts: two files with a text in each line, a table, or JSON lines.

    Args:
        source: A folder with train.de and train.en, and perhaps val.de, val.en, test.de and test.en; or a table or JSON
            lines with two columns, or a folder with train.tsv, val.tsv and test.tsv.
        pair: From and to, such as "de-en": ends of the names of files, or columns. By default the only two, of files in
            alphabetical order.
        test_file: The name of the files of the test without their end, such as "test_2016_flickr".
        validation: Share or number of pairs for validation, unless they have files.
        test: Likewise for the test.
        seed: Of the split.
        longest: The number of tokens of a source that are used at most; of a target it is no more than 64.
        least: How often a word of a vocabulary occurs in the training part at least.
        most: The number of words of a vocabulary at most.
        max_gigabytes: The most memory that a table may take; a file of lines takes a sixteenth of it at most.
    """
    split = {"validation": validation, "test": test, "seed": seed}
    return _load(Translation, source, pair, test_file, longest, max_gigabytes, **split, least=least, most=most)


@register("summarisation")
def summarisation(
    source: Path,
    *,
    pair: str | None = None,
    test_file: str | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    longest: int = 256,
    least: int = 2,
    most: int = 8_000,
    max_gigabytes: float = 4.0,
) -> Translation:
    """Summarisation of texts, which come with their summaries as those of a translation; options as there."""
    split = {"validation": validation, "test": test, "seed": seed}
    return _load(Summarisation, source, pair, test_file, longest, max_gigabytes, **split, least=least, most=most)
