"""The cells of NAS-Bench-101. The text of these functions is copied into written source."""

from __future__ import annotations

import torch
from torch import nn


def conv_norm_relu(inputs: int, outputs: int, kernel: int) -> nn.Module:
    """Return a convolution that keeps the size, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def dag_cell(
    inputs: int,
    outputs: int,
    sources: list[list[int | None]],
    operations: list[str],
) -> nn.Module:
    """Return a cell whose vertices take the sum of the vertices before them.

    What goes out is the concatenation of the vertices that lead to the output. They
    share its channels, the first ones taking what is left over; any other vertex is as
    wide as the widest that it leads to, and what is too wide is cut off. The cell's
    input comes to each vertex, and is added to the output, by a convolution of its own.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        sources: For vertex 1, 2, ... and at last the output: where it takes from. The
            input is 0; None stands where there is no edge.
        operations: What vertex 1, 2, ... does, by the official names.
    """
    last = len(sources)
    takes: list[list[int]] = [[]]
    takes += [[source for source in row if source is not None] for row in sources]
    needed = {last}
    for vertex in range(last, 0, -1):
        if vertex in needed:
            needed.update(takes[vertex])
    inner = [vertex for vertex in range(1, last) if vertex in needed]
    leading = [vertex for vertex in inner if vertex in takes[last]]
    width = dict.fromkeys(inner, 0)
    for place, vertex in enumerate(leading):
        share, rest = divmod(outputs, len(leading))
        width[vertex] = share + (place < rest)
    for vertex in reversed(inner):
        if vertex not in leading:
            width[vertex] = max(width[i] for i in inner if vertex in takes[i])
    graph = torch.fx.Graph()
    modules: dict[str, nn.Module] = {}

    def apply(name: str, module: nn.Module, value: torch.fx.Node) -> torch.fx.Node:
        modules[name] = module
        return graph.call_module(name, (value,))

    def cut(value: torch.fx.Node, source: int, channels: int) -> torch.fx.Node:
        if width[source] == channels:
            return value
        part = (slice(None), slice(channels))
        return graph.call_function(torch.Tensor.__getitem__, (value, part))

    def total(values: list[torch.fx.Node]) -> torch.fx.Node:
        result = values[0]
        for value in values[1:]:
            result = graph.call_function(torch.add, (result, value))
        return result

    values = {0: graph.placeholder("x")}
    for vertex in inner:
        channels, terms = width[vertex], []
        for source in takes[vertex]:
            if source == 0:
                project = conv_norm_relu(inputs, channels, 1)
                terms.append(apply(f"projection_{vertex}", project, values[0]))
            else:
                terms.append(cut(values[source], source, channels))
        operation: nn.Module = nn.MaxPool2d(3, stride=1, padding=1)
        if operations[vertex - 1].startswith("conv"):
            kernel = int(operations[vertex - 1][4])
            operation = conv_norm_relu(channels, channels, kernel)
        values[vertex] = apply(f"vertex_{vertex}", operation, total(terms))
    out = [values[vertex] for vertex in leading]
    if len(out) > 1:
        out = [graph.call_function(torch.cat, (out, 1))]
    if 0 in takes[last]:
        project = conv_norm_relu(inputs, outputs, 1)
        out.append(apply("projection", project, values[0]))
    graph.output(total(out))
    return torch.fx.GraphModule(modules, graph, "Cell")
