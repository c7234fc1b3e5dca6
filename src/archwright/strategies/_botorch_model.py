"""Gaussian processes and acquisition functions of BoTorch. Importing this loads torch and BoTorch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias
from unittest.mock import patch

import numpy as np
import torch
from botorch.acquisition.analytic import LogExpectedImprovement, UpperConfidenceBound
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective import logei
from botorch.exceptions.errors import ModelFittingError
from botorch.fit import fit_gpytorch_mll
from botorch.models.gp_regression import SingleTaskGP
from botorch.models.gp_regression_mixed import MixedSingleTaskGP
from botorch.models.model_list_gp_regression import ModelListGP
from botorch.sampling.normal import SobolQMCNormalSampler
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray
from torch import Tensor

Array: TypeAlias = NDArray[np.float64]

Acquisition = Literal["log-ei", "noisy-ei", "ucb", "thompson"]
Parameters: TypeAlias = dict[str, Tensor]

_WIDTH = 2.0  # deviations above the mean that the upper confidence bound looks at
_SAMPLES = 128  # of the noisy expected improvement
_SAMPLES_OF_SEVERAL = 32  # each has a front of its own, whose volume is cut into boxes
_BEYOND = 0.1  # of the range of what is known, that the reference point is beyond the worst of it
_AT_ONCE = 250  # candidates


def make_gp(
    rows: Array, scores: Array, categories: Sequence[int], parameters: Parameters | None = None
) -> SingleTaskGP:
    """Return BoTorch's model of scores, in evaluation mode.

    Args:
        rows: (n, d) inputs, n of 1 or more.
        scores: (n,) standardised.
        categories: Which of the d are category numbers: with some it is a `MixedSingleTaskGP`, else a `SingleTaskGP`.
        parameters: As `fit` returned them; those that BoTorch starts from when not given.
    """
    x, y = torch.tensor(rows, dtype=torch.double), torch.tensor(scores, dtype=torch.double)[:, None]
    with _quiet(0):
        if categories:
            model = MixedSingleTaskGP(x, y, cat_dims=list(categories), outcome_transform=None)
        else:
            model = SingleTaskGP(x, y, outcome_transform=None)
    if parameters is not None:
        model.load_state_dict(parameters)
    return model.eval()


def fit(rows: Array, scores: Array, categories: Sequence[int], *, iterations: int) -> Parameters:
    """Return the most probable parameters of a model; those that BoTorch starts from where no fit succeeds.

    Arguments are those of `process`, and how many iterations L-BFGS has at most.
    """
    model = make_gp(rows, scores, categories)
    with _quiet(0):
        try:
            fit_gpytorch_mll(
                ExactMarginalLogLikelihood(model.likelihood, model),
                optimizer_kwargs={"options": {"maxiter": iterations}},
            )
        except ModelFittingError:
            model = make_gp(rows, scores, categories)
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def posterior_mean(model: SingleTaskGP, rows: Array) -> Array:
    """Return the (m,) scores that a model expects at (m, d) inputs."""
    with torch.no_grad(), _quiet(0):
        return np.asarray(model.posterior(torch.tensor(rows, dtype=torch.double)).mean.flatten().numpy())


def acquisition_values(
    model: SingleTaskGP, acquisition: Acquisition, candidates: Array, rng: np.random.Generator
) -> Array:
    """Return (m,) the acquisition function at candidates.

    Args:
        model: As `process` made it.
        acquisition: "log-ei": the logarithm of the expected improvement on the best score; "noisy-ei": on the best of
            what the model takes the scores for; "ucb"; "thompson": the scores of one draw from the posterior.
        candidates: (m, d) inputs.
        rng: Draws the samples.
    """
    x = torch.tensor(candidates, dtype=torch.double)
    with torch.no_grad(), _quiet(int(rng.integers(2**31))):
        if acquisition == "thompson":
            posterior = model.posterior(x)
            drawn = torch.tensor(rng.normal(size=(1, *posterior.base_sample_shape)), dtype=torch.double)
            return np.asarray(posterior.rsample_from_base_samples(torch.Size([1]), drawn).flatten().numpy())
        acquire = _acquisition(model, acquisition, int(rng.integers(2**31)))
        return np.concatenate([acquire(part[:, None]).numpy() for part in torch.split(x, _AT_ONCE)])


def hypervolume_improvement(models: Sequence[SingleTaskGP], candidates: Array, rng: np.random.Generator) -> Array:
    """Return the logarithm of how much each candidate is expected to add to the hypervolume: (m,) numbers.

    Args:
        models: One of each objective, as `process` made them, all of the same inputs.
        candidates: (m, d) inputs.
        rng: Draws the samples.
    """
    known = torch.stack([model.train_targets for model in models], dim=-1)
    low, high = known.amin(dim=0), known.amax(dim=0)
    # Nothing is compiled for the machine: that takes a minute, to save a tenth of a second of a proposal.
    uncompiled = patch.object(logei, "_load_attempted", True, create=True)
    with torch.no_grad(), _quiet(int(rng.integers(2**31))), uncompiled:
        acquire = logei.qLogNoisyExpectedHypervolumeImprovement(
            ModelListGP(*models),
            (low - _BEYOND * (high - low)).tolist(),
            models[0].train_inputs[0],
            sampler=SobolQMCNormalSampler(torch.Size([_SAMPLES_OF_SEVERAL]), seed=int(rng.integers(2**31))),
            prune_baseline=True,
        )
        x = torch.tensor(candidates, dtype=torch.double)
        return np.concatenate([acquire(part[:, None]).numpy() for part in torch.split(x, _AT_ONCE)])


def _acquisition(model: SingleTaskGP, acquisition: Acquisition, seed: int) -> Any:
    seen, scores = model.train_inputs[0], model.train_targets
    if acquisition == "log-ei":
        return LogExpectedImprovement(model, best_f=scores.max())
    if acquisition == "ucb":
        return UpperConfidenceBound(model, beta=_WIDTH**2)
    sampler = SobolQMCNormalSampler(torch.Size([_SAMPLES]), seed=seed)
    return qLogNoisyExpectedImprovement(model, seen, sampler=sampler, prune_baseline=True)


@contextmanager
def _quiet(seed: int) -> Iterator[None]:
    """Seed torch's generator, from which BoTorch draws, and keep warnings back; afterwards all is as before."""
    with torch.random.fork_rng(devices=()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.default_generator.manual_seed(seed)
        yield
