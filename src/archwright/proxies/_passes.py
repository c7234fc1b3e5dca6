"""Forward and backward passes that proxies share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archwright.errors import EvaluationError
from archwright.proxies._blocks import Block, BlockOutputs
from archwright.proxies._units import Units
from archwright.tasks import leaves, map_tensors, size_of

_LAYERS = (nn.modules.conv._ConvNd, nn.Linear)
_DIFFERENTIATED = frozenset({"blocks", "channel_saliency", "curvature", "gradients", "input_gradients"})
_ROUNDING = 1e-12  # a variance below this share of the mean square is rounding: float32


@dataclass
class _Trace:
    """What one forward pass of the batch left."""

    inputs: Any
    outputs: Any
    agreement: Tensor | None
    blocks: list[Block]
    layers: list[tuple[Tensor, int]] = field(default_factory=list)


class Passes:
    """The results of forward and backward passes of a network over a batch, each computed once, on first use.

    One forward pass serves `agreement`, `input_gradients`, `gradients`, `channel_saliency`, `curvature` and `blocks`;
    one backward pass of the loss serves the middle three.

    Args:
        model: The network, in training or evaluation mode as it is to be scored.
        inputs: The batch, `n` samples; a tuple for a network with several inputs.
        targets: The targets of the loss.
        needs: The properties that will be read.
        loss: `f(outputs, targets)`, the mean loss of a batch, a scalar; by default the cross-entropy.
        seed: The random seed.

    Attributes:
        weights: The trainable parameters with two or more axes: of convolutions, linear and recurrent layers,
            embeddings. Biases and the scales of normalisation are excluded.

    Example:
        >>> model, needs = torch.nn.Linear(2, 2, bias=False), frozenset({"gradients"})
        >>> passes = aw.proxies.Passes(model, torch.eye(2), torch.arange(2), needs=needs)
        >>> [tuple(gradient.shape) for gradient in passes.gradients]
        [(2, 2)]
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Any,
        targets: Any,
        *,
        needs: frozenset[str],
        seed: int = 0,
        loss: Callable[[Any, Any], Tensor] | None = None,
    ) -> None:
        self.model = model
        self.inputs = map_tensors(Tensor.detach, inputs)
        self.targets = targets
        self._loss = loss or _cross_entropy
        self.needs = needs
        self.seed = seed
        self.weights = [weight for weight in model.parameters() if weight.requires_grad and weight.ndim > 1]

    def generator(self) -> torch.Generator:
        """Return a new generator on the CPU, seeded."""
        return torch.Generator().manual_seed(self.seed)

    def floating_inputs(self) -> Tensor:
        """Return the inputs, a single floating-point tensor.

        Raises:
            EvaluationError: The inputs are integers, such as tokens, or there are several.
        """
        if not isinstance(self.inputs, Tensor):
            raise EvaluationError(
                "the network has several inputs: take a proxy of the gradients by weights, such as 'snip' or 'zico'"
            )
        if not self.inputs.is_floating_point():
            raise EvaluationError(
                f"the network's inputs are {str(self.inputs.dtype).removeprefix('torch.')}, and real numbers are "
                "wanted: take a proxy of the gradients by weights, such as 'snip' or 'zico'"
            )
        return self.inputs

    # ------------------------------------------------------------------ one forward pass

    @property
    def agreement(self) -> Tensor:
        """(n, n) float64: the number of units that are in the same linear piece for two samples.

        Raises:
            EvaluationError: The network has no piecewise linear units.
        """
        self._declared("agreement")
        found = self._trace.agreement
        if found is None:
            raise EvaluationError(
                "the network has no piecewise linear unit (ReLU, ReLU6, LeakyReLU, PReLU, Hardtanh, ...), and those "
                "alone have codes: take another proxy, such as 'zico' or 'jacov'"
            )
        return found

    @property
    def blocks(self) -> list[Block]:
        """The outputs of the network's blocks in order; see `blocks_of`.

        Raises:
            EvaluationError: The network has no block before its head.
        """
        self._declared("blocks")
        found = self._trace.blocks
        if not found:
            raise EvaluationError(
                "the network has no block before its head: there is nothing to look into; take another proxy"
            )
        return found

    @cached_property
    def input_gradients(self) -> Tensor:
        """The gradient of the sum of all outputs with respect to the inputs, float32."""
        self._declared("input_gradients")
        self.floating_inputs()
        trace = self._trace
        gradient: Tensor
        (gradient,) = torch.autograd.grad(
            torch.stack([output.float().sum() for output in leaves(trace.outputs)]).sum(),
            trace.inputs,
            retain_graph=True,
            materialize_grads=True,
        )
        return gradient.detach().float()

    @cached_property
    def _trace(self) -> _Trace:
        inputs = self.inputs
        if "input_gradients" in self.needs and isinstance(inputs, Tensor) and inputs.is_floating_point():
            inputs = inputs.clone().requires_grad_()
        layers: list[tuple[Tensor, int]] = []
        with ExitStack() as stack:
            stack.enter_context(torch.set_grad_enabled(bool(self.needs & _DIFFERENTIATED)))
            blocks = stack.enter_context(BlockOutputs(self.model)) if "blocks" in self.needs else None
            units = stack.enter_context(Units(self.size)) if "agreement" in self.needs else None
            if "channel_saliency" in self.needs:
                for module in self.model.modules():
                    if isinstance(module, _LAYERS):
                        stack.callback(module.register_forward_hook(_keep_output(layers)).remove)
            outputs = self._run(inputs)
        agreement = None if units is None else units.agreement
        found = [] if blocks is None else blocks.before(next(leaves(outputs)))
        return _Trace(inputs, outputs, agreement, found, layers)

    @property
    def size(self) -> int:
        """The number of samples in the batch."""
        return size_of(self.inputs)

    def _run(self, inputs: Any) -> Any:
        outputs = self.model(*inputs) if isinstance(inputs, tuple) else self.model(inputs)
        if not any(True for _ in leaves(outputs)):
            raise EvaluationError(f"the network gives a {type(outputs).__name__}, and a tensor is wanted")
        return outputs

    def _declared(self, name: str) -> None:
        if name not in self.needs:  # the pass was made without it
            raise EvaluationError(f"it looks at {name!r}, which it does not declare: list it in its 'needs'")

    # ------------------------------------------------------------------ backward passes

    @cached_property
    def gradients(self) -> list[Tensor]:
        """The gradients of the loss with respect to `weights`, float32.

        Raises:
            EvaluationError: There are no trainable weights, the outputs are not (n, classes) scores, or the loss is not
                finite.
        """
        self._declared("gradients")
        return [gradient.detach().float() for gradient in self._live_gradients[0]]

    @property
    def channel_saliency(self) -> list[Tensor]:
        """For each call of a convolution or linear layer, (channels,) half the mean square of output × gradient.

        The product is summed over the positions of a channel, and squared, for each sample (Theis et al. 2018).
        """
        self._declared("channel_saliency")
        return self._live_gradients[1]

    @cached_property
    def curvature(self) -> list[Tensor]:
        """The product of the loss's Hessian with its gradient, for each of `weights`, float32.

        Raises:
            EvaluationError: A layer is not twice differentiable.
        """
        self._declared("curvature")
        live = self._live_gradients[0]
        product = torch.stack([(gradient.detach() * gradient).sum() for gradient in live]).sum()
        try:
            if _is_cut(product):
                raise RuntimeError("a layer of its own says that it is differentiable once")
            products = torch.autograd.grad(product, self.weights, retain_graph=True, materialize_grads=True)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise EvaluationError(
                f"the network's gradient cannot be differentiated again ({str(error).partition(chr(10))[0]}): take a "
                "proxy of the first order, such as 'snip'"
            ) from error
        return [product.detach().float() for product in products]

    @cached_property
    def half_gradients(self) -> tuple[list[Tensor], list[Tensor]]:
        """The gradients of the two halves of the batch, computed separately, as in `gradients`.

        They need separate passes, since batch normalisation would mix the halves.

        Raises:
            EvaluationError: As for `gradients`, or the batch has fewer than four samples.
        """
        half = self.size // 2
        if half < 2:
            raise EvaluationError(f"two halves of two samples or more are wanted; the batch has {self.size}")
        first, second = (
            self._gradients_of(self._run(self.part(self.inputs, part)), self.part(self.targets, part))
            for part in (slice(half), slice(half, 2 * half))
        )
        return first, second

    @staticmethod
    def part(batch: Any, places: slice) -> Any:
        """Return some of the samples of a batch."""
        return map_tensors(lambda tensor: tensor[places], batch)

    def _loss_of(self, outputs: Any, targets: Any) -> Tensor:
        """Return the loss, float32; EvaluationError where it is not finite."""
        outputs = map_tensors(lambda tensor: tensor.float() if tensor.is_floating_point() else tensor, outputs)
        loss = self._loss(outputs, targets)
        if not torch.isfinite(loss):
            raise EvaluationError(
                f"the loss of the untrained network is {loss.item()}: normalise the inputs, or the network's layers"
            )
        return loss

    def _gradients_of(self, outputs: Any, targets: Any) -> list[Tensor]:
        loss = self._loss_of(outputs, targets)
        found = torch.autograd.grad(loss, self.learnt(), materialize_grads=True)
        return [gradient.float() for gradient in found]

    @cached_property
    def _live_gradients(self) -> tuple[tuple[Tensor, ...], list[Tensor]]:
        """The gradients, with their own graph where it will be wanted, and what the layers' outputs add to them."""
        weights = self.learnt()
        trace = self._trace
        loss = self._loss_of(trace.outputs, self.targets)
        saliency: dict[int, Tensor] = {}
        # Listened to here and not in other backward passes over the same graph.
        listeners = [
            output.register_hook(_note_saliency(saliency, place, output.detach(), axis))  # type: ignore[no-untyped-call]  # in torch
            for place, (output, axis) in enumerate(trace.layers)
        ]
        try:
            found = torch.autograd.grad(
                loss, weights, create_graph="curvature" in self.needs, retain_graph=True, materialize_grads=True
            )
        finally:
            for listener in listeners:
                listener.remove()
        return found, [saliency[place] for place in sorted(saliency)]

    def learnt(self) -> list[nn.Parameter]:
        """Return `weights`.

        Raises:
            EvaluationError: There are none.
        """
        if not self.weights:
            raise EvaluationError(
                "the network has no weight of two axes or more that is learnt: set requires_grad where it is frozen"
            )
        return self.weights

    @cached_property
    def entropies(self) -> list[float]:
        """The entropy, in nats, of the principal components' shares in the variance of each block's output.

        Raises:
            EvaluationError: The output of a block is constant.
        """
        return [spread(block, place) for place, block in enumerate(self.blocks)]

    def release(self) -> None:
        """Release the graphs; they are computed again when needed."""
        for name in ("_trace", "_live_gradients"):
            self.__dict__.pop(name, None)


