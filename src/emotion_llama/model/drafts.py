"""What a text may go on with: guesses that the model checks several at a time, and only takes where they are its own.

A step of the language model costs little more for four tokens of a text than for one. So the next ones are guessed from
texts that this one may resemble, and read together: those that the model would have written itself stand, the first
other one ends the guess. What is written is what would have been written without.
"""

from __future__ import annotations

from collections.abc import Sequence

CONTEXT = 3
"""So many tokens before tell where a text is; two where three are not known."""

LONGEST = 3
"""Tokens guessed at a time."""

MOST_ROWS = 6
"""Tokens of all texts together in a step: beyond these a step costs more than the guesses save."""

_START = -1


class Drafts:
    """Guesses from texts, the first ones first."""

    def __init__(self, texts: Sequence[Sequence[int]] = ()) -> None:
        self._after: dict[tuple[int, ...], tuple[int, ...]] = {}
        for ids in texts:
            whole = [*[_START] * CONTEXT, *ids]
            for place in range(CONTEXT, len(whole)):
                for size in range(2, CONTEXT + 1):
                    before = tuple(whole[place - size : place])
                    self._after.setdefault(before, tuple(whole[place : place + LONGEST]))

    def after(self, written: Sequence[int], most: int) -> list[int]:
        """Guess up to `most` tokens behind what is written."""
        last = [*[_START] * CONTEXT, *written[-CONTEXT:]]
        for size in range(CONTEXT, 1, -1):
            found = self._after.get(tuple(last[-size:]))
            if found is not None:
                return list(found[: max(most, 0)])
        return []


def guessed_at_once(texts: int) -> int:
    """Tokens to guess for each of so many texts written side by side."""
    return min(LONGEST, MOST_ROWS // texts - 1)
