"""The tables behind the emotion-wheel metric: word forms → base words → wheel words → sectors of five wheels.

`own_tables` reads `wheel_lexicon.yaml`, written for this project (see docs/wheel.md). `read_official` reads the folder
`emotion_wheel` of MER2025 or MER2026, which users get from the challenge's repository; only with it can a score be
compared with published ones.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import yaml

from emotion_llama.errors import ManifestError
from emotion_llama.metrics.grouping import parse_words
from emotion_llama.metrics.label_sets import normalise
from emotion_llama.metrics.object_npz import read_object

LEVELS = (1, 2)
Rings = Mapping[str, Mapping[str, Iterable[str]]]
"""Inner-ring word → middle-ring word → outer-ring words."""
Lists = Mapping[str, tuple[str, ...]]

OFFICIAL_MAPPING = "wheel_mapping.npz"
OFFICIAL_WHEELS = tuple(f"wheel{number}" for number in range(1, 6))
_RUNS = range(1, 9)  # the official synonyms are the union of eight runs of a language model
_OWN = Path(__file__).with_name("wheel_lexicon.yaml")


@dataclass(frozen=True)
class Wheel:
    """Where each word of a wheel belongs: `level1` to a word of the inner ring, `level2` to one of the middle ring."""

    level1: Mapping[str, str]
    level2: Mapping[str, str]

    def sectors(self, level: int) -> Mapping[str, str]:
        """Give word → sector at level 1 or 2."""
        return self.level1 if level == 1 else self.level2


@dataclass(frozen=True)
class WheelTables:
    """Forms → base words, base words → wheel words, and the wheels. `source` names where they come from.

    `valence` gives a pleasantness from -1 to 1 to wheel words that the label table has no valence for (own tables).
    """

    forms: Lists
    synonyms: Lists
    wheels: Mapping[str, Wheel]
    source: str
    valence: Mapping[str, float]

    def reach(self, word: str) -> tuple[str, ...]:
        """Give all wheel words that a word leads to, in alphabetical order; none for an unknown word."""
        bases = self.forms.get(normalise(word), ())
        return tuple(sorted({wheel_word for base in bases for wheel_word in self.synonyms.get(base, ())}))

    def sector(self, word: str, wheel: str, level: int) -> str | None:
        """Give the sector of the first wheel word, by alphabet, that the wheel holds; `None` = not mapped."""
        sectors = self.wheels[wheel].sectors(level)
        return next((sectors[wheel_word] for wheel_word in self.reach(word) if wheel_word in sectors), None)

    @cached_property
    def sha256(self) -> str:
        """Hash of the tables' content, so that a score says which tables made it."""
        wheels = {name: [dict(wheel.level1), dict(wheel.level2)] for name, wheel in self.wheels.items()}
        plain = [_sorted_lists(self.forms), _sorted_lists(self.synonyms), wheels]
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def make_wheel(rings: Rings) -> Wheel:
    """Make a wheel from its rings.

    At level 2 a word of the inner ring goes to its alphabetically first child. A word that stands in several places
    belongs where it stands last, as in the official code.
    """
    level1: dict[str, str] = {}
    level2: dict[str, str] = {}
    for inner, middle_ring in rings.items():
        level1[inner], level2[inner] = inner, min(middle_ring)
        for middle, outer_ring in middle_ring.items():
            for word in (middle, *outer_ring):
                level1[word], level2[word] = inner, middle
    return Wheel(level1, level2)


@cache
def own_tables() -> WheelTables:
    """Read our own lexicon. Raises `ManifestError` if it names a wheel word twice or not at all in some wheel."""
    lexicon = yaml.safe_load(_OWN.read_text(encoding="utf-8"))
    forms: dict[str, list[str]] = {}
    synonyms: dict[str, list[str]] = {}
    for family, text in lexicon["families"].items():
        for group in text.split("|"):
            words = [word.replace("_", " ") for word in group.split()]
            synonyms.setdefault(words[0], []).append(family)
            for word in words:
                forms.setdefault(word, []).append(words[0])
    wheels = {name: make_wheel(_rings(name, wheel["rings"], lexicon)) for name, wheel in lexicon["wheels"].items()}
    version = f"own lexicon {lexicon['version']} (emotion_llama/metrics/{_OWN.name})"
    return WheelTables(_tuples(forms), _tuples(synonyms), wheels, version, lexicon["valence"])


def _rings(name: str, rings: Mapping[str, Mapping[str, str]], lexicon: Mapping[str, Any]) -> Rings:
    """Give the rings of an own wheel with its outer words split, each family placed exactly once."""
    found = {inner: {middle: words.split() for middle, words in ring.items()} for inner, ring in rings.items()}
    placed = [word for ring in found.values() for words in ring.values() for word in words]
    wrong = sorted(set(placed) ^ set(lexicon["families"])) + sorted({word for word in placed if placed.count(word) > 1})
    if wrong:
        raise ManifestError(f"{_OWN}: wheel {name!r} must hold each family once; look at {', '.join(wrong)}")
    return found


