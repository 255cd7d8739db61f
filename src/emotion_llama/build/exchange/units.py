"""Names of action units: two digits, as entries, OpenFace and MERR have them ("AU05")."""

from __future__ import annotations

import re

_NAME = re.compile(r"AU(\d{1,2})(?:_[rc])?", re.IGNORECASE)


def unit_number(name: str) -> int | None:
    """Give the FACS number of "AU05", "AU5" or "AU05_r"; `None` for any other word."""
    match = _NAME.fullmatch(name.strip())
    return int(match[1]) if match else None


def unit_name(number: int) -> str:
    """Give the name of a unit (5 → "AU05")."""
    return f"AU{number:02d}"
