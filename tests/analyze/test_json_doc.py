from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from emotion_llama.analyze.writers import ClipFailure
from emotion_llama.clip import SCHEMA_VERSION, Analysis

PAGE = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
SCHEMA = Analysis.model_json_schema()
MODELS: dict[str, Any] = {"Analysis": SCHEMA, **SCHEMA["$defs"]}


def type_words(schema: dict[str, Any]) -> str:
    """A field's type as the page writes it."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(type_words(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    if "prefixItems" in schema:
        return "[" + ", ".join(type_words(one) for one in schema["prefixItems"]) + "]"
    if schema["type"] == "array":
        return f"list of {type_words(schema['items'])}"
    if schema["type"] == "object":
        return f"map of {type_words(schema['additionalProperties'])}"
    return str(schema["type"])


def documented() -> dict[str, dict[str, str]]:
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    return {
        section.split("\n", 1)[0]: dict(re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", section, flags=re.MULTILINE))
        for section in sections
    }


@pytest.mark.parametrize("name", MODELS)
def test_the_page_lists_every_field_with_its_type(name: str) -> None:
    fields = {field: type_words(schema) for field, schema in MODELS[name]["properties"].items()}
    assert documented()[name] == fields


def test_the_page_has_no_section_too_many_and_names_the_version() -> None:
    assert set(documented()) == set(MODELS)
    assert f"Schema version `{SCHEMA_VERSION}`" in PAGE


def test_the_failure_line_on_the_page_is_a_failure() -> None:
    (line,) = re.findall(r"^```json\n(.+)\n```$", PAGE, flags=re.MULTILINE)
    assert ClipFailure.model_validate_json(line).error.type == "MediaError"
