"""Networks trained by the Trainer of Hugging Face: a callback reports to the search (archwright[transformers])."""

import tempfile

import torch
import torch.nn.functional as F
import transformers

import archwright as aw
from archwright import nn

digits = aw.data("digits")


def samples(part):
    inputs = digits.normalise(part.inputs)
    return [{"inputs": one, "labels": target} for one, target in zip(inputs, part.targets, strict=True)]


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


class WithLoss(torch.nn.Module):
    """What the Trainer expects: a network that returns its loss beside its outputs."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, inputs, labels):
        logits = self.network(inputs)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


class Report(transformers.TrainerCallback):
    def __init__(self, candidate):
        self.candidate = candidate

    def on_evaluate(self, args, state, control, metrics, **_):
        self.candidate.report(round(state.epoch), accuracy=metrics["eval_accuracy"])


def evaluate(candidate):
    with tempfile.TemporaryDirectory() as folder:
        trainer = transformers.Trainer(
            WithLoss(candidate.model),
            transformers.TrainingArguments(
                folder,
                num_train_epochs=3,
                per_device_train_batch_size=64,
                learning_rate=candidate.settings["lr"],
                seed=candidate.seed % 2**32,
                eval_strategy="epoch",
                save_strategy="no",
                logging_strategy="no",
                report_to=[],
                use_cpu=True,
                disable_tqdm=True,
            ),
            train_dataset=samples(digits.train),
            eval_dataset=samples(digits.validation),
            compute_metrics=lambda found: {"accuracy": (found.predictions.argmax(1) == found.label_ids).mean()},
            callbacks=[Report(candidate)],
        )
        trainer.train()
    return {"accuracy": candidate.curve[-1]["accuracy"]}


if __name__ == "__main__":
    study = aw.search(space, evaluate, objective="max accuracy", scheduler="median", budget=aw.Budget(trials=4))
    print(f"validation accuracy {study.best.metrics['accuracy']:.3f} with {dict(study.best.architecture)}")
