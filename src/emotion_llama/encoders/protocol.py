"""What every encoder looks like from outside."""

from __future__ import annotations

from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Input = TypeVar("Input", contravariant=True)


class Encoder(Protocol[Input]):
    """A frozen net that turns one measurement of a clip into a fixed number of feature rows.

    `name` is the feature's key in the model, `width` the length of a row, `tokens` the number of rows. Calling it gives
    an array `(tokens, width)`.
    """

    @property
    def name(self) -> str:
        """Key of the feature in the model."""

    @property
    def width(self) -> int:
        """Length of one row."""

    @property
    def tokens(self) -> int:
        """Number of rows."""

    def __call__(self, source: Input, /) -> NDArray[np.float32]:
        """Encode one input: `(tokens, width)`."""
