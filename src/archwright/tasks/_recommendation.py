"""Recommendation: the rating of an item by a user, or the probability of a click."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from archwright.datasets import (
    InputError,
    InteractionPreprocess,
    Part,
    Target,
    interaction_rows,
    limit_text,
    split_in_order,
    three_parts,
    to_number,
)
from archwright.errors import DataError
from archwright.space import TensorSpec
from archwright.tasks._baseline import ClassicalMethod
from archwright.tasks._classification import check_floats
from archwright.tasks._metrics import area_under_curve
from archwright.tasks._registry import register
from archwright.tasks._task import Task

_TOP = 10  # items of a ranking


class Recommendation(Task):
    """Ratings of items by users, or probabilities of clicks.

    A network takes the numbers of a user and an item, int64 (n, 2), from 1; 0 is one that is not in the training part.
    It gives a number for each pair, shape (n, 1). For ratings this is the rating, standardised by mean and standard
    deviation over the training part; the loss is the mean squared error, metrics are "rmse" and "mae" in the units of
    the ratings. For clicks it is the logit of their probability; the loss is the cross-entropy. Metrics are then "auc",
    the area under the ROC curve; "log_loss"; and over the users of a part with a click, whose items in it are ranked,
    "hit_rate", the share of users with a click among the first ten, and "ndcg", the mean discounted gain of these ten
    over the largest possible one (Järvelin and Kekäläinen 2002), all but "log_loss" in 0..1.

    Args:
        train: Pairs, int64 (n, 2), with targets, float64 (n, 2): the rating or click, and the number of the user.
        validation: Likewise.
        test: Likewise; may be empty.
        users: The users of the training part, whose numbers are 1, 2, ...
        items: The items likewise.
        is_click: Whether targets are clicks, 0 or 1.
        is_ordered: Whether the parts follow each other in time.
        columns: The names of the columns of users, items and targets.
        name: The name.

    Example:
        >>> from archwright.tasks import Recommendation
        >>> pairs = torch.randint(1, 6, (40, 2))
        >>> part = aw.datasets.Part(pairs, pairs.double())
        >>> Recommendation(part, part, part.select(torch.arange(0)), "abcde", "vwxyz").objective
        'min rmse'
    """

    space = "recommender"
    metrics = frozenset[str]()
    batch_size = 256
    least_steps = 4_000  # each embedding learns from the few pairs it occurs in

    def __init__(
        self,
        train: Part,
        validation: Part,
        test: Part,
        users: Sequence[str],
        items: Sequence[str],
        *,
        is_click: bool = False,
        is_ordered: bool = False,
        columns: tuple[str, str, str] = ("user", "item", "rating"),
        name: str = "recommendation",
    ) -> None:
        self.is_click, self.is_ordered = is_click, is_ordered
        values = train.targets[:, 0].double()
        spread = values.std(correction=0).item()
        moments = (0.0, 1.0) if is_click else (values.mean().item(), spread if spread > 0 else 1.0)
        target = Target("probability" if is_click else columns[2], *moments)
        self.target = target
        self.preprocess = InteractionPreprocess(tuple(users), tuple(items), target, *columns[:2], is_click, _TOP)
        self.metrics = frozenset(
            ("loss", "auc", "log_loss", "hit_rate", "ndcg") if is_click else ("loss", "rmse", "mae")
        )
        self.space_options = {"input_shape": (2,), "classes": 1, "users": len(users), "items": len(items)}
        super().__init__(
            train=train,
            validation=validation,
            test=test,
            loss=F.mse_loss,
            objective="max auc" if is_click else "min rmse",
            example_input=TensorSpec((2,), "int64"),
            name=name,
        )

    @property
    def baselines(self) -> Sequence[ClassicalMethod]:
        """Biases of users and items, and matrix factorisation; logistic regression for clicks."""
        from archwright.tasks._classical_ratings import raters

        return raters(self)

    def prepare(self, inputs: Any) -> Tensor:
        """Return the numbers unchanged."""
        pairs: Tensor = inputs
        return pairs

    def check_outputs(self, outputs: Any, size: int) -> None:
        """Check that the outputs are a floating-point number for each pair.

        Raises:
            EvaluationError: The shape or type is wrong.
        """
        check_floats(outputs, (size, 1), "a number for each pair of a user and an item")

    def standardised(self, targets: Tensor) -> Tensor:
        """Return ratings (n,) less their mean, over their standard deviation, or clicks, of targets (n, 2)."""
        return (targets[:, 0] - self.target.mean) / self.target.std

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float | None = None) -> Tensor:
        """Return the mean squared error of standardised ratings, or the cross-entropy of clicks, a scalar.

        Args:
            outputs: Shape (n, 1).
            targets: Shape (n, 2): ratings or clicks, and users.
            label_smoothing: Not used.
        """
        wanted = self.standardised(targets).to(outputs.dtype)
        if self.is_click:
            return F.binary_cross_entropy_with_logits(outputs[:, 0], wanted)
        return F.mse_loss(outputs[:, 0], wanted)

    def distillation(self, outputs: Tensor, teacher_outputs: Tensor) -> Tensor:
        """Return the mean squared difference from the outputs of another network, a scalar."""
        return F.mse_loss(outputs, teacher_outputs)

    def meter(self, device: str = "cpu") -> RatingErrors:
        """Return the metrics of a part."""
        return RatingErrors(self)

    def decode(self, outputs: Tensor) -> list[float]:
        """Return the rating or the probability of each pair."""
        values = outputs[:, 0].double()
        values = values.sigmoid() if self.is_click else values * self.target.std + self.target.mean
        found: list[float] = values.tolist()
        return found


class RatingErrors:
    """The metrics of ratings or clicks, computed at the end from what all batches gave.

    Args:
        task: The task.
    """

    def __init__(self, task: Recommendation) -> None:
        self._task = task
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in outputs (n, 1) and targets (n, 2)."""
        self._outputs.append(outputs[:, 0].detach())
        self._targets.append(targets.detach())

    def compute(self) -> dict[str, float]:
        """Return the metrics by name."""
        outputs = torch.cat(self._outputs).cpu().double()
        targets = torch.cat(self._targets).cpu().double()
        if not self._task.is_click:
            error = (outputs - self._task.standardised(targets)) * self._task.target.std
            return {"rmse": error.square().mean().sqrt().item(), "mae": error.abs().mean().item()}
        clicks, users = targets[:, 0], targets[:, 1].long()
        hit_rate, ndcg = ranking_metrics(outputs, clicks, users, top=_TOP)
        loss = F.binary_cross_entropy_with_logits(outputs, clicks).item()
        return {"auc": area_under_curve(outputs, clicks > 0.5), "log_loss": loss, "hit_rate": hit_rate, "ndcg": ndcg}


