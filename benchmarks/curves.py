"""How well learning curves are extrapolated, next to the last and the best value that was seen.

    python benchmarks/curves.py [--studies 10] [--curves 40] [--networks 60]

Two sets of curves of 50 epochs: validation losses of the cells of NAS-Bench-NLP ($ARCHWRIGHT_DATA), and accuracy and
log loss of perceptrons with random hyperparameters on the digits of scikit-learn, which are trained first. A study
takes some of the curves, sees their first epochs and predicts the last one; "mixed" sees another number of epochs of
each, as a search that freezes and thaws does. Printed are the means over studies: absolute error, rank correlation
(Spearman) of predictions with truth, the share of truths inside the central 80 % interval, and milliseconds of fitting
and predicting.
"""

import argparse
import time
import warnings

import numpy as np
from scipy.stats import norm, spearmanr
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

import archwright as aw
from archwright.surrogates import CurveModel

EPOCHS = 50
HALF = norm.ppf(0.9)


def cells():
    """(cells, epochs) minus losses of the cells whose training went through."""
    table = aw.bench.load("nasbench-nlp").table
    curves = []
    for architecture in table.architectures:
        try:
            rows = [
                table.evaluate(aw.Candidate(table.space, architecture, seed=0, fidelity=epoch))
                for epoch in table.fidelities
            ]
        except aw.errors.EvaluationError:
            continue
        curves.append([-row["loss"] for row in rows])
    return np.array(curves)


def perceptrons(count):
    """(count, epochs) accuracies and minus log losses."""
    features, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    train, held = order[:1200], order[1200:]
    rng = np.random.default_rng(1)
    accuracies, losses = np.zeros((2, count, EPOCHS))
    for number in range(count):
        network = MLPClassifier(
            hidden_layer_sizes=(int(2 ** rng.uniform(2, 6.5)),) * int(rng.integers(1, 3)),
            activation=str(rng.choice(["relu", "tanh"])),
            solver=str(rng.choice(["adam", "sgd"])),
            learning_rate_init=10 ** rng.uniform(-4, -0.7),
            alpha=10 ** rng.uniform(-5, 0),
            batch_size=int(2 ** rng.uniform(4, 8)),
            random_state=number,
        )
        for epoch in range(EPOCHS):
            network.partial_fit(features[train] / 16, labels[train], classes=range(10))
            chances = network.predict_proba(features[held] / 16)
            accuracies[number, epoch] = (chances.argmax(1) == labels[held]).mean()
            losses[number, epoch] = -log_loss(labels[held], chances, labels=range(10))
    return accuracies, losses


def lengths(seen, count, rng):
    if seen != "mixed":
        return np.full(count, seen)
    drawn = np.minimum(EPOCHS, np.round(3 * 2 ** rng.exponential(1.7, count)).astype(int))
    drawn[:2] = EPOCHS
    return drawn


def judge(curves, seen, given):
    """Means over studies: for each way to predict error, rank correlation and coverage; and milliseconds."""
    found = []
    for study in range(given.studies):
        rng = np.random.default_rng([study, EPOCHS])
        chosen = curves[rng.permutation(len(curves))[: given.curves]]
        held = lengths(seen, len(chosen), rng)
        start = time.perf_counter()
        mean, deviation = (
            CurveModel()
            .fit([list(enumerate(row[:length], 1)) for row, length in zip(chosen, held, strict=True)])
            .predict(EPOCHS)
        )
        spent = time.perf_counter() - start
        last = np.array([row[length - 1] for row, length in zip(chosen, held, strict=True)])
        best = np.array([row[:length].max() for row, length in zip(chosen, held, strict=True)])
        open_ = held < EPOCHS
        truth = chosen[open_, -1]
        row = [
            number
            for guess in (last, best, mean)
            for number in (np.abs(guess[open_] - truth).mean(), spearmanr(guess[open_], truth)[0])
        ]
        inside = (np.abs(mean[open_] - truth) <= HALF * deviation[open_]).mean()
        found.append([*row, inside, 1000 * spent])
    return np.mean(found, axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=10)
    parser.add_argument("--curves", type=int, default=40)
    parser.add_argument("--networks", type=int, default=60)
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    accuracies, losses = perceptrons(given.networks)
    print(f"{'':26}  {'error':^23}  {'rank correlation':^23}  {'inside':>6}  {'ms':>5}")
    print(f"{'curves':<16}  {'seen':>8}" + f"  {'last':>7} {'best':>7} {'model':>7}" * 2)
    for name, curves in (("NAS-Bench-NLP", cells()), ("digits, accuracy", accuracies), ("digits, log loss", losses)):
        for seen in (5, 10, 20, "mixed"):
            last, rank, best, best_rank, model, model_rank, inside, spent = judge(curves, seen, given)
            print(
                f"{name:<16}  {seen:>8}  {last:7.3f} {best:7.3f} {model:7.3f}"
                f"  {rank:7.3f} {best_rank:7.3f} {model_rank:7.3f}  {inside:6.2f}  {spent:5.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
