"""The benchmarks by name. Each file of this folder holds one `Suite`, or a few of one family."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType

from emotion_llama.errors import UsageError
from emotion_llama.evaluate.suite import Suite

FILES: MappingProxyType[str, str] = MappingProxyType(
    {
        "custom": "custom",
        "ravdess": "ravdess",
        "crema-d": "crema_d",
        "emodb": "emodb",
        "meld": "meld",
        "iemocap": "iemocap",
        "dfew": "dfew",
        "mer2023-semi": "mer2023",
        "mer2023-multi": "mer2023",
        "mer2023-noise": "mer2023",
        "mer2024-noise": "mer2024",
        "mer-ov": "mer_ov",
        "ov-wheel": "ov_wheel",
        "mer-unibench": "mer_unibench",
        "emer": "emer",
        "hitemotion": "hitemotion",
        "vecbench": "vecbench",
        "micro-expression": "micro_expression",
    }
)
"""Suite name → the file that holds it; read only when the suite is asked for."""


def find_suite(name: str) -> Suite:
    """Give a suite by its name. Raises `UsageError` with the nearest names."""
    if name not in FILES:
        near = get_close_matches(name, FILES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"unknown suite {name!r}: choose from {', '.join(FILES)}.{hint}")
    module = import_module(f"{__name__}.{FILES[name]}")
    suites: tuple[Suite, ...] = getattr(module, "SUITES", None) or (module.SUITE,)
    return next(suite for suite in suites if suite.name == name)