def ranking_metrics(scores: Tensor, clicks: Tensor, users: Tensor, *, top: int) -> tuple[float, float]:
    """Return the hit rate and the NDCG of the first items of each user; 0 without a click.

    Args:
        scores: By which items are ranked, shape (n,).
        clicks: 0 or 1, shape (n,).
        users: The user of each, shape (n,).
        top: How many items count.
    """
    order = scores.argsort(descending=True, stable=True)
    order = order[users[order].argsort(stable=True)]  # user by user, best first
    _, inverse, counts = torch.unique_consecutive(users[order], return_inverse=True, return_counts=True)
    ranks = torch.arange(len(order)) - (counts.cumsum(0) - counts)[inverse]
    gains = torch.where(ranks < top, 1 / (ranks + 2.0).log2(), torch.zeros(())).double() * clicks[order]
    found = torch.zeros(len(counts), dtype=torch.float64).index_add(0, inverse, gains)
    clicked = torch.zeros(len(counts), dtype=torch.float64).index_add(0, inverse, clicks[order].double())
    best = (1 / (torch.arange(top) + 2.0).log2()).double().cumsum(0)
    chosen = clicked > 0
    if not chosen.any():
        return 0.0, 0.0
    ideal = best[clicked[chosen].long().clamp(max=top) - 1]
    return (found[chosen] > 0).double().mean().item(), (found[chosen] / ideal).mean().item()


def _recognise(path: Path) -> str | None:
    if not path.is_file():
        return None
    if path.name in ("u.data", "ratings.dat"):
        return "the ratings of MovieLens"
    if path.suffix.lower() not in (".csv", ".tsv"):
        return None
    try:
        places, heads, _ = interaction_rows(path, {})
    except InputError:
        return None
    is_named = not heads[0].isdecimal()  # by more than its place
    is_surely = len(places) == len(heads) or heads[:3] == ["userId", "movieId", "rating"]
    return "columns of users, items and ratings" if is_named and is_surely else None


