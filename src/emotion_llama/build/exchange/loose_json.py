"""JSON as people leave it: comments, commas at the end, line breaks inside strings, a byte order mark.

The released MERR files need it. A JSON5 library reads comments but refuses line breaks in strings, and one in plain
Python takes minutes for 40 MB; the standard library reads everything else here fast.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from emotion_llama.errors import ManifestError

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_COMMENT = re.compile(rf"({_STRING})|//[^\n]*|/\*.*?\*/", re.DOTALL)
_COMMA = re.compile(rf"({_STRING})|,(?=\s*[}}\]])", re.DOTALL)


def read_loose_json(path: Path) -> tuple[Any, list[str]]:
    """Read a file: its value, and the keys that stood in one object twice (the last one counts, as everywhere).

    Raises `ManifestError` with the line where it is no JSON even so.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    twice: list[str] = []

    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice.extend(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        return found

    try:
        # not strict: line breaks and tabs inside strings are taken as they are
        return json.loads(_plain(text), strict=False, object_pairs_hook=table), twice
    except json.JSONDecodeError as error:
        raise ManifestError(f"{path}:{error.lineno}: not readable as JSON ({error.msg}); is the file whole?") from error


def _plain(text: str) -> str:
    """Take comments and commas at the end out; lines keep their numbers."""
    text = _COMMENT.sub(lambda found: found[1] or "\n" * found[0].count("\n"), text)
    return _COMMA.sub(lambda found: found[1] or "", text)
