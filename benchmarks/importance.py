"""How well the importance of decisions is told: against known shares of variance, beside Optuna's evaluators.

`python benchmarks/importance.py [--functions additive] [--trials 100 300 1000] [--seeds 5]`: functions whose shares of
variance by main effects are known; random trials, with noise of a tenth of the function's standard deviation;
Spearman's correlation of the shares with the truth. `--time`: seconds for 1,000 trials of 30 decisions.
`--noise`: how many decisions are called more than noise where all is noise.
"""

import argparse
import time
import warnings

import numpy as np
import optuna
from scipy.stats import spearmanr

import archwright as aw
from archwright.explain import importance

NOISE = 0.1


def additive(count=10, options=4):
    """Return independent choices, each with effects in another order, whose scale falls from 1 to 1/10."""
    rng = np.random.default_rng(0)
    scales = np.geomspace(1, 0.1, count)
    effects = [scale * rng.permutation(np.linspace(-1, 1, options)) for scale in scales]
    space = aw.Space(**{f"d{i}": aw.choice(*range(options), name=f"d{i}") for i in range(count)})
    shares = scales**2 / (scales**2).sum()
    return (
        space,
        lambda a: sum(effect[a[f"d{i}"]] for i, effect in enumerate(effects)),
        {f"d{i}": share for i, share in enumerate(shares)},
    )


def ishigami():
    """Return the function of Ishigami and Homma, 1990, plus two linear terms, so that all main effects differ."""
    a, b, c, d = 7.0, 0.1, 0.8, 0.4
    space = aw.Space(**{f"x{i}": aw.real(-np.pi, np.pi, name=f"x{i}") for i in range(1, 6)})
    line = np.pi**2 / 3
    main = {"x1": 0.5 * (1 + b * np.pi**4 / 5) ** 2, "x2": a**2 / 8, "x3": 0.0, "x4": c**2 * line, "x5": d**2 * line}
    total = sum(main.values()) + 8 * b**2 * np.pi**8 / 225
    return (
        space,
        lambda v: np.sin(v["x1"]) * (1 + b * v["x3"] ** 4) + a * np.sin(v["x2"]) ** 2 + c * v["x4"] + d * v["x5"],
        {name: value / total for name, value in main.items()},
    )


def g_function():
    """Return the g-function of Sobol, with coefficients 0, 1, 2, 4.5, 9 and 30."""
    coefficients = (0.0, 1.0, 2.0, 4.5, 9.0, 30.0)
    space = aw.Space(**{f"x{i}": aw.real(0.0, 1.0, name=f"x{i}") for i in range(len(coefficients))})
    parts = [1 / (3 * (1 + c) ** 2) for c in coefficients]
    total = np.prod([1 + part for part in parts]) - 1
    return (
        space,
        lambda v: np.prod([(abs(4 * v[f"x{i}"] - 2) + c) / (1 + c) for i, c in enumerate(coefficients)]),
        {f"x{i}": part / total for i, part in enumerate(parts)},
    )


def conditional():
    """Return a choice of three blocks, two of which have decisions of their own, and two decisions beside it."""
    wide = aw.choice(*range(3), name="wide")
    block = aw.choice("none", aw.choice(*range(4), name="a"), wide, name="block")
    space = aw.Space(block=block, rate=aw.choice(*range(4), name="rate"), other=aw.choice(*range(4), name="other"))
    scales = {"block": 1.0, "a": 2.0, "wide": 0.9, "rate": 0.6, "other": 0.15}
    base = dict(zip(block.labels, (-1.0, 0.0, 1.0), strict=True))

    def centred(value, options):
        levels = np.linspace(-1, 1, options)
        return (levels / levels.std())[value]

    def function(v):
        found = scales["block"] * base[v["block"]] / np.std(list(base.values()))
        options = {"a": 4, "wide": 3, "rate": 4, "other": 4}
        return found + sum(scales[name] * centred(v[name], size) for name, size in options.items() if name in v)

    weight = {"a": 1 / 3, "wide": 1 / 3}
    shares = {name: weight.get(name, 1.0) * scale**2 for name, scale in scales.items()}
    return space, function, {name: share / sum(shares.values()) for name, share in shares.items()}


FUNCTIONS = {"additive": additive, "Ishigami": ishigami, "g-function": g_function, "conditional": conditional}


