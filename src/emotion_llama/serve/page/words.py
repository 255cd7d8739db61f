"""What the page says, by language: one YAML file each, with the same keys."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import yaml

Words = Mapping[str, str]
LANGUAGES = ("en", "zh")


@cache
def words(language: str) -> Words:
    """Give every text of the page in a language."""
    text = (files("emotion_llama.serve.page") / f"words.{language}.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def preferred(accept_language: str) -> str:
    """Give the language of ours that a browser likes best, from its `Accept-Language` header; English where none."""
    for part in accept_language.split(","):
        language = part.split(";")[0].strip().split("-")[0].lower()
        if language in LANGUAGES:
            return language
    return "en"