@register("recommendation", recognise=_recognise)
def recommendation(
    source: Path,
    *,
    user: str | None = None,
    item: str | None = None,
    target: str | None = None,
    time: str | None = None,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    max_gigabytes: float = 4.0,
) -> Recommendation:
    """Recommendation: ratings of items by users, or clicks.

    Args:
        source: A CSV or TSV file with a row for each interaction: a user, an item, a rating (or a click, 0 or 1), and
            optionally a time; such as `u.data`, `ratings.dat` or `ratings.csv` of MovieLens.
        user: The column of users; by default recognised by its name, or the first one without names.
        item: The column of items likewise, or the second one.
        target: The column of ratings or clicks likewise, or the third one.
        time: The column of times likewise, or the fourth one. With a time the last interactions are the test part, and
            those before them the validation part; otherwise the parts are drawn at random.
        validation: Share or number of interactions for validation.
        test: Likewise for the test.
        seed: Of the split at random.
        max_gigabytes: The most memory that the interactions may take.
    """
    names = {"user": user, "item": item, "target": target, "time": time}
    needed = ["user", "item", "target", *([] if time is None else ["time"])]
    try:
        users, items, values, times, columns = _read(source, names, needed, max_gigabytes)
    except InputError as error:
        raise DataError(str(error)) from error
    if times is None:
        _, places = three_parts({"": range(len(values))}, validation=validation, test=test, seed=seed)
    else:
        order = np.argsort(times, kind="stable").tolist()
        places = [torch.tensor(each) for each in split_in_order(order, validation=validation, test=test, official={})]
    known_users, known_items = (_known(each, places[0]) for each in (users, items))
    numbers = [{name: number for number, name in enumerate(each, 1)} for each in (known_users, known_items)]
    columns_of_pairs = [
        torch.tensor([known.get(name, 0) for name in names])
        for known, names in zip(numbers, (users, items), strict=True)
    ]
    pairs = torch.stack(columns_of_pairs, 1)
    everyone = {name: number for number, name in enumerate(dict.fromkeys(users))}
    owners = torch.tensor([everyone[one] for one in users], dtype=torch.float64)
    targets = torch.stack([torch.tensor(values, dtype=torch.float64), owners], 1)
    is_click = bool(((targets[:, 0] == 0) | (targets[:, 0] == 1)).all())
    parts = [Part(pairs[each], targets[each]) for each in places]
    for name, part in zip(("training", "validation", "test"), parts, strict=True):
        if is_click and bool((part.targets[:, 0] == part.targets[0, 0]).all()):
            raise DataError(
                f"{source}: all targets of the {name} part are equal: clicks (1) and interactions without one (0) are "
                "needed in each part"
            )
    made = Recommendation(
        parts[0],
        parts[1],
        parts[2],
        known_users,
        known_items,
        is_click=is_click,
        is_ordered=times is not None,
        columns=columns,
        name=source.name,
    )
    split = "the last interactions are the test part" if times is not None else "the parts are drawn at random"
    kind = "clicks" if is_click else "ratings"
    made.told = (f"interactions: {kind} of {len(known_users):,} users and {len(known_items):,} items; {split}",)
    return made


def _read(
    path: Path, names: Mapping[str, str | None], needed: Sequence[str], gigabytes: float
) -> tuple[list[str], list[str], list[float], NDArray[Any] | None, tuple[str, str, str]]:
    """Return users, items, values, times, and the names of the columns."""
    places, heads, rows = interaction_rows(path, names, gigabytes=gigabytes, needed=needed)
    users: list[str] = []
    items: list[str] = []
    values = array("d")
    times: list[str] = []
    numbers = array("q")  # of the rows
    taken = 0
    known: dict[str, str] = {}  # each text once
    at = places.get("time")
    for row, cells in rows:
        one, other, cell = (cells[places[role]] for role in ("user", "item", "target"))
        value = to_number(cell)
        if not one or not other:
            raise InputError(f"{path}, row {row}: the {'item' if one else 'user'} is missing.")
        if value is None or not abs(value) < 1e30:
            raise InputError(
                f"{path}, row {row}: the rating or click {cell[:40]!r} is no number. If the first row names the "
                "columns, tell which one holds what: user=, item=, target=, or --option user=NAME and so on"
            )
        users.append(known.setdefault(one, one))
        items.append(known.setdefault(other, other))
        values.append(value)
        if at is not None:
            times.append(cells[at])
            numbers.append(row)
        taken += 200 + len(one) + len(other) + (0 if at is None else len(times[-1]))
        if taken > gigabytes * 1e9:
            raise InputError(f"{path} takes, as interactions in memory, more than {limit_text(gigabytes)}")
    if len(values) < 10:
        raise InputError(f"{path} holds {len(values)} interactions; there should be at least 10, and better thousands.")
    user, item, target = (heads[places[role]] for role in ("user", "item", "target"))
    columns = user, item, "rating" if target.isdecimal() else target
    return users, items, values.tolist(), None if at is None else _times(path, times, numbers), columns


def _times(path: Path, cells: Sequence[str], rows: Sequence[int]) -> NDArray[Any]:
    """Return times as numbers in the order of the rows: numbers, or texts whose order is that of time (ISO 8601)."""
    found = [to_number(cell) for cell in cells]
    if None not in found:
        return np.array(found, dtype=np.float64)
    odd = [place for place, cell in enumerate(cells) if not cell[:4].isdecimal() or len(cell) < 8]
    if odd:
        place = next((each for each in odd if found[each] is None), odd[0])  # or a number among dates
        raise InputError(
            f"{path}, row {rows[place]}: the time {cells[place][:40]!r} is unlike others: all are numbers, or all are "
            "dates such as 2024-01-31."
        )
    order = {cell: place for place, cell in enumerate(sorted(set(cells)))}
    return np.array([order[cell] for cell in cells], dtype=np.int64)


def _known(names: Sequence[str], places: Tensor) -> list[str]:
    """Return the names of the training part, each once, in the order of their first interaction."""
    return list(dict.fromkeys(names[place] for place in places.tolist()))
