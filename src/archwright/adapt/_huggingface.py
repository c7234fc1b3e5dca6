"""Models of Hugging Face in plain layers: their own forward passes cannot be traced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from archwright.adapt._plain import Attention, activation_of
from archwright.errors import RelaxationError, require


def load_folder(folder: str | Path) -> nn.Module:
    """Return the model of a local folder of Hugging Face (config.json and its weights); nothing is downloaded.

    Raises:
        MissingExtra: transformers is not installed.
        RelaxationError: There is no such folder, or it holds no model for the classification of sequences.
    """
    if not Path(folder).is_dir():
        raise RelaxationError(f"there is no folder {folder}: give a local folder with config.json and weights")
    transformers = require("transformers", extra="transformers", purpose="a folder of Hugging Face")
    try:
        made: nn.Module = transformers.AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise RelaxationError(f"{folder} holds no model for the classification of sequences: {error}") from error
    return made


def without_forward(model: Any, inputs: int) -> nn.Module:
    """Return a model of Hugging Face in plain layers, and any other unchanged.

    Args:
        model: The model.
        inputs: 1 for the tokens alone, 2 for tokens and the attention mask.

    Raises:
        RelaxationError: The architecture is not supported.
    """
    if not type(model).__module__.startswith("transformers."):
        found: nn.Module = model
        return found
    if type(model).__name__ != "BertForSequenceClassification" or model.config.is_decoder:
        raise RelaxationError(
            f"{type(model).__name__} of Hugging Face cannot be made elastic, only BertForSequenceClassification; "
            f"keep it whole by aw.pretrained"
        )
    if inputs > 2:
        raise RelaxationError(f"a model of Hugging Face takes tokens and an attention mask, not {inputs} inputs")
    return BertTokens(model) if inputs == 1 else BertMasked(model)


class _Layer(nn.Module):
    def __init__(self, given: Any) -> None:
        super().__init__()
        own = given.attention.self
        width = own.query.in_features
        self.attention = Attention(width, own.num_attention_heads, own.attention_head_size, own.dropout.p)
        self.attention.query, self.attention.key, self.attention.value = own.query, own.key, own.value
        self.attention.out = given.attention.output.dense
        self.norm1, self.dropout1 = given.attention.output.LayerNorm, given.attention.output.dropout
        self.up, self.activation = given.intermediate.dense, activation_of(given.intermediate.intermediate_act_fn)
        self.down, self.norm2, self.dropout2 = given.output.dense, given.output.LayerNorm, given.output.dropout

    def forward(self, x: Tensor, padding: Any) -> Tensor:
        x = self.norm1(x + self.dropout1(self.attention(x, x, x, padding)))
        out: Tensor = self.norm2(x + self.dropout2(self.down(self.activation(self.up(x)))))
        return out


class BertTokens(nn.Module):
    """BERT for the classification of sequences, of which each token counts; all are of the first type."""

    def __init__(self, given: Any) -> None:
        super().__init__()
        before = given.bert.embeddings
        self.words, self.norm, self.drop = before.word_embeddings, before.LayerNorm, before.dropout
        places = before.position_embeddings.weight + before.token_type_embeddings.weight[0]
        self.places = nn.Parameter(places.detach()[None].clone())
        self.layers = nn.ModuleList(map(_Layer, given.bert.encoder.layer))
        self.pooler, self.act = given.bert.pooler.dense, nn.Tanh()
        self.dropout, self.classifier = given.dropout, given.classifier

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (batch, classes) for (batch, length)."""
        return self._classified(tokens, None)

    def _classified(self, tokens: Tensor, padding: Any) -> Tensor:
        x = self.drop(self.norm(self.words(tokens) + self.places))
        for layer in self.layers:
            x = layer(x, padding)
        out: Tensor = self.classifier(self.dropout(self.act(self.pooler(x[:, 0]))))
        return out

    length: int = 0


class BertMasked(BertTokens):
    """The same with an attention mask, which is 0 where a token does not count."""

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]  # another network
        """Return (batch, classes) for twice (batch, length)."""
        return self._classified(tokens, mask == 0)
