"""A way past an operation. The text of the function is copied into written source."""

from __future__ import annotations

from torch import nn


def shortcut(inputs: int, outputs: int) -> nn.Module:
    """Return a way past an operation; where widths differ, a 1x1 convolution with norm.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
    """
    if inputs == outputs:
        return nn.Identity()
    change = nn.Conv2d(inputs, outputs, 1, bias=False)
    return nn.Sequential(change, nn.BatchNorm2d(outputs))
