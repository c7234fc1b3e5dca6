"""A training loop of your own: a search calls it with each network. Only three lines of it are archwright's."""

import torch
import torch.nn.functional as F

import archwright as aw
from archwright import nn

digits = aw.data("digits")
train, validation = digits.train, digits.validation

space = aw.Space(
    model=nn.Sequential(
        nn.Flatten(),
        nn.LazyLinear(aw.ordinal(16, 32, 64, name="width")),
        aw.choice(nn.ReLU(), nn.Tanh(), name="activation"),
        nn.LazyLinear(10),
    ),
    lr=aw.real(1e-3, 1e-1, log=True),
    example_input=digits.example_input,
)


def evaluate(candidate):
    model = candidate.model  # (1) the network to train
    optimizer = torch.optim.Adam(model.parameters(), lr=candidate.settings["lr"])  # (2) what else the space decides
    for epoch in range(1, 5):
        for rows in torch.randperm(len(train)).split(64):
            loss = F.cross_entropy(model(digits.normalise(train.inputs[rows])), train.targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            predicted = model(digits.normalise(validation.inputs)).argmax(1)
        accuracy = (predicted == validation.targets).float().mean()
        candidate.report(epoch, accuracy=accuracy)  # (3) a point of the learning curve; a scheduler may stop it here
    return {"accuracy": accuracy}


if __name__ == "__main__":
    study = aw.search(space, evaluate, objective="max accuracy", scheduler="median", budget=aw.Budget(trials=8))
    print(f"validation accuracy {study.best.metrics['accuracy']:.3f} with {dict(study.best.architecture)}")
