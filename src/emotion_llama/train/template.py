"""Settings for recordings of one's own: the shipped `own-data.yaml`, with a manifest and its labels filled in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError, OutputError, UsageError
from emotion_llama.labels import parse_label_set
from emotion_llama.manifest import read_manifest

TEMPLATE = Path(__file__).with_name("own-data.yaml")


def write_settings(out: Path, manifest: Path) -> str:
    """Write settings of a training on the clips of `manifest`; gives a sentence that says what was counted.

    Labels are those of the manifest, in the order in which they occur. Where it names no speaker, clips are split one
    by one. Raises `ManifestError` for a clip without a label or fewer than two labels, `UsageError` if `out` is there
    already, `OutputError` if it cannot be written.
    """
    if out.exists():
        raise UsageError(f"{out}: is there already, and may hold changes of yours; name another file, or remove it")
    clips = read_manifest(manifest)
    counts = _labels(clips, manifest)
    people = {clip.speaker for clip in clips if clip.speaker is not None}
    text = TEMPLATE.read_text(encoding="utf-8").replace("--labels calm,stressed,tired", f"--labels {','.join(counts)}")
    text = _filled(text, "path", manifest.as_posix())
    text = _filled(text, "labels", list(counts))
    if not people:
        text = _filled(text, "split", {"validation": 0.2, "test": 0.0, "unit": "clip"})
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error}); choose a folder you may write to") from error
    return _said(len(clips), len(people), counts)


def _labels(clips: Sequence[Clip], manifest: Path) -> Counter[str]:
    """Count the labels, lower-case, in the order in which they occur."""
    counts: Counter[str] = Counter()
    for clip in clips:
        if clip.emotion is None:
            raise ManifestError(
                f"{manifest}: clip {clip.clip!r} has no label; expected one in a column emotion or label"
            )
        counts[clip.emotion.strip().lower()] += 1
    if len(counts) < 2:
        raise ManifestError(f"{manifest}: expected two or more labels, found {', '.join(counts)} alone")
    try:
        parse_label_set(", ".join(counts))
    except UsageError as error:
        raise ManifestError(f"{manifest}: its labels ({', '.join(counts)}) are no label set: {error}") from error
    return counts


def _filled(text: str, key: str, value: object) -> str:
    """The text with another value in the only line of `key`; the template's remark behind it stays in its column."""
    written = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False)
    written = written.removesuffix("...\n").strip()

    def line(match: re.Match[str]) -> str:
        room = len(match[2])
        return f"{match[1]}{written:<{room}}{match[3]}" if len(written) < room else f"{match[1]}{written} {match[3]}"

    found, count = re.subn(rf"^(\s+(?:- )?{key}: )([^#\n]*)(#.*)$", line, text, flags=re.MULTILINE)
    assert count == 1, f"{TEMPLATE} has {count} lines of {key}"
    return found


def _said(clips: int, people: int, counts: Counter[str]) -> str:
    labels = ", ".join(f"{count} {label}" for label, count in counts.items())
    who = f"{clips} clips of {people} people" if people else f"{clips} clips, speakers not named"
    return f"{who}: {labels}"
