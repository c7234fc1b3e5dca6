"""Networks trained by Lightning: a callback reports to the search (pip install "archwright[lightning]")."""

import logging

import lightning
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

import archwright as aw
from archwright import nn

digits = aw.data("digits")
train, validation = (
    TensorDataset(digits.normalise(part.inputs), part.targets) for part in (digits.train, digits.validation)
)

space = aw.Space(
    model=nn.Sequential(
        nn.Flatten(),
        nn.LazyLinear(aw.ordinal(16, 32, 64, name="width")),
        nn.ReLU(),
        nn.LazyLinear(10),
    ),
    lr=aw.real(1e-3, 1e-1, log=True),
    example_input=digits.example_input,
)


class Classifier(lightning.LightningModule):
    def __init__(self, network, lr):
        super().__init__()
        self.network, self.lr = network, lr

    def training_step(self, batch, _):
        inputs, targets = batch
        return F.cross_entropy(self.network(inputs), targets)

    def validation_step(self, batch, _):
        inputs, targets = batch
        self.log("accuracy", (self.network(inputs).argmax(1) == targets).float().mean(), batch_size=len(targets))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)


class Report(lightning.Callback):
    def __init__(self, candidate):
        self.candidate = candidate

    def on_validation_epoch_end(self, trainer, module):
        self.candidate.report(trainer.current_epoch + 1, accuracy=trainer.callback_metrics["accuracy"])


def evaluate(candidate):
    module = Classifier(candidate.model, candidate.settings["lr"])
    trainer = lightning.Trainer(
        max_epochs=3,
        accelerator="cpu",
        callbacks=[Report(candidate)],
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataLoader(train, batch_size=64, shuffle=True), DataLoader(validation, batch_size=256))
    return {"accuracy": trainer.callback_metrics["accuracy"]}


if __name__ == "__main__":
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    study = aw.search(space, evaluate, objective="max accuracy", scheduler="median", budget=aw.Budget(trials=4))
    print(f"validation accuracy {study.best.metrics['accuracy']:.3f} with {dict(study.best.architecture)}")
