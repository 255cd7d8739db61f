"""Whether something became slower: the ratios of a run against stored ones, never seconds of another machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveFloat, ValidationError

from emotion_llama.analyze.numerics import Numerics
from emotion_llama.bench.figures import Figures
from emotion_llama.errors import UsageError

MOST_LOSS = 0.15
"""Share of a stored ratio that may be lost: rounds of one run differ by less on a machine that does nothing else."""

AGAIN = "measure anew with `emotion-llama bench --json FILE`"


class _Lenient(BaseModel):
    """What is compared of a file; its other figures are not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, strict=True)


class _Ratio(_Lenient):
    ratio: PositiveFloat


class Stored(_Lenient):
    """What of a run can be compared with another run, and what makes the two comparable."""

    model: str
    device: str
    dtype: str
    quantize: str | None
    compiled: bool
    reference_ratio: PositiveFloat
    reference_reloaded_ratio: PositiveFloat
    decode_ratio: PositiveFloat
    together_ratio: PositiveFloat
    folder_with_reasons: _Ratio
    label_scoring: _Ratio
    bandwidth_fraction: PositiveFloat
    prefill_fraction: PositiveFloat
    prefill_ratio: PositiveFloat
    scoring_fraction: PositiveFloat
    scoring_one_order_fraction: PositiveFloat
    video_fraction: PositiveFloat | None = None  # earlier records have none

    def ratios(self) -> dict[str, float]:
        """All of them by name; more is better."""
        found: dict[str, float] = {}
        for name in type(self).model_fields:
            value: Any = getattr(self, name)
            if isinstance(value, _Ratio):
                found[f"{name}.ratio"] = value.ratio
            elif isinstance(value, float):
                found[name] = value
        return found


@dataclass(frozen=True)
class Fallen:
    """A ratio that is lower than it was, by more than may be."""

    name: str
    stored: float
    found: float

    def __str__(self) -> str:
        loss = 100 * (1 - self.found / self.stored)
        return f"{self.name}: {self.found:.3g}, was {self.stored:.3g} ({loss:.0f} % less)"


def read_stored(path: Path) -> Stored:
    """Read a file that `bench --json` wrote. Raises `UsageError` naming the file and each key that is not as it was."""
    try:
        return Stored.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give a file that `bench --json` wrote") from error
    except ValidationError as error:
        wrong = "; ".join(": ".join([".".join(map(str, e["loc"])), e["msg"]]).lstrip(": ") for e in error.errors())
        raise UsageError(f"{path}: {wrong}; {AGAIN}") from error


def require_comparable(stored: Stored, path: Path, model: str, device: str, dtype: str, numerics: Numerics) -> None:
    """Raise `UsageError` where another model, kind of device, number format or way of writing was measured."""
    pairs = {
        "model": (stored.model, model),
        "device": (_kind(stored.device), _kind(device)),
        "dtype": (stored.dtype, dtype),
        "quantize": (stored.quantize, numerics.quantize),
        "compile": (stored.compiled, numerics.compiled),
    }
    wrong = [f"{name} {was}, not {now}" for name, (was, now) in pairs.items() if was != now]
    if wrong:
        raise UsageError(f"{path}: measured with {', '.join(wrong)}; ratios of these cannot be compared, {AGAIN}")


def fallen(stored: Stored, found: Figures) -> list[Fallen]:
    """Name each ratio that lost more than `MOST_LOSS` of what it was."""
    now = Stored.model_validate(found.model_dump()).ratios()
    return [Fallen(name, was, now[name]) for name, was in stored.ratios().items() if now[name] < (1 - MOST_LOSS) * was]


def _kind(device: str) -> str:
    return device.partition(":")[0]