def trials_of(space, function, count, seed):
    rng = np.random.default_rng(seed)
    drawn = [space.sample(rng) for _ in range(count)]
    values = np.array([function(each) for each in drawn])
    values = values + NOISE * values.std() * rng.normal(size=count)
    return [aw.Trial(i, a, "complete", {"value": float(v)}) for i, (a, v) in enumerate(zip(drawn, values, strict=True))]


def optunas(space, trials, evaluator):
    """Return Optuna's importances; decisions that it does not judge have none."""
    study = optuna.create_study(direction="maximize")
    kinds = {}
    for name, decision in space.decisions.items():
        if hasattr(decision, "low"):
            kinds[name] = optuna.distributions.FloatDistribution(decision.low, decision.high)
        else:
            kinds[name] = optuna.distributions.CategoricalDistribution(list(decision.values()))
    for trial in trials:
        params = dict(trial.architecture)
        held = {name: kinds[name] for name in params}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=held, value=trial.metrics["value"]))
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: found.get(name, 0.0) for name in space.decisions}


def ours(space, trials, **options):
    return {row.decision: row.share for row in importance(space, trials, aw.Objective("value"), **options).rows}


def methods(seed):
    return {
        "fanova": lambda space, trials: ours(space, trials, seed=seed),
        "Optuna's fANOVA": lambda space, trials: optunas(
            space, trials, optuna.importance.FanovaImportanceEvaluator(seed=seed)
        ),
        "ped-anova": lambda space, trials: ours(space, trials, seed=seed, method="ped-anova"),
        "Optuna's PED-ANOVA": lambda space, trials: optunas(
            space, trials, optuna.importance.PedAnovaImportanceEvaluator()
        ),
    }


def agreement(names, trials, seeds):
    for name in names:
        space, function, truth = FUNCTIONS[name]()
        for count in trials:
            found = {}
            for seed in range(seeds):
                done = trials_of(space, function, count, seed)
                for method, of in methods(seed).items():
                    told = of(space, done)
                    rank = spearmanr([told[each] for each in truth], list(truth.values())).statistic
                    off = max(abs(told[each] - truth[each]) for each in truth)
                    found.setdefault(method, []).append((rank, off))
            for method, pairs in found.items():
                ranks, offs = np.array(pairs).T
                spread = f"{ranks.mean():.3f} (least {ranks.min():.3f})"
                print(f"{name:<12} {count:>5} trials  {method:<20} Spearman {spread}, largest error {offs.mean():.3f}")


def seconds(seeds):
    space, function, _ = additive(30, 5)
    done = trials_of(space, function, 1_000, 0)
    for method, of in methods(0).items():
        spent = []
        for _ in range(seeds):
            start = time.perf_counter(), time.process_time()
            of(space, done)
            spent.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        wall, process = np.median(spent, axis=0)
        print(f"1,000 trials of 30 decisions  {method:<20} {wall:.2f} s, {process:.2f} s of the processor")


def false_findings(seeds):
    space = aw.Space(
        **{f"r{i}": aw.real(0.0, 1.0, name=f"r{i}") for i in range(4)},
        **{f"c{i}": aw.choice(0, 1, name=f"c{i}") for i in range(3)},
        **{f"d{i}": aw.choice(*range(5), name=f"d{i}") for i in range(5)},
    )
    for count in (30, 100, 300):
        for method in ("fanova", "ped-anova"):
            found = 0
            for seed in range(seeds):
                rng = np.random.default_rng(seed)
                done = [
                    aw.Trial(i, space.sample(rng), "complete", {"value": float(rng.normal())}) for i in range(count)
                ]
                rows = importance(space, done, aw.Objective("value"), method=method, seed=seed).rows
                found += sum(not row.noise for row in rows)
            print(f"{count:>5} trials of noise  {method:<10} {found} of {12 * seeds} decisions called more than noise")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, nargs="*", default=[100, 300, 1000])
    parser.add_argument("--functions", nargs="*", default=list(FUNCTIONS), choices=list(FUNCTIONS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--noise", action="store_true")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore")
    if given.time:
        seconds(3)
    elif given.noise:
        false_findings(given.seeds)
    else:
        agreement(given.functions, given.trials, given.seeds)