def read_official(folder: Path) -> WheelTables:
    """Read the official folder: `wheel_mapping.npz`, or else `wheel1…5.xlsx`, `synonym.xlsx` and `format.csv`.

    Spreadsheets need openpyxl. Raises `ManifestError` that names the file, line or column that is not as expected.
    """
    if (folder / OFFICIAL_MAPPING).is_file():
        return _read_mapping(folder / OFFICIAL_MAPPING)
    wheels = {name: make_wheel(_sheet_rings(folder / f"{name}.xlsx")) for name in OFFICIAL_WHEELS}
    forms, synonyms = _official_forms(folder / "format.csv"), _official_synonyms(folder / "synonym.xlsx")
    return WheelTables(forms, synonyms, wheels, "official tables (wheel*.xlsx, synonym.xlsx, format.csv)", {})


def has_official(folder: Path) -> bool:
    """Whether a folder holds official tables."""
    return (folder / OFFICIAL_MAPPING).is_file() or (folder / f"{OFFICIAL_WHEELS[0]}.xlsx").is_file()


def _read_mapping(path: Path) -> WheelTables:
    """The chain as MER2026 stores it: `format_mapping`, `raw_mapping`, `wheel_map_whole[wheel][level1|level2]`."""
    forms, synonyms, whole = (read_object(path, key) for key in ("format_mapping", "raw_mapping", "wheel_map_whole"))
    try:
        wheels = {name: Wheel(dict(whole[name]["level1"]), dict(whole[name]["level2"])) for name in OFFICIAL_WHEELS}
        return WheelTables(_tuples(forms), _tuples(synonyms), wheels, f"official tables ({path.name})", {})
    except (AttributeError, KeyError, TypeError) as error:
        raise ManifestError(
            f"{path}: expected dictionaries of words and wheel1…wheel5 with level1, level2; {error}"
        ) from error


def _sheet_rings(path: Path) -> dict[str, dict[str, list[str]]]:
    """Rings of a sheet with the columns level1, level2, level3; an empty cell repeats the one above."""
    rings: dict[str, dict[str, list[str]]] = {}
    above = dict.fromkeys(("level1", "level2", "level3"), "")
    for line, row in _sheet(path, tuple(above)):
        above |= {name: normalise(str(cell)) for name, cell in row.items() if cell not in (None, "")}
        if not all(above.values()):
            raise ManifestError(f"{path}:{line}: expected words in level1, level2 and level3, found {above}")
        rings.setdefault(above["level1"], {}).setdefault(above["level2"], []).append(above["level3"])
    if not rings:
        raise ManifestError(f"{path}: expected words below the heading, found none")
    return rings


def _official_synonyms(path: Path) -> Lists:
    """Base word → wheel words: each wheel word names itself and, in eight runs, its synonyms."""
    columns = tuple(f"{kind}_run{run}" for run in _RUNS for kind in ("word", "synonym"))
    found: dict[str, list[str]] = {}
    for line, row in _sheet(path, columns):
        for run in _RUNS:
            word = normalise(str(row[f"word_run{run}"] or ""))
            if not word:
                raise ManifestError(
                    f"{path}:{line}: expected a wheel word in column word_run{run}, found an empty cell"
                )
            for synonym in (word, *parse_words(str(row[f"synonym_run{run}"] or ""))):
                found.setdefault(normalise(synonym), []).append(word)
    return _tuples(found)


def _official_forms(path: Path) -> Lists:
    """Form → base words, from a CSV with the columns name (base word) and format (its forms, with commas between)."""
    found: dict[str, list[str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"name", "format"} <= set(reader.fieldnames or ()):
                raise ManifestError(f"{path}: expected the columns name and format, found {reader.fieldnames}")
            for row in reader:
                base = normalise(row["name"])
                for form in (*parse_words(row["format"] or ""), base):
                    found.setdefault(normalise(form), []).append(base)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"{path}: cannot read the word forms ({error})") from error
    return _tuples(found)


def _sheet(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of the first sheet as (line, column → cell); rows without any cell are skipped."""
    try:
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError as error:
        raise ManifestError(f"{path}: reading it needs openpyxl; install emotion-llama[evaluate]") from error
    try:
        rows = load_workbook(path, read_only=True, data_only=True).worksheets[0].iter_rows(values_only=True)
        heading = list(next(rows, ()))
    except (OSError, BadZipFile, InvalidFileException, KeyError, ValueError) as error:
        raise ManifestError(f"{path}: cannot be read as a spreadsheet ({error})") from error
    missing = [name for name in columns if name not in heading]
    if missing:
        raise ManifestError(f"{path}: expected the columns {', '.join(columns)}; missing {', '.join(missing)}")
    for line, cells in enumerate(rows, start=2):
        if any(cell not in (None, "") for cell in cells):
            yield line, {name: cells[heading.index(name)] for name in columns}


def _tuples(lists: Mapping[str, Iterable[str]]) -> Lists:
    return {word: tuple(sorted(set(words))) for word, words in lists.items()}


def _sorted_lists(lists: Lists) -> dict[str, list[str]]:
    return {word: sorted(words) for word, words in lists.items()}
