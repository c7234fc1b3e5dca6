"""Shares as text."""

from __future__ import annotations


def percent(share: float) -> str:
    """Return a share in percent, with a decimal where it is small."""
    return f"{share:.1%}" if 0 < share < 0.0995 else f"{share:.0%}"


def span(low: float, high: float) -> str:
    """Return an interval of shares: "33-52 %"."""
    return f"{percent(low)[:-1]}-{percent(high)}"
