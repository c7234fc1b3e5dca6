"""Time a step of the NAS-Bench-201 supernet against its plain form: a Python sum of weight times operation.

    python benchmarks/supernet.py                    # C=16, N=5, 32x32, batch 64
    python benchmarks/supernet.py --C 8 --N 1 --pairs 10

Both forms have the same weights and see the same batches, one after the other in turns; ratios are of pairs. Peak
memory is that of a process of its own for each form.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from operator import truediv
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archwright as aw

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


class PlainEdge(nn.Module):
    """All five operations of an edge."""

    def __init__(self, width: int) -> None:
        super().__init__()

        def conv(kernel: int) -> nn.Module:
            layer = nn.Conv2d(width, width, kernel, padding=kernel // 2, bias=False)
            return nn.Sequential(nn.ReLU(), layer, nn.BatchNorm2d(width))

        pool = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.operations = nn.ModuleList([nn.Identity(), nn.Identity(), conv(1), conv(3), pool])

    def forward(self, x: Tensor, weights: Tensor | int) -> Tensor:
        """Return the sum of weight times operation, or what one of them gives; the first operation gives zeros."""
        if isinstance(weights, int):
            return self.operations[weights](x) if weights else torch.zeros_like(x)
        outputs = [torch.zeros_like(x), *(operation(x) for operation in list(self.operations)[1:])]
        return sum(weight * output for weight, output in zip(weights, outputs, strict=True))  # type: ignore[return-value]


class PlainCell(nn.Module):
    """Four nodes, six edges."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict({f"{i}_{j}": PlainEdge(width) for j in range(1, 4) for i in range(j)})

    def forward(self, x: Tensor, weights: dict[str, Tensor]) -> Tensor:
        """Return the last node."""
        nodes = [x]
        for j in range(1, 4):
            terms = [self.edges[f"{i}_{j}"](nodes[i], weights[f"{i}_{j}"]) for i in range(j)]
            nodes.append(sum(terms[1:], terms[0]))
        return nodes[-1]


class PlainSupernet(nn.Module):
    """The network of NAS-Bench-201 with mixed edges, which share six vectors of logits."""

    def __init__(self, width: int, cells: int, classes: int) -> None:
        super().__init__()

        def conv_norm(inputs: int, outputs: int, stride: int) -> nn.Module:
            layer = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
            return nn.Sequential(nn.ReLU(), layer, nn.BatchNorm2d(outputs))

        stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        layers: list[nn.Module] = [stem, *(PlainCell(width) for _ in range(cells))]
        for factor in (1, 2):
            inputs = factor * width
            residual = nn.Sequential(conv_norm(inputs, 2 * inputs, 2), conv_norm(2 * inputs, 2 * inputs, 1))
            shortcut = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(inputs, 2 * inputs, 1, bias=False))
            layers.append(nn.ModuleList([residual, shortcut]))
            layers += [PlainCell(2 * inputs) for _ in range(cells)]
        self.layers = nn.ModuleList(layers)
        self.head = nn.Sequential(
            nn.BatchNorm2d(4 * width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes)
        )
        self.logits = nn.ParameterDict({f"{i}_{j}": torch.zeros(5) for j in range(1, 4) for i in range(j)})

    def forward(self, x: Tensor, weights: dict[str, Any] | None = None) -> Tensor:
        """Return (n, classes) scores of the mixture, or of the operations that are named for each edge."""
        weights = weights or {edge: torch.softmax(logits, dim=0) for edge, logits in self.logits.items()}
        for layer in self.layers:
            if isinstance(layer, PlainCell):
                x = layer(x, weights)
            elif isinstance(layer, nn.ModuleList):
                x = layer[0](x) + layer[1](x)
            else:
                x = layer(x)
        return self.head(x)  # type: ignore[no-any-return]


