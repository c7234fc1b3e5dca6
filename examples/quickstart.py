"""Write a space, search it on the digits, get a trained network: `python examples/quickstart.py [run folder]`."""

import sys
import tempfile

import archwright as aw
from archwright import nn  # torch.nn, but calling a class writes the call down instead of making the layer


def conv(width):
    return nn.Sequential(
        nn.LazyConv2d(width, kernel_size=aw.choice(3, 5), padding="same", bias=False),
        nn.LazyBatchNorm2d(),
        aw.choice(nn.ReLU(), nn.SiLU()),
    )


width = aw.ordinal(16, 24, 32, name="width")  # one object used twice is one decision
space = aw.Space(
    model=nn.Sequential(
        conv(width),
        aw.repeat(lambda i: conv(width), 1, 3),  # depth
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(10),
    ),
    optimizer=aw.optim.AdamW(lr=aw.real(1e-3, 3e-2, log=True)),  # hyperparameters live in the same space
    batch_size=aw.ordinal(32, 64, 128),
    name="quickstart",
)

if __name__ == "__main__":
    path = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()
    print(space)
    study = aw.search(space, aw.Training(aw.data("digits"), epochs=4), budget=aw.Budget(trials=6), path=path)
    print(f"best of {len(study.trials)}: {study.best.architecture}")
    print(f"validation accuracy {study.best.metrics['accuracy']:.4f}, test accuracy {study.test['test_accuracy']:.4f}")
    network = study.best.load()  # a torch.nn.Module; its source and weights lie in the run folder
    print(f"{sum(p.numel() for p in network.parameters()):,} parameters, files in {path}/best")