def gaussian(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return standard normal numbers, float32, of the shape, layout and device of a tensor.

    They are drawn on the CPU, whatever the device, so that a seed gives the same everywhere.
    """
    drawn = torch.randn(like.shape, generator=generator)
    return torch.empty_like(like, dtype=torch.float32).copy_(drawn)


def _cross_entropy(outputs: Any, targets: Any) -> Tensor:
    """Return the mean cross-entropy in nats of (n, classes) scores, by (n,) int64 targets."""
    if not isinstance(outputs, Tensor):
        raise EvaluationError(f"the network gives a {type(outputs).__name__}, and a tensor is wanted")
    if outputs.ndim != 2 or len(outputs) != len(targets):
        raise EvaluationError(
            f"the network's output for a batch of {len(targets)} is of shape {tuple(outputs.shape)}; wanted is one "
            "score for each class"
        )
    if not 0 <= int(targets.min()) <= int(targets.max()) < outputs.shape[1]:
        raise EvaluationError(
            f"targets are from 0 to {outputs.shape[1] - 1}, as many as the network's outputs; "
            f"{int(targets.min())} to {int(targets.max())} was given"
        )
    return F.cross_entropy(outputs, targets)


def spread(block: Block, place: int) -> float:
    """Return the entropy of the shares that the principal components of a block's output have in its variance.

    Each position of a sample counts as one observation; `place` is the number of the block, for the message.
    """
    rows = block.output.detach().movedim(block.axis, -1).flatten(0, -2).float()
    size = float(rows.square().sum()) / len(rows)
    rows = rows - rows.mean(0)
    variances = torch.linalg.eigvalsh((rows.T @ rows).double() / len(rows)).clamp_min(0)
    if not float(variances.sum()) > _ROUNDING * size:
        raise EvaluationError(
            f"block {place} of the network gives the same for every sample and position, as when nothing leads "
            "through it: leave such networks out of the space"
        )
    shares = variances / variances.sum()
    return float(-(shares * torch.log(shares + 1e-8)).sum())


def _is_cut(value: Tensor) -> bool:
    """Tell whether a graph is cut where its derivative is unknown; torch would pass over that part in silence."""
    seen, left = set(), [value.grad_fn]
    while left:
        node = left.pop()
        if node is not None and node not in seen:
            if node.name().endswith("::Error"):
                return True
            seen.add(node)
            left += [before for before, _ in node.next_functions]
    return False


def _keep_output(kept: list[tuple[Tensor, int]]) -> Callable[..., Tensor | None]:
    def hook(module: nn.Module, _: Any, output: Tensor) -> Tensor | None:
        if not output.requires_grad:
            return None
        kept.append((output, -1 if isinstance(module, nn.Linear) else 1))
        return output.clone()  # the network goes on with the copy: an activation in place leaves this one alone

    return hook


def _note_saliency(found: dict[int, Tensor], place: int, activation: Tensor, axis: int) -> Callable[[Tensor], None]:
    def hook(gradient: Tensor) -> None:
        product = (activation.float() * gradient.detach().float()).movedim(axis, 1)
        found[place] = product.unsqueeze(-1).flatten(2).sum(2).pow(2).mean(0) / 2

    return hook
