"""A block of your own joins the language, and leaves it again: the exported source needs torch alone."""

import tempfile
from pathlib import Path

import torch

import archwright as aw
from archwright import nn


class Gate(torch.nn.Module):
    """Scales each channel by what the others say (squeeze and excitation, Hu et al. 2018)."""

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        self.squeeze = torch.nn.Linear(channels, max(1, channels // ratio))
        self.excite = torch.nn.Linear(max(1, channels // ratio), channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = x.mean(dim=(2, 3))
        scale = torch.sigmoid(self.excite(torch.relu(self.squeeze(pooled))))
        return x * scale[:, :, None, None]


width = aw.ordinal(16, 32, name="width")


def block():
    body = nn.Sequential(
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        aw.choice({"plain": nn.Identity(), "gated": aw.lazy(Gate)(width, ratio=aw.ordinal(2, 4))}),
        nn.ReLU(),
    )
    return aw.graph(lambda x: x + body(x))  # a residual connection


space = aw.Space(
    model=nn.Sequential(
        nn.LazyConv2d(width, 3, padding=1),
        aw.repeat(lambda i: block(), 1, 3),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(10),
    ),
    where=lambda a: a["width"] == 16 or a["model.1"] < 3,  # no network that is both wide and deep
    example_input=(1, 8, 8),  # with it, shapes are checked here and now
)

if __name__ == "__main__":
    path = Path(tempfile.mkdtemp())
    training = aw.Training(aw.data("digits"), epochs=3)
    study = aw.search(space, training, strategy="local-search", budget=aw.Budget(trials=4), path=path, final=False)
    print((path / "best" / "model.py").read_text())
    print(f"validation accuracy {study.best.metrics['accuracy']:.4f}")
