"""Numbers with nouns, and texts without controls, for messages."""

from __future__ import annotations

__all__ = ["counted", "plain"]


def counted(number: float | str, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun in the singular or the plural: "1 trial", "1,200 trials", "2.5 minutes".

    Args:
        number: How many; a number that is written already as it is.
        noun: The noun in the singular, with what stands before it: "full evaluation".
        plural: The plural, where it is not the singular with an "s".
    """
    told = number if isinstance(number, str) else f"{number:,}" if isinstance(number, int) else f"{number:,.6g}"
    return f"{told} {noun if told == '1' else plural or noun + 's'}"


def plain(text: str) -> str:
    """Return a text without controls, which could not stand in XML, and would be obeyed by a terminal."""
    return "".join(each if each.isprintable() else "·" for each in text)