def paired(width: int, cells: int, classes: int = 10) -> tuple[PlainSupernet, aw.Supernet]:
    """Return the plain form and the supernet, with the same weights and logits."""
    torch.manual_seed(0)
    plain = PlainSupernet(width, cells, classes)
    supernet = aw.Supernet(aw.spaces.create("nasbench201", C=width, N=cells, classes=classes), "softmax")
    # Layers come in the same order in both; what differs is how their parameters are named.
    pools = {}
    for name, value in plain.named_parameters():
        if not name.startswith("logits"):
            pools[name] = value
    for name, parameter in supernet.bank.named_parameters():
        parameter.data.copy_(pools.pop(_ours(name, cells)).data)
    assert not pools, list(pools)
    for name, logits in supernet.logits.items():
        logits.data.copy_(plain.logits[name.removeprefix("cell.edge_")].data)
    return plain, supernet


def _ours(name: str, cells: int) -> str:
    """Return the plain name of a tensor of the bank."""
    parts = name.split("/")
    tensor, layer = parts[-1], int(parts[1])
    last = 3 * cells + 2
    kind = next(index for index, part in enumerate(parts) if "(" in part or part in ("Conv2d", "BatchNorm2d", "Linear"))
    inner = parts[2:kind]
    if layer > last:
        return f"head.{4 if inner else 0}.{tensor}"
    if inner and inner[0].startswith("edge_"):
        edge, operation, place = inner
        number = OPERATIONS.index(operation)
        return f"layers.{layer}.edges.{edge.removeprefix('edge_')}.operations.{number}.{place}.{tensor}"
    if inner and inner[0] in ("residual", "shortcut"):
        branch = ("residual", "shortcut").index(inner[0])
        return f"layers.{layer}.{branch}.{'.'.join(inner[1:])}.{tensor}"
    return f"layers.{layer}.{'.'.join(inner)}.{tensor}"


def steps(
    run: dict[str, Callable[[Tensor], Tensor]],
    tensors: Iterable[Tensor],
    weights: list[nn.Parameter],
    logits: list[nn.Parameter],
    layout: torch.memory_format,
    size: int,
) -> dict[str, Callable[[], float]]:
    """Return a step of the weights, one of the logits, and one of the weights on a sampled path; they return losses."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(size, 3, 32, 32, generator=generator).contiguous(memory_format=layout)
    targets = torch.randint(10, (size,), generator=generator)
    for tensor in tensors:
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=layout)
    sgd = torch.optim.SGD(weights, lr=0.025, momentum=0.9, weight_decay=3e-4)
    adam = torch.optim.Adam(logits, lr=3e-4, betas=(0.5, 0.999))

    def step(model: Callable[[Tensor], Tensor], optimizer: torch.optim.Optimizer, learned: list[nn.Parameter]) -> float:
        loss = F.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        torch.autograd.backward(loss, inputs=learned)
        optimizer.step()
        return float(loss.detach())

    return {
        "weights": partial(step, run["weights"], sgd, weights),
        "logits": partial(step, run["logits"], adam, logits),
        "path": partial(step, run["path"], sgd, weights),
    }


def forms(width: int, cells: int, size: int) -> dict[str, dict[str, Callable[[], float]]]:
    """Return the steps of both forms."""
    plain, supernet = paired(width, cells)
    own = [parameter for name, parameter in plain.named_parameters() if not name.startswith("logits")]
    names = sorted(plain.logits)

    def plain_path(rng: np.random.Generator, x: Tensor) -> Tensor:
        return plain(x, {name: int(rng.integers(5)) for name in names})

    def path(rng: np.random.Generator, x: Tensor) -> Tensor:
        operations = {f"cell.edge_{name}": OPERATIONS[int(rng.integers(5))] for name in names}
        return supernet.run(aw.supernet.Draw(operations), x)

    def mixture(x: Tensor) -> Tensor:
        with torch.no_grad():  # for the weights the mixture is a constant
            draw = supernet.draw()
        return supernet.run(draw, x)

    plain_runs = {"weights": plain, "logits": plain, "path": partial(plain_path, np.random.default_rng(0))}
    runs = {"weights": mixture, "logits": supernet, "path": partial(path, np.random.default_rng(0))}
    everything = [*plain.parameters(), *plain.buffers()]
    ours = [*supernet.bank.parameters(), *supernet.bank.buffers()]
    return {
        "plain": steps(plain_runs, everything, own, list(plain.logits.values()), torch.contiguous_format, size),
        "supernet": steps(
            runs, ours, supernet.weight_parameters(), supernet.arch_parameters(), torch.channels_last, size
        ),
    }


def orders(width: int, cells: int, size: int) -> dict[str, Callable[[], Tensor]]:
    """Return an architecture step of first and of second order, as the training of a supernet makes them."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(256, (4 * size, 3, 32, 32), generator=generator).to(torch.uint8).numpy()
    data = aw.data((images, np.arange(4 * size) % 10))
    training = aw.Training(data, batch_size=size, optimizer="sgd")
    setup = training.setup("cpu")
    space = aw.spaces.create("nasbench201", C=width, N=cells)
    found = {}
    for order in (1, 2):
        supernet = aw.Supernet(space, aw.supernet.Softmax(order=order))
        for tensor in (*supernet.bank.parameters(), *supernet.bank.buffers()):
            if tensor.ndim == 4:
                tensor.data = tensor.data.contiguous(memory_format=setup.layout)
        trainer = aw.supernet.Trainer(supernet, training.task, training.recipe, setup, epochs=9, seed=0)
        batches = [next(feed.in_order(size)) for feed in trainer.feeds]
        found[f"order {order}"] = partial(supernet.relaxation.arch_step, trainer, batches[1], batches[0])
    return found


