"""What a GPU does: a training, a supernet, a search, trials side by side, and a training by two processes.

    python benchmarks/gpu.py                            # about five minutes
    python benchmarks/gpu.py --device cpu --epochs 1 --trials 2    # the same without a GPU, to try the program out

training: a network in float32 on the CPU and on the device, whose losses should differ by rounding alone, and in bf16.
supernet: seconds of an epoch of `path` and of `softmax`.
search: trials per minute with one worker, and with two, which share the GPU where there is one only.
processes: the same network trained by two processes, on two GPUs; losses should differ from those of one by rounding.
"""

import argparse
import sys
import time

import numpy as np
import torch

import archwright as aw
from archwright.evaluate import Candidate, Preparation

SPACE = "digits-cells"


def measured(call):
    """Return what a call gives, and its seconds."""
    start = time.monotonic()
    found = call()
    return found, time.monotonic() - start


def train(name, data, options, **settings):
    """Train one network, the same each time, and print its losses and how long an epoch takes."""
    settings = {"device": options.device, "epochs": options.epochs, **settings}
    training = aw.Training(data, batch_size=64, augment=(), **settings)
    space = aw.spaces.create(SPACE)
    architecture = space.sample(np.random.default_rng(0))
    on_cuda = training.device.startswith("cuda")
    for _ in range(2):  # the first one prepares kernels, and starts processes
        candidate = Candidate(space, architecture, seed=0, device=training.device, example_input=training.example_input)
        if on_cuda:
            torch.cuda.reset_peak_memory_stats()
        metrics, seconds = measured(lambda candidate=candidate: training.evaluate(candidate))
    peak = f", peak {torch.cuda.max_memory_allocated() / 1e6:.0f} MB" if on_cuda and training.processes == 1 else ""
    print(
        f"training, {name}: train_loss {metrics['train_loss']:.6f}, loss {metrics['loss']:.6f}, accuracy "
        f"{metrics['accuracy']:.4f}, {seconds / options.epochs:.3f} s per epoch{peak}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--trials", type=int, default=20)
    options = parser.parse_args()
    gpus = torch.cuda.device_count()
    if options.device == "cuda" and not gpus:
        sys.exit(f"benchmarks/gpu.py: PyTorch {torch.__version__} sees no CUDA device on this machine; nothing was run")
    names = [torch.cuda.get_device_name(index) for index in range(gpus)] if options.device == "cuda" else ["CPU"]
    print(f"PyTorch {torch.__version__}, {', '.join(names)}", flush=True)
    data = aw.data("digits")
    train("CPU, float32", data, options, device="cpu")
    for precision in ("float32", "bf16"):
        train(f"{options.device}, {precision}", data, options, precision=precision)
    for relaxation in ("path", "softmax"):
        training = aw.Training(data, epochs=options.epochs, device=options.device)
        evaluator = aw.SupernetEvaluator(training, relaxation, epochs=2)
        learned = evaluator.prepare(Preparation(aw.spaces.create(SPACE), seed=0))
        last = learned.curve[-1]
        print(f"supernet, {relaxation}: loss {last['loss']:.4f}, {last['seconds']:.3f} s per epoch", flush=True)
    for workers in (1, 2):
        training = aw.Training(data, epochs=options.epochs, device=options.device)
        budget = aw.Budget(trials=options.trials)
        study, seconds = measured(
            lambda training=training, budget=budget, workers=workers: aw.search(
                aw.spaces.create(SPACE), training, strategy="random", budget=budget, workers=workers, final=False
            )
        )
        failed = sum(trial.state != "complete" for trial in study.trials)
        print(
            f"search, workers={workers}: {60 * len(study.trials) / seconds:.1f} trials per minute, {failed} failed, "
            f"best accuracy {study.best.metrics['accuracy']:.4f}",
            flush=True,
        )
    if options.device == "cuda" and gpus < 2:
        print("processes: not run, since there is one GPU")
    else:
        for processes in (1, 2):
            train(f"processes={processes}", data, options, processes=processes)


if __name__ == "__main__":
    main()
