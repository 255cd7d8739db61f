"""Every error this package raises on purpose.

    EmotionLlamaError
    ├── UsageError       a wrong option, label set or setting            (exit code 2)
    ├── ManifestError    a list of clips that cannot be read as one
    ├── MediaError       a recording that cannot be read
    │   └── NoStreamError    it can be read but holds neither picture nor sound
    ├── AssetError       weights that cannot be had
    │   ├── AssetMissingError    not in the cache, and fetching was not allowed or not possible
    │   └── AssetCorruptError    the bytes are not the ones the catalog names
    ├── ModelError       a checkpoint that does not fit, features that do not match the prompt
    ├── EndpointError    a language model behind a URL that gave no usable answer
    ├── RequestError     a request that the service turns away
    └── OutputError      a result that cannot be written

A message says what was wanted, what was found, which file or key, and what to do.
"""

from __future__ import annotations

from functools import partial
from typing import Any


class EmotionLlamaError(Exception):
    """Base of all errors raised on purpose by this package."""


class UsageError(EmotionLlamaError):
    """A wrong option, label set or setting; the command line exits with 2."""


class ManifestError(EmotionLlamaError):
    """A list of clips that cannot be read; names the file and the line."""


class MediaError(EmotionLlamaError):
    """A recording that cannot be read; names the file and what was expected."""


class NoStreamError(MediaError):
    """A readable container without the stream that was asked for."""


class AssetError(EmotionLlamaError):
    """Weights or sample media that cannot be had."""


class AssetMissingError(AssetError):
    """An asset that is not in the cache; names the command that fetches it."""


class AssetCorruptError(AssetError):
    """An asset whose bytes differ from the catalog's sha256; names both hashes."""


class ModelError(EmotionLlamaError):
    """A checkpoint that does not fit, or features that do not match the prompt; names the key or the clip."""


class EndpointError(EmotionLlamaError):
    """No usable answer from a language model behind a URL, which is named. `status`: of HTTP, `None` = no answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class RequestError(EmotionLlamaError):
    """A request that the service turns away. `status`: of HTTP; `kind`: a short fixed word for programs.

    `retry_after_s`: when asking again makes sense, `None` where it does not.
    """

    def __init__(self, message: str, *, status: int, kind: str, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.retry_after_s = status, kind, retry_after_s

    def __reduce__(self) -> tuple[Any, ...]:
        # what pickle would do of itself leaves out what has to be given by name
        made = partial(type(self), status=self.status, kind=self.kind, retry_after_s=self.retry_after_s)
        return made, self.args, self.__dict__


class OutputError(EmotionLlamaError):
    """A result that cannot be written; names the path."""