def timed(made: dict[str, dict[str, Callable[[], Any]]], pairs: int) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of each step of each form, made in turns."""
    seconds: dict[str, dict[str, list[float]]] = {form: {step: [] for step in each} for form, each in made.items()}
    for _ in range(pairs):
        for step in next(iter(made.values())):
            for form, each in made.items():
                start = time.perf_counter()
                each[step]()
                seconds[form][step].append(time.perf_counter() - start)
    return seconds


def told(ratios: Iterable[float]) -> str:
    """Return ratios in words."""
    ratios = list(ratios)
    return f"median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def main() -> None:
    """Time both forms in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--C", type=int, default=16)
    parser.add_argument("--N", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--memory", choices=("plain", "supernet"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = (options.C, options.N, options.batch)
    made = forms(*size)
    if options.memory:
        for _ in range(2):
            for step in ("weights", "logits"):
                made[options.memory][step]()
        # Of this process alone: getrusage would count its parent's, from which it was forked.
        lines = Path("/proc/self/status").read_text().splitlines()
        print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
        return
    for name, each in made.items():
        losses = ", ".join(f"{step()!r}" for step in each.values())  # warms up, too
        print(f"{name:<9} losses of the first steps: {losses}")
    seconds = timed(made, options.pairs)
    for form, rows in seconds.items():
        print(f"{form:<9} " + ", ".join(f"{step} {statistics.median(row):.3f} s" for step, row in rows.items()))
    both = {
        form: [a + b for a, b in zip(rows["weights"], rows["logits"], strict=True)] for form, rows in seconds.items()
    }
    print("plain over supernet, weights and logits:", told(map(truediv, both["plain"], both["supernet"])))
    print("plain over supernet, path:", told(map(truediv, seconds["plain"]["path"], seconds["supernet"]["path"])))
    del made
    second = {name: {"step": step} for name, step in orders(*size).items()}
    for each in second.values():
        each["step"]()
    rows = timed(second, options.pairs)
    ratios = map(truediv, rows["order 2"]["step"], rows["order 1"]["step"])
    print("logits, second order over first order:", told(ratios))
    for form in seconds:
        command = [sys.executable, __file__, "--memory", form, "--C", str(options.C), "--N", str(options.N)]
        output = subprocess.run([*command, "--batch", str(options.batch)], capture_output=True, text=True, check=True)
        print(f"{form:<9} peak memory {int(output.stdout) / 1024:.0f} MB")


if __name__ == "__main__":
    main()
