"""How the numbers of a data set are said: names of action units, shares, seconds."""

from __future__ import annotations

from emotion_llama.build.steps.describe_face import phrase_pools

_NO_POOL = {45: "blink"}  # the paper's pools leave it out


def unit_name(unit: str) -> str:
    """An action unit with its FACS name: "AU12" → "AU12 lip corner puller"."""
    number = unit.removeprefix("AU")
    if not number.isdecimal():
        return unit
    pool = phrase_pools().get(int(number))
    name = pool[0] if pool else _NO_POOL.get(int(number), "")
    return f"AU{int(number):02d} {name}".rstrip()


def share(part: int, whole: int) -> str:
    """A share in percent; a dash of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def seconds(length_s: float | None) -> str:
    """A length; minutes and hours where that reads better."""
    if length_s is None:
        return "–"
    if length_s < 120:
        return f"{length_s:.2f} s"
    return f"{length_s / 60:.1f} min" if length_s < 7200 else f"{length_s / 3600:.1f} h"


def number(value: float | None, digits: int = 2) -> str:
    """A number with so many decimals; a dash for one that is not defined."""
    return "–" if value is None else f"{value:,.{digits}f}"
