"""Every text that the program says of a result, found in its source: what a language file has to know.

Constants and f-strings of the listed modules (not docstrings, not error messages), the texts of the templates, and the
phrases of `describe.yaml`. What varies is filled with an example.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.resources import files
from itertools import product

from emotion_llama.perception.describe import word_table

PACKAGE = files("emotion_llama")
MODULES = (
    "analyze/warnings.py", "analyze/people_notes.py", "analyze/gating.py", "analyze/baseline.py",
    "analyze/attribution.py", "analyze/results.py", "analyze/timeline/notes.py", "analyze/timeline/run.py",
    "analyze/console.py", "analyze/people_shown.py", "analyze/timeline/strip.py", "analyze/timeline/page.py",
    "analyze/report.py", "perception/scene.py", "perception/describe.py", "perception/claim_check.py",
)  # fmt: skip
TEMPLATES = ("analyze/report.html.j2", "analyze/people.html.j2", "analyze/timeline.html.j2")
NUMBER = "7"
LABEL = "happy"

_SAID = re.compile(r"""say\((?:"([^"]+)"|'([^']+)')""")
_SENTENCE = re.compile(r"[A-Za-z][a-z']+ [a-z0-9{]")


def in_templates() -> Iterator[str]:
    """Texts of the pages, numbers filled in."""
    for name in TEMPLATES:
        for one, other in _SAID.findall((PACKAGE / name).read_text(encoding="utf-8")):
            yield re.sub(r"%[+.\d]*[dfs]", NUMBER, one or other).replace("%%", "%")


def in_table() -> Iterator[str]:
    """Phrases of `describe.yaml`, each in every strength."""
    table = word_table()
    for much in table.adverbs.values():
        yield from (entry.phrase.format(much=much) for entry in table.action_units.values())
        for norm in table.voice.values():
            yield from (p.phrase.format(much=much) for p in (norm.low, norm.usual, norm.high) if p is not None)
    yield table.speech_phrase


def in_modules() -> Iterator[tuple[str, str]]:
    """(module, text) of every sentence or phrase in the modules."""
    for name in MODULES:
        tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
        for node in _spoken(tree):
            for text in _filled(node):
                if _SENTENCE.search(text):
                    yield name, text


def _spoken(node: ast.AST) -> Iterator[ast.expr]:
    """Strings below a node, outermost first; no docstrings, and nothing that is raised or annotated."""
    for child in ast.iter_child_nodes(node):
        docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        if docstring or isinstance(child, ast.Raise | ast.arguments | ast.AnnAssign):
            continue
        if isinstance(child, ast.JoinedStr) or (isinstance(child, ast.Constant) and isinstance(child.value, str)):
            yield child
        else:
            yield from _spoken(child)


def _filled(node: ast.expr) -> Iterator[str]:
    """The texts of a string, an example for what varies; every branch of a condition."""
    parts = [[node]] if isinstance(node, ast.Constant) else [_values(part) for part in getattr(node, "values", [])]
    for chosen in product(*parts):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else part for part in chosen)  # type: ignore[misc]


def _values(part: ast.expr) -> list[ast.Constant | str]:
    if isinstance(part, ast.Constant):
        return [part]
    assert isinstance(part, ast.FormattedValue)
    inner = part.value
    if isinstance(inner, ast.IfExp) and all(isinstance(x, ast.Constant) for x in (inner.body, inner.orelse)):
        return [inner.body, inner.orelse]  # type: ignore[list-item]
    example = NUMBER if part.format_spec is not None else LABEL
    return [f"'{example}'" if part.conversion == ord("r") else example]
